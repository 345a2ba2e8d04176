"""Saves a trace in one file and loads it again: `trace.save("run.trace")`, `load_trace(…)`.

The file is a zip: tables of records as JSON, and arrays as .npy. Nothing in it is pickled, so a
file from a stranger runs no code. What a loaded trace is asked and how it is drawn is the same, to
the bit; it cannot be replayed, since the code that it ran is not in it.

    tracenet.json    the format, its version, and which tracenet wrote it
    trace.json       title, outputs, gradients, where values left the trace
    values.json, ops.json, blocks.json      the records, by columns
    data.json        which array each value is, or what else
    settings.json, arrays.json, arrays/0.npy …
"""

from __future__ import annotations

from .load import LoadedTrace, is_saved, load_trace
from .save import save

__all__ = ["LoadedTrace", "is_saved", "load_trace", "save"]
