"""What the commands say on standard error: what is being done, and the errors of the user's code."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click


@contextmanager
def progress(after: float = 2.0) -> Iterator[Any]:
    """Says on standard error what is being done, once that takes longer than two seconds."""
    state: dict[str, Any] = {"doing": "", "since": time.monotonic()}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(after):
            seconds = time.monotonic() - state["since"]
            click.echo(f"tracenet: {state['doing']} ({seconds:.0f} s)", err=True)

    def say(doing: str) -> None:
        state["doing"] = doing

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield say
    finally:
        over.set()


@contextmanager
def warnings_said() -> Iterator[None]:
    """Says each warning that comes up meanwhile once, in one line on standard error."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for message in dict.fromkeys(str(warning.message) for warning in found):
                click.echo(f"tracenet: {message}", err=True)


def fail(error: BaseException, code: int) -> NoReturn:
    """Ends the command with the user's own error; one that was interrupted as a shell has it."""
    print_error(error)
    raise SystemExit(130 if isinstance(error, KeyboardInterrupt) else code)


def print_error(error: BaseException) -> None:
    """The user's own traceback, from their own code on, with our note of block and shapes."""
    import traceback

    from ..recording.tape import inside

    step = error.__traceback__
    while step is not None and (
        inside(step.tb_frame.f_code.co_filename) or "runpy" in step.tb_frame.f_code.co_filename
        or step.tb_frame.f_code.co_filename.startswith("<frozen")
    ):  # fmt: skip
        step = step.tb_next
    shown = traceback.TracebackException(type(error), error, step or error.__traceback__)
    shown.stack = traceback.StackSummary.from_list(
        [frame for frame in shown.stack if not inside(frame.filename)] or list(shown.stack)
    )
    click.echo("".join(shown.format()), err=True, nl=False)
