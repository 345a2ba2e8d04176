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
from . import memory, tape
from .array import Array
from .roles import role
from .tape import KEPT_BYTES, NONE, Call, Known, Leaf, Tape

VERSION = 3
"""Of `speedups/module.c`: raised there and here when what one calls of the other changes."""

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
        Array=Array, Alias=memory.Alias, Buffer=memory.Buffer, read=memory.read, Tape=Tape,
        version=memory.version, Rule=Rule, Leaf=Leaf, Call=Call, Known=Known, known=tape.known,
        known_of=tape.known_of, owner_of=tape.owner_of, NONE=NONE, KEPT_BYTES=KEPT_BYTES,
        ABSENT=ABSENT, role=role, ndarray=np.ndarray, float64=np.float64, floating=np.floating,
        inexact=np.inexact,
        dtype=np.dtype(np.float64), sum=np.add.reduce,
    )  # fmt: skip
    return found


speedups = _loaded()
"""The module `tracenet._speedups`, or None."""
