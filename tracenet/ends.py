"""Where the backward pass ends: gradients of parameters, gradients at the left, updates."""

from __future__ import annotations

from . import notation
from .diagram import (
    BACKWARD_LANE,
    GRADIENT_LANE,
    UPDATE_LANE,
    Run,
    Shown,
    Text,
)
from .parts import Part, flows
from .records import BACKWARD, UPDATE
from .rows import LINES, MORE, Rows


class Ends(Rows):
    def _gradients(self, i: int, part: Part, column: int) -> None:
        left = self._at_left(part, i)
        found = [v for v in self._final_gradients(part) if v not in left]
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
            leaves = [v for v in ours if self._is_leaf(v)]
            if leaves or part.derived:
                out = [v for v in leaves if not self._is_left(v)]
                out.sort(key=lambda v: values[v].of or 0)  # in the order of the parameters
                more = [v for v in made if values[v].of is None and self._goes_out(v, part)]
                return out if part.derived else out + more
        return [v for v in made if self._goes_out(v, part)]

    def _at_left(self, part: Part, i: int) -> set[int | None]:
        """The gradients of a hand-written part that are drawn at the left, under the data."""
        if part.derived or part.of is None or not self.enters:
            return set()
        read = flows(self.trace, self.parts[part.of])[0]
        return {self._gradient_at_left(v, [i]) for v in self.enters if v in read}

    def _is_leaf(self, gradient: int) -> bool:
        of = self.trace.values[self.trace.values[gradient].of]  # type: ignore[index]
        return of.op is None and bool(of.name) and of.role != "constant"

    def _is_left(self, gradient: int) -> bool:
        return self.trace.values[gradient].of in self.enters

    def _goes_out(self, id: int, part: Part) -> bool:
        """For hand-written code: a named gradient that no other backward part reads."""
        value = self.trace.values[id]
        if not notation.split_gradient(value.name)[1]:
            return False
        inside = set(part.ops)
        readers = [self.trace.ops[k] for k in dict.fromkeys(self.trace.readers.get(id, ()))]
        own = [op for op in readers if op.id in inside]
        others = [op for op in readers if op.id not in inside and op.phase == BACKWARD]
        return not others and not own

    # ------------------------------------------------------------------ at the left

    def _leaving_gradients(self) -> None:
        """The gradient of the data at the left: drawn, or struck out where it was not computed."""
        at: dict[str, list[int]] = {}
        real = {id for id in self.enters if self.trace.values[id].dtype.startswith("float")}
        for id, node in self.enters.items():
            if any(self.enters[other] == node for other in real):
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
        whole = not self.trace.values[id].dtype.startswith("float")
        state = "not differentiable" if whole else "not computed"
        return Shown(name=notation.text(name), key=name, state=state)

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
        """What a hand-written first block gives for its input under another name: dA_prev, dA0, g."""
        values, ops, readers = self.trace.values, self.trace.ops, self.trace.readers
        for i in under:
            own = self.trace.blocks[self.parts[i].block].of is not None
            for k in reversed(self.parts[i].ops):
                value = values[ops[k].outs[0]]
                alike = value.shape == values[id].shape and value.of is None
                named = own or notation.split_gradient(value.name)[1]
                if alike and named and not readers.get(value.id):
                    return value.id
        return None

    # ------------------------------------------------------------------ updates

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
        if len(lines) > LINES:
            lines[LINES - 1 :] = [MORE]
        names = [self.trace.values[v].name for v in ids]
        node = self.node(
            "update", UPDATE_LANE, column, "update of " + ", ".join(names),
            title=(Run("update", "b"),), lines=tuple(lines),
            shown=() if lines and self.mode == "none" else self.arrays(ids),
            block=self.path(part.block),
        )  # fmt: skip
        for other in self.nodes:
            if other.kind == "gradient" and other.lane == GRADIENT_LANE and other.column == column:
                self.edge(other.id, node, "gradient")

    def _step(self, id: int) -> Text:
        line = self.formulas.line(id)
        return tuple(Run(" := ") if run.text == " = " else run for run in line)
