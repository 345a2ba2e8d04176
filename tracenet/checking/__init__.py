"""Holds hand-written backward blocks against their forward blocks, and says which one is wrong."""

from __future__ import annotations

from ..trace import Trace
from .audit import audit
from .cases import cases
from .judge import judge
from .report import Checked, Report, checked
from .run import Run


def check(trace: Trace) -> Report:
    """Checks every hand-written backward block that ran in a trace.

    Each block is judged alone, at the gradients it was given and the values its forward block had,
    and the whole against the loss, where there is one. Nothing of the user's is called again.
    """
    run = Run(trace)
    judged = judge(run, cases(run))
    rows = [checked(trace, one, audit(run, one.case)) for one in judged]
    why = "" if rows else "No hand-written backward code ran in this trace."
    return Report(tuple(sorted(rows, key=_worst_first)), why)


def _worst_first(row: Checked) -> tuple[int, float]:
    if row.fault is not None:
        return 0, -row.worst
    return (1 if row.bad else 3 if row.unchecked else 2), -row.worst


__all__ = ["Checked", "Report", "check"]
