"""Judging the cases: each backward block alone, and then whose fault it is.

A block is judged at what it was given, so a fault shows where it was made. A block that holds
others is judged once more with theirs put right: what is wrong then is its own fault, and what is
right then it only passed on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import TracenetError
from ..recording.notes import UNKNOWN, Ref
from ..records import Block
from . import ties
from .cases import Case
from .claims import Target
from .excerpt import Excerpt
from .run import Run
from .statement import Fault, Known, locate, misfit
from .verdict import EXACT, MISSING, SCALED, SHAPE, UNCHECKED, WRONG, Verdict, compare, largest


@dataclass(slots=True)
class Judged:
    """One backward block with the verdict on each of its gradients.

    passed_on: whether what is wrong comes from the blocks inside it. fault: where its own is.
    note: what else there is to say.
    """

    case: Case
    outputs: list[tuple[Target, Verdict]]
    excerpt: Excerpt | None = None
    fault: Fault | None = None
    passed_on: bool = False
    note: str = ""
    reference: dict[int, Any] = field(default_factory=dict)

    @property
    def bad(self) -> bool:
        """Whether some gradient of it is wrong."""
        return any(verdict.bad for _, verdict in self.outputs)


def judge(run: Run, cases: list[Case]) -> list[Judged]:
    """The verdicts on all cases, in their order: blocks inside others come first."""
    found: list[Judged] = []
    for case in cases:
        found.append(_alone(run, case))
    _conventions(run, found)
    for one in found:
        if one.bad:
            _attribute(run, one, found)
    return found


# ---------------------------------------------------------------------- each block alone


def _alone(run: Run, case: Case) -> Judged:
    if case.why or not case.targets:
        why = case.why or "it returned nothing that is known to be a gradient"
        return Judged(case, [(t, Verdict(UNCHECKED, reason=why)) for t in case.targets], note=why)
    home = case.home or run
    excerpt = Excerpt(home.trace, case.ops)
    excerpt.values = excerpt.rerun(case.given)
    try:
        reference = _reference(run, case, excerpt)
    except (TracenetError, ValueError, TypeError, IndexError, KeyError) as error:
        why = str(error).split(":")[0]
        return Judged(case, [(t, Verdict(UNCHECKED, reason=why)) for t in case.targets], note=why)
    got = {t.got: run.trace.data(t.got) for t in case.targets if t.got is not None}
    around = max((largest(g) for g in reference.values()), default=0.0)
    verdicts = [(t, _verdict(run, case, t, got, reference, excerpt, around)) for t in case.targets]
    note = ""
    if excerpt.numerical:
        note = f"numerical derivatives of {', '.join(sorted(excerpt.numerical))}, which has no rule"
    return Judged(case, verdicts, excerpt, note=note, reference=reference)


def _reference(
    run: Run, case: Case, excerpt: Excerpt, own: Mapping[int, Any] | None = None,
    values: Mapping[int, Any] | None = None,
) -> dict[int, Any]:  # fmt: skip
    """What each forward value's gradient must be. own: values of the run that were put right."""
    home = case.home or run
    seeds = {}
    for of, gradient in case.seeds.items():
        if gradient is None:
            seeds[of] = np.ones(home.shape(of))
        else:
            seeds[of] = (own or {}).get(gradient, run.trace.data(gradient))
    for of, seed in seeds.items():
        if not np.all(np.isfinite(seed)):
            raise ValueError("the gradient it was given is not finite")
        if np.shape(seed) != home.shape(of) and np.size(seed) != 1:
            raise ValueError(
                f"the gradient it was given has shape {np.shape(seed)}, and what it is the "
                f"gradient of has shape {home.shape(of)}"
            )
    wanted = [t.of for t in case.targets if t.of is not None]
    wanted += [x for x in excerpt.inputs if home.floating(x)]
    return excerpt.pull(seeds, wanted, values)


def _verdict(
    run: Run, case: Case, target: Target, got: Mapping[int, Any], reference: Mapping[int, Any],
    excerpt: Excerpt | None, around: float,
) -> Verdict:  # fmt: skip
    if target.of is None or (target.got is None and target.raw is UNKNOWN):
        return Verdict(UNCHECKED, reason=target.why)
    expected = reference.get(target.of)
    if expected is None:
        expected = np.zeros((case.home or run).shape(target.of))
    if target.got is None:
        return _no_array(target, expected)
    coarse = 1e-4 if excerpt is not None and excerpt.numerical else 0.0
    verdict = compare(got[target.got], expected, _factors(run, case), coarse, around)
    if verdict.kind == EXACT and target.why:
        verdict = replace(verdict, reason=target.why)
    if verdict.bad and excerpt is not None:
        return ties.forgiven(run, case, target, verdict, excerpt, _reference)
    return verdict


def _no_array(target: Target, expected: Any) -> Verdict:
    """The verdict where something else than a traced array stands in a gradient's place."""
    if target.raw is None:
        if not np.any(expected):
            return Verdict(UNCHECKED, reason="not computed, and nothing depends on it")
        return Verdict(MISSING, None, 1.0, expected=expected)
    if isinstance(target.raw, (int, float, np.ndarray, np.number)):
        return compare(target.raw, expected)
    reason = f"a {type(target.raw).__name__} in its place"
    return Verdict(SHAPE, None, float("inf"), reason=reason, expected=expected)


def _factors(run: Run, case: Case) -> dict[str, float]:
    """The factors that teaching code leaves out or puts elsewhere: m, the number of examples."""
    home = case.home or run
    shapes = [home.shape(of) for of, g in case.seeds.items() if g is not None]
    if case.whole:
        leaves = run.tape.leaves.values()
        shapes = [run.shape(x.id) for x in leaves if x.role == "input" and x.name]
    else:
        shapes += [home.shape(t.of) for t in case.targets if t.of is not None and not t.parameter]
    shapes = [s for s in shapes if s]
    common = set(shapes[0]).intersection(*shapes[1:]) if shapes else set()
    if not common and case.whole:
        common = {n for s in shapes for n in s}
    return {("m" if len(common) == 1 else f"m = {n}"): float(n) for n in sorted(common) if n > 1}


# ---------------------------------------------------------------------- conventions


def _conventions(run: Run, judged: list[Judged]) -> None:
    """Says which factors are conventions: m or 1/m, the same for all parameters of a block.

    Where the whole pass is checked too, it decides: gradients of parameters that are off by
    different factors there cannot all be right.
    """
    odd = _odd_ones(judged)
    for one in judged:
        factors = {v.factor for t, v in one.outputs if t.parameter and v.kind in (EXACT, SCALED)}
        alike = len({round(f, 9) for f in factors if f is not None}) <= 1
        one.outputs = [
            (t, replace(v, convention=_conventional(one.case, t, v, alike))) for t, v in one.outputs
        ]
        if not alike:
            one.outputs = [(t, _unlike(t, v, one, odd)) for t, v in one.outputs]


def _conventional(case: Case, target: Target, verdict: Verdict, alike: bool) -> bool:
    if verdict.kind != SCALED or not verdict.reason.lstrip("1/").startswith("m"):
        return False
    return (alike or not target.parameter) if case.whole else (target.parameter and alike)


def _odd_ones(judged: list[Judged]) -> dict[int, float]:
    """For each parameter that a whole pass was judged on, its factor over that of most."""
    found: dict[int, float] = {}
    for one in judged:
        if one.case.whole:
            rows = [(t, v) for t, v in one.outputs if t.parameter and v.kind in (EXACT, SCALED)]
            if rows:
                most = Counter(round(v.factor or 0, 9) for _, v in rows).most_common()
                top = max(most, key=lambda item: (item[1], item[0] == 1.0))[0]
                for t, v in rows:
                    if t.of is not None and top:
                        found[t.of] = round(v.factor or 0, 9) / top
    return found


def _unlike(target: Target, verdict: Verdict, one: Judged, odd: dict[int, float]) -> Verdict:
    """The verdict on one of several gradients that are scaled differently."""
    if not target.parameter or verdict.kind not in (EXACT, SCALED) or target.of is None:
        return verdict
    if target.of in odd:
        fine = abs(odd[target.of] - 1) < 1e-6
    else:
        rows = [(v.factor or 0) for t, v in one.outputs if t.parameter and v.factor is not None]
        most = Counter(round(f, 9) for f in rows).most_common()
        fine = len(most) > 1 and most[0][1] > most[1][1] and abs(verdict.factor - most[0][0]) < 1e-9  # type: ignore[operator]
    if fine and (verdict.kind == EXACT or verdict.reason.lstrip("1/").startswith("m")):
        return replace(verdict, convention=True)
    other = [
        (t.name, _scaled(v))
        for t, v in one.outputs
        if t.parameter and v.factor is not None and not _near(v.factor, verdict.factor)
    ]
    names = ", ".join(dict.fromkeys(name for name, _ in other))
    how = other[0][1] if other else ""
    reason = f"{_scaled(verdict)}, while {names} {'is' if len(other) == 1 else 'are'} {how}"
    return replace(verdict, kind=SCALED, convention=False, reason=reason)


def _scaled(verdict: Verdict) -> str:
    """How a gradient is scaled, in words."""
    if verdict.factor is None:
        return "wrong"
    if abs(verdict.factor - 1) < 1e-9:
        return "not scaled"
    return f"×{verdict.reason or format(verdict.factor, '.4g')}"


# ---------------------------------------------------------------------- whose fault


def _attribute(run: Run, one: Judged, judged: list[Judged]) -> None:
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
        mine = _again(run, one, corrected)
        if not any(verdict.bad for _, verdict in mine):
            one.passed_on = True
            return
    wrong = [t for t, v in mine if v.bad]
    if _overwritten(run, wrong, inside):
        one.passed_on = True
        return
    right = [t for t, v in mine if v.right]
    conventions = {1.0, *(k for f in _factors(run, one.case).values() for k in (f, 1 / f))}
    shapes = {t.got for t, v in mine if v.kind == SHAPE}
    one.fault = locate(
        run, one.case, Known(one.reference, conventions, shapes), wrong, right, inside
    )


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


def _again(run: Run, one: Judged, corrected: dict[int, Any]) -> list[tuple[Target, Verdict]]:
    """The verdicts with the blocks inside put right."""
    values = _rerun(Excerpt(run.trace, one.case.own), corrected)
    verdicts = []
    for target, before in one.outputs:
        if target.got not in values or not before.bad:
            verdicts.append((target, before))
            continue
        around = max((largest(g) for g in one.reference.values()), default=0.0)
        verdict = compare(values[target.got], before.expected, _factors(run, one.case), 0.0, around)
        like = {v.factor for t, v in one.outputs if t.parameter and v.right}
        alike = all(f is not None and _near(f, verdict.factor) for f in like)
        known = _conventional(one.case, target, verdict, alike)
        verdicts.append((target, replace(verdict, convention=known)))
    return verdicts


def _near(a: float, b: float | None) -> bool:
    return b is not None and abs(a - b) <= 1e-6 * abs(a)


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
        values = _rerun(own, corrected)
        try:
            assert block.excerpt is not None
            reference = _reference(run, block.case, block.excerpt, values)
        except (TracenetError, ValueError):
            continue
        scale = _scale(block)
        for target, verdict in block.outputs:
            expected = reference.get(target.of) if target.of is not None else None
            known = verdict.bad or (block.case.backward.function, target.of_name) in wrong
            if known and target.got is not None and expected is not None:
                corrected[target.got] = expected * (scale if target.parameter else 1.0)
    return corrected


def _rerun(excerpt: Excerpt, given: dict[int, Any]) -> dict[int, Any]:
    """The values with some replaced; what cannot be computed any more stays as it was."""
    try:
        return excerpt.rerun(given)
    except (ValueError, TypeError, IndexError):
        return {**excerpt.values, **given}


def _scale(block: Judged) -> float:
    """The convention by which a block scales its parameters' gradients."""
    factors = [v.factor for t, v in block.outputs if t.parameter and v.right and v.factor]
    return factors[0] if factors else 1.0


def block_name(block: Block) -> str:
    """A block as a report names it: the function, and which of its calls."""
    return f"{block.function} {block.ordinal}" if block.ordinal else block.function


__all__ = ["EXACT", "WRONG", "Judged", "judge"]
