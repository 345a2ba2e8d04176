"""A diagram as SVG, written by ourselves from a placement.

Each piece of text is written with its measured width as `textLength`, so that it stays in its box
whatever font the reader has; raised text is written as smaller, shifted text, as `baseline-shift`
is not understood everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, reduce
from xml.sax.saxutils import escape, quoteattr
from zlib import crc32

from ..cycles import no_search_for_cycles
from ..diagram import Diagram, Node
from . import label, palette, story
from .fonts import CSS_FAMILY
from .frames import AIR, Fence, boxes
from .hover import titles
from .placement import CLEAR, Area, Block, Box, Placement, Shape, Words
from .placing import placed
from .theme import Paint

MARGIN = 12
TAKES = {"M": 1, "L": 1, "H": 1, "Q": 2, "C": 3, "Z": 0}
"""How many points each step of a path takes."""

STYLE = (
    "text{white-space:pre}"
    ".node:hover>path:first-of-type,.edge:hover>path{filter:brightness(.97)}"
    ".edge:hover>path{stroke-width:2.4}"
)


def encode(diagram: Diagram, paint: Paint | None = None) -> bytes:
    """The diagram as SVG, in the colours of a theme; by default those of the palette."""
    with no_search_for_cycles():  # cells of a notebook come here, and not by `render.encode`
        text = "".join(_Writer(diagram, placed(diagram), paint).written())
    if paint is not None and paint.night:
        text = text.replace("</style>", f"{paint.rules(text)}</style>", 1)
    return text.encode("utf-8")


class _Writer:
    def __init__(self, diagram: Diagram, placement: Placement, paint: Paint | None) -> None:
        self.diagram = diagram
        self.paint = paint
        self.ground = palette.WHITE if paint is None else paint.paper
        self.blocks = placement.blocks
        self.frames = boxes(diagram, placement)
        whole = reduce(Area.around, (box.area for box in self.frames), placement.area)
        whole = whole.proportioned(diagram.ratio, MARGIN)
        self.left, self.top = whole.left - MARGIN, whole.top - MARGIN
        self.width = whole.right - whole.left + 2 * MARGIN
        self.height = whole.bottom - whole.top + 2 * MARGIN

    def written(self) -> Iterator[str]:
        width, height = rounded(self.width), rounded(self.height)
        name, words = story.title(self.diagram), story.told(self.diagram)
        mark = f"{crc32(words.encode()):08x}"  # pictures of one page must not share it
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}pt"'
            f' height="{height}pt" viewBox="0 0 {width} {height}"'
            f' aria-labelledby="t{mark} d{mark}" font-family="{CSS_FAMILY}">\n'
            f'<title id="t{mark}">{escape(name)}</title>\n'
            f'<desc id="d{mark}">{escape(words)}</desc>\n<style>{STYLE}</style>\n'
        )
        if self.ground != CLEAR:
            yield f'<rect width="{width}" height="{height}" fill={quoteattr(self.ground)}/>\n'
        told = titles(self.diagram)
        yield from map(self._frame, self.frames)
        for edge in self.diagram.edges:
            yield from self._group(edge.id, f"edge {edge.kind}", told[edge.id])
        for node in sorted(self.diagram.nodes, key=_turn):
            yield from self._group(node.id, f"node {node.kind}", told[node.id])
        if self.diagram.legend:
            yield from self._group("legend", "legend", "Legend")
        yield "</svg>\n"

    def _group(self, id: str, kind: str, title: str) -> Iterator[str]:
        yield f'<g id="{id}" class="{kind}">\n<title>{escape(title)}</title>\n'
        for x, y, block in self.blocks.get(id, ()):
            yield from drawn(block, x - self.left, y - self.top, self.paint)
        yield "</g>\n"

    def _frame(self, box: Fence) -> str:
        x, y = box.area.left - self.left, box.area.top - self.top
        width, height = box.area.right - box.area.left, box.area.bottom - box.area.top
        corner = f'x="{rounded(x)}" y="{rounded(y)}"'
        frame = Box(x, y, width, height, palette.FRAME_GROUND, palette.FRAME)
        ink = palette.QUIET
        if self.paint is not None:
            frame, ink = self.paint.mark(frame), self.paint.colour(ink)  # type: ignore[assignment]
        head = f'x="{rounded(x + AIR)}" y="{rounded(y + label.NUMBER_SIZE + 3)}"'
        return (
            f'<g id="{box.frame.id}" class="frame">\n'
            f"<title>{escape(label.clean(box.frame.name))}</title>\n"
            f'<rect {corner} width="{rounded(width)}" height="{rounded(height)}" rx="8"'
            f' fill="{frame.fill}" stroke="{frame.stroke}"/>\n'
            f'<text {head} font-size="{label.NUMBER_SIZE}" fill="{ink}">'
            f"{escape(box.name)}</text>\n</g>\n"
        )


def _turn(node: Node) -> tuple[int, int, int]:
    """The order in which boxes are read: forwards, then back, then the updates."""
    if node.kind == "update":
        return 2, node.column, node.lane
    if node.kind in ("backward", "gradient"):
        return 1, -node.column, node.lane
    return 0, node.column, node.lane


# ---------------------------------------------------------------------- marks


def drawn(block: Block, x: float, y: float, paint: Paint | None = None) -> Iterator[str]:
    """A block and those inside it, with its upper left corner at x, y."""
    waiting = [(x, y, block)]
    while waiting:
        x, y, block = waiting.pop()
        for mark in block.marks if paint is None else map(paint.mark, block.marks):
            yield _text(mark, x, y) if isinstance(mark, Words) else _area(mark, x, y)
        waiting += [(x + dx, y + dy, inner) for dx, dy, inner in reversed(block.inside)]


def _area(mark: Shape | Box, x: float, y: float) -> str:
    if mark.fill == CLEAR and mark.stroke == CLEAR:
        return ""
    line = f' stroke="{mark.stroke}"' if mark.stroke != CLEAR else ""
    if line and mark.dash:
        line += f' stroke-dasharray="{mark.dash}"'
    if isinstance(mark, Box):
        path = _box(mark, x + mark.x, y + mark.y)
        line = line or ' shape-rendering="crispEdges"'  # no seams between cells of a heatmap
    else:
        path = _path(mark, x, y)
        if line and mark.width != 1:
            line += f' stroke-width="{rounded(mark.width)}"'
    return f'<path d="{path}" fill="{mark.fill}"{line}/>\n'


def _box(box: Box, x: float, y: float) -> str:
    a, b = x + box.width, y + box.height
    if not box.corner:
        return _form("MLLLZ") % (x, y, a, y, a, b, x, b)
    r = min(box.corner, box.width / 2, box.height / 2)
    return _form("MLQLQLQLQZ") % (
        x + r, y, a - r, y, a, y, a, y + r, a, b - r, a, b, a - r, b,
        x + r, b, x, b, x, b - r, x, y + r, x, y, x + r, y,
    )  # fmt: skip


def _path(shape: Shape, x: float, y: float) -> str:
    numbers = [n for a, b in shape.points for n in (a + x, b + y)]
    if "H" in shape.code:
        numbers.pop()
    return _form(shape.code) % tuple(numbers)


def _text(words: Words, dx: float, dy: float) -> str:
    x, y, width, text, size, colour, bold, italic = words
    face = (' font-weight="bold"' if bold else "") + (' font-style="italic"' if italic else "")
    return (
        f'<text x="{x + dx:.7g}" y="{y + dy:.7g}" font-size="{size:.4g}"'
        f' fill="{colour}"{face} textLength="{width:.7g}"'
        f' lengthAdjust="spacingAndGlyphs">{escape(_firm(text))}</text>\n'
    )


@cache
def _form(code: str) -> str:
    """A path with places for its numbers."""
    return "".join(letter + " ".join(["%.7g %.7g"] * TAKES[letter]) for letter in code).replace(
        "H%.7g %.7g", "H%.7g"
    )


def _firm(words: str) -> str:
    """Spaces at the ends made unbreakable, as SVG drops others and would stretch the rest."""
    if words[0] != " " != words[-1]:
        return words
    left, right = len(words) - len(words.lstrip(" ")), len(words) - len(words.rstrip(" "))
    return "\u00a0" * left + words.strip(" ") + "\u00a0" * right


def rounded(x: float) -> str:
    """A number as short as two decimals allow.

    >>> rounded(12.0), rounded(0.127), rounded(-0.001)
    ('12', '0.13', '0')
    """
    text = f"{x:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
