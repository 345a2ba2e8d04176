"""The story of a diagram in words, for those who do not see the picture.

`story` tells all of it, block by block in the order of the run; `short` is a few sentences. Equal
blocks in sequence are told once, and the numbers of an array the first time that it is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..diagram import Diagram, Node, Run, Shown, Text, plain
from ..figures import dimensions
from . import label
from .flows import PASSES, Flow, flows

LONGEST = 300
"""Letters of the longest name or error that is told whole."""
ALIKE = 3
"""So many equal blocks in sequence are told as one and the rest: of two, both are told."""
MOST = 12
"""So many equal blocks are told one by one."""
NAMES = 20
"""Names in one sentence of the short story."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What is told of one block, or of several equal ones: its name, and lines under it."""

    head: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """A pass of the run, or what stands before or after it."""

    title: str
    paragraphs: tuple[Paragraph, ...]


def story(diagram: Diagram) -> str:
    """The whole story as plain text; it ends with a line break."""
    lines = [short(diagram)]
    number = 0
    for chapter in chapters(diagram):
        lines += ["", chapter.title]
        for paragraph in chapter.paragraphs:
            number += 1
            lines += [f"{number}. {paragraph.head}", *("   " + line for line in paragraph.lines)]
    return "\n".join(lines) + "\n"


def chapters(diagram: Diagram) -> list[Chapter]:
    """The passes of the run in its order, each with what is told of its blocks."""
    told = _Told()
    found = []
    for name, blocks in flows(diagram).items():
        title = "Backward, in the order of the run" if name == "Backward" else name
        found.append(Chapter(title, tuple(_paragraphs(blocks, told))))
    return found


# ---------------------------------------------------------------------- blocks


@dataclass(slots=True)
class _Told:
    """The arrays whose numbers were told."""

    keys: set[tuple[str, str]] = field(default_factory=set)

    def array(self, shown: Shown) -> str:
        """A name, its shape, and the numbers once: `W[1] (2 × 2) = [[0.15, 0.2], [0.25, 0.3]]`."""
        name = spoken(shown.name) or label.shortened(label.clean(shown.key), LONGEST)
        key = shown.key, name
        if key in self.keys:
            return name
        self.keys.add(key)
        return name + _about(shown)


def _about(shown: Shown) -> str:
    kind = "" if shown.dtype in ("", "float64", "float", "int", "bool") else shown.dtype
    size = dimensions(shown.shape) if shown.shape else ""
    state = "" if shown.state == "NaN" and shown.grid else shown.state
    facts = ", ".join(fact for fact in (size, kind, state) if fact)
    facts = f" ({facts})" if facts else ""
    if shown.grid:
        return f"{facts} = {_numbers(shown)}"
    rest = ", ".join(shown.summary[1:])
    return f"{facts}: {label.clean(rest)}" if rest else facts


def _numbers(shown: Shown) -> str:
    if not shown.shape:
        return label.clean(shown.grid[0][0])
    rows = [f"[{', '.join(map(label.clean, row))}]" for row in shown.grid]
    return rows[0] if len(shown.shape) == 1 else f"[{', '.join(rows)}]"


def _paragraphs(blocks: Sequence[Flow], told: _Told) -> Iterator[Paragraph]:
    at = 0
    while at < len(blocks):
        face = _face(blocks[at])
        end = at + 1
        while end < len(blocks) and _face(blocks[end]) == face:
            end += 1
        yield _paragraph(blocks[at], told)
        if end - at >= ALIKE:
            rest = blocks[at + 1 : end]
            names = listed([flow.node.name for flow in rest])
            head = f"{names}: the same as {name_of(blocks[at].node)}, each with its own arrays"
            yield Paragraph(head, tuple(_each(rest, told)))
            at = end
        else:
            at += 1


def _paragraph(flow: Flow, told: _Told) -> Paragraph:
    node = flow.node
    lines = [spoken(line) for line in node.lines if label.clean(plain(line)) != node.name]
    lines += [" | ".join(map(spoken, row)) for row in node.table]
    if node.remark:
        lines.append(label.shortened(label.clean(node.remark), LONGEST))
    backward = node.kind == "backward"
    kept = "reads from the cache" if backward else "keeps for the backward pass"
    for verb, arrays in (("reads", flow.inputs), (kept, flow.cache), ("gives", flow.outputs)):
        if arrays:
            lines.append(f"{verb} {'; '.join(map(told.array, arrays))}")
    head = name_of(node)
    repeats = plain(node.title).partition("×")[2]
    if "⋯" in plain(node.title) and repeats:
        head += f", {repeats} equal blocks drawn as one"
    return Paragraph(head, tuple(line for line in lines if line))


def _each(flows: Sequence[Flow], told: _Told) -> Iterator[str]:
    """Equal blocks one by one; of many, the first ones and the last."""
    many = len(flows) > MOST
    for flow in flows[: MOST - 2] if many else flows:
        yield _briefly(flow, told)
    if many:
        yield f"… and {len(flows) - MOST + 1} more"
        yield _briefly(flows[-1], told)


def _briefly(flow: Flow, told: _Told) -> str:
    """One of several equal blocks: what it reads and gives."""
    reads, gives = ("; ".join(map(told.array, found)) for found in (flow.inputs, flow.outputs))
    facts = [f"reads {reads}" if reads else "", f"gives {gives}" if gives else ""]
    return f"{name_of(flow.node)}: " + ". It ".join(fact for fact in facts if fact)


def _face(flow: Flow) -> tuple[object, ...]:
    """What a block is told as, but for the numbers in names and the shapes."""
    stems = (tuple(_stem(plain(s.name)) for s in arrays) for arrays in _arrays(flow))
    lines = tuple(_stem(plain(line)) for line in flow.node.lines)
    node = flow.node
    return node.kind, _stem(node.name), lines, node.remark, node.mark, node.table, *stems


def _arrays(flow: Flow) -> Iterator[tuple[Shown, ...]]:
    yield from (flow.inputs, flow.cache, flow.outputs)


def _stem(text: str) -> str:
    return re.sub(r"\d+", "#", text)


# ---------------------------------------------------------------------- words


def name_of(node: Node) -> str:
    """The name of a box; boxes without one are a dash."""
    return label.shortened(label.clean(node.name), LONGEST) or "–"


def spoken(text: Text) -> str:
    """Styled text with nothing but letters: powers after ^, and indices after _.

    >>> spoken((Run("W", "i"), Run("[1]", "sup"), Run("T", "sup"), Run(" (x − y)"), Run("2", "sup")))
    'W[1]^T (x − y)^2'
    """
    return label.shortened(label.clean("".join(map(_spoken, text))), LONGEST).strip()


def _spoken(run: Run) -> str:
    styles = run.style.split()
    if not run.text.strip() or run.text[0] in "[′'":
        return run.text
    return ("^" if "sup" in styles else "_" if "sub" in styles else "") + run.text


def listed(names: Sequence[str], most: int = NAMES) -> str:
    """Names in a row, those with numbers in sequence drawn together, and the ends of a long list.

    >>> listed(["layer 1", "layer 2", "layer 3", "loss"])
    'layer 1 to layer 3, loss'
    """
    groups: list[list[str]] = []
    for name in names:
        if groups and _follows(groups[-1], name):
            groups[-1].append(name)
        else:
            groups.append([name])
    words = [w for g in groups for w in ([f"{g[0]} to {g[-1]}"] if len(g) > 2 else g)]
    if len(words) > most:
        left = len(words) - most
        words = [*words[: most - 1], f"… ({left} more)", words[-1]]
    between = "; " if any("," in word for word in words) else ", "
    return between.join(label.shortened(label.clean(word)) for word in words)


def _follows(group: Sequence[str], name: str) -> bool:
    """Whether a name is the next one of a sequence, up or, on the way back, down."""
    before, now = re.findall(r"\d+", group[-1]), re.findall(r"\d+", name)
    if _stem(group[-1]) != _stem(name) or len(now) != 1:
        return False
    step = int(now[0]) - int(before[0])
    if len(group) == 1:
        return abs(step) == 1
    return step == int(before[0]) - int(re.findall(r"\d+", group[-2])[0])


# ---------------------------------------------------------------------- in short


def title(diagram: Diagram) -> str:
    """What a picture is called: the run, and what is drawn of it."""
    passes = [name.lower() for name, kinds in PASSES.items() if _nodes(diagram, kinds)]
    what = f"computation graph, {' and '.join(passes[:2])}" if passes else "computation graph"
    name = label.shortened(label.clean(diagram.title), LONGEST)
    return f"{name}: {what}" if name else what.capitalize()


def short(diagram: Diagram) -> str:
    """The title, and the story in a few sentences."""
    return f"{title(diagram)}. {told(diagram)}"


def told(diagram: Diagram) -> str:
    """The story in a few sentences, in time that grows as the diagram does."""
    if not diagram.nodes:
        return "Nothing was recorded."
    facts = []
    for head, kind in (("In", "input"), ("Parameters", "parameter")):
        facts.append(_said(head, _arrays_of(_nodes(diagram, [kind]), "unused")))
    unused = [s for n in diagram.nodes for s in n.shown if s.state == "unused"]
    facts.append(_said("In no operation", listed(_named(unused))))
    for name, kinds in PASSES.items():
        turn = -1 if name == "Backward" else 1
        nodes = sorted(_nodes(diagram, kinds), key=lambda node: turn * node.column)
        facts.append(_said("Updated" if name == "Update" else name, _blocks(nodes, name)))
    ends = sorted(_nodes(diagram, ["gradient"]), key=lambda node: -node.column)
    gradients = [s for node in ends for s in node.shown]
    struck = [s for s in gradients if s.state == "not computed"]
    computed = [s for s in gradients if s.state != "not computed"]
    facts.append(_said("Gradients", listed(_named(computed))))
    facts.append(_said("Not computed", listed(_named(struck))))
    facts += [f"{name_of(n)}: {label.clean(n.remark)}." for n in diagram.nodes if _matters(n)]
    return " ".join(fact for fact in facts if fact)


def _matters(node: Node) -> bool:
    """Whether the remark on a box is news: an error, or a gradient that is wrong."""
    return bool(node.remark) and node.mark == "wrong"


def _nodes(diagram: Diagram, kinds: Iterable[str]) -> list[Node]:
    return [node for node in diagram.nodes if node.kind in kinds]


def _blocks(nodes: Sequence[Node], name: str) -> str:
    if name == "Update":
        return listed(_named(s for node in nodes for s in node.shown))
    losses = [n for n in nodes if n.kind == "loss" and n.shown and label.is_number(n.shown[0])]
    results = [f"{spoken(n.shown[0].name)} = {n.shown[0].grid[0][0]}" for n in losses[:NAMES]]
    names = listed([name_of(node) for node in nodes if node.kind != "value" or not _matters(node)])
    return "; ".join([names, *results]) if names else ""


def _arrays_of(nodes: Iterable[Node], without: str) -> str:
    return listed(_named(s for node in nodes for s in node.shown if s.state != without))


def _named(arrays: Iterable[Shown]) -> list[str]:
    """The names of arrays, each once."""
    names = (spoken(shown.name) or shown.key for shown in arrays)
    return list(dict.fromkeys(name for name in names if name))


def _said(head: str, what: str) -> str:
    return f"{head}: {what}." if what else ""
