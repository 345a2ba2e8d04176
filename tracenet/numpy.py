"""The traced NumPy: `from tracenet import numpy as np`.

The same names as NumPy's. While a trace is running they record; otherwise they are NumPy's own.
"""

from __future__ import annotations

import numpy as _numpy

from .recording.namespace import twin as _twin


def __getattr__(name: str) -> object:
    value = _twin(getattr(_numpy, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return dir(_numpy)
