"""A trace cut into parts: one for each closed block and for each statement of an opened one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .notation import split_gradient
from .parts import Part, last_name, numbered, path
from .records import BACKWARD, FORWARD, UPDATE, Op
from .trace import Trace
from .turning import Loop, loops

TURNS = 12
"""A statement that runs more often than this, with others between, is drawn once."""
CALLS = 200
"""It is drawn each time up to here where its loop calls a block, or reads weights: equal turns can
be folded."""


def partition(trace: Trace, opened: set[int]) -> list[Part]:
    """One part for each closed block and for each statement of an opened one."""
    groups: dict[Any, list[int]] = {}
    homes: dict[int, Any] = {}
    shown = _shown(trace, opened)
    turn = _turns(trace, shown, opened)
    turning = loops(trace, shown, opened)
    for op in trace.ops:
        key = _home(trace, op, shown, opened, homes)
        if key[0] in ("loose", "block") and op.id in turning:
            key = ("loop", turning[op.id].ops[0])
        elif key[0] == "loose":
            key = (*key, turn[op.id])
        homes[op.id] = key
        groups.setdefault(key, []).append(op.id)
    return [
        _turning(trace, turning[key[1]], ids) if key[0] == "loop" else _part(trace, key, ids)
        for key, ids in groups.items()
    ]


def _turning(trace: Trace, loop: Loop, ids: list[int]) -> Part:
    """A loop as one box: called after what it fills, if that is one thing."""
    names = {name for k in ids for out in trace.ops[k].outs if (name := trace.values[out].name)}
    name = f"{names.pop() if len(names) == 1 else 'loop'} ×{loop.turns}"
    return Part(name, loop.phase, loop.block, tuple(ids), True, turns=loop.turns)


def _shown(trace: Trace, opened: set[int]) -> dict[int, int]:
    """For each block, the closed block that it is drawn within, or itself if it is opened."""
    shown: dict[int, int] = {}
    for block in trace.blocks:
        is_open = lambda b: b in opened or trace.blocks[b].of in opened
        around = path(trace, block.id)
        shown[block.id] = next((b for b in around if not is_open(b)), block.id)
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
            return _by_hand(trace, homes[source]) or ("mirror", homes[source])
        return ("mirror", ("start",))
    here = shown[op.block]
    closed = here not in opened and trace.blocks[here].of not in opened
    if closed:
        return ("block", here)
    return ("loose", here, op.phase, op.file, op.line if not op.statement else op.statement)


def _by_hand(trace: Trace, home: Any) -> Any:
    """The hand-written backward of a block: what is derived for that block is drawn with it."""
    if home[0] != "block":
        return None
    found = [b.id for b in trace.blocks if b.of == home[1] and b.handwritten]
    return ("block", found[0]) if found else None


def _maker_of_met(trace: Trace, op: Op) -> int | None:
    value = trace.values[op.outs[0]].of
    return None if value is None else trace.values[value].op


def _turns(trace: Trace, shown: dict[int, int], opened: set[int]) -> dict[int, int]:
    """For each op, in which turn of a loop its statement runs; a loop of many turns is one."""
    turns: dict[int, int] = {}
    count: dict[Any, int] = {}
    before: Any = None
    weighing = _weighing(trace, shown)
    for op in trace.ops:
        place = (shown[op.block], op.statement, op.line)
        count[place] = count.get(place, 0) + (before != place)
        turns[op.id] = count[place]
        ended = place in weighing and any(trace.values[out].name for out in op.outs)
        before = None if ended else place  # a loop of one statement, which gives its result a name
    last = {op.id: count[shown[op.block], op.statement, op.line] for op in trace.ops}
    calling = _calling(trace, shown, opened)
    most = lambda op: CALLS if shown[op.block] in calling else TURNS
    return {op.id: turns[op.id] if last[op.id] <= most(op) else 0 for op in trace.ops}


def _calling(trace: Trace, shown: dict[int, int], opened: set[int]) -> set[int]:
    """The opened blocks that call a block more than `TURNS` times: layers, or time steps."""
    calls: dict[tuple[int | None, str], int] = {}
    for block in trace.blocks:
        if shown[block.id] == block.id and block.id not in opened:
            place = block.parent, block.function
            calls[place] = calls.get(place, 0) + 1
    found = {parent for (parent, _), count in calls.items() if count > TURNS and parent is not None}
    often = _weighing(trace, shown)
    return found | {place[0] for place, count in often.items() if count > TURNS}


def _weighing(trace: Trace, shown: dict[int, int]) -> dict[tuple[int, str, int], int]:
    """Statements that read weights, by block, text and line, and how often they do: layers."""
    often: dict[tuple[int, str, int], int] = {}
    for op in trace.ops:
        read = (trace.values[i] for i in op.ins)
        if op.phase == FORWARD and any(v.role == "parameter" and len(v.shape) > 1 for v in read):
            place = shown[op.block], op.statement, op.line
            often[place] = often.get(place, 0) + 1
    return often


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
    name = last_name(trace, ops)
    phase = first.phase
    if phase == FORWARD and name and _is_gradient(trace, name):
        phase = BACKWARD
    if phase == FORWARD and _is_update(trace, name, ops):
        return Part("update", UPDATE, key[1], ops, True)
    ends = {v.id for v in trace.outputs}
    if not name and any(out in ends for k in ops for out in trace.ops[k].outs):
        name = "output"
    found = numbered(name)
    several = list(
        dict.fromkeys(v.name for k in ops for o in trace.ops[k].outs if (v := trace.values[o]).name)
    )
    if len(several) > 2 and phase == BACKWARD:  # one statement for one gradient after the other
        return Part(f"{several[0]} … {several[-1]}", phase, key[1], ops, True)
    return Part(name or first.rule, phase, key[1], ops, True, None if found is None else found[1])


def _is_gradient(trace: Trace, name: str) -> bool:
    return name in trace.gradient_names


def _is_update(trace: Trace, name: str, ops: Iterable[int]) -> bool:
    """Whether statements give a parameter a new value made from the old: `W1 = W1 - α * dW1`."""
    values = trace.values
    read = {i for k in ops for i in trace.ops[k].ins}
    old = any(values[i].role == "parameter" and values[i].name == name for i in read)
    gradient = lambda name: split_gradient(name)[1] or name in trace.gradient_names
    return old and any(gradient(values[i].name) for i in read)
