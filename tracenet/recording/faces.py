"""Other faces of a traced array: `flat`, `real`, `view`, `resize`, and the builders `np.r_`, `np.c_`.

They are no functions of NumPy's, so none of its protocols asks about them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import calls
from .array import Array, has_arrays, raw, strip
from .namespace import TYPES, part

tnp: Any = part(np)
_frame = sys._getframe


class Flat:
    """`x.flat`: the elements of a traced array in C order, to read and to write."""

    def __init__(self, x: Any) -> None:
        self.base = x

    def __len__(self) -> int:
        return int(self.base.data.size)

    def __iter__(self) -> Iterator[Any]:
        return (self.base[index] for index in np.ndindex(self.base.shape))

    def _places(self, index: Any) -> Any:
        numbers = np.arange(len(self))[strip(index)]
        return np.unravel_index(numbers, self.base.shape) if self.base.ndim else ()

    def __getitem__(self, index: Any) -> Any:
        return self.base[self._places(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.base[self._places(index)] = value

    def copy(self) -> Any:
        return self.base.flatten()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.base.flatten().__array__(dtype, copy)


def _set_flat(self: Any, value: Any) -> None:
    count = np.arange(self.data.size) % np.size(raw(value))
    if type(value) is not Array:
        self[...] = np.ravel(value)[count].reshape(self.shape)
    else:
        self[...] = tnp.ravel(value)[count.reshape(self.shape)]


def _real(self: Any) -> Any:
    if np.asarray(self.data).dtype.kind != "c":
        return self
    return _part(self, np.real)


def _set_real(self: Any, value: Any) -> None:
    if np.asarray(self.data).dtype.kind != "c":
        self[...] = value
    else:
        self.data.real = raw(value)


def _imag(self: Any) -> Any:
    return _part(self, np.imag)


def _part(x: Any, function: Any) -> Any:
    data = function(x.data)
    if not x.tape.open:
        return data
    rule = calls.opaque(function)
    return x.tape.record(rule, (x.tape.operand(x),), np.array(data)[()], {}, _frame(2))


def _conj(self: Any) -> Any:
    return tnp.conjugate(self)


def _view(self: Any, *args: Any, **kwargs: Any) -> Any:
    if not args and not kwargs and self.tape.open:
        return self[...]
    return calls.method(self, "view", self.data.view)(*args, **kwargs)


def _resize(self: Any, *shape: Any, refcheck: bool = True) -> None:
    """x.resize(shape): zeros are put after the elements, or those at the end are dropped."""
    shape = shape[0] if len(shape) == 1 else shape
    size = int(np.prod(shape))
    flat = tnp.ravel(self)[:size]
    if size > self.data.size:
        flat = tnp.concatenate([flat, np.zeros(size - self.data.size, self.data.dtype)])
    made = tnp.reshape(flat, shape)
    if type(made) is Array:
        self.data, self.id, self.alias = made.data, made.id, made.alias
    else:
        self.data = made


def _divmod(self: Any, other: Any) -> Any:
    return self // other, self % other


def _rdivmod(self: Any, other: Any) -> Any:
    return other // self, other % self


def _compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return tnp.compress(condition, self, axis)


class Builder:
    """`np.r_` and `np.c_`: `np.c_[np.ones(3), x]` puts columns side by side."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __len__(self) -> int:
        return len(self.original)

    def __getitem__(self, key: Any) -> Any:
        if not has_arrays(key) or calls.tape_of(key) is None:
            return self.original[strip(key)]
        items = key if isinstance(key, tuple) else (key,)
        if any(isinstance(item, str) for item in items):
            return self.original[key]  # its arrays leave the trace, and that is said
        return tnp.concatenate(
            [self._piece(item) for item in items], axis=-1 if self._columns else 0
        )

    @property
    def _columns(self) -> bool:
        return self.original is np.c_

    def _piece(self, item: Any) -> Any:
        if isinstance(item, slice):
            return self.original[strip(item)]
        ndim = np.ndim(raw(item))
        if self._columns:
            return item if ndim > 1 else tnp.reshape(item, (-1, 1))
        return item if ndim else tnp.reshape(item, (1,))


def install() -> None:
    """Puts these on the class of traced arrays."""
    named: dict[str, Any] = {
        "flat": property(Flat, _set_flat), "real": property(_real, _set_real), "imag": property(_imag),
        "conj": _conj, "conjugate": _conj, "view": _view, "resize": _resize,
        "compress": _compress, "__divmod__": _divmod, "__rdivmod__": _rdivmod,
    }  # fmt: skip
    for name, face in named.items():
        setattr(Array, name, face)


install()
TYPES.update({np.r_: Builder(np.r_), np.c_: Builder(np.c_)})
