"""Writes diagrams: a `Diagram` becomes the bytes of a file.

Each format is one module with `encode(diagram)`, named in one table here, and loaded when it is
first asked for. A file is written whole or not at all.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from ..diagram import Diagram
from ..errors import EngineError, UsageError, unknown
from ..files import check_folder, replacing

FORMATS = {
    "svg": "svg",
    "png": "png",
    "pdf": "pdf",
    "dot": "dot",
    "gv": "dot",
    "json": "diagram_json",
}
"""The suffix of a file → the module that writes it."""


def encode(diagram: Diagram, format: str) -> bytes:
    """The diagram in a format, named by its suffix, `"svg"` or `".svg"`.

    Raises UsageError for an unknown format, EngineError where Graphviz is needed and missing.
    """
    suffix = format.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise unknown("format", format, FORMATS)
    writer = import_module(f".{FORMATS[suffix]}", __name__)
    try:
        data: bytes = writer.encode(diagram)
    except EngineError as error:
        if type(error).__name__ != "Crash" or not any(edge.shown for edge in diagram.edges):
            raise
        data = writer.encode(
            replace(diagram, edges=tuple(replace(e, shown=()) for e in diagram.edges))
        )
        warnings.warn(
            f"{error}; the arrays beside the arrows are left out. They are in .json and .dot",
            stacklevel=3,
        )
    return data


def write(diagram: Diagram, path: str | Path) -> Path:
    """Draws the diagram into a file, in the format of its suffix; what was there is replaced."""
    path = Path(path)
    if not path.suffix:
        raise UsageError(f"{str(path)!r} has no suffix: choose one of {', '.join(FORMATS)}")
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise unknown("format", path.suffix, FORMATS)
    check_folder(path)
    return write_bytes(path, encode(diagram, path.suffix))


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Writes a file in one step: readers see the old one or the new one, never half of it."""
    with replacing(path) as file:
        file.write(data)
    return Path(path)
