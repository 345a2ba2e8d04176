"""Factors that are conventions, and no errors: m or 1/m, the same for all parameters of a block."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from .case import Case
from .reference import Judged
from .run import Run
from .target import Target
from .verdict import EXACT, SCALED, Verdict


def mark_conventions(run: Run, judged: list[Judged]) -> None:
    """Says which factors are conventions: m or 1/m, the same for all parameters of a block.

    Where the whole pass is checked too, it decides: gradients of parameters that are off by
    different factors there cannot all be right.
    """
    odd = _odd_ones(judged)
    for one in judged:
        factors = {v.factor for t, v in one.outputs if t.parameter and v.kind in (EXACT, SCALED)}
        alike = len({round(f, 9) for f in factors if f is not None}) <= 1
        one.outputs = [
            (t, replace(v, convention=conventional(one.case, t, v, alike))) for t, v in one.outputs
        ]
        if not alike:
            one.outputs = [(t, _unlike(t, v, one, odd)) for t, v in one.outputs]


def conventional(case: Case, target: Target, verdict: Verdict, alike: bool) -> bool:
    if verdict.kind != SCALED or not verdict.reason.lstrip("1/").startswith("m"):
        return False
    return (alike or not target.parameter) if case.whole else (target.parameter and alike)


def _odd_ones(judged: list[Judged]) -> dict[int, float]:
    """For each parameter that a whole pass was judged on, its factor over that of most."""
    found: dict[int, float] = {}
    for one in judged:
        if one.case.whole:
            rows = [(t, v) for t, v in one.outputs if t.parameter and v.factor is not None]
            rows = [(t, v) for t, v in rows if v.kind in (EXACT, SCALED)]
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
        if t.parameter and v.factor is not None and not near(v.factor, verdict.factor)
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
    return f"×{verdict.reason or digits(verdict.factor)}"


def digits(factor: float) -> str:
    """A factor in as many digits as tell it from 1."""
    short = (f"{factor:.{n}g}" for n in range(4, 17))
    return next(text for text in short if float(text) != 1 or factor == 1)


def near(a: float, b: float | None) -> bool:
    """Whether two factors are the same."""
    return b is not None and abs(a - b) <= 1e-6 * abs(a)
