"""A diagram as DOT text, which plain `dot` draws as well and which can be edited.

Lanes are kept with what `dot` offers: each column is one rank whose nodes are chained from the top
to the bottom, and each lane is a chain of heavy edges from column to column, which `dot` draws
straight. Arrows that run leftwards are declared rightwards with `dir=back`: declared in their own
direction they make `dot` need minutes for a hundred layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from graphviz.quoting import escape, quote

from ..diagram import BACKWARD_LANE, FORWARD_LANE, Diagram, Edge, Node
from . import label, legend, palette
from .fonts import FAMILY
from .placement import CLEAR
from .theme import Paint

STRONG, LOOSE, WEAK = 100, 5, 1
"""Weights: of the forward and the backward lane, of the other lanes, of all other arrows."""

HEAD = f"""\
  graph [rankdir=LR, newrank=true, nodesep=0.35, ranksep=0.4, pad=0.2, margin=0, bgcolor=white,
    fontname="{FAMILY}", fontsize={label.NUMBER_SIZE}]
  node [shape=plain, fontname="{FAMILY}", fontsize={label.TEXT_SIZE}, fontcolor="{palette.TEXT}"]
  edge [fontname="{FAMILY}", fontsize={label.TEXT_SIZE}, fontcolor="{palette.TEXT}",
    arrowsize=0.7, penwidth=1.2]
"""


COLOUR = re.compile(r'(?<==")#[0-9a-fA-F]{6}(?=")')


def encode(diagram: Diagram, paint: Paint | None = None) -> bytes:
    """The diagram as DOT; a theme's dashes are left out, which labels cannot have."""
    found = text(diagram)
    if paint is not None:
        found = COLOUR.sub(lambda colour: paint.colour(colour[0]), found)
        paper = "transparent" if paint.paper == CLEAR else paint.paper
        found = found.replace("bgcolor=white", f'bgcolor="{paper}"', 1)
    return found.encode("utf-8")


def text(diagram: Diagram) -> str:
    """The diagram as DOT."""
    return "".join(_Writer(diagram).written())


def quoted(words: str) -> str:
    """A string from outside as a DOT string."""
    return quote(escape(label.clean(words)))


class _Writer:
    """The grid of a diagram, and which of its arrows hold a lane or a column together."""

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.nodes = {node.id: node for node in diagram.nodes}
        self.columns: dict[int, list[Node]] = {}
        for node in sorted(diagram.nodes, key=lambda n: (n.column, n.lane)):
            self.columns.setdefault(node.column, []).append(node)
        self.place = {
            node.id: (column, row)
            for column, nodes in self.columns.items()
            for row, node in enumerate(nodes)
        }
        self.joined = {self._ends(edge) for edge in diagram.edges}
        self.weights = dict(self._lanes())

    def _ends(self, edge: Edge) -> tuple[str, str]:
        """The ends of an arrow in the order of the grid: from the left or from the top."""
        first, second = sorted((edge.tail, edge.head), key=self.place.__getitem__)
        return first, second

    def written(self) -> Iterator[str]:
        yield f"digraph {quoted(self.diagram.title or 'tracenet')} {{\n"
        yield HEAD
        if self.diagram.frames:
            yield "  graph [pad=0.4]\n"
        if self.diagram.legend and (found := legend.html(self.diagram)):
            yield f"  graph [labelloc=b, labeljust=l, label=<{found}>]\n"
        for column in self.columns.values():
            yield from self._column(column)
        yield from self._frames()
        yield from self._scaffold()
        heaviest = dict(self.weights)
        for edge in self.diagram.edges:
            yield self._edge(edge, heaviest.pop(self._ends(edge), WEAK))
        yield "}\n"

    # ------------------------------------------------------------------ nodes

    def _column(self, nodes: list[Node]) -> Iterator[str]:
        yield "  { rank=same\n"
        for node in nodes:
            yield (
                f'    {node.id} [id={node.id}, class="node {node.kind}",'
                f" tooltip={quoted(label.described(node.name, node.shown))},\n"
                f"      label=<{label.of_node(node)}>]\n"
            )
        yield "  }\n"

    def _frames(self) -> Iterator[str]:
        """Frames as subgraphs, which plain `dot` does not draw: see `frames` for the reason."""
        for frame in self.diagram.frames:
            members = " ".join(id for id in frame.nodes if id in self.nodes)
            yield f"  subgraph {frame.id} {{ graph [label={quoted(frame.name)}] {members} }}\n"

    # ------------------------------------------------------------------ what holds the grid

    def _lanes(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Neighbours in a lane, and how straight the line between them must be."""
        lanes: dict[int, dict[int, Node]] = {}
        for column, nodes in self.columns.items():
            for lane in {node.lane: None for node in nodes}:
                lanes.setdefault(lane, {})[column] = _middle(nodes, lane)
        next_column = dict(pairwise(self.columns))
        for lane, found in lanes.items():
            strong = lane in (FORWARD_LANE, BACKWARD_LANE)
            for (column, one), (other, two) in pairwise(found.items()):
                # A line past a column without this lane would push apart what stands there.
                if strong or next_column[column] == other:
                    yield (one.id, two.id), STRONG if strong else LOOSE

    def _scaffold(self) -> Iterator[str]:
        """Invisible lines where no arrow does it: along lanes, down columns, between columns."""
        for (one, two), weight in self.weights.items():
            if (one, two) not in self.joined:
                yield f"  {one} -> {two} [style=invis, weight={weight}]\n"
        for nodes in self.columns.values():
            for above, below in pairwise(nodes):
                if (above.id, below.id) not in self.joined:
                    # Without a weight it would not count when dot orders a column.
                    yield f"  {above.id} -> {below.id} [style=invis]\n"
        linked = {(self.place[a][0], self.place[b][0]) for a, b in self.weights}
        for (one_column, left), (other_column, right) in pairwise(self.columns.items()):
            if (one_column, other_column) not in linked:
                yield f"  {left[0].id} -> {right[0].id} [style=invis, weight=0]\n"

    # ------------------------------------------------------------------ arrows

    def _edge(self, edge: Edge, weight: int) -> str:
        first, second = self._ends(edge)
        parts = [
            f'id={edge.id}, class="edge {edge.kind}", color="{label.edge_colour(edge, self.nodes)}"',
            f"tooltip={quoted(label.edge_title(edge, self.nodes))}",
        ]
        if first != edge.tail:
            parts.append("dir=back")
        if label.is_dashed(edge, self.nodes):
            parts.append("style=dashed")
        if weight != WEAK:
            parts.append(f"weight={weight}")
        words = label.of_edge(edge)
        if words:
            parts.append(f"label=<{words}>")
        return f"  {first} -> {second} [{', '.join(parts)}]\n"


def _middle(nodes: list[Node], lane: int) -> Node:
    """The node that stands for a lane in a column with several: the one next to the arrows."""
    found = [node for node in nodes if node.lane == lane]
    if lane in (FORWARD_LANE, BACKWARD_LANE):
        return found[len(found) // 2]
    return found[-1] if lane < FORWARD_LANE else found[0]
