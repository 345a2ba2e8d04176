"""A trace as a check looks at it: which operations a block did, what it returned, where the loss is."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any, TypeVar, cast

from ..recording.memory import behind
from ..recording.notes import UNKNOWN, Note, Ref, returned
from ..recording.phases import called_backward
from ..records import FORWARD, Block, Op
from ..trace import Trace
from ..words import LOSS

T = TypeVar("T")


def cache_by_block(method: Callable[..., T]) -> Callable[..., T]:
    """What a method of a run says of a block is worked out once."""

    def cached(self: Run, block: Block) -> T:
        key = (method.__name__, block.id)
        if key not in self.known:
            self.known[key] = method(self, block)
        return cast(T, self.known[key])

    return cached


class Run:
    """A trace, and what a check asks of it again and again."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.tape = trace._tape
        self.places = trace._tables.places
        self.noted = trace._tables.noted
        self.ops = [op for op in trace.ops if op.id in self.places]
        self.at = {self.places[op.id]: op for op in self.ops}
        self.inside = self._inside()
        self.known: dict[tuple[str, int], Any] = {}
        self.forward_ops = [op for op in self.ops if op.phase == FORWARD]
        self.touched = {i for op in self.forward_ops for i in (*op.ins, *op.outs)}
        self.maker = {out: op for op in self.ops for out in op.outs}
        self.versions = self._versions()

    def _inside(self) -> dict[int, list[int]]:
        """For each block the operations that it and the blocks inside it did, on the tape."""
        found: dict[int, list[int]] = {block.id: [] for block in self.trace.blocks}
        parents = [block.parent for block in self.trace.blocks]
        for op in self.ops:
            block: int | None = op.block
            while block is not None:
                found[block].append(self.places[op.id])
                block = parents[block]
        return found

    def ops_in(self, block: Block) -> list[Op]:
        """The operations of a block and of those inside it, in order."""
        return [self.at[k] for k in self.inside[block.id]]

    @cache_by_block
    def made_in(self, block: Block) -> set[int]:
        """The values that a block, and those inside it, made."""
        return {out for op in self.ops_in(block) for out in op.outs}

    @cache_by_block
    def made_here(self, block: Block) -> set[int]:
        """The values that a block made in its own statements."""
        return {out for op in self.ops_in(block) if op.block == block.id for out in op.outs}

    @cache_by_block
    def read_in(self, block: Block) -> dict[int, None]:
        """The floating point values that a block read and did not make, in order."""
        made = self.made_in(block)
        read = (i for op in self.ops_in(block) for i in op.ins)
        return dict.fromkeys(i for i in read if i not in made and self.floating(i))

    def touched_in(self, block: Block) -> set[int]:
        """The values that a block read or made."""
        return {*self.read_in(block), *self.made_in(block)}

    def _versions(self) -> dict[int, int]:
        """What updates made of parameters, each with the parameter: W - rate dW of W.

        What is taken from W was computed from it, and from the data: so a sum of weights is none.
        """
        found: dict[int, int] = {}
        leaves = self.tape.leaves
        parameters = {i for i, leaf in leaves.items() if leaf.role == "parameter"}
        data = {i for i, leaf in leaves.items() if leaf.name and leaf.role == "input"}
        data = data or leaves.keys() - parameters  # of a run that makes its data, too
        for op in self.ops:
            if op.rule not in ("add", "subtract") or len(op.ins) != 2:
                continue
            of = self.unscaled(op.ins[0])
            of = found.get(of, of)
            if of not in self.maker and of not in leaves and self._descends(op):
                found[op.outs[0]] = of
                parameters.add(of)
            elif of in parameters and self.shape(op.outs[0]) == self.shape(of):
                behind = self.behind(op.ins[1])
                if not behind.isdisjoint(data) and any(found.get(i, i) == of for i in behind):
                    found[op.outs[0]] = of
        return found

    def _descends(self, op: Op) -> bool:
        """Whether a number of the program's takes a step, as in `b = b - rate * db` after `b = 0.0`."""
        name = self.trace.values[op.outs[0]].name
        step = re.match(r"(\w+) *(?:= *\1 *-|-=)", op.statement)
        rate = self.maker.get(op.ins[1])
        scaled = rate is not None and rate.rule in ("multiply", "divide")
        number = type(self.tape.values[op.ins[0]]) is float
        return number and scaled and step is not None and step[1] == name

    def unscaled(self, id: int) -> int:
        """W of `W * (1 - decay)`; a value itself where it is no such multiple."""
        op = self.maker.get(id)
        if op is not None and op.rule == "multiply" and len(op.ins) == 2:
            arrays = [i for i in op.ins if self.shape(i)]
            return arrays[0] if len(arrays) == 1 else id
        return id

    def behind(self, id: int) -> set[int]:
        """A value, and all that it was computed from, updates and all."""
        return behind(id, lambda i: self.maker[i].ins if i in self.maker else ())

    def leading(self, id: int) -> set[int]:
        """A value, and all that it was computed from since the parameters were updated last."""
        old = self.versions
        return behind(id, lambda i: self.maker[i].ins if i in self.maker and i not in old else ())

    def of_forward(self, id: int) -> bool:
        """Whether the forward pass made a value, or read it as data: it is no gradient then."""
        maker = self.maker.get(id)
        return maker.phase == FORWARD if maker is not None else id in self.touched

    def trained_before(self, id: int) -> bool:
        """Whether a value was computed from a parameter."""
        return any(self.parameter(i) for i in self.leading(id) - {id})

    def parameter(self, id: int) -> bool:
        """Whether a value is a parameter."""
        if id in self.versions:
            return True
        return id in self.trace.values and self.trace.values[id].role == "parameter"

    def note(self, block: Block | None) -> Note | None:
        if block is None or block.id not in self.noted:
            return None
        return self.tape.notes.of.get(self.noted[block.id])  # type: ignore[no-any-return]

    @cache_by_block
    def result(self, block: Block) -> Any:
        """What a block returned: a noted tree."""
        call = self.noted.get(block.id)
        return UNKNOWN if call is None else returned(self.tape, call)

    def shape(self, id: int) -> tuple[int, ...]:
        return self.trace.values[id].shape if id in self.trace.values else ()

    def floating(self, id: int) -> bool:
        return id in self.trace.values and self.trace.values[id].dtype.startswith("float")

    @cached_property
    def loss(self) -> int | None:
        """The value of the loss: the scalar that was returned, or the last one that is named so."""
        scalars = [v.id for v in self.trace.outputs if self.scalar(v.id) and self._forward(v.id)]
        named = self.named_losses
        both = [id for id in scalars if id in named]
        return next(iter([*both, *reversed(named), *scalars]), None)

    def loss_before(self, own: list[int]) -> int | None:
        """The loss that a backward pass, by its operations on the tape, is of.

        Where training turns several times that of its turn, which the same statement computed; and
        where a validation is computed beside it, the one of whose way there it reads something.
        """
        if self.loss not in self.maker:
            return self.loss
        before = [i for i in self.losses if self.places[self.maker[i].id] < min(own)]
        if len(before) < 2:
            return before[0] if before else self.loss
        made = {out for k in own for out in self.at[k].outs}
        read = {i for k in own for i in self.at[k].ins} - made - self.versions.keys()
        read &= self.maker.keys()
        return next((i for i in reversed(before) if self.leading(i) & read), before[-1])

    @cached_property
    def named_losses(self) -> list[int]:
        """The single numbers that are called a loss, or come from a function called so."""
        return [
            op.outs[0] for op in self.forward_ops
            if self.scalar(op.outs[0]) and self._loss_name(op.outs[0], op.block)
        ]  # fmt: skip

    @cached_property
    def losses(self) -> list[int]:
        """The loss of each turn of the training: what the statement that made the loss made."""
        maker = self.maker.get(self.loss) if self.loss is not None else None
        if maker is None:
            return [] if self.loss is None else [self.loss]
        return [
            op.outs[0] for op in self.forward_ops
            if (op.file, op.line, op.rule, op.statement)
            == (maker.file, maker.line, maker.rule, maker.statement)
            and self.scalar(op.outs[0])
        ]  # fmt: skip

    def _forward(self, id: int) -> bool:
        """Whether the forward pass made a value, in a function that is no backward function."""
        op = self.maker.get(id)
        if op is None or op.phase != FORWARD:
            return False
        return not called_backward(self.trace.blocks[op.block].function.rpartition(".")[2])

    def _loss_name(self, id: int, block: int) -> bool:
        value, home = self.trace.values[id], self.trace.blocks[block]
        if value.name and LOSS.fullmatch(value.name):
            return True
        ends = self.result(home) if home.parent is not None else UNKNOWN
        ref = ends[0] if isinstance(ends, tuple) and ends else ends
        return LOSS.fullmatch(home.function.rpartition(".")[2]) is not None and ref == Ref(id)

    def scalar(self, id: int) -> bool:
        """Whether a value is one floating point number."""
        value = self.trace.values.get(id)
        return value is not None and value.dtype.startswith("float") and prod(value.shape) == 1
