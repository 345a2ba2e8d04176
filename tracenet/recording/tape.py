"""The tape: the lean record that is written while the user's code runs.

Two flat lists: `values`, the data of every value, and `ops`, one tuple for each operation. A value
is its place in the first list. Everything that a reader wants (names, blocks, lines) is worked out
afterwards from what is cheap to note: the number of the call that an operation belongs to, and
where in that call's code it stands (`f_lasti`).

Calls are told apart by their frames. As long as operations come from the same frame nothing is
looked up; when the frame changes, `enter` finds the new one among those that are still running.
"""

from __future__ import annotations

import sys
import sysconfig
import warnings
from collections.abc import Iterable
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from ..errors import LeftTraceWarning, RecordError
from ..ops import Rule
from . import keeping, memory
from .array import Array, arrays_in, strip

KEPT_BYTES = 65_536
"""Arrays that the user still holds are copied into the record up to this size."""

NONE: dict[str, Any] = {}
"""The settings of an operation that has none; never written to."""

EXPRESSION = "<expression>"
"""The file of what was given as an expression."""

PROBES = 61
"""How many elements of a larger array are remembered, to notice if it is changed later."""

_active: Tape | None = None
ndarray = np.ndarray


class Op(NamedTuple):
    """One entry of `ops` (written as a bare tuple): what a reader of the tape needs to know."""

    rule: Rule
    out: int
    ins: tuple[int, ...]
    settings: dict[str, Any]
    call: int
    lasti: int


class Call(NamedTuple):
    """A call that recorded operations, or a block named by hand (`code` is None then)."""

    code: CodeType | None
    parent: int
    lasti: int  # where the caller stood
    name: str | None = None
    owner: str | None = None  # the class of `self`, for methods
    partner: Any = None  # the `blocks.Visit` of a block with a backward of its own


_call = tuple.__new__  # what Call(…) comes to, by a longer way
_OUTSIDE = Call(None, -1, -1)  # what the traced function was called by


class Leaf(NamedTuple):
    """A value that no operation made."""

    id: int
    role: str  # input, parameter, constant, random
    name: str | None
    path: Any  # where it was found: nested (path, key) pairs around a name
    call: int = -1  # for an array that the code made itself: where it did
    lasti: int = -1

    @property
    def owned(self) -> bool:
        """Whether it is an attribute of an object, as the weights of a layer are."""
        key = self.path[1] if isinstance(self.path, tuple) else None
        return isinstance(key, str) and key.startswith(".")


class Left(NamedTuple):
    """A place where a value left the trace."""

    id: int
    file: str
    line: int
    why: str
    ops: int = 0  # how many operations were recorded then


class Tape:
    """What is written while the code runs. `open` while it does."""

    __slots__ = (
        "__weakref__", "_place", "_stack", "call", "calls", "drew", "frame", "leaves", "left_at", "makers",
        "notes", "open", "ops", "probes", "reached", "rewritten", "unnamed", "values", "visits",
    )  # fmt: skip

    def __init__(self) -> None:
        self.open = False
        self.ops: list[Any] = []
        self.calls: list[Call] = [_OUTSIDE]
        self.leaves: dict[int, Leaf] = {}
        self.drew = False  # whether the code made arrays itself
        self.rewritten = False  # whether some value must be rebuilt, or is gone (absent)
        self.left_at: dict[tuple[str, int], Left] = {}
        self.probes: dict[int, tuple[Any, Any]] = {}
        self.values: list[Any] = keeping.values_of(self)
        self.unnamed: set[int] = set()  # values inside of what the code says as one thing
        self.reached: set[int] = set()  # leaves that the code reached without being given them
        self.visits: list[Any] = []  # calls of blocks with a backward of their own
        self.makers: tuple[int, dict[int, int]] = (-1, {})  # see memory.makers
        self.notes: Any = None  # `notes.Notes`, where the program has backward code to check
        self.call = 0
        self.frame: Any = None
        self._stack: list[tuple[Any, int, int | None]] = []
        self._place: dict[Any, int] = {}

    # ------------------------------------------------------------------ recording

    def begin(self, frame: Any) -> None:
        """Makes this tape the one that is written to, by calls made from `frame`."""
        global _active
        if _active is not None:
            raise RecordError(
                "a trace is being recorded already: end it before you start another, or use "
                "tracer.block to name a part of it"
            )
        _active, self.open = self, True
        self._stack, self._place = [(frame, 0, None)], {frame: 0}
        self.frame, self.call = None, 0

    def end(self) -> None:
        """Stops recording, and lets go of frames, so that nothing of the run is kept alive."""
        global _active
        try:
            if self.notes is not None:
                self._leave(0)
                self.notes.forget_objects()
        finally:
            _active, self.open, self.frame = None, False, None
            self._stack, self._place = [], {}

    def append(
        self, rule: Rule, ins: tuple[int, ...], data: Any, settings: dict[str, Any], lasti: int
    ) -> int:
        """Writes one operation; returns the number of the value that it made."""
        values = self.values
        out = len(values)
        values.append(data)
        self.ops.append((rule, out, ins, settings, self.call, lasti))
        return out

    def record(
        self, rule: Rule, ins: tuple[int, ...], data: Any, settings: dict[str, Any], frame: Any
    ) -> Array:
        """Writes one operation done in `frame`; returns the traced result."""
        if frame is not self.frame:
            self.enter(frame)
        call = self.call  # now: a finalizer that computes may move the tape at any time
        values = self.values
        out = len(values)
        values.append(data)
        self.ops.append((rule, out, ins, settings, call, frame.f_lasti))
        return Array(data, out, self)

    def operand(self, x: Any) -> int:
        """The value that an operand is now; plain data become a constant of the trace."""
        if type(x) is Array:
            if x.tape is self:
                return x.id if x.alias is None else memory.read(self, x)
            x = x.data
        self.values.append(x if not isinstance(x, np.ndarray) else self.keep(x))
        return len(self.values) - 1

    def given(self, data: Any) -> int:
        """Takes in a value that no operation made; who calls it says what it is, in `leaves`."""
        values = self.values
        number = len(values)
        if type(data) is ndarray:
            data = data.copy() if data.nbytes <= KEPT_BYTES else self.keep(data)
        values.append(data)
        return number

    def leaf(self, data: Any, role: str, name: str | None) -> Array:
        """A value that no operation made, and what it is."""
        id = self.given(data)
        self.leaves[id] = Leaf(id, role, name, name)
        return Array(data, id, self)

    def fresh(self, data: Any, role: str, frame: Any) -> Any:
        """An array that the code made itself, from nothing traced: nobody else holds it."""
        if not isinstance(data, np.ndarray) or data.dtype.kind not in "fciub":
            return data
        if frame is not self.frame:
            self.enter(frame)
        id = len(self.values)
        self.values.append(data)
        self.drew = True
        self.leaves[id] = Leaf(id, role, None, "", self.call, frame.f_lasti)
        return Array(data, id, self)

    def keep(self, data: np.ndarray) -> np.ndarray:
        """A record of an array that the user still holds and may change afterwards."""
        if data.nbytes <= KEPT_BYTES:
            return data.copy()
        step = max(1, data.size // PROBES)
        self.probes[len(self.values)] = (step, data.flat[::step].copy())
        return data

    def forget_unread(self, leaves: Iterable[int]) -> set[int]:
        """Takes out those of these that no operation read; returns which."""
        read = {i for op in self.ops for i in op[2]}
        gone = {i for i in leaves if i not in read}
        for id in gone:
            del self.leaves[id]
        return gone

    # ------------------------------------------------------------------ calls

    def enter(self, frame: Any) -> None:
        """Finds the call that `frame` is, and opens it, and those between, when they are new."""
        place, stack = self._place, self._stack
        new = []
        f = frame
        while f is not None and f not in place:
            if f.f_code is not through:
                new.append(f)
            f = f.f_back
        self._leave(place[f] + 1 if f is not None else 1)
        call = stack[-1][1]
        for inner in reversed(new):
            code = known_of(inner.f_code)
            at = f.f_lasti if f is not None else -1
            owner = owner_of(inner) if code.method else None
            self.calls.append(_call(Call, (code.code, call, at, None, owner, None)))
            call = len(self.calls) - 1
            self._push(inner, call)
            if self.notes is not None and not code.foreign:
                self.notes.began(call, inner, code)
            f = inner
        self.frame, self.call = frame, call

    def _push(self, frame: Any, call: int) -> None:
        self._stack.append((frame, call, self._place.get(frame)))
        self._place[frame] = len(self._stack) - 1

    def _leave(self, depth: int) -> None:
        stack, place = self._stack, self._place
        while len(stack) > depth:
            frame, call, before = stack.pop()
            if self.notes is not None:
                self.notes.ended(call, frame)
            if before is None:
                del place[frame]
            else:
                place[frame] = before

    def go_in(self, name: str, frame: Any, partner: Any = None) -> int:
        """Begins a block named by hand; returns what `come_out` takes. Its call is the last one."""
        if frame is not self.frame:
            self.enter(frame)
        depth = len(self._stack)
        self.calls.append(_call(Call, (None, self.call, frame.f_lasti, name, None, partner)))
        self._push(frame, len(self.calls) - 1)
        self.frame = None
        return depth

    def come_out(self, depth: int) -> None:
        """Ends a block named by hand, and what was called in it."""
        self._leave(depth)
        self.frame = None

    # ------------------------------------------------------------------ leaving

    def left(self, x: Array, why: str) -> None:
        """Says, once for each place, that a value leaves the trace there."""
        if not self.open or np.asarray(x.data).dtype.kind not in "fc":
            return
        file, line = outside(sys._getframe(2))
        if (file, line) in self.left_at:
            return
        self.left_at[file, line] = Left(memory.version(x), file, line, why, len(self.ops))
        warnings.warn_explicit(
            f"an array of shape {x.shape} leaves the trace here: {why}. What is computed from it "
            "by that code is not recorded, and gets no gradient",
            LeftTraceWarning,
            file,
            line,
        )

    def attribute(self, x: Array, name: str) -> Any:
        """An attribute of the real data that `Array` does not have itself."""
        from .calls import method

        value = getattr(x.data, name)
        return method(x, name, value) if callable(value) else value

    # ------------------------------------------------------------------ what writes need

    arrays_in = staticmethod(arrays_in)

    def frozen(self, index: Any) -> Any:
        """An index as it is now: plain, and safe from later writes."""
        plain = strip(index)
        if isinstance(plain, np.ndarray):
            return plain.copy()
        if isinstance(plain, tuple):
            return tuple(i.copy() if isinstance(i, np.ndarray) else i for i in plain)
        return list(plain) if isinstance(plain, list) else plain


def active() -> Tape | None:
    """The tape that is being written, if one is."""
    return _active


class Known(NamedTuple):
    """What is asked of code at each of its calls. arguments: the names of its parameters."""

    code: CodeType
    arguments: tuple[str, ...]
    method: bool
    foreign: bool


known: dict[int, Known] = {}
"""By the `id` of code, since its hash is that of all it consists of, found anew each time. The code
is held, so that the number stays its own; 4,096 at most."""

through: CodeType | None = None
"""The code whose calls are no calls of the program's: set by `blocks`, for a block's own."""


def known_of(code: CodeType) -> Known:
    """What is asked of code at each of its calls."""
    found = known.get(id(code))
    if found is None or found.code is not code:
        if len(known) > 4096:
            known.clear()
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & 4) + bool(code.co_flags & 8)
        names = code.co_varnames[:count]
        method = code.co_argcount > 0 and names[0] == "self"
        found = known[id(code)] = Known(code, names, method, foreign(code.co_filename))
    return found


def owner_of(frame: Any) -> str | None:
    """The class that a method is called on, for the name of its block."""
    owner = frame.f_locals.get("self")
    if isinstance(owner, type):  # a class method that calls its class self
        return owner.__name__
    return None if owner is None else type(owner).__name__


_HERE = __file__.rpartition("recording")[0]
_NUMPY = np.__file__.rpartition("__init__")[0]


@lru_cache(maxsize=4096)
def inside(file: str) -> bool:
    """Whether a file belongs to tracenet or to NumPy, rather than to the traced program."""
    return file.startswith((_HERE, _NUMPY))


_SYSTEM = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


@lru_cache(maxsize=4096)
def foreign(file: str) -> bool:
    """Whether a file is part of Python or of an installed package: not the traced program."""
    return inside(file) or file.startswith((*_SYSTEM, "<frozen"))


def outside(frame: Any) -> tuple[str, int]:
    """File and line of the innermost frame of the traced program.

    Where there is none, as when an installed package itself is traced, the innermost one that is
    neither ours nor NumPy's.
    """
    others = [f for f in memory.walk(frame) if not inside(f.f_code.co_filename)]
    found = next((f for f in others if not foreign(f.f_code.co_filename)), next(iter(others), None))
    return (found.f_code.co_filename, found.f_lineno) if found is not None else ("<unknown>", 0)
