"""Arrays in a zip file: all of one dtype one behind the other, in one .npy member.

A trace has many small arrays, and a member for each would cost more than the numbers. An array is
an entry of a table: its pool, where it begins there, its shape, and, where they are not the plain
ones, the order of its axes in memory and the shape that it was stretched to. Memory that several
values share is written once.
"""

from __future__ import annotations

import math
from typing import IO, Any
from zipfile import ZipFile

import numpy as np

from ..strides import inverse, order, unstretched

SHARED = 512
"""From how many bytes on an array is looked up among those that are written already."""


class Pools:
    """Collects arrays, and writes them. What is collected must not change before it is written."""

    def __init__(self) -> None:
        self.entries: list[list[Any]] = []
        self.dtypes: list[np.dtype[Any]] = []
        self._number: dict[str, int] = {}
        self._pieces: list[list[np.ndarray]] = []
        self._lengths: list[int] = []
        self._places: dict[Any, tuple[int, int]] = {}

    def add(self, array: np.ndarray) -> int:
        """Takes in an array; returns the number of its entry."""
        array = np.asarray(array)
        bare = unstretched(array)
        axes = order(bare)
        plain = axes == tuple(range(bare.ndim))
        turned = bare if plain else bare.transpose(axes)
        entry: list[Any] = [*self._place(turned), bare.shape]
        if not plain or bare.shape != array.shape:
            entry += [axes, array.shape]
        self.entries.append(entry)
        return len(self.entries) - 1

    def _place(self, turned: np.ndarray) -> tuple[int, int]:
        """Where the elements are, in their order in memory: pool and start."""
        if turned.nbytes < SHARED:
            return self._append(turned)
        gaps = None if turned.flags.c_contiguous else (turned.shape, turned.strides)
        key = turned.__array_interface__["data"][0], turned.size, turned.dtype, gaps
        if key not in self._places:
            self._places[key] = self._append(turned)
        return self._places[key]

    def _append(self, turned: np.ndarray) -> tuple[int, int]:
        pool = self._pool(turned.dtype)
        start = self._lengths[pool]
        self._pieces[pool].append(turned)
        self._lengths[pool] += turned.size
        return pool, start

    def _pool(self, dtype: np.dtype[Any]) -> int:
        name = dtype.str if dtype.names is None else repr(dtype)
        if name not in self._number:
            self._number[name] = len(self.dtypes)
            self.dtypes.append(dtype)
            self._pieces.append([])
            self._lengths.append(0)
        return self._number[name]

    def write(self, member: Any) -> None:
        """Writes each pool into the file that `member(name)` opens."""
        for pool, dtype in enumerate(self.dtypes):
            with member(f"arrays/{pool}.npy") as file:
                head = {
                    "descr": np.lib.format.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": (self._lengths[pool],),
                }
                np.lib.format.write_array_header_2_0(file, head)
                for piece in self._pieces[pool]:
                    _write(file, piece)


def _write(file: IO[bytes], piece: np.ndarray) -> None:
    if piece.nbytes < SHARED:
        file.write(piece.tobytes())
    else:  # without a second copy of a large array
        file.write(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)


class Entries:
    """The arrays of a file. They share memory with each other, and are not to be written to."""

    def __init__(self, entries: list[list[Any]], zip: ZipFile) -> None:
        self._entries = entries
        count = 1 + max((entry[0] for entry in entries), default=-1)
        self._pools = [_read(zip, f"arrays/{pool}.npy") for pool in range(count)]

    def __getitem__(self, number: int) -> np.ndarray:
        pool, start, shape, *more = self._entries[number]
        flat = self._pools[pool][start : start + math.prod(shape)]
        if not more:
            return flat.reshape(shape)
        axes, full = map(tuple, more)
        array = flat.reshape([shape[axis] for axis in axes]).transpose(inverse(axes))
        return np.broadcast_to(array, full)


def _read(zip: ZipFile, name: str) -> np.ndarray:
    with zip.open(name) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        file.read()  # to the end, where the checksum is looked at
    array.flags.writeable = False
    return array
