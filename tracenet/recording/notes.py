"""What calls were given and what they returned, noted where a program has backward code to check.

A `Note` holds the arguments of one call as it began, and its variables as it ended, with a
`Ref` for every traced array: the value that it was then. From the `return` statement of the source, `returned`
says which values the call gave back: nothing is hooked, and nothing is looked up while the code runs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from . import memory, source
from .array import NESTED, Array, mapped
from .compiled import speedups
from .entrance import attributes, is_plain
from .tape import Known, foreign

DEPTH = 2
"""How far objects in objects are looked into: a layer, and the parameter that holds its gradient."""

LARGE = 10_000
"""Containers with more items are not looked into."""

PLAIN = frozenset({float, int, str, bool, type(None), FunctionType, ModuleType, np.ndarray})
"""What holds no traced arrays, tested first because it is quick."""


@dataclass(slots=True, unsafe_hash=True)
class Ref:
    """A traced array, as the number of the value that it was. Not frozen: that is slow to make."""

    id: int


@dataclass(frozen=True, slots=True)
class Held:
    """An object of the user's: which one it is, and the arrays in its attributes then."""

    number: int
    attributes: dict[str, Any]


@dataclass(slots=True)
class Note:
    """One call. args: by parameter, as it began. final: its variables as it ended, at `end`."""

    code: CodeType
    module: dict[str, Any]
    args: dict[str, Any]
    final: dict[str, Any] = field(default_factory=dict)
    end: int = -1

    @property
    def ended(self) -> bool:
        """Whether the call came to its end."""
        return self.end >= 0

    @property
    def script(self) -> bool:
        """Whether it is no call, but the statements of a script."""
        return self.code.co_name == "<module>"


UNKNOWN = object()
"""Stands for what was not noted, or cannot be said."""


def followed(of: Callable[[Any], Any], tree: Any, around: list[Any]) -> Any:
    """A container with `of(item)` for each item; UNKNOWN where it is in itself, or in too many.

    around: the containers that are being followed, one in the other.
    """
    if len(around) == NESTED or any(tree is one for one in around):
        return UNKNOWN
    around.append(tree)
    try:
        return mapped(of, tree)
    finally:
        around.pop()


class Notes:
    """The notes of one tape, by the numbers of its calls."""

    __slots__ = ("_around", "_objects", "of")

    def __init__(self) -> None:
        self.of: dict[int, Note] = {}
        self._objects: dict[int, tuple[int, Any]] = {}
        self._around: list[Any] = []  # the containers that are being noted, one in the other

    def began(self, call: int, frame: Any, known: Known) -> None:
        """A call has begun: its arguments are what its parameters are bound to."""
        now = frame.f_locals
        args = {name: _note(self, now[name], 0) for name in known.arguments if name in now}
        self.of[call] = Note(known.code, frame.f_globals, args)

    def ended(self, call: int, frame: Any) -> None:
        """A call has ended: its frame still knows what its variables were."""
        note = self.of.get(call)
        if note is not None:
            note.final = {name: _note(self, x, 0) for name, x in frame.f_locals.items()}
            note.end = frame.f_lasti

    def _any(self, x: Any, depth: int) -> Any:
        """What is noted of anything; depth: how many objects it is in."""
        kind = type(x)
        if kind is Array:
            return Ref(memory.version(x)) if x.tape.open else x.data  # left over from another trace
        if kind in PLAIN:
            return x
        if kind is dict or kind is list or isinstance(x, tuple):
            if len(x) > LARGE:
                return UNKNOWN
            return followed(lambda y: _note(self, y, depth), x, self._around)
        try:
            return self._object(x, depth)
        except Exception:  # of the program's own properties: the run itself never asked for them
            return UNKNOWN

    def _object(self, x: Any, depth: int) -> Any:
        if depth == DEPTH or not is_plain(x):
            return x
        number, _ = self._objects.setdefault(id(x), (len(self._objects), x))
        inner = {name: _note(self, item, depth + 1) for name, item in attributes(x)}
        return Held(number, inner)

    def forget_after(self, calls: int) -> None:
        """Forgets the calls from this number on: they were taken off the tape."""
        for call in [call for call in self.of if call >= calls]:
            del self.of[call]

    def forget_objects(self) -> None:
        """Lets go of the user's objects once the run is over."""
        self._objects.clear()


_note: Callable[[Notes, Any, int], Any] = Notes._any
if speedups is not None:
    speedups.prepare(Ref=Ref, Note=Note, Notes=Notes, LARGE=LARGE, UNKNOWN=UNKNOWN)
    _note = speedups.note  # which calls `_any` for what is not common


def refs(tree: Any) -> Iterator[int]:
    """The values in a noted tree."""
    if isinstance(tree, Ref):
        yield tree.id
    elif isinstance(tree, (dict, Held)):
        for item in (tree.attributes if isinstance(tree, Held) else tree).values():
            yield from refs(item)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from refs(item)


# ---------------------------------------------------------------------- what a call returned


def returned(tape: Any, call: int) -> Any:
    """What a call returned: a tree with a `Ref` for each traced array, `UNKNOWN` where that cannot be said."""
    note = tape.notes.of.get(call) if tape.notes is not None else None
    if note is None or not note.ended:
        return UNKNOWN
    last = source.returned(note.code, note.end)
    return None if last is None else _evaluated(tape, call, note, last)


def names_returned(note: Note, result: Any = None) -> list[str | None]:
    """What the `return` at which a call ended calls its results, in order: those of `result`."""
    last = source.returned(note.code, note.end)
    if last is None:
        return []
    if isinstance(last, ast.Call) and result is not None and hasattr(result, "_fields"):
        return list(result._fields)
    items = last.elts if isinstance(last, (ast.Tuple, ast.List)) else [last]
    return [source.name_of(item) for item in items]


def _evaluated(tape: Any, call: int, note: Note, node: ast.expr) -> Any:
    again = lambda inner: _evaluated(tape, call, note, inner)
    if isinstance(node, ast.Name):
        return note.final.get(node.id, UNKNOWN)
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(again(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        return {k.value: again(v) for k, v in zip(node.keys, node.values)
                if isinstance(k, ast.Constant)}  # fmt: skip
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Attribute):
        owner = again(node.value)
        if isinstance(owner, tuple) and node.attr in getattr(owner, "_fields", ()):
            return getattr(owner, node.attr)
        return owner.attributes.get(node.attr, UNKNOWN) if isinstance(owner, Held) else UNKNOWN
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        held = _constructed(note, node, again)
        if held is not UNKNOWN:
            return held
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        whole = again(node.value)
        if isinstance(whole, (dict, list, tuple)):
            try:
                return whole[node.slice.value]  # type: ignore[index,call-overload]
            except (LookupError, TypeError):
                return UNKNOWN
    return _made(tape, call, note.code, source.span(node))


def _constructed(note: Note, node: ast.Call, again: Callable[[ast.expr], Any]) -> Any:
    """What `dict(dW=dW)`, or the constructor of a named tuple or of a data class, puts together."""
    assert isinstance(node.func, ast.Name)
    kind = note.final.get(node.func.id, note.module.get(node.func.id, UNKNOWN))
    keys = {k.arg: again(k.value) for k in node.keywords if k.arg is not None}
    if kind is UNKNOWN and node.func.id == "dict" and not node.args:
        return keys
    if not isinstance(kind, type) or any(isinstance(x, ast.Starred) for x in node.args):
        return UNKNOWN
    fields = getattr(kind, "_fields", None) or list(getattr(kind, "__dataclass_fields__", ()))
    if not fields:
        return UNKNOWN
    found = {**dict(zip(fields, map(again, node.args))), **keys}
    if issubclass(kind, tuple):
        return kind._make(found.get(f) for f in fields)  # type: ignore[attr-defined]
    return found


def _made(tape: Any, call: int, code: CodeType, at: source.Span) -> Any:
    """The result of the operation, or of the call, that an expression of this call was."""
    for op in reversed(tape.ops):
        if op[4] == call and op[5] >= 0 and source.span_at(code, op[5]) == at:
            return Ref(op[1])
    for number in range(len(tape.calls) - 1, call, -1):
        inner = tape.calls[number]
        if inner.parent == call and inner.lasti >= 0 and source.span_at(code, inner.lasti) == at:
            return _gave(tape, number)
    return UNKNOWN


def _gave(tape: Any, call: int) -> Any:
    """What a call gave back: for a wrapper, such as a block made by hand, what the call in it did."""
    code = tape.calls[call].code
    if code is not None and not foreign(code.co_filename):
        return returned(tape, call)
    inside = [k for k in range(call + 1, len(tape.calls)) if tape.calls[k].parent == call]
    return _gave(tape, inside[0]) if len(inside) == 1 else UNKNOWN
