"""Which forward part each backward part belongs to.

A derived backward part mirrors the part whose operations it replays. Hand-written ones are matched
by what they read: the cache that they were given holds values of their forward part. Where that
does not decide, names do: `linear_backward` with `linear_forward`, the 2 of `dW2` with layer 2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from .notation import split_gradient
from .parts import Part
from .records import BACKWARD, FORWARD
from .trace import Trace


def paired(trace: Trace, cut: list[Part]) -> list[Part]:
    """The parts, each backward one with the place of the part that it mirrors."""
    firsts = _firsts(trace)
    cut = _mirrors_joined(trace, cut, firsts)
    home = {k: i for i, part in enumerate(cut) for k in part.ops}
    forward = [i for i, part in enumerate(cut) if part.phase == FORWARD]
    result = list(cut)
    taken: set[int] = set()
    open_ends = []
    for i, part in enumerate(cut):
        if part.phase != BACKWARD:
            continue
        of = _derived(trace, part, home, firsts)
        if of is not None and cut[of].phase != FORWARD:  # of a loss computed in a `backward`
            of = None
        if of is None and not part.derived:
            open_ends.append(i)
            continue
        if of is not None:
            taken.add(of)
            name = cut[of].name
            result[i] = replace(part, of=of, name=f"{name} backward", layer=cut[of].layer)
    touches = _touches(trace, cut) if open_ends else {}
    for i in open_ends:
        best = _best(trace, cut, i, [f for f in forward if f not in taken], touches)
        if best is not None:
            taken.add(best)
            result[i] = replace(result[i], of=best, name=_named(cut[i], cut[best]))
    return result


def _mirrors_joined(trace: Trace, cut: list[Part], firsts: dict[int, int]) -> list[Part]:
    """Derived parts that mirror one part are one part, as what they mirror is.

    Where that has a backward block, they are drawn with it.
    """
    home = {k: i for i, part in enumerate(cut) for k in part.ops}
    first: dict[int, int] = {}
    result: list[Part] = []
    for part in cut:
        own = part.derived or not (part.loose or trace.blocks[part.block].of is None)
        of = _derived(trace, part, home, firsts) if own and part.phase == BACKWARD else None
        if of is not None and of in first:
            before = result[first[of]]
            base = part if before.derived else before
            result[first[of]] = replace(base, ops=tuple(sorted(before.ops + part.ops)))
            continue
        if of is not None:
            first[of] = len(result)
        result.append(part)
    return result


def _named(part: Part, of: Part) -> str:
    return f"{of.name} backward" if part.loose or of.name not in part.name else part.name


def _derived(trace: Trace, part: Part, home: dict[int, int], firsts: dict[int, int]) -> int | None:
    """The part whose operations these mirror, or the part of the block that this one mirrors."""
    for k in part.ops:
        op = trace.ops[k]
        if op.of is not None:
            return home.get(op.of)
        value = trace.values[op.outs[0]].of
        if part.derived and value is not None and trace.values[value].op is not None:
            return home.get(trace.values[value].op)  # type: ignore[arg-type]
    for block in reversed(trace.around(part.block)):
        if block.of is not None and not part.derived and not part.loose:
            if block.of in firsts:
                return home.get(firsts[block.of])
    return None


def _firsts(trace: Trace) -> dict[int, int]:
    """For each block the first forward op in it, or in a block inside it."""
    found: dict[int, int] = {}
    for op in trace.ops:
        if op.phase == FORWARD and op.block not in found:
            for block in trace.around(op.block):
                found.setdefault(block.id, op.id)
    return found


def _best(trace: Trace, cut: list[Part], i: int, free: list[int], touches: Touches) -> int | None:
    part = cut[i]
    scores = [(_score(trace, part, cut[f], touches), f) for f in free]
    scores = [(score, f) for score, f in scores if score > 0]
    return max(scores)[1] if scores else None


Touches = dict[tuple[int, ...], tuple[set[int], set[int], set[int]]]
"""For the operations of a part, the values that they read, those that they make, and those of both
that no other call of its function touches: what is read of these tells the calls apart."""


def _touches(trace: Trace, cut: list[Part]) -> Touches:
    ops = trace.ops
    both = [
        ({i for k in part.ops for i in ops[k].ins}, {o for k in part.ops for o in ops[k].outs})
        for part in cut
    ]
    calls: dict[str, Counter[int]] = {}
    for part, (read, made) in zip(cut, both):
        if part.phase == FORWARD:
            calls.setdefault(_function(trace, part), Counter()).update(read | made)
    return {
        part.ops: (read, made, _once(calls.get(_function(trace, part), Counter()), read | made))
        for part, (read, made) in zip(cut, both)
    }


def _once(often: Counter[int], values: set[int]) -> set[int]:
    return {i for i in values if often[i] == 1}


def _score(trace: Trace, part: Part, forward: Part, touches: Touches) -> float:
    """How well a hand-written backward part fits a forward part."""
    read = touches[part.ops][0]
    touched, own, alone = touches[forward.ops]
    parameters = {i for i in touched if trace.values[i].role == "parameter"}
    score = 2.0 * len(read & own) + 1.5 * len(read & parameters) + len(read & touched)
    if trace.blocks[forward.block].ordinal and not forward.loose:
        score += 4.0 * len(read & alone)
    score += 3.0 * len(_gradients_named(trace, part.ops) & _names(trace, own | parameters))
    if part.layer is not None and part.layer == forward.layer:
        score += 4.0
    if _stem(_function(trace, part)) == _stem(_function(trace, forward)) and not part.loose:
        score += 4.0
    return score


def _gradients_named(trace: Trace, ops: Iterable[int]) -> set[str]:
    found = set()
    for k in ops:
        for out in trace.ops[k].outs:
            base, gradient = split_gradient(trace.values[out].name)
            if gradient:
                found.add(base)
    return found


def _names(trace: Trace, ids: Iterable[int]) -> set[str]:
    return {trace.values[i].name for i in ids if trace.values[i].name}


def _function(trace: Trace, part: Part) -> str:
    return trace.blocks[part.block].function


def _stem(function: str) -> str:
    return re.sub(r"_?(forward|backward|backprop)_?", "", function)
