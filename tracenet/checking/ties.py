"""Kinks and ties: where a function has no derivative, every choice between its slopes is right.

relu at 0, the maximum of two equal numbers, |x| at 0: the reference is taken once more with the
operands moved a hair to either side, and a gradient that lies between the two is not wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..ops import BY_NAME
from .case import Case
from .excerpt import Excerpt
from .run import Run
from .target import Target
from .verdict import EXACT, Verdict, largest, tolerance

KINKED = {"maximum", "minimum", "absolute", "max", "min", "clip"}
NUDGE = 1e-7
TURNS = 6
"""How many times the operands are moved, up and down in turn."""


def forgiven(
    run: Run, case: Case, target: Target, verdict: Verdict, excerpt: Excerpt,
    reference: Callable[..., dict[int, Any]],
) -> Verdict:  # fmt: skip
    """The verdict, or exact where the gradient lies between the slopes on either side."""
    if verdict.expected is None or np.shape(verdict.got) != np.shape(verdict.expected):
        return verdict
    tied = _tied(excerpt)
    if not tied or target.of is None:
        return verdict
    sides = [np.asarray(verdict.expected, dtype=float)]
    for turn in range(TURNS):
        values = excerpt.rerun(_nudged(excerpt, tied, turn))
        found = reference(run, case, excerpt, None, values).get(target.of)
        if found is not None:
            sides.append(np.asarray(found, dtype=float))
    found = reference(run, case, excerpt.with_rules(GENEROUS), None, None).get(target.of)
    if found is not None:
        sides.append(np.asarray(found, dtype=float))
    low, high = np.min(sides, axis=0), np.max(sides, axis=0)
    got = np.asarray(verdict.got, dtype=float)
    slack = max(tolerance(verdict.got), 10 * NUDGE) * max(largest(high), largest(low))
    spread = np.where(high - low > slack, high - low, 0)  # every tied element may get it all
    if np.all((got >= low - spread - slack) & (got <= high + spread + slack)):
        reason = "at a kink or a tie, any slope is right"
        return replace(verdict, kind=EXACT, factor=1.0, deviation=0.0, reason=reason)
    return verdict


def _all(end: Any) -> Any:
    """The backward of a maximum that gives every tied element the whole gradient."""

    def backward(
        g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False, **_: Any
    ) -> Any:
        if axis is not None and not keepdims:
            g = np.expand_dims(g, axis)
        return (x == end(x, axis=axis, keepdims=True)) * g

    return backward


GENEROUS = {
    name: replace(BY_NAME[name], backward=(_all(end),))
    for name, end in (("max", np.max), ("min", np.min))
}
"""Rules for code that compares a window with its maximum: `mask = window == window.max()`."""


def _tied(excerpt: Excerpt) -> list[int]:
    """The operations whose operands are equal somewhere, or lie on a kink."""
    return [k for k, op in enumerate(excerpt.ops) if op[0].name in KINKED and _tie(excerpt, op)]


def _tie(excerpt: Excerpt, op: Any) -> bool:
    rule, _, ins, settings, *_ = op
    x = np.asarray(excerpt.values[ins[0]])
    if rule.name in ("max", "min"):
        axis = settings.get("axis")
        end = (np.max if rule.name == "max" else np.min)(x, axis=axis, keepdims=True)
        return int(np.sum(x == end)) > end.size
    if rule.name == "absolute":
        return bool(np.any(x == 0))
    return any(bool(np.any(x == np.asarray(excerpt.values[i]))) for i in ins[1:])


def _nudged(excerpt: Excerpt, tied: list[int], turn: int) -> dict[int, Any]:
    """The operands of tied operations, each element moved by an amount of its own."""
    moved: dict[int, Any] = {}
    for k in tied:
        i = excerpt.ops[k][2][0]
        x = np.asarray(excerpt.values[i], dtype=float)
        by = np.random.RandomState(turn).uniform(0.1, 1, x.shape) * (1 if turn % 2 else -1)
        moved[i] = x + NUDGE * max(1.0, largest(x)) * by
    return moved
