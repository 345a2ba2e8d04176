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
        ends = made[FORWARD_LANE].id, made[BACKWARD_LANE].id
        if ends not in {(edge.tail, edge.head) for edge in edges}:
            edges.append(Edge("", *ends, "cache"))
    return replace(diagram, nodes=(*nodes, *made.values()), edges=tuple(edges))


def _standing(gap: Gap, inside: Sequence[Node], lane: int) -> Node | None:
    """The box that stands for those of one lane."""
    found = sorted((n for n in inside if n.lane == lane), key=lambda node: node.column)
    if not found or (lane in SUMMED and not gap.times):
        return None
    name = _named(*_ends(gap, found)) if gap.times else f"{len(found)} left out"
    id = f"{found[0].id}…"
    if lane in SUMMED:
        return Node(id, SUMMED[lane], lane, gap.first, name, shown=_ranges(gap, found))
    title = (Run(f"⋯ ×{gap.times}" if gap.times else "⋯", "b"),)
    lines: tuple[Text, ...] = ((Run(name),),) if gap.times else ()
    remark = "" if gap.times else name
    return Node(id, KEPT[lane], lane, gap.first, name, title, lines, remark=remark)


def _ends(gap: Gap, found: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """The boxes of the first and of the last repeat."""
    firsts = [node for node in found if node.column < gap.first + gap.span]
    return firsts, [node for node in found if node.column > gap.last - gap.span]


def _named(firsts: Sequence[Node], lasts: Sequence[Node]) -> str:
    """`layer 2 … layer 49`: of what is in a repeat, what has a number."""
    pairs = [(one.name, two.name) for one, two in zip(firsts, lasts)]
    first, last = next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
    return first if first == last else f"{first} … {last}"


def _ranges(gap: Gap, found: Sequence[Node]) -> tuple[Shown, ...]:
    """`W[2] … W[49]` and the shape that each has, of the arrays in one lane."""
    firsts, lasts = _ends(gap, found)
    pairs = zip((s for n in firsts for s in n.shown), (s for n in lasts for s in n.shown))
    return tuple(_range(a, b) for a, b in pairs)


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
