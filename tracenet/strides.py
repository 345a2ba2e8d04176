"""How an array lies in memory: the order of its axes, and whether there are gaps.

NumPy adds up the elements in the order in which they lie, so the last bit of a mean depends on it.
What is drawn of an array and what is saved of it go by the same layout: without gaps, with its axes
in the order that they have, and with what was stretched by broadcasting still stretched.
"""

from __future__ import annotations

import numpy as np


def unstretched(array: np.ndarray) -> np.ndarray:
    """The array before it was stretched: axes along which nothing moves have length one."""
    if 0 not in array.strides or array.size == 0:
        return array
    return array[tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)]


def order(array: np.ndarray) -> tuple[int, ...]:
    """The axes from the one with the longest step to the one with the shortest."""
    if array.flags.c_contiguous:
        return tuple(range(array.ndim))
    return tuple(sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis])))


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The transposition that undoes one."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def dense(array: np.ndarray) -> np.ndarray:
    """The same array without gaps between its elements: a copy only where there are gaps."""
    bare = unstretched(array)
    axes = order(bare)
    turned = bare.transpose(axes)
    if turned.flags.c_contiguous:
        return array
    return np.broadcast_to(np.ascontiguousarray(turned).transpose(inverse(axes)), array.shape)
