"""The legend of a picture: what its boxes, arrows and values are, and of no others.

It is a table of keys (`legend_keys`). As a block of marks it stands under the picture, in its
colours; in DOT it is the label of the graph.
"""

from __future__ import annotations

from collections.abc import Callable

from ..diagram import Diagram, Run
from . import label, palette
from .arrows import arrow
from .blocks import LINE, line, padded, words
from .circuit import GATE, gate
from .label import NUMBER_SIZE, SMALL_SIZE
from .legend_keys import Key, keys
from .placement import CLEAR, Area, Block, Box, Mark, Placement

ID = "legend"
WIDE, HIGH = 26.0, 13.0
"""The size of what stands before a word."""
GAP, BETWEEN, AIR = 26.0, 16.0, 10.0
"""Between picture and legend; between two keys; inside the frame."""
NARROWEST = 380.0
"""The width of a legend under a picture that is narrower."""


def under(placement: Placement, diagram: Diagram) -> Placement:
    """The placement with the legend under everything else."""
    area = placement.area
    found = block(diagram, max(area.right - area.left, NARROWEST))
    if found is None:
        return placement
    top = area.bottom + GAP
    whole = area.around(Area(area.left, top, area.left + found.width, top + found.height))
    blocks = {**placement.blocks, ID: [(area.left, top, found)]}
    return Placement(whole, blocks, placement.places, area)


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


def _bars(key: Key) -> Block:
    heights = (3.0, 8.0, 10.0, 6.0, 2.0)
    bars = [Box(4.0 * i, 11 - h, 3, h, palette.QUIET) for i, h in enumerate(heights)]
    return Block(4.0 * len(bars) - 1, 11, bars)


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
    "bars": _bars,
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
        "bars": "▂▅▃",
    }
    shown = label.html(sign.get(key.look, key.sort or ("■" if key.look == "ground" else "")))
    if key.look == "struck":
        shown = f"<S>{shown}</S>"
    sample = label.font(shown, NUMBER_SIZE, key.colour) if shown else ""
    return (f"<TD>{sample}</TD>" if sample else "") + f"<TD>{text}</TD>"
