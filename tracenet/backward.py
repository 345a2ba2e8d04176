"""The backward pass: the mirror of each operation, replayed in reverse topological order.

The tape is in topological order, so reverse topological order is the tape read backwards. Each
operation whose output has a gradient gives one to each of its operands that lead to something
whose gradient is wanted. Where a value was used more than once the gradients meet in a sum. All of
it is recorded: what is replayed becomes part of the trace. A block with a hand-written backward is
replayed by calling that, with the cache that the forward block returned.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from .errors import GradientError, NoRuleError
from .ops import AtPlaces, Rule, unbroadcast
from .places import Places
from .recording import handwritten
from .recording.absent import Absent, Dropped, phantom
from .recording.compiled import speedups
from .recording.keeping import Lean
from .recording.tape import Tape
from .records import CODE, MIRROR, SUM

LARGE = 16_384
"""Gradients of fewer bytes are kept in any case: to let them go would cost more than it gains."""


def _alone() -> int:
    x = np.zeros(1)
    return sys.getrefcount(x)


ALONE = _alone()
"""What `sys.getrefcount` says of what one variable alone holds, which differs between versions of
Python. A sum may be written over such an array."""


@dataclass(slots=True)
class Replay:
    """What a backward pass did, in the order in which it did it.

    events: `("mirror", op, gradient of its output, values, first)`, where the gradients of those
        values are `first` and those after it; where two uses of a value met `("sum", value, (gradient, gradient), gradient)`, and where hand-written code
        ran `("code", visit, first op, last op + 1)`.
    gradients: the last gradient of each value.
    seeds: the gradients that it began with. wanted: the values whose gradients were asked for.
    kept: those of both. large: of how many bytes on the gradients of others are let go when they
    were used.
    """

    events: list[tuple[Any, ...]]
    gradients: dict[int, int]
    seeds: dict[int, int]
    wanted: set[int]
    kept: set[int] = field(init=False)
    large: int = sys.maxsize

    def __post_init__(self) -> None:
        self.kept = {*self.wanted, *self.seeds}


def replay(
    tape: Tape, data: Any, seeds: Mapping[int, Any], wanted: Iterable[int], lean: bool = False
) -> Replay:
    """Replays the tape backwards from `seeds`, the gradients of some values by their numbers.

    data: the function that gives the data of a value. wanted: the values to go back to. lean:
    whether large gradients that nobody asked for are let go as soon as they were used, as in code
    by hand: a `Dropped` stands for each, and `recall` brings them back.
    """
    values = tape.values
    wanted = set(wanted)
    stop = len(tape.ops)
    gradients: dict[int, int] = {}
    for id, seed in seeds.items():
        gradients[id] = len(values)
        values.append(seed)
    result = Replay([], gradients, dict(gradients), wanted)
    visits = {visit.stop - 1: visit for visit in _usable(tape, stop)} if tape.visits else None
    if isinstance(values, Lean):
        values.replaying(result)
    elif lean and not visits:  # code by hand is not run twice
        result.large = LARGE
    walk = _Walk(tape, data, result, _leading_to(tape, wanted, len(values), stop), visits)
    running = gc.isenabled()
    gc.disable()  # a replay makes much that stays, and no garbage
    try:
        if speedups is None or visits or type(values) is not list:
            walk.back(0, stop)
        else:
            speedups.walk(
                walk, tape.ops, values, gradients, walk.leads, result.events, result.kept,
                result.large, tape.rewritten, stop,
            )  # fmt: skip
    finally:
        if running:
            gc.enable()
    if isinstance(values, Lean):
        values.sweep()
    return result


def recall(tape: Tape, data: Any, result: Replay) -> None:
    """Computes the gradients that a lean replay let go: the same operations on the same numbers."""
    kept = tape.values
    seeds = {id: kept[gradient] for id, gradient in result.seeds.items()}
    start = min(result.seeds.values())
    tape.values = kept[:start]
    try:
        replay(tape, data, seeds, result.wanted)
        again = tape.values
    finally:
        tape.values = kept
    for id in range(start, len(again)):
        if type(kept[id]) is Dropped:
            kept[id] = again[id]


class _Walk:
    """One way back over the tape. Where the loop is compiled, the methods take what it hands over.

    leads: for each value, whether it leads to one whose gradient is wanted. visits: the blocks with
    a backward of their own, by their last operation.
    """

    __slots__ = ("_places", "data", "leads", "result", "tape", "visits")

    def __init__(
        self, tape: Tape, data: Any, result: Replay, leads: bytearray, visits: Any
    ) -> None:
        self.tape, self.data, self.result, self.leads = tape, data, result, leads
        self.visits: dict[int, Any] | None = visits
        self._places: Places | None = None

    def odd(self, k: int, gradient: int) -> None:
        """Mirrors one operation that the compiled loop does not."""
        rule = self.tape.ops[k][0]
        if type(rule.backward) is not AtPlaces or not self._at_places(k, gradient):
            self.back(k, k + 1)

    def _at_places(self, k: int, gradient: int) -> bool:
        if self._places is None:
            meet = partial(_add, self.tape, self.result)  # not a method: that would be a cycle
            self._places = Places(self.tape, self.result, self.leads, _fitted, meet)
        return self._places.mirror(k, gradient)

    def meet(self, id: int, gradient: int) -> None:
        """Gives a value a gradient, or adds it to that which it has."""
        _add(self.tape, self.result, id, gradient)

    def drop(self, gradient: int) -> None:
        """Lets a gradient go."""
        values = self.tape.values
        values[gradient] = Dropped(values[gradient].shape, values[gradient].dtype)

    def back(self, start: int, stop: int) -> None:
        """From the operation before `stop` back to that at `start`.

        The one loop that every backward pass spends its time in, so operations of one and of two
        operands, as nearly all are, are mirrored here and not by a function.
        """
        ndarray, float64, numbers = np.ndarray, np.float64, (np.float64, float)
        tape, data, result, leads, visits = (
            self.tape, self.data, self.result, self.leads, self.visits
        )  # fmt: skip
        ops, values, gradients, large = tape.ops, tape.values, result.gradients, result.large
        found, append, note = gradients.get, values.append, result.events.append
        kept = result.kept
        targets: tuple[int, ...]
        for k in range(stop - 1, start - 1, -1):
            if visits:
                if k >= stop:
                    continue
                if k in visits and _reached(visits[k], gradients):
                    _by_hand(tape, data, result, visits[k], leads)
                    stop = visits[k].start
                    continue
            rule, out, ins, settings, _, _ = ops[k]
            gradient = found(out)
            if gradient is None or not leads[out]:
                continue
            backward, g, first = rule.backward, values[gradient], len(values)
            if (
                type(backward) is not tuple
                or not len(backward) == len(ins) < 3
                or (tape.rewritten and _some_absent(values, ins, out))
            ):
                if type(backward) is AtPlaces and self._at_places(k, gradient):
                    continue
                piece = None  # of an operation before: it would count as a holder of a gradient
                targets = _mirrored(tape, data, leads, k, g)
            elif len(ins) == 1:
                targets, x = ins, values[ins[0]]
                if settings:
                    piece = backward[0](g, values[out], x, **settings)
                else:
                    piece = backward[0](g, values[out], x)
                if type(piece) is ndarray and type(x) is ndarray:
                    if piece.dtype is not x.dtype or piece.shape != x.shape:
                        piece = _fitted(piece, x)
                elif type(piece) is not float64 or type(x) not in numbers:
                    piece = _fitted(piece, x)
                append(piece)
            else:
                i, j = ins
                x, y, answer, targets = values[i], values[j], values[out], ()
                for_x, for_y = backward
                if leads[i] and for_x is not None:
                    if settings:
                        piece = for_x(g, answer, x, y, **settings)
                    else:
                        piece = for_x(g, answer, x, y)
                    if type(piece) is ndarray and type(x) is ndarray:
                        if piece.dtype is not x.dtype or piece.shape != x.shape:
                            piece = _fitted(piece, x)
                    elif type(piece) is not float64 or type(x) not in numbers:
                        piece = _fitted(piece, x)
                    targets = (i,)
                    append(piece)
                if leads[j] and for_y is not None:
                    if settings:
                        piece = for_y(g, answer, x, y, **settings)
                    else:
                        piece = for_y(g, answer, x, y)
                    if type(piece) is ndarray and type(y) is ndarray:
                        if piece.dtype is not y.dtype or piece.shape != y.shape:
                            piece = _fitted(piece, y)
                    elif type(piece) is not float64 or type(y) not in numbers:
                        piece = _fitted(piece, y)
                    targets = ins if targets else (j,)
                    append(piece)
            if targets:
                note((MIRROR, k, gradient, targets, first))
            for target in targets:
                if target in gradients:
                    _add(tape, result, target, first)
                else:
                    gradients[target] = first
                first += 1
            if type(g) is ndarray and g.nbytes >= large and out not in kept:
                values[gradient] = Dropped(g.shape, g.dtype)


def _some_absent(values: list[Any], ins: tuple[int, ...], out: int) -> bool:
    """Whether the data of one or two operands, or of the output, are not there."""
    return any([isinstance(values[id], Absent) for id in (*ins, out)])  # a generator is slower


def _mirrored(tape: Tape, data: Any, leads: bytearray, k: int, g: Any) -> tuple[int, ...]:
    """Makes the gradients of the operands of any operation; returns which operands got one."""
    rule, _, ins, settings, _, _ = tape.ops[k]
    values, targets = tape.values, []
    backward, ins = _prepared(tape, rule, k)
    operands, answer = _operands(values, data, leads, tape.ops[k])
    del operands[len(backward) :]  # an index is read, but has no gradient
    for function, target, x in zip(backward, ins, operands):
        if function is not None and leads[target]:
            targets.append(target)
            values.append(_fitted(function(g, answer, *operands, **settings), x))
    return tuple(targets)


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
    if speedups is not None and type(tape.ops) is list:
        speedups.spread(leads, tape.ops, stop)
        return leads
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
    if type(piece) is type(x) is np.ndarray and piece.dtype is x.dtype and x.dtype.kind == "f":
        piece = unbroadcast(piece, x.shape)
        return piece if piece.shape == x.shape else np.broadcast_to(piece, x.shape)
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
    x, y = values[before], values[gradient]
    if type(x) is np.ndarray and x.nbytes >= result.large and before != result.seeds.get(id):
        values[before] = values[gradient] = Dropped(x.shape, x.dtype)
        alone = x.base is None and sys.getrefcount(x) == ALONE
        values.append(np.add(x, y, x) if alone else x + y)
    else:
        values.append(x + y)
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


if speedups is not None:
    speedups.prepare(fitted=_fitted, MIRROR=MIRROR, SUM=SUM)
