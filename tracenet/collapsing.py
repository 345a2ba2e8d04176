"""Columns of a diagram drawn as one: how many there are, and what begins and ends them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .diagram import (
    BACKWARD_LANE,
    FORWARD_LANE,
    GRADIENT_LANE,
    PARAMETER_LANE,
    Diagram,
    Edge,
    Node,
    Run,
    Shown,
    Text,
    numbered,
)
from .figures import dimensions

KEPT = {FORWARD_LANE: "forward", BACKWARD_LANE: "backward"}
SUMMED = {PARAMETER_LANE: "parameter", GRADIENT_LANE: "gradient"}
"""The lanes of which something is left, and what it is."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Columns from `first` to `last` that become one: `times` repeats of `span` columns each.

    times: 0 for columns that are merely left out, and need not be equal.
    """

    first: int
    last: int
    times: int = 0
    span: int = 1

    def holds(self, node: Node) -> bool:
        """Whether a box stands in these columns."""
        return self.first <= node.column <= self.last


def collapsed(diagram: Diagram, gaps: Iterable[Gap]) -> Diagram:
    """The diagram with one column for each gap."""
    for gap in gaps:
        diagram = _without(diagram, gap)
    return numbered(diagram)


def _without(diagram: Diagram, gap: Gap) -> Diagram:
    """The diagram with one gap closed; arrows into it lead to the box that stands for it."""
    inside = [node for node in diagram.nodes if gap.holds(node)]
    made = {lane: node for lane in (*KEPT, *SUMMED) if (node := _standing(gap, inside, lane))}
    if BACKWARD_LANE in made and FORWARD_LANE in made:
        made[BACKWARD_LANE] = replace(made[BACKWARD_LANE], of=made[FORWARD_LANE].id)
    gone = {node.id: made[node.lane].id if node.lane in made else "" for node in inside}
    nodes = [node for node in diagram.nodes if node.id not in gone]
    edges = _rejoined(diagram.edges, gone)
    if BACKWARD_LANE in made and FORWARD_LANE in made:
        kept = Edge("", made[FORWARD_LANE].id, made[BACKWARD_LANE].id, "cache")
        edges.append(kept)
    return replace(diagram, nodes=(*nodes, *made.values()), edges=tuple(edges))


def _standing(gap: Gap, inside: Sequence[Node], lane: int) -> Node | None:
    """The box that stands for those of one lane."""
    found = sorted((n for n in inside if n.lane == lane), key=lambda node: node.column)
    found = [node for node in found if node.kind != "input" or lane == FORWARD_LANE]
    if not found or (lane in SUMMED and not gap.times):
        return None
    first, last = found[0], found[-1]
    id = f"{first.id}…"
    name = first.name if first.name == last.name else f"{first.name} … {last.name}"
    if lane in SUMMED:
        shown = _ranges(gap, found)
        return Node(id, SUMMED[lane], lane, gap.first, name, shown=shown)
    times = f"×{gap.times}" if gap.times else ""
    title = (Run(f"⋯ {times}".strip(), "b"),)
    count = sum(node.kind not in ("input", "gradient") for node in found)
    what = name if gap.times else f"{count} more"
    lines: tuple[Text, ...] = ((Run(what),),) if count else ()
    return Node(id, KEPT[lane], lane, gap.first, name, title, lines, remark="")


def _ranges(gap: Gap, found: Sequence[Node]) -> tuple[Shown, ...]:
    """`W[2] … W[49]` and the shape that each has, of the arrays in one lane."""
    firsts = [s for n in found if n.column < gap.first + gap.span for s in n.shown]
    lasts = [s for n in found if n.column > gap.last - gap.span for s in n.shown]
    return tuple(_range(a, b) for a, b in zip(firsts, lasts))


def _range(first: Shown, last: Shown) -> Shown:
    """Arrays of one shape, from the first to the last."""
    size = (dimensions(first.shape),) if first.dtype and first.shape == last.shape else ()
    if first.name == last.name:
        return Shown(first.name, first.key, summary=size)
    name = (*first.name, Run(" … "), *last.name)
    return Shown(name, f"{first.key} … {last.key}", summary=size)


def _rejoined(edges: Iterable[Edge], gone: dict[str, str]) -> list[Edge]:
    """The arrows between what is left; several that now have the same ends are one."""
    found: dict[tuple[str, str, str], list[Edge]] = {}
    for edge in edges:
        tail, head = gone.get(edge.tail, edge.tail), gone.get(edge.head, edge.head)
        if tail and head and tail != head:
            found.setdefault((tail, head, edge.kind), []).append(edge)
    return [
        Edge(several[0].id, *ends, _along(several))  # type: ignore[arg-type]
        for ends, several in found.items()
    ]


def _along(several: Sequence[Edge]) -> tuple[Shown, ...]:
    first, last = several[0], several[-1]
    if len(several) == 1 or first.shown == last.shown:
        return first.shown
    return tuple(_range(a, b) for a, b in zip(first.shown, last.shown))
