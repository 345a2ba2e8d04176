"""The op-level picture: each operation in a column of its own, its mirror under it.

Inputs and parameters stand above each use, so that a weight that is used often does not become a
hub. Where gradients of one value meet, their sum is an operation like any other. A backward pass by
hand stands under the forward blocks that it is written for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from .diagram import (
    BACKWARD_LANE,
    FORWARD_LANE,
    GRADIENT_LANE,
    PARAMETER_LANE,
    UPDATE_LANE,
    Diagram,
    Frame,
    Run,
)
from .drawing import Drawing, checked
from .leaving import left_in
from .ops import BY_NAME
from .records import BACKWARD, FORWARD, UPDATE, Op
from .trace import Trace

SYMBOLS = {
    "add": "+", "subtract": "−", "multiply": "⊙", "divide": "÷", "matmul": "@", "dot": "dot",
    "negative": "−", "power": "^", "sum": "Σ", "transpose": "T", "getitem": "[ ]", "write": "[ ] =",
}  # fmt: skip


def draw(
    trace: Trace,
    *,
    depth: int | None = None,
    values: str = "full",
    digits: int = 4,
    backward: bool = True,
) -> Diagram:
    """The op-level picture of a trace. depth: the level of the blocks that get a frame."""
    checked(values, digits)
    return _OpsPicture(trace, values, digits, backward).made(depth or 1)


class _OpsPicture(Drawing):
    def __init__(self, trace: Trace, values: str, digits: int, backward: bool) -> None:
        super().__init__(trace, values, digits)
        self.backward = backward
        self.box: dict[int, str] = {}  # op -> node
        self.column: dict[int, int] = {}  # op -> column
        self.last = 0  # the last column
        self.spans: dict[int, tuple[int, int]] = {}  # forward block -> its first and last column
        self.cursor: int | None = None  # the column of the last backward op
        self.crowd: Counter[int] = Counter()  # block -> its backward ops that are no mirrors
        self.run: Counter[int] = Counter()  # block -> those of them that have a column
        self.ids: set[int] = set()
        self.left = left_in(trace, {op.id: op.id for op in trace.ops})
        self.gradient_box: dict[int, str] = {}  # gradient of a leaf -> its node

    def made(self, depth: int) -> Diagram:
        shown = [op for op in self.trace.ops if self.backward or op.phase == FORWARD]
        self.ids = {op.id for op in shown}
        for op in shown:
            if op.phase == BACKWARD and op.of is None:
                self.crowd.update(block.id for block in self.trace.around(op.block))
        for op in shown:
            self._place(op)
        if self.backward:
            self._gradients()
        for op in shown:
            self._wire(op)
        frames = self._frames(depth)
        diagram = self.done("ops")
        return replace(diagram, frames=frames)

    def _place(self, op: Op) -> None:
        lane = {FORWARD: FORWARD_LANE, BACKWARD: BACKWARD_LANE, UPDATE: UPDATE_LANE}[op.phase]
        column = self._column(op)
        self.column[op.id] = column
        self.last = max(self.last, column)
        kind = {FORWARD: "forward", BACKWARD: "backward", UPDATE: "update"}[op.phase]
        loss = op.phase == FORWARD and bool(set(op.outs) & self.trace.loss_values())
        title = SYMBOLS.get(op.rule, op.rule)
        if op.rule == "multiply" and not any(self.trace.values[i].shape for i in op.ins):
            title = "×"
        self.box[op.id] = self.node(
            "loss" if loss else kind, lane, column, _named(op), title=(Run(title, "b"),),
            shown=self.arrays(op.outs), block=self.path(op.block),
            of=self.box.get(op.of) if op.of is not None else None,
            **self.left.get(op.id, {"remark": "" if op.rule in BY_NAME else "no backward rule"}),
        )  # fmt: skip

    def _column(self, op: Op) -> int:
        if op.of is not None:
            self.cursor = self.column[op.of]
            return self.cursor
        if op.phase == BACKWARD:
            return self._under(op)
        if op.phase == UPDATE:
            read = [self.trace.values[i] for i in op.ins]
            of = next((v.id for v in read if v.role == "parameter"), None)
            of = of if of is not None else next((v.of for v in read if v.of is not None), None)
            if of is not None:
                return self._first_use(of)
            before = [self.column[v.op] for v in read if v.op in self.column]  # of Adam, say
            return before[-1] if before else 1
        self._widen(op.block, self.last + 1)
        return self.last + 1

    def _widen(self, block: int, column: int) -> None:
        """Notes a column of a block and of those around it."""
        for around in self.trace.around(block):
            first, _ = self.spans.get(around.id, (column, column))
            self.spans[around.id] = first, column

    def _under(self, op: Op) -> int:
        """The column of a backward op that is no mirror: under what it is the gradient of, if that
        was computed; in a block by hand from the right to the left under the forward block that it
        is written for; else where the gradients that it reads have come to."""
        of = self.trace.values[op.outs[0]].of
        maker = self.trace.values[of].op if of is not None else None
        around = self.trace.around(op.block)
        self.run.update(block.id for block in around)
        self.cursor = self._flowing(op) if maker is None else self.column[maker]
        for block in reversed(around):
            if block.handwritten and block.of in self.spans:
                first, last = self.spans[block.of]
                if maker is None:
                    before = self.run[block.id] - 1
                    self.cursor = last - before * (last - first + 1) // self.crowd[block.id]
                self.cursor = min(max(self.cursor, first), last)
                break
        return self.cursor

    def _flowing(self, op: Op) -> int:
        """How far to the left a backward op has come, by what it reads."""
        gradients, cache = [], []
        for id in op.ins:
            maker = self.trace.values[id].op
            if maker is not None and self.trace.ops[maker].phase == FORWARD:
                cache.append(self._first_use(id))
            elif maker in self.column:
                gradients.append(self.column[maker])
        before = self.last if self.cursor is None else self.cursor
        return min([*(gradients or [before]), *([max(cache)] if cache else [])])

    def _first_use(self, value: int) -> int:
        readers = self.trace.readers.get(value, ())
        return self.column.get(readers[0], 1) if readers else 1

    def _wire(self, op: Op) -> None:
        kind = "data" if op.phase == FORWARD else "gradient"
        leaves: dict[str, list[int]] = {}
        for i in dict.fromkeys(op.ins):
            value = self.trace.values[i]
            if value.op is not None and value.op in self.ids:
                maker = self.trace.ops[value.op]
                crossing = maker.phase == FORWARD and op.phase != FORWARD
                tail = self.box[maker.id]
                if op.phase == UPDATE:
                    tail = self.gradient_box.get(i, tail)
                if not (crossing and op.of is not None):
                    self.edge(tail, self.box[op.id], "cache" if crossing else kind)
            elif op.phase == FORWARD and (value.name or value.role == "random"):
                leaf = "parameter" if value.role == "parameter" else "input"
                leaves.setdefault(leaf, []).append(i)
        for leaf, ids in leaves.items():
            names = ", ".join(self.trace.values[i].name or "random" for i in ids)
            node = self.node(
                leaf, PARAMETER_LANE, self.column[op.id], names, shown=self.arrays(ids),
                block=self.path(op.block),
            )  # fmt: skip
            self.edge(node, self.box[op.id], "data")
        if op.of is not None and op.of in self.ids:
            self.edge(self.box[op.of], self.box[op.id], "cache")

    def _gradients(self) -> None:
        """The gradients of inputs and parameters, under the last op that added to them."""
        under: dict[int, list[int]] = {}
        for id, gradient in self.trace.gradients().items():
            value, made = self.trace.values[id], self.trace.values[gradient].op
            if value.op is None and value.name and made is not None and made in self.box:
                under.setdefault(made, []).append(gradient)
        for made, gradients in under.items():
            gradients.sort(key=lambda g: self.trace.values[g].of or 0)
            names = ", ".join(self.trace.values[g].name for g in gradients)
            node = self.node(
                "gradient", GRADIENT_LANE, self.column[made], names, shown=self.arrays(gradients),
                block=self.path(self.trace.ops[made].block),
            )  # fmt: skip
            self.edge(self.box[made], node, "gradient")
            self.gradient_box.update(dict.fromkeys(gradients, node))

    def _frames(self, depth: int) -> tuple[Frame, ...]:
        """One frame for each block at a depth, around its ops and their mirrors."""
        members: dict[str, list[str]] = {}
        names: dict[str, Any] = {}
        for op in self.trace.ops:
            if op.id not in self.box or op.phase != FORWARD:
                continue
            around = self.trace.around(op.block)
            if len(around) > depth:
                key = f"f{around[depth].id}"
                names[key] = around[depth].name
                members.setdefault(key, []).append(self.box[op.id])
        mirrors = {n.of: n.id for n in self.nodes if n.of is not None}
        return tuple(
            Frame(key, names[key], tuple(n for m in ids for n in (m, mirrors.get(m)) if n))
            for key, ids in members.items()
        )


def _named(op: Op) -> str:
    return f"{op.rule} backward" if op.of is not None else op.rule
