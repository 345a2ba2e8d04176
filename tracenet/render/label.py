"""What stands in a box or at an arrow: text and arrays as Graphviz's HTML-like labels.

Every string that comes from outside passes through `html`, so that no name can be read as markup
or as one of Graphviz's escapes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape
from itertools import groupby

from ..diagram import PARAMETER_LANE, Edge, Node, Run, Shown, Text, plain
from ..figures import dimensions
from . import palette
from .palette import Ink

TEXT_SIZE = 12
NUMBER_SIZE = 10
SMALL_SIZE = 9
LONGEST = 60
"""Letters of the longest name that is drawn whole."""
ACROSS = 4
"""Arrays side by side in a box; further ones stand under them."""
FIGURE_SPACE = "\u2007"  # as wide as a digit
POINT_SPACE = "\u00a0"  # nearly as wide as a decimal point
BREAKS = re.compile("[\t\n\r\v\f\x1c-\x1f\x85\u2028\u2029]+")
REFUSED = ("Cc", "Cs", "Cn", "Co")

SLACK = "<TD></TD>" * 9
STRETCH = ("<TD></TD>",) * 12
"""Empty cells: spare room is shared out evenly, so these take most of it."""

BARE = 'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'


# ---------------------------------------------------------------------- text


@lru_cache(maxsize=1 << 14)
def clean(text: str) -> str:
    """Text that any format can hold: one line, without control characters or half characters.

    >>> clean("two\\nlines\\x07")
    'two lines'
    """
    if text.isprintable():
        return text
    spaced = BREAKS.sub(" ", text)
    return "".join(c for c in spaced if unicodedata.category(c) not in REFUSED)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, cut where it is too long to be drawn."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def html(text: str) -> str:
    r"""The text as it is written in a label.

    >>> print(html("<lambda> \\N & more"))
    &lt;lambda&gt; \\N &amp; more
    """
    return escape(shortened(clean(text))).replace("\\", "\\\\")


def rich(text: Text, struck: bool = False) -> str:
    """Runs of styled text; `S` strikes all of it out."""
    inside = "".join(_run(run) for run in text)
    return f"<S>{inside}</S>" if struck and inside else inside


def _run(run: Run) -> str:
    inside = html(run.text)
    styles = run.style.split()
    if not inside:
        return ""
    if "i" in styles and not any("\u0370" <= c <= "\u03ff" for c in run.text):
        inside = f"<I>{inside}</I>"  # the italic face has no Greek letters
    if "b" in styles:
        inside = f"<B>{inside}</B>"
    for style in ("sup", "sub"):
        if style in styles:
            tag = style.upper()
            inside = f'<{tag}><FONT POINT-SIZE="{NUMBER_SIZE}">{inside}</FONT></{tag}>'
    return inside


def font(inside: str, size: int, colour: str = "") -> str:
    """A piece of a label in another size or colour; Graphviz refuses an empty one."""
    if not inside:
        return ""
    tint = f' COLOR="{colour}"' if colour else ""
    return f'<FONT POINT-SIZE="{size}"{tint}>{inside}</FONT>'


def table(rows: Iterable[str], options: str = BARE) -> str:
    """A table of rows that are cells already."""
    return f"<TABLE {options}>" + "".join(f"<TR>{row}</TR>" for row in rows) + "</TABLE>"


# ---------------------------------------------------------------------- arrays


def arrays(shown: Sequence[Shown], ink: Ink) -> list[str]:
    """Rows of a table: arrays side by side, each name above its numbers; numbers in a column."""
    blocks: list[str] = []
    named = any(item.name for item in shown)
    for numbers, group in groupby(shown, key=is_number):
        items = list(group)
        if numbers and len(items) > 1:
            height = -(-len(items) // -(-len(items) // ACROSS))  # blocks as equal as can be
            starts = range(0, len(items), height)
            blocks += [_numbers(items[i : i + height], height, ink) for i in starts]
        else:
            blocks += [_array(item, ink, named) for item in items]
    lines = [blocks[i : i + ACROSS] for i in range(0, len(blocks), ACROSS)]
    return [f"<TD>{_unstretched(_line(line))}</TD>" for line in lines]


def _line(blocks: list[str]) -> str:
    """Blocks side by side at one height: Graphviz stretches what is lower, unless rows absorb it."""
    if len({(block.count("<TR>"), "FIXEDSIZE" in block) for block in blocks}) > 1:
        blocks = [table([f"<TD>{block}</TD>", *STRETCH]) for block in blocks]
    cells = "".join(f"<TD>{block}</TD>" for block in blocks)
    return table([cells], BARE.replace('CELLPADDING="0"', 'CELLPADDING="4"'))


def _unstretched(inside: str) -> str:
    """A table that keeps its width in a cell that is wider."""
    return table([f"{SLACK}<TD>{inside}</TD>{SLACK}"])


def is_number(shown: Shown) -> bool:
    """Whether an array is one number, written in full."""
    return shown.shape == () and bool(shown.grid)


def _numbers(items: list[Shown], height: int, ink: Ink) -> str:
    """Single numbers under each other: name, value; blank rows up to the height."""
    values = aligned([(item.grid[0][0],) for item in items])
    rows = []
    for item, (value,) in zip(items, values, strict=True):
        name = f'<TD ALIGN="RIGHT">{rich(item.name)} </TD>'
        rows.append(name + _cell(value, ink))
    rows += [f"<TD>{POINT_SPACE}</TD><TD>{POINT_SPACE}</TD>"] * (height - len(items))
    return table(rows, 'BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="1"')


def _array(shown: Shown, ink: Ink, named: bool) -> str:
    """One array under its name; a blank one where others beside it have names."""
    struck = shown.state == "not computed"
    name = rich(shown.name, struck)
    if struck:
        name = font(name, TEXT_SIZE, palette.STRUCK) if name else ""
    elif shown.state == "unused":
        name = font(name, TEXT_SIZE, palette.QUIET) if name else ""
    if is_number(shown):
        left = f"<TD>{name} = </TD>" if name else ""
        return table([left + _cell(shown.grid[0][0], ink)])
    name = name or (POINT_SPACE if named else "")
    rows = [
        name,
        _grid(shown, ink),
        _heat(shown),
        _bars(shown, ink),
        _image(shown),
        _summary(shown),
        _state(shown.state),
    ]
    return table([f"<TD>{row}</TD>" for row in rows if row] or ["<TD></TD>"])


def _state(state: str) -> str:
    if state in ("NaN", "infinite"):
        marked = "contains NaN" if state == "NaN" else "contains ∞"
        return font(marked, SMALL_SIZE, palette.ALARM_TEXT)
    if state == "unused":
        return font("in no operation", SMALL_SIZE, palette.QUIET)
    said = state in ("constant", "random", "not differentiable")
    return font(state, SMALL_SIZE, palette.QUIET) if said else ""


def _grid(shown: Shown, ink: Ink) -> str:
    if not shown.grid:
        return ""
    rows = ["".join(_cell(text, ink) for text in row) for row in aligned(shown.grid)]
    inside = table(rows, 'BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="1"')
    inside = font(inside, NUMBER_SIZE)
    if shown.exponent:
        return table([f"<TD>{inside}</TD><TD>{POINT_SPACE}{rich(times(shown.exponent))}</TD>"])
    widest = sum(max(map(len, column)) + 1 for column in zip(*shown.grid, strict=True))
    return _unstretched(inside) if len(plain(shown.name)) > widest else inside


def times(exponent: int) -> Text:
    """The power of ten by which numbers beside it are to be multiplied."""
    return Run("× 10"), Run(str(exponent).replace("-", "−"), "sup")


def _cell(text: str, ink: Ink) -> str:
    alarm = "NaN" in text or "∞" in text
    inside = f"{POINT_SPACE}{html(text)}{POINT_SPACE}"  # air at the sides only
    if alarm:
        inside = f'<FONT COLOR="{palette.ALARM_TEXT}">{inside}</FONT>'
    ground = palette.ALARM_CELL if alarm else ink.cell
    return f'<TD ALIGN="RIGHT" BGCOLOR="{ground}">{inside}</TD>'


def aligned(grid: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The grid with the decimal points of each column under each other.

    >>> [row[0].replace(FIGURE_SPACE, "_") for row in aligned([["0.2"], ["−0.25"]])]
    ['0.2_', '−0.25']
    """
    columns = [_aligned_column(column) for column in zip(*grid, strict=True)]
    return list(zip(*columns, strict=True))


def _aligned_column(column: Sequence[str]) -> list[str]:
    decimals = [len(text.partition(".")[2]) if _is_plain(text) else -1 for text in column]
    most = max(decimals)
    return [
        text if count < 0 else text + FIGURE_SPACE * (most - count) + _point(text, most)
        for text, count in zip(column, decimals, strict=True)
    ]


def _point(text: str, most: int) -> str:
    return POINT_SPACE if most > 0 and "." not in text else ""


def _is_plain(text: str) -> bool:
    return text.lstrip("−").replace(".", "", 1).isdecimal()


def _heat(shown: Shown) -> str:
    if not shown.heat:
        return ""
    side = 'WIDTH="5" HEIGHT="5" FIXEDSIZE="TRUE"'
    rows = [
        "".join(f'<TD {side} BGCOLOR="{palette.heat(x)}"></TD>' for x in row) for row in shown.heat
    ]
    border = BARE.replace('BORDER="0"', f'BORDER="1" COLOR="{palette.STRUCK_ARROW}"', 1)
    return _unstretched(table([f'<TD CELLPADDING="3">{table(rows, border)}</TD>']))


BAR, BAR_HEIGHT = 5, 22
"""The width of a bar of a histogram and what parts it from the next; the height of the tallest."""


def _bars(shown: Shown, ink: Ink) -> str:
    if not shown.bars:
        return ""
    cells = "".join(f'<TD VALIGN="BOTTOM">{_bar(share)}</TD>' for share in shown.bars)
    ground = f'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" BGCOLOR="{ink.cell}"'
    return _unstretched(table([cells], ground))


def _bar(share: float) -> str:
    height = round(share * BAR_HEIGHT)
    rest = BAR_HEIGHT - height
    sized = f'WIDTH="{BAR}" FIXEDSIZE="TRUE"'
    rows = [f'<TD {sized} HEIGHT="{rest}"></TD>'] if rest else []
    if height:
        rows.append(f'<TD {sized} HEIGHT="{height}" BGCOLOR="{palette.QUIET}"></TD>')
    return table(rows)


def _image(shown: Shown) -> str:
    if not shown.image:
        return ""
    side = f'WIDTH="{pixel(shown)}" HEIGHT="{pixel(shown)}" FIXEDSIZE="TRUE"'
    colours = [[palette.pictured(colour) for colour in row] for row in shown.image]
    rows = ["".join(f'<TD {side} BGCOLOR="{c}"></TD>' for c in row) for row in colours]
    border = BARE.replace('BORDER="0"', f'BORDER="1" COLOR="{palette.STRUCK_ARROW}"', 1)
    return _unstretched(table([f'<TD CELLPADDING="3">{table(rows, border)}</TD>']))


def pixel(shown: Shown) -> int:
    """The side of a square of a picture."""
    return max(2, min(5, 90 // max(len(shown.image), len(shown.image[0]))))


def _summary(shown: Shown) -> str:
    """The lines of a summary: shape and dtype, then label and number of each statistic."""
    if not shown.summary:
        return ""
    head, *others = shown.summary
    rows = [f'<TD COLSPAN="2">{font(html(head), SMALL_SIZE, palette.QUIET)}</TD>']
    for line in others:
        label, _, value = line.rpartition(" ")
        alarm = label in ("NaN", "∞")
        tint = palette.ALARM_TEXT if alarm else palette.QUIET
        left = font(f"{html(label)} ", SMALL_SIZE, tint) if label else ""
        right = font(html(value), SMALL_SIZE, palette.ALARM_TEXT if alarm else "")
        rows.append(f'<TD ALIGN="RIGHT">{left}</TD><TD ALIGN="LEFT">{right}</TD>')
    return table(rows)


# ---------------------------------------------------------------------- boxes and arrows


def of_node(node: Node) -> str:
    """The label of a box."""
    ink = palette.NODES[node.kind]
    if is_struck(node):
        name = rich(node.shown[0].name, struck=True) or "–"
        return font(f"{POINT_SPACE}{name}{POINT_SPACE}", TEXT_SIZE, palette.STRUCK)
    rows = [f"<TD>{rich(text)}</TD>" for text in (node.title, *node.lines) if rich(text)]
    rows += arrays(node.shown, ink)
    rows += _table(node.table)
    if remark := html(node.remark):
        text = font(remark, SMALL_SIZE, palette.MARKS.get(node.mark, palette.QUIET))
        rows.append(f"<TD>{text if node.mark else f'<I>{text}</I>'}</TD>")
    if not rows:
        rows = [f"<TD>{html(node.name) or ' '}</TD>"]
    inside = table(rows, BARE.replace('CELLPADDING="0"', 'CELLPADDING="1"'))
    style = "ROUNDED,DASHED" if ink.dashed else "ROUNDED"
    box = f'BORDER="1" COLOR="{ink.border}" BGCOLOR="{ink.ground}" STYLE="{style}"'
    return table([f"<TD>{inside}</TD>"], f'{box} CELLBORDER="0" CELLSPACING="0" CELLPADDING="5"')


def _table(lines: Sequence[Sequence[Text]]) -> list[str]:
    """A table of text as one row: the first column at the left, its heading small."""
    if not lines:
        return []
    heading = [f"<TD>{font(rich(cell), SMALL_SIZE, palette.QUIET)}</TD>" for cell in lines[0]]
    rows = ["".join(heading)]
    for first, *others in lines[1:]:
        cells = "".join(f"<TD>{rich(cell)}</TD>" for cell in others)
        rows.append(f'<TD ALIGN="LEFT">{rich(first)}</TD>{cells}')
    inside = table(rows, BARE.replace('CELLPADDING="0"', 'CELLPADDING="2"'))
    return [f"<TD>{inside}</TD>"]


def is_struck(node: Node) -> bool:
    """Whether a box stands for one gradient that was not computed: it has no border then."""
    bare = not (node.title or node.lines or node.remark)
    return bare and len(node.shown) == 1 and node.shown[0].state == "not computed"


def of_edge(edge: Edge) -> str:
    """The label of an arrow, or ""; a little air keeps it off the line."""
    if not edge.shown:
        return ""
    air = '<TD HEIGHT="3"></TD>'
    return table([*arrays(edge.shown, palette.EDGES[edge.kind]), air])


def described(name: str, shown: Iterable[Shown]) -> str:
    """A name and its arrays in words, for tooltips: `layer 1: a[1] 2 × 1`."""
    parts = []
    for item in shown:
        size = f"{dimensions(item.shape)} {item.dtype}" if item.dtype else ""
        words = (plain(item.name) or item.key, size, item.state)
        parts.append(" ".join(word for word in words if word))
    listed = ", ".join(part for part in parts if part)
    return shortened(clean(f"{name}: {listed}" if listed else name), 300)


def edge_title(edge: Edge, nodes: dict[str, Node]) -> str:
    """An arrow in words: `layer 1 → layer 2: a[1] 2 × 1 float64`."""
    ends = f"{nodes[edge.tail].name} → {nodes[edge.head].name}"
    return described(ends, edge.shown)


def edge_colour(edge: Edge, nodes: dict[str, Node]) -> str:
    """The colour of an arrow: pale where it leads to something that was not computed."""
    tail, head = nodes[edge.tail], nodes[edge.head]
    if is_struck(head) or is_struck(tail):
        return palette.STRUCK_ARROW
    if tail.lane == PARAMETER_LANE and edge.kind == "data":
        return palette.GREY
    return palette.EDGES[edge.kind].border


def is_dashed(edge: Edge, nodes: dict[str, Node]) -> bool:
    """Whether an arrow is dashed: what was kept is read there."""
    return edge.kind == "cache" and nodes[edge.head].kind != "cache"
