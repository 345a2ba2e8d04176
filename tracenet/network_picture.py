"""The architecture: one box for each block with the shapes of its parameters, no numbers.

With a backward pass each block has a second box under it, with the shapes of the gradients.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import prod

from .diagram import (
    BACKWARD_LANE,
    FORWARD_LANE,
    Diagram,
    Run,
    Text,
    numbered,
)
from .drawing import checked
from .figures import dimensions
from .parts import Part
from .picture import Shapes
from .records import BACKWARD, FORWARD
from .trace import Trace
from .views import parts

LISTED = 6
"""Parameters that are listed in a box; further ones are counted."""


def draw(
    trace: Trace,
    *,
    depth: int | None = None,
    values: str = "shapes",
    digits: int = 4,
    backward: bool = True,
    open: Collection[str] = (),
    close: Collection[str] = (),
) -> Diagram:
    """The architecture of what ran. values: only shapes are drawn, whatever is asked for."""
    checked(values, digits)
    cut = parts(trace, depth, open, close)
    return _Network(trace, cut, "shapes", digits, backward).made()


class _Network(Shapes):
    view = "network"

    def made(self) -> Diagram:
        for i in self.forward:
            self._forward(i)
        for i, part in enumerate(self.parts):
            if part.phase == BACKWARD:
                self._backward(i, part)
        self._flow(FORWARD, "data")
        if self.both:
            self._flow(BACKWARD, "gradient")
        self._unused()
        self._failure()
        return numbered(self.done(self.view))

    def _forward(self, i: int) -> None:
        part, column = self.parts[i], self.column[i]
        parameters, data = self._read_from_outside(part)
        self.box[i] = self.node(
            "loss" if part.loss else "forward", FORWARD_LANE, column, part.name,
            title=(Run(part.name, "b"),), lines=self._sizes(parameters),
            block=self.path(part.block), reads=tuple(self.trace.values[id].key for id in parameters),
            **{"remark": self._count(parameters), **self.left.get(i, {})},
        )  # fmt: skip
        self._entering(i, data)

    def _backward(self, i: int, part: Part) -> None:
        of = self.box.get(part.of) if part.of is not None else None
        self.box[i] = self.node(
            "backward", BACKWARD_LANE, self._column_of(i, part), part.name,
            title=(Run(part.name, "b"),), lines=self._sizes(self._final_gradients(part)),
            block=self.path(part.block), of=of, **self.left.get(i, {}),
        )  # fmt: skip
        if of is not None:
            self.edge(of, self.box[i], "cache")

    def _sizes(self, ids: Iterable[int]) -> tuple[Text, ...]:
        """`W[1]  3 × 2`, line by line."""
        ids = list(ids)
        lines = tuple(self._size(id) for id in ids[:LISTED])
        rest = len(ids) - LISTED
        return (*lines, (Run(f"+{rest} more"),)) if rest > 0 else lines

    def _size(self, id: int) -> Text:
        return (*self.formulas.label(id), Run(f"  {dimensions(self.trace.values[id].shape)}"))

    def _count(self, parameters: Iterable[int]) -> str:
        count = sum(prod(self.trace.values[id].shape) for id in parameters)
        return f"{count:,} parameter{'s' * (count != 1)}".replace(",", " ") if count else ""
