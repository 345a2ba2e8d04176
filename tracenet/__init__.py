"""tracenet runs hand-written NumPy networks as they stand and draws what they did.

from tracenet import tracer

trace = tracer.trace(forward, X, parameters)
trace.backward()
trace.render("network.svg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import numpy as numpy
    from . import tracer as tracer
    from .checking import assert_gradients as assert_gradients
    from .checking import check as check
    from .recording.load import load as load
    from .store import load_trace as load_trace
    from .trace import Trace as Trace

from .version import VERSION as __version__

__all__ = [
    "Trace", "__version__", "assert_gradients", "check", "load", "load_trace", "numpy", "tracer",
]  # fmt: skip


def __getattr__(name: str) -> object:
    # What is not asked for is not imported: `tracenet --version` needs no NumPy.
    from importlib import import_module

    if name in ("numpy", "tracer"):
        return import_module(f".{name}", __name__)
    if name in ("check", "assert_gradients"):
        return getattr(import_module(".checking", __name__), name)
    if name == "load":
        return import_module(".recording.load", __name__).load
    if name == "load_trace":
        return import_module(".store", __name__).load_trace
    if name == "Trace":
        return import_module(".trace", __name__).Trace
    raise AttributeError(f"module 'tracenet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
