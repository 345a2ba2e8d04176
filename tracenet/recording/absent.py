"""Values whose data are not there: what stands in their place on the tape, and how they come back.

An array that is filled or read element by element has as many versions, and as many gradients, as
it has elements. To keep them all would take the square of its size; so one is kept, and for each of
the others what made it of the one before. A chain of those is gone through on one copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.indexing import basic
from ..ops.writing import reached


class Absent:
    """Stands for the data of a value that are not kept.

    shape, dtype: those of the data.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = shape
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} {self.dtype} {self.shape}>"

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Later(Absent):
    """A version of an array that an operation on the tape makes of the version before."""

    __slots__ = ()


class Dropped(Absent):
    """A gradient that was used and let go, and is computed again if somebody asks for it."""

    __slots__ = ()


READ, ADDED, KEPT = "read", "added", "kept"


class Placed(Absent):
    """A gradient of an array that was read or written at places.

    how: `READ`, `gradient` at the places and zero elsewhere; `ADDED`, `gradient` added there to
    what the value `before` is; `KEPT`, zeros written there over it. settings: the places, as the
    rules `getitem` and `write` have them.
    """

    __slots__ = ("before", "gradient", "how", "settings")

    def __init__(self, like: Any, how: str, before: int, gradient: int, settings: Any) -> None:
        self.shape, self.dtype = like.shape, like.dtype
        self.how, self.before, self.gradient, self.settings = how, before, gradient, settings

    def take(self, data: np.ndarray, values: list[Any]) -> None:
        """Does the step on `data`, in place."""
        if self.how == KEPT:
            clear(data, **self.settings)
        else:
            add(data, values[self.gradient], **self.settings)


def add(data: np.ndarray, g: Any, index: Any) -> None:
    """`data[index] += g`, for each time that the index names a place."""
    if basic(index):
        data[index] += g
    else:
        np.add.at(data, index, g)


def clear(data: np.ndarray, path: Any = (), index: Any = ...) -> None:
    """Zeros at the places that were written to."""
    reached(data, path)[index] = 0


def restored(values: list[Any], id: int) -> Any:
    """The data of a value that is a `Placed`, from those that are there; nothing recurses.

    Where something on the way was let go, that is returned.
    """
    chain = []
    while type(values[id]) is Placed:
        step = values[id]
        chain.append(step)
        if step.how == READ:
            data = np.zeros(step.shape, step.dtype)
            break
        id = step.before
    else:
        data = values[id]
    read = (values[step.gradient] for step in chain if step.how != KEPT)
    gone = next((x for x in (data, *read) if isinstance(x, Absent)), None)
    if gone is not None:
        return gone
    data = data.copy()
    for step in reversed(chain):
        step.take(data, values)
    return data


def phantom(value: Absent) -> np.ndarray:
    """An array of the shape and dtype of what is absent, that takes no memory: one zero, stretched.

    For code that reads no more than those.
    """
    zero = bytes(value.dtype.itemsize)
    return np.ndarray(value.shape, value.dtype, zero, 0, (0,) * value.ndim)
