"""Which boxes a trace is drawn as: blocks opened and closed, loose statements gathered.

A `Part` is a stretch of the run that becomes one box: a closed block, or statements of an opened
one. Opened by default is whatever holds a chain of layers, and nothing below that. Statements
whose variables end in the same number (`z1 = …`, `a1 = …`) are one part: `layer 1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .diagram import Diagram
from .errors import UsageError, unknown
from .notation import LOSS, split_gradient
from .records import BACKWARD, FORWARD, UPDATE, Block, Op
from .trace import Step, Trace

VIEWS = ("blocks", "ops")
TURNS = 12
"""A statement that runs more often than this, with others between, is drawn once."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is drawn as one box.

    ops: the numbers of its operations. block: the closed block that it is, or the opened block
    that its statements stand in. loose: whether it is such statements. layer: the number at the
    end of its variables' names. of: the place in the list of the part that it mirrors.
    """

    name: str
    phase: str
    block: int
    ops: tuple[int, ...]
    loose: bool = False
    layer: int | None = None
    of: int | None = None
    loss: bool = False
    derived: bool = False


def parts(trace: Trace, depth: int | None = None) -> list[Part]:
    """The parts of a trace in the order in which they ran, each backward part with its `of`."""
    if depth is not None and depth < 1:
        raise UsageError(f"depth must be 1 or more, got {depth}: 1 shows the outermost blocks")
    opened = _opened(trace, depth)
    cut = _partition(trace, opened)
    cut = _gathered(trace, cut)
    cut = _with_loss(trace, cut)
    from .pairing import paired

    return paired(trace, cut)


# ---------------------------------------------------------------------- opening


def _opened(trace: Trace, depth: int | None) -> set[int]:
    blocks = trace.blocks
    levels = {block.id: len(trace.around(block.id)) - 1 for block in blocks}
    if depth is not None:
        return {block.id for block in blocks if levels[block.id] < depth}
    opened = {0}
    for block in blocks[1:]:
        if block.phase == FORWARD and block.parent in opened and not block.ordinal:
            if _layers_in(trace, block.id) >= 2:
                opened.add(block.id)
    for block in blocks[1:]:
        if block.of in opened or _holds_layers(trace, block, opened):
            opened.add(block.id)
    return opened


def _layers_in(trace: Trace, id: int) -> int:
    """How many parts of a block, were it opened, read parameters of their own."""
    inside = [p for p in _partition(trace, {0, *_path(trace, id)}) if id in _path(trace, p.block)]
    gathered = _gathered(trace, [p for p in inside if p.phase == FORWARD])
    weights = [w for part in gathered if (w := _weights(trace, part))]
    return min(len(weights), len(set().union(*weights)))


def _weights(trace: Trace, part: Part) -> set[int]:
    """The parameters of a part that are matrices or more: each layer has its own."""
    values = trace.values
    read = {i for k in part.ops for i in trace.ops[k].ins}
    return {i for i in read if values[i].role == "parameter" and len(values[i].shape) > 1}


def _path(trace: Trace, id: int) -> list[int]:
    return [block.id for block in trace.around(id)]


def _reads_parameters(trace: Trace, part: Part) -> bool:
    values = trace.values
    return any(values[i].role == "parameter" for k in part.ops for i in trace.ops[k].ins)


def _holds_layers(trace: Trace, block: Block, opened: set[int]) -> bool:
    """Whether a hand-written backward is a whole pass: it holds the backwards of several layers."""
    if block.parent not in opened or not block.handwritten or block.of is not None:
        return False
    own = [b for b in trace.blocks if b.parent == block.id]
    loose = {
        found[1]
        for op in trace.ops
        if op.block == block.id
        for out in op.outs
        if (found := _numbered(trace.values[out].name)) is not None and found[0].startswith("d")
    }
    return len(own) > 1 or len(loose) > 1


# ---------------------------------------------------------------------- cutting


def _partition(trace: Trace, opened: set[int]) -> list[Part]:
    """One part for each closed block and for each statement of an opened one."""
    groups: dict[Any, list[int]] = {}
    homes: dict[int, Any] = {}
    shown = _shown(trace, opened)
    turn = _turns(trace, shown, opened)
    for op in trace.ops:
        key = _home(trace, op, shown, opened, homes)
        if key[0] == "loose":
            key = (*key, turn[op.id])
        homes[op.id] = key
        groups.setdefault(key, []).append(op.id)
    return [_part(trace, key, ids) for key, ids in groups.items()]


def _shown(trace: Trace, opened: set[int]) -> dict[int, int]:
    """For each block, the closed block that it is drawn within, or itself if it is opened."""
    shown: dict[int, int] = {}
    for block in trace.blocks:
        path = _path(trace, block.id)
        is_open = lambda b: b in opened or trace.blocks[b].of in opened
        shown[block.id] = next((b for b in path if not is_open(b)), block.id)
    return shown


def _home(
    trace: Trace, op: Op, shown: dict[int, int], opened: set[int], homes: dict[int, Any]
) -> Any:
    block = trace.blocks[op.block]
    if op.phase == UPDATE and not op.file:
        return ("update", op.block)
    if op.phase == BACKWARD and op.of is None and not op.file:
        where = [homes.get(trace.values[i].op or 0) for i in op.ins]
        if where[0] is not None and where[0] == where[-1]:
            return where[0]  # both gradients were made in one part: so is their sum
        home = shown[op.block]
        of = trace.blocks[home].of
        if of is not None and of not in opened and home not in opened:
            return ("block", home) if trace.blocks[home].handwritten else ("mirror", ("block", of))
    if op.phase == BACKWARD and not block.handwritten:
        source = op.of if op.of is not None else _maker_of_met(trace, op)
        if source is None and len(op.ins) == 2:  # gradients of a leaf meet where the last was made
            return homes.get(trace.values[op.ins[1]].op or 0, ("mirror", ("start",)))
        if source is not None and source in homes:
            return ("mirror", homes[source])
        return ("mirror", ("start",))
    here = shown[op.block]
    closed = here not in opened and trace.blocks[here].of not in opened
    if closed:
        return ("block", here)
    return ("loose", here, op.phase, op.file, op.line if not op.statement else op.statement)


def _maker_of_met(trace: Trace, op: Op) -> int | None:
    value = trace.values[op.outs[0]].of
    return None if value is None else trace.values[value].op


def _turns(trace: Trace, shown: dict[int, int], opened: set[int]) -> dict[int, int]:
    """For each op, in which turn of a loop its statement runs; a loop of many turns is one."""
    turns: dict[int, int] = {}
    count: dict[Any, int] = {}
    before: Any = None
    for op in trace.ops:
        place = (shown[op.block], op.statement, op.line)
        count[place] = count.get(place, 0) + (before != place)
        turns[op.id] = count[place]
        before = place
    last = {op.id: count[shown[op.block], op.statement, op.line] for op in trace.ops}
    return {id: n if last[id] <= TURNS else 0 for id, n in turns.items()}


def _part(trace: Trace, key: Any, ids: list[int]) -> Part:
    ops = tuple(ids)
    first = trace.ops[ids[0]]
    if key[0] == "block":
        block = trace.blocks[key[1]]
        return Part(block.name, block.phase, block.id, ops, layer=None)
    if key[0] == "update":
        return Part("update", UPDATE, first.block, ops, derived=True)
    if key[0] == "mirror":
        return Part("", BACKWARD, first.block, ops, derived=True)
    name = _last_name(trace, ops)
    phase = first.phase
    if phase == FORWARD and name and _is_gradient(trace, name):
        phase = BACKWARD
    if phase == FORWARD and _is_update(trace, name, ops):
        return Part("update", UPDATE, key[1], ops, True)
    ends = {v.id for v in trace.outputs}
    if not name and any(out in ends for k in ops for out in trace.ops[k].outs):
        name = "output"
    found = _numbered(name)
    return Part(name or first.rule, phase, key[1], ops, True, None if found is None else found[1])


def _last_name(trace: Trace, ops: Iterable[int]) -> str:
    names = [trace.values[out].name for k in ops for out in trace.ops[k].outs]
    return next((name for name in reversed(names) if name), "")


def _is_gradient(trace: Trace, name: str) -> bool:
    if re.match(r"(delta|grad|nabla)(_|\d|$)", name):
        return True
    base, gradient = split_gradient(name)
    return gradient and any(v.name == base for v in trace.values.values())


def _is_update(trace: Trace, name: str, ops: Iterable[int]) -> bool:
    """Whether statements give a parameter a new value made from the old: `W1 = W1 - α * dW1`."""
    values = trace.values
    read = {i for k in ops for i in trace.ops[k].ins}
    old = any(values[i].role == "parameter" and values[i].name == name for i in read)
    return old and any(split_gradient(values[i].name)[1] for i in read)


def _numbered(name: str) -> tuple[str, int] | None:
    found = re.fullmatch(r"(.*?[^\d\W_])_?(\d+)", name)
    return None if found is None else (found[1], int(found[2]))


# ---------------------------------------------------------------------- gathering


def _gathered(trace: Trace, cut: list[Part]) -> list[Part]:
    """Neighbours of one layer put together: `z1 = …`, then `a1 = sigmoid(z1)`."""
    result: list[Part] = []
    for part in cut:
        layer = _layer(trace, part)
        before = result[-1] if result else None
        if before is not None and part.loose and before.phase == part.phase == UPDATE:
            result[-1] = replace(before, ops=before.ops + part.ops)
        elif before is not None and _one_statement(trace, before, part):
            ops = before.ops + part.ops
            name = _last_name(trace, ops) or before.name
            found = _numbered(name)
            number = layer if found is None else found[1]
            name = name if number is None else f"layer {number}"
            result[-1] = replace(before, name=name, ops=ops, layer=number)
        elif before is not None and layer is not None and _together(trace, before, part, layer):
            result[-1] = replace(
                before, name=f"layer {layer}", ops=before.ops + part.ops, loose=True, layer=layer,
                block=_common(trace, before.block, part.block),
            )  # fmt: skip
        else:
            result.append(replace(part, layer=layer))
    return result


def _common(trace: Trace, one: int, other: int) -> int:
    path = set(_path(trace, one))
    return [b for b in _path(trace, other) if b in path][-1]


def _layer(trace: Trace, part: Part) -> int | None:
    if part.layer is not None or part.derived or part.phase == UPDATE:
        return part.layer
    if part.loose or _reads_parameters(trace, part) or trace.blocks[part.block].handwritten:
        return None
    found = _numbered(_last_name(trace, part.ops))
    return None if found is None else found[1]


def _one_statement(trace: Trace, before: Part, part: Part) -> bool:
    """Whether a small call stands in the statement before it: `a = sigmoid(W @ a + b)`."""
    if not before.loose or part.loose or part.derived or before.phase != part.phase:
        return False
    if _reads_parameters(trace, part):
        return False
    statement = trace.ops[before.ops[-1]].statement
    return bool(statement) and trace.blocks[part.block].statement == statement


def _together(trace: Trace, before: Part, part: Part, layer: int) -> bool:
    same = before.layer == layer and before.phase == part.phase
    return same and not part.derived and (before.loose or part.loose)


def _with_loss(trace: Trace, cut: list[Part]) -> list[Part]:
    """Marks the part that makes the loss; loose statements that lead only to it belong to it."""
    forward = [i for i, part in enumerate(cut) if part.phase == FORWARD]
    where = _loss_part(trace, cut)
    if where is None or where not in forward:
        return cut
    part = cut[where]
    merged = [where]
    for i in reversed(forward[: forward.index(where)]):
        other = cut[i]
        plain = other.loose and other.layer is None and part.loose
        if (
            not plain
            or _reads_parameters(trace, other)
            or not _feeds_only(trace, other, merged, cut)
        ):
            break
        merged.append(i)
    if len(merged) == len(forward) and len(merged) > 1:
        merged = [where]
    ops = tuple(sorted(k for i in merged for k in cut[i].ops))
    name = "loss" if part.loose else part.name
    cut = [p for i, p in enumerate(cut) if i == where or i not in merged]
    place = next(i for i, p in enumerate(cut) if p is part)
    cut[place] = replace(part, ops=ops, loss=True, name=name)
    return cut


def _loss_part(trace: Trace, cut: list[Part]) -> int | None:
    """Where the loss is made: what a backward pass began with, or a scalar called loss or cost."""
    seeds = trace.loss_values()
    for i, part in enumerate(cut):
        if part.phase != FORWARD:
            continue
        made = [out for k in part.ops for out in trace.ops[k].outs]
        hit = [
            out for out in made if out in seeds and not any(n > 1 for n in trace.values[out].shape)
        ]
        if not hit:
            continue
        named = LOSS.fullmatch(trace.values[hit[0]].name or "") or (
            not part.loose and LOSS.fullmatch(trace.blocks[part.block].function)
        )
        trained = any(v.role == "parameter" for v in trace.values.values())
        if named or (trained and len(cut) > 1 and not _weights(trace, part)):
            return i
    return None


def _feeds_only(trace: Trace, part: Part, others: list[int], cut: list[Part]) -> bool:
    made = {out for k in part.ops for out in trace.ops[k].outs}
    allowed = {k for i in others for k in cut[i].ops} | set(part.ops)
    for op in trace.ops:
        if op.phase == FORWARD and op.id not in allowed and made & set(op.ins):
            return False
    return True


# ---------------------------------------------------------------------- what others ask for


def steps(trace: Trace, depth: int | None) -> Iterator[Step]:
    """Both passes, part by part."""
    for part in parts(trace, depth):
        block = trace.blocks[part.block]
        if part.loose or part.derived:
            block = replace(block, name=part.name, phase=part.phase)
        inputs, outputs = flows(trace, part)
        yield Step(
            block,
            tuple(trace.ops[k] for k in part.ops),
            tuple(trace.values[i] for i in inputs),
            tuple(trace.values[i] for i in outputs),
        )


def flows(trace: Trace, part: Part) -> tuple[list[int], list[int]]:
    """The values that a part reads from outside, and those of its own that others read."""
    mine = set(part.ops)
    made = {out: None for k in part.ops for out in trace.ops[k].outs}
    read: dict[int, None] = {}
    for k in part.ops:
        for i in trace.ops[k].ins:
            if i not in made and (trace.values[i].op is not None or trace.values[i].name):
                read[i] = None
    readers = trace.readers
    ends = {v.id for v in trace.outputs} | set(trace.gradients().values())
    return list(read), [
        out for out in made if out in ends or any(k not in mine for k in readers.get(out, ()))
    ]  # fmt: skip


def diagram(trace: Trace, view: str, **options: Any) -> Diagram:
    """The diagram of a view."""
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if view == "ops":
        from .ops_picture import draw as draw_ops

        return draw_ops(trace, **options)
    from .picture import draw

    return draw(trace, **options)
