"""A diagram as TikZ, for papers and slides: the same places, and formulas as real mathematics.

The file compiles by itself, and `\\input` of it takes the picture alone. Fonts are left to the
document: each piece of text gets the place that it has in the SVG, and is made smaller only where
the document's letters are so wide that it would leave its box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..diagram import Diagram, Run, Text
from ..errors import EngineError
from . import label
from .placement import CLEAR, Box, Mark, Shape, Words
from .sheet import Sheet, sheet, visible
from .steps import order
from .svg import rounded
from .tex_colours import definitions, name
from .tex_math import is_number, tex
from .theme import Paint

MOST = 16_000
"""The longest side that TeX can count to, in points."""
SLACK, NUMBER_SLACK = 6.0, 2.0
"""How much wider than measured a text may be, in points, before it is made smaller."""
SPACE = 0.28
"""The widest gap between two pieces of one line, in sizes of the text."""

START = r"""% {title}
% Drawn by tracenet. Compile this file, or \input it where tikz is loaded, for instance as
% \resizebox{{\linewidth}}{{!}}{{\input{{...}}}}; the picture is {width} by {height} bp.
\expandafter\ifx\csname @classoptionslist\endcsname\relax % no class yet: a document of its own
  \documentclass[12pt,border=2bp]{{standalone}}
  \usepackage{{tikz}}
  \begin{{document}}
  \def\tracenetend{{\end{{document}}}}
\else
  \def\tracenetend{{}}
\fi
\begin{{tikzpicture}}[x=1bp,y=-1bp,line width=1bp,inner sep=0pt,outer sep=0pt]
% Colours: those that the document has defined already stay as they are.
{colours}
% Text: at most as wide as its place.
\long\def\tracenetfit#1#2{{\setbox0\hbox{{#2}}%
  \ifdim\wd0>#1\relax\resizebox{{#1}}{{!}}{{\box0}}\else\box0\fi}}
% Letters that pdfTeX may not know.
\def\tracenetletter#1{{\ifdefined\Umathcode#1\else\textsf{{?}}\fi}}
% Outside of beamer there is one picture with everything.
\ifdefined\only\else\long\def\only<#1>#2{{#2}}\fi
\tikzset{{tracenet dashed/.style={{dash pattern=on 5bp off 3bp}},
  tracenet box/.style={{rectangle,rounded corners=7bp}}}}
\useasboundingbox (0,0) rectangle ({width},{height});
"""
END = r"""\end{tikzpicture}%
\tracenetend
"""


def encode(diagram: Diagram, paint: Paint | None = None, steps: bool = False) -> bytes:
    """The diagram as TikZ. steps: its boxes appear one after the other, on slides made by beamer."""
    page = sheet(diagram, paint)
    if max(page.width, page.height) > MOST:
        raise EngineError(
            f"the picture is {max(page.width, page.height):.0f} points long, and TeX counts to "
            f"{MOST}: draw less of it, with a smaller depth or without values, or write .pdf"
        )
    shown = order(diagram) if steps else {}
    return "".join(_written(diagram, page, shown, paint)).encode("utf-8")


def _written(
    diagram: Diagram, page: Sheet, steps: Mapping[str, int], paint: Paint | None
) -> Iterator[str]:
    nodes = {node.id: node for node in diagram.nodes}
    titles = {edge.id: label.edge_title(edge, nodes) for edge in diagram.edges}
    titles |= {node.id: node.name for node in diagram.nodes}
    yield START.format(
        title=label.clean(diagram.title),
        width=rounded(page.width),
        height=rounded(page.height),
        colours="\n".join(definitions(page, paint)),
    )
    for id, marks in page.groups:
        lines = list(_group(marks, id if id in nodes else ""))
        step = steps.get(id, 1)
        yield f"% {id}: {label.clean(titles.get(id, ''))}".rstrip() + "\n"
        yield from [f"\\only<{step}->{{%\n", *lines, "}\n"] if step > 1 else lines
    yield END


def _group(marks: Sequence[Mark], id: str) -> Iterator[str]:
    """What is drawn for one box or arrow; the border of a box is a node with a name."""
    shapes = [mark for mark in marks if visible(mark) and not isinstance(mark, Words)]
    named = next((m for m in shapes if isinstance(m, Box)), None) if id else None
    for mark in shapes:
        yield _node(mark, id) if mark is named else _shape(mark)  # type: ignore[arg-type]
    if id and named is None:
        yield _anchor(marks, id)
    for line in lines_of([mark for mark in marks if isinstance(mark, Words)]):
        yield _text(line)


# ---------------------------------------------------------------------- shapes


def _options(mark: Box | Shape) -> str:
    found = [f"draw={name(mark.stroke)}"] if mark.stroke != CLEAR else []
    found += [f"fill={name(mark.fill)}"] if mark.fill != CLEAR else []
    if mark.stroke != CLEAR and mark.dash:
        found.append(_dashes(mark.dash))
    if isinstance(mark, Shape) and mark.width != 1 and mark.stroke != CLEAR:
        found.append(f"line width={rounded(mark.width)}bp")
    return ",".join(found)


def _dashes(dash: str) -> str:
    if dash == "5 3":
        return "tracenet dashed"
    lengths = [f"{'off' if i % 2 else 'on'} {length}bp" for i, length in enumerate(dash.split())]
    return f"dash pattern={' '.join(lengths)}"


def _node(box: Box, id: str) -> str:
    size = f"minimum width={rounded(box.width)}bp,minimum height={rounded(box.height)}bp"
    middle = _point(box.x + box.width / 2, box.y + box.height / 2)
    kind = "tracenet box" if box.corner else "rectangle"
    return f"\\node[{kind},{_options(box)},{size}] ({id}) at {middle} {{}};\n"


def _anchor(marks: Sequence[Mark], id: str) -> str:
    """A name for a box that has no border, so that it can be pointed at as well."""
    points = [point for mark in marks for point in _corners(mark)] or [(0.0, 0.0)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    size = f"minimum width={rounded(max(xs) - min(xs))}bp"
    size += f",minimum height={rounded(max(ys) - min(ys))}bp"
    middle = _point((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)
    return f"\\node[rectangle,{size}] ({id}) at {middle} {{}};\n"


def _corners(mark: Mark) -> Sequence[tuple[float, float]]:
    if isinstance(mark, Shape):
        return mark.points
    height = -mark.size if isinstance(mark, Words) else mark.height
    return (mark.x, mark.y), (mark.x + mark.width, mark.y + height)


def _shape(mark: Box | Shape) -> str:
    return f"\\path[{_options(mark)}] {_box(mark) if isinstance(mark, Box) else _path(mark)};\n"


def _box(box: Box) -> str:
    corner = f"[rounded corners={rounded(box.corner)}bp] " if box.corner else ""
    opposite = _point(box.x + box.width, box.y + box.height)
    return f"{corner}{_point(box.x, box.y)} rectangle {opposite}"


def _path(shape: Shape) -> str:
    points, steps, y = iter(shape.points), [], 0.0
    for code in shape.code:
        if code == "Z":
            steps.append("-- cycle")
            continue
        if code == "C":
            one, two = (_point(*next(points)) for _ in range(2))
            steps.append(f".. controls {one} and {two} ..")
        elif code != "M":
            steps.append("--")
        x, height = next(points)
        y = y if code == "H" else height
        steps.append(_point(x, y))
    return " ".join(steps)


def _point(x: float, y: float) -> str:
    return f"({rounded(x)},{rounded(y)})"


# ---------------------------------------------------------------------- text


def lines_of(pieces: Sequence[Words]) -> list[list[Words]]:
    """Pieces of text that follow each other on one line, raised and lowered ones included."""
    lines: list[list[Words]] = []
    for piece in pieces:
        if lines and _follows(lines[-1], piece):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return lines


def _follows(line: Sequence[Words], piece: Words) -> bool:
    last, size = line[-1], max(piece.size, *(other.size for other in line))
    gap = piece.x - last.x - last.width
    cells = "\u00a0" in (last.text[-1], piece.text[0])  # blanks around a number in a table
    near = abs(piece.y - _base(line).y) < 0.6 * size and piece.colour == last.colour
    return near and not cells and -0.5 < gap < SPACE * size


def _base(line: Sequence[Words]) -> Words:
    """The piece that stands on the line: the first of the largest ones."""
    return max(line, key=lambda piece: piece.size)


def text_of(line: Sequence[Words]) -> Text:
    """Pieces of a line as the styled text that they were made from."""
    base, runs, end = _base(line), [], line[0].x
    for piece in line:
        if piece.x - end > 0.1 * base.size:
            runs.append(Run(" "))  # blanks are no marks
        rise = base.y - piece.y
        script = "" if piece.size == base.size else "sup" if rise > 0 else "sub"
        styles = ("i" if piece.italic else "", "b" if piece.bold else "", script)
        runs.append(Run(piece.text, " ".join(style for style in styles if style)))
        end = piece.x + piece.width
    return tuple(runs)


def _text(line: Sequence[Words]) -> str:
    """A line at its place, made smaller where it is wider than that."""
    base, left, right = _base(line), line[0].x, line[-1].x + line[-1].width
    anchor, x = _anchored(line, left, right)
    options = f"anchor={anchor},text={name(base.colour)},font={SIZES[round(base.size)]}"
    slack = NUMBER_SLACK if is_number(base.text) else SLACK
    width = rounded(right - left + slack)
    inside = f"\\tracenetfit{{{width}bp}}{{{tex(text_of(line))}}}"
    return f"\\node[{options}] at {_point(x, base.y)} {{{inside}}};\n"


def _anchored(line: Sequence[Words], left: float, right: float) -> tuple[str, float]:
    """Which point of a line stays where it is, as other fonts have other widths, and its x."""
    if len(line) == 1 and is_number(line[0].text):
        small = line[0].size <= label.SMALL_SIZE  # one of the statistics, which begin at one place
        return ("base west", left) if small else ("base east", right)
    return ("base east", right) if line[-1].text.endswith(" ") else ("base", (left + right) / 2)


SIZES = {12: "\\normalsize", 10: "\\footnotesize", 9: "\\scriptsize", 8: "\\scriptsize"}
"""The size of the document's own that stands for each of ours; at 12 pt they are the same."""
