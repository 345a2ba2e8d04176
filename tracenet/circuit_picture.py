"""The circuit, as CS231n draws it: gates in circles, values above the wires, gradients below.

A gate is one operation; a call of a well-known small function (`sigmoid`) is one gate as well. A
number in the code belongs to its gate: ×2, +1, 1/x.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from . import notation
from .diagram import Diagram, Run, Shown, numbered
from .drawing import Drawing, checked
from .errors import UsageError
from .gates import MOST, Gate, gates
from .leaving import left_in
from .trace import Trace

NEAR = 12
"""Gates of a circuit whose inputs all stand at the left; in larger ones they stand near."""


def draw(
    trace: Trace,
    *,
    depth: int | None = None,
    values: str = "full",
    digits: int = 4,
    backward: bool = True,
) -> Diagram:
    """The circuit of the forward pass, with the gradients where the backward pass ran.

    Raises UsageError where it has more gates than can be read.
    """
    checked(values, digits)
    found = gates(trace)
    if len(found) > MOST:
        raise UsageError(
            f"the circuit has {len(found)} gates, more than {MOST}: draw it with the view 'ops'"
        )
    return _Circuit(trace, values, digits, backward).made(found)


class _Circuit(Drawing):
    def __init__(self, trace: Trace, values: str, digits: int, backward: bool) -> None:
        super().__init__(trace, values, digits)
        self.backward = backward
        self.made_by: dict[int, str] = {}  # value -> the box that it comes out of
        self.columns: dict[str, int] = {}
        self.read: set[int] = set()

    def made(self, found: list[Gate]) -> Diagram:
        near = len(found) > NEAR
        left = left_in(self.trace, {k: i for i, gate in enumerate(found) for k in gate.ops})
        for i, gate in enumerate(found):
            self._gate(gate, near, left.get(i, {}))
        self._results(found)
        return numbered(self.done("circuit"))

    def _gate(self, gate: Gate, near: bool, left: dict[str, Any]) -> None:
        column = 1 + max((self._column(i) for i in gate.ins), default=0)
        for i in gate.ins:
            if i not in self.made_by:
                self._enter(i, column - 1 if near else 0)
        loss = gate.out in self.trace.loss_values()
        op = self.trace.ops[gate.ops[-1]]
        box = self.node(
            "loss" if loss else "forward", len(self.nodes), column, gate.name,
            title=(Run(gate.symbol, "b"),), block=self.path(op.block), **left,
        )  # fmt: skip
        self.columns[box] = column
        for place, i in enumerate(gate.ins):
            self.read.add(i)
            self.edge(self.made_by[i], box, "data", self._carried(i, gate.gradients[place]))
        for out in gate.outs:
            self.made_by[out] = box

    def _column(self, value: int) -> int:
        return self.columns[self.made_by[value]] if value in self.made_by else 0

    def _enter(self, id: int, column: int) -> None:
        value = self.trace.values[id]
        name = value.name or value.role
        kind = "parameter" if value.role == "parameter" else "input"
        box = self.node(kind, len(self.nodes), column, name, title=notation.text(name))
        self.columns[box] = column
        self.made_by[id] = box

    def _results(self, found: Iterable[Gate]) -> None:
        """What no gate reads leaves at the right, under its name."""
        for gate in found:
            for out in gate.outs:
                if out not in self.read:
                    value = self.trace.values[out]
                    name = value.name or "result"
                    column = self.columns[self.made_by[out]] + 1
                    box = self.node(
                        "value", len(self.nodes), column, name, title=notation.text(name)
                    )
                    gradient = self.trace.gradient_of(out)
                    self.edge(self.made_by[out], box, "data", self._carried(out, gradient))

    def _carried(self, id: int, gradient: int | None) -> tuple[Shown, ...]:
        """What stands above and below a wire: the value, and the gradient where there is one."""
        above = self._written(id)
        if not self.backward or gradient is None:
            return (above,)
        return (above, self._written(gradient))

    def _written(self, id: int) -> Shown:
        found = replace(self.array(id), name=())
        return replace(found, summary=found.summary[:1], heat=()) if found.summary else found
