"""What stands in a box or at an arrow, as blocks: the same as `label` says in Graphviz's words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..diagram import Edge, Node, Shown, Text, plain
from . import palette
from .blocks import beside, line, padded, stacked, table, words
from .label import (
    ACROSS,
    BAR,
    BAR_HEIGHT,
    NUMBER_SIZE,
    SMALL_SIZE,
    TEXT_SIZE,
    aligned,
    is_number,
    is_struck,
    pixel,
    times,
)
from .palette import Ink
from .placement import CLEAR, Block, Box, Mark

CORNER = 8.0
PIXEL = 5.0
"""The side of a square of a heatmap."""
AIR_ACROSS, AIR_ALONG = 8.0, 5.0
"""Between a box and what stands in it."""


# ---------------------------------------------------------------------- boxes and arrows


def of_node(node: Node) -> Block:
    """A box with all that stands in it; its border is its first mark."""
    ink = palette.NODES[node.kind]
    if is_struck(node):
        return padded(line(node.shown[0].name, palette.STRUCK, struck=True), 3, 1)
    rows = [line(text) for text in (node.title, *node.lines) if any(run.text for run in text)]
    if shown := arrays(node.shown, ink):
        rows.append(padded(shown, 0, 2 if rows else 0))
    if node.table:
        rows.append(padded(_table(node.table), 0, 1))
    if node.remark:
        colour = palette.MARKS.get(node.mark, palette.QUIET)
        rows.append(words(node.remark, SMALL_SIZE, colour, italic=not node.mark))
    inside = stacked(rows or [words(node.name or " ", TEXT_SIZE)], 1)
    box = padded(inside, AIR_ACROSS, AIR_ALONG)
    dash = "5 3" if ink.dashed else ""
    border = palette.ALARM_TEXT if node.mark == "wrong" else ink.border
    box.marks = [Box(0, 0, box.width, box.height, ink.ground, border, CORNER, dash)]
    return box


def _table(lines: Sequence[Sequence[Text]]) -> Block:
    """Columns beside each other: the first at the left, all headings small."""
    height = line(lines[0][0]).height
    heads = [words(plain(cell), SMALL_SIZE, palette.QUIET) for cell in lines[0]]
    columns = []
    for number, cells in enumerate(zip(*lines[1:], strict=True)):
        rows = [Block(heads[number].width, height, (), ((0, 2, heads[number]),))]
        rows += [line(cell) for cell in cells]
        columns.append(stacked(rows, 1) if number else table([[row] for row in rows], 1, right=()))
    return beside(columns, 9)


def of_edge(edge: Edge) -> Block | None:
    """The arrays that flow along an arrow, or None."""
    return arrays(edge.shown, palette.EDGES[edge.kind])


# ---------------------------------------------------------------------- arrays


def arrays(shown: Sequence[Shown], ink: Ink) -> Block | None:
    """Arrays side by side, each name above its numbers; single numbers under each other."""
    found: list[Block] = []
    named = any(item.name for item in shown)
    for numbers, group in groupby(shown, key=is_number):
        items = list(group)
        if numbers and len(items) > 1:
            height = -(-len(items) // -(-len(items) // ACROSS))  # blocks as equal as can be
            found += [_numbers(items[i : i + height], ink) for i in range(0, len(items), height)]
        else:
            found += [_array(item, ink, named) for item in items]
    rows = [beside(found[i : i + ACROSS], 10) for i in range(0, len(found), ACROSS)]
    return stacked(rows, 5) if rows else None


def _numbers(items: Sequence[Shown], ink: Ink) -> Block:
    """Single numbers under each other: name, value."""
    values = aligned([(item.grid[0][0],) for item in items])
    rows = [
        [padded(line(item.name), 1, 0), _cell(value, ink, TEXT_SIZE)]
        for item, (value,) in zip(items, values, strict=True)
    ]
    return table(_widened(rows, 1), 1, right=(0, 1))


def _array(shown: Shown, ink: Ink, named: bool) -> Block:
    """One array under its name; a blank one where others beside it have names."""
    struck = shown.state == "not computed"
    grey = palette.QUIET if shown.state == "unused" else palette.TEXT
    name = line(shown.name, palette.STRUCK if struck else grey, struck)
    if is_number(shown):
        cell = _cell(shown.grid[0][0], ink, TEXT_SIZE)
        return beside([name, words(" = ", TEXT_SIZE), cell], 0) if shown.name else cell
    rows = [name] if named else []
    if shown.grid:
        rows.append(_grid(shown, ink))
    if shown.heat:
        rows.append(_heat(shown))
    if shown.bars:
        rows.append(_bars(shown, ink))
    if shown.image:
        rows.append(_image(shown))
    if shown.summary:
        rows.append(_summary(shown))
    if shown.state in STATES:
        rows.append(words(*STATES[shown.state]))
    return stacked(rows, 1) if rows else Block(0, 0)


STATES = {
    "NaN": ("contains NaN", SMALL_SIZE, palette.ALARM_TEXT),
    "infinite": ("contains ∞", SMALL_SIZE, palette.ALARM_TEXT),
    "constant": ("constant", SMALL_SIZE, palette.QUIET),
    "random": ("random", SMALL_SIZE, palette.QUIET),
    "not differentiable": ("not differentiable", SMALL_SIZE, palette.QUIET),
    "unused": ("in no operation", SMALL_SIZE, palette.QUIET),
}


def _grid(shown: Shown, ink: Ink) -> Block:
    rows = [[_cell(text, ink, NUMBER_SIZE) for text in row] for row in aligned(shown.grid)]
    numbers = table(_widened(rows, 0), 1, right=())
    if not shown.exponent:
        return numbers
    power = line(times(shown.exponent))
    size = numbers.width + 3 + power.width, max(numbers.height, power.height)
    middle = size[1] / 2
    inside = (
        (0.0, middle - numbers.height / 2, numbers),
        (numbers.width + 3, middle - power.height / 2, power),
    )
    return Block(*size, (), inside)


def _cell(text: str, ink: Ink, size: float) -> Block:
    """A number on its ground, which `_widened` makes as wide as its column."""
    alarm = "NaN" in text or "∞" in text
    number = words(text, size, palette.ALARM_TEXT if alarm else palette.TEXT)
    cell = padded(number, 3, 0.5)
    cell.marks = [Box(0, 0, 0, 0, palette.ALARM_CELL if alarm else ink.cell)]
    return _stretched(cell, cell.width)


def _stretched(cell: Block, width: float) -> Block:
    """A cell of another width: its number stays at the right."""
    _, y, number = cell.inside[0]
    ground = Box(0, 0, width, cell.height, cell.marks[0].fill)  # type: ignore[union-attr]
    return Block(width, cell.height, (ground,), ((width - number.width - 3, y, number),))


def _widened(rows: list[list[Block]], first: int) -> list[list[Block]]:
    """The cells of each column from the first one on, all as wide as the widest."""
    widths = [max(block.width for block in column) for column in zip(*rows, strict=True)]
    return [
        [
            _stretched(cell, width) if i >= first and cell.width != width else cell
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]


def _heat(shown: Shown) -> Block:
    """Squares in colours, those of one colour beside each other in one piece, and a border."""
    return _squares([[palette.heat(x) for x in row] for row in shown.heat], PIXEL)


def _bars(shown: Shown, ink: Ink) -> Block:
    """A histogram, on the ground of its numbers."""
    width, height = BAR * len(shown.bars) + 1, BAR_HEIGHT + 2
    marks: list[Mark] = [Box(0, 0, width, height, ink.cell)]
    for i, share in enumerate(shown.bars):
        if share:
            tall = max(1.0, share * BAR_HEIGHT)
            marks.append(Box(1 + BAR * i, height - 1 - tall, BAR - 1, tall, palette.QUIET))
    return padded(Block(width, height, marks), 3, 2)


def _image(shown: Shown) -> Block:
    """A picture in its own colours, which no theme changes."""
    colours = [[palette.pictured(colour) for colour in row] for row in shown.image]
    return _squares(colours, pixel(shown))


def _squares(colours: Sequence[Sequence[str]], side: float) -> Block:
    marks: list[Mark] = []
    for i, row in enumerate(colours):
        at = 0
        for colour, group in groupby(row):
            count = len(list(group))
            marks.append(Box(1 + side * at, 1 + side * i, side * count, side, colour))
            at += count
    width, height = side * len(colours[0]) + 2, side * len(colours) + 2
    marks.append(Box(0.5, 0.5, width - 1, height - 1, CLEAR, palette.STRUCK_ARROW))
    return padded(Block(width, height, marks), 3, 2)


def _summary(shown: Shown) -> Block:
    """The lines of a summary: shape and dtype, then label and number of each statistic."""
    head, *others = shown.summary
    rows = []
    for text in others:
        label, _, value = text.rpartition(" ")
        alarm = palette.ALARM_TEXT if label in ("NaN", "∞") else ""
        left = words(f"{label} ", SMALL_SIZE, alarm or palette.QUIET)
        rows.append([left, words(value, SMALL_SIZE, alarm or palette.TEXT)])
    first = words(head, SMALL_SIZE, palette.QUIET)
    return stacked([first, table(rows, 0, right=(0,))], 0) if rows else first
