"""Arrays that are pictures, drawn as they are: grey or coloured, in at most 32 by 32 squares."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST = 32
"""The largest height and width of what is drawn."""
LEAST = 8
"""The smallest height and width of an array that is taken for a picture."""
LONGEST = 2.5
"""How many times as long as its other side a picture may be."""
SHADES = 32
"""Shades of each channel: few, so that neighbours often are of one colour."""

Rows = tuple[tuple[str, ...], ...]


def is_image(data: Any) -> bool:
    """Whether an array can be taken for a picture.

    Of shape (height, width), (height, width, 1) or (height, width, 3), its sides not too different,
    of dtype uint8 or with values from 0 to 1; two axes of 0 and 1 with a single 1 in each row or
    column are labels.
    """
    array = np.asarray(data)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        return False
    short, long = sorted(array.shape[:2])
    if short < LEAST or long > LONGEST * short:
        return False
    if array.dtype == np.uint8:
        return True
    if array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        return False
    return array.min() < array.max() and not _labels(array)


def _labels(array: np.ndarray) -> bool:
    single = any(bool((array.sum(axis=axis) == 1).all()) for axis in (0, 1))
    return single and bool(np.isin(array, (0, 1)).all())


def image(array: np.ndarray) -> Rows:
    """The colours of a picture, `"#rrggbb"`, each that of the mean of a region."""
    scaled = array.astype(float) / (255 if array.dtype == np.uint8 else 1)
    channels = scaled.reshape(*array.shape[:2], -1)
    for axis in (0, 1):
        channels = _means(channels, axis)
    levels = np.rint(np.clip(channels, 0, 1) * (SHADES - 1)) * (255 / (SHADES - 1))
    if levels.shape[2] == 1:
        levels = np.repeat(levels, 3, axis=2)
    return tuple(tuple(_colour(cell) for cell in row) for row in levels)


def _means(cells: np.ndarray, axis: int) -> np.ndarray:
    """At most `MOST` regions along an axis."""
    length = cells.shape[axis]
    count = min(length, MOST)
    starts = np.arange(count) * length // count
    sizes = np.diff(np.append(starts, length))
    summed = np.add.reduceat(cells, starts, axis=axis)
    return summed / sizes.reshape([-1 if i == axis else 1 for i in range(3)])


def _colour(cell: np.ndarray) -> str:
    red, green, blue = (round(x) for x in cell)
    return f"#{red:02x}{green:02x}{blue:02x}"
