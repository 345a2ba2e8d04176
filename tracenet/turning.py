"""Loops among the statements of an opened block, each drawn as one box with the count of its turns.

A statement that runs again in the same call stands in a loop; statements whose runs overlap stand in
the same loop, or in a loop inside it. Loops that go from layer to layer, each turn with weights of
its own, and loops that run whole steps of training are no such box: their turns are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from .parts import last_name
from .records import BACKWARD, FORWARD, UPDATE, Op
from .trace import Trace

Key = tuple[int, str]


@dataclass(slots=True)
class Loop:
    """The operations of a loop. turns: how often its first statement ran."""

    block: int
    turns: int
    phase: str
    ops: list[int]


def loops(trace: Trace, shown: dict[int, int], opened: set[int]) -> dict[int, Loop]:
    """For each operation of a loop that is one box, that loop. shown: see `cutting`."""
    visits: dict[int, list[tuple[Key, list[int]]]] = {}
    reading = {shown[op.block] for op in trace.ops if _parameters(trace, [op.id])}
    for op in trace.ops:
        here = shown[op.block]
        if not op.file or op.of is not None:
            continue
        loose = here == op.block and here in opened
        key = _key(op) if loose else _call_key(trace, here, reading)
        home = here if loose else trace.blocks[here].parent
        if home is None:
            continue
        runs = visits.setdefault(home, [])
        if not runs or runs[-1][0] != key:
            runs.append((key, []))
        runs[-1][1].append(op.id)
    found: dict[int, Loop] = {}
    for block, runs in visits.items():
        inside: list[Loop] = []
        runs = [(key, turn) for key, ops in runs for turn in _repeats(trace, ops)]
        for first, last in _regions([key for key, _ in runs]):
            loop = _loop(trace, block, runs[first : last + 1])
            if loop is not None:
                inside.append(loop)
        by_hand = any(loop.phase == BACKWARD for loop in inside)
        for loop in inside:
            if by_hand or not _is_recurrence(trace, loop):
                found.update(dict.fromkeys(loop.ops, loop))
    return found


def _is_recurrence(trace: Trace, loop: Loop) -> bool:
    """Whether its turns are time steps, which are folded turn by turn, and not places of an array.

    Where the backward pass is a loop by hand too, each pass is one box: the turns of the two do not
    stand side by side.
    """
    writes = any(trace.ops[k].rule == "write" for k in loop.ops)
    return loop.phase == FORWARD and not writes and bool(_parameters(trace, loop.ops))


def _call_key(trace: Trace, block: int, reading: set[int]) -> Key:
    """A call of a small function belongs to its statement; a layer is a box of its own."""
    called = trace.blocks[block]
    small = block not in reading and called.phase == FORWARD and called.statement
    return (0, called.statement) if small else (-1, "")


def _key(op: Op) -> Key:
    return op.line if not op.statement else 0, op.statement


def _repeats(trace: Trace, ops: list[int]) -> list[list[int]]:
    """The turns of a loop that holds one statement alone: the same operations, ending in its name."""
    faces = [(trace.ops[k].rule, trace.values[trace.ops[k].outs[0]].name) for k in ops]
    for length in range(1, len(ops) // 2 + 1):
        if len(ops) % length == 0 and faces[length - 1][1] and faces[length:] == faces[:-length]:
            return [ops[i : i + length] for i in range(0, len(ops), length)]
    return [ops]


def _regions(keys: list[Key]) -> list[tuple[int, int]]:
    """From where to where statements run again: overlapping stretches are one."""
    first: dict[Key, int] = {}
    last: dict[Key, int] = {}
    for i, key in enumerate(keys):
        first.setdefault(key, i)
        last[key] = i
    found: list[tuple[int, int]] = []
    for key, start in sorted(first.items(), key=lambda item: item[1]):
        if key[0] < 0 or last[key] == start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last[key]))
        else:
            found.append((start, last[key]))
    return found


def _loop(trace: Trace, block: int, runs: list[tuple[Key, list[int]]]) -> Loop | None:
    """The loop, if it is drawn as one box: only statements, the same weights in every turn."""
    groups: dict[Key, list[list[int]]] = {}
    for key, ops in runs:
        groups.setdefault(key, []).append(ops)
    loose = sum(trace.ops[visits[0][-1]].block == block for visits in groups.values())
    if (
        any(key[0] < 0 for key in groups)
        or 2 * loose < len(groups)
        or _goes_through_layers(trace, groups.values())
    ):
        return None
    phase = _phase(trace, [[k for ops in visits for k in ops] for visits in groups.values()])
    if phase is None:
        return None
    turns = len(next(iter(groups.values())))
    return Loop(block, turns, phase, [k for _, ops in runs for k in ops])


def _goes_through_layers(trace: Trace, groups: Iterable[list[list[int]]]) -> bool:
    """Whether a statement reads other parameters in one turn than in another."""
    for visits in groups:
        read = [_parameters(trace, ops) for ops in visits]
        if len(visits) > 1 and any(r and s and not r & s for r, s in pairwise(read)):
            return True
    return False


def _parameters(trace: Trace, ops: Iterable[int]) -> set[int]:
    values = trace.values
    return {i for k in ops for i in trace.ops[k].ins if values[i].role == "parameter"}


def _names_read(trace: Trace, ops: Iterable[int]) -> set[str]:
    found = {trace.values[i].name for k in ops for i in trace.ops[k].ins}
    return {name for name in found if name}


def _phase(trace: Trace, groups: list[list[int]]) -> str | None:
    """The pass of a loop; None where it runs both passes, or updates."""
    gradients = forward = 0
    for ops in groups:
        name = last_name(trace, ops)
        if trace.ops[ops[0]].phase == UPDATE:
            return None
        backward = trace.ops[ops[0]].phase == BACKWARD
        if backward or name in trace.gradient_names:
            gradients += 1
        elif name in (read := _names_read(trace, ops)) and read & trace.gradient_names:
            return None  # w = w - …
        elif _parameters(trace, ops):
            forward += 1
    if gradients and forward:
        return None
    return BACKWARD if 2 * gradients >= len(groups) and gradients else FORWARD
