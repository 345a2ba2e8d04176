"""The parts that a trace is drawn as, and what is asked of one of them everywhere.

A `Part` is a stretch of the run that becomes one box: a closed block, or statements of an opened
one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .gradient_names import ENDINGS
from .records import UPDATE
from .trace import Trace


@dataclass(frozen=True, slots=True)
class Part:
    """What is drawn as one box.

    ops: the numbers of its operations. block: the closed block that it is, or the opened block
    that its statements stand in. loose: whether it is such statements. layer: the number at the
    end of its variables' names. turns: of a loop that is one box, how many it made. of: the place in the list of the part that it mirrors.
    """

    name: str
    phase: str
    block: int
    ops: tuple[int, ...]
    loose: bool = False
    layer: int | None = None
    of: int | None = None
    turns: int = 0
    loss: bool = False
    derived: bool = False


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


def weights(trace: Trace, part: Part) -> set[int]:
    """The parameters of a part that are matrices or more: each layer has its own."""
    values = trace.values
    read = {i for k in part.ops for i in trace.ops[k].ins}
    return {i for i in read if values[i].role == "parameter" and len(values[i].shape) > 1}


def reads_parameters(trace: Trace, part: Part) -> bool:
    values = trace.values
    return any(values[i].role == "parameter" for k in part.ops for i in trace.ops[k].ins)


def path(trace: Trace, id: int) -> list[int]:
    return [block.id for block in trace.around(id)]


def place(trace: Trace, part: Part) -> tuple[str, int, str] | None:
    """Where loose statements of a pass stand in the code."""
    if not part.loose or part.phase == UPDATE:
        return None
    op = trace.ops[part.ops[0]]
    return op.file, op.line, op.statement


def last_name(trace: Trace, ops: Iterable[int]) -> str:
    names = [trace.values[out].name for k in ops for out in trace.ops[k].outs]
    return next((name for name in reversed(names) if name), "")


def numbered(name: str) -> tuple[str, int] | None:
    """A name without the number at its end, and that: of `dW2`, and of `l2_delta`.

    >>> numbered("dW2"), numbered("l2_delta"), numbered("x")
    (('dW', 2), ('l_delta', 2), None)
    """
    found = re.fullmatch(rf"(.*?[^\d\W_])_?(\d+)({ENDINGS})?", name)
    return None if found is None else (found[1] + (found[3] or ""), int(found[2]))
