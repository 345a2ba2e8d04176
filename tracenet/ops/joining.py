"""Arrays put together, and taken apart again: each part's gradient is its piece of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .table import ADAPT, BY_NAME, RULES, rule

TOGETHER = {"saves": ("",), "formula": "[{arrays}]", "mirrors": ("piece of {g}",)}


def _piece(g: Any, arrays: Any, i: int, axis: int) -> Any:
    start = sum(np.shape(x)[axis] for x in arrays[:i])
    index: list[Any] = [slice(None)] * g.ndim
    index[axis] = slice(start, start + np.shape(arrays[i])[axis])
    return g[tuple(index)]


def _concatenated(i: int, g: Any, out: Any, *arrays: Any, axis: Any = 0, **settings: Any) -> Any:
    if axis is None:
        start = sum(np.size(x) for x in arrays[:i])
        return g[start : start + np.size(arrays[i])].reshape(np.shape(arrays[i]))
    return _piece(g, arrays, i, axis)


def concatenate(*arrays: Any, axis: Any = 0) -> Any:
    """np.concatenate with the arrays one by one."""
    return np.concatenate(arrays, axis=axis)


def stack(*arrays: Any, axis: int = 0) -> Any:
    """np.stack with the arrays one by one."""
    return np.stack(arrays, axis=axis)


rule(
    "concatenate", concatenate, "*arrays", backward=_concatenated, settings=("axis",),
    aliases=(np.concatenate,), **TOGETHER,
    examples=[((2, 3), (1, 3)), ((2, 3), (2, 1), {"axis": 1}), ((2,), (2, 2), {"axis": None}),
              ((2, 3), (2, 3), (2, 3), {"axis": -1})],
)  # fmt: skip
rule(
    "stack", stack, "*arrays", aliases=(np.stack,), settings=("axis",), **TOGETHER,
    backward=lambda i, g, out, *arrays, axis=0, **s: np.take(g, i, axis=axis),
    examples=[((2, 3), (2, 3)), ((2, 3), (2, 3), {"axis": 1}), ((), (), ()),
              ((2, 3), (2, 3), {"axis": -1})],
)  # fmt: skip


def _stacked(
    name: str, function: Any, raised: Callable[[Any], Any], axis: Callable[[int], int]
) -> None:
    """hstack and its kin: each array is first given enough axes, then they are concatenated."""

    def forward(*arrays: Any) -> Any:
        return function(arrays)

    def backward(i: int, g: Any, out: Any, *arrays: Any, **settings: Any) -> Any:
        whole = [raised(np.asarray(x)) for x in arrays]
        return _piece(g, whole, i, axis(whole[0].ndim)).reshape(np.shape(arrays[i]))

    forward.__name__ = name
    rule(
        name, forward, "*arrays", backward=backward, aliases=(function,), **TOGETHER,
        examples=[((2, 3), (2, 3)), ((3,), (3,)), ((2, 2, 3), (2, 2, 3))]
        if name != "column_stack" else [((3,), (3, 2)), ((3,), (3,))],
    )  # fmt: skip


_stacked("hstack", np.hstack, np.atleast_1d, lambda n: 0 if n == 1 else 1)
_stacked("vstack", np.vstack, np.atleast_2d, lambda n: 0)
if hasattr(np, "row_stack"):
    RULES[np.row_stack] = BY_NAME["vstack"]  # the old name of the same
_stacked("dstack", np.dstack, np.atleast_3d, lambda n: 2)
_stacked(
    "column_stack", np.column_stack, lambda x: x.reshape(-1, 1) if x.ndim < 2 else x, lambda n: 1
)


def array(*items: Any, nest: tuple[int, ...] = (), dtype: Any = None) -> Any:
    """np.array of regular nested lists: the elements, and the shape of the nest around them."""
    made = np.array(items, dtype)
    return made.reshape(nest + made.shape[1:])


def _element(i: int, g: Any, out: Any, *items: Any, nest: tuple[int, ...] = (), **s: Any) -> Any:
    return g.reshape((len(items), *np.shape(items[i])))[i]


rule(
    "array", array, "*arrays", backward=_element, settings=("nest", "dtype"), **TOGETHER,
    examples=[((), (), {"nest": (2,)}), (0.5, 0.7, 0.1, 0.2, {"nest": (2, 2)}),
              ((3,), (3,), {"nest": (2,)})],
)  # fmt: skip


def append(x: Any, y: Any, axis: Any = None) -> Any:
    """np.append."""
    return np.append(x, y, axis)


rule(
    "append", append, "x y", aliases=(np.append,), settings=("axis",),
    backward=(
        lambda g, out, x, y, axis=None: _concatenated(0, g, out, x, y, axis=axis),
        lambda g, out, x, y, axis=None: _concatenated(1, g, out, x, y, axis=axis),
    ),
    saves=("", ""), formula="[{x}, {y}]", mirrors=("piece of {g}", "piece of {g}"),
    examples=[((2, 3), (2,)), ((2, 3), (1, 3), {"axis": 0})],
)  # fmt: skip


def _delete_places(x: Any, obj: Any, axis: Any) -> Any:
    return np.delete(np.arange(np.size(x)).reshape(np.shape(x)), obj, axis)


def delete(x: Any, obj: Any = 0, axis: Any = None) -> Any:
    """np.delete."""
    return np.delete(x, obj, axis)


def _deleted(g: Any, out: Any, x: Any, obj: Any = 0, axis: Any = None) -> Any:
    made = np.zeros(np.size(x), g.dtype)
    made[_delete_places(x, obj, axis).ravel()] = g.ravel()
    return made.reshape(np.shape(x))


rule(
    "delete", delete, "x", aliases=(np.delete,), settings=("obj", "axis"), backward=(_deleted,),
    saves=("",), formula="delete({x})", mirrors=("{g} in its places",),
    examples=[((5,), {"obj": 1}), ((3, 4), {"obj": [0, 2], "axis": 1})],
)  # fmt: skip


def insert(x: Any, v: Any, obj: Any = 0, axis: Any = None) -> Any:
    """np.insert with the inserted values second."""
    return np.insert(x, obj, v, axis)


def _inserted(g: Any, x: Any, v: Any, obj: Any, axis: Any) -> Any:
    """Where in the result the old elements are (numbered), and the new ones (negative)."""
    places = np.arange(np.size(x)).reshape(np.shape(x))
    return np.insert(places, obj, -1, axis)


def _insert_old(g: Any, out: Any, x: Any, v: Any, obj: Any = 0, axis: Any = None) -> Any:
    places = _inserted(g, x, v, obj, axis)
    made = np.zeros(np.size(x), g.dtype)
    made[places[places >= 0]] = g[places >= 0]
    return made.reshape(np.shape(x))


def _insert_new(g: Any, out: Any, x: Any, v: Any, obj: Any = 0, axis: Any = None) -> Any:
    new = _inserted(g, x, v, obj, axis) < 0
    shape = list(g.shape)
    if axis is not None:
        shape[axis] = int(new.sum() // (new.size // g.shape[axis]))
    if axis is None:
        return g[new] if np.ndim(v) else g[new].sum()
    piece = (
        np.moveaxis(g[new].reshape(shape), axis, 0) if np.ndim(obj) == 0 else g[new].reshape(shape)
    )
    return piece[0] if np.ndim(obj) == 0 and np.ndim(v) < piece.ndim else piece


rule(
    "insert", insert, "x v", settings=("obj", "axis"), backward=(_insert_old, _insert_new),
    saves=("", ""), formula="insert({x}, {v})", mirrors=("piece of {g}", "piece of {g}"),
    examples=[((4,), 1.5, {"obj": 2}), ((3, 4), (3,), {"obj": 0, "axis": 1}),
              ((3, 4), 0.5, {"obj": 1, "axis": 0})],
)  # fmt: skip
ADAPT[np.insert] = lambda args, kwargs: (
    BY_NAME["insert"],
    [args[0], args[2] if len(args) > 2 else kwargs["values"]],
    {"obj": args[1], "axis": args[3] if len(args) > 3 else kwargs.get("axis")},
)


def pieces(function: Any, x: Any, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
    """For np.split and its kin: which basic index of `x` each piece is."""
    places = np.empty(np.shape(x), dtype=np.int8)
    axis = {np.hsplit: 1 if np.ndim(x) > 1 else 0, np.vsplit: 0, np.dsplit: 2}.get(function)
    if axis is None:
        axis = args[1] if len(args) > 1 else kwargs.get("axis", 0)
    found, start = [], 0
    lengths = [part.shape[axis] for part in function(places, *args, **kwargs)]
    sections = args[0] if args else kwargs["indices_or_sections"]
    starts = None if np.ndim(sections) == 0 else [0, *(int(s) for s in sections)]
    for i, length in enumerate(lengths):
        at = start if starts is None else starts[i] % (np.shape(x)[axis] + 1)
        index: list[Any] = [slice(None)] * np.ndim(x)
        index[axis] = slice(at, at + length)
        found.append(tuple(index))
        start += length
    return found
