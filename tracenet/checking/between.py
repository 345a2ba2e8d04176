"""Gradients between the loss and the parameters, that a pass names and goes on from.

`dh` may be the gradient of h at first and, once the mask was written over it, that of what h was made
from: its name says neither. What such a value was used for says more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..ops import MIXING
from ..recording.notes import refs
from .reference import Judged
from .run import Run
from .verdict import EXACT, Verdict, compare

STEPS = 4
"""How many elementwise operations away from the value that it is named after a gradient's may be."""


def on_the_way(run: Run, one: Judged) -> None:
    """Excuses what is not the gradient that its name says, and led to gradients that are right.

    Only what stays inside of the pass: what is returned is used by others under its name.
    """
    if one.case.forward is not None and not one.case.whole:
        return
    good = [t.got for t, v in one.outputs if t.parameter and v.right and t.got is not None]
    led = set().union(*map(run.behind, good)) - set(refs(run.result(one.case.backward)))
    one.outputs = [
        (t, _excused(v, "it led to gradients that are right"))
        if v.bad and v.expected is not None and not t.parameter and t.got in led
        else (t, v)
        for t, v in one.outputs
    ]
    for k, (target, verdict) in enumerate(one.outputs):
        if verdict.bad and verdict.expected is not None and not target.parameter:
            for near in _around(run, one, target.of):
                if compare(verdict.got, one.reference[near]).kind == EXACT:
                    name = run.trace.values[near].name if near in run.trace.values else ""
                    what = name or f"a value beside {target.of_name}"
                    one.outputs[k] = (target, _excused(verdict, f"exact, and really of {what}"))
                    break


def _excused(verdict: Verdict, reason: str) -> Verdict:
    return replace(verdict, kind=EXACT, factor=1.0, reason=reason)


def _around(run: Run, one: Judged, of: int | None) -> Iterator[int]:
    """The values that one is made from, and that are made of it, element by element."""
    found = {of}
    ops = [run.at[k] for k in one.case.ops if k in run.at]
    ops = [op for op in ops if op.rule not in MIXING]
    for _ in range(STEPS):
        for op in ops:
            ends = {i for i in (*op.ins, *op.outs) if run.shape(i) == run.shape(of or 0)}
            if not found.isdisjoint(ends):
                for i in ends - found:
                    if i in one.reference:
                        yield i
                found |= ends
