"""Parts put together: statements whose variables end in one number, and those of the loss.

`z1 = …`, then `a1 = sigmoid(z1)` are one part: `layer 1`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from .parts import Part, last_name, numbered, path, place, reads_parameters, weights
from .recording.phases import ARRANGES
from .records import BACKWARD, FORWARD, UPDATE
from .trace import Trace
from .words import LOSS


def gathered(trace: Trace, cut: list[Part]) -> list[Part]:
    """Neighbours of one layer put together: `z1 = …`, then `a1 = sigmoid(z1)`."""
    result: list[Part] = []
    for part in cut:
        layer = _layer(trace, part)
        while result and (
            _called_in(trace, result[-1], part) or _arranged_for(trace, result[-1], part)
        ):
            part = replace(part, ops=result.pop().ops + part.ops)
        before = result[-1] if result else None
        if before is not None and part.loose and before.phase == part.phase == UPDATE:
            result[-1] = replace(before, ops=before.ops + part.ops)
        elif before is not None and _one_statement(trace, before, part):
            ops = before.ops + part.ops
            name = last_name(trace, ops) or before.name
            found = numbered(name)
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
    around = set(path(trace, one))
    return [b for b in path(trace, other) if b in around][-1]


def _layer(trace: Trace, part: Part) -> int | None:
    if part.layer is not None or part.derived or part.phase == UPDATE:
        return part.layer
    if part.loose or reads_parameters(trace, part) or trace.blocks[part.block].handwritten:
        return None
    found = numbered(last_name(trace, part.ops))
    return None if found is None else found[1]


def _one_statement(trace: Trace, before: Part, part: Part) -> bool:
    """Whether a small call stands in the statement before it: `a = sigmoid(W @ a + b)`."""
    if not before.loose or before.turns or part.loose or part.derived:
        return False
    if before.phase != part.phase:
        return False
    if reads_parameters(trace, part):
        return False
    statement = trace.ops[before.ops[-1]].statement
    return bool(statement) and trace.blocks[part.block].statement == statement


def _called_in(trace: Trace, before: Part, part: Part) -> bool:
    """Whether a small call stands first in a statement: `delta = error * sigmoid(l, deriv=True)`."""
    if before.loose or before.derived or not part.loose or part.turns:
        return False
    if trace.blocks[before.block].handwritten or reads_parameters(trace, before):
        return False
    statement = trace.ops[part.ops[0]].statement
    return bool(statement) and trace.blocks[before.block].statement == statement


def _arranged_for(trace: Trace, before: Part, part: Part) -> bool:
    """Whether a backward statement only arranges what the next one reads: `Y = Y.reshape(A.shape)`."""
    if not (before.loose and part.loose and before.phase == part.phase == BACKWARD):
        return False
    if before.derived or before.turns or part.turns or before.block != part.block:
        return False
    made = {out for k in before.ops for out in trace.ops[k].outs}
    read = {i for k in part.ops for i in trace.ops[k].ins}
    arranges = ARRANGES | {"ravel", "squeeze"}
    return bool(made & read) and all(trace.ops[k].rule in arranges for k in before.ops)


def _together(trace: Trace, before: Part, part: Part, layer: int) -> bool:
    same = before.layer == layer and before.phase == part.phase
    return same and not part.derived and (before.loose or part.loose)


def with_loss(trace: Trace, cut: list[Part]) -> list[Part]:
    """Marks the part that makes the loss; loose statements that lead only to it belong to it."""
    forward = [i for i, part in enumerate(cut) if part.phase == FORWARD]
    where = _loss_part(trace, cut)
    if where is None or where not in forward:
        return cut
    part = cut[where]
    merged = [where]
    often = Counter(place(trace, other) for other in cut)
    for i in reversed(forward[: forward.index(where)]):
        other = cut[i]
        plain = other.loose and other.layer is None and part.loose
        plain = plain and not other.turns and not part.turns
        if (
            not plain
            or reads_parameters(trace, other)
            or often[place(trace, other)] > 1  # a turn of a loop
            or not _feeds_only(trace, other, merged, cut)
        ):
            break
        merged.append(i)
    if len(merged) == len(forward) and len(merged) > 1:
        merged = [where]
    ops = tuple(sorted(k for i in merged for k in cut[i].ops))
    name = "loss" if part.loose and not part.turns else part.name
    cut = [p for i, p in enumerate(cut) if i == where or i not in merged]
    at = next(i for i, p in enumerate(cut) if p is part)
    cut[at] = replace(part, ops=ops, loss=True, name=name)
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
        if named or (trained and len(cut) > 1 and not weights(trace, part)):
            return i
    return _only_printed(trace, cut)


def _only_printed(trace: Trace, cut: list[Part]) -> int | None:
    """The last call of a function called loss or cost that made one number which nobody read."""
    for i, part in reversed(list(enumerate(cut))):
        if part.phase == FORWARD and not part.loose:
            last = trace.values[trace.ops[part.ops[-1]].outs[0]]
            single = not last.shape and last.dtype.startswith("float")
            called = LOSS.fullmatch(trace.blocks[part.block].function.rpartition(".")[2])
            if called and single and last.id not in trace.readers:
                return i
    return None


def _feeds_only(trace: Trace, part: Part, others: list[int], cut: list[Part]) -> bool:
    made = {out for k in part.ops for out in trace.ops[k].outs}
    allowed = {k for i in others for k in cut[i].ops} | set(part.ops)
    for op in trace.ops:
        if op.phase == FORWARD and op.id not in allowed and made & set(op.ins):
            return False
    return True
