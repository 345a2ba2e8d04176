"""The hot loops of recording and replay in compiled code, where they are.

They are compiled when tracenet is installed, if there is a compiler, and left out if there is none
or `TRACENET_PURE` is set when tracenet starts. The Python functions beside them know every case and
write the same records; the compiled ones take the commonest, and hand them the rest.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..ops import Rule
from . import memory
from .array import Array
from .roles import role
from .tape import KEPT_BYTES, NONE, Leaf, Tape

speedups: Any = None
"""The module `tracenet._speedups`, or None."""

if not os.environ.get("TRACENET_PURE"):
    try:
        from .. import _speedups as speedups  # type: ignore[no-redef, attr-defined]
    except ImportError:
        pass
    else:
        speedups.prepare(
            Array, Tape, Rule, Leaf, np.ndarray, np.float64, NONE, memory.read, role,
            np.add.reduce, KEPT_BYTES,
        )  # fmt: skip
