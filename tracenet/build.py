"""From the tape to records: values, ops and blocks, in the order in which everything ran.

Done once, when somebody asks. `regions` says what the blocks are, `partners` which of them belong
together, `naming` what the values are called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .backward import Replay
from .cycles import no_search_for_cycles
from .notation import split_gradient
from .ops import Rule
from .recording import source
from .recording.naming import Names
from .recording.notes import refs
from .recording.partners import pair
from .recording.phases import up_to
from .recording.regions import blocks_of
from .recording.tape import Tape
from .records import BACKWARD, CODE, MIRROR, UPDATE, Block, Op, Value


@dataclass(slots=True)
class Tables:
    """The records of a trace."""

    values: dict[int, Value] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    by_hand: dict[int, int] = field(default_factory=dict)  # value -> its hand-written gradient
    noted: dict[int, int] = field(default_factory=dict)  # block -> the call that was noted for it
    places: dict[int, int] = field(
        default_factory=dict
    )  # op that the user's code did -> on the tape


@no_search_for_cycles()
def tables(
    tape: Tape,
    title: str,
    recorded: int,
    replays: Iterable[Replay],
    updates: Iterable[tuple[int, int, int, int, int]],
    outputs: Iterable[tuple[str, int]],
) -> Tables:
    """Builds the records. recorded: how many operations the user's own run made."""
    builder = _Builder(tape, title, recorded)
    for k in range(recorded):
        builder.done(k)
    for one in replays:
        builder.replayed(one)
    for update in updates:
        builder.updated(*update)
    noted = builder.tables.noted
    pair(builder.tables.blocks, builder.tables.ops, _objects(tape, noted), _handed(tape, noted))
    builder.name({id: name for name, id in outputs})
    return builder.tables


def _objects(tape: Tape, noted: dict[int, int]) -> dict[int, int]:
    """The object that each noted block is a method of."""
    found = {}
    for block, call in noted.items():
        owner = tape.notes.of[call].args.get("self")
        if owner is not None and hasattr(owner, "number"):
            found[block] = owner.number
    return found


def _handed(tape: Tape, noted: dict[int, int]) -> dict[int, set[int]]:
    """The values that each noted block was handed."""
    return {block: set(refs(tape.notes.of[call].args)) for block, call in noted.items()}


class _Builder:
    def __init__(self, tape: Tape, title: str, recorded: int) -> None:
        self.tape = tape
        self.tables = Tables()
        self.block_of = blocks_of(tape, title, self.tables.blocks, recorded)
        for call in tape.notes.of if tape.notes is not None else ():
            self.tables.noted.setdefault(self.block_of[call], call)
        self.made: dict[int, int] = {}  # value -> the op that made it
        self.of: dict[int, int] = {}  # gradient -> the value it is the gradient of
        self.op_of: dict[int, int] = {}  # place on the tape -> op
        self.mirrors: dict[int, int] = {}  # forward block -> its derived backward block
        self.by_hand: set[int] = set()  # forward blocks with a hand-written backward

    # ------------------------------------------------------------------ ops

    def done(self, k: int) -> None:
        """An operation of the user's own code."""
        rule, out, ins, settings, call, lasti = self.tape.ops[k]
        found = source.where(self.tape, call, lasti)
        self.op_of[k] = len(self.tables.ops)
        self.tables.places[len(self.tables.ops)] = k
        block = self.block_of[call]
        phase = self.tables.blocks[block].phase
        saved = _saved(rule, ins, out)
        self._op(rule.name, ins, (out,), settings, saved, block, phase, None, found)

    def _op(
        self,
        rule: str,
        ins: Iterable[int],
        outs: tuple[int, ...],
        settings: dict[str, Any],
        saved: tuple[int, ...],
        block: int,
        phase: str,
        of: int | None,
        found: source.Place,
        wants: tuple[int, ...] = (),
    ) -> None:
        id = len(self.tables.ops)
        for out in outs:
            self.made[out] = id
        self.tables.ops.append(
            Op(
                id, rule, tuple(ins), outs, settings, saved, block, phase, of,
                found.file, found.line, found.text, wants,
            )
        )  # fmt: skip

    def replayed(self, one: Replay) -> None:
        """What a backward pass did."""
        for value, gradient in one.seeds.items():
            self.of[gradient] = value
        self.by_hand = {self.block_of[e[1].call] for e in one.events if e[0] == CODE}
        for event in one.events:
            if event[0] == MIRROR:
                self._mirrored(*event[1:])
            elif event[0] == CODE:
                self._by_hand(*event[1:])
            else:
                self._met(*event[1:])
        for value, gradient in one.gradients.items():
            self.of.setdefault(gradient, value)

    def _mirrored(self, k: int, gradient: int, targets: tuple[int, ...], first: int) -> None:
        made = list(zip(targets, range(first, first + len(targets))))
        rule, out, ins, settings, call, lasti = self.tape.ops[k]
        operands = _operands(ins, made)
        saved = tuple(dict.fromkeys(v for i in operands for v in rule.reads(i, ins, out)))
        for value, id in made:
            self.of[id] = value
        self._op(
            rule.name,
            (gradient, *saved),
            tuple(id for _, id in made),
            settings,
            (),
            self._mirror_of(self.block_of[call]),
            BACKWARD,
            self.op_of[k],
            source.where(self.tape, call, lasti),
            operands,
        )

    def _met(self, value: int, pair: tuple[int, int], gradient: int) -> None:
        """A sum of gradients stands where both were made, else where its value was made."""
        self.of[gradient] = value
        found = source.Place("", 0)
        blocks, ops = self.tables.blocks, self.tables.ops
        makers = [self.made.get(g, self.made.get(value)) for g in pair]  # none made a given one
        one, other = (
            [*up_to(blocks, ops[m].block, None)] if m is not None else [0] for m in makers
        )
        block = next(b for b in one if b in other) if set(one) & set(other) else other[0]
        maker = self.made.get(value)
        if blocks[block].parent is None and maker is not None:
            forward = ops[maker].block
            around = set(up_to(blocks, forward, None))
            block = other[0] if around & self.by_hand else self._mirror_of(forward)
        self._op("add", pair, (gradient,), {}, (), block, BACKWARD, None, found)

    def _by_hand(self, visit: Any, start: int, stop: int) -> None:
        forward = self.block_of[visit.call]
        blocks = self.tables.blocks
        for k in range(start, stop):
            block = self.block_of[self.tape.ops[k][4]]
            for inner in up_to(blocks, block, 0):
                self._turn(inner, forward)
            self.done(k)

    def _turn(self, block: int, forward: int) -> None:
        """Marks a block that ran inside a hand-written backward as one of the backward pass."""
        blocks = self.tables.blocks
        if blocks[block].phase == BACKWARD:
            return
        own = blocks[block].parent == 0
        mirror = replace(
            blocks[block],
            phase=BACKWARD,
            of=forward if own else None,
            name=f"{blocks[forward].name} backward" if own else blocks[block].name,
            parent=self._mirror_of(blocks[forward].parent or 0) if own else blocks[block].parent,
            ordinal=blocks[forward].ordinal if own else blocks[block].ordinal,
            handwritten=True,
        )
        blocks[block] = mirror
        if own:
            self.mirrors[forward] = block

    def _mirror_of(self, forward: int) -> int:
        """The derived backward block of a forward block, made when it is first needed."""
        if forward in self.mirrors:
            return self.mirrors[forward]
        blocks = self.tables.blocks
        block = blocks[forward]
        parent = None if block.parent is None else self._mirror_of(block.parent)
        id = len(blocks)
        self.mirrors[forward] = id
        blocks.append(
            replace(
                block, id=id, name=f"{block.name} backward", parent=parent, phase=BACKWARD,
                of=forward,
            )
        )  # fmt: skip
        return id

    def updated(self, value: int, gradient: int, rate: int, step: int, new: int) -> None:
        """One parameter's step of gradient descent, W := W - α dW."""
        blocks = self.tables.blocks
        if blocks[-1].phase != UPDATE:
            blocks.append(Block(len(blocks), "update", "update", 0, UPDATE, 0, None, "", 0))
        block, found = blocks[-1].id, source.Place("", 0)
        self._op("multiply", (rate, gradient), (step,), {}, (), block, UPDATE, None, found)
        self._op("subtract", (value, step), (new,), {}, (), block, UPDATE, None, found)

    # ------------------------------------------------------------------ names

    def name(self, outputs: dict[int, str]) -> None:
        """Gives every value that an op or a leaf made its name, and a key that is its own."""
        names = Names(self, outputs)
        mentioned: dict[int, None] = dict.fromkeys(self.tape.leaves)
        for op in self.tables.ops:
            mentioned.update(dict.fromkeys(op.ins))
            mentioned.update(dict.fromkeys(op.outs))
        mentioned.update(dict.fromkeys(self.of))
        for id in sorted(mentioned):
            self.tables.values[id] = names.value(id)
        self.tables.keys = names.keys
        self._gradients_by_hand()

    def _gradients_by_hand(self) -> None:
        """Gradients that the user's own backward code made, known by their names: dW1 is W1's.

        Of values of one name it is the one that the forward block at hand reads or made.
        """
        values, keys = self.tables.values, self.tables.keys
        near = self._near_forward()
        for id, value in values.items():
            base, gradient = split_gradient(value.name)
            if not gradient:
                base = self._parameter_of(value.name)
                if not base:
                    continue
            block = self.tables.ops[value.op].block if value.op is not None else 0
            of = near.get((self.tables.blocks[block].of, base)) or keys.get(base)
            if of is None or value.op is None or value.of is not None:
                continue
            if values[of].shape == value.shape:
                values[id] = replace(value, of=of, role="gradient")
                self.tables.by_hand[of] = id

    def _parameter_of(self, name: str) -> str:
        """The name of the parameter that a name with a d before it belongs to: `dby` is by's."""
        id = self.tables.keys.get(name[1:]) if name[:1] == "d" else None
        return name[1:] if id is not None and self.tables.values[id].role == "parameter" else ""

    def _near_forward(self) -> dict[tuple[int | None, str], int]:
        """By forward block and name, the first value of that name that its operations touch."""
        paired = {block.of for block in self.tables.blocks if block.of is not None}
        found: dict[tuple[int | None, str], int] = {}
        for op in self.tables.ops:
            if op.block in paired:
                for id in (*op.ins, *op.outs):
                    found.setdefault((op.block, self.tables.values[id].name), id)
        return found


# ---------------------------------------------------------------------- what a backward reads


def _operands(ins: tuple[int, ...], made: list[tuple[int, int]]) -> tuple[int, ...]:
    """The places of the operands that these gradients are of; x * x has the same value twice."""
    places: list[int] = []
    for value, _ in made:
        start = next((p + 1 for p in reversed(places) if ins[p] == value), 0)
        places.append(ins.index(value, start))
    return tuple(places)


def _saved(rule: Rule, ins: tuple[int, ...], out: int) -> tuple[int, ...]:
    if rule.backward is None:
        return ()
    count = 1 if rule.variadic else len(rule.operands)
    return tuple(dict.fromkeys(v for i in range(count) for v in rule.reads(i, ins, out)))
