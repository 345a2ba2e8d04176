"""How arrays are shown: an array becomes a `Shown`, of bounded size whatever the array's.

A small array is printed in full; a large one is a few lines of statistics and a heatmap of at most
10 by 16 cells. Numbers have a fixed number of significant digits and no noise behind them: they
are rounded from the shortest decimal that means the same float, so 0.15 stays 0.15.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from .bars import histogram
from .diagram import Shown, Text
from .recording.absent import Absent
from .strides import dense

Values = Literal["full", "summary", "heatmap", "histogram", "shapes", "none"]

SIDE = 4
"""The largest height and width of a matrix that is printed in full."""
ROW = 8
"""The greatest length of a vector that is printed in full."""
HEAT = (10, 16)
CHANNELS = 4
"""So many at most are the colours of an image."""
Heat = tuple[tuple[float | None, ...], ...]
LEAST, MOST = -5, 6
"""Powers of ten from which numbers are written with one, downwards and upwards."""
LONGEST = 12
"""Digits of the longest integer that is printed in full."""
NUMERIC = "biufc"
NOISE = 1e-13
"""A mean that is so small beside the elements is what rounding left of 0, other on each machine."""


def shown(
    name: Text, key: str, data: Any, *, values: str = "full", digits: int = 4, state: str = ""
) -> Shown:
    """An array, a number or nothing (None) as it is drawn.

    values: `"full"` prints small arrays and sums up large ones, `"summary"` sums up all of them,
    `"heatmap"` and `"histogram"` draw them above their shape, or their least, mean and greatest;
    `"shapes"` and `"none"` leave the numbers out. digits: significant digits. state: what is known
    beforehand, `"constant"`; NaN and infinite elements are found here.
    """
    if data is None or values == "none":
        return Shown(name=name, key=key, state=state)
    if isinstance(data, Absent):
        return _of_sketch(name, key, data, values, digits, state)
    array = np.asarray(data)
    dtype = dtype_name(data)
    if values == "shapes":
        line = f"{dimensions(array.shape)} {dtype}"
        return Shown(name, key, array.shape, dtype, summary=(line,), state=state)
    array = dense(array)
    state = state_of(array, state)
    if array.ndim == 0 or (values == "full" and is_small(array)):
        power = exponent(array, digits)
        numbers = grid(array, digits, power)
        return Shown(
            name, key, array.shape, dtype, numbers, state=state, data=array, exponent=power
        )
    lines = summary(array, dtype, digits)
    if values == "histogram":
        bars = histogram(array)
        return Shown(name, key, array.shape, dtype, (), lines, state=state, data=array, bars=bars)
    if values == "heatmap":
        lines = lines[:1]
    first, plane = first_plane(array)
    if first:
        lines = (*lines, f"drawn [{', '.join(map(str, first))}]")
    rows, scale = heat(plane)
    return Shown(name, key, array.shape, dtype, (), lines, rows, state, array, scale)


def dtype_name(data: Any) -> str:
    """`float64` for arrays and NumPy scalars, `float` for a Python number."""
    return str(data.dtype) if hasattr(data, "dtype") else type(data).__name__


def dimensions(shape: tuple[int, ...]) -> str:
    """A shape as it is written.

    >>> dimensions((4, 150)), dimensions((8,)), dimensions(())
    ('4 × 150', '8', 'scalar')
    """
    return " × ".join(map(str, shape)) or "scalar"


def is_small(array: np.ndarray) -> bool:
    """Whether an array is printed in full."""
    if array.size == 0 or array.dtype.kind not in NUMERIC:
        return False
    if array.ndim == 1:
        return array.size <= ROW
    return array.ndim == 2 and max(array.shape) <= SIDE


def state_of(array: np.ndarray, state: str) -> str:
    """The state, after a look at the elements: NaN is worse than infinite, and that than any."""
    if state == "not computed" or array.dtype.kind not in "fc" or is_finite(array):
        return state
    return "NaN" if np.isnan(array).any() else "infinite"


def is_finite(array: np.ndarray) -> bool:
    """Whether all elements are; without a copy for real arrays, as NaN survives least and most."""
    if array.size == 0:
        return True
    if array.dtype.kind == "c":
        return bool(np.isfinite(array).all())
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


# ---------------------------------------------------------------------- numbers


def grid(array: np.ndarray, digits: int, power: int = 0) -> tuple[tuple[str, ...], ...]:
    """The rows of an array, formatted, without a power of ten; a vector is one row."""
    if array.ndim == 0:
        return ((number(array[()], digits),),)
    write = (lambda x: _shifted(x, digits, power)) if power else (lambda x: number(x, digits))
    return tuple(tuple(write(x) for x in row) for row in np.atleast_2d(array))


NEAR = 2
"""Powers of ten between the largest and the smallest number that share an exponent."""


def exponent(array: np.ndarray, digits: int = 4) -> int:
    """The power of ten that the numbers of an array share; 0 where they read better without.

    >>> exponent(np.array([1.2e-5, 0, 9.9e-5])), exponent(np.array([1.2e-5, 1.0]))
    (-5, 0)
    """
    if array.ndim == 0 or array.size < 2 or array.dtype.kind != "f" or not is_finite(array):
        return 0
    sizes = np.abs(array[array != 0])
    if sizes.size == 0:
        return 0
    powers = [int(f"{x:.{digits - 1}e}".partition("e")[2]) for x in (sizes.min(), sizes.max())]
    awkward = powers[0] <= LEAST or powers[1] >= max(digits, MOST)
    return powers[1] if awkward and powers[1] - powers[0] <= NEAR else 0


def _shifted(x: Any, digits: int, power: int) -> str:
    """A number divided by a power of ten, from its own decimal digits."""
    if x == 0:
        return "0"
    text = np.format_float_scientific(x, precision=digits - 1, trim="-")
    shifted = f"{Decimal(text).scaleb(-power):f}"
    return (shifted.rstrip("0").rstrip(".") if "." in shifted else shifted).replace("-", "−")


def number(x: Any, digits: int = 4) -> str:
    """A number as it is written, with a minus that is as wide as a digit.

    >>> [number(x) for x in (0.15, 0.298371109, -0.0, 8.77135e-06, 0.00877135, 1e9, 150, True)]
    ['0.15', '0.2984', '0', '8.771e−06', '0.008771', '1e+09', '150', 'True']
    """
    if isinstance(x, (complex, np.complexfloating)):
        imaginary = number(x.imag, digits)
        plus = "" if imaginary.startswith("−") else "+"
        return f"{number(x.real, digits)}{plus}{imaginary}j"
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    if isinstance(x, (int, np.integer)) and len(str(x).lstrip("-")) <= LONGEST:
        return str(x).replace("-", "−")
    if isinstance(x, (int, np.integer)):
        return f"{Decimal(int(x)):.{digits - 1}e}".replace("-", "−")  # a float may be too short
    if isinstance(x, (float, np.floating)):
        return _real(x, digits)
    return f"{str(x)[:LONGEST]}…" if len(str(x)) > LONGEST else str(x)


def _real(x: Any, digits: int) -> str:
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == 0:
        return "0"
    text = np.format_float_scientific(x, precision=digits - 1, trim="-", exp_digits=2)
    if LEAST < int(text.partition("e")[2]) < max(digits, MOST):
        text = np.format_float_positional(x, precision=digits, fractional=False, trim="-")
    return text.replace("-", "−")


# ---------------------------------------------------------------------- large arrays


def summary(array: np.ndarray, dtype: str, digits: int) -> tuple[str, ...]:
    """Shape and dtype; least, mean and greatest of the finite elements; shares of zeros and others.

    >>> summary(np.arange(20.0), "float64", 4)
    ('20 float64', 'min 0', 'mean 9.5', 'max 19', 'zeros 5%')
    """
    head = f"{dimensions(array.shape)} {dtype}"
    if array.size == 0 or array.dtype.kind not in NUMERIC:
        return (head, "empty") if array.size == 0 else (head,)
    return (head, *_lines(_measured(array), digits))


def sketch(array: np.ndarray) -> dict[str, Any]:
    """What a summary tells of the numbers, and the cells of its heatmap: some hundred bytes."""
    if array.size == 0 or array.dtype.kind not in NUMERIC:
        return {"size": 0}
    first, plane = first_plane(array)
    return {**_measured(array), "first": first, "cells": _cells(plane)}


def _measured(array: np.ndarray) -> dict[str, Any]:
    """`statistics`, of the absolute values of complex numbers; the size, and how many are zero."""
    size = " |x|" if array.dtype.kind == "c" else ""
    found = statistics(np.abs(array) if size else array)
    zeros = 0 if array.dtype.kind == "b" else array.size - int(np.count_nonzero(array))
    return {**found, "of": size, "size": array.size, "zeros": zeros}


def _lines(found: dict[str, Any], digits: int) -> list[str]:
    words = [word for word in ("min", "mean", "max") if word in found]
    lines = [f"{word}{found['of']} {number(found[word], digits)}" for word in words]
    if 0 < found["zeros"] < found["size"]:
        lines.append(f"zeros {percent(found['zeros'] / found['size'])}")
    for word, label in (("nan", "NaN"), ("infinite", "∞")):
        if found[word]:
            lines.append(f"{label} {percent(found[word] / found['size'])}")
    return lines


def _of_sketch(name: Text, key: str, gone: Absent, values: str, digits: int, state: str) -> Shown:
    """An array that was let go, as far as it is known."""
    dtype, found = str(gone.dtype), getattr(gone, "sketch", None)
    lines = [f"{dimensions(gone.shape)} {dtype}"]
    if found is None or not found["size"] or values == "shapes":
        return Shown(name, key, gone.shape, dtype, summary=tuple(lines), state=state)
    if values != "heatmap":
        lines += _lines(found, digits)
    if found["first"]:
        lines.append(f"drawn [{', '.join(map(str, found['first']))}]")
    if state != "not computed" and (found["nan"] or found["infinite"]):
        state = "NaN" if found["nan"] else "infinite"
    rows, scale = _scaled(found["cells"])
    return Shown(name, key, gone.shape, dtype, (), tuple(lines), rows, state, None, scale)


def percent(share: float) -> str:
    """A share that never rounds to nothing or to everything.

    >>> percent(1e-6), percent(0.25), percent(0.9999), percent(1)
    ('<1%', '25%', '>99%', '100%')
    """
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share * 100:.0f}%"


def statistics(array: np.ndarray) -> dict[str, Any]:
    """min, mean and max of the finite elements, if any, and how many are NaN and infinite."""
    nan = infinite = 0
    if array.dtype.kind == "f" and not is_finite(array):
        nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
        array = array[np.isfinite(array)]
    if array.size == 0:
        return {"nan": nan, "infinite": infinite}
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    # Halves add up to infinity soon; float64 divides first where even it would overflow.
    with np.errstate(over="ignore"):
        mean = array.mean(dtype=np.promote_types(array.dtype, np.float64))
    if not np.isfinite(mean):
        mean = (array / array.size).sum()
    least, greatest = array.min(), array.max()
    if array.dtype.kind == "f" and abs(mean) < NOISE * max(abs(least), abs(greatest)):
        mean = type(mean)(0)
    return {"min": least, "mean": mean, "max": greatest, "nan": nan, "infinite": infinite}


def heat(array: np.ndarray) -> tuple[Heat, float]:
    """A picture of an array: means of at most 10 by 16 regions, scaled to -1..1; what is 1 there.

    0 stays 0. A region with an element that is not finite is None. More than two axes are flattened
    behind the first.
    """
    if array.size == 0 or array.dtype.kind not in NUMERIC:
        return (), 1.0
    return _scaled(_cells(array))


def _cells(array: np.ndarray) -> np.ndarray:
    matrix = np.atleast_2d(array.reshape(array.shape[0], -1) if array.ndim > 2 else array)
    if matrix.dtype.kind == "c":
        matrix = np.abs(matrix)
    with np.errstate(all="ignore"):
        return downsampled(matrix)


def _scaled(cells: np.ndarray) -> tuple[Heat, float]:
    finite = cells[np.isfinite(cells)]
    scale = float(np.abs(finite).max()) if finite.size else 1.0
    scale = scale or 1.0
    return tuple(tuple(_cell(x, scale) for x in row) for row in cells.tolist()), scale


def first_plane(array: np.ndarray) -> tuple[tuple[int | str, ...], np.ndarray]:
    """The first matrix in an array of more axes, an image or a head of attention, and its index.

    Channels may be the last axis: up to 4 of them, behind two longer axes. The index is empty where
    the array has only one matrix.

    >>> first_plane(np.ones((4, 1, 8, 6)))[0], first_plane(np.ones((2, 8, 6, 3)))[0]
    ((0, 0, ':', ':'), (0, ':', ':', 0))
    """
    if array.ndim < 3 or array.size == 0:
        return (), array
    long = [axis for axis, length in enumerate(array.shape) if length > 1]
    if len(long) < 3:
        return (), array.reshape([array.shape[axis] for axis in long] or [1])
    behind = array.shape[-1] <= CHANNELS < min(array.shape[-3:-1])
    axes = (array.ndim - 3, array.ndim - 2) if behind else tuple(long[-2:])
    index = tuple(slice(None) if axis in axes else 0 for axis in range(array.ndim))
    return tuple(":" if axis in axes else 0 for axis in range(array.ndim)), array[index]


def downsampled(matrix: np.ndarray) -> np.ndarray:
    """The means of at most 10 by 16 regions."""
    sizes = []
    for axis in (0, 1):
        length = matrix.shape[axis]
        count = min(length, HEAT[axis])
        starts = np.arange(count) * length // count
        sizes.append(np.diff(np.append(starts, length)))
        wide = np.promote_types(matrix.dtype, np.float64)
        matrix = np.add.reduceat(matrix, starts, axis=axis, dtype=wide)
    return matrix / np.outer(*sizes)


def _cell(x: float, scale: float) -> float | None:
    return round(x / scale, 2) + 0.0 if math.isfinite(x) else None
