"""Cases that begin at the loss: a whole backward pass, and one function that does both passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..recording.notes import UNKNOWN, Note, Ref, names_returned
from ..records import FORWARD, Block
from ..words import GRADIENT
from .case import Case
from .claims import inputs, missing, targets
from .match import Named, arrays, bases, by_holder, by_key, by_name
from .run import Run
from .target import Target, averaged, stepped, target
from .unnamed import unnamed


def from_loss(run: Run, block: Block, forward: Block | None, own: list[int], note: Note) -> Case:
    """A whole backward pass, or the backward of the loss itself, in a run that has a loss."""
    loss = own_loss(run, forward) if forward is not None else None
    loss = run.loss_before(own) if loss is None else loss
    assert loss is not None
    if _iterated(run, loss):
        why = "its loss is of several iterations; the blocks in it are judged alone"
        return Case(block, forward, [], {}, [], own, why)
    mine = set(own)
    before = last_pass(run, loss, [k for op in run.ops if (k := run.places[op.id]) not in mine])
    earlier = run.leading(loss) if loss != run.loss else None  # of another turn of the training
    known = named_values(run, mine, earlier)
    if forward is not None:  # a result without a name is of what the loss was computed from
        known = [*_computed(run, inputs(run, forward)), *known]
        if own_loss(run, forward) is not None:  # of what was predicted, not of the labels
            known = [x for x in known if run.parameter(x.id) or run.trained_before(x.id)] or known
    claimed = targets(run, block, note, known)
    claimed += missing(run, claimed, known, forward is not None and _returned(run, block))
    return Case(block, forward, before, {loss: None}, claimed, own)


def _iterated(run: Run, loss: int) -> bool:
    """Whether a loss is of a training loop whose updates are not told from what leads to it."""
    leading = run.leading(loss) - run.versions.keys()
    return any(op.phase != FORWARD and not leading.isdisjoint(op.outs) for op in run.ops)


def _computed(run: Run, given: list[Named]) -> list[Named]:
    """What was computed before, or is trained, and is no data, such as labels."""
    return [x for x in given if x.id not in run.tape.leaves or run.parameter(x.id)]


def _returned(run: Run, block: Block) -> bool:
    """Whether a block returned something, as far as the source says."""
    result = run.result(block)
    return result is not None and result is not UNKNOWN


def own_loss(run: Run, forward: Block) -> int | None:
    """The loss that a block returned: the loss of the run, wherever it stands, or its first result."""
    result = run.result(forward)
    items = list(result) if isinstance(result, tuple) else [result]
    for item in items:
        if isinstance(item, Ref) and (item.id == run.loss or item.id in run.losses):
            return item.id
    first = items[0] if items else None
    return first.id if isinstance(first, Ref) and run.scalar(first.id) else None


def named_values(run: Run, without: set[int], among: set[int] | None = None) -> list[Named]:
    """The parameters, the data, and the named values of the forward pass, the last of each name.

    without: operations whose values are left out. among: the values to choose from, all by default.
    """
    found: dict[str, Named] = {}
    values = run.trace.values
    last = _last_versions(run, among)
    ids = [*run.tape.leaves, *(out for op in run.forward_ops for out in op.outs)]
    skipped = {out for op in run.ops if run.places[op.id] in without for out in op.outs}
    for id in ids:
        value = values.get(id)
        if value is None or id in skipped or not value.name or not run.floating(id):
            continue
        leaf, id = run.tape.leaves.get(id), last.get(id, id)
        if (among is not None and id not in among) or (leaf is None and id in run.versions):
            continue
        if leaf is None:
            found[value.name] = Named(value.name, id)
        else:
            inside = isinstance(leaf.path, tuple)
            holder = _spelled(leaf.path[0]) if inside else ""
            group = holder.rpartition(".")[2]
            found[f"{holder} {value.key}"] = Named(value.name, id, not inside, group, holder)
    return list(found.values())


def _last_versions(run: Run, among: set[int] | None) -> dict[int, int]:
    """For each parameter that was updated the version that the loss, or `among`, was computed from."""
    if not run.versions:
        return {}
    loss = run.loss
    among = among if among is not None else run.leading(loss) if loss is not None else set()
    return {of: id for id, of in run.versions.items() if id in among}


def _spelled(path: Any) -> str:
    """The path of a container as `arrays` writes it: `net.layers[0]`."""
    if not isinstance(path, tuple):
        return str(path)
    around, key = _spelled(path[0]), path[1]
    if isinstance(key, int):
        return f"{around}[{key}]"
    return f"{around}.{str(key).lstrip('.')}" if around else str(key).lstrip(".")


def flat(run: Run, block: Block) -> Case | None:
    """A function that computes a loss and the gradients of it, both in its own statements."""
    top = block.parent is None
    loss = run.loss if top else own_loss(run, block)
    maker = run.maker.get(loss) if loss is not None else None
    own = run.inside[block.id]
    if loss is None or maker is None or run.places[maker.id] not in set(own):
        return None
    if _iterated(run, loss):
        return None
    claimed = flat_targets(run, block, loss)
    ops = last_pass(run, loss, own)
    return Case(block, None, ops, {loss: None}, claimed, own) if claimed or top else None


def last_pass(run: Run, loss: int, ops: list[int]) -> list[int]:
    """Of these operations those that lead to a loss from the last versions of the parameters on."""
    if not run.versions:
        return ops
    leading = run.leading(loss) - run.versions.keys()
    return [k for k in ops if not leading.isdisjoint(run.at[k].outs)]


def flat_targets(run: Run, block: Block, loss: int) -> list[Target]:
    """What a function with both passes claims: what it names, or returns, as gradients of others."""
    leading = run.leading(loss)
    inputs = named_values(run, set(), leading)
    note = run.note(block)
    for name, tree in (note.final if note is not None else {}).items():
        if isinstance(tree, Ref) and tree.id in leading and run.floating(tree.id):
            inputs.insert(0, Named(name, tree.id))  # `[f1, w1] = params`
    for name, tree in (note.args if note is not None else {}).items():
        inputs = [*(x for x in arrays(tree, name) if x.id in leading), *inputs]
        if type(tree) is float and (number := _number(run, block, tree)) is not None:
            inputs.insert(0, Named(name, number))
    known = {x.name for x in inputs}
    since = _since(run, leading)
    often = _several(run, block, since)
    claimed: dict[str, Named] = {}
    for op in run.ops:
        out = op.outs[0]
        name = run.trace.values[out].name
        if run.places[op.id] < since:
            continue
        of_block = op.block == block.id and out not in leading
        if of_block and known.intersection(bases(name)) and not averaged(run, op):
            last = note.final.get(name) if note is not None else None
            if not isinstance(last, Ref) or last.id == out or last.id in run.made_here(block):
                claimed[name] = Named(name, out)  # else it goes from call to call in a loop
    for x in _returned_gradients(run, block):
        if x.id not in leading and x.id in run.maker and run.floating(x.id):
            claimed[x.name] = x
    for x in _left_behind(run, note):
        maker = run.maker.get(x.id)
        if maker is None or x.id in leading or x.top or averaged(run, maker):
            continue
        if x.id in run.versions or x.id not in run.made_in(block):
            continue  # an updated parameter, and what an earlier call left there
        if run.floating(x.id):
            claimed[f"{x.holder} {x.name}"] = x
    steps = {t.got for t in stepped(run, block, [x for x in inputs if run.parameter(x.id)])}
    found: list[Target] = []
    for gradient in claimed.values():
        alike = [x for x in inputs if run.shape(x.id) == run.shape(gradient.id)]
        of = by_name(gradient, inputs) or by_key(gradient, inputs) or by_holder(gradient, alike)
        if of is None:
            continue
        once = not {_plain(of.name), _plain(gradient.name)} & often
        if once or (run.parameter(of.id) and (_gathers(run, gradient) or gradient.id in steps)):
            claim = target(run, gradient, of)
            if all((claim.got, claim.of) != (t.got, t.of) for t in found):  # dW and self.dW
                found.append(claim)
    return found + unnamed(run, block, loss, inputs, {t.of for t in found})


def _number(run: Run, block: Block, number: float) -> int | None:
    """The one constant that a number of the program's, as `b = 0.0`, is in a block's operations."""
    read = {i for op in run.ops_in(block) for i in op.ins}
    found = [i for i in read if run.tape.values[i] is number]
    return found[0] if len(found) == 1 else None


def _left_behind(run: Run, note: Note | None) -> Iterator[Named]:
    """The gradients that a function left in its arguments, and a script in containers of its own."""
    if note is None:
        return
    for name in note.final if note.script else note.args:
        for x in arrays(note.final.get(name), name):
            if GRADIENT.fullmatch(x.group) if note.script else bases(x.name):
                yield x


def _since(run: Run, leading: set[int]) -> int:
    """Where the last update stands, on the tape, before what leads to a loss."""
    updates = [run.places[run.maker[i].id] for i in leading if i in run.versions]
    return max(updates, default=0)


def _several(run: Run, block: Block, since: int) -> set[str]:
    """The names that a statement gave to several values of one call: in a loop none is *the* h."""
    names = Counter(
        (_plain(run.trace.values[out].name), op.file, op.line, op.rule)
        for op in run.ops_in(block)
        if run.places[op.id] > since
        for out in op.outs
    )
    return {name for (name, *_), count in names.items() if name and count > 1}


def _gathers(run: Run, gradient: Named) -> bool:
    """Whether a gradient is a sum that a loop adds to, as `dW += …` is."""
    op = run.maker.get(gradient.id)
    name = _plain(gradient.name)
    return op is not None and any(_plain(run.trace.values[i].name) == name for i in op.ins)


def _plain(name: str) -> str:
    """A name without the index of a loop: `h[3]` is an h."""
    return name.partition("[")[0]


def _returned_gradients(run: Run, block: Block) -> Iterator[Named]:
    """The returned arrays that are gradients by the name of their container, or by their own."""
    note = run.note(block)
    if note is None:
        return
    result = run.result(block)
    names = names_returned(note, result)
    for k, item in enumerate(result if isinstance(result, tuple) else [result]):
        name = (names[k] if k < len(names) else None) or ""
        for x in arrays(item, name):
            own = run.trace.values[x.id].name if x.id in run.trace.values else ""
            keyed = isinstance(item, dict) and not name and GRADIENT.fullmatch(x.name)
            if GRADIENT.fullmatch(name) or keyed:
                yield x
            elif bases(own) and bases(own)[0] == x.name:
                yield Named(own, x.id)
