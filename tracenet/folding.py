"""Equal blocks in sequence drawn as the first, one that stands for all between, and the last.

Layers, turns of a loop and time steps are equal where their columns are: the same boxes and
formulas but for numbers in names, the same shapes, and arrows from and to the same places, seen
from the column or from the whole. A repeat may span several columns: a layer and its addition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from .collapsing import Gap, collapsed
from .diagram import FORWARD_LANE, Diagram, Node, Shown, numbered, plain
from .errors import unknown
from .leaving import MARK as LEFT
from .repeating import one_of

FOLDS = ("ends", "one")
MOST = 12
"""So many equal blocks are drawn by themselves."""
LEAST = 4
"""So many must be equal to be folded when that is asked for: fewer would save nothing."""
START = 30
"""Letters by which formulas are told apart that are too long to be drawn."""
SPAN = 8
"""Columns of the longest repeat that is looked for."""

Link = tuple[str, int, int, bool, int]
"""An arrow seen from a column: its kind, both lanes, whether it leaves, and the other column."""


def folded(diagram: Diagram, fold: bool | str | None = None) -> Diagram:
    """The diagram with equal blocks in sequence folded.

    fold: None folds more than `MOST` of them, True or `"ends"` folds wherever it saves a box, to
    the first, one that stands for those between, and the last; `"one"` to one of them in general
    form, with what it hands to itself where its weights are shared; False folds nothing.

    Raises UsageError for anything else.
    """
    if fold not in (None, True, False, *FOLDS):
        raise unknown("way to fold", str(fold), FOLDS)
    if fold is False:
        return diagram
    columns = _Columns(diagram)
    if fold == "one":
        for repeats in columns.repeats(LEAST):
            diagram = one_of(diagram, repeats)
        return numbered(diagram)
    return collapsed(diagram, columns.gaps(LEAST if fold else MOST + 1))


class _Columns:
    """The columns of a diagram, and which of them are equal."""

    def __init__(self, diagram: Diagram) -> None:
        boxes: dict[int, list[Node]] = {}
        for node in diagram.nodes:
            boxes.setdefault(node.column, []).append(node)
        self.order = sorted(column for column in boxes if column > 0)
        self.faces = {n: tuple(map(_face, boxes[n])) for n in self.order}
        self.names = {n: _heading(boxes[n]) for n in self.order}
        self.links = _links(diagram)

    def gaps(self, least: int) -> list[Gap]:
        """The columns to draw as one: of each run of repeats all but the first and the last."""
        return [self._gap(*run) for run in self._runs(least)]

    def repeats(self, least: int) -> Iterator[list[list[int]]]:
        """The columns of each repeat, run by run; with those at the ends that merely begin or end
        otherwise, and have the names of the others."""
        names = [self.names[n] for n in self.order]
        for at, span, count in self._runs(least - 2):
            end = at + span * count
            if at >= span and names[at - span : at] == names[at : at + span]:
                at -= span
            if names[end : end + span] == names[at : at + span]:
                end += span
            if (end - at) // span >= least:
                yield [self.order[i : i + span] for i in range(at, end, span)]

    def _runs(self, least: int) -> Iterator[tuple[int, int, int]]:
        """Where equal columns in sequence start, how many are a repeat, and how many repeats."""
        at = 0
        while at < len(self.order):
            span, count = self._run(at, least)
            if count:
                yield at, span, count
            at += span * count or 1

    def _run(self, at: int, least: int) -> tuple[int, int]:
        """How many columns repeat from here, and how often; never is 0."""
        for span in range(1, SPAN + 1):
            count = 1 + self._equal(at, span) // span
            if count >= least:
                return span, count
        return 0, 0

    def _equal(self, at: int, span: int) -> int:
        """How many columns in sequence are equal to the one a span later."""
        end = at
        while end + span < len(self.order) and self._alike(self.order[end], self.order[end + span]):
            end += 1
        return end - at

    def _alike(self, one: int, two: int) -> bool:
        ones, twos = self.links.get(one, set()), self.links.get(two, set())
        return (
            self.faces[one] == self.faces[two]
            and all(_has(link, one, twos, two) for link in ones)
            and all(_has(link, two, ones, one) for link in twos)
        )

    def _gap(self, at: int, span: int, count: int) -> Gap:
        """A repeat that starts or ends a sequence stays, unless one with its name stands there."""
        first, last = at + span, at + span * (count - 1)
        names = [self.names[n] for n in self.order]
        if at >= span and names[at - span : at] == names[at : at + span]:
            first = at
        if names[last + span : last + span + 1] == names[last : last + 1]:
            last += span
        columns = self.order[first:last]
        return Gap(columns[0], columns[-1], (last - first) // span, span)


def _links(diagram: Diagram) -> dict[int, set[Link]]:
    by_id = {node.id: node for node in diagram.nodes}
    found: dict[int, set[Link]] = {}
    for edge in diagram.edges:
        tail, head = by_id[edge.tail], by_id[edge.head]
        for here, there, leaves in ((tail, head, True), (head, tail, False)):
            link = (edge.kind, here.lane, there.lane, leaves, there.column)
            found.setdefault(here.column, set()).add(link)
    return found


def _has(link: Link, here: int, others: set[Link], there: int) -> bool:
    """Whether another column has an arrow like this one: as far away, or to the same column."""
    *alike, column = link
    same: Callable[[int], bool] = lambda other: (*alike, other) in others
    return same(column) or same(column - here + there)


def _face(node: Node) -> tuple[Any, ...]:
    """What a box looks like but for the numbers in names."""
    lines = tuple(_start(_stem(plain(line))) for line in node.lines)
    shown = tuple(map(_outline, node.shown))
    return node.kind, node.lane, _stem(node.name), lines, shown, node.mark == LEFT


def _outline(shown: Shown) -> tuple[Any, ...]:
    return _stem(plain(shown.name)), shown.shape, shown.state == "not computed"


def _heading(nodes: list[Node]) -> tuple[str, ...]:
    return tuple(sorted(_stem(node.name) for node in nodes if node.lane == FORWARD_LANE))


def _start(line: str) -> str:
    """A line, or the start of one that was cut: where, depends on how long its numbers are."""
    return line[:START] if line.endswith("…") else line


def _stem(text: str) -> str:
    """A name or formula without its numbers: those of layers differ."""
    return re.sub(r"\d+", "#", text)
