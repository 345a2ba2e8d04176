"""A diagram as one page of HTML that needs no other file: the picture, and a table of its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ..diagram import Diagram, Run, Shown, Text
from ..figures import dimensions
from . import label, palette
from .flows import PASSES, Flow, flows
from .fonts import CSS_FAMILY
from .inline import inline
from .story import chapters, short, told
from .theme import NIGHT, Paint

HEAD = ("Block", "Formula", "Inputs", "Cache", "Outputs")
TAGS = {"i": "i", "b": "b", "sup": "sup", "sub": "sub"}

STYLE = f"""\
:root{{color-scheme:light dark;--line:#d0d7de}}
@media (prefers-color-scheme:dark){{:root{{--line:#444c56}}}}
body{{font:16px/1.5 {CSS_FAMILY};max-width:1400px;margin:2rem auto;padding:0 1rem}}
.paper{{background:var(--paper);border-radius:8px;padding:8px;text-align:center;overflow-x:auto}}
.scroll{{overflow-x:auto}}
table{{border-collapse:collapse;margin:.5rem 0 1.5rem}}
th,td{{border:1px solid var(--line);padding:.35rem .7rem;text-align:left;vertical-align:top}}
th[scope=row]{{border-left:4px solid var(--ink)}}
td{{white-space:nowrap}}
sup,sub{{line-height:0}}
small{{opacity:.75}}
"""


def encode(diagram: Diagram, paint: Paint | None = None) -> bytes:
    """The diagram as a page of HTML."""
    return "".join(_written(diagram, paint)).encode("utf-8")


def _written(diagram: Diagram, paint: Paint | None) -> Iterator[str]:
    title = _words(diagram.title) or "A network"
    about = escape(short(diagram))
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f'<title>{title}</title>\n<meta name="description" content="{about}">\n'
    yield f"<style>\n{STYLE}{_colours(paint)}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{escape(told(diagram))}</p>\n"
    yield f'<div class="paper">\n{inline(diagram, paint)}</div>\n'
    yield from _told(diagram)
    for name, found in flows(diagram).items():
        yield f'<h2>{name}</h2>\n<div class="scroll"><table>\n<thead><tr>'
        yield "".join(f'<th scope="col">{text}</th>' for text in HEAD) + "</tr></thead>\n<tbody>\n"
        yield from map(_row, found)
        yield "</tbody>\n</table></div>\n"
    yield "</body>\n</html>\n"


def _told(diagram: Diagram) -> Iterator[str]:
    """The whole story, folded up, for those who read rather than look."""
    yield "<details>\n<summary>The run in words</summary>\n"
    start = 1
    for chapter in chapters(diagram):
        yield f'<h2>{escape(chapter.title)}</h2>\n<ol start="{start}">\n'
        for block in chapter.paragraphs:
            yield f"<li>{'<br>'.join(map(escape, (block.head, *block.lines)))}</li>\n"
        yield "</ol>\n"
        start += len(chapter.paragraphs)
    yield "</details>\n"


def _colours(paint: Paint | None) -> str:
    """The paper, and the colours of the kinds of blocks; two sets of them for the ground `both`."""
    kinds = [kind for found in PASSES.values() for kind in found]
    inks = {f".{kind}": palette.NODES[kind].border.lower() for kind in kinds}
    paper = palette.WHITE if paint is None else paint.paper
    inks = {kind: ink if paint is None else paint.colour(ink) for kind, ink in inks.items()}
    text = _variables(paper, inks)
    if paint is not None and paint.night:
        night = {kind: paint.night[ink] for kind, ink in inks.items()}
        text += f"{NIGHT}{{\n{_variables(paint.night[paper], night)}}}\n"
    return text


def _variables(paper: str, inks: Mapping[str, str]) -> str:
    lines = [f"{kind}{{--ink:{ink}}}" for kind, ink in inks.items()]
    return "\n".join([f".paper{{--paper:{paper}}}", *lines, ""])


def _row(flow: Flow) -> str:
    node = flow.node
    remark = f"<br><small>{_words(node.remark)}</small>" if node.remark else ""
    cells = ("<br>".join(map(styled, node.lines)), *map(_arrays, (flow.inputs, flow.cache, flow.outputs)))  # fmt: skip
    inside = "".join(f"<td>{cell}</td>" for cell in cells)
    return (
        f'<tr><th scope="row" class="{node.kind}">{_words(node.name)}{remark}</th>{inside}</tr>\n'
    )


def _arrays(shown: Sequence[Shown]) -> str:
    return "<br>".join(map(_array, shown))


def _array(shown: Shown) -> str:
    """A name and its shape, and a number as such."""
    name = styled(shown.name) if shown.name else _words(shown.key)
    if label.is_number(shown):
        return f"{name} = {_words(shown.grid[0][0])}"
    return f"{name} <small>{dimensions(shown.shape)}</small>" if shown.dtype else name


def styled(text: Text) -> str:
    """Styled text.

    >>> styled((Run("W", "i"), Run("[1]", "sup"), Run(" < 2")))
    '<i>W</i><sup>[1]</sup> &lt; 2'
    """
    return "".join(map(_run, text))


def _run(run: Run) -> str:
    inside = _words(run.text)
    for style in run.style.split():
        if style in TAGS and inside:
            inside = f"<{TAGS[style]}>{inside}</{TAGS[style]}>"
    return inside


def _words(text: str) -> str:
    return escape(label.shortened(label.clean(text), 300))
