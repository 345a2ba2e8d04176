"""`np.nditer` over a traced array: what is written through it is a write like any other.

NumPy's own iterator takes the memory for itself, and nobody would hear of what it writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .array import Array
from .namespace import TYPES


class Elements:
    """An iterator over the elements of one traced array, in C order, to read and to write."""

    def __init__(self, x: Array, given: dict[str, Any]) -> None:
        self._x = x
        flags = [*{*(given.get("flags") or ()), "multi_index"}]
        self._iterator: Any = np.nditer(x.data, **{**given, "flags": flags, "order": "C"})

    def __iter__(self) -> Iterator[Any]:
        while not self._iterator.finished:
            yield self._x[(*self._iterator.multi_index, ...)]  # type: ignore[index]
            self._iterator.iternext()

    def __getitem__(self, k: int) -> Any:
        return self._x[(*self._iterator.multi_index, ...)]  # type: ignore[index]

    def __setitem__(self, k: int, value: Any) -> None:
        self._x[self._iterator.multi_index] = value  # type: ignore[index]

    def __enter__(self) -> Elements:
        return self

    def __exit__(self, *error: Any) -> None:
        self._iterator.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)


def _nditer(op: Any, *args: Any, **kwargs: Any) -> Any:
    given = {**dict(zip(("flags", "op_flags", "op_dtypes", "order"), args)), **kwargs}
    if type(op) is Array and op.tape.open and "external_loop" not in (given.get("flags") or ()):
        return Elements(op, given)
    return np.nditer(op, *args, **kwargs)


TYPES[np.nditer] = _nditer
