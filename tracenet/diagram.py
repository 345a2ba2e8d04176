"""What is drawn: a `Diagram` of nodes and edges on a grid of lanes and columns.

Every format is written from a Diagram and from nothing else, so all of them agree on what the
run did. Positions are given as lane (row) and column; how large a box is, is the engine's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .errors import UsageError

NODE_KINDS = (
    "input",
    "parameter",
    "forward",
    "value",
    "cache",
    "loss",
    "backward",
    "gradient",
    "update",
)
EDGE_KINDS = ("data", "cache", "gradient")

# The rows of the two-row picture, from the top.
PARAMETER_LANE, FORWARD_LANE, CACHE_LANE, BACKWARD_LANE, GRADIENT_LANE, UPDATE_LANE = range(6)


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text in one style: words of `i` italic, `b` bold, `sup`, `sub`."""

    text: str
    style: str = ""


Text = tuple[Run, ...]


def plain(text: Text) -> str:
    """The text without its styles.

    >>> plain((Run("W", "i"), Run("[1]", "sup")))
    'W[1]'
    """
    return "".join(run.text for run in text)


@dataclass(frozen=True, slots=True)
class Shown:
    """An array as it is drawn: a name, and its numbers, a summary, or only its shape.

    name: how it is written, `W[1]`; empty for none.
    key: its unique name in the trace, `"W1"`.
    shape, dtype: of the array; the dtype of a Python number is `"float"`.
    grid: rows of formatted numbers, when it is printed in full.
    exponent: the power of ten by which all numbers of the grid are to be multiplied.
    summary: lines of text when it is not: shape, least, mean and greatest element.
    heat: a small picture of a large array, rows of numbers from -1 to 1; None is NaN.
    scale: the number in the array that is 1 in `heat`.
    bars: the shares of elements from the least to the greatest, of the largest such share.
    image: rows of colours, where the array is a picture and drawn as one.
    state: `""`, or `"not computed"`, `"not differentiable"`, `"constant"`, `"random"`, `"NaN"`,
        `"infinite"`, `"unused"` (in no operation).
    data: the array itself, where it was kept.
    """

    name: Text = ()
    key: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    grid: tuple[tuple[str, ...], ...] = ()
    summary: tuple[str, ...] = ()
    heat: tuple[tuple[float | None, ...], ...] = ()
    state: str = ""
    data: np.ndarray | None = field(default=None, compare=False, repr=False)
    scale: float = field(default=1.0, compare=False)
    exponent: int = 0
    image: tuple[tuple[str, ...], ...] = ()
    bars: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A box.

    id: `n0`, `n1`, … in the order of the trace.
    kind: one of `NODE_KINDS`; lane and column: its place on the grid.
    name: plain text for people and machines, `"layer 1 backward"`.
    title: the name as it is drawn; lines: formulas under it; shown: arrays under those.
    block: the path of the block that it stands for or belongs to, `"forward/layer 1"`.
    of: the id of the node that it mirrors, or None.
    table: rows of text, all as long as the first, which is their heading.
    remark: a short line that qualifies the box: a failed run, a folded count, a verdict.
    mark: what a check found of it: `""`, `"right"`, `"scaled"`, `"wrong"` or `"unchecked"`;
        `"left"` where a value left the trace.
    reads: the keys of parameters that it reads and that have no box of their own.
    """

    id: str
    kind: str
    lane: int
    column: int
    name: str
    title: Text = ()
    lines: tuple[Text, ...] = ()
    shown: tuple[Shown, ...] = ()
    block: str | None = None
    of: str | None = None
    remark: str = ""
    table: tuple[tuple[Text, ...], ...] = ()
    mark: str = ""
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from `tail` to `head`, with the arrays that flow along it."""

    id: str
    tail: str
    head: str
    kind: str
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame around the nodes of one block, in the op-level view."""

    id: str
    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diagram:
    """A picture before it has positions.

    title: what it is a picture of. legend: whether what is in it is explained under it. ratio: of
    its width to its height, as 16 / 9 of a slide; 0 is whatever it takes.
    """

    title: str
    view: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()
    legend: bool = False
    ratio: float = 0.0


def proportion(ratio: str | float | None) -> float:
    """The width over the height that `"16:9"`, or a number, says; 0 for none.

    >>> proportion("4:3") == proportion(4 / 3), proportion(None)
    (True, 0.0)
    """
    if ratio is None:
        return 0.0
    wide, colon, high = str(ratio).partition(":")
    try:
        found = float(wide) / float(high if colon else 1)
    except (ValueError, ZeroDivisionError):
        found = 0.0
    if not 0.1 <= found <= 10:
        raise UsageError(
            f"a ratio is a width and a height, as in 16:9, from 1:10 to 10:1, got {str(ratio)!r}"
        )
    return found


def numbered(diagram: Diagram) -> Diagram:
    """The diagram with its boxes numbered column by column, from the top, and its arrows in turn."""
    order = sorted(diagram.nodes, key=lambda node: (node.column, node.lane))
    ids = {node.id: f"n{i}" for i, node in enumerate(order)}
    nodes = [
        replace(n, id=ids[n.id], of=ids.get(n.of) if n.of is not None else None) for n in order
    ]
    edges = [
        replace(edge, id=f"e{i}", tail=ids[edge.tail], head=ids[edge.head])
        for i, edge in enumerate(diagram.edges)
    ]
    return replace(diagram, nodes=tuple(nodes), edges=tuple(edges))
