"""Histograms: how many elements of an array are how large."""

from __future__ import annotations

import numpy as np

BARS = 12
"""Steps from the least element to the greatest."""


def histogram(array: np.ndarray) -> tuple[float, ...]:
    """How many finite elements are how large, in 12 steps from the least to the greatest.

    >>> histogram(np.array([0.0, 1, 1, 1, 12]))[:2]
    (0.3333, 1.0)
    """
    if array.size == 0 or array.dtype.kind not in "biufc":
        return ()
    flat = (np.abs(array) if array.dtype.kind == "c" else array).ravel().astype(float)
    flat = flat[np.isfinite(flat)]
    if flat.size == 0:
        return ()
    with np.errstate(all="ignore"):
        scaled = flat / (np.abs(flat).max() or 1.0)  # so that no width is infinite or nothing
        spread = scaled.max() - scaled.min()
        place = (scaled - scaled.min()) / spread * BARS if spread else np.full(flat.size, BARS / 2)
    counts = np.bincount(np.minimum(place.astype(int), BARS - 1), minlength=BARS)
    most = int(counts.max())
    return tuple(round(count / most, 4) for count in counts.tolist())
