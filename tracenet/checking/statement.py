"""The statement at fault inside a backward function.

What the right gradients were computed from is trusted, and so is every value that is known to be
right: one that equals the reference gradient of a forward value. Of what is left of the way to the
wrong gradients, the first statement is named. Where several statements are wrong and share a variable
that was only bound to something (`dz = dnext_h`, `A_prev, W, b = cache`), it is that binding; where
nothing was computed at all, it is where the variable that was returned was bound last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops import BY_NAME, Rule
from ..records import Op
from .binding import bound_last, shared_binding
from .case import Case
from .match import bases
from .reference import Judged
from .run import Run
from .target import Target
from .verdict import Fault, compare

NO_RULE = Rule("", print, ("*inputs",))
"""Stands for the rule of an operation that has none."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a block: the reference gradients, by which factors a right one may differ
    from them, and which of the block's results have the wrong shape.

    unlike: by which factors some of its gradients are scaled and others are not. What right
    gradients were computed from may be scaled by those too: dZ, where dW and db are divided by m.
    """

    reference: Mapping[int, Any]
    factors: set[float]
    misshapen: set[int | None]
    unlike: set[float]


@dataclass(frozen=True, slots=True)
class _Made:
    """Where a value comes from: the operation, or None where a block that is checked made it."""

    ins: tuple[int, ...]
    op: Op | None


def locate(
    run: Run, case: Case, facts: Known, wrong: list[Target], right: list[Target],
    inside: list[Judged],
) -> Fault:  # fmt: skip
    """The fault of a block whose gradients `wrong` are wrong and `right` are right."""
    made = _made(run, case, inside)
    fine = [t.got for t in right if t.got is not None]
    known = _known(run, case, made, facts, _behind(made, fine))
    fine += [id for id, good in known.items() if good]
    trusted: set[int] = set()
    for end, gradient in case.seeds.items() if case.home is None else ():
        if gradient is None and not case.elementwise:
            forward = run.leading(end)
            trusted |= forward
            for id in forward & run.versions.keys():  # the iterations before
                trusted |= run.behind(id)
    bad = {id for id, good in known.items() if not good and id not in trusted}
    for id in fine:
        behind = _behind(made, [id])
        if not behind & bad:  # errors may cancel in a sum
            trusted |= behind
    ways = [_way(made, known, trusted, t.got) for t in wrong if t.got is not None]
    common = [made[id].op for id in sorted(set.intersection(*ways))] if len(ways) > 1 else []
    op = _suspect(common)
    if op is None:
        firsts = [_shaper(made, t.got, facts) or _first(made, way)
                  for t, way in zip([t for t in wrong if t.got is not None], ways)]  # fmt: skip
        suspects = sorted((op for op in firsts if op is not None), key=lambda op: op.id)
        binding = shared_binding(run, case, suspects) if len(suspects) > 1 else None
        if binding is not None:
            return binding
        op = suspects[0] if suspects else None
    op = op or _scaling(run, made, facts, wrong)
    if op is None:
        return bound_last(run, case, wrong, inside)
    function = run.trace.blocks[op.block].function
    return Fault(function, op.file or case.backward.file, op.line, op.statement)


def _scaling(run: Run, made: Mapping[int, _Made], facts: Known, wrong: list[Target]) -> Op | None:
    """What made a gradient that is right but for a factor that others may have, and it may not."""
    for target in wrong:
        step = made.get(target.got) if target.got is not None else None
        expected = facts.reference.get(target.of) if target.of is not None else None
        if step is None or step.op is None or expected is None:
            continue
        factor = compare(run.trace.data(target.got), expected).factor  # type: ignore[arg-type]
        if factor is not None and abs(factor - 1) > 1e-6:
            return step.op
    return None


def _made(run: Run, case: Case, inside: list[Judged]) -> dict[int, _Made]:
    """Where each value of the block comes from; a block inside it is one step."""
    others = {k: place for place, judged in enumerate(inside) for k in judged.case.own}
    reads: dict[int, set[int]] = {}
    outs: dict[int, int] = {}
    made: dict[int, _Made] = {}
    own = set(case.own)
    for op in run.ops:
        k = run.places[op.id]
        if k not in own:
            continue
        if k in others and inside[others[k]].case.backward.id != case.backward.id:
            reads.setdefault(others[k], set()).update(op.ins)
            outs.update((out, others[k]) for out in op.outs)
        else:
            made.update((out, _Made(op.ins, op)) for out in op.outs)
    for out, place in outs.items():
        made[out] = _Made(tuple(i for i in reads[place] if outs.get(i) != place), None)
    return made


def _way(
    made: Mapping[int, _Made], known: Mapping[int, bool], trusted: set[int], end: int
) -> set[int]:
    """What lies on the way to a wrong value and is not known to be right.

    Where something on it is known to be wrong, only what leads there.
    """
    way = _behind(made, [end])
    bad = next((id for id in sorted(way) if known.get(id) is False and id not in trusted), None)
    if bad is not None:
        way = _behind(made, [bad])
    return {id for id in way - trusted if id in made}


def _first(made: Mapping[int, _Made], way: set[int]) -> Op | None:
    return _suspect([made[id].op for id in sorted(way)])


def _suspect(ops: Iterable[Op | None]) -> Op | None:
    """The first operation that computes something; where none does, the first one at all."""
    found = [op for op in ops if op is not None]
    return next((op for op in found if not _rule(op).view), found[0] if found else None)


def _shaper(made: Mapping[int, _Made], id: int | None, facts: Known) -> Op | None:
    """The operation that gave a result its wrong shape: the last one."""
    return made[id].op if id in facts.misshapen and id in made else None  # type: ignore[index]


def _behind(made: Mapping[int, _Made], ids: Iterable[int]) -> set[int]:
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


def _known(
    run: Run, case: Case, made: Mapping[int, _Made], facts: Known, behind_right: set[int]
) -> dict[int, bool]:
    """The values of a backward function that are known to be right or wrong.

    A value that is called dZ is right if it is the reference gradient of Z, up to one factor, and
    wrong if not; one without such a name is right if it equals some reference gradient, or a value
    of the forward block that is computed again.
    """
    reference = facts.reference
    shaped: dict[tuple[int, ...], list[Any]] = {}
    for id, gradient in reference.items():
        if id not in case.seeds:  # that a value is what was given says nothing of it
            shaped.setdefault(np.shape(gradient), []).append(gradient)
    home = case.home or run
    for k in case.ops:
        id = home.tape.ops[k][1]
        if home.floating(id) and id in reference:  # else it may be backward code itself
            shaped.setdefault(home.shape(id), []).append(case.given.get(id, home.trace.data(id)))
    names: dict[str, list[Any]] = {}
    for id, gradient in reference.items():
        if id in home.trace.values:
            names.setdefault(home.trace.values[id].name, []).append(gradient)
    known: dict[int, bool] = {}
    unfinished = _partial_sums(run, made)
    for id, step in made.items():
        if step.op is not None and run.floating(id):
            factors = facts.factors | facts.unlike if id in behind_right else facts.factors
            good = _judged(run, id, step.op, shaped, names, factors)
            if good or (good is not None and id not in unfinished):
                known[id] = good
    return known


def _partial_sums(run: Run, made: Mapping[int, _Made]) -> set[int]:
    """The values of a variable that is added to later: `dW += …` in a loop is not dW before its end."""
    name = lambda id: run.trace.values[id].name if id in run.trace.values else ""
    return {i for id, step in made.items() for i in step.ins if name(i) and name(i) == name(id)}


def _judged(
    run: Run, id: int, op: Op, shaped: Mapping[Any, list[Any]], names: Mapping[str, list[Any]],
    factors: set[float],
) -> bool | None:  # fmt: skip
    """Whether a value is right or wrong, where that can be said."""
    data = run.trace.data(id)
    if _rule(op).formula == "{x}":
        return True  # a copy
    if np.size(data) > 1 and any(_equal(data, x) for x in shaped.get(np.shape(data), [])):
        return True
    named = [g for base in bases(run.trace.values[id].name) for g in names.get(base, [])]
    named = [g for g in named if np.shape(g) == np.shape(data)]
    if named:
        factor = [compare(data, g).factor for g in named]
        return any(f is not None and abs(f - k) <= 1e-6 * k for f in factor for k in factors)
    return None


def _rule(op: Op) -> Rule:
    return BY_NAME.get(op.rule) or NO_RULE


def _equal(data: Any, gradient: Any) -> bool:
    return bool(np.any(gradient)) and compare(data, gradient).kind == "exact"
