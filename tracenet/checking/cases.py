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

from ..recording.notes import UNKNOWN, Note, Ref, names_returned
from ..recording.phases import BACKWARD_NAME
from ..records import BACKWARD, FORWARD, Block
from .byhand import rebuilt
from .claims import Target, incoming, inputs, missing, outputs, seeds, target, targets
from .match import GRADIENT, Named, arrays, bases, by_key, by_name
from .run import Run


@dataclass(slots=True)
class Case:
    """One backward block, and what is to be known of it.

    forward: its forward block, or None for a whole pass. ops: the operations on the tape that the
    reference is made of. seeds: for a forward value the value that is its gradient, or None where
    it is the loss itself. own: the operations of the backward code, as they stand on the tape.
    inside: the places of the cases whose blocks ran inside this one. home: the run of the forward
    block, where that is another one; given: values of it that are replaced.
    """

    backward: Block
    forward: Block | None
    ops: list[int]
    seeds: dict[int, int | None]
    targets: list[Target]
    own: list[int]
    why: str = ""
    inside: list[int] = field(default_factory=list)
    home: Run | None = None
    given: dict[int, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it begins at the loss."""
        return any(gradient is None for gradient in self.seeds.values())


def cases(run: Run) -> list[Case]:
    """The cases of a trace, blocks inside others before those."""
    blocks = run.trace.blocks
    found: list[Case] = []
    for block in blocks:
        if not run.inside[block.id]:
            continue
        if _is_backward(run, block):
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
        for one in case.targets:
            if one.parameter and one.of is not None:
                claims.setdefault(one.of, []).append(one)
    top.targets += [c[0] for of, c in claims.items() if len(c) == 1 and of not in have]


def _around(run: Run, case: Case, found: list[Case], top: Case) -> bool:
    """Whether a case lies in another one that claims the same parameters."""
    around = {b.id for b in run.trace.around(case.backward.id)[:-1]}
    own = {t.of for t in case.targets if t.parameter}
    return any(
        c.backward.id in around and c is not top and own & {t.of for t in c.targets} for c in found
    )


def _is_backward(run: Run, block: Block) -> bool:
    """Whether a block is backward code, and not a helper that it calls.

    The traced function itself is, where it is called so and was given a gradient.
    """
    name = block.function.rpartition(".")[2]
    if block.parent is None:
        note = run.note(block)
        return bool(BACKWARD_NAME.fullmatch(name) and note and (
            incoming(run, note, None) or run.loss() is None))  # fmt: skip
    if block.phase != BACKWARD or not block.handwritten:
        return False
    inside = run.trace.blocks[block.parent].phase == BACKWARD
    return block.of is not None or not inside or BACKWARD_NAME.fullmatch(name) is not None


def _case(run: Run, block: Block) -> Case:
    forward = run.trace.blocks[block.of] if block.of is not None else None
    own = run.inside[block.id]
    note = run.note(block)
    if note is None:
        return Case(block, forward, [], {}, [], own, "what it was given was not noted")
    given = incoming(run, note, forward)
    if not given:
        return _from_loss(run, block, forward, own, note)
    if forward is None:
        return _without_forward(run, block, own, note, given)
    begin = seeds(run, given, outputs(run, forward))
    if not begin:
        why = f"cannot tell which result of {forward.function} each gradient it was given is of"
        return Case(block, forward, [], {}, [], own, why)
    around = inputs(run, forward)
    claimed = targets(run, block, note, around)
    claimed += missing(run, claimed, around)
    return Case(block, forward, run.inside[forward.id], begin, claimed, own)


def _without_forward(
    run: Run, block: Block, own: list[int], note: Note, given: list[Named]
) -> Case:
    """A backward function whose forward did not run: on a cache that was made by hand."""
    found = rebuilt(run, block, note)
    if isinstance(found, str):
        return Case(block, None, [], {}, [], own, found)
    root = found.run.trace.blocks[0]
    begin = seeds(run, given, outputs(found.run, root), found.run)
    if not begin:
        return Case(block, root, [], {}, [], own, f"cannot tell what {given[0].name} is of")
    claimed = targets(run, block, note, found.inputs, found.run)
    ops = found.run.inside[root.id]
    return Case(block, root, ops, begin, claimed, own, home=found.run, given=found.given)


# ---------------------------------------------------------------------- from the loss


def _from_loss(run: Run, block: Block, forward: Block | None, own: list[int], note: Note) -> Case:
    """A whole backward pass, or the backward of the loss itself."""
    before = [run.places[op.id] for op in run.ops if run.places[op.id] not in set(own)]
    loss = _own_loss(run, forward) if forward is not None else None
    loss = run.loss() if loss is None else loss
    if loss is None:
        return Case(block, forward, [], {}, [], own, "no loss was computed in this run")
    known = _named_values(run, set(own))
    if forward is not None:  # a result without a name is of what the loss was computed from
        known = [*_computed(run, inputs(run, forward)), *known]
    claimed = targets(run, block, note, known)
    claimed += missing(run, claimed, known, forward is not None and _returned(run, block))
    return Case(block, forward, before, {loss: None}, claimed, own)


def _computed(run: Run, given: list[Named]) -> list[Named]:
    """What was computed before, and is no data, such as labels."""
    return [x for x in given if x.id not in run.tape.leaves]


def _returned(run: Run, block: Block) -> bool:
    """Whether a block returned something, as far as the source says."""
    result = run.result(block)
    return result is not None and result is not UNKNOWN


def _own_loss(run: Run, forward: Block) -> int | None:
    result = run.result(forward)
    first = result[0] if isinstance(result, tuple) and result else result
    return first.id if isinstance(first, Ref) and run.scalar(first.id) else None


def _named_values(run: Run, without: set[int], among: set[int] | None = None) -> list[Named]:
    """The parameters, the data, and the named values of the forward pass, the last of each name.

    without: operations whose values are left out. among: the values to choose from, all by default.
    """
    found: dict[str, Named] = {}
    values = run.trace.values
    ids = [*run.tape.leaves, *(out for op in run.forward_ops for out in op.outs)]
    skipped = {out for op in run.ops if run.places[op.id] in without for out in op.outs}
    for id in ids:
        value = values.get(id)
        if value is None or id in skipped or not value.name or not run.floating(id):
            continue
        if among is not None and id not in among:
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
    claimed = _flat_targets(run, block, loss)
    return Case(block, None, own, {loss: None}, claimed, own) if claimed or top else None


def _flat_targets(run: Run, block: Block, loss: int) -> list[Target]:
    """What a function with both passes claims: what it names, or returns, as gradients of others."""
    leading = _ancestors(run, loss)
    inputs = _named_values(run, set(), leading)
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
            found.append(target(run, gradient, of))
    return found


def _returned_gradients(run: Run, block: Block) -> Iterator[Named]:
    """The returned arrays that are gradients by the name of their container, or by their own."""
    note = run.note(block)
    if note is None:
        return
    result, names = run.result(block), names_returned(note)
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
