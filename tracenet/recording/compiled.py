"""The hot loops of recording and replay in compiled code, where they are.

They are compiled when tracenet is installed, if there is a compiler, and left out if there is none
or `TRACENET_PURE` is set when tracenet starts. The Python functions beside them know every case and
write the same records; the compiled ones take the commonest, and hand them the rest.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np

from ..ops import Rule
from . import memory
from .array import Array
from .roles import role
from .tape import KEPT_BYTES, NONE, Leaf, Tape

VERSION = 2
"""Of `_speedups.c`: raised there and here when what one calls of the other changes."""

ABSENT: Any = object()
"""Stands for a name that a module does not have."""


def _loaded() -> Any:
    if os.environ.get("TRACENET_PURE"):
        return None
    try:
        found: Any = import_module("tracenet._speedups")
    except ImportError:
        return None
    if getattr(found, "VERSION", 0) != VERSION:  # left over from another version, in a checkout
        return None
    found.prepare(
        Array, Tape, Rule, Leaf, np.ndarray, np.float64, np.floating, NONE, memory.read, role,
        np.add.reduce, ABSENT, np.dtype(np.float64), KEPT_BYTES,
    )  # fmt: skip
    return found


speedups = _loaded()
"""The module `tracenet._speedups`, or None."""
