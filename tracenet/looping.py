"""Statements of a loop that bring arrays to the block it calls, or take them from it: drawn with it.

`h[:, t] = step(x[:, t], h_prev)` slices, steps and writes. Over twenty time steps the twenty
slices and writes would be boxes of their own; here each is part of its step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from .parts import Part, place
from .records import BACKWARD
from .trace import Trace

MOVES = {
    "getitem", "take", "reshape", "transpose", "expand_dims", "squeeze", "copy", "astype",
    "swapaxes", "moveaxis", "ravel", "zeros_like",
}  # fmt: skip
"""Operations that compute nothing."""
WRITES = {"write", "add_at"}


def looped(trace: Trace, cut: list[Part]) -> list[Part]:
    """The parts, those that only carry in each turn of a loop joined to what they carry for."""
    often = Counter(found for part in cut if (found := place(trace, part)))
    small = {
        i for i, p in enumerate(cut) if (found := place(trace, p)) is not None and often[found] > 1
    }
    if not small:
        return cut
    home = {k: i for i, part in enumerate(cut) for k in part.ops}
    to = {i: j for i in small if (j := _carried_for(trace, cut, i, home)) is not None}
    ops: dict[int, list[int]] = {}
    for i, j in to.items():
        ops.setdefault(j, []).extend(cut[i].ops)
    gone = {k for several in ops.values() for k in several}
    return [
        replace(part, ops=tuple(sorted((*part.ops, *ops.get(i, ())))))
        for i, part in enumerate(cut)
        if not gone.issuperset(part.ops)
    ]


def _carried_for(trace: Trace, cut: Sequence[Part], i: int, home: dict[int, int]) -> int | None:
    """The block that statements carry arrays to, or from."""
    part = cut[i]
    rules = {trace.ops[k].rule for k in part.ops}
    sums = {"add", "iadd"} if part.phase == BACKWARD else set()
    if rules <= MOVES | sums and (reader := _reader(trace, cut, i, home)) is not None:
        return reader
    if rules <= MOVES | WRITES | {"add"}:
        return _maker(trace, cut, i, home)
    return None


def _reader(trace: Trace, cut: Sequence[Part], i: int, home: dict[int, int]) -> int | None:
    """The one part that reads what another makes, if that is a block."""
    made = {out for k in cut[i].ops for out in trace.ops[k].outs}
    found = {home[k] for v in made for k in trace.readers.get(v, ()) if k in home} - {i}
    found = {j for j in found if cut[j].phase == cut[i].phase}
    return found.pop() if len(found) == 1 and not cut[max(found)].loose else None


def _maker(trace: Trace, cut: Sequence[Part], i: int, home: dict[int, int]) -> int | None:
    """The one block whose results are written or summed up; the sum until then may be there."""
    values, here = trace.values, place(trace, cut[i])
    mine = set(cut[i].ops)
    read = {v for k in cut[i].ops for v in trace.ops[k].ins}
    makers = {home[op] for v in read if (op := values[v].op) is not None and op not in mine}
    before = {j for j in makers if place(trace, cut[j]) == here}
    found = makers - before
    if len(found) != 1 or cut[max(found)].loose or cut[max(found)].phase != cut[i].phase:
        return None
    sums = any(trace.ops[k].rule == "add" for k in cut[i].ops)
    return None if sums and not _sums_up(trace, cut, i, home) else found.pop()


def _sums_up(trace: Trace, cut: Sequence[Part], i: int, home: dict[int, int]) -> bool:
    """Whether a sum is read by the same statement only, until the loop ends: no block reads it."""
    here = place(trace, cut[i])
    made = {out for k in cut[i].ops for out in trace.ops[k].outs}
    readers = {home[k] for v in made for k in trace.readers.get(v, ()) if k in home} - {i}
    return all(place(trace, cut[j]) == here or cut[j].phase != cut[i].phase for j in readers)
