"""Writes in place, as functions: the array before, and what was written, give the array after.

A write may go through views: `path` is the way from the array to the view that is written to, a
tuple of functions with their settings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .indexing import basic
from .table import AtPlaces, rule


def reached(x: Any, path: Any) -> Any:
    """The view of x that a path leads to."""
    for function, settings in path:
        x = function(x, **settings)
    return x


def write(x: Any, v: Any, path: Any = (), index: Any = ...) -> Any:
    """A copy of x with `view[index] = v`, where the view is reached by `path`."""
    made = x.copy()
    reached(made, path)[index] = v
    return made


def add_at(x: Any, v: Any, path: Any = (), index: Any = ...) -> Any:
    """A copy of x after np.add.at(view, index, v)."""
    made = x.copy()
    np.add.at(reached(made, path), index, v)
    return made


def _kept(g: Any, out: Any, x: Any, v: Any, path: Any = (), index: Any = ...) -> Any:
    """Nothing of what was written over matters any more."""
    made = g.copy()
    reached(made, path)[index] = 0
    return made


def written(g: Any, out: Any, x: Any, v: Any, path: Any = (), index: Any = ...) -> Any:
    """The gradient at the places that were written; of a place written twice, the last write's."""
    piece = reached(g, path)[index]
    if not basic(index):
        order = np.arange(np.size(piece)).reshape(np.shape(piece))
        last = np.empty(reached(g, path).shape, dtype=order.dtype)
        last[index] = order
        piece = piece * (last[index] == order)
    return _as_written(piece, v)


def _as_written(piece: Any, v: Any) -> Any:
    """`x[0] = v` lets v have leading axes of length one that x[0] has not."""
    extra = np.ndim(v) - np.ndim(piece)
    return np.reshape(piece, (1,) * extra + np.shape(piece)) if extra > 0 else piece


def _added(g: Any, out: Any, x: Any, v: Any, path: Any = (), index: Any = ...) -> Any:
    return _as_written(reached(g, path)[index], v)


WAYS = [
    ((4, 5), (5,), {"index": 1}),
    ((4, 5), (4, 5), {}),
    ((4, 5), 0.5, {"index": (slice(None), 2)}),
    ((4, 5), (1, 5), {"index": 2}),
    ((4, 5), (3,), {"index": (np.array([0, 1, 2]), np.array([1, 1, 4]))}),
    ((4, 5), (2, 1), {"index": (slice(1, 3), slice(None, None, 2))}),
    ((4, 5), (), {"index": (0, 0)}),
    ((4, 5), (4,), {"path": ((np.transpose, {}),), "index": 3}),
    ((4, 5), (2,), {"index": (np.array([1, 1]), np.array([2, 2]))}),
]
rule(
    "write", write, "x v", backward=AtPlaces((_kept, written)), saves=("", ""), settings=("path", "index"),
    formula="{v}", mirrors=("{g} outside […]", "{g} at […]"), examples=WAYS,
)  # fmt: skip
rule(
    "add_at", add_at, "x v", backward=(lambda g, out, x, v, **s: g, _added), saves=("", ""),
    settings=("path", "index"), formula="{x} + {v} at […]", mirrors=("{g}", "{g} at […]"),
    examples=[way for way in WAYS if way[1] != (1, 5)],
)  # fmt: skip
