"""tracenet's own placement of a circuit: gates in columns, each wire at a height of its own.

Every leaf has a slot, and so has every further use of a value: the height at which that wire runs.
A gate stands at the mean height of the wires that are its own, as the nodes of a tree do. The slots
of two gates lie apart, so no wire runs through a gate of another branch, and no labels meet.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import reduce

from ..diagram import Diagram, Edge, Node
from . import palette
from .arrows import WIDTH
from .blocks import line, padded, words
from .label import SMALL_SIZE
from .palette import Ink
from .placement import CLEAR, Area, Block, Box, Mark, Placement, Point, Shape
from .typeset import arrays

GATE = 30.0
"""The height of a gate; one with a longer symbol is wider."""
ABOVE, BELOW = 2.5, 2.5
"""Between a wire and what is written over and under it."""
APART = 9.0
"""Between the labels of two wires."""
BEND, FORK = 20.0, 26.0
"""Room in which wires bend towards a gate, and in which the uses of one value part."""
AIR = 7.0
"""At either end of a label."""
ROUNDNESS = 0.5523
"""How far the handles of a quarter of a circle reach, of its radius."""
DOT = 2.6
"""Half the width of the dot from which uses of one value part."""


@dataclass(slots=True)
class _Wire:
    """One use of a value. y: the height at which it runs; above, below: what is written on it."""

    edge: Edge
    above: Block | None
    below: Block | None
    forked: bool
    y: float = 0.0

    @property
    def width(self) -> float:
        """The width of what is written on it."""
        return max((block.width for block in (self.above, self.below) if block), default=0.0)


def placed(diagram: Diagram) -> Placement:
    """Where everything of a circuit lies."""
    return _Circuit(diagram).done()


class _Circuit:
    def __init__(self, diagram: Diagram) -> None:
        self.nodes = {node.id: node for node in diagram.nodes}
        self.boxes = {id: _box(node) for id, node in self.nodes.items()}
        self.wires = [_wire(edge, self._is_shared(diagram, edge)) for edge in diagram.edges]
        self.into: dict[str, list[_Wire]] = defaultdict(list)
        self.out: dict[str, list[_Wire]] = defaultdict(list)
        for wire in self.wires:
            self.into[wire.edge.head].append(wire)
            self.out[wire.edge.tail].append(wire)
        self.y: dict[str, float] = {}
        self.slots = 0
        self.step = max([GATE + APART, *map(_height, self.wires)])
        for node in diagram.nodes:
            if not self.out[node.id]:
                self._raise(node.id)
        self._centre_leaves()
        self.x = self._columns()

    def _is_shared(self, diagram: Diagram, edge: Edge) -> bool:
        return sum(other.tail == edge.tail for other in diagram.edges) > 1

    # ------------------------------------------------------------------ heights

    def _slot(self) -> float:
        self.slots += 1
        return (self.slots - 1) * self.step

    def _raise(self, last: str) -> None:
        """Gives a box and all that leads to it their heights; deep circuits need no recursion."""
        waiting = [last]
        while waiting:
            id = waiting[-1]
            if id in self.y:
                waiting.pop()
                continue
            new = [w.edge.tail for w in self.into[id] if w.edge.tail not in self.y and not w.forked]
            if new:
                waiting.append(new[0])
                continue
            for wire in self.into[id]:
                if wire.forked:
                    wire.y = self._slot()
            waiting.pop()
            self._settle(id)
        for wire in self.wires:  # the tails of forked wires
            if wire.edge.tail not in self.y and wire.edge.head in self.y:
                self._raise(wire.edge.tail)

    def _settle(self, id: str) -> None:
        """A box whose inputs have their heights gets its own."""
        into = self.into[id]
        for wire in into:
            if not wire.forked:
                wire.y = self.y[wire.edge.tail]
        heights = [wire.y for wire in into]
        self.y[id] = sum(heights) / len(heights) if heights else self._slot()

    def _centre_leaves(self) -> None:
        """An input that is used several times stands amid its wires, between two slots."""
        for id, node in self.nodes.items():
            if self.into[id] or len(self.out[id]) < 2:
                continue
            heights = [wire.y for wire in self.out[id]]
            middle = (sum(heights) / len(heights) // self.step + 0.5) * self.step
            others = [
                self.y[o] for o, n in self.nodes.items() if n.column == node.column and o != id
            ]
            if all(abs(y - middle) > GATE for y in others):
                self.y[id] = middle

    # ------------------------------------------------------------------ columns

    def _columns(self) -> dict[int, float]:
        """The left end of each column; its boxes stand in the middle of it."""
        widths: dict[int, float] = defaultdict(float)
        gaps: dict[int, float] = defaultdict(lambda: BEND)
        self.forks: set[int] = set()
        for id, node in self.nodes.items():
            widths[node.column] = max(widths[node.column], self.boxes[id].width)
        for wire in self.wires:
            column = self.nodes[wire.edge.tail].column
            if wire.forked:
                self.forks.add(column)
        for wire in self.wires:
            column = self.nodes[wire.edge.tail].column
            room = BEND + (FORK if column in self.forks else 0)
            gaps[column] = max(gaps[column], wire.width + 2 * AIR + room)
        x, found = 0.0, {}
        for column in range(max(widths, default=0) + 1):
            found[column] = x
            x += widths[column] + gaps[column]
        self.widths = widths
        return found

    def _area(self, id: str) -> Area:
        """Where a box lies: names of inputs end at their wires, results begin there."""
        node, box = self.nodes[id], self.boxes[id]
        left, room = self.x[node.column], self.widths[node.column] - self.boxes[id].width
        share = 1.0 if not self.into[id] else 0.0 if not self.out[id] else 0.5
        x, y = left + share * room, self.y[id]
        return Area(x, y - box.height / 2, x + box.width, y + box.height / 2)

    # ------------------------------------------------------------------ marks

    def done(self) -> Placement:
        areas = {id: self._area(id) for id in self.nodes}
        blocks: dict[str, list[tuple[float, float, Block]]] = {}
        seen = list(areas.values())
        for wire in self.wires:
            tail, head = areas[wire.edge.tail], areas[wire.edge.head]
            blocks[wire.edge.id] = [(0.0, 0.0, Block(0, 0, self._line(wire, tail, head)))]
            for x, y, block in self._written(wire):
                blocks[wire.edge.id].append((x, y, block))
                seen.append(Area(x, y, x + block.width, y + block.height))
        for id, area in areas.items():
            blocks[id] = [(area.left, area.top, self.boxes[id])]
        return Placement(reduce(Area.around, seen, Area(0, 0, 0, 0)), blocks, areas)

    def _begin(self, wire: _Wire) -> float:
        """Where what is written on a wire begins."""
        column = self.nodes[wire.edge.tail].column
        fork = FORK if column in self.forks else 0
        return self.x[column] + self.widths[column] + fork + AIR

    def _line(self, wire: _Wire, tail: Area, head: Area) -> list[Mark]:
        """A wire: from its box, or from the dot, to its height, along, and round to the gate."""
        y, start = wire.y, (tail.bottom + tail.top) / 2
        middle = (head.top + head.bottom) / 2
        code, points = "M", [(tail.right, start)]
        marks: list[Mark] = []
        if wire.forked:
            dot = (tail.right + AIR, start)
            end = self._begin(wire) - AIR / 2
            code, points = "MLC", [*points, dot, *_curve(dot, (end, y))]
            marks.append(Box(dot[0] - DOT, start - DOT, 2 * DOT, 2 * DOT, palette.GREY, CLEAR, DOT))
        if y == middle:
            code, points = code + "L", [*points, (head.left, middle)]
        else:
            target = _port(head, y)
            turn = (head.left - BEND, y)
            code, points = code + "LC", [*points, turn, *_curve(turn, target)]
        return [Shape(code, tuple(points), palette.GREY, CLEAR, WIDTH), *marks]

    def _written(self, wire: _Wire) -> list[tuple[float, float, Block]]:
        x, found = self._begin(wire), []
        for block, y in ((wire.above, wire.y - ABOVE), (wire.below, wire.y + BELOW)):
            if block is not None:
                top = y - block.height if block is wire.above else y
                found.append((x + (wire.width - block.width) / 2, top, block))
        return found


def _box(node: Node) -> Block:
    """A gate in its circle; the name of an input or of a result by itself."""
    ink = palette.NODES[node.kind]
    text = line(node.title)
    if node.kind not in ("forward", "loss"):
        return padded(text, 3, 1)
    width = max(GATE, text.width + 16)
    border = gate(width, ink)
    inside: list[tuple[float, float, Block]] = [
        ((width - text.width) / 2, (GATE - text.height) / 2, text)
    ]
    if node.remark:
        colour = palette.MARKS.get(node.mark, palette.QUIET)
        note = words(node.remark, SMALL_SIZE, colour, italic=not node.mark)
        inside.append(((width - note.width) / 2, GATE, note))
    return Block(width, GATE, (border,), inside)


def gate(width: float, ink: Ink) -> Shape:
    """The border of a gate: a circle, or what two halves of one and lines between them enclose."""
    r, k = GATE / 2, GATE / 2 * (1 - ROUNDNESS)
    right, low = width - r, GATE
    points = (
        (r, 0), (right, 0), (width - k, 0), (width, k), (width, r),
        (width, low - k), (width - k, low), (right, low),
        (r, low), (k, low), (0, low - k), (0, r), (0, k), (k, 0), (r, 0),
    )  # fmt: skip
    return Shape("MLCCLCCZ", points, ink.border, ink.ground)


def _wire(edge: Edge, forked: bool) -> _Wire:
    """A wire with its value over it and its gradient under it."""
    value, gradient = palette.EDGES["data"], palette.EDGES["gradient"]
    above = arrays(edge.shown[:1], value)
    return _Wire(edge, above, arrays(edge.shown[1:2], gradient), forked)


def _height(wire: _Wire) -> float:
    """Twice the room that a wire needs at its wider side, and what parts it from the next."""
    sides = [block.height for block in (wire.above, wire.below) if block is not None]
    return sum(sides) + ABOVE + BELOW + APART


def _curve(start: Point, end: Point) -> tuple[Point, Point, Point]:
    """A curve that leaves and arrives level."""
    middle = (start[0] + end[0]) / 2
    return (middle, start[1]), (middle, end[1]), end


def _port(head: Area, y: float) -> Point:
    """Where a wire that comes from a height meets a gate: on the upper or lower left of it."""
    middle, radius = (head.top + head.bottom) / 2, (head.bottom - head.top) / 2
    if radius < GATE / 2 - 1:  # a name
        return head.left, middle
    side = -1 if y < middle else 1
    return head.left + radius * (1 - 0.866), middle + side * radius * 0.5
