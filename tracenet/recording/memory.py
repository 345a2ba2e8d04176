"""Shared memory: views, writes in place, and what was recorded before a write.

Real NumPy arrays alias each other and the traced data does so in exactly the same way. The record
must not: what a block was seen to return stays what it was. So a piece of memory that has views or
was written to gets a `Buffer`. A write makes a new *version* of the buffer's root; each array that
shares it is refreshed (its view taken again, on the record) when it is next used.

Before a write, the recorded values that live in the memory are either copied (somebody computed
with them) or marked as `Later`: they can be rebuilt from the version before by replaying the write.
That is why a loop that fills an array copies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..ops import BY_NAME, Rule
from .absent import Absent, Later
from .array import Array

Path = tuple[tuple[Callable[..., Any], dict[str, Any]], ...]


class Buffer:
    """A piece of memory that several arrays share, or that is written in place.

    id: the value that the whole of it is now. generation: how often it was written.
    live: the recorded values whose data lie in it, and whether they were computed with.
    """

    __slots__ = ("data", "generation", "id", "later", "live")

    def __init__(self, data: np.ndarray, id: int, live: dict[int, bool]) -> None:
        self.data = data
        self.id = id
        self.generation = 0
        self.live = live
        self.later: Later | None = None  # one for all of its versions that are rebuilt


class Alias:
    """How one traced array lies in a buffer: the views that lead to it from the root."""

    __slots__ = ("buffer", "path", "seen")

    def __init__(self, buffer: Buffer, path: tuple[tuple[Rule, dict[str, Any]], ...]) -> None:
        self.buffer = buffer
        self.path = path
        self.seen = buffer.generation


def current(tape: Any, x: Array) -> int:
    """The value that `x` is now, after writes through whatever shares its memory."""
    alias = x.alias
    buffer = alias.buffer
    if alias.seen != buffer.generation:
        _refresh(tape, x, alias)
    return x.id


def read(tape: Any, x: Array) -> int:
    """Like `current`, for an operation that computes with the numbers: they will be kept."""
    id = current(tape, x)
    live = x.alias.buffer.live
    if id in live:
        live[id] = True
    return id


def version(x: Array) -> int:
    """The value that `x` is now, for a note of it: nothing is computed with."""
    alias = x.alias
    if alias is None or alias.seen == alias.buffer.generation:
        return x.id
    return current(x.tape, x) if alias.path else int(alias.buffer.id)


def _refresh(tape: Any, x: Array, alias: Alias) -> None:
    buffer = alias.buffer
    id, data = buffer.id, buffer.data
    for rule, settings in alias.path:
        data = rule.forward(data, **settings)
        id = tape.append(rule, (id,), data, settings, -1)
        buffer.live[id] = False
    x.id, x.data = id, data
    alias.seen = buffer.generation


def share(tape: Any, x: Array, out: Array, rule: Rule, settings: dict[str, Any]) -> None:
    """Notes that `out`, made by a view operation, lies in the memory of `x`."""
    alias = x.alias or root(tape, x)
    buffer = alias.buffer
    out.alias = Alias(buffer, (*alias.path, (rule, settings)))
    buffer.live[out.id] = False


def root(tape: Any, x: Array) -> Alias:
    """Gives the memory of `x` a buffer, with `x` as its root."""
    live = {x.id: True} if tape.values[x.id] is x.data else {}
    x.alias = Alias(Buffer(x.data, x.id, live), ())
    return x.alias  # type: ignore[no-any-return]


def protect(tape: Any, buffer: Buffer) -> None:
    """Makes safe what was recorded of this memory; call it before each write."""
    values = tape.values
    for id, used in buffer.live.items():
        data = values[id]
        if isinstance(data, Absent):  # it was let go
            continue
        if used:
            values[id] = data.copy()
        else:
            values[id] = _later(buffer) if data is buffer.data else Later(data.shape, data.dtype)
            tape.rewritten = True
    buffer.live = {}


def _later(buffer: Buffer) -> Later:
    if buffer.later is None:
        buffer.later = Later(buffer.data.shape, buffer.data.dtype)
    return buffer.later


def _wrote(tape: Any, buffer: Buffer, id: int, used: bool) -> None:
    tape.values[id] = buffer.data
    buffer.id = id
    buffer.generation += 1
    buffer.live[id] = used


def write(
    tape: Any, x: Array, index: Any, value: Any, act: Callable[[], None], lasti: int, how: str
) -> None:
    """Performs and records a write into `x[index]`; `how` names the rule: `write`, `add_at`."""
    alias = x.alias or root(tape, x)
    before = current(tape, x) if not alias.path else alias.buffer.id
    operand = tape.operand(value)
    extra = tuple(tape.operand(array) for array in tape.arrays_in(index))
    protect(tape, alias.buffer)
    act()
    settings = {"path": plain_path(alias.path), "index": tape.frozen(index)}
    id = tape.append(BY_NAME[how], (before, operand, *extra), None, settings, lasti)
    _wrote(tape, alias.buffer, id, used=False)
    if not alias.path:
        x.id = id
        alias.seen = alias.buffer.generation


def plain_path(path: tuple[tuple[Rule, dict[str, Any]], ...]) -> Path:
    """The path as the write rules take it: functions and their settings."""
    return tuple((rule.forward, settings) for rule, settings in path)


def update(
    tape: Any, x: Array, rule: Rule, other: Any, act: Callable[[], None], lasti: int
) -> None:
    """Performs and records `x op= other` on an array: the op, and a write where `x` is a view."""
    alias = x.alias or root(tape, x)
    ids = (read(tape, x), tape.operand(other))
    protect(tape, alias.buffer)
    act()
    id = tape.append(rule, ids, x.data, {}, lasti)
    if alias.path:
        x.id = id
        settings = {"path": plain_path(alias.path), "index": ...}
        whole = tape.append(BY_NAME["write"], (alias.buffer.id, id), None, settings, lasti)
        _wrote(tape, alias.buffer, whole, used=False)
        alias.buffer.live[id] = True
    else:
        _wrote(tape, alias.buffer, id, used=True)
        x.id = id
    alias.seen = alias.buffer.generation


def rebuild(ops: Any, makers: Any, values: list[Any], id: int) -> Any:
    """The data of a value that was marked `Later`, from the versions before it.

    Walks back to data that are still there and replays forwards; a chain of writes is replayed
    on one copy. Nothing recurses, so a chain may be as long as it likes. Where something on the way
    was let go, that is returned.
    """
    chain = []
    while type(values[id]) is Later:
        op = ops[makers[id]]
        chain.append(op)
        id = op[2][0]
    data = values[id]
    owned = False
    read = (values[i] for op in chain for i in op[2][1:])
    gone = next((x for x in (data, *read) if isinstance(x, Absent)), None)
    if gone is not None:
        return gone
    for op in reversed(chain):
        data, owned = _replay(op, data, values, owned)
    return data if owned else data.copy()


def _replay(op: Any, data: Any, values: list[Any], owned: bool) -> tuple[Any, bool]:
    rule, _, ins, settings = op[:4]
    if rule.name != "write":
        others = [values[i] for i in ins[1 : len(rule.operands)]]
        return rule.forward(data, *others, **settings), rule.name == "add_at"
    data = data if owned else data.copy()
    view = data
    for function, how in settings["path"]:
        view = function(view, **how)
    view[settings["index"]] = values[ins[1]]
    return data, True


def walk(frame: Any) -> Iterator[Any]:
    """The frames from `frame` outwards."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def behind(id: int, read: Callable[[int], Iterable[int]]) -> set[int]:
    """A value and all that it was computed from; read: what each was made of."""
    waiting, seen = [id], {id}
    while waiting:
        for i in read(waiting.pop()):
            if i not in seen:
                seen.add(i)
                waiting.append(i)
    return seen


def makers(tape: Any) -> dict[int, int]:
    """Which operation on the tape made each value."""
    count, made = tape.makers
    if count != len(tape.ops):
        made = {op[1]: k for k, op in enumerate(tape.ops)}
        tape.makers = (len(tape.ops), made)
    return made  # type: ignore[no-any-return]
