"""The traced array: what the user's code holds instead of its arrays while a trace runs.

An `Array` is not an ndarray: it carries the real data, the number of the value that the data is
in the trace, and the tape. The arithmetic is put on the class by `operators`, so that this file
can be read alone: what an array *is*, and how it behaves towards code that knows nothing of us.
"""

from __future__ import annotations

import copy
import opcode
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Array:
    """A value that is being traced: an ndarray, a NumPy scalar or a Python float.

    data: the real array or number, exactly as it would be without tracenet.
    id: the number of this value in the trace.
    tape: the tape that records it.
    alias: None, or how the data shares memory with other arrays (see `memory`).
    """

    __slots__ = ("__weakref__", "alias", "data", "id", "tape")
    __array_priority__ = 1000.0

    data: Any
    id: int
    tape: Any
    alias: Any

    def __init__(self, data: Any, id: int, tape: Any) -> None:
        self.data = data
        self.id = id
        self.tape = tape
        self.alias = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # isinstance(x, np.ndarray) and isinstance(cost, float) hold, as they would untraced.
        return type(self.data)

    # What an array is, apart from its numbers: none of this is recorded.

    @property
    def shape(self) -> tuple[int, ...]:
        data = self.data  # NumPy's functions are for anything, and slower
        return data.shape if type(data) is np.ndarray else np.shape(data)

    @shape.setter
    def shape(self, shape: Any) -> None:
        replaced = self.reshape(shape)  # type: ignore[attr-defined]
        self.data, self.id, self.alias = replaced.data, replaced.id, replaced.alias

    @property
    def ndim(self) -> int:
        data = self.data
        return data.ndim if type(data) is np.ndarray else np.ndim(data)

    @property
    def size(self) -> int:
        data = self.data
        return data.size if type(data) is np.ndarray else int(np.size(data))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.data)))  # type: ignore[index]

    def __bool__(self) -> bool:
        return bool(self.data)

    def __index__(self) -> int:
        return self.data.__index__()  # type: ignore[no-any-return]

    def __contains__(self, item: Any) -> bool:
        return raw(item) in self.data

    def __hash__(self) -> int:
        return hash(self.data)

    # Text is not lost arithmetic: nobody differentiates a printed number.

    def __repr__(self) -> str:
        return repr(self.data)

    def __str__(self) -> str:
        return str(self.data)

    def __format__(self, spec: str) -> str:
        return format(self.data, spec)

    # Where the value leaves the trace, it says so.

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        self.tape.left(self, "it was converted to a plain array")
        return np.array(self.data, dtype=dtype, copy=True if copy is None else copy)

    def __float__(self) -> float:
        if not _formats(sys._getframe(1)):
            self.tape.left(self, "float() made it a plain number")
        return float(self.data)

    def __complex__(self) -> complex:
        self.tape.left(self, "complex() made it a plain number")
        return complex(self.data)

    def __int__(self) -> int:
        return int(self.data)  # integers carry no gradient: nothing is lost

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.tape.left(self, "it was pickled")
        return (_same, (self.data,))

    def __copy__(self) -> Array:
        return self.copy()  # type: ignore[attr-defined,no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Array:
        return self.copy()  # type: ignore[attr-defined,no-any-return]


PLAIN = {Array, np.ndarray, dict, list, tuple, float, int, str, bool, type(None)}
"""Types of what says nothing about which modules belong to the program that is traced."""

_BINARY = opcode.opmap["BINARY_OP"]
_REMAINDER = (6, 19)  # what `%` and `%=` are to it


def _formats(frame: Any) -> bool:
    """Whether code makes text, as in `"loss %f" % loss`: of numbers `%` would not ask for a float."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return bool(code[at] == _BINARY and code[at + 1] in _REMAINDER)


def _same(data: Any) -> Any:
    return data


def raw(x: Any) -> Any:
    """The plain data of a traced array; anything else as it is."""
    return x.data if type(x) is Array else x


def has_arrays(tree: Any) -> bool:
    """Whether a traced array stands in nested lists, tuples and dicts."""
    kind = type(tree)
    if kind is Array:
        return True
    if kind is list or kind is tuple:
        return any(has_arrays(item) for item in tree)
    if kind is dict:
        return any(has_arrays(item) for item in tree.values())
    return kind is slice and (has_arrays((tree.start, tree.stop, tree.step)))


def strip(tree: Any) -> Any:
    """Nested lists, tuples, dicts and slices with plain data for every traced array in them."""
    kind = type(tree)
    if kind is Array:
        return tree.data
    if kind is list:
        return [strip(item) for item in tree]
    if kind is tuple:
        return tuple(strip(item) for item in tree)
    if kind is dict:
        return {key: strip(item) for key, item in tree.items()}
    if kind is slice:
        return slice(raw(tree.start), raw(tree.stop), raw(tree.step))
    return tree


NESTED = 200
"""How many containers in containers are followed where what a call had is noted; one that holds
itself is not."""


def is_container(x: Any) -> bool:
    """Whether `mapped` knows what something holds."""
    return isinstance(x, (dict, list, tuple, deque))


def mapped(of: Callable[[Any], Any], tree: Any) -> Any:
    """A container of the same kind, with `of(item)` for each item; a plain one where that fails."""
    kind = type(tree)
    if isinstance(tree, dict):
        items = {key: of(item) for key, item in tree.items()}
        return items if kind is dict else _like(tree, items)
    found = [of(item) for item in tree]
    if kind is list:
        return found
    return tuple(found) if kind is tuple else _like(tree, found)


def _like(tree: Any, items: Any) -> Any:
    """The items in a container of a kind of the program's own, or of `collections`."""
    try:
        if isinstance(tree, deque):
            return deque(items, tree.maxlen)
        if isinstance(tree, tuple):
            return type(tree)._make(items) if hasattr(tree, "_fields") else tuple(items)  # type: ignore[attr-defined]
        made = copy.copy(tree)
        if isinstance(tree, dict):
            made.update(items)
        else:
            made[:] = items
        return made
    except Exception:  # whatever it does when it is copied or written to
        return tuple(items) if isinstance(tree, tuple) else items


def arrays_in(tree: Any) -> Iterator[Array]:
    """The traced arrays in nested lists, tuples, dicts and slices, in order."""
    kind = type(tree)
    if kind is Array:
        yield tree
    elif kind is list or kind is tuple:
        for item in tree:
            yield from arrays_in(item)
    elif kind is dict:
        for item in tree.values():
            yield from arrays_in(item)
    elif kind is slice:
        yield from arrays_in((tree.start, tree.stop, tree.step))
