"""The backward pass: the mirror of each operation, replayed in reverse topological order.

The tape is in topological order, so reverse topological order is the tape read backwards. Each
operation whose output has a gradient gives one to each of its operands that lead to something
whose gradient is wanted. Where a value was used more than once the gradients meet in a sum. All of
it is recorded: what is replayed becomes part of the trace. A block with a hand-written backward is
replayed by calling that, with the cache that the forward block returned.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from .errors import GradientError, NoRuleError
from .ops import AtPlaces, Rule, unbroadcast
from .places import Places
from .recording import handwritten
from .recording.absent import Absent, phantom
from .recording.keeping import Lean
from .recording.tape import Tape
from .records import CODE, MIRROR, SUM


@dataclass(slots=True)
class Replay:
    """What a backward pass did, in the order in which it did it.

    events: `("mirror", op, gradient of its output, ((value, gradient), …))`, where two uses of
        a value met `("sum", value, (gradient, gradient), gradient)`, and where hand-written code
        ran `("code", visit, first op, last op + 1)`.
    gradients: the last gradient of each value.
    seeds: the gradients that it began with. wanted: the values whose gradients were asked for.
    """

    events: list[tuple[Any, ...]]
    gradients: dict[int, int]
    seeds: dict[int, int]
    wanted: set[int]


def replay(tape: Tape, data: Any, seeds: Mapping[int, Any], wanted: Iterable[int]) -> Replay:
    """Replays the tape backwards from `seeds`, the gradients of some values by their numbers.

    data: the function that gives the data of a value. wanted: the values to go back to.
    """
    values = tape.values
    wanted = set(wanted)
    stop = len(tape.ops)
    gradients: dict[int, int] = {}
    for id, seed in seeds.items():
        values.append(seed)
        gradients[id] = len(values) - 1
    result = Replay([], gradients, dict(gradients), wanted)
    leads = _leading_to(tape, wanted, len(values), stop)
    visits = {visit.stop - 1: visit for visit in _usable(tape, stop)} if tape.visits else {}
    if isinstance(values, Lean):
        values.replaying(result)
    with _unswept():
        _walk(tape, data, result, leads, visits, stop)
    if isinstance(values, Lean):
        values.sweep()
    return result


@contextmanager
def _unswept() -> Iterator[None]:
    """Holds Python's garbage collector off: a replay makes much that stays, and no garbage."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _walk(
    tape: Tape, data: Any, result: Replay, leads: bytearray, visits: dict[int, Any], k: int
) -> None:
    """From the operation before `k` back to the first one."""
    ndarray, float64 = np.ndarray, np.float64
    ops, values, events = tape.ops, tape.values, result.events
    gradients = result.gradients
    places = Places(tape, result, leads, _fitted, _add)
    found, value, keep = gradients.get, values.__getitem__, values.append
    while k > 0:  # the one loop that every backward pass spends its time in
        k -= 1
        if k in visits and _reached(visits[k], gradients):
            _by_hand(tape, data, result, visits[k], leads)
            k = visits[k].start
            continue
        rule, out, ins, settings, _, _ = ops[k]
        gradient = found(out)
        if gradient is None or not leads[out]:
            continue
        backward = rule.backward
        if type(backward) is not tuple or tape.rewritten:
            if type(backward) is AtPlaces and places.mirror(k, gradient):
                continue
            backward, ins = _prepared(tape, rule, k)
            operands, answer = _operands(values, data, leads, ops[k])
        else:
            operands = list(map(value, ins))  # a comprehension would be a call for each op
            answer = values[out]
        if len(backward) != len(ins):  # an index is read, but has no gradient
            del operands[len(backward) :]
        g = values[gradient]
        made = []
        for function, target, x in zip(backward, ins, operands):
            if function is None or not leads[target]:
                continue
            if settings:
                piece = function(g, answer, *operands, **settings)
            else:
                piece = function(g, answer, *operands)
            if type(piece) is ndarray and type(x) is ndarray:
                if piece.shape != x.shape or piece.dtype is not x.dtype:
                    piece = _fitted(piece, x)
            elif type(piece) is not float64 or (type(x) is not float64 and type(x) is not float):
                piece = _fitted(piece, x)
            made.append((target, len(values)))
            keep(piece)
        if made:
            events.append((MIRROR, k, gradient, tuple(made)))
        for target, id in made:
            if target in gradients:
                _add(tape, result, target, id)
            else:
                gradients[target] = id


def _prepared(tape: Tape, rule: Rule, k: int) -> tuple[Any, tuple[int, ...]]:
    """The backward functions of an op whose rule takes any number of operands, one for each."""
    ins = tape.ops[k][2]
    backward: Any = rule.backward
    if backward is None:
        raise _no_rule(rule, tape, tape.ops[k])
    if rule.variadic:
        return tuple([partial(backward, i) for i in range(len(ins))]), ins
    return backward, ins


def _operands(values: list[Any], data: Any, leads: bytearray, op: Any) -> tuple[list[Any], Any]:
    """The data of an op's operands and output; of those that are absent, only what is read."""
    rule, out, ins = op[:3]
    ids = (*ins, out)
    found = [values[id] for id in ids]
    absent = [k for k, x in enumerate(found) if isinstance(x, Absent)]
    if absent:
        read = {v for i, id in enumerate(ins) if leads[id] for v in rule.reads(i, ins, out)}
        for k in absent:
            found[k] = data(ids[k]) if ids[k] in read else phantom(found[k])
    return found[:-1], found[-1]


def _by_hand(tape: Tape, data: Any, result: Replay, visit: Any, leads: bytearray) -> None:
    """Replays a block by its hand-written backward."""
    played = handwritten.replay(tape, data, visit, result.gradients)
    result.events.append((CODE, visit, played.start, played.stop))
    for id, gradient in played.gradients:
        if leads[id]:
            _add(tape, result, id, gradient)


def _leading_to(tape: Tape, wanted: set[int], count: int, stop: int) -> bytearray:
    """For each value, whether it was computed from a value whose gradient is wanted."""
    leads = bytearray(count)
    for id in wanted:
        leads[id] = 1
    for rule, out, ins, _, _, _ in islice(tape.ops, stop):
        for i in ins:
            if leads[i]:
                if rule.differentiable:
                    leads[out] = 1
                break
    return leads


def _usable(tape: Tape, stop: int) -> list[Any]:
    """The visits whose hand-written backward can be used: of nested ones, the outermost."""
    found: list[Any] = []
    for visit in sorted(tape.visits, key=lambda v: (v.start, -v.stop)):
        if visit.start == visit.stop or visit.stop > stop or not handwritten.suits(visit):
            continue
        if not found or visit.start >= found[-1].stop:
            found.append(visit)
    return found


def _reached(visit: Any, gradients: dict[int, int]) -> bool:
    return any(array.id in gradients for array in handwritten.outputs(visit))


def _complex(x: Any) -> bool:
    if type(x) is np.ndarray:
        return x.dtype.kind == "c"
    return bool(np.iscomplexobj(x))


def _fitted(piece: Any, x: Any) -> Any:
    """A gradient in the shape and dtype of what it is the gradient of."""
    if _complex(piece) or _complex(x):
        raise NoRuleError(
            "a gradient would go through complex numbers, which have none here: split that step "
            "into real and imaginary parts, or give its block a backward with @block.backward"
        )
    if type(x) is np.ndarray:
        if type(piece) is not np.ndarray:
            piece = np.asarray(piece)
        if piece.shape != x.shape:
            piece = unbroadcast(piece, x.shape)
            if piece.shape != x.shape:
                piece = np.broadcast_to(piece, x.shape)
        return piece if piece.dtype is x.dtype else piece.astype(x.dtype)
    if type(piece) is np.ndarray:
        piece = unbroadcast(piece, ())
        return piece[()] if isinstance(piece, np.ndarray) else piece
    return piece


def _add(tape: Tape, result: Replay, id: int, gradient: int) -> None:
    before = result.gradients.get(id)
    if before is None:
        result.gradients[id] = gradient
        return
    values = tape.values
    values.append(values[before] + values[gradient])
    result.gradients[id] = len(values) - 1
    result.events.append((SUM, id, (before, gradient), len(values) - 1))


def _no_rule(rule: Rule, tape: Tape, op: Any) -> GradientError:
    from .recording.source import place

    file, line = place(tape, op[4], op[5])
    return NoRuleError(
        f"{rule.name} has no backward rule, and a gradient needs it ({file}, line {line}): write "
        "that step with operations that have one, or give its block a hand-written backward with "
        "@block.backward"
    )
