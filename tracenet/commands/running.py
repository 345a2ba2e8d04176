"""Runs the target of a command: the traces that it makes, and what the user's code raised."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import TracenetError, UsageError

if TYPE_CHECKING:
    from ..trace import Trace


@dataclass(frozen=True, slots=True)
class Target:
    """What a command is to run: a file, and which part of it."""

    file: str
    call: str | None = None
    iteration: int | None = None
    lines: str | None = None
    cells: str | None = None
    pairs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def is_part(self) -> bool:
        """Whether a turn or some lines of a script are wanted."""
        return self.iteration is not None or self.lines is not None

    @property
    def is_expression(self) -> bool:
        """Whether an expression or a function is to be called."""
        return self.call is not None or _split(self.file)[1] is not None


def takes_target(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and the options of a command that runs something: its first argument, a Target."""

    @wraps(command)
    def taking(target: str, call: str | None, iteration: int | None, lines: str | None,
               cells: str | None, pairs: tuple[str, ...], arguments: str, **options: Any) -> None:  # fmt: skip
        from ..recording.phases import paired

        with paired(dict(reversed(_functions(pair)) for pair in pairs)):  # type: ignore[arg-type,misc]
            command(
                Target(target, call, iteration, lines, cells, pairs, _words(arguments)), **options
            )

    parameters = (
        click.option("--pair", "pairs", metavar="FORWARD=BACKWARD", multiple=True,
                     help="These functions are a block and its backward, whatever their names."),
        click.option("--args", "arguments", metavar="TEXT", default="",
                     help="What the file finds in sys.argv, as in --args '--epochs 2'."),
        click.option("--cells", metavar="1-4,7", help="Run only these code cells of a notebook."),
        click.option("--lines", metavar="A:B", help="Only these lines of a script."),
        click.option("--iteration", type=int, metavar="N", help="Only turn N of a script's training loop."),
        click.option("--call", metavar="EXPR", help="Evaluate EXPR in TARGET with everything traced."),
        click.argument("target"),
    )  # fmt: skip
    for parameter in parameters:
        taking = parameter(taking)
    return taking


def run(target: Target, say: Any, noting: bool = False) -> tuple[list[Trace], BaseException | None]:
    """Runs the target; the traces that it made, and what the user's code raised, if it did."""
    say("running " + target.file)
    saved = _saved(target.file, target.call, say)
    if saved is not None:
        return [saved], None
    ran = _part(target, noting) if target.is_part else _traces(target, noting)
    if ran[1] is None:
        _check_pairs(target.pairs, ran[0])
    return ran


def kept(
    target: Target, suffix: str, noting: bool, values: str = "full", **_: Any
) -> AbstractContextManager[None]:
    """What a run keeps that is drawn with these values: of what is not seen, the gradients' needs.

    Not where it is more than drawn: checked, written as JSON, or by a script that has its trace.
    """
    ours = target.is_part or target.is_expression
    if not ours or noting or suffix == "json" or values not in ("summary", "shapes", "none"):
        return nullcontext()
    from .. import tracer

    return tracer.keeping("summary" if values == "summary" else "shapes")


def _words(arguments: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(arguments))
    except ValueError as error:
        raise UsageError(f"--args must be words as a shell has them: {error}") from None


def _functions(pair: str) -> tuple[str, str]:
    """The names of a forward function and its backward, without those of their classes."""
    forward, equals, backward = pair.partition("=")
    names = [name.strip().rpartition(".")[2] for name in (forward, backward)]
    if not equals or not all(name.isidentifier() for name in names):
        raise UsageError(f"--pair must be FORWARD=BACKWARD, two names of functions, got {pair!r}")
    return names[0], names[1]


def _check_pairs(pairs: tuple[str, ...], traces: list[Trace]) -> None:
    """Raises UsageError where a function that was named did not run."""
    ran = {call.code.co_name for trace in traces for call in trace._tape.calls if call.code}
    for pair in pairs:
        absent = [name for name in _functions(pair) if name not in ran]
        if absent:
            there = ", ".join(sorted(name for name in ran if name.isidentifier()))
            raise UsageError(f"--pair {pair}: no function {absent[0]!r} ran; there ran {there}")


@contextmanager
def _seeing(file: str, arguments: Sequence[str]) -> Iterator[None]:
    """What a loaded file finds in `sys.argv`: its own name and arguments, not the command's."""
    before = sys.argv
    sys.argv = [file, *arguments]
    try:
        yield
    finally:
        sys.argv = before


def _part(target: Target, noting: bool) -> tuple[list[Trace], BaseException | None]:
    """Runs a flat script up to the turn or the lines that are wanted; the trace of those."""
    from .. import tracer

    if target.call is not None:
        raise UsageError("--call runs an expression, --iteration and --lines a script: choose one")
    try:
        with said_to_stderr():
            span = None if target.lines is None else _span(target.lines)
            made = tracer.trace_script(
                target.file, iteration=target.iteration, lines=span, cells=target.cells,
                noting=noting, arguments=target.arguments,
            )  # fmt: skip
            return [made], None
    except TracenetError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        trace = getattr(error, "tracenet_trace", None)
        return ([trace] if trace is not None else []), error


def _span(lines: str) -> tuple[int, int]:
    first, _, last = lines.partition(":")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise UsageError(f"--lines must be the first and the last line, as in 12:30, got {lines!r}")
    return int(first), int(last)


def _saved(target: str, call: str | None, say: Any) -> Trace | None:
    """The trace that the target is a file of, if it is one."""
    from ..store import is_saved, load_trace

    if not is_saved(target):
        return None
    if call is not None:
        raise UsageError(f"{target} is a saved trace, which is drawn and not run: leave --call out")
    return load_trace(target, say)


def _traces(target: Target, noting: bool) -> tuple[list[Trace], BaseException | None]:
    """Runs the target; the traces that it made, and what the user's code raised, if it did."""
    from .. import tracer

    file, function = _split(target.file)
    if target.is_expression:
        with _seeing(file, target.arguments):
            module = _loaded(file, target.cells)
            if isinstance(module, BaseException):
                return [], module
            what = target.call if target.call is not None else f"{function}()"
            return _called(module, what, function, noting)
    traces: list[Trace] = []
    listeners = tracer.LISTENERS
    listeners.append(traces.append)
    try:
        error = _run_script(file, target.cells, target.arguments)
    finally:
        listeners.remove(traces.append)
    if not traces and error is None:
        example = "--call 'step(X, Y)'" if _command() == "check" else "--call 'forward(X)'"
        raise UsageError(
            f"{file} made no trace: it does not call tracer.trace. For a file that does not use "
            f"tracenet say what to run, as in tracenet {_command()} {file} {example}, or, where it "
            f"is a script that trains, which turn: --iteration 1"
        )
    partial = getattr(error, "tracenet_trace", None)
    return ([*traces, partial] if partial is not None else traces), error


def _split(target: str) -> tuple[str, str | None]:
    file, colon, function = target.rpartition(":")
    if colon and function.isidentifier() and not Path(target).exists():
        return file, function
    return target, None


def _command() -> str:
    """The command that runs, for advice that can be typed."""
    context = click.get_current_context(silent=True)
    return (context.info_name if context is not None else None) or "render"


def _loaded(file: str, cells: str | None = None) -> Any:
    from .. import tracer

    try:
        with said_to_stderr():
            return tracer.load(file, cells)
    except TracenetError:
        raise
    except SystemExit as stop:
        raise UsageError(
            f"{file} ended itself while it was loaded, with exit code {stop.code or 0}: --call runs "
            "what it defines, so put what ends it under if __name__ == '__main__'"
        ) from None
    except (Exception, KeyboardInterrupt) as error:
        return error


def _called(
    module: Any, expression: str, function: str | None, noting: bool = False
) -> tuple[list[Trace], BaseException | None]:
    from .. import tracer

    if function is not None and not callable(getattr(module, function, None)):
        have = ", ".join(n for n, v in vars(module).items() if callable(v) and n[0] != "_")
        raise UsageError(f"there is no function {function!r} in the file; there are {have}")
    try:
        with said_to_stderr():
            return [tracer.trace_call(module, expression, noting)], None
    except TracenetError:
        raise
    except SystemExit as stop:
        raise UsageError(
            f"{expression} ended itself with exit code {stop.code or 0}, so that there is nothing to "
            "draw: call what it calls before that"
        ) from None
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, Exception):
            _mistyped(error, module, expression)
        trace = getattr(error, "tracenet_trace", None)
        return ([trace] if trace is not None else []), error


def _mistyped(error: Exception, module: Any, expression: str) -> None:
    """Raises UsageError where the fault lies in the expression, and not in the user's code."""
    import inspect
    from difflib import get_close_matches
    from traceback import walk_tb

    from ..recording.tape import EXPRESSION, inside

    files = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    if not all(inside(file) or file == EXPRESSION for file in files):
        return
    if isinstance(error, NameError) and error.name is not None:
        near = get_close_matches(error.name, [n for n in vars(module) if n[:2] != "__"], 1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{error.name!r} in {expression!r} is not in the file{hint}") from None
    called = getattr(module, expression.partition("(")[0].strip(), None)
    if isinstance(error, TypeError) and inspect.isfunction(called):
        whole = f"{called.__name__}{inspect.signature(called)}"
        raise UsageError(f"{error}: it is {whole}, and the call {expression!r}") from None


def _run_script(file: str, cells: str | None, arguments: Sequence[str]) -> BaseException | None:
    """Runs a script as Python would, with its folder first on the path."""
    from ..recording.load import read
    from ..recording.script import as_main, execute

    program = read(file, cells)
    try:
        with said_to_stderr(), as_main(Path(file).resolve(), arguments) as namespace:
            execute(program, namespace)
    except SystemExit as stop:
        return (
            None if not stop.code else RuntimeError(f"the script ended with exit code {stop.code}")
        )
    except (Exception, KeyboardInterrupt) as error:
        return error
    return None


@contextmanager
def said_to_stderr() -> Iterator[None]:
    """What the user's code prints goes to standard error: standard output may be the picture."""
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout = out


def _forward_only(trace: Trace) -> bool:
    """Whether a run has no backward code of its own, in blocks or as statements."""
    from ..records import BACKWARD

    return all(step.block.phase != BACKWARD for step in trace.steps())


def with_backward(
    trace: Trace, target: Target, wanted: bool | None = None, rate: float | None = None
) -> None:
    """Replays the backward pass where the run itself has none, and there is a loss."""
    from ..errors import GradientError
    from ..records import BACKWARD

    ours = _forward_only(trace) and (target.is_part or target.is_expression)
    has_one = any(block.phase == BACKWARD for block in trace.blocks)
    if rate is not None and not ours and has_one and not trace._replays:
        raise UsageError(
            "--learning-rate adds an update to a backward pass that tracenet replays, and this run "
            "has one of its own: its own updates are drawn; leave --learning-rate out"
        )
    if not has_one and (ours or wanted or rate is not None):
        try:
            trace.backward()
        except GradientError as error:
            if wanted or rate is not None:
                raise
            click.echo(f"tracenet: only the forward pass is drawn: {error}", err=True)
            return
    if rate is not None:
        trace.update(rate)
