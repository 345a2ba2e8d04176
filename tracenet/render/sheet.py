"""A placed diagram as one flat list of marks, for writers that draw and do not group.

What a block of marks holds is seen from its own corner; here everything is seen from the corner of
the sheet, with the margin that the SVG has as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce

from ..diagram import Diagram
from . import metrics, palette
from .frames import AIR, Fence, boxes
from .label import NUMBER_SIZE
from .placement import CLEAR, Area, Block, Box, Mark, Placement, Shape, Words
from .placing import placed
from .theme import Paint

MARGIN = 12


@dataclass(frozen=True, slots=True)
class Sheet:
    """The paper, and on it the marks of each frame, arrow and box, in the order of drawing.

    groups: the id of each, with its marks; what is drawn later lies above.
    """

    width: float
    height: float
    groups: tuple[tuple[str, tuple[Mark, ...]], ...]


def sheet(diagram: Diagram, paint: Paint | None = None) -> Sheet:
    """A diagram with everything in its place.

    paint: its paper, if it is not white, and its dashes; colours stay those of the palette.
    """
    page = _laid(diagram, placed(diagram))
    if paint is None:
        return page
    paper = tuple(paint.backdrop(page.width, page.height))
    groups = tuple((id, tuple(map(paint.dashed, marks))) for id, marks in page.groups)
    return replace(page, groups=((("paper", paper),) if paper else ()) + groups)


def _laid(diagram: Diagram, placement: Placement) -> Sheet:
    frames = boxes(diagram, placement)
    whole = reduce(Area.around, (box.area for box in frames), placement.area)
    whole = whole.proportioned(diagram.ratio, MARGIN)
    x, y = MARGIN - whole.left, MARGIN - whole.top
    groups = [(box.frame.id, tuple(moved(_fence(box), x, y))) for box in frames]
    ids = [*(edge.id for edge in diagram.edges), *(node.id for node in diagram.nodes)]
    for id in [*ids, "legend"] if diagram.legend else ids:
        blocks = placement.blocks.get(id, ())
        marks = tuple(m for dx, dy, block in blocks for m in moved(block, x + dx, y + dy))
        groups.append((id, marks))
    width, height = whole.right - whole.left, whole.bottom - whole.top
    return Sheet(width + 2 * MARGIN, height + 2 * MARGIN, tuple(groups))


def moved(block: Block, x: float, y: float) -> Iterator[Mark]:
    """The marks of a block and of those inside it, its upper left corner being at x, y."""
    for mark in block.marks:
        if isinstance(mark, Shape):
            yield mark._replace(points=tuple((a + x, b + y) for a, b in mark.points))
        else:
            yield mark._replace(x=mark.x + x, y=mark.y + y)
    for dx, dy, inner in block.inside:
        yield from moved(inner, x + dx, y + dy)


def _fence(box: Fence) -> Block:
    """A frame and its name."""
    area = box.area
    width, height = area.right - area.left, area.bottom - area.top
    marks: list[Mark] = [Box(0, 0, width, height, palette.FRAME_GROUND, palette.FRAME, 8)]
    if box.name.strip():
        long, y = metrics.width(box.name, NUMBER_SIZE), NUMBER_SIZE + 3
        marks.append(Words(AIR, y, long, box.name, NUMBER_SIZE, palette.QUIET))
    return Block(0, 0, (), [(area.left, area.top, Block(width, height, marks))])


def visible(mark: Mark) -> bool:
    """Whether anything of a mark is to be seen."""
    return isinstance(mark, Words) or mark.fill != CLEAR or mark.stroke != CLEAR
