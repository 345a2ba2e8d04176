"""What there is to check in a trace: each hand-written backward with what its results must be.

A `Case` says where the reference begins (gradients of forward values that the backward was given,
or a loss) and which value of the run is claimed to be the gradient of which. There are three kinds:
a backward block of one forward block, which is given the gradients of what that returned; a whole
pass, which begins at the loss; and one function that does both passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..recording.entrance import DATA
from ..recording.notes import UNKNOWN, Held, Note, Ref, names_returned, returned
from ..records import BACKWARD, FORWARD, Block
from ..trace import Trace
from ..views import LOSS
from .match import GRADIENT, Named, arrays, bases, by_key, by_name, matched


@dataclass(frozen=True, slots=True)
class Target:
    """One gradient that is claimed: `got` is the value, `of` what it should be the gradient of.

    name: what the code calls it. parameter: whether `of` is a parameter, not data that flow.
    why: why it cannot be checked, where `of` or `got` is None.
    """

    name: str
    got: int | None
    of: int | None
    parameter: bool = False
    why: str = ""


@dataclass(slots=True)
class Case:
    """One backward block, and what is to be known of it.

    forward: its forward block, or None for a whole pass. ops: the operations on the tape that the
    reference is made of. seeds: for a forward value the value that is its gradient, or None where
    it is the loss itself. own: the operations of the backward code, as they stand on the tape.
    inside: the places of the cases whose blocks ran inside this one.
    """

    backward: Block
    forward: Block | None
    ops: list[int]
    seeds: dict[int, int | None]
    targets: list[Target]
    own: list[int]
    why: str = ""
    inside: list[int] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether it begins at the loss."""
        return any(gradient is None for gradient in self.seeds.values())


class Run:
    """A trace, and what a check asks of it again and again."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.tape = trace._tape
        self.places = trace._tables.places
        self.noted = trace._tables.noted
        self.ops = [op for op in trace.ops if op.id in self.places]
        self.inside = self._inside()
        self.forward_ops = [op for op in self.ops if op.phase == FORWARD]
        self.touched = {i for op in self.forward_ops for i in (*op.ins, *op.outs)}
        self.maker = {out: op for op in self.ops for out in op.outs}

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

    def note(self, block: Block | None) -> Note | None:
        if block is None or block.id not in self.noted:
            return None
        return self.tape.notes.of.get(self.noted[block.id])  # type: ignore[no-any-return]

    def result(self, block: Block) -> Any:
        """What a block returned: a noted tree."""
        call = self.noted.get(block.id)
        return UNKNOWN if call is None else returned(self.tape, call)

    def shape(self, id: int) -> tuple[int, ...]:
        return self.trace.values[id].shape if id in self.trace.values else ()

    def floating(self, id: int) -> bool:
        return id in self.trace.values and self.trace.values[id].dtype.startswith("float")

    def loss(self) -> int | None:
        """The value of the loss: the scalar that was returned, or the last one that is named so."""
        scalars = [v.id for v in self.trace.outputs if self._scalar(v.id)]
        named = [
            out
            for op in self.forward_ops
            for out in op.outs
            if self._scalar(out) and self._loss_name(out, op.block)
        ]
        both = [id for id in scalars if id in named]
        return next(iter([*both, *reversed(named), *scalars]), None)

    def _loss_name(self, id: int, block: int) -> bool:
        value, home = self.trace.values[id], self.trace.blocks[block]
        if value.name and LOSS.fullmatch(value.name):
            return True
        ends = self.result(home) if home.parent is not None else UNKNOWN
        ref = ends[0] if isinstance(ends, tuple) and ends else ends
        return LOSS.fullmatch(home.function.rpartition(".")[2]) is not None and ref == Ref(id)

    def _scalar(self, id: int) -> bool:
        value = self.trace.values.get(id)
        return value is not None and value.dtype.startswith("float") and np.prod(value.shape) == 1


def cases(run: Run) -> list[Case]:
    """The cases of a trace, blocks inside others before those."""
    blocks = run.trace.blocks
    found: list[Case] = []
    for block in blocks:
        if not run.inside[block.id]:
            continue
        if block.phase == BACKWARD and block.handwritten and _outermost_pass(run, block):
            found.append(_case(run, block))
        elif block.phase == FORWARD:
            flat = _flat(run, block)
            if flat is not None:
                found.append(flat)
    depth = {block.id: len(run.trace.around(block.id)) for block in blocks}
    found.sort(key=lambda case: (-depth[case.backward.id], case.backward.id))
    _claim_parameters(run, found)
    found = [case for case in found if case.targets or case.why or not case.whole]
    for k, case in enumerate(found):
        around = {block.id for block in run.trace.around(case.backward.id)[:-1]}
        for other in found[k + 1 :]:
            if other.backward.id in around:
                other.inside.append(k)
    return found


def _claim_parameters(run: Run, found: list[Case]) -> None:
    """The case of the whole run also claims what the blocks in it claim for its parameters.

    Layer objects keep their gradients to themselves: nothing is returned that has them all. What is
    claimed twice, by calls of one layer at several times, is no claim about the whole.
    """
    top = next((c for c in found if c.backward.parent is None and c.whole), None)
    if top is None:
        return
    elsewhere = {t.of for c in found if c.whole and c is not top for t in c.targets}
    top.targets = [t for t in top.targets if t.of not in elsewhere]
    have = {t.of for t in top.targets} | elsewhere
    outermost = [c for c in found if c is not top and not _around(run, c, found, top)]
    claims: dict[int, list[Target]] = {}
    for case in outermost:
        for target in case.targets:
            if target.parameter and target.of is not None:
                claims.setdefault(target.of, []).append(target)
    top.targets += [c[0] for of, c in claims.items() if len(c) == 1 and of not in have]


def _around(run: Run, case: Case, found: list[Case], top: Case) -> bool:
    """Whether a case lies in another one that claims the same parameters."""
    around = {b.id for b in run.trace.around(case.backward.id)[:-1]}
    own = {t.of for t in case.targets if t.parameter}
    return any(
        c.backward.id in around and c is not top and own & {t.of for t in c.targets} for c in found
    )


def _outermost_pass(run: Run, block: Block) -> bool:
    """Whether a block of the backward pass is backward code, not a helper that it calls."""
    if block.of is not None:
        return True
    parent = run.trace.blocks[block.parent or 0]
    if parent.phase != BACKWARD:
        return True
    from ..recording.regions import _BACKWARD

    return _BACKWARD.fullmatch(block.function.rpartition(".")[2]) is not None


def _case(run: Run, block: Block) -> Case:
    forward = run.trace.blocks[block.of] if block.of is not None else None
    own = run.inside[block.id]
    note = run.note(block)
    if note is None:
        return Case(block, forward, [], {}, [], own, "what it was given was not noted")
    incoming = _incoming(run, note, forward)
    if forward is None or not incoming:
        return _from_loss(run, block, forward, own, note)
    outputs = _outputs(run, forward)
    seeds = _seeds(run, incoming, outputs)
    if not seeds:
        why = f"cannot tell which result of {forward.function} each gradient it was given is of"
        return Case(block, forward, [], {}, [], own, why)
    inputs = _inputs(run, forward)
    targets = _targets(run, block, note, inputs)
    return Case(block, forward, run.inside[forward.id], seeds, targets, own)


# ---------------------------------------------------------------------- what a block was given


def _incoming(run: Run, note: Note, forward: Block | None) -> list[Named]:
    """The gradients that a backward function was given, in the order of its parameters."""
    own = set(run.inside[forward.id]) if forward is not None else set()
    known = {i for op in run.ops if run.places[op.id] in own for i in (*op.ins, *op.outs)} | {
        x.id for name, x in note.args.items() if isinstance(x, Ref) and DATA.fullmatch(name)
    }
    found: list[Named] = []
    for name, x in note.args.items():
        if not isinstance(x, Ref) or x.id in known or not run.floating(x.id):
            continue
        made = run.maker.get(x.id)
        late = made is not None and made.phase == BACKWARD
        if GRADIENT.fullmatch(name) or late or (not found and x.id not in run.touched):
            found.append(Named(name, x.id))
    return found


def _outputs(run: Run, forward: Block) -> list[Named]:
    """What a forward block returned that others may compute with, in order; its cache is not."""
    result = run.result(forward)
    note = run.note(forward)
    names = names_returned(note.code) if note is not None else []
    items = result if isinstance(result, (tuple, list)) else [result]
    found = [
        Named(names[k] or f"[{k}]" if k < len(names) else f"[{k}]", item.id)
        for k, item in enumerate(items)
        if isinstance(item, Ref) and run.floating(item.id)
    ]
    if found:
        return found
    nested = [x for x in arrays(result, "result") if run.floating(x.id)]
    if nested:
        return nested
    inside = set(run.inside[forward.id])
    made = {out for op in run.ops if run.places[op.id] in inside for out in op.outs}
    later = [
        i
        for op in run.forward_ops
        if run.places[op.id] not in inside
        for i in op.ins
        if i in made and run.floating(i)
    ]
    return [Named(run.trace.values[i].name, i) for i in dict.fromkeys(later)]


def _seeds(run: Run, incoming: list[Named], outputs: list[Named]) -> dict[int, int | None]:
    pairs = matched(incoming, outputs, run.shape)
    found: dict[int, int | None] = {of.id: g.id for g, of in pairs if of is not None}
    if not found and len(incoming) == 1 and outputs:
        found[outputs[0].id] = incoming[0].id
    return found


def _inputs(run: Run, forward: Block) -> list[Named]:
    """What a forward block was given: its arguments, its object's arrays, and what else it read."""
    note = run.note(forward)
    found: list[Named] = []
    for name, tree in (note.args if note is not None else {}).items():
        found += [x for x in arrays(tree, name) if run.floating(x.id)]
    inside = set(run.inside[forward.id])
    ops = [op for op in run.ops if run.places[op.id] in inside]
    made = {out for op in ops for out in op.outs}
    read = dict.fromkeys(i for op in ops for i in op.ins if i not in made and run.floating(i))
    have = {x.id for x in found}
    for i in read:
        value, leaf = run.trace.values[i], run.tape.leaves.get(i)
        own = leaf is not None and leaf.call >= 0  # an array that the code made itself
        if i not in have and value.name and not own:
            found.append(Named(value.name, i, False))
    return [x for x in found if x.id in read]


# ---------------------------------------------------------------------- what a block claims


def _targets(run: Run, block: Block, note: Note, inputs: list[Named]) -> list[Target]:
    own = set(run.inside[block.id])
    made = {out for op in run.ops if run.places[op.id] in own for out in op.outs}
    claimed = _claimed(run, block, note, made)
    pairs = matched(claimed, inputs, run.shape)
    found = [_target(run, g, of) for g, of in pairs]
    have = {t.of for t in found}
    result = run.result(block)
    for x in inputs:
        if x.id not in have and result is UNKNOWN:
            continue
    return [t for t in found if t.of is not None or GRADIENT.fullmatch(t.name)]


def _claimed(run: Run, block: Block, note: Note, made: set[int]) -> list[Named]:
    """The gradients that a backward function returned, or left in its object or its arguments."""
    result = run.result(block)
    names = names_returned(note.code)
    found: list[Named] = []
    items = list(result) if isinstance(result, (tuple, list)) else [result]
    for k, item in enumerate(items):
        name = names[k] if k < len(names) and len(names) == len(items) else None
        found += arrays(item, name or f"result {k + 1}" if len(items) > 1 else name or "result")
    have = {x.id for x in found}
    for name in note.args:
        for x in arrays(note.final.get(name), name):
            if x.id in made and x.id not in have and (not x.top or GRADIENT.fullmatch(name)):
                found.append(x)
                have.add(x.id)
    return [x for x in found if run.floating(x.id)]


def _target(run: Run, gradient: Named, of: Named | None) -> Target:
    if of is None:
        why = f"cannot tell what {gradient.name} is the gradient of"
        return Target(gradient.name, gradient.id, None, why=why)
    parameter = run.trace.values[of.id].role == "parameter"
    got = _before_clipping(run, gradient.id)
    why = "before clipping" if got != gradient.id else ""
    return Target(gradient.name, got, of.id, parameter, why)


def _before_clipping(run: Run, id: int) -> int:
    """The gradient as it was before it was clipped: that is a step of its own."""
    op = run.maker.get(id)
    while op is not None and op.rule in ("clip", "write"):
        source = op.ins[0] if op.rule == "clip" else op.ins[1]
        if op.rule == "write" and run.shape(source) != run.shape(id):
            break
        maker = run.maker.get(source)
        if op.rule == "write" and (maker is None or maker.rule != "clip"):
            break
        id, op = source, maker
    return id


# ---------------------------------------------------------------------- from the loss


def _from_loss(run: Run, block: Block, forward: Block | None, own: list[int], note: Note) -> Case:
    """A whole backward pass, or the backward of the loss itself."""
    before = [run.places[op.id] for op in run.ops if run.places[op.id] not in set(own)]
    loss = _own_loss(run, forward) if forward is not None else None
    loss = run.loss() if loss is None else loss
    if loss is None:
        return Case(block, forward, [], {}, [], own, "no loss was computed in this run")
    targets = _targets(run, block, note, _named_values(run, set(own)))
    return Case(block, forward, before, {loss: None}, targets, own)


def _own_loss(run: Run, forward: Block) -> int | None:
    result = run.result(forward)
    first = result[0] if isinstance(result, tuple) and result else result
    return first.id if isinstance(first, Ref) and run._scalar(first.id) else None


def _named_values(run: Run, without: set[int]) -> list[Named]:
    """The parameters, the data, and the named values of the forward pass, the last of each name."""
    found: dict[str, Named] = {}
    values = run.trace.values
    ids = [*run.tape.leaves, *(out for op in run.forward_ops for out in op.outs)]
    skipped = {out for op in run.ops if run.places[op.id] in without for out in op.outs}
    for id in ids:
        value = values.get(id)
        if value is None or id in skipped or not value.name or not run.floating(id):
            continue
        leaf = run.tape.leaves.get(id)
        group = leaf.path[0] if leaf is not None and isinstance(leaf.path, tuple) else ""
        name = str(group) if isinstance(group, str) else ""
        found[value.key if leaf is not None else value.name] = Named(value.name, id, not name, name)
    return list(found.values())


def _flat(run: Run, block: Block) -> Case | None:
    """A function that computes a loss and the gradients of it, both in its own statements."""
    top = block.parent is None
    loss = run.loss() if top else _own_loss(run, block)
    maker = run.maker.get(loss) if loss is not None else None
    own = run.inside[block.id]
    if loss is None or maker is None or run.places[maker.id] not in set(own):
        return None
    targets = _flat_targets(run, block, loss)
    return Case(block, None, own, {loss: None}, targets, own) if targets or top else None


def _flat_targets(run: Run, block: Block, loss: int) -> list[Target]:
    """What a function with both passes claims: what it names, or returns, as gradients of others."""
    leading = _ancestors(run, loss)
    inputs = [x for x in _named_values(run, set()) if x.id in leading]
    note = run.note(block)
    for name, tree in (note.args if note is not None else {}).items():
        inputs = [*(x for x in arrays(tree, name) if x.id in leading), *inputs]
    known = {x.name for x in inputs}
    claimed: dict[str, Named] = {}
    for op in run.ops:
        out = op.outs[0]
        name = run.trace.values[out].name
        if op.block == block.id and out not in leading and known.intersection(bases(name)):
            claimed[name] = Named(name, out)
    for x in _returned_gradients(run, block):
        if x.id not in leading and x.id in run.maker and run.floating(x.id):
            claimed[x.name] = x
    found = []
    for gradient in claimed.values():
        of = by_name(gradient, inputs) or by_key(gradient, inputs)
        if of is not None:
            found.append(_target(run, gradient, of))
    return found


def _returned_gradients(run: Run, block: Block) -> Iterator[Named]:
    """The returned arrays that are gradients by the name of their container, or by their own."""
    note = run.note(block)
    if note is None:
        return
    result, names = run.result(block), names_returned(note.code)
    for k, item in enumerate(result if isinstance(result, tuple) else [result]):
        name = (names[k] if k < len(names) else None) or ""
        for x in arrays(item, name):
            own = run.trace.values[x.id].name if x.id in run.trace.values else ""
            if GRADIENT.fullmatch(name):
                yield x
            elif bases(own) and bases(own)[0] == x.name:
                yield Named(own, x.id)


def _ancestors(run: Run, id: int) -> set[int]:
    found = {id}
    for op in reversed(run.ops):
        if not found.isdisjoint(op.outs):
            found.update(op.ins)
    return found


__all__ = ["Case", "Held", "Run", "Target", "cases"]
