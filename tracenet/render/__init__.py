"""Writes diagrams: a `Diagram` becomes the bytes of a file.

Each format is one module with `encode(diagram)`, named in one table here, and loaded when it is
first asked for. A file is written whole or not at all.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ..cycles import no_search_for_cycles
from ..diagram import Diagram
from ..errors import UsageError, unknown
from ..files import check_folder, replacing

FORMATS = {
    "svg": "svg",
    "png": "png",
    "pdf": "pdf",
    "dot": "dot",
    "gv": "dot",
    "json": "diagram_json",
    "tex": "tex",
    "md": "markdown",
    "html": "page",
}
"""The suffix of a file → the module that writes it."""


COLOURED = ("svg", "png", "pdf", "dot", "gv", "tex", "html")
"""The formats that have colours: .json and .md have none, and are the same in every theme."""


def encode(
    diagram: Diagram,
    format: str,
    steps: bool = False,
    *,
    theme: str | Path = "default",
    ground: str = "light",
    dpi: float | None = None,
    width: int | None = None,
) -> bytes:
    """The diagram in a format, named by its suffix, `"svg"` or `".svg"`.

    steps: in TeX, boxes appear one after the other, in the order of the run, on slides of beamer.
    theme: `"default"`, `"cs231n"`, `"ng"`, `"mono"` or a TOML file. ground: `"light"`, `"dark"`,
    `"both"` (the reader's own, in SVG and HTML) or `"transparent"`. dpi: pixels an inch of a PNG;
    width: its width in pixels, instead.

    Raises UsageError for what does not exist or go together, EngineError where the picture is too
    large for the format, or a Graphviz that was asked for is missing.
    """
    suffix = format.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise unknown("format", format, FORMATS)
    options = _options(suffix, steps, theme, ground, dpi, width)
    writer = import_module(f".{FORMATS[suffix]}", __name__)
    with no_search_for_cycles():
        data: bytes = writer.encode(diagram, **options)
    return data


def check_options(
    suffix: str, theme: str | Path = "default", ground: str = "light",
    dpi: float | None = None, width: int | None = None, steps: bool = False,
) -> None:  # fmt: skip
    """Raises UsageError for options of `encode` that mean nothing in a format."""
    _options(suffix, steps, theme, ground, dpi, width)


def _options(
    suffix: str, steps: bool, theme: str | Path, ground: str, dpi: float | None, width: int | None
) -> dict[str, Any]:
    """What a writer is told besides the diagram: only what it knows of, and is not usual."""
    found: dict[str, Any] = {}
    if steps:
        if suffix != "tex":
            raise UsageError(f"only .tex is drawn in steps, as slides show them; .{suffix} is not")
        found["steps"] = True
    for name, size in (("dpi", dpi), ("width", width)):
        if size is not None:
            if suffix != "png":
                raise UsageError(f"{name} is for .png, and .{suffix} has no pixels: leave it out")
            if not 0 < size < float("inf"):
                raise UsageError(f"{name} must be more than 0, got {size}")
            found[name] = size
    if len(found) > 1:
        raise UsageError(
            f"dpi and width both say how large a .png is, got {dpi:g} and {width}: give one"
        )
    if (str(theme), ground) != ("default", "light"):
        from .theme import paint

        made = paint(theme, ground, suffix)
        if suffix in COLOURED:
            found["paint"] = made
    return found


def write(diagram: Diagram, path: str | Path, steps: bool = False, **options: Any) -> Path:
    """Draws the diagram into a file, in the format of its suffix; what was there is replaced.

    options: those of `encode`.
    """
    path = Path(path)
    if not path.suffix:
        raise UsageError(f"{str(path)!r} has no suffix: choose one of {', '.join(FORMATS)}")
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise unknown("format", path.suffix, FORMATS)
    check_folder(path)
    return write_bytes(path, encode(diagram, path.suffix, steps, **options))


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Writes a file in one step: readers see the old one or the new one, never half of it."""
    with replacing(path) as file:
        file.write(data)
    return Path(path)
