"""Elements taken out of arrays, and arrays taken as they are: indexing, take, astype, copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import ATOM, AtPlaces, rule


def getitem(x: Any, index: Any) -> Any:
    """x[index]."""
    return x[index]


def basic(index: Any) -> bool:
    """Whether no element can be taken twice: whole numbers, slices, newaxis, ellipsis."""
    if type(index) is tuple:
        return all([type(i) is int or _one_basic(i) for i in index])
    return _one_basic(index)


def _one_basic(index: Any) -> bool:
    kind = type(index)
    return (
        kind is int
        or kind is slice
        or index is None
        or index is ...
        or issubclass(kind, np.integer)
    )


def _scattered(g: Any, out: Any, x: Any, index: Any) -> Any:
    made = np.zeros(np.shape(x), x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype)
    if basic(index):
        made[index] = g
    else:
        np.add.at(made, index, g)
    return made


def examples(*indices: Any) -> list[Any]:
    return [((4, 5), {"index": i}) for i in indices]


rule(
    "getitem", getitem, "x", backward=AtPlaces((_scattered,)), saves=("",), settings=("index",),
    formula="{x}[…]", mirrors=("{g} at […]",), view=True,
    examples=examples(
        1, -1, slice(1, 3), slice(None, None, -2), (1, 2), (..., 0), (None, 1), (slice(None), None),
        [0, 0, 2], (np.array([0, 1, 1]), np.array([2, 2, 2])), (slice(None), [1, 1]),
        np.arange(20).reshape(4, 5) % 3 == 0, (range(3), [0, 4, 0]), (np.array([[0], [3]]), [1, 2]),
        ([0, 2], slice(None), None), ..., (),
    ),
)  # fmt: skip


def _taken(g: Any, out: Any, x: Any, indices: Any = 0, axis: Any = None, **settings: Any) -> Any:
    made = np.zeros(np.shape(x), g.dtype if hasattr(g, "dtype") else float)
    where = np.asarray(indices)
    if axis is None:
        np.add.at(made.reshape(-1), where, g)
        return made
    axis = axis % made.ndim
    np.add.at(made, (slice(None),) * axis + (where,), g)
    return made


rule(
    "take", np.take, "x", backward=(_taken,), saves=("",), settings=("indices", "axis"),
    formula="take({x})", mirrors=("{g} in its places",), methods=("take",),
    examples=[((4, 5), {"indices": [0, 0, 7]}), ((4, 5), {"indices": [1, 1], "axis": 1}),
              ((4, 5), {"indices": 2, "axis": 0}), ((4, 5), {"indices": [[0, 1], [1, 1]], "axis": -1})],
)  # fmt: skip


def _taken_along(g: Any, out: Any, x: Any, indices: Any = None, axis: Any = -1) -> Any:
    if axis is None:
        return _taken(g, out, x, indices)
    made = np.zeros(np.shape(x), g.dtype)
    grid = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grid[axis] = indices
    np.add.at(made, tuple(grid), g)
    return made


rule(
    "take_along_axis", np.take_along_axis, "x", backward=(_taken_along,), saves=("",),
    settings=("indices", "axis"), formula="take({x})", mirrors=("{g} in its places",),
    examples=[((3, 4), {"indices": np.array([[0, 0], [1, 3], [2, 2]]), "axis": 1}),
              ((3, 4), {"indices": np.array([[0, 2, 1, 1]]), "axis": 0})],
)  # fmt: skip

AS_IT_IS = {
    "saves": ("",),
    "formula": "{x}",
    "mirrors": ("{g}",),
    "binds": ATOM,
    "mirror_binds": ATOM,
}


def astype(x: Any, dtype: Any = float) -> Any:
    """x.astype(dtype)."""
    return np.asarray(x).astype(dtype)


rule(
    "astype", astype, "x", settings=("dtype",), methods=("astype",), **AS_IT_IS,
    backward=(lambda g, out, x, **s: g if np.asarray(out).dtype.kind == "f" else np.zeros_like(x),),
    examples=[((3, 4), {"dtype": "float64"})],
)  # fmt: skip


def copy(x: Any) -> Any:
    """x.copy()."""
    return np.array(x)


rule(
    "copy", copy, "x", methods=("copy",), backward=(lambda g, out, x, **s: g,), **AS_IT_IS,
    examples=[((3, 4),)],
)  # fmt: skip
