"""A tape that keeps no more than its backward pass reads.

What is recorded is the same, but arrays are let go: an intermediate value as soon as the program
itself holds it no more and no backward rule on the way to a parameter reads it, and a gradient as
soon as it was used. Hand-written code keeps the same in its caches. In the place of what was let go
stands a `Gone`, with its shape, and what the mode keeps of its numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from weakref import ref

import numpy as np

from ..records import MIRROR, SUM
from .absent import Absent

SMALL = 4096
"""Arrays of fewer bytes are kept whatever they are: they cost no more than what stands for them."""

SLACK, SHARE = 1 << 18, 0.02
"""After so many bytes, and this share of what is kept, it is looked what can be let go."""

Sketch = Callable[[np.ndarray], Any]

_mode: tuple[str, Sketch | None] = ("full", None)


class Gone(Absent):
    """A value that was let go. sketch: what was kept of its numbers, if anything."""

    __slots__ = ("sketch",)

    def __init__(self, data: np.ndarray, sketch: Any) -> None:
        super().__init__(data.shape, data.dtype)
        self.sketch = sketch


@contextmanager
def keeping(mode: str, sketch: Sketch | None) -> Iterator[None]:
    """Tapes that are made meanwhile keep all (`"full"`) or what their backward reads."""
    global _mode
    before, _mode = _mode, (mode, sketch)
    try:
        yield
    finally:
        _mode = before


def values_of(tape: Any) -> list[Any]:
    """The list that a new tape keeps its values in."""
    if _mode[0] == "full":
        return []
    tape.rewritten = True  # a replay looks what is there
    tape.ops = Ops()
    values = Lean(tape, _mode[1])
    tape.ops.values = ref(values)
    return values


class Ops(list[Any]):
    """The operations of such a tape. What a new one reads is known then, and not before."""

    values: ref[Lean]

    def append(self, op: Any) -> None:
        list.append(self, op)
        values = self.values()
        if values is not None and values.filled:
            values.sweep()


class Lean(list[Any]):
    """The values of a tape, of which arrays that no backward reads are let go.

    It refers to the parts of its tape and not to the tape: a cycle would outlive the trace.
    """

    def __init__(self, tape: Any, sketch: Sketch | None) -> None:
        super().__init__()
        self.ops, self.leaves, self.probes = tape.ops, tape.leaves, tape.probes
        self.sketch = sketch
        self.replay: Any = None
        self._roles: tuple[str, ...] | None = None
        self._known, self._leads, self._read = bytearray(), bytearray(), bytearray()
        self._done = self._used = 0  # operations and events that were gone through
        self._held: list[int] = []  # let go when the program holds them no more
        self._fresh = self._kept = self._waiting = 0  # bytes: new, kept for the backward, held

    def append(self, data: Any) -> None:
        list.append(self, data)
        if type(data) is np.ndarray and data.nbytes >= SMALL:
            self._fresh += data.nbytes
            if self.replay is not None and self.filled:
                self.sweep()

    @property
    def filled(self) -> bool:
        """Whether enough was added that it is worth looking what can be let go."""
        return self._fresh > SLACK + SHARE * (self._kept + self._waiting)

    def replaying(self, result: Any) -> None:
        """Says whose gradients are made from now on."""
        if self.replay is None:
            self.sweep()
        self.replay, self._used = result, 0

    def sweep(self) -> None:
        """Lets go of what nobody needs any more."""
        self._fresh = 0
        if self.replay is None:
            self._note_ops()
            self._sweep_values()
        else:
            self._sweep_gradients()

    def gone_through(self) -> None:
        """Says that all operations that are there were gone through: some were taken off."""
        self._done = len(self.ops)

    # ------------------------------------------------------------------ forward

    def _note_ops(self) -> None:
        """Which values lead from a parameter, and which of all are read by a backward."""
        if self._roles is None:
            there = {leaf.role for leaf in self.leaves.values() if leaf.name is not None}
            self._roles = ("parameter",) if "parameter" in there else ("parameter", "input")
        more = bytes(len(self) - len(self._known))
        for marks in (self._known, self._leads, self._read):
            marks.extend(more)
        leads, read = self._leads, self._read
        for rule, out, ins, *_ in islice(self.ops, self._done, None):
            for i in ins:
                self._meet(i)
            self._meet(out)
            leading = [i for i, id in enumerate(ins) if leads[id]]
            if leading and rule.differentiable:
                leads[out] = 1
                for i in leading:
                    for id in rule.reads(i, ins, out):
                        read[id] = 1
        self._done = len(self.ops)

    def _meet(self, id: int) -> None:
        if self._known[id]:
            return
        self._known[id] = 1
        leaf = self.leaves.get(id)
        if leaf is not None and leaf.name is not None:
            self._leads[id] = leaf.role in self._roles  # type: ignore[operator]
            if leaf.role in ("parameter", "input"):
                return
        if _large(self[id]):
            self._held.append(id)

    def _sweep_values(self) -> None:
        held, self._held, read = self._held, [], self._read
        self._waiting = 0
        for id in held:
            if not _large(self[id]):
                continue  # a version that is rebuilt
            if read[id]:
                self._kept += self[id].nbytes
            elif holders(self, id) > ALONE:
                self._held.append(id)
                self._waiting += self[id].nbytes
            else:
                self._let_go(id)

    def _let_go(self, id: int) -> None:
        data = self[id]
        self[id] = Gone(data, None if self.sketch is None else self.sketch(data))
        self.probes.pop(id, None)

    # ------------------------------------------------------------------ backward

    def _sweep_gradients(self) -> None:
        """Gradients that were used, other than those that were asked for."""
        events, wanted, ops = self.replay.events, self.replay.wanted, self.ops
        for event in islice(events, self._used, None):
            if event[0] == MIRROR:
                used = () if ops[event[1]][1] in wanted else (event[2],)
            else:
                used = event[2] if event[0] == SUM else ()
            for id in used:
                if _large(self[id]):
                    self._let_go(id)
        self._used = len(events)


def _large(data: Any) -> bool:
    return type(data) is np.ndarray and data.nbytes >= SMALL


def holders(values: list[Any], id: int) -> int:
    """How many hold the data of a value, the list among them."""
    return sys.getrefcount(values[id])


ALONE = holders([np.zeros(1)], 0)
"""What `holders` gives for data that nothing but the tape holds."""
