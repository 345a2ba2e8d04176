"""The statement at fault inside a backward function.

What the right gradients were computed from is trusted, and so is every value that is known to be
right: one that equals the reference gradient of the forward value that its name says. Of what is
left of the way to the wrong gradient, the first statement whose value leaves the reference is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import Op
from .cases import Case, Run, Target
from .match import bases
from .verdict import compare

if TYPE_CHECKING:
    from .judge import Judged


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a wrong gradient is made. function: its name. statement: the line's text, or `""`."""

    function: str
    file: str
    line: int
    statement: str = ""


def locate(
    run: Run, case: Case, reference: Mapping[int, Any], wrong: list[Target], right: list[Target],
    inside: list[Judged],
) -> Fault:  # fmt: skip
    """The fault of a block whose gradients `wrong` are wrong and `right` are right."""
    block = case.backward
    place = Fault(block.function, block.file, block.line)
    ops = _ops(run, case, inside)
    made = {out: op for op in ops for out in op.outs}
    known = _known(run, ops, reference)
    trusted = _behind(made, [t.got for t in right if t.got is not None])
    trusted |= _behind(made, [id for id, good in known.items() if good])
    ends = [t.got for t in wrong if t.got is not None]
    bad = [id for id, good in known.items() if not good]
    way = _behind(made, ends)
    first = next((id for id in sorted(way) if id in bad), None)
    if first is not None:
        way &= _behind(made, [first])
    suspects = [made[id] for id in sorted(way - trusted) if id in made]
    if not suspects:
        suspects = [made[id] for id in sorted(way) if id in made]
    op = _most_suspect(suspects)
    if op is None:
        return place
    function = run.trace.blocks[op.block].function
    return Fault(function, op.file or place.file, op.line, op.statement)


def _ops(run: Run, case: Case, inside: list[Judged]) -> list[Op]:
    """The operations of the block's own code: those of blocks that are checked themselves not."""
    others = {k for judged in inside for k in judged.case.own}
    own = set(case.own) - others
    if not own:
        own = set(case.own)
    return [op for op in run.ops if run.places[op.id] in own]


def _behind(made: Mapping[int, Op], ids: Iterable[int]) -> set[int]:
    """These values, and all that they were computed from."""
    found: set[int] = set()
    todo = list(ids)
    while todo:
        id = todo.pop()
        if id not in found:
            found.add(id)
            if id in made:
                todo += made[id].ins
    return found


def _known(run: Run, ops: list[Op], reference: Mapping[int, Any]) -> dict[int, bool]:
    """The values of a backward function that are known to be right or wrong.

    A value that is called dZ is right if it is the reference gradient of Z, up to one factor, and
    wrong if not; one without such a name is right if it equals some reference gradient.
    """
    names: dict[str, list[int]] = {}
    for id in reference:
        if id in run.trace.values:
            names.setdefault(run.trace.values[id].name, []).append(id)
    by_shape: dict[tuple[int, ...], list[Any]] = {}
    for gradient in reference.values():
        by_shape.setdefault(np.shape(gradient), []).append(gradient)
    known: dict[int, bool] = {}
    for op in ops:
        id = op.outs[0]
        data = run.trace.data(id)
        if np.asarray(data).dtype.kind != "f" or np.size(data) < 2:
            continue
        if any(_equal(data, gradient) for gradient in by_shape.get(np.shape(data), [])):
            known[id] = True
            continue
        named = [of for base in bases(run.trace.values[id].name) for of in names.get(base, [])]
        if named:
            known[id] = any(
                compare(data, reference[of]).kind in ("exact", "scaled")
                for of in named
                if np.shape(reference[of]) == np.shape(data)
            )
    return known


def _equal(data: Any, gradient: Any) -> bool:
    if not np.any(gradient):
        return False
    return compare(data, gradient).kind == "exact"


def _most_suspect(ops: list[Op]) -> Op | None:
    return ops[0] if ops else None
