"""What explains a gradient that is not the reference, and is no fault.

Each rule looks at a case as a whole, since one gradient alone says little: the regularisation that
all weights lack is left to another step, the one that a single weight lacks is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import TracenetError
from ..records import FORWARD, Block
from .between import on_the_way
from .excerpt import Excerpt
from .reference import Judged, factors_of, reference_of
from .run import Run
from .target import Target
from .verdict import (
    EXACT,
    SCALED,
    SHAPE,
    UNCHECKED,
    WRONG,
    Verdict,
    compare,
    fits_up_to_m,
    largest,
    tolerance,
)
from .whole import last_pass

TRIES = 8
"""How many values before a result are tried as what a block was given the gradient of."""


def excuse(run: Run, judged: list[Judged]) -> None:
    """Puts the verdicts right that only look like faults. Blocks inside others come first."""
    for one in judged:
        for rule in (_shares, _of_other_losses, _regularised, on_the_way, _renamed, _leaking):
            if any(_deviates(v) for _, v in one.outputs):
                rule(run, one)
    for k, one in enumerate(judged):
        wholes = [w for w in judged if w.case.whole and k in w.case.inside]
        if one.bad and not one.case.whole and any(_right(w) for w in wholes):
            _other_boundary(run, one)


def _deviates(verdict: Verdict) -> bool:
    return verdict.bad and verdict.expected is not None


def _right(whole: Judged) -> bool:
    return not whole.bad and any(t.parameter and v.right for t, v in whole.outputs)


def _changed(one: Judged, target: Target, verdict: Verdict) -> None:
    one.outputs = [(t, verdict if t is target else v) for t, v in one.outputs]


# ---------------------------------------------------------------------- one call of several


def _shares(run: Run, one: Judged) -> None:
    """What a block gives for one call: a weight that is used at each time step gets a sum of them."""
    forward = one.case.forward
    if not one.case.whole or forward is None or one.excerpt is None or not _repeated(run, forward):
        return
    wanted = [t.of for t, v in one.outputs if _deviates(v) and t.of is not None]
    apart = one.excerpt.apart(set(run.inside[forward.id]), wanted)
    case = replace(one.case, targets=[])
    found = reference_of(run, case, apart)
    for target, verdict in one.outputs:
        share = found.get(apart.alias(target.of)) if target.of is not None else None
        if _deviates(verdict) and share is not None:
            again = compare(verdict.got, share, factors_of(run, one.case))
            known = again.kind == SCALED and fits_up_to_m(again)
            reason = "the share of this call" if again.kind == EXACT else again.reason
            _changed(one, target, replace(again, convention=known, reason=reason))


def _repeated(run: Run, forward: Block) -> bool:
    calls = [b for b in run.trace.blocks if b.phase == FORWARD and b.function == forward.function]
    return len(calls) > 1


# ---------------------------------------------------------------------- several losses


def _of_other_losses(run: Run, one: Judged) -> None:
    """Gradients of another loss that the run computes, as those of a generator and its critic."""
    if not one.case.whole or one.case.home is not None:
        return
    way = {i for end in one.case.seeds for i in run.leading(end)}  # as the data's share of a loss
    made = [v.id for v in run.trace.outputs if run.scalar(v.id) and v.id in run.maker]
    others = [i for i in sorted({*run.named_losses, *made}) if i not in way]
    for loss in reversed(others[-TRIES:]):
        wrong = [(t, v) for t, v in one.outputs if _deviates(v) and t.of is not None]
        if not wrong:
            return
        ops = last_pass(run, loss, sorted(run.at))
        case = replace(one.case, ops=ops, seeds={loss: None}, targets=[t for t, _ in wrong])
        try:
            found = reference_of(run, case, Excerpt(run.trace, ops))
        except (TracenetError, ValueError, TypeError, IndexError, KeyError):
            continue
        for target, verdict in wrong:
            expected = found.get(target.of)  # type: ignore[arg-type]
            if expected is not None and np.any(expected):
                again = compare(verdict.got, expected)
                if again.kind == EXACT:
                    name = run.trace.values[loss].name or "another loss"
                    _changed(one, target, replace(again, reason=f"of {name}"))


# ---------------------------------------------------------------------- regularisation


def _regularised(run: Run, one: Judged) -> None:
    """A gradient that differs from the reference by c W: by the term of a regularisation."""
    if not one.case.whole:
        return
    rows = [(t, v, _decay(run, t, v)) for t, v in one.outputs if t.parameter and v.kind != SHAPE]
    found = [c for _, _, c in rows if c is not None]
    matrix = lambda v: min(np.shape(v.expected), default=0) > 1 < np.ndim(v.expected)
    spared = [v for t, v, c in rows if c is None and v.kind == EXACT and matrix(v)]
    spared += [v for t, v, c in rows if c is None and v.bad]
    alike = bool(found) and max(found) - min(found) <= 1e-6 * abs(max(found, key=abs))
    for target, verdict, c in rows:
        if c is None:
            continue
        term = f"{abs(c):.4g} {target.of_name}"
        if alike and not spared and not _has_own(run, one, target):
            lacks = f"the cost's regularisation, {term}, is not in it"
            reason = lacks if c > 0 else f"with a weight decay of {term}, which is not in the cost"
            _changed(one, target, replace(verdict, kind=EXACT, factor=1.0, reason=reason))
        else:
            how = f"it lacks {term}" if c > 0 else f"it has {term} too much"
            reason = f"{how}, of the gradient of a regularisation"
            _changed(one, target, replace(verdict, kind=WRONG, reason=reason))


def _has_own(run: Run, one: Judged, target: Target) -> bool:
    """Whether a gradient was given a term c W by hand: then that term is at fault."""
    behind = run.leading(target.got) if target.got is not None else set()
    return any(
        op.rule in ("multiply", "divide")
        and target.of in op.ins
        and op.outs[0] in behind
        and any(not run.shape(i) for i in op.ins)
        for op in run.ops_in(one.case.backward)
    )


def _decay(run: Run, target: Target, verdict: Verdict) -> float | None:
    """The c of a deviation by c W; None where it is none."""
    if not _deviates(verdict) or target.of is None or np.size(verdict.got) < 2:
        return None
    w = np.asarray(run.trace.data(target.of), dtype=float)
    missing = np.asarray(verdict.expected, dtype=float) - np.asarray(verdict.got, dtype=float)
    square = float(np.sum(w * w))
    c = float(np.sum(missing * w)) / square if square and missing.shape == w.shape else 0.0
    allowed = 10 * tolerance(verdict.got) * max(largest(verdict.expected), largest(verdict.got))
    return c if c and largest(missing - c * w) <= allowed < largest(missing) else None


# ---------------------------------------------------------------------- names


def _renamed(run: Run, one: Judged) -> None:
    """Gradients that are right, under the names of others: `grads["dA2"]` that is dA1.

    Only where all gradients of parameters are right, so that what was computed is.
    """
    if not one.case.whole:
        return
    for target, verdict in one.outputs:
        if _deviates(verdict) and not target.parameter and target.of_name:
            if _really(run, one, verdict) == target.of_name:  # `z[z <= 0] = 0` makes another z
                reason = f"of {target.of_name} before it was written to"
                _changed(one, target, replace(verdict, kind=EXACT, factor=1.0, reason=reason))
    wrong = [(t, v) for t, v in one.outputs if _deviates(v)]
    if any(t.parameter for t, _ in wrong):
        return
    if not any(t.parameter and v.right for t, v in one.outputs):
        return
    found = [(t, v, _really(run, one, v)) for t, v in wrong]
    if all(_letters(other) == _letters(t.of_name) for t, _, other in found):
        for target, verdict, other in found:
            reason = f"exact, and really d{other}"
            _changed(one, target, replace(verdict, kind=EXACT, factor=1.0, reason=reason))


def _letters(name: str) -> str:
    """A name without its number: A2 is an A, as X, the a[0] of the books, is."""
    letters = name.rstrip("0123456789")
    return "A" if letters in ("X", "A_prev", "A") else letters


def _really(run: Run, one: Judged, verdict: Verdict) -> str:
    """The name of the forward value that it is the gradient of, or `""`."""
    factors = factors_of(run, one.case)
    for id, gradient in one.reference.items():
        value = run.trace.values.get(id)
        if value is not None and value.name and np.shape(gradient) == np.shape(verdict.got):
            if np.any(gradient) and fits_up_to_m(compare(verdict.got, gradient, factors)):
                return value.name
    return ""


# ---------------------------------------------------------------------- what is not in the trace


def _leaking(run: Run, one: Judged) -> None:
    """Nothing is said of a gradient where a forward value left the trace: the reference lacks it."""
    for place in _left(run, one):
        where = f"{place.file.rpartition('/')[2]}:{place.line}"
        for target, verdict in one.outputs:
            if _deviates(verdict):
                reason = f"values left the trace at {where}: {place.why}"
                _changed(one, target, replace(verdict, kind=UNCHECKED, reason=reason))
        return


def _left(run: Run, one: Judged) -> Iterator[Any]:
    forward = one.case.forward
    blocks = [b for b in run.trace.blocks if b.phase == FORWARD and b.file]
    if not one.case.whole:
        blocks = [forward] if forward is not None and one.case.home is None else []
    spans = [(b.file, b.line, _end(run, b)) for b in blocks]
    for place in run.trace.left:
        inside = any(f == place.file and a <= place.line <= z for f, a, z in spans)
        if inside and (not one.case.whole or "plain array" in place.why):  # a print is no leak
            yield place


def _end(run: Run, block: Block) -> float:
    """The last line of a block's function; of a whole script where that is not known."""
    note = run.note(block)
    if note is None:
        return float("inf")
    return max(line for *_, line in note.code.co_lines() if line is not None)


# ---------------------------------------------------------------------- where a block ends


def _other_boundary(run: Run, one: Judged) -> None:
    """A block that was given the gradient of a value before its result, as of z before softmax(z).

    Only where the whole that it is part of is right: else its caller should have been given dA.
    """
    seeds = one.case.seeds
    for of, gradient in seeds.items():
        for before in _before(run, one, of):
            rest = {k: g for k, g in seeds.items() if k != of}
            case = replace(one.case, seeds={**rest, before: gradient})
            verdicts = _under(run, one, case)
            if verdicts is not None:
                name = run.trace.values[before].name or "a value"
                one.outputs = verdicts
                one.note = f"it was given the gradient of {name}, before the result"
                return


def _before(run: Run, one: Judged, end: int) -> list[int]:
    """The values that a result is a function of, and of nothing else, as softmax(z) is of z.

    Only such a function is left out by people who fold it into the gradient of the loss.
    """
    if one.case.forward is None or one.case.home is not None:
        return []
    made = run.made_in(one.case.forward)
    waiting, found = [end], []
    while waiting:
        op = run.maker.get(waiting.pop(0))
        for i in op.ins if op is not None else ():
            if i in made and i not in found:
                found.append(i)
                waiting.append(i)
    alike = [i for i in found if run.shape(i) == run.shape(end) and _only(run, i, end, found)]
    return sorted(alike, reverse=True)[:TRIES]


def _only(run: Run, begin: int, end: int, between: list[int]) -> bool:
    """Whether `end` is a function of `begin` and of numbers alone."""
    reached = {begin}
    for id in sorted({*between, end}):
        op = run.maker[id]
        if id > begin and not reached.isdisjoint(op.ins):
            if any(i not in reached and run.shape(i) for i in op.ins):
                return False
            reached.add(id)
    return end in reached


def _under(run: Run, one: Judged, case: Any) -> list[tuple[Target, Verdict]] | None:
    """The verdicts under other seeds, where all of them are right then."""
    if one.excerpt is None:
        return None
    found = reference_of(run, case, one.excerpt)
    verdicts = []
    for target, before in one.outputs:
        if not before.bad and before.kind == UNCHECKED:
            verdicts.append((target, before))
            continue
        expected = found.get(target.of) if target.of is not None else None
        if expected is None or (before.got is None and before.expected is None):
            return None
        got = before.got if before.got is not None else run.trace.data(target.got or 0)
        again = compare(got, expected)
        if again.kind != EXACT:
            return None
        verdicts.append((target, again))
    return verdicts
