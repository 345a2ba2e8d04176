"""The two-row picture: forward blocks left to right, their backward blocks under them.

Each forward part is a column: its parameters above it, its cache below, then the backward part
that reads the cache, the gradients that come out, and the update. Data enter at the left. What is
drawn is decided here; how it looks is decided in `render`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from . import notation
from .diagram import (
    BACKWARD_LANE,
    CACHE_LANE,
    FORWARD_LANE,
    GRADIENT_LANE,
    PARAMETER_LANE,
    UPDATE_LANE,
    Diagram,
    Edge,
    Node,
    Run,
    Shown,
    Text,
)
from .errors import UsageError, unknown
from .figures import shown
from .formulas import Formulas
from .parts import Part, flows
from .records import BACKWARD, FORWARD, UPDATE, Value
from .trace import Trace
from .views import parts

VALUES = ("full", "summary", "shapes", "none")
LINES = 3
"""Formulas in a box."""
CELLS = 6
"""Arrays in a box; further ones are counted."""


def draw(
    trace: Trace,
    *,
    depth: int | None = None,
    values: str = "full",
    digits: int = 4,
    backward: bool = True,
) -> Diagram:
    """The block-level picture of a trace."""
    checked(values, digits)
    return _Picture(trace, depth, values, digits, backward).made()


def checked(values: str, digits: int) -> None:
    """Raises UsageError for options that mean nothing."""
    if values not in VALUES:
        raise unknown("amount of values", values, VALUES)
    if not 1 <= digits <= 17:
        raise UsageError(f"digits must be from 1 to 17, got {digits}")


class Drawing:
    """Nodes and edges while they are collected, and how arrays are shown in them."""

    def __init__(self, trace: Trace, values: str, digits: int) -> None:
        self.trace = trace
        self.mode = values
        self.digits = digits
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.formulas = Formulas(trace)

    def node(self, kind: str, lane: int, column: int, name: str, **fields: Any) -> str:
        id = f"n{len(self.nodes)}"
        self.nodes.append(Node(id, kind, lane, column, name, **fields))
        return id

    def edge(self, tail: str, head: str, kind: str, shown: Iterable[Shown] = ()) -> None:
        self.edges.append(Edge(f"e{len(self.edges)}", tail, head, kind, tuple(shown)))

    def array(self, id: int, name: str | None = None, digits: int = 0) -> Shown:
        """A value as it is drawn."""
        value = self.trace.values[id]
        data = self.trace.data(id)
        state = {"constant": "constant", "random": "random"}.get(value.role, "")
        text = self.formulas.label(id) if name is None else notation.text(name)
        digits = digits or self.digits
        return shown(text, value.key, data, values=self.mode, digits=digits, state=state)

    def arrays(self, ids: Iterable[int]) -> tuple[Shown, ...]:
        """Several values; past a limit they are counted instead."""
        ids = list(ids)
        found = tuple(self.array(id) for id in ids[:CELLS])
        if len(ids) > CELLS:
            found += (Shown(name=(Run(f"+{len(ids) - CELLS} more"),)),)
        return found

    def path(self, block: int) -> str:
        return "/".join(b.name for b in self.trace.around(block))

    def done(self, view: str) -> Diagram:
        title = self.trace.title + (" (failed)" if self.trace.failed else "")
        return Diagram(title, view, tuple(self.nodes), tuple(self.edges))


class _Picture(Drawing):
    def __init__(
        self, trace: Trace, depth: int | None, values: str, digits: int, backward: bool
    ) -> None:
        super().__init__(trace, values, digits)
        self.parts = parts(trace, depth)
        if not backward:
            self.parts = [p for p in self.parts if p.phase == FORWARD]
        self.forward = [i for i, p in enumerate(self.parts) if p.phase == FORWARD]
        self.column = {i: n + 1 for n, i in enumerate(self.forward)}
        self.back: dict[int, list[int]] = {}  # forward part -> the backward parts under it
        self.box: dict[int, str] = {}  # part -> its node
        self.home = {k: i for i, p in enumerate(self.parts) for k in p.ops}
        self.enters: dict[int, str] = {}  # data that enter at the left -> node
        self.both = backward and any(p.phase == BACKWARD for p in self.parts)

    def made(self) -> Diagram:
        for i in self.forward:
            self._forward(i)
        for i, part in enumerate(self.parts):
            if part.phase == BACKWARD:
                self._backward(i, part)
        self._flow(FORWARD, "data")
        if self.both:
            self._flow(BACKWARD, "gradient")
            self._leaving_gradients()
        self._updates()
        self._failure()
        return self._sorted()

    # ------------------------------------------------------------------ forward

    def _forward(self, i: int) -> None:
        part, column = self.parts[i], self.column[i]
        parameters, data = self._read_from_outside(part)
        kind = "loss" if part.loss else "forward"
        lines = self._lines(part)
        arrays = self._result(part)
        self.box[i] = self.node(
            kind, FORWARD_LANE, column, part.name, title=(Run(part.name, "b"),), lines=lines,
            block=self.path(part.block), shown=arrays,
        )  # fmt: skip
        if parameters:
            self._above(i, "parameter", parameters)
        first = column == 1 or not self._fed(part)
        if data and first:
            self._at_the_left(i, data)
        elif data:
            self._above(i, "input", data)

    def _read_from_outside(self, part: Part) -> tuple[list[int], list[int]]:
        values = self.trace.values
        read = [i for i in flows(self.trace, part)[0] if values[i].op is None and values[i].name]
        arrays = [i for i in read if values[i].role != "constant"]
        parameters = [i for i in arrays if values[i].role == "parameter"]
        return parameters, [i for i in arrays if values[i].role in ("input", "random")]

    def _fed(self, part: Part) -> bool:
        """Whether something computed flows into the part."""
        return any(self.trace.values[i].op is not None for i in flows(self.trace, part)[0])

    def _above(self, i: int, kind: str, ids: list[int]) -> None:
        name = ", ".join(self.trace.values[v].name for v in ids)
        node = self.node(
            kind, PARAMETER_LANE, self.column[i], name, shown=self.arrays(ids),
            block=self.path(self.parts[i].block),
        )  # fmt: skip
        self.edge(node, self.box[i], "data")

    def _at_the_left(self, i: int, ids: list[int]) -> None:
        new = [v for v in ids if v not in self.enters]
        if new:
            name = ", ".join(self.trace.values[v].name for v in new)
            node = self.node("input", FORWARD_LANE, 0, name, shown=self.arrays(new))
            self.enters.update(dict.fromkeys(new, node))
        for node in dict.fromkeys(self.enters[v] for v in ids):
            self.edge(node, self.box[i], "data")

    def _result(self, part: Part) -> tuple[Shown, ...]:
        """The loss in its box; for a part whose result nobody reads, the result."""
        if not part.loss:
            made = {out for k in part.ops for out in self.trace.ops[k].outs}
            ends = [v.id for v in self.trace.outputs if v.id in made and not self._is_read(v.id)]
            return self.arrays(dict.fromkeys(ends))
        seeds = self.trace.loss_values()
        last = [out for k in part.ops for out in self.trace.ops[k].outs if out in seeds]
        return (self.array(last[0], digits=min(17, self.digits + 5)),)  # it is compared, not read

    def _is_read(self, id: int) -> bool:
        return any(
            id in op.ins and self.home[op.id] != self.home.get(self.trace.values[id].op)  # type: ignore[arg-type]
            for op in self.trace.ops
            if op.id in self.home and op.phase == FORWARD
        )

    def _lines(self, part: Part) -> tuple[Text, ...]:
        """The formulas of a part: of each value that has a name, the last ones first chosen."""
        return self._some_lines(part, hide=True) or self._some_lines(part, hide=False)

    def _some_lines(self, part: Part, hide: bool) -> tuple[Text, ...]:
        found: list[Text] = []
        names: set[str] = set()
        wanted = [out for k in part.ops for out in self.trace.ops[k].outs]
        for id in reversed(wanted):
            value = self.trace.values[id]
            if not value.name or value.name in names or (hide and self._hidden(part, id)):
                continue
            if value.of is not None and self.trace.gradients().get(value.of, id) != id:
                continue  # one of several that meet in a sum
            line = self.formulas.line(id)
            if line:
                names.add(value.name)
                found.append(line)
        found = found[::-1]
        return tuple(found if len(found) <= LINES else [*found[: LINES - 1], found[-1]])

    def _hidden(self, part: Part, id: int) -> bool:
        """Whether a value stands inside a call that is written as a call, or leaves as da."""
        value = self.trace.values[id]
        op = self.trace.ops[value.op]  # type: ignore[index]
        calls = self.formulas.calls
        blocks = {self.trace.ops[self.trace.values[v].op].block: v for v in calls}  # type: ignore[index]
        mirrored = self.trace.blocks[op.block].of
        if op.block in blocks:
            return blocks[op.block] != id
        if mirrored in blocks and part.derived:
            return value.of != calls[blocks[mirrored]][1]
        if part.derived and value.of is not None:
            before = self.trace.values[value.of]
            inside = before.op is not None and self.home.get(before.op) == part.of
            return not inside and before.role != "parameter"
        return False

    # ------------------------------------------------------------------ backward

    def _backward(self, i: int, part: Part) -> None:
        column = self._column_of(i, part)
        of = self.box.get(part.of) if part.of is not None else None
        lines = self._lines(part)
        kept = self._cache(part)
        self.box[i] = self.node(
            "backward", BACKWARD_LANE, column, part.name, title=(Run(part.name, "b"),),
            lines=lines, block=self.path(part.block), of=of,
        )  # fmt: skip
        if part.of is not None:
            self.back.setdefault(part.of, []).append(i)
        if kept:
            name = f"cache of {self.parts[part.of].name if part.of is not None else part.name}"
            cache = self.node(
                "cache", CACHE_LANE, column, name, title=(Run("cache"),),
                shown=self.arrays(kept), block=self.path(part.block), of=of,
            )  # fmt: skip
            if of is not None:
                self.edge(of, cache, "cache")
            self.edge(cache, self.box[i], "cache")
        elif of is not None:
            self.edge(of, self.box[i], "cache")
        self._gradients(i, part, column)

    def _column_of(self, i: int, part: Part) -> int:
        if part.of is not None:
            return self.column[part.of]
        later = [self.column[p.of] for p in self.parts[i:] if p.of is not None]
        return later[0] if later else max(self.column.values(), default=0)

    def _cache(self, part: Part) -> list[int]:
        """The forward values that a backward part reads: what the cache really holds."""
        values, ops = self.trace.values, self.trace.ops
        made = {out for k in part.ops for out in ops[k].outs}
        found: dict[int, None] = {}
        for k in part.ops:
            for v in ops[k].ins:
                value = values[v]
                if v in made or value.of is not None or not self._worth(value):
                    continue
                if value.op is None or self._is_forward(value.op):
                    found[v] = None
        return list(found)

    def _worth(self, value: Value) -> bool:
        if value.op is None:
            return (bool(value.name) and value.role != "constant") or value.role == "random"
        return True

    def _is_forward(self, op: int) -> bool:
        home = self.home.get(op)
        return home is not None and self.parts[home].phase == FORWARD

    def _gradients(self, i: int, part: Part, column: int) -> None:
        found = self._final_gradients(part)
        if not found:
            return
        names = ", ".join(self.trace.values[v].name or "gradient" for v in found)
        node = self.node(
            "gradient", GRADIENT_LANE, column, names, shown=self.arrays(found),
            block=self.path(part.block), of=self.box.get(part.of) if part.of is not None else None,
        )  # fmt: skip
        self.edge(self.box[i], node, "gradient")

    def _final_gradients(self, part: Part) -> list[int]:
        """The gradients that come out of a backward part and go no further back."""
        values = self.trace.values
        made = [out for k in part.ops for out in self.trace.ops[k].outs]
        if part.derived or any(values[v].of is not None for v in made):
            last = set(self.trace.gradients().values())
            ours = [v for v in made if values[v].of is not None and v in last]
            out = [v for v in ours if self._is_leaf(v) and not self._is_left(v)]
            return sorted(out, key=lambda v: values[v].of or 0)  # in the order of the parameters
        return [v for v in made if self._goes_out(v, part)]

    def _is_leaf(self, gradient: int) -> bool:
        of = self.trace.values[self.trace.values[gradient].of]  # type: ignore[index]
        return of.op is None and bool(of.name)

    def _is_left(self, gradient: int) -> bool:
        return self.trace.values[gradient].of in self.enters

    def _goes_out(self, id: int, part: Part) -> bool:
        """For hand-written code: a named gradient that no other backward part reads."""
        value = self.trace.values[id]
        if not notation.split_gradient(value.name)[1]:
            return False
        inside = set(part.ops)
        readers = [op for op in self.trace.ops if id in op.ins]
        own = [op for op in readers if op.id in inside]
        others = [op for op in readers if op.id not in inside and op.phase == BACKWARD]
        return not others and not own

    # ------------------------------------------------------------------ edges

    def _flow(self, phase: str, kind: str) -> None:
        """Arrows between the parts of one pass, with the values that flow along them."""
        along: dict[tuple[int, int], dict[int, None]] = {}
        for j, part in enumerate(self.parts):
            if part.phase != phase:
                continue
            for v in flows(self.trace, part)[0]:
                maker = self.trace.values[v].op
                i = self.home.get(maker) if maker is not None else None
                if i is not None and i != j and self.parts[i].phase == phase:
                    along.setdefault((i, j), {})[v] = None
        for (i, j), ids in along.items():
            self.edge(self.box[i], self.box[j], kind, self.arrays(ids))

    def _leaving_gradients(self) -> None:
        """The gradient of the data at the left: drawn, or struck out where it was not computed."""
        at: dict[str, list[int]] = {}
        for id, node in self.enters.items():
            if self.trace.values[id].dtype.startswith("float"):
                at.setdefault(node, []).append(id)
        for ids in at.values():
            parts = [i for i in self.forward if set(ids) & set(flows(self.trace, self.parts[i])[0])]
            under = [b for i in parts for b in self.back.get(i, [])]
            if not under:
                continue
            names = ", ".join(f"d{self.trace.values[id].name}" for id in ids)
            cells = tuple(self._leaving(id, under) for id in ids)
            node = self.node("gradient", BACKWARD_LANE, 0, names, shown=cells)
            for b in under:
                self.edge(self.box[b], node, "gradient")

    def _leaving(self, id: int, under: list[int]) -> Shown:
        gradient = self._gradient_at_left(id, under)
        if gradient is not None:
            return self.array(gradient)
        name = f"d{self.trace.values[id].name}"
        return Shown(name=notation.text(name), key=name, state="not computed")

    def _gradient_at_left(self, id: int, under: list[int]) -> int | None:
        gradient = self.trace.gradient_of(id)
        if gradient is not None:
            return gradient
        name = f"d{self.trace.values[id].name}"
        for i in under:
            for k in self.parts[i].ops:
                for out in self.trace.ops[k].outs:
                    if self.trace.values[out].name == name:
                        return out
        return self._unread_gradient(id, under)

    def _unread_gradient(self, id: int, under: list[int]) -> int | None:
        """What a hand-written first block gives for its input under another name: dA_prev, dA0."""
        values, ops = self.trace.values, self.trace.ops
        read = {i for op in ops for i in op.ins}
        for i in under:
            for k in reversed(self.parts[i].ops):
                value = values[ops[k].outs[0]]
                alike = value.shape == values[id].shape and value.of is None
                if alike and value.id not in read and notation.split_gradient(value.name)[1]:
                    return value.id
        return None

    # ------------------------------------------------------------------ updates, failure

    def _updates(self) -> None:
        """What each update made, under the gradient that it used."""
        for i, part in enumerate(self.parts):
            if part.phase != UPDATE:
                continue
            for column, ids in self._updated_by_column(part).items():
                self._update(i, part, column, ids)

    def _updated_by_column(self, part: Part) -> dict[int, list[int]]:
        values, ops = self.trace.values, self.trace.ops
        columns: dict[int, list[int]] = {}
        for k in part.ops:
            op = ops[k]
            old = next((v for v in op.ins if values[v].role == "parameter"), None)
            if old is None or op.rule not in ("subtract", "add"):
                continue
            columns.setdefault(self._home_of_parameter(old), []).append(op.outs[0])
        return columns

    def _home_of_parameter(self, id: int) -> int:
        for i in self.forward:
            if id in flows(self.trace, self.parts[i])[0]:
                return self.column[i]
        return max(self.column.values(), default=0)

    def _update(self, i: int, part: Part, column: int, ids: list[int]) -> None:
        lines = [line for v in ids if (line := self._step(v))]
        names = [self.trace.values[v].name for v in ids]
        node = self.node(
            "update", UPDATE_LANE, column, "update of " + ", ".join(names),
            title=(Run("update", "b"),), lines=tuple(lines[:LINES]), shown=self.arrays(ids),
            block=self.path(part.block),
        )  # fmt: skip
        for other in self.nodes:
            if other.kind == "gradient" and other.lane == GRADIENT_LANE and other.column == column:
                self.edge(other.id, node, "gradient")

    def _step(self, id: int) -> Text:
        line = self.formulas.line(id)
        return tuple(Run(" := ") if run.text == " = " else run for run in line)

    def _failure(self) -> None:
        """Marks the place where the user's code raised."""
        if not self.trace.failed:
            return
        at = f", line {self.trace.failed_at[1]}" if self.trace.failed_at else ""
        last = self.forward[-1] if self.forward else None
        column = self.column[last] + 1 if last is not None else 1
        remark = f"{self.trace.failed}"[:120]
        node = self.node(
            "loss", FORWARD_LANE, column, f"failed{at}", title=(Run(f"failed here{at}", "b"),),
            remark=remark,
        )  # fmt: skip
        if last is not None:
            self.edge(self.box[last], node, "data")

    def _sorted(self) -> Diagram:
        """Nodes numbered column by column, from the top, so that ids follow the run."""
        order = sorted(self.nodes, key=lambda n: (n.column, n.lane))
        ids = {node.id: f"n{i}" for i, node in enumerate(order)}
        self.nodes = [
            replace(n, id=ids[n.id], of=ids[n.of] if n.of is not None else None) for n in order
        ]
        self.edges = [replace(e, tail=ids[e.tail], head=ids[e.head]) for e in self.edges]
        return self.done("blocks")
