"""Blocks put beside and under each other, and those of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from ..diagram import Text
from . import metrics, palette
from .label import NUMBER_SIZE, TEXT_SIZE, clean, shortened
from .placement import Block, Mark, Shape, Words

RISE = 0.78
"""How far letters reach above their baseline, brackets and raised text included."""
LINE = 1.32
"""The height of a line of text. Both are in sizes of the text."""
SMALLER = 5 / 6
"""How much smaller raised and lowered text is than its size says, in Graphviz as well."""


def beside(blocks: Sequence[Block], gap: float) -> Block:
    """Blocks in a row, their tops at one height."""
    x, inside = 0.0, []
    for block in blocks:
        inside.append((x, 0.0, block))
        x += block.width + gap
    return Block(x - gap, max(block.height for block in blocks), (), inside)


def stacked(blocks: Sequence[Block], gap: float) -> Block:
    """Blocks under each other, their middles in a line."""
    width = max(block.width for block in blocks)
    y, inside = 0.0, []
    for block in blocks:
        inside.append(((width - block.width) / 2, y, block))
        y += block.height + gap
    return Block(width, y - gap, (), inside)


def table(rows: Sequence[Sequence[Block]], gap: float, right: Iterable[int]) -> Block:
    """Rows of equally many blocks; the columns named in `right` end at one place."""
    widths = [max(block.width for block in column) for column in zip(*rows, strict=True)]
    ends, y, inside = frozenset(right), 0.0, []
    for row in rows:
        x = 0.0
        for i, (block, width) in enumerate(zip(row, widths, strict=True)):
            inside.append((x + (width - block.width if i in ends else 0.0), y, block))
            x += width + gap
        y += max(block.height for block in row) + gap
    return Block(sum(widths) + gap * (len(widths) - 1), y - gap, (), inside)


def padded(block: Block, across: float, along: float, marks: Sequence[Mark] = ()) -> Block:
    """A block with air at its sides, above and below it, and marks behind it."""
    size = block.width + 2 * across, block.height + 2 * along
    return Block(*size, marks, ((across, along, block),))


def words(
    text: str, size: float, colour: str = palette.TEXT, bold: bool = False, italic: bool = False
) -> Block:
    """One line of text in one style, made safe and cut where it is too long."""
    text = shortened(clean(text))
    width = metrics.width(text, size, bold, italic)
    if not text.strip():
        return Block(width, LINE * size)
    mark = Words(0, LINE * size * RISE, width, text, size, colour, bold, italic)
    return Block(width, LINE * size, (mark,))


@lru_cache(maxsize=1 << 12)
def line(text: Text, colour: str = palette.TEXT, struck: bool = False) -> Block:
    """One line of styled text, as formulas and names are."""
    baseline = LINE * TEXT_SIZE * RISE
    x, marks = 0.0, []
    for run in text:
        piece, styles = shortened(clean(run.text)), run.style.split()
        size, y = float(TEXT_SIZE), baseline
        if "sup" in styles or "sub" in styles:
            y, size = shifted(baseline, NUMBER_SIZE, "sup" in styles)
        italic = "i" in styles and not any("\u0370" <= c <= "\u03ff" for c in piece)
        width = metrics.width(piece, size, "b" in styles, italic)
        if piece.strip():
            marks.append(Words(x, y, width, piece, size, colour, "b" in styles, italic))
        x += width
    everything: list[Mark] = [*marks, *([strike(0, baseline, x, colour)] if struck and x else [])]
    return Block(x, LINE * TEXT_SIZE, everything)


def shifted(y: float, size: float, raised: bool) -> tuple[float, float]:
    """Baseline and size of raised or lowered text, from those of the text around it."""
    return y + (-0.42 if raised else 0.22) * size, size * SMALLER


def strike(x: float, y: float, width: float, colour: str) -> Shape:
    """A line at one height through all of a name on a baseline, raised letters included."""
    height = y - 0.28 * TEXT_SIZE
    return Shape("MH", ((x, height), (x + width, height)), colour, width=0.9)
