"""The records of a trace: `Value`, `Op` and `Block`, which name each other by number.

Numbers are the same on every run, an op comes after the ops whose values it reads, and nothing
refers to anything by reference: a trace has no cycles, and a list of records is a table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
MIRROR, SUM, CODE = "mirror", "sum", "code"
"""What a replay does: see `backward.Replay`."""


@dataclass(frozen=True, slots=True)
class Value:
    """An array or number that flowed, as it was then.

    id: its number. name: what the code calls it; it need not be unique. key: the name by which a
    trace is asked for it, which is. role: input, parameter, constant, random, intermediate, output
    or gradient. shape, dtype: as NumPy's; a Python number has shape () and dtype `"float"`.
    op: the op that made it, or None. of: the value that it is the gradient of, or None.
    """

    id: int
    name: str
    key: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    op: int | None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Op:
    """One primitive operation.

    rule: its name in the table of rules. ins, outs: the values it read and made, in order.
    settings: what else it was told (`axis`, `index`). saved: the values that its backward reads.
    block: the innermost block that it belongs to. phase: forward, backward or update.
    of: the forward op that it mirrors, or None. file, line: where it was done; a derived backward
    op stands where its forward op does. statement: that line of code.
    """

    id: int
    rule: str
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    settings: dict[str, Any] = field(compare=False)
    saved: tuple[int, ...]
    block: int
    phase: str
    of: int | None
    file: str
    line: int
    statement: str
    wants: tuple[int, ...] = ()  # the operands that `outs` are gradients of, for a derived mirror


@dataclass(frozen=True, slots=True)
class Block:
    """A named region of ops: a call of the user's function, or a block named by hand.

    name: as it is drawn, `"layer 2"`. function: the function's own name. ordinal: which of the
    equal calls in its parent it is, from 1; 0 where it is the only one. of: the forward block
    that it mirrors. handwritten: whether a backward block is the user's own code. statement: the
    line of code that called it.
    """

    id: int
    name: str
    function: str
    parent: int | None
    phase: str
    ordinal: int
    of: int | None
    file: str
    line: int
    handwritten: bool = False
    statement: str = ""
