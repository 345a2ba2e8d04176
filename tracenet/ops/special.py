"""Functions of `scipy.special` and of `math` that networks use; SciPy is never imported here.

A function of SciPy's is known by its name, and computed by SciPy; `forward` is for replays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .table import BY_NAME, FOREIGN, rule

BY_ELEMENT = {"examples": [((3, 4),), ((),), (0.7,)]}


def expit(x: Any) -> Any:
    """1 / (1 + exp(−x)), the sigmoid."""
    return 1 / (1 + np.exp(-x))


rule(
    "expit", expit, "x", backward=(lambda g, out, x: g * out * (1 - out),), saves=("out",),
    formula="σ({x})", mirrors=("{g} ⊙ {out} ⊙ (1 − {out})",), **BY_ELEMENT,
)  # fmt: skip


def log_expit(x: Any) -> Any:
    """log(1 / (1 + exp(−x)))."""
    return -np.logaddexp(0, -x)


rule(
    "log_expit", log_expit, "x", backward=(lambda g, out, x: g * (1 - np.exp(out)),),
    saves=("out",), formula="log σ({x})", mirrors=("{g} ⊙ (1 − exp({out}))",), **BY_ELEMENT,
)  # fmt: skip


def erf(x: Any) -> Any:
    """The error function, 2/√π ∫ exp(−t²) dt from 0 to x."""
    if type(x) is float:
        return math.erf(x)
    made = np.array([math.erf(t) for t in np.ravel(x)], getattr(x, "dtype", float))
    return made.reshape(np.shape(x)) if np.ndim(x) else made[0]


def _bell(x: Any) -> Any:
    return 1.1283791670955126 * np.exp(-(x * x))  # 2/√π


rule(
    "erf", erf, "x", backward=(lambda g, out, x: g * _bell(x),), saves=("x",),
    formula="erf({x})", mirrors=("{g} ⊙ 2/√π exp(−{x}²)",), **BY_ELEMENT,
)  # fmt: skip
rule(
    "erfc", lambda x: 1 - erf(x), "x", backward=(lambda g, out, x: -g * _bell(x),), saves=("x",),
    formula="erfc({x})", mirrors=("−{g} ⊙ 2/√π exp(−{x}²)",), **BY_ELEMENT,
)  # fmt: skip


def xlogy(x: Any, y: Any) -> Any:
    """x log y, and 0 where x is 0."""
    return np.where(np.equal(x, 0), 0, x * np.log(np.where(np.equal(x, 0), 1, y)))


rule(
    "xlogy", xlogy, "x y",
    backward=(lambda g, out, x, y: g * np.log(y), lambda g, out, x, y: g * x / y),
    saves=("y", "x y"), formula="{x} log({y})", mirrors=("{g} ⊙ log({y})", "{g} ⊙ {x} / {y}"),
    domain=(0.5, 2), examples=[((3, 4), (3, 4)), ((4,), (3, 1))],
)  # fmt: skip
for _name in ("expit", "log_expit", "erf", "erfc", "xlogy"):
    FOREIGN[_name] = FOREIGN[f"scipy.special.{_name}"] = BY_NAME[_name]

# ---------------------------------------------------------------------- along axes


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log Σ exp x."""
    top = np.max(x, axis=axis, keepdims=True)
    made = top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True))
    return made if keepdims else np.squeeze(made, axis)[()]


def _spread(g: Any, axis: Any, keepdims: bool) -> Any:
    return np.expand_dims(g, axis) if axis is not None and not keepdims else g


def _of_logsumexp(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _spread(g, axis, keepdims) * np.exp(x - _spread(out, axis, keepdims))


def softmax(x: Any, axis: Any = None) -> Any:
    """exp x / Σ exp x."""
    made = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return made / np.sum(made, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """log(exp x / Σ exp x)."""
    return x - logsumexp(x, axis, True)


WAYS = [((3, 4), {"axis": 1}), ((3, 4), {"axis": -2}), ((3, 4),), ((5,),)]
rule(
    "scipy.special.logsumexp", logsumexp, "x", backward=(_of_logsumexp,), saves=("x out",),
    settings=("axis", "keepdims"), formula="log Σ exp({x})", mirrors=("{g} exp({x} − {out})",),
    examples=[*WAYS, ((3, 4), {"axis": 0, "keepdims": True})],
)  # fmt: skip
rule(
    "scipy.special.softmax", softmax, "x", settings=("axis",), saves=("out",),
    backward=(
        lambda g, out, x, axis=None: out * (g - np.sum(g * out, axis=axis, keepdims=True)),
    ),
    formula="softmax({x})", mirrors=("{out} ⊙ ({g} − Σ {g} ⊙ {out})",), examples=WAYS,
)  # fmt: skip
rule(
    "scipy.special.log_softmax", log_softmax, "x", settings=("axis",), saves=("out",),
    backward=(
        lambda g, out, x, axis=None: g - np.exp(out) * np.sum(g, axis=axis, keepdims=True),
    ),
    formula="log softmax({x})", mirrors=("{g} − exp({out}) Σ {g}",), examples=WAYS,
)  # fmt: skip


for _name in ("logsumexp", "softmax", "log_softmax"):
    FOREIGN[f"scipy.special.{_name}"] = BY_NAME[f"scipy.special.{_name}"]


def fsum(*items: Any) -> Any:
    """math.fsum of the items one by one."""
    return math.fsum(items)


rule(
    "fsum", fsum, "*items", backward=lambda i, g, out, *items, **s: g, saves=("",),
    formula="Σ ({items})", mirrors=("{g}",), examples=[(0.5, 0.7, 0.1)],
)  # fmt: skip
