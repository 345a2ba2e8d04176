"""The tracer: runs code on traced arrays and gives the `Trace` of what it did.

    from tracenet import tracer

    trace = tracer.trace(forward, X, parameters)

`trace` runs a function, `trace_call` an expression in a loaded module; `input`, `parameter` and
`constant` say what an array is, and `block` names a block.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from .errors import RecordError, UsageError
from .recording import operators as _operators  # noqa: F401  puts the operators on Array
from .recording.array import Array
from .recording.blocks import block
from .recording.entrance import Entrance, Marked
from .recording.expression import planned
from .recording.load import load
from .recording.scope import program, swap, unswap
from .recording.tape import Tape, active, foreign
from .trace import Trace

__all__ = ["block", "constant", "input", "load", "parameter", "trace", "trace_call"]

LISTENERS: list[Callable[[Trace], None]] = []
"""Called with every finished trace; the command line collects the traces of a script with it."""


def trace(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Trace:
    """Runs `function(*args, **kwargs)` and records every operation on the arrays it was given.

    Arrays are found in the arguments and in the dicts, lists, tuples and plain objects among them,
    and are named after parameters, keys and attributes. The function runs as it would untraced,
    with bit-identical values, and its side effects happen. `trace.result` is what it returned.

    Raises what the function raises, with a note that names the block and the shapes; the trace up
    to there is the exception's `tracenet_trace`.
    """
    return _run(function, args, kwargs, [])


def _run(
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    names: list[str | None],
    namespace: dict[str, Any] | None = None,
) -> Trace:
    if not callable(function):
        raise UsageError(
            f"tracer.trace takes a function and its arguments, got {type(function).__name__}: "
            "write tracer.trace(f, x), not tracer.trace(f(x))"
        )
    tape = Tape()
    entrance = Entrance(tape)
    if active() is not None:
        raise RecordError("a trace is being recorded already: end it before you start another")
    try:
        if namespace is not None:
            entrance.variables(namespace)
        wrapped, named = entrance.arguments(function, args, kwargs, names)
        result = _recorded(tape, function, wrapped, named, entrance)
        return _finished(tape, entrance, function, result)
    except Exception as error:
        _explain(error, tape, function)
        raise
    finally:
        entrance.restore()


def _recorded(
    tape: Tape, function: Any, args: list[Any], kwargs: dict[str, Any], entrance: Entrance
) -> Any:
    done = swap(program(function, *args, *kwargs.values(), *entrance.kinds.values()))
    try:
        tape.begin(sys._getframe())
        return function(*args, **kwargs)
    finally:
        tape.end()
        unswap(done)


def _finished(tape: Tape, entrance: Entrance, function: Any, result: Any) -> Trace:
    made = Trace(tape, title=_title(function), outputs=_outputs(result))
    made.result = entrance.snapshot(result)
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


def _explain(error: Exception, tape: Tape, function: Any) -> None:
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


def _line_of(error: Exception) -> tuple[str, int] | None:
    found = None
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not foreign(file):
            found = (file, step.tb_lineno)
        step = step.tb_next
    return found


def trace_call(module: ModuleType, expression: str) -> Trace:
    """Evaluates an expression in a loaded module, with everything in it traced.

    When the expression is one call of a function of the module, its arguments are made first, by
    code that is not traced, and named after the variables or parameters that they are; except
    where an argument runs the module's own code on arrays, which is then traced too.
    """
    namespace = vars(module)
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise UsageError(f"cannot parse the expression {expression!r}: {error.msg}") from None
    plan = planned(tree, expression, namespace)
    namespace.update(plan.made)
    try:
        return _run(plan.function, plan.args, plan.kwargs, plan.names, namespace)
    finally:
        for name in plan.made:
            del namespace[name]


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
