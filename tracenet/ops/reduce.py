"""Sums, means, extremes and spreads along axes, and running sums.

The gradient of a reduction is brought back over the axes that were reduced. Where several elements
are the greatest, they share the gradient equally.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import PRODUCT, rule

AXES = [
    ((3, 4),), ((3, 4), {"axis": 0}), ((3, 4), {"axis": -1}), ((2, 3, 4), {"axis": (0, 2)}),
    ((3, 4), {"axis": 1, "keepdims": True}), ((3, 4), {"keepdims": True}), ((5,),), ((),), (0.7,),
]  # fmt: skip


def _back(g: Any, axis: Any, keepdims: bool) -> Any:
    """A reduced gradient with the reduced axes put back as axes of length one."""
    return g if axis is None or keepdims else np.expand_dims(g, axis)


def _spread(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """A reduced gradient in the shape of what was reduced."""
    if type(x) is not np.ndarray:
        return g
    full = np.empty(x.shape, x.dtype)
    full[...] = _back(g, axis, keepdims)
    return full


def _count(x: Any, axis: Any) -> int:
    if axis is None:
        return int(np.size(x))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return int(np.prod([np.shape(x)[a] for a in axes]))


def _sum(
    g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False, **settings: Any
) -> Any:
    return _spread(g, x, axis, keepdims)


def _mean(
    g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False, **settings: Any
) -> Any:
    return _spread(g / _count(x, axis), x, axis, keepdims)


REDUCED = ("axis", "dtype", "out", "keepdims")
rule(
    "sum", np.sum, "x", backward=(_sum,), saves=("",), settings=REDUCED, formula="Σ {x}",
    mirrors=("{g}",), binds=PRODUCT, mirror_binds=4, methods=("sum",), examples=AXES,
)  # fmt: skip
rule(
    "mean", np.mean, "x", backward=(_mean,), saves=("",), settings=REDUCED, formula="mean({x})",
    mirrors=("{g} / n",), methods=("mean",), examples=AXES,
)  # fmt: skip


def _prod(
    g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False, **settings: Any
) -> Any:
    """The product of all the others, so that one zero does no harm."""
    if type(x) is not np.ndarray:
        return g
    moved, shape = _last(x, axis)
    n = moved.shape[-1]
    others = np.ones_like(moved)
    for i in range(n):
        others[..., i] = np.prod(np.delete(moved, i, axis=-1), axis=-1)
    return _unlast(others, x, axis, shape) * _back(g, axis, keepdims)


def _last(x: Any, axis: Any) -> tuple[Any, Any]:
    """The reduced axes flattened into one, at the end."""
    if axis is None:
        return x.reshape(-1), None
    axes = axis if isinstance(axis, tuple) else (axis,)
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    return moved.reshape(*moved.shape[: x.ndim - len(axes)], -1), moved.shape


def _unlast(y: Any, x: Any, axis: Any, shape: Any) -> Any:
    if axis is None:
        return y.reshape(x.shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    return np.moveaxis(y.reshape(shape), range(-len(axes), 0), axes)


rule(
    "prod", np.prod, "x", backward=(_prod,), saves=("x",), settings=REDUCED, formula="Π {x}",
    mirrors=("{g} ⊙ Π of the others",), binds=PRODUCT, methods=("prod",), examples=AXES,
)  # fmt: skip


def _extreme(
    g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False, **settings: Any
) -> Any:
    if type(x) is not np.ndarray:
        return g
    chosen = x == _back(out, axis, keepdims)
    ties = np.sum(chosen, axis=axis, keepdims=True)
    return chosen * (_back(g, axis, keepdims) / ties.astype(x.dtype))


for _name, _function, _other in (("max", np.max, np.amax), ("min", np.min, np.amin)):
    rule(
        _name, _function, "x", backward=(_extreme,), saves=("x out",),
        settings=("axis", "out", "keepdims"), formula=_name + "({x})",
        mirrors=("{g} ⊙ [{x} = {out}]",), methods=(_name,), aliases=(_other,), examples=AXES,
    )  # fmt: skip


def _variance(
    g: Any,
    out: Any,
    x: Any,
    axis: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    **settings: Any,
) -> Any:
    if type(x) is not np.ndarray:
        return g * 0
    centred = x - np.mean(x, axis=axis, keepdims=True)
    return centred * (_back(g, axis, keepdims) * (2 / (_count(x, axis) - ddof)))


def _deviation(
    g: Any,
    out: Any,
    x: Any,
    axis: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    **settings: Any,
) -> Any:
    """0 where all elements are equal."""
    if type(x) is not np.ndarray:
        return g * 0
    centred = x - np.mean(x, axis=axis, keepdims=True)
    safe = np.where(out == 0, np.ones_like(out), out)
    return centred * (_back(g / safe, axis, keepdims) / (_count(x, axis) - ddof))


SPREAD = ("axis", "dtype", "out", "ddof", "keepdims")
SPREADS = [
    *AXES[:7],
    ((3, 4), {"axis": 0, "ddof": 1}),
    ((3, 4), {"axis": 1, "ddof": 1, "keepdims": True}),
]
rule(
    "var", np.var, "x", backward=(_variance,), saves=("x",), settings=SPREAD, formula="var({x})",
    mirrors=("{g} ⊙ 2 ({x} − mean({x})) / n",), methods=("var",), examples=SPREADS,
)  # fmt: skip
rule(
    "std", np.std, "x", backward=(_deviation,), saves=("x out",), settings=SPREAD,
    formula="std({x})", mirrors=("{g} ⊙ ({x} − mean({x})) / (n {out})",), methods=("std",),
    examples=SPREADS,
)  # fmt: skip


def _cumsum(g: Any, out: Any, x: Any, axis: Any = None, **settings: Any) -> Any:
    along = 0 if axis is None else axis
    made = np.flip(np.cumsum(np.flip(g, along), along), along)
    return made.reshape(np.shape(x))


def _cumprod(g: Any, out: Any, x: Any, axis: Any = None, **settings: Any) -> Any:
    flat = np.reshape(x, -1) if axis is None else np.moveaxis(x, axis, -1)
    grad = np.reshape(g, -1) if axis is None else np.moveaxis(g, axis, -1)
    made = np.zeros_like(flat)
    for i in range(flat.shape[-1]):
        one = flat.copy()
        one[..., i] = 1
        made[..., i] = np.sum((np.cumprod(one, -1) * grad)[..., i:], axis=-1)
    return made.reshape(np.shape(x)) if axis is None else np.moveaxis(made, -1, axis)


RUNNING = [((5,),), ((3, 4),), ((3, 4), {"axis": 0}), ((3, 4), {"axis": -1})]
rule(
    "cumsum", np.cumsum, "x", backward=(_cumsum,), saves=("",), settings=("axis", "dtype", "out"),
    formula="cumsum({x})", mirrors=("reverse cumsum({g})",), methods=("cumsum",), examples=RUNNING,
)  # fmt: skip
rule(
    "cumprod", np.cumprod, "x", backward=(_cumprod,), saves=("x",),
    settings=("axis", "dtype", "out"), formula="cumprod({x})", mirrors=("{g} …",),
    methods=("cumprod",), examples=RUNNING,
)  # fmt: skip


def _sorted(g: Any, out: Any, x: Any, axis: Any = -1, **settings: Any) -> Any:
    if axis is None:
        made = np.empty(np.size(x), g.dtype)
        made[np.argsort(x, None)] = g
        return made.reshape(np.shape(x))
    made = np.empty_like(g)
    np.put_along_axis(made, np.argsort(x, axis), g, axis)
    return made


rule(
    "sort", np.sort, "x", backward=(_sorted,), saves=("x",), settings=("axis", "kind", "order"),
    formula="sort({x})", mirrors=("{g} in the old order",),
    examples=[((5,),), ((3, 4),), ((3, 4), {"axis": 0}), ((3, 4), {"axis": None})],
)  # fmt: skip


def _diff_backward(g: Any, out: Any, x: Any) -> Any:
    zero = np.zeros((*g.shape[:-1], 1), g.dtype)
    return -np.diff(g, axis=-1, prepend=zero, append=zero)


rule(
    "diff", np.diff, "x",
    backward=(_diff_backward,), saves=("",),
    formula="diff({x})", mirrors=("−diff({g})",), examples=[((5,),), ((3, 4),)],
)  # fmt: skip
