"""What each block of a diagram reads, keeps and gives, in words for readers of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..diagram import Diagram, Edge, Node, Shown, Text

PASSES = {
    "Forward": ("forward", "value", "loss"),
    "Backward": ("backward",),
    "Update": ("update",),
}
"""The kinds of the blocks of each pass."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A block, and the arrays that enter it, that it keeps or finds in a cache, and that leave."""

    node: Node
    inputs: tuple[Shown, ...]
    cache: tuple[Shown, ...]
    outputs: tuple[Shown, ...]


def flows(diagram: Diagram) -> dict[str, list[Flow]]:
    """The blocks of each pass, in the order of the run: forwards, then back; a pass may be missing."""
    found: dict[str, list[Flow]] = {}
    by_id = {node.id: node for node in diagram.nodes}
    heads: dict[str, list[Edge]] = {id: [] for id in by_id}
    tails: dict[str, list[Edge]] = {id: [] for id in by_id}
    for edge in diagram.edges:
        heads[edge.head].append(edge)
        tails[edge.tail].append(edge)
    for name, kinds in PASSES.items():
        nodes = [node for node in diagram.nodes if node.kind in kinds]
        nodes.sort(key=lambda node: -node.column if name == "Backward" else node.column)
        if nodes:
            found[name] = [_flow(node, by_id, heads[node.id], tails[node.id]) for node in nodes]
    return found


def _flow(node: Node, nodes: dict[str, Node], entering: list[Edge], leaving: list[Edge]) -> Flow:
    return Flow(
        node,
        _distinct(_carried(entering, nodes, at_head=False)),
        _distinct(_kept(entering + leaving, nodes)),
        _distinct((*_carried(leaving, nodes, at_head=True), *node.shown)),
    )


def _carried(edges: Iterable[Edge], nodes: dict[str, Node], at_head: bool) -> Iterator[Shown]:
    """What arrows carry: it is written at them, or in the box of numbers at their other end."""
    for edge in edges:
        if edge.kind != "cache":
            end = nodes[edge.head if at_head else edge.tail]
            bare = end.kind in ("input", "parameter", "gradient")
            yield from edge.shown or (end.shown if bare or not at_head else ())


def _kept(edges: Iterable[Edge], nodes: dict[str, Node]) -> Iterator[Shown]:
    for edge in edges:
        if edge.kind == "cache":
            yield from edge.shown
            for end in (nodes[edge.tail], nodes[edge.head]):
                yield from end.shown if end.kind == "cache" else ()


def _distinct(shown: Iterable[Shown]) -> tuple[Shown, ...]:
    """Each array once, without those that are blank or were not computed."""
    found: dict[tuple[str, Text], Shown] = {}
    for item in shown:
        if item.state != "not computed" and (item.name or item.key):
            found.setdefault((item.key, item.name), item)
    return tuple(found.values())
