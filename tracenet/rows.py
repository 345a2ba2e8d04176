"""What all pictures in rows share: which part stands in which column, its formulas, what flows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from . import notation
from .diagram import Run, Shown, Text
from .drawing import Drawing
from .formulas import LONG
from .leaving import left_in
from .parts import Part, flows
from .records import BACKWARD, FORWARD, Value
from .trace import Trace

LINES = 5
"""Lines of formulas in a box: a backward block has dz, dW, db, da, and one more where time flows."""

MORE: Text = (Run("…"),)
"""Stands where formulas were left out."""


NUMBER = re.compile(r"_?\d+$")
"""What tells the gradients of one parameter at several time steps apart: dWx20 is one of Wx."""


class Rows(Drawing):
    """The parts of a trace, which of them stand in which column, and their boxes."""

    def __init__(
        self, trace: Trace, cut: list[Part], values: str, digits: int, backward: bool
    ) -> None:
        super().__init__(trace, values, digits)
        self.parts = cut if backward else [p for p in cut if p.phase == FORWARD]
        self.forward = [i for i, p in enumerate(self.parts) if p.phase == FORWARD]
        self.column = {i: n + 1 for n, i in enumerate(self.forward)}
        self.back: dict[int, list[int]] = {}  # forward part -> the backward parts under it
        self.box: dict[int, str] = {}  # part -> its node
        self.home = {k: i for i, p in enumerate(self.parts) for k in p.ops}
        self.enters: dict[int, str] = {}  # data that enter at the left -> node
        self.left = left_in(trace, self.home)
        self.slices = Counter(
            (op.ins[0], op.statement) for op in trace.ops if op.rule == "getitem"
        )  # how often each statement takes a slice of an array
        self.formulas.many = frozenset(_repeated(trace, self.parts))
        self.both = backward and any(p.phase == BACKWARD for p in self.parts)

    def _read_from_outside(self, part: Part) -> tuple[list[int], list[int]]:
        values = self.trace.values
        read = [i for i in flows(self.trace, part)[0] if values[i].op is None and values[i].name]
        read = [place for i in read for place in self._taken(part, i)]
        arrays = [i for i in read if values[i].role != "constant"]
        parameters = [i for i in arrays if values[i].role == "parameter"]
        return parameters, [i for i in arrays if i not in parameters and self._is_data(i)]

    def _taken(self, part: Part, id: int) -> list[int]:
        """What a part takes of an array: where each turn of a loop takes a slice, its slices."""
        if not self._is_data(id):
            return [id]
        here = [op for k in part.ops if id in (op := self.trace.ops[k]).ins]
        if any(op.rule != "getitem" for op in here):
            return [id]
        turns = Counter(op.statement for op in here)
        again = any(self.slices[id, statement] > count for statement, count in turns.items())
        return [op.outs[0] for op in here] if again else [id]

    def _is_data(self, id: int) -> bool:
        op = self.trace.values[id].op
        source = id if op is None else self.trace.ops[op].ins[0]
        return self.trace.values[source].role in ("input", "random")

    def _fed(self, part: Part) -> bool:
        """Whether something computed flows into the part."""
        return any(self.trace.values[i].op is not None for i in flows(self.trace, part)[0])

    def _lines(self, part: Part) -> tuple[Text, ...]:
        """The formulas of a part: of each value that has a name, the last ones first chosen."""
        return self._some_lines(part, hide=True) or self._some_lines(part, hide=False)

    def _some_lines(self, part: Part, hide: bool) -> tuple[Text, ...]:
        found: list[tuple[int, Text]] = []
        names: set[str] = set()
        wanted = [out for k in part.ops for out in self.trace.ops[k].outs]
        once = self._written_once(part)
        for id in reversed(wanted):
            value = self.trace.values[id]
            if not value.name or (value.name in names and value.op not in once):
                continue
            if hide and self._hidden(part, id):
                continue
            if value.of is not None and self.trace.gradients().get(value.of, id) != id:
                continue  # one of several that meet in a sum
            line = self.formulas.line(id)
            if line:
                names.add(value.name)
                found.append((id, line))
        if len(found) == 1:  # alone it may be as long as a cross-entropy is
            return (self.formulas.line(found[0][0], LONG),)
        return tuple(self._chosen(found[::-1]))

    def _written_once(self, part: Part) -> set[int | None]:
        """The operations of a part that write to an array, each of a statement that runs once."""
        writes = [op for k in part.ops if (op := self.trace.ops[k]).rule == "write"]
        often = Counter(op.statement for op in writes)
        return {op.id for op in writes if often[op.statement] == 1 and op.of is None}

    @cached_property
    def _parameters(self) -> set[str]:
        return {v.name for v in self.trace.values.values() if v.role == "parameter"}

    def _chosen(self, found: list[tuple[int, Text]]) -> list[Text]:
        """As many formulas as a box has: the last, the gradients, those of parameters before others.

        Nothing that follows the part says which, so that equal time steps have equal formulas.
        """
        if len(found) <= LINES:
            return [line for _, line in found]
        places = range(len(found))
        names = [notation.split_gradient(self.trace.values[id].name) for id, _ in found]
        rank = [
            (self._parameters.isdisjoint({base, NUMBER.sub("", base)}), not gradient)
            for base, gradient in names
        ]
        order = sorted(places, key=lambda n: (n != places[-1], rank[n], n))
        kept = sorted(order[: LINES - 1])
        gap = next((n for n, place in enumerate(kept) if n != place), len(kept))
        lines = [found[n][1] for n in kept]
        return [*lines[:gap], MORE, *lines[gap:]]

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
            self.edge(self.box[i], self.box[j], kind, _each_look(self.arrays(ids)))


def _each_look(shown: Iterable[Shown]) -> Iterator[Shown]:
    """Arrays that are drawn alike are drawn once, such as two parts of one gradient without numbers."""
    seen: set[Shown] = set()
    for one in shown:
        look = replace(one, key="")
        if look not in seen:
            seen.add(look)
            yield one


def _repeated(trace: Trace, cut: list[Part]) -> Iterator[int]:
    """Operations of statements that run several times in one part: none of their indices is all."""
    for part in cut:
        ops = [trace.ops[k] for k in part.ops]
        often = Counter((op.line, op.statement, op.rule) for op in ops)
        yield from (op.id for op in ops if often[op.line, op.statement, op.rule] > 1)
