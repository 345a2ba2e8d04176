"""The tracer: runs code on traced arrays and gives the `Trace` of what it did.

    from tracenet import tracer

    trace = tracer.trace(forward, X, parameters)

`trace` runs a function, `trace_call` an expression in a loaded module, `trace_script` a part of a
script; `input`, `parameter` and `constant` say what an array is, and `block` names a block.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from .errors import RecordError, UsageError, unknown
from .recording import operators as _operators  # noqa: F401  puts the operators on Array
from .recording.array import Array
from .recording.blocks import block
from .recording.entrance import Entrance, Marked
from .recording.expression import planned
from .recording.initial import adopt
from .recording.keeping import Lean
from .recording.load import load, read
from .recording.notes import Notes
from .recording.reaching import bound, reach
from .recording.scope import has_backward, program, swap, unswap
from .recording.script import as_main, part_of
from .recording.tape import Tape, active, foreign
from .trace import Trace

__all__ = [
    "assert_gradients",
    "block",
    "check",
    "constant",
    "input",
    "keeping",
    "load",
    "parameter",
    "trace",
    "trace_call",
    "trace_script",
]

if TYPE_CHECKING:
    from .checking import Report

LISTENERS: list[Callable[[Trace], None]] = []
"""Called with every finished trace; the command line collects the traces of a script with it."""


@contextmanager
def keeping(values: str) -> Iterator[None]:
    """Says what the traces that are made in this `with` keep of the arrays that flow.

    values: `"full"`, all of them, as usual. `"summary"` and `"shapes"` keep what the gradients of
    the parameters need (of the inputs, where there are no parameters), as hand-written code does in
    its caches, and single numbers and arrays under 4 KB; of every other array what a summary of it draws, or
    the shape alone. Asked for such an array, a trace raises RecordError.
    """
    from .recording import keeping as room

    if values not in ("full", "summary", "shapes"):
        raise unknown("amount of values", values, ("full", "summary", "shapes"))
    how: Callable[[Any], Any] | None = None
    if values == "summary":
        from .figures import sketch

        how = sketch
    with room.keeping(values, how):
        yield


def trace(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Trace:
    """Runs `function(*args, **kwargs)` and records every operation on the arrays it was given.

    Arrays are found in the arguments and in the dicts, lists, tuples and plain objects among them,
    and in what the function reaches by itself: globals that it names, its closure, its defaults, the
    class of an object. They are named after parameters, keys, attributes and variables. The function runs as it would untraced,
    with bit-identical values, and its side effects happen. `trace.result` is what it returned; of a
    generator function that is a generator, whose steps are not recorded: pass `lambda: list(f())`.

    Raises what the function raises, with a note that names the block and the shapes; the trace up
    to there is the exception's `tracenet_trace`.
    """
    return _run(function, args, kwargs, [])


def noted(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Trace:
    """Like `trace`, with what every call was given and returned: what a check needs."""
    return _run(function, args, kwargs, [], noting=True)


def _run(
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    names: list[str | None],
    namespace: dict[str, Any] | None = None,
    noting: bool = False,
    mentioned: Collection[str] = (),
) -> Trace:
    if not callable(function):
        raise UsageError(
            f"tracer.trace takes a function and its arguments, got {type(function).__name__}: "
            "write tracer.trace(f, x), not tracer.trace(f(x))"
        )
    tape = Tape()
    if noting:
        tape.notes = Notes()
    entrance = Entrance(tape)
    if active() is not None:
        raise RecordError("a trace is being recorded already: end it before you start another")
    try:
        if namespace is not None:
            apart = entrance.variables(namespace, mentioned)
        wrapped, named = entrance.arguments(function, args, kwargs, names)
        if namespace is None:
            reach(entrance, function)
        inner = function if type(function) is FunctionType else bound(entrance, function)
        result = _recorded(tape, inner, wrapped, named, entrance)
        if namespace is not None:
            tape.forget_unread(apart)
        return _finished(tape, entrance, function, result)
    except (Exception, KeyboardInterrupt) as error:
        _explain(error, tape, function)
        raise
    finally:
        entrance.restore()


def _recorded(
    tape: Tape, function: Any, args: list[Any], kwargs: dict[str, Any], entrance: Entrance
) -> Any:
    done = swap(program(function, entrance.others))
    if tape.notes is None and has_backward(done):
        tape.notes = Notes()
    try:
        tape.begin(sys._getframe())
        return function(*args, **kwargs)
    finally:
        try:
            tape.end()
        finally:
            unswap(done)


def _finished(
    tape: Tape, entrance: Entrance, function: Any, result: Any, outputs: Any = None
) -> Trace:
    ends = _outputs(result if outputs is None else outputs)
    if isinstance(tape.values, Lean):
        tape.values.sweep()
    adopt(tape, [id for _, id in ends])
    made = Trace(tape, _title(function), ends)
    made.result = result.data if type(result) is Array else entrance.snapshot(result)
    for listener in LISTENERS:
        listener(made)
    return made


def _title(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _outputs(result: Any, path: str = "") -> list[tuple[str, int]]:
    """The values that were returned, with the keys or positions under which they were."""
    if type(result) is Array:
        return [(path, result.tape.operand(result))] if result.tape.values else []
    if isinstance(result, dict):
        items: Iterable[tuple[Any, Any]] = result.items()
    elif isinstance(result, (tuple, list)):
        items = enumerate(result)
    else:
        return []
    found = []
    for key, item in items:
        step = key if isinstance(key, str) and not path else f"{path}[{key!r}]"
        found += _outputs(item, step)
    return found


def _explain(error: BaseException, tape: Tape, function: Any) -> None:
    """Adds to the user's exception where in the network it happened."""
    if hasattr(error, "tracenet_trace"):
        return
    made = Trace(
        tape, title=_title(function), outputs=[], failed=f"{type(error).__name__}: {error}"
    )
    made.failed_at = _line_of(error)
    error.tracenet_trace = made  # type: ignore[attr-defined]
    for line in made.last_steps():
        error.add_note(line)


def _line_of(error: BaseException) -> tuple[str, int] | None:
    found = None
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not foreign(file):
            found = (file, step.tb_lineno)
        step = step.tb_next
    return found


def trace_call(module: ModuleType, expression: str, noting: bool = False) -> Trace:
    """Evaluates an expression in a loaded module, with everything in it traced.

    When the expression is one call of a function of the module, its arguments are made first, by
    code that is not traced, and named after the variables or parameters that they are; except
    where an argument runs the module's own code on arrays, which is then traced too.
    noting: whether what every call was given and returned is kept, for a check.
    """
    namespace = vars(module)
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise UsageError(f"cannot parse the expression {expression!r}: {error.msg}") from None
    plan = planned(tree, expression, namespace)
    namespace.update(plan.made)
    try:
        mentioned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        return _run(plan.function, plan.args, plan.kwargs, plan.names, namespace, noting, mentioned)
    finally:
        for name in plan.made:
            del namespace[name]


def trace_script(
    path: str | Path, *, iteration: int | None = None, lines: tuple[int, int] | None = None,
    cells: str | None = None, noting: bool = False, arguments: Sequence[str] = (),
) -> Trace:  # fmt: skip
    """Runs a script up to one part of it, records that part, and stops the script there.

    iteration: the turn of the training loop to record, from 1. lines: the first and the last line
    to record; with `iteration`, the lines that hold the loop. cells: the code cells of a notebook
    to run, as in `"1-4,7"`. noting: as for `trace_call`. arguments: what the
    script finds in `sys.argv` after its name. `trace.result` holds what the part
    assigned, by name.
    """
    program = read(path, cells)
    recorder = part_of(program, iteration, lines)
    if noting:
        recorder.tape.notes = Notes()
    try:
        with as_main(Path(path).resolve(), arguments) as namespace:
            recorder.run(program, namespace)
    except (Exception, KeyboardInterrupt) as error:
        if recorder.began:
            _explain(error, recorder.tape, recorder.function)
        raise
    recorder.check()
    what = recorder.tape, recorder.entrance, recorder.function, recorder.result
    return _finished(*what, recorder.outputs())


def check(what: Any, *args: Any, **kwargs: Any) -> Report:
    """Checks hand-written backward blocks: `check(trace)`, or `check(forward, backward, *args)`.

    Returns the report: print it, or ask `report.ok`, `report.faults`, `report.blocks`. See
    `tracenet.checking.check`.
    """
    from .checking import check

    return check(what, *args, **kwargs)


def assert_gradients(what: Any, *args: Any, **kwargs: Any) -> None:
    """Raises AssertionError, with the whole report, where a hand-written gradient is wrong.

    Takes what `check` takes.
    """
    __tracebackhide__ = True
    from .checking import assert_gradients

    assert_gradients(what, *args, **kwargs)


def input(data: Any, name: str | None = None) -> Any:
    """Says that an array is data: it gets no gradient unless one is asked for."""
    return _marked(data, "input", name)


def parameter(data: Any, name: str | None = None) -> Any:
    """Says that an array is a parameter: it gets a gradient, and `trace.update` changes it."""
    return _marked(data, "parameter", name)


def constant(data: Any, name: str | None = None) -> Any:
    """Says that an array is a constant: it never gets a gradient."""
    return _marked(data, "constant", name)


def _marked(data: Any, role: str, name: str | None) -> Any:
    tape = active()
    if tape is None:
        return Marked(data, role, name)
    if type(data) is Array:
        leaf = tape.leaves.get(data.id)
        if leaf is not None:
            tape.leaves[data.id] = leaf._replace(role=role, name=name or leaf.name)
        return data
    return tape.leaf(data, role, name)
