"""Holds hand-written backward blocks against their forward blocks, and says which one is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import GradientError, UsageError
from ..recording.blocks import Block
from ..recording.handwritten import outputs
from ..records import BACKWARD
from ..trace import Trace
from ..tracer import noted
from ..words import STATE
from .audit import audit
from .cases import cases
from .judge import Judged, judge
from .report import Checked, Report, checked
from .run import Run
from .verdict import UNCHECKED


def check(what: Trace | Callable[..., Any], *args: Any, **kwargs: Any) -> Report:
    """Checks hand-written backward blocks: those that ran in a trace, or one pair of functions.

    check(trace): every backward block that ran is judged alone, at the gradients it was given and
    the values that its forward block had, and the whole against the loss, where there is one.

    check(forward, backward, *args): runs `forward(*args)` and then `backward`, with gradients drawn
    at random for what it returns, and with what else it returns (its cache).

    Nothing of the user's is called again, and nothing of theirs is changed.
    """
    if isinstance(what, Trace):
        return report(what)
    if not callable(what) or not args or not callable(args[0]):
        raise UsageError(
            "check takes a trace, or a forward function, its backward function and the forward "
            f"function's arguments, got {type(what).__name__}: write check(forward, backward, x)"
        )
    pair = Block(what)
    pair.backward(args[0])
    made = noted(pair, *args[1:], **kwargs)
    run_backward(made)
    return report(made)


def assert_gradients(what: Trace | Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Like `check`, for a test: raises AssertionError with the report where a gradient is wrong."""
    __tracebackhide__ = True
    found = check(what, *args, **kwargs)
    if not found.ok:
        raise AssertionError(f"{found}")


def report(trace: Trace) -> Report:
    """The report on all backward code that ran in a trace."""
    run = Run(trace)
    judged = judge(run, cases(run))
    rows = [checked(trace, one, audit(run, one.case)) for one in judged]
    why = "" if rows else "No hand-written backward code ran in this trace."
    rows.sort(key=_worst_first)
    return Report(tuple(rows), why, *_unjudged(run, judged))


def _unjudged(run: Run, judged: list[Judged]) -> tuple[tuple[str, ...], bool]:
    """The parameters that lead to the loss and of which no gradient was judged; whether all are."""
    if run.loss is None:
        return (), False
    base: Callable[[int], int] = lambda id: run.versions.get(id, id)
    leading = {base(i) for i in run.leading(run.loss)}
    values = run.trace.values
    leaves = (i for i in leading & run.tape.leaves.keys() if run.parameter(i) and run.floating(i))
    parameters = {i for i in leaves if not STATE.fullmatch(values[i].name)}
    known = {base(t.of) for one in judged for t, v in one.outputs
             if t.of is not None and v.kind != UNCHECKED}  # fmt: skip
    missing = sorted(parameters - known)
    names = dict.fromkeys(values[i].name for i in missing)
    return tuple(names), bool(missing) and len(missing) == len(parameters)


def run_backward(trace: Trace) -> None:
    """Runs the hand-written backward of blocks that have one, where the run itself did not.

    It begins at the loss; where there is none, with gradients drawn at random (and always the
    same), since each block is judged at whatever it is given.
    """
    if any(block.phase == BACKWARD for block in trace.blocks) or not trace._tape.visits:
        return
    try:
        trace.backward()
    except GradientError:
        trace.backward(_random(trace))


def _random(trace: Trace) -> dict[str, Any]:
    wanted = {array.id for array in outputs(trace._tape.visits[-1])}
    draw = np.random.RandomState(0).standard_normal
    return {path: draw(np.shape(trace.data(id))) for path, id in trace._outputs if id in wanted}


def _worst_first(row: Checked) -> tuple[int, float]:
    if row.fault is not None:
        return 0, -row.worst
    return (1 if row.bad else 3 if row.unchecked else 2), -row.worst


__all__ = ["Checked", "Report", "assert_gradients", "check", "report", "run_backward"]
