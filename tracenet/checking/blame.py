"""Whose fault a wrong gradient is.

A block is judged at what it was given, so a fault shows where it was made. A block that holds
others is judged once more with theirs put right: what is wrong then is its own fault, and what is
right then it only passed on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import TracenetError
from ..recording.notes import Ref
from .conventions import conventional, near
from .excerpt import Excerpt
from .misfit import misfit
from .reference import Judged, factors_of, reference_of
from .run import Run
from .statement import Known, locate
from .target import Target
from .verdict import EXACT, SHAPE, Fault, Verdict, compare, largest


def attribute(run: Run, one: Judged, judged: list[Judged]) -> None:
    inside = [judged[k] for k in one.case.inside]
    misfed = misfit(run, one.case)
    if misfed is not None:
        one.passed_on, (one.fault, one.note) = True, misfed
        return
    handed = [i.fault for i in inside if i.passed_on and i.fault is not None]
    if any(fault.function == one.case.backward.function for fault in handed):
        one.fault = handed[0]
        return
    if any(_irreplaceable(run, i) for i in inside):
        one.passed_on = True
        return
    corrected = _corrected(run, one, inside) if any(i.bad for i in inside) else {}
    mine = one.outputs
    if corrected:
        mine = _again(run, one, inside, corrected)
        if not any(verdict.bad for _, verdict in mine):
            one.passed_on = True
            return
    wrong = [t for t, v in mine if v.bad]
    if _overwritten(run, wrong, inside):
        one.passed_on = True
        return
    lost = _lost(run, mine)
    if lost is not None:
        one.fault, one.note = lost
        return
    right = [t for t, v in mine if v.right]
    conventions = {1.0, *(k for f in factors_of(run, one.case).values() for k in (f, 1 / f))}
    unlike: list[float] = []
    if any(t.parameter and v.kind == EXACT and near(1.0, v.factor) for t, v in mine):
        unlike = [v.factor for t, v in mine if t.parameter and v.bad and v.factor is not None]
        conventions = {k for k in conventions if not any(near(k, f) for f in unlike)} | {1.0}
    shapes = {t.got for t, v in mine if v.kind == SHAPE}
    known = Known(one.reference, conventions, shapes, set(unlike))
    one.fault = locate(run, one.case, known, wrong, right, inside)


def _lost(run: Run, outputs: list[tuple[Target, Verdict]]) -> tuple[Fault, str] | None:
    """Where a gradient that should be the sum of several calls' was only kept of the last."""
    for target, verdict in outputs:
        if not verdict.bad or not target.parts or np.shape(verdict.expected) == ():
            continue
        whole = sum(np.asarray(run.trace.data(i)) for i in target.parts)
        if compare(whole, verdict.expected).kind == EXACT:
            assert target.got is not None
            op = run.maker[target.got]
            function = run.trace.blocks[op.block].function
            why = f"{target.name} is what the last of {len(target.parts)} calls gave, not the sum of all"
            return Fault(function, op.file, op.line, op.statement), why
    return None


def _overwritten(run: Run, wrong: list[Target], inside: list[Judged]) -> bool:
    """Whether all that is wrong was right, until a block inside wrote over it.

    A block that works in place on the gradient it was given (`dZ = dA`, and no copy) returns what is
    right, and spoils what its caller still holds.
    """
    found = []
    for target in wrong:
        op = run.maker.get(target.got) if target.got is not None else None
        block = next((i for i in inside if target.got in _spoiled(run, i)), None)
        if op is not None and block is not None:
            block.fault = Fault(block.case.backward.function, op.file, op.line, op.statement)
            block.note = "it writes over the gradient that it was given"
            found.append(target)
    return bool(wrong) and len(found) == len(wrong)


def _spoiled(run: Run, one: Judged) -> set[int]:
    """What the gradients that a block was given have become when it ends."""
    note = run.note(one.case.backward)
    if note is None:
        return set()
    given = [(x, note.final.get(name)) for name, x in note.args.items()]
    return {
        after.id
        for before, after in given
        if isinstance(before, Ref) and isinstance(after, Ref)
        and before.id in one.case.seeds.values() and after.id != before.id
    }  # fmt: skip


def _irreplaceable(run: Run, one: Judged) -> bool:
    """Whether a block returned something wrong that it did not make: then nothing can be put right."""
    made = run.made_in(one.case.backward)
    wrong = [t for t, v in one.outputs if v.bad]
    if one.passed_on or not wrong:
        return False
    return any(t.got is None or t.got not in made for t in wrong)


def _again(
    run: Run, one: Judged, inside: list[Judged], corrected: dict[int, Any]
) -> list[tuple[Target, Verdict]]:
    """The verdicts with the blocks inside put right."""
    values = _rerun(
        run, Excerpt(run.trace, one.case.own), corrected, _makers(run, inside, corrected)
    )
    verdicts = []
    for target, before in one.outputs:
        if target.got not in values or not before.bad:
            verdicts.append((target, before))
            continue
        around = max((largest(g) for g in one.reference.values()), default=0.0)
        verdict = compare(
            values[target.got], before.expected, factors_of(run, one.case), 0.0, around
        )
        like = {v.factor for t, v in one.outputs if t.parameter and v.right and v.factor}
        alike = all(near(f, verdict.factor) for f in like if f is not None)
        known = conventional(one.case, target, verdict, alike)
        verdicts.append((target, replace(verdict, convention=known)))
    return verdicts


def _corrected(run: Run, one: Judged, inside: list[Judged]) -> dict[int, Any]:
    """What the blocks inside would have returned, had they been right; one after the other.

    Each is put right at what it is given once those before it are right, and so are other calls of
    the same function: what they were given may have hidden their fault. A block that only passes on
    what is wrong is right when those inside it are.
    """
    corrected: dict[int, Any] = {}
    own = Excerpt(run.trace, one.case.own)
    wrong = {(i.case.backward.function, t.of_name) for i in inside if not i.passed_on
             for t, v in i.outputs if v.bad}  # fmt: skip
    named = {function for function, _ in wrong}
    faulty = [i for i in inside if i.case.backward.function in named and i.excerpt is not None]
    for block in sorted(faulty, key=lambda i: max(i.case.own, default=0)):
        values = _rerun(run, own, corrected, _makers(run, inside, corrected))
        try:
            assert block.excerpt is not None
            reference = reference_of(run, block.case, block.excerpt, values)
        except (TracenetError, ValueError):
            continue
        scale = _scale(block)
        for target, verdict in block.outputs:
            expected = reference.get(target.of) if target.of is not None else None
            known = verdict.bad or (block.case.backward.function, target.of_name) in wrong
            if known and target.got is not None and expected is not None:
                corrected[target.got] = expected * (scale if target.parameter else 1.0)
    return corrected


def _makers(run: Run, inside: list[Judged], corrected: dict[int, Any]) -> dict[int, set[int]]:
    """For each value that was put right the operations of the block that returned it.

    Those go on with what it was: `return dx, dc2` may hand out a variable that others came from.
    """
    found: dict[int, set[int]] = {}
    for one in inside:
        for target, _ in one.outputs:
            if target.got in corrected and one.case.own:
                places = set(one.case.own)
                if target.total in run.maker:  # the sum that it was added to is put right too
                    places.discard(run.places[run.maker[target.total].id])  # type: ignore[index]
                found.setdefault(target.got, set()).update(places)
    return found


def _rerun(
    run: Run, excerpt: Excerpt, given: dict[int, Any], within: dict[int, set[int]]
) -> dict[int, Any]:
    """The values with some replaced; what cannot be computed any more stays as it was.

    So do updated parameters: the turn of training after them is judged with what they were.
    """
    try:
        return excerpt.rerun(given, within, run.versions)
    except (ValueError, TypeError, IndexError):
        return {**excerpt.values, **given}


def _scale(block: Judged) -> float:
    """The convention by which a block scales its parameters' gradients."""
    factors = [v.factor for t, v in block.outputs if t.parameter and v.right and v.factor]
    return factors[0] if factors else 1.0
