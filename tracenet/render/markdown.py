"""A diagram as Markdown: what each block computes, reads, keeps and gives, with its shapes.

It is written for GitHub, which sets what stands between dollar signs as mathematics. Formulas with
letters that Markdown and mathematics would fight over are written as code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..diagram import Diagram, Node, Shown, Text, plain
from ..figures import dimensions
from . import label
from .flows import Flow, flows
from .story import told
from .tex_math import is_mathematics, mathematics

HEAD = ("Block", "Formula", "Inputs", "Cache", "Outputs")
LONGEST_STORY = 4000
BREAK = " <br> "
"""Between lines of a cell; GitHub wants blanks around mathematics."""
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
UNSAFE = re.compile(r"[\\`_{}#$%&^~|<>\"]")
"""What no formula may hold: Markdown takes the backslash away that TeX needs before it."""


def encode(diagram: Diagram) -> bytes:
    """The diagram as Markdown."""
    return ("\n".join(_lines(diagram)).rstrip() + "\n").encode("utf-8")


def _lines(diagram: Diagram) -> Iterator[str]:
    yield f"# {words(diagram.title) or 'A network'}"
    yield ""
    yield words(told(diagram), LONGEST_STORY)
    yield ""
    for name, found in flows(diagram).items():
        yield from (f"## {name}", "", *_table(found), "")


def _table(found: Sequence[Flow]) -> Iterator[str]:
    used = [_row(flow) for flow in found]
    wanted = [i for i in range(len(HEAD)) if i == 0 or any(row[i] for row in used)]
    yield "| " + " | ".join(HEAD[i] for i in wanted) + " |"
    yield "|" + "---|" * len(wanted)
    for row in used:
        yield "| " + " | ".join(row[i] for i in wanted) + " |"


def _row(flow: Flow) -> tuple[str, ...]:
    formulas = BREAK.join(styled(line) for line in flow.node.lines)
    return (_name(flow.node), formulas, *map(_arrays, (flow.inputs, flow.cache, flow.outputs)))


def _name(node: Node) -> str:
    remark = f"<br>*{words(node.remark)}*" if node.remark else ""
    return f"**{words(node.name) or '–'}**{remark}"


def _arrays(shown: Sequence[Shown]) -> str:
    return BREAK.join(map(_array, shown))


def _array(shown: Shown) -> str:
    """A name and its shape, and a number as such."""
    name = styled(shown.name) if shown.name else words(shown.key)
    if label.is_number(shown):
        return f"{name} = {words(shown.grid[0][0])}"
    return f"{name} {dimensions(shown.shape)}" if shown.dtype else name


def styled(text: Text) -> str:
    """Styled text: a formula between dollar signs, or words.

    >>> from ..diagram import Run
    >>> print(styled((Run("W", "i"), Run("[1]", "sup"), Run(" ⊙ "), Run("x", "i"))))
    $W^{[1]} \\odot x$
    """
    letters = label.clean(plain(text))
    if not is_mathematics(text):
        return words(letters)
    made = mathematics(text)
    if UNSAFE.search(letters) or "tracenetletter" in made:
        return f"<code>{words(letters)}</code>"
    return f"${made}$"


def words(text: str, longest: int = 300) -> str:
    """Words with nothing in them that Markdown would obey.

    >>> print(words("cross_entropy | <b>"))
    cross\\_entropy \\| \\<b\\>
    """
    return SPECIAL.sub(r"\\\1", label.shortened(label.clean(text), longest))
