"""The legend of a picture: what its boxes, arrows and values are, and of no others.

A legend is a table of keys. As a block of marks it stands under the picture, in its colours; in DOT
it is the label of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..diagram import Diagram, Edge, Node, Run, plain
from . import label, palette
from .arrows import arrow
from .blocks import LINE, line, padded, words
from .circuit import GATE, gate
from .label import NUMBER_SIZE, SMALL_SIZE
from .placement import CLEAR, Area, Block, Box, Mark, Placement

ID = "legend"
WIDE, HIGH = 26.0, 13.0
"""The size of what stands before a word."""
GAP, BETWEEN, AIR = 26.0, 16.0, 10.0
"""Between picture and legend; between two keys; inside the frame."""
NARROWEST = 380.0
"""The width of a legend under a picture that is narrower."""
IN_ROWS = ("blocks", "network", "cache", "ops")

BOXES = {
    "input": "data",
    "parameter": "parameters",
    "value": "value",
    "forward": "forward block",
    "loss": "loss",
    "cache": "cache: what the forward block keeps",
    "backward": "backward block",
    "gradient": "gradients that come out",
    "update": "update of parameters",
}
OTHERWISE = {
    "network": {"forward": "layer, with its parameters"},
    "ops": {"forward": "operation", "backward": "its mirror in the backward pass"},
    "circuit": {"forward": "gate", "loss": "gate that gives the loss"},
}
"""What boxes are in other views than that of blocks."""
LANES = ("parameters", "forward →", "cache", "← backward", "gradients", "updates")
STATES = {
    "not differentiable": "of whole numbers: there is no gradient",
    "constant": "array made in the code, no input",
    "random": "drawn by chance, and the same in both passes",
    "NaN": "an element is no number",
    "infinite": "an element is infinite",
}
VERDICTS = {
    "right": "as the derivative of the forward block",
    "scaled": "off by a factor",
    "wrong": "not the derivative of the forward block",
    "unchecked": "could not be checked",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend. look: what is drawn before the text; sort, colour: of what kind."""

    look: str
    text: str
    sort: str = ""
    colour: str = ""
    dash: str = ""


def keys(diagram: Diagram) -> dict[str, list[Key]]:
    """What is in a picture, under the headings Boxes, Arrows, Values, Check and Rows.

    In a circuit, these are Gates and Wires.
    """
    circuit = diagram.view == "circuit"
    found = {
        "Gates" if circuit else "Boxes": list(_boxes(diagram)),
        "Wires" if circuit else "Arrows": list(_arrows(diagram)),
        "Values": list(_values(diagram)),
        "Check": list(_verdicts(diagram)),
        "Rows": list(_rows(diagram)),
    }
    return {heading: items for heading, items in found.items() if items}


def _boxes(diagram: Diagram) -> Iterator[Key]:
    kinds = {node.kind for node in diagram.nodes if not label.is_struck(node)}
    look = "gate" if diagram.view == "circuit" else "box"
    if look == "gate":
        kinds &= {"forward", "loss"}  # what enters and leaves is a name without a box
    for kind, text in BOXES.items():
        if kind in kinds and not (kind == "parameter" and "input" in kinds):
            both = kind == "input" and "parameter" in kinds  # they look the same
            words = OTHERWISE.get(diagram.view, {}).get(kind, text)
            yield Key(look, "data and parameters" if both else words, kind)
    titles = [plain(node.title) for node in diagram.nodes]
    if any("×" in title and len(title) > 1 for title in titles if look == "box"):
        yield Key("words", "N equal blocks in one", "×N", palette.TEXT)
    if any(node.title and plain(node.title) == "⋯" for node in diagram.nodes):
        yield Key("words", "blocks that are left out", "⋯", palette.TEXT)


def _arrows(diagram: Diagram) -> Iterator[Key]:
    nodes = {node.id: node for node in diagram.nodes}
    if diagram.view == "circuit":
        if any(len(edge.shown) > 1 for edge in diagram.edges):
            yield Key("wire", "value over the wire, its gradient under it")
        elif diagram.edges:
            yield Key("wire", "value over the wire", "above")
        return
    seen = {_line(edge, nodes) for edge in diagram.edges}
    for (colour, dash), text in LINES.items():
        if (colour, dash) in seen:
            yield Key("arrow", text, "", colour, dash)
    loops = [edge for edge in diagram.edges if edge.tail == edge.head]
    if loops:
        colour, dash = _line(loops[0], nodes)
        yield Key("loop", "what each hands to the next", "", colour, dash)


def _line(edge: Edge, nodes: dict[str, Node]) -> tuple[str, str]:
    return label.edge_colour(edge, nodes), "5 3" if label.is_dashed(edge, nodes) else ""


LINES = {
    (palette.GREY, ""): "what a block is given",
    (palette.EDGES["data"].border, ""): "values, forward",
    (palette.EDGES["cache"].border, ""): "what is kept",
    (palette.EDGES["cache"].border, "5 3"): "what is kept, read backward",
    (palette.EDGES["gradient"].border, ""): "gradients, backward",
    (palette.STRUCK_ARROW, ""): "to what was not computed",
}


def _values(diagram: Diagram) -> Iterator[Key]:
    parts: tuple[Node | Edge, ...] = (*diagram.nodes, *diagram.edges)
    shown = [item for part in parts for item in part.shown]
    if any(item.heat for item in shown):
        yield Key("heat", "elements from −max to max, on one scale for arrays of a kind")
        if any(x is None for item in shown for row in item.heat for x in row):
            yield Key("ground", "NaN", "", palette.HEAT_NAN)
    if any(item.image for item in shown):
        yield Key("image", "a picture as it is")
    if any(item.state == "not computed" for item in shown):
        yield Key("struck", "not computed, and not zero", "dX", palette.STRUCK)
    if any("0" in row for item in shown for row in item.grid):
        yield Key("words", "zero exactly", "0", palette.TEXT)
    for state, text in STATES.items():
        if any(item.state == state for item in shown):
            alarm = state in ("NaN", "infinite")
            sign = {"NaN": "NaN", "infinite": "∞"}.get(state, state)
            colour = palette.ALARM_TEXT if alarm else palette.QUIET
            yield Key("words", text, sign, colour)


def _verdicts(diagram: Diagram) -> Iterator[Key]:
    marks = {node.mark for node in diagram.nodes}
    for mark, text in VERDICTS.items():
        if mark in marks:
            yield Key("words", text, mark, palette.MARKS[mark])


def _rows(diagram: Diagram) -> Iterator[Key]:
    if diagram.view in IN_ROWS:
        lanes = sorted({node.lane for node in diagram.nodes})
        if len(lanes) > 1:
            yield Key("", "from the top:")
            yield from (Key("", LANES[lane]) for lane in lanes if lane < len(LANES))


# ---------------------------------------------------------------------- under a picture


def under(placement: Placement, diagram: Diagram) -> Placement:
    """The placement with the legend under everything else."""
    area = placement.area
    found = block(diagram, max(area.right - area.left, NARROWEST))
    if found is None:
        return placement
    top = area.bottom + GAP
    whole = area.around(Area(area.left, top, area.left + found.width, top + found.height))
    blocks = {**placement.blocks, ID: [(area.left, top, found)]}
    return Placement(whole, blocks, placement.places)


def block(diagram: Diagram, width: float) -> Block | None:
    """The legend as a block at most so wide, or as wide as its longest key."""
    sections = keys(diagram)
    if not sections:
        return None
    heads = {name: words(name, NUMBER_SIZE, palette.QUIET, bold=True) for name in sections}
    indent = max(head.width for head in heads.values()) + BETWEEN
    inside: list[tuple[float, float, Block]] = []
    y = right = 0.0
    for name, items in sections.items():
        inside.append((0.0, y, heads[name]))
        x = indent
        for item in map(_drawn, items):
            if x > indent and x + item.width > width - 2 * AIR:
                x, y = indent, y + STEP
            inside.append((x, y, item))
            right = max(right, x + item.width)
            x += item.width + BETWEEN
        y += STEP
    frame = Box(0, 0, right + 2 * AIR, y + 2 * AIR - 4, palette.FRAME_GROUND, palette.FRAME, 8)
    return padded(Block(right, y - 4, (), inside), AIR, AIR, (frame,))


STEP = LINE * NUMBER_SIZE + 5
"""From one line of the legend to the next."""


def _drawn(key: Key) -> Block:
    """What a key looks like, and its text."""
    text = words(key.text, NUMBER_SIZE)
    if not key.look:
        return text
    look = LOOKS[key.look](key)
    middle = text.height / 2
    inside = ((0.0, middle - look.height / 2, look), (look.width + 6, 0.0, text))
    return Block(look.width + 6 + text.width, text.height, (), inside)


def _box(key: Key) -> Block:
    ink = palette.NODES[key.sort]
    dash = "5 3" if ink.dashed else ""
    return Block(WIDE, HIGH, (Box(0, 0, WIDE, HIGH, ink.ground, ink.border, 4, dash),))


def _gate(key: Key) -> Block:
    """A gate, as small as the letters beside it."""
    share = HIGH / GATE
    border = gate(GATE, palette.NODES[key.sort])
    points = tuple((x * share, y * share) for x, y in border.points)
    return Block(HIGH, HIGH, (border._replace(points=points),))


def _arrow(key: Key) -> Block:
    marks = arrow([(0, HIGH / 2), (WIDE + 6, HIGH / 2)], key.colour, key.dash)
    return Block(WIDE + 6, HIGH, marks)


def _loop(key: Key) -> Block:
    points = [(WIDE - 4, HIGH), (WIDE - 4, 1.0), (4, 1.0), (4, HIGH)]
    return Block(WIDE, HIGH, arrow(points, key.colour, key.dash))  # type: ignore[arg-type]


def _wire(key: Key) -> Block:
    """A line with a number's ground over it, and one under it."""
    marks: list[Mark] = [Box(6, 0, WIDE - 12, 5, palette.EDGES["data"].cell)]
    if not key.sort:
        marks.append(Box(6, HIGH - 5, WIDE - 12, 5, palette.EDGES["gradient"].cell))
    marks += arrow([(0, HIGH / 2), (WIDE, HIGH / 2)], palette.GREY)[:1]
    return Block(WIDE, HIGH, marks)


def _heat(key: Key) -> Block:
    """The colours from the least to the most."""
    levels = range(-palette.LEVELS, palette.LEVELS + 1)
    marks: list[Mark] = [
        Box(1 + 2.0 * i, 1, 2, 9, palette.heat(n / palette.LEVELS)) for i, n in enumerate(levels)
    ]
    marks.append(Box(0.5, 0.5, 2.0 * len(levels) + 1, 10, CLEAR, palette.STRUCK_ARROW))
    return Block(2.0 * len(levels) + 2, 11, marks)


def _image(key: Key) -> Block:
    """Three greys beside each other."""
    greys = [palette.pictured(grey) for grey in ("#303030", "#909090", "#e0e0e0")]
    marks: list[Mark] = [Box(0.5 + 4 * i, 1, 4, 9, grey) for i, grey in enumerate(greys)]
    marks.append(Box(0.5, 0.5, 12, 10, CLEAR, palette.STRUCK_ARROW))
    return Block(13, 11, marks)


def _ground(key: Key) -> Block:
    return Block(9, 9, (Box(0, 0, 9, 9, key.colour),))


def _words(key: Key) -> Block:
    small = key.colour == palette.QUIET
    return words(key.sort, SMALL_SIZE if small else NUMBER_SIZE, key.colour, bold=not small)


LOOKS: dict[str, Callable[[Key], Block]] = {
    "box": _box,
    "gate": _gate,
    "arrow": _arrow,
    "loop": _loop,
    "wire": _wire,
    "heat": _heat,
    "ground": _ground,
    "image": _image,
    "words": _words,
    "struck": lambda key: line((Run(key.sort),), key.colour, struck=True),
}


# ---------------------------------------------------------------------- in DOT


def html(diagram: Diagram) -> str:
    """The legend as a table in Graphviz's words; empty where there is nothing to say."""
    rows = []
    for heading, items in keys(diagram).items():
        cells = "".join(map(_cells, items))
        head = label.font(f"<B>{heading}</B>", NUMBER_SIZE, palette.QUIET)
        rows.append(
            f'<TR><TD ALIGN="LEFT">{head}</TD><TD ALIGN="LEFT">'
            f'<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="1" CELLSPACING="3"><TR>{cells}</TR>'
            "</TABLE></TD></TR>"
        )
    if not rows:
        return ""
    frame = f'BORDER="1" STYLE="ROUNDED" COLOR="{palette.FRAME}" CELLBORDER="0" CELLPADDING="1"'
    return f"<TABLE {frame}>{''.join(rows)}</TABLE>"


def _cells(key: Key) -> str:
    text = label.font(label.html(key.text), NUMBER_SIZE)
    if key.look in ("box", "gate"):
        ink = palette.NODES[key.sort]
        style = ' STYLE="DASHED"' if ink.dashed else ""
        sample = f'BORDER="1" COLOR="{ink.border}" BGCOLOR="{ink.ground}" WIDTH="{WIDE}"{style}'
        return f"<TD {sample}> </TD><TD>{text}</TD>"
    sign = {
        "arrow": "⇢" if key.dash else "→",
        "loop": "↺",
        "wire": "―",
        "heat": "− 0 +",
        "image": "▒",
    }
    shown = label.html(sign.get(key.look, key.sort or ("■" if key.look == "ground" else "")))
    if key.look == "struck":
        shown = f"<S>{shown}</S>"
    sample = label.font(shown, NUMBER_SIZE, key.colour) if shown else ""
    return (f"<TD>{sample}</TD>" if sample else "") + f"<TD>{text}</TD>"
