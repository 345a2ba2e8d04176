"""NumPy functions that choose, repeat and arrange elements, recorded as what they are made of.

See `composed`, whose recording they share.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import calls
from .array import Array, raw
from .composed import Unknown, _ndim, along, entered, named, tnp


def compress(condition: Any, a: Any, axis: Any = None) -> Any:
    where = np.flatnonzero(raw(condition))
    return tnp.ravel(a)[where] if axis is None else a[along(_ndim(a), axis, where)]


def extract(condition: Any, a: Any) -> Any:
    return tnp.ravel(a)[np.flatnonzero(raw(condition))]


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        default = tnp.where(condition, choice, default)
    return default


def choose(a: Any, choices: Any) -> Any:
    made = choices[-1]
    for i in range(len(choices) - 2, -1, -1):
        made = tnp.where(np.equal(raw(a), i), choices[i], made)
    return made


def block(arrays: Any) -> Any:
    depth, inner = 0, arrays
    while type(inner) is list:
        depth, inner = depth + 1, inner[0]
    return _blocks(arrays, depth, max(depth, _ndim(inner)))


def _blocks(arrays: Any, depth: int, ndim: int) -> Any:
    if type(arrays) is not list:
        return tnp.reshape(arrays, (1,) * (ndim - _ndim(arrays)) + np.shape(raw(arrays)))
    return tnp.concatenate([_blocks(each, depth - 1, ndim) for each in arrays], axis=-depth)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> Any:
    return tnp.broadcast_to(fill_value, shape).copy()


def full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    if type(fill_value) is not Array:
        tape: Any = calls.tape_of(a)
        return tape.fresh(np.full_like(raw(a), fill_value, dtype), "constant", sys._getframe())
    return full(np.shape(raw(a)), fill_value)


def broadcast_arrays(*arrays: Any) -> Any:
    shape = np.broadcast_shapes(*(np.shape(raw(a)) for a in arrays))
    return [tnp.broadcast_to(a, shape) if type(a) is Array else a for a in arrays]


def meshgrid(*arrays: Any, indexing: str = "xy") -> Any:
    plain: list[Any] = [raw(a) for a in arrays]
    how: Any = {"indexing": indexing}
    shape = np.shape(np.meshgrid(*plain, **how)[0])
    turned = indexing == "xy" and len(arrays) > 1
    axes = [1, 0, *range(2, len(arrays))] if turned else list(range(len(arrays)))
    return [
        full(shape, tnp.reshape(a, [-1 if i == axis else 1 for i in range(len(arrays))]))
        for a, axis in zip(arrays, axes)
    ]


def resize(a: Any, new_shape: Any) -> Any:
    places = np.arange(int(np.prod(new_shape))) % np.size(raw(a))
    return tnp.ravel(a)[places.reshape(new_shape)]


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    if type(weights) is not Array:
        raise Unknown
    made = tnp.zeros(len(np.bincount(raw(x), minlength=minlength)))
    tnp.add.at(made, raw(x), weights)
    return made


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    return start + (stop - start) * (np.arange(num) / max(num - endpoint, 1))


entered(named(
    np, compress, extract, select, choose, block, full, full_like, broadcast_arrays, meshgrid,
    resize, bincount, linspace,
))  # fmt: skip
