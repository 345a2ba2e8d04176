"""The verdict on one gradient: what hand-written code returned, against the reference.

A gradient that is right up to one factor everywhere is told apart from one that is wrong, and the
factor is named where it is one that people know: the number of examples, a sign, a forgotten 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

EXACT, SCALED, WRONG, SHAPE, MISSING, UNCHECKED = (
    "exact", "scaled", "wrong", "wrong shape", "not computed", "unchecked",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is to be said of one gradient.

    kind: `"exact"`, `"scaled"`, `"wrong"`, `"wrong shape"`, `"not computed"` or `"unchecked"`.
    factor: k, where it is k times the reference. deviation: the largest difference, relative to
    the largest element of the reference. where: the index of it. cosine: of the angle between the
    two. reason: in words. got, expected: the two arrays. convention: whether the factor is one that
    teaching code leaves to another place, so that it is no error.
    """

    kind: str
    factor: float | None = None
    deviation: float = 0.0
    where: tuple[int, ...] = ()
    cosine: float | None = None
    reason: str = ""
    got: Any = None
    expected: Any = None
    convention: bool = False

    @property
    def right(self) -> bool:
        """Whether nothing is wrong with it: exact, or scaled by convention."""
        return self.kind == EXACT or (self.kind == SCALED and self.convention)

    @property
    def bad(self) -> bool:
        """Whether something is wrong with it."""
        return not self.right and self.kind != UNCHECKED


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a wrong gradient is made. function: its name. statement: the line's text, or `""`."""

    function: str
    file: str
    line: int
    statement: str = ""


def tolerance(*arrays: Any) -> float:
    """How far apart two right answers may be: the square root of the coarsest precision.

    1.5e-8 for float64, 3.5e-4 for float32, 0.03 for float16.
    """
    eps = [float(np.finfo(a.dtype).eps) for a in map(np.asarray, arrays) if a.dtype.kind == "f"]
    return float(np.sqrt(max(eps, default=float(np.finfo(float).eps))))


def compare(
    got: Any, expected: Any, factors: Mapping[str, float] | None = None, coarse: float = 0.0,
    around: float = 0.0,
) -> Verdict:  # fmt: skip
    """The verdict on `got`. factors: known factors by name, such as `{"m": 5.0}`.

    coarse: a tolerance that is wider than that of the arrays' own precision. around: how large the
    gradients around this one are; a millionth of that is what a gradient of zero is measured by.
    """
    given, reference = _array(got), np.asarray(expected)
    if given.dtype.kind not in "fiub" or given.shape != reference.shape:
        return _other_shape(given, reference)
    allowed = max(tolerance(given, reference), coarse)
    g, r = np.asarray(given, dtype=float), np.asarray(reference, dtype=float)
    near = _near(g, r, allowed, 1e-6 * around)
    if near is not None:
        factor = 1.0 if np.any(r) else None  # zero is right under any
        return Verdict(EXACT, factor, near, cosine=1.0, got=got, expected=expected)
    apart, where = _deviation(g, r, 1e-6 * around)
    both: dict[str, Any] = {"got": got, "expected": expected, "where": where}
    cosine = _cosine(g, r)
    if apart <= allowed:
        return Verdict(EXACT, 1.0, apart, cosine=cosine, got=got, expected=expected)
    if not np.all(np.isfinite(g)):
        bad = int(np.sum(~np.isfinite(g)))
        return Verdict(WRONG, None, apart, cosine=cosine, reason=f"{bad} not finite", **both)
    k = _factor(g, r)
    if k is not None and _deviation(g, k * r)[0] <= allowed:
        reason = _known(k, factors or {}, allowed)
        return Verdict(SCALED, k, apart, cosine=cosine, reason=reason, **both)
    return Verdict(WRONG, None, apart, cosine=cosine, reason=_why(g, r, allowed), **both)


def fits_up_to_m(verdict: Verdict) -> bool:
    """Whether a gradient is right, or scaled by the number of examples."""
    return verdict.kind == EXACT or verdict.reason.lstrip("1/").startswith("m")


def _array(x: Any) -> np.ndarray:
    try:
        return np.asarray(x)
    except ValueError:  # nested lists of arrays of several shapes
        return np.empty(0, dtype=object)


def _other_shape(given: np.ndarray, reference: np.ndarray) -> Verdict:
    reason = f"{given.shape}, must be {reference.shape}"
    if given.dtype.kind not in "fiub":
        return Verdict(UNCHECKED, reason=f"it holds {given.dtype}, not numbers")
    if given.ndim == 2 and given.shape == reference.shape[::-1]:
        reason += ": transposed"
    return Verdict(SHAPE, None, float("inf"), reason=reason, got=given, expected=reference)


def _near(g: np.ndarray, r: np.ndarray, allowed: float, floor: float) -> float | None:
    """The deviation of two arrays that are plainly equal, in two passes; most are."""
    if g.size == 0:
        return 0.0
    with np.errstate(all="ignore"):
        worst = float(np.max(np.abs(g - r)))
        scale = max(float(np.max(np.abs(r))), floor)
    if worst == 0:
        return 0.0
    return worst / scale if scale > 0 and worst <= allowed * scale else None  # NaN is never near


def _deviation(g: np.ndarray, r: np.ndarray, floor: float = 0.0) -> tuple[float, tuple[int, ...]]:
    """The largest difference, relative to the larger of the two arrays, and where it is."""
    if g.size == 0:
        return 0.0, ()
    with np.errstate(all="ignore"):
        difference = np.abs(g - r)
    difference = np.where(np.isnan(difference), np.inf, difference)
    difference[(g == r) | (np.isnan(g) & np.isnan(r))] = 0
    where = tuple(int(i) for i in np.unravel_index(np.argmax(difference), difference.shape))
    scale = max(largest(r), 1e-3 * largest(g), floor)
    worst = float(difference[where])
    return (0.0 if worst == 0 else worst / scale if scale > 0 else float("inf")), where


def largest(x: Any) -> float:
    """The largest finite magnitude in an array."""
    x = np.asarray(x)
    if x.size and np.isfinite(most := float(np.abs(x).max())):
        return most
    finite = np.abs(x[np.isfinite(x)])
    return float(finite.max()) if finite.size else 0.0


def _cosine(g: np.ndarray, r: np.ndarray) -> float | None:
    lengths = float(np.linalg.norm(g)) * float(np.linalg.norm(r))
    if not np.isfinite(lengths) or lengths == 0:
        return None
    return float(np.sum(g * r) / lengths)


def _factor(g: np.ndarray, r: np.ndarray) -> float | None:
    """The k of g = k r that fits best; None where a single number can be no evidence."""
    square = float(np.sum(r * r))
    if square == 0 or g.size == 0:
        return None
    k = float(np.sum(g * r)) / square
    if k == 0 or (g.size == 1 and not _nice(k)):
        return None
    return k


def _nice(k: float) -> bool:
    """Whether a factor of a single number is likely to be one: a whole number, or one over it."""
    size = abs(k) if abs(k) >= 1 else 1 / abs(k)
    return abs(size - round(size)) < 1e-7 * size and size < 1e6


def _known(k: float, factors: Mapping[str, float], allowed: float) -> str:
    for name, value in factors.items():
        word, _, which = name.partition(" = ")  # "m = 5" where it is not plain which size m is
        one_over = f"1/{word}, {name}" if which else f"1/{name}"
        for text, known in ((name, value), (one_over, 1 / value if value else 0)):
            if known and abs(k - known) <= allowed * abs(known):
                return text
            if known and abs(k + known) <= allowed * abs(known):
                return f"-{text}"
    common = {"-1": -1.0, "2": 2.0, "1/2": 0.5, "-2": -2.0, "-1/2": -0.5}
    return next((t for t, v in common.items() if abs(k - v) <= allowed * abs(v)), "")


def _why(g: np.ndarray, r: np.ndarray, allowed: float) -> str:
    if not np.any(g):
        return "it is zero everywhere"
    if g.ndim == 2 and g.shape[0] == g.shape[1] and _deviation(g.T, r)[0] <= allowed:
        return "transposed"
    if _deviation(np.abs(g), np.abs(r))[0] <= allowed:
        return "the sign is wrong in places"
    part = np.isclose(g, r, rtol=allowed, atol=allowed * largest(r))
    if 0 < np.mean(part) < 1 and np.mean(part) >= 0.2:
        return f"wrong in {int(np.sum(~part))} of {g.size} elements"
    return ""
