"""Equal blocks in sequence drawn as one of them, in general form: `layer l`, `step t`, ×20.

All boxes of the other repeats are left out, and their arrows lead to the one that stays. What is
the same in every repeat keeps its numbers: the weights that all time steps share, and their
gradient, which is summed over all of them. What differs is written with an index and its shape.
Where the weights are shared, what a repeat hands to the next is an arrow back to the start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from .diagram import Diagram, Edge, Node, Run, Shown, Text, plain
from .figures import dimensions

Place = tuple[int, int, str, int]
"""Where a box stands in its repeat: column, lane, kind, and which of several."""


def one_of(diagram: Diagram, repeats: Sequence[Sequence[int]]) -> Diagram:
    """The diagram with one box, ×N, for each box of its repeats, which are lists of columns."""
    return _Repeats(diagram, repeats).made()


class _Repeats:
    """One sequence of equal blocks: the second of them stays, as the first may begin otherwise."""

    def __init__(self, diagram: Diagram, repeats: Sequence[Sequence[int]]) -> None:
        self.diagram = diagram
        self.columns = repeats[1]
        self.count = len(repeats)
        self.turn = {column: k for k, columns in enumerate(repeats) for column in columns}
        self.offset = {c: o for columns in repeats for o, c in enumerate(columns)}
        self.at: dict[str, Place] = {}
        self.turns: dict[str, int] = {}
        self.boxes: list[dict[Place, Node]] = [{} for _ in repeats]
        for node in diagram.nodes:
            if node.column in self.turn:
                boxes, place = self.boxes[self.turn[node.column]], self._place(node)
                boxes[place] = node
                self.at[node.id] = place
                self.turns[node.id] = self.turn[node.column]
        self.shared = self._share()
        self.letter = "t" if self.shared else "l"
        self.to = {id: self._stays(id) for id in self.at}

    def _place(self, node: Node) -> Place:
        boxes = self.boxes[self.turn[node.column]]
        here = self.offset[node.column], node.lane, _kind(node)
        return (*here, sum(place[:3] == here for place in boxes))

    def _share(self) -> bool:
        """Whether every repeat reads the same weights."""
        keys = [
            {
                *(key for node in boxes.values() for key in node.reads),
                *(s.key for n in boxes.values() if n.kind == "parameter" for s in n.shown),
            }
            for boxes in self.boxes
        ]
        return bool(keys[1]) and all(found == keys[1] for found in keys)

    def _stays(self, id: str) -> str:
        """The box that is drawn for a box of any repeat: itself, where the second has none such."""
        standing = self.boxes[1].get(self.at[id])
        return standing.id if standing is not None else id

    # ------------------------------------------------------------------ boxes

    def made(self) -> Diagram:
        kept = [node for node in self.diagram.nodes if self.to.get(node.id, node.id) == node.id]
        return replace(
            self.diagram,
            nodes=tuple(map(self._box, kept)),
            edges=tuple(self._arrows()),
        )

    def _box(self, node: Node) -> Node:
        if node.id not in self.at:
            return node
        place = self.at[node.id]
        standing = self.boxes[1].get(place)
        if standing is None:  # of one repeat only: what enters the first, a sum over all
            return replace(node, column=self.columns[place[0]], of=self.to.get(node.of or ""))
        after = self.boxes[2].get(place, standing)
        ends = self.boxes[0].get(place, standing), self.boxes[-1].get(place, standing)
        same = ends[0].name == ends[1].name
        last = ends[1] if ends[1].kind == "loss" else node  # a sum over all repeats ends there
        times = Run(f"  ×{self.count}")
        return replace(
            node,
            kind=last.kind,
            name=node.name if same else f"{ends[0].name} … {ends[1].name}",
            title=(*self._general(node.title, after.title), *([times] if node.title else [])),
            lines=tuple(self._general(a, b) for a, b in zip(node.lines, after.lines)),
            shown=tuple(self._shown(node.shown, after.shown, ends[1].shown))
            or (last.shown if last.kind == "loss" else ()),
            remark=f"{node.remark} each" if node.reads and not self.shared else node.remark,
            table=tuple(
                tuple(self._general(a, b) for a, b in zip(one, two))
                for one, two in zip(node.table, after.table)
            ),
        )

    def _shown(
        self, ones: Iterable[Shown], twos: Iterable[Shown], lasts: Iterable[Shown]
    ) -> Iterator[Shown]:
        """Arrays with numbers where they are the same in every repeat, else with shapes."""
        for one, two, last in zip(ones, twos, lasts):
            if one.key == two.key and one == two:
                yield one
                continue
            key = one.key if one.key == last.key else f"{one.key} … {last.key}"
            size = (dimensions(one.shape),) if one.dtype and one.shape == two.shape else ()
            name = self._general(one.name, two.name)
            yield Shown(name, key, one.shape if size else (), one.dtype, summary=size)

    def _general(self, one: Text, two: Text) -> Text:
        """A text of the second repeat with an index for each number that another repeat has not."""
        if len(one) != len(two) or plain(one) == plain(two):
            return one
        found: list[Run] = []
        for a, b in zip(one, two):
            found += self._indexed(a, b.text)
        return tuple(found)

    def _indexed(self, run: Run, other: str) -> Iterator[Run]:
        ours, theirs = (re.split(r"(\d+)", text) for text in (run.text, other))
        if ours[::2] != theirs[::2]:
            yield run
            return
        text = ""
        for i, (a, b) in enumerate(zip(ours, theirs)):
            if a == b or not i % 2:
                text += a
                continue
            index = self._index(int(a)) if int(b) == int(a) + 1 else self.letter
            if text[-1:].isalnum() and run.style in ("", "i"):
                yield Run(text, run.style)
                yield Run(index, "sub")
                text = ""
            else:
                text += index
        if text:
            yield Run(text, run.style)

    def _index(self, number: int) -> str:
        """How far a number is from the number of the repeat: `t`, `t−1`."""
        before = number - self._number()
        return self.letter + (f"{before:+}".replace("-", "−") if before else "")

    def _number(self) -> int:
        """The number that the second repeat has in its name; counted from 1, where it has none."""
        for node in self.boxes[1].values():
            found = re.search(r"(\d+)$", node.name) if node.kind in ("forward", "loss") else None
            if found:
                return int(found[1])
        return 2

    # ------------------------------------------------------------------ arrows

    def _arrows(self) -> Iterator[Edge]:
        found: dict[tuple[str, str, str], list[Edge]] = {}
        for edge in self.diagram.edges:
            tail, head = self.to.get(edge.tail, edge.tail), self.to.get(edge.head, edge.head)
            here, there = self.turns.get(edge.tail), self.turns.get(edge.head)
            between = here is not None and there is not None and here != there
            if between and not (self.shared and abs(here - there) == 1):  # type: ignore[operator]
                continue
            found.setdefault((tail, head, edge.kind), []).append(edge)
        for (tail, head, kind), edges in found.items():
            yield Edge(edges[0].id, tail, head, kind, self._along(edges))

    def _along(self, edges: Sequence[Edge]) -> tuple[Shown, ...]:
        """What flows along arrows that are one now."""
        if len(edges) < 3 or all(edge.shown == edges[0].shown for edge in edges):
            return edges[-1].shown
        ways = sorted(edges, key=self._order)
        return tuple(self._shown(ways[1].shown, ways[2].shown, ways[-1].shown))

    def _order(self, edge: Edge) -> int:
        """The repeat that an arrow begins in or leads to, counted from the first."""
        ends = [id for id in (edge.tail, edge.head) if id in self.at]
        return min(self.turns[id] for id in ends)


def _kind(node: Node) -> str:
    """What a box is in its repeat: the last one may end in the loss."""
    return "forward" if node.kind == "loss" else node.kind
