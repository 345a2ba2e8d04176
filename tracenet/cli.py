"""The command `tracenet`: everything is imported only when a command needs it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .errors import TracenetError, UsageError, unknown

if TYPE_CHECKING:
    from .checking import Report
    from .trace import Trace

FORMATS = ("svg", "png", "pdf", "tex", "html", "md", "dot", "json")


class _Group(click.Group):
    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except TracenetError as error:
            click.echo(f"tracenet: {error}", err=True)
            context.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="tracenet %(version)s")
def main() -> None:
    """Runs hand-written NumPy networks as they stand and draws what they did."""


@main.command()
@click.argument("target")
@click.option("-o", "--output", metavar="FILE", help="Where to draw; - is standard output.")
@click.option(
    "--format", "format_", metavar="FORMAT", help=f"{', '.join(FORMATS)}; by default the suffix's."
)
@click.option("--call", metavar="EXPR", help="Evaluate EXPR in TARGET with everything traced.")
@click.option(
    "--iteration", type=int, metavar="N", help="Record turn N of a script's training loop."
)
@click.option("--lines", metavar="A:B", help="Record only these lines of a script.")
@click.option("--cells", metavar="1-4,7", help="Run only these code cells of a notebook.")
@click.option(
    "--view",
    default="blocks",
    show_default=True,
    help="blocks: two rows. ops: each operation over its mirror.",
)
@click.option("--depth", type=int, metavar="N", help="How far blocks are opened, from 1.")
@click.option(
    "--values",
    default="full",
    show_default=True,
    help="How much of the arrays: full, summary, shapes, none.",
)
@click.option(
    "--digits", type=int, default=4, show_default=True, help="Significant digits of numbers."
)
@click.option(
    "--backward/--forward-only",
    default=None,
    help="Replay and draw the backward pass, or leave it out.",
)
@click.option("--learning-rate", type=float, metavar="α", help="Add the update W := W - α dW.")
@click.option("--check", "checked", is_flag=True, help="Mark each backward block: right or wrong.")
@click.option("--steps", is_flag=True, help="tex only: boxes appear in the order of the run.")
@click.option("--partial", is_flag=True, help="Draw what was recorded when the code raises.")
def render(
    target: str, output: str | None, format_: str | None, call: str | None, view: str,
    depth: int | None, values: str, digits: int, backward: bool | None,
    learning_rate: float | None, partial: bool, iteration: int | None, lines: str | None,
    cells: str | None, checked: bool, steps: bool,
) -> None:  # fmt: skip
    """Draw the run of TARGET.

    TARGET is a script that uses the tracer, whose traces are drawn; any Python file, with --call;
    a flat script, with --iteration or --lines; FILE.py:function, for a function that needs no
    arguments; or a trace that was saved with trace.save("run.trace"). A notebook, FILE.ipynb, is a
    target like a file.

    \b
    tracenet render examples/mazur.py -o mazur.svg
    tracenet render net.py --call 'L_model_forward(X, parameters)' -o net.png
    tracenet render flat_script.py --iteration 3 -o third.png
    """
    _check_options(view, values, digits, depth)
    where, suffix = _destination(target, output, format_)
    if steps and suffix != "tex":
        raise UsageError(f"--steps is for slides, in .tex, and not for .{suffix}")
    with _progress() as say:
        say("running " + target)
        saved = _saved(target, call, say)
        if saved is not None:
            traces, error = [saved], None
        elif iteration is not None or lines is not None:
            traces, error = _part(target, call, iteration, lines, cells)
        else:
            traces, error = _traces(target, call, cells, noting=checked)
        if error is not None and not (partial and traces):
            _print_error(error)
            raise SystemExit(1)
        options: dict[str, Any] = {"depth": depth, "values": values, "digits": digits}
        if backward is False:
            options["backward"] = False
        if checked:
            options["check"] = True
        for number, trace in enumerate(traces):
            path = _numbered(where, number, len(traces))
            if backward is not False and error is None:
                part = iteration is not None or lines is not None
                ours = _forward_only(trace) and (part or call is not None or ":" in target)
                _with_backward(trace, backward, learning_rate, ours)
            say(f"drawing {path or 'the diagram'}")
            _write(trace, view, options, path, suffix, steps)
    if error is not None:
        _print_error(error)
        raise SystemExit(1)


def _check_options(view: str, values: str, digits: int, depth: int | None) -> None:
    if view not in ("blocks", "ops"):
        raise unknown("view", view, ("blocks", "ops"))
    if values not in ("full", "summary", "shapes", "none"):
        raise unknown("amount of values", values, ("full", "summary", "shapes", "none"))
    if not 1 <= digits <= 17:
        raise UsageError(f"--digits must be from 1 to 17, got {digits}")
    if depth is not None and depth < 1:
        raise UsageError(f"--depth must be 1 or more, got {depth}")


def _destination(target: str, output: str | None, format_: str | None) -> tuple[str | None, str]:
    """The file (None for standard output) and the format, checked before anything runs."""
    if format_ is not None and format_.lstrip(".") not in FORMATS:
        raise unknown("format", format_, FORMATS)
    if output == "-":
        if format_ is None:
            raise UsageError("-o - needs --format: " + ", ".join(FORMATS))
        return None, format_.lstrip(".")
    if output is None:
        stem = Path(target.rpartition(":")[0] if ":" in target else target).stem
        output = f"{stem}.{(format_ or 'svg').lstrip('.')}"
    suffix = (format_ or Path(output).suffix).lstrip(".").lower()
    if suffix not in FORMATS:
        raise unknown("suffix", Path(output).suffix or output, ["." + f for f in FORMATS])
    folder = Path(output).parent
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {output!r}: there is no folder {str(folder)!r}; make it first"
        )
    return output, suffix


def _part(
    target: str, call: str | None, iteration: int | None, lines: str | None, cells: str | None
) -> tuple[list[Trace], Exception | None]:
    """Runs a flat script up to the turn or the lines that are wanted; the trace of those."""
    from . import tracer

    if call is not None:
        raise UsageError("--call runs an expression, --iteration and --lines a script: choose one")
    try:
        with _said_to_stderr():
            span = None if lines is None else _span(lines)
            return [tracer.trace_script(target, iteration=iteration, lines=span, cells=cells)], None
    except TracenetError:
        raise
    except Exception as error:
        trace = getattr(error, "tracenet_trace", None)
        return ([trace] if trace is not None else []), error


def _span(lines: str) -> tuple[int, int]:
    first, _, last = lines.partition(":")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise UsageError(f"--lines must be the first and the last line, as in 12:30, got {lines!r}")
    return int(first), int(last)


def _saved(target: str, call: str | None, say: Any) -> Trace | None:
    """The trace that the target is a file of, if it is one."""
    from .store import is_saved, load_trace

    if not is_saved(target):
        return None
    if call is not None:
        raise UsageError(f"{target} is a saved trace, which is drawn and not run: leave --call out")
    return load_trace(target, say)


def _traces(
    target: str, call: str | None, cells: str | None = None, noting: bool = False
) -> tuple[list[Trace], Exception | None]:
    """Runs the target; the traces that it made, and what the user's code raised, if it did."""
    from . import tracer

    file, function = _split(target)
    if call is not None or function is not None:
        module = _loaded(file, cells)
        if isinstance(module, Exception):
            return [], module
        what = call if call is not None else f"{function}()"
        return _called(module, what, function, noting)
    traces: list[Trace] = []
    listeners = tracer.LISTENERS
    listeners.append(traces.append)
    try:
        error = _run_script(file, cells)
    finally:
        listeners.remove(traces.append)
    if not traces and error is None:
        raise UsageError(
            f"{target} made no trace: it does not call tracer.trace. For a file that does not use "
            f"tracenet say what to run, as in tracenet render {target} --call 'forward(X)'"
        )
    partial = getattr(error, "tracenet_trace", None)
    return ([*traces, partial] if partial is not None else traces), error


def _split(target: str) -> tuple[str, str | None]:
    file, colon, function = target.rpartition(":")
    if colon and function.isidentifier() and not Path(target).exists():
        return file, function
    return target, None


def _loaded(file: str, cells: str | None = None) -> Any:
    from . import tracer

    try:
        with _said_to_stderr():
            return tracer.load(file, cells)
    except TracenetError:
        raise
    except Exception as error:
        return error


def _called(
    module: Any, expression: str, function: str | None, noting: bool = False
) -> tuple[list[Trace], Exception | None]:
    from . import tracer

    if function is not None and not callable(getattr(module, function, None)):
        have = ", ".join(n for n, v in vars(module).items() if callable(v) and n[0] != "_")
        raise UsageError(f"there is no function {function!r} in the file; there are {have}")
    try:
        with _said_to_stderr():
            return [tracer.trace_call(module, expression, noting)], None
    except TracenetError:
        raise
    except Exception as error:
        trace = getattr(error, "tracenet_trace", None)
        return ([trace] if trace is not None else []), error


def _run_script(file: str, cells: str | None = None) -> Exception | None:
    """Runs a script as Python would, with its folder first on the path."""
    from .recording.load import read
    from .recording.script import as_main, execute

    program = read(file, cells)
    try:
        with _said_to_stderr(), as_main(Path(file).resolve()) as namespace:
            execute(program, namespace)
    except SystemExit as stop:
        return (
            None if not stop.code else RuntimeError(f"the script ended with exit code {stop.code}")
        )
    except Exception as error:
        return error
    return None


@contextmanager
def _said_to_stderr() -> Iterator[None]:
    """What the user's code prints goes to standard error: standard output may be the picture."""
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout = out


def _forward_only(trace: Trace) -> bool:
    """Whether a run has no backward code of its own, in blocks or as statements."""
    from .records import BACKWARD

    return all(step.block.phase != BACKWARD for step in trace.steps())


def _with_backward(trace: Trace, wanted: bool | None, rate: float | None, ours: bool) -> None:
    """Replays the backward pass where the run itself has none, and there is a loss."""
    from .errors import GradientError
    from .records import BACKWARD

    has_one = any(block.phase == BACKWARD for block in trace.blocks)
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


def _numbered(path: str | None, number: int, count: int) -> str | None:
    if path is None or count == 1:
        return path
    file = Path(path)
    return str(file.with_name(f"{file.stem}-{number + 1}{file.suffix}"))


def _write(
    trace: Trace, view: str, options: dict[str, Any], path: str | None, suffix: str, steps: bool
) -> None:
    from .render import encode, write_bytes

    data = encode(trace.diagram(view, **options), suffix, steps)
    if path is None:
        click.echo(data, nl=False)
    else:
        write_bytes(path, data)
        click.echo(path, err=True)


def _print_error(error: Exception) -> None:
    """The user's own traceback, from their own code on, with our note of block and shapes."""
    import traceback

    from .recording.tape import inside

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


@contextmanager
def _progress(after: float = 2.0) -> Iterator[Any]:
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


@main.command()
@click.argument("target")
@click.option("--call", metavar="EXPR", help="Evaluate EXPR in TARGET with everything traced.")
@click.option(
    "--iteration", type=int, metavar="N", help="Check turn N of a script's training loop."
)
@click.option("--lines", metavar="A:B", help="Check only these lines of a script.")
@click.option("--cells", metavar="1-4,7", help="Run only these code cells of a notebook.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(
    target: str, call: str | None, iteration: int | None, lines: str | None, cells: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Say which hand-written backward block of TARGET is wrong.

    TARGET is what it is for render. EXPR runs forward and backward, or a backward function alone,
    on a cache made by hand. Each backward block is held against its forward block, and the whole
    against the loss.

    \b
    tracenet check net.py --call 'train_step(X, Y, parameters)'
    tracenet check net.py --call 'linear_backward(dZ, cache)'

    The exit code is 0 when all is right, or scaled by convention; 1 when something is wrong; 2 when
    nothing could be checked.
    """
    from .checking import report, run_backward

    with _progress() as say:
        say("running " + target)
        if iteration is not None or lines is not None:
            traces, error = _part(target, call, iteration, lines, cells)
        else:
            traces, error = _traces(target, call, cells, noting=True)
        if error is not None:
            _print_error(error)
            raise SystemExit(1)
        say("checking " + target)
        reports = []
        for trace in traces:
            run_backward(trace)
            reports.append(report(trace))
    _print_reports(reports, as_json)
    if any(block.bad for found in reports for block in found.blocks):
        raise SystemExit(1)
    if not any(found.checked for found in reports):
        raise SystemExit(2)


def _print_reports(reports: list[Report], as_json: bool) -> None:
    if as_json:
        import json

        found = [one.to_json() for one in reports]
        click.echo(json.dumps(found[0] if len(found) == 1 else found, indent=1))
        return
    for number, one in enumerate(reports):
        click.echo(("\n" if number else "") + str(one))


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    eval "$(tracenet completion bash)"
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(main, {}, "tracenet", "_TRACENET_COMPLETE").source())
