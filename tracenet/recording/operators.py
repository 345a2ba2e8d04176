"""What the traced array can do: operators, indexing and methods, put on the class `Array`.

This is the hot path of recording. Each operator is a closure made once for its rule; it computes
with the real data exactly as the untraced code would, and appends one tuple to the tape.
"""

from __future__ import annotations

import opcode
import operator
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..ops import BY_NAME, METHODS, Rule
from . import calls, memory
from .array import Array, raw, strip
from .compiled import speedups
from .tape import NONE, Tape

_getframe = sys._getframe
_new = object.__new__
_read = memory.read

PLAIN = frozenset({float, int, bool, complex, np.ndarray, np.bool_, *np.sctypeDict.values()})
"""Types that an operand may have besides `Array`, tested first because it is quick."""


def _plain(other: Any) -> bool:
    return type(other) in PLAIN or isinstance(other, (np.ndarray, np.generic))


def _binary(rule: Rule, function: Callable[[Any, Any], Any], swapped: bool) -> Callable[..., Any]:
    def method(self: Array, other: Any) -> Any:
        tape = self.tape
        if type(other) is Array:
            b = other.data
        elif type(other) in PLAIN:
            b = other
        elif type(other) in (list, tuple):
            other = calls.nested(tape, other, _getframe(1))
            b = raw(other)
        elif not _plain(other):
            return NotImplemented
        else:
            b = other
        if calls.holds_objects(b):
            return calls.of_elements(function, (other, self) if swapped else (self, other))
        data = function(b, self.data) if swapped else function(self.data, b)
        if not tape.open:
            return _stale(rule, data, (b, self) if swapped else (self, other), _getframe(1))
        frame = _getframe(1)
        if frame is not tape.frame:
            tape.enter(frame)
        call = tape.call  # now: a finalizer that computes may move the tape at any time
        x = self.id if self.alias is None else _read(tape, self)
        values = tape.values
        if type(other) is Array and other.tape is tape:
            y = other.id if other.alias is None else _read(tape, other)
        elif type(b) is float or type(b) is int:
            y = len(values)
            values.append(b)
        else:
            y = tape.operand(b)
        out = len(values)
        values.append(data)
        ins = (y, x) if swapped else (x, y)
        tape.ops.append((rule, out, ins, NONE, call, frame.f_lasti))
        result = _new(Array)
        result.data = data
        result.id = out
        result.tape = tape
        result.alias = None
        return result

    if speedups is None:
        return method
    return speedups.operator(rule, function, method, 2, swapped)  # type: ignore[no-any-return]


def _stale(rule: Rule, data: Any, operands: tuple[Any, Any], frame: Any) -> Any:
    """The result where the array is left over from a trace that has ended."""
    for x in operands:
        if type(x) is Array and x.tape.open:
            tape = x.tape
            ids = (tape.operand(operands[0]), tape.operand(operands[1]))
            return tape.record(rule, ids, data, NONE, frame)
    return data


def _inplace(rule: Rule, function: Callable[[Any, Any], Any], plain: Any) -> Callable[..., Any]:
    def method(self: Array, other: Any) -> Any:
        tape = self.tape
        if not tape.open or type(self.data) is not np.ndarray:
            frame = _getframe(1)
            if not tape.open:
                self.data = function(self.data, raw(other))
                return self
            ids = (tape.operand(self), tape.operand(other))
            return tape.record(rule, ids, plain(self.data, raw(other)), NONE, frame)
        frame = _getframe(1)
        if type(other) in (list, tuple):
            other = calls.nested(tape, other, frame)
        if frame is not tape.frame:
            tape.enter(frame)
        act = lambda: function(self.data, raw(other))
        memory.update(tape, self, rule, other, act, frame.f_lasti)
        return self

    return method


def _unary(rule: Rule, function: Callable[[Any], Any]) -> Callable[..., Any]:
    def method(self: Array) -> Any:
        tape = self.tape
        data = function(self.data)
        if not tape.open:
            return data
        frame = _getframe(1)
        if frame is not tape.frame:
            tape.enter(frame)  # before `x` is read: a view may be taken again for it
        x = self.id if self.alias is None else _read(tape, self)
        return tape.record(rule, (x,), data, NONE, frame)

    if speedups is None:
        return method
    return speedups.operator(rule, function, method, 1, False)  # type: ignore[no-any-return]


def _getitem(self: Array, index: Any) -> Any:
    kind = type(index)
    plain = index if kind is int else strip(index)
    mine = self.data
    data = mine[plain]
    tape = self.tape
    if not tape.open or not _carries(data):
        return data
    frame = _getframe(1)
    if type(data) is np.ndarray and data.base is not None and _calls(frame):
        data = data.copy()  # x[i], x[j] = x[j], x[i] in compiled code means a list's elements
    if frame is not tape.frame:
        tape.enter(frame)
    x = self.id if self.alias is None else memory.current(tape, self)
    ins = (x,) if kind is int else (x, *(tape.operand(i) for i in tape.arrays_in(index)))
    settings = {"index": plain if kind is int else tape.frozen(plain)}
    out = Array(data, tape.append(_GETITEM, ins, data, settings, frame.f_lasti), tape)
    if type(data) is np.ndarray and calls.shares(data, mine):
        memory.share(tape, self, out, _GETITEM, settings)
    return out


_CALLS = {code for name, code in opcode.opmap.items() if "CALL" in name}


@lru_cache(maxsize=1024)
def _bytes(code: Any) -> bytes:
    return code.co_code  # type: ignore[no-any-return]  # made anew by Python each time


def _calls(frame: Any) -> bool:
    """Whether a frame is calling something compiled, as `rng.shuffle(x)`, that came here by itself."""
    return _bytes(frame.f_code)[frame.f_lasti] in _CALLS


def _carries(data: Any) -> bool:
    """Whether a result goes on being traced: any array, and numbers that are not integers."""
    if type(data) is np.ndarray:
        return data.dtype.kind in "fciub"
    return isinstance(data, (float, np.inexact))


def _setitem(self: Array, index: Any, value: Any) -> None:
    tape = self.tape
    plain = strip(index)
    if not tape.open:
        self.data[plain] = strip(value)
        return
    frame = _getframe(1)
    if type(value) in (list, tuple):
        value = calls.nested(tape, value, frame)
    if frame is not tape.frame:
        tape.enter(frame)
    act = lambda: self.data.__setitem__(plain, raw(value))
    memory.write(tape, self, index, value, act, frame.f_lasti, "write")


def _transposed(self: Array) -> Any:
    if not self.tape.open:
        return self.data.T
    return calls.view(self.tape, _TRANSPOSE, self, self.data.T, NONE, _getframe(1))


def _method(name: str, rule: Rule) -> Callable[..., Any]:
    allowed = frozenset(rule.settings) - calls.IGNORED
    quick = len(rule.operands) == 1 and not rule.view and name not in ("copy", "astype")

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        tape = self.tape
        if not quick or args or not tape.open or (kwargs and not calls.simple(kwargs, allowed)):
            return calls.call_method(self, name, args, kwargs, _getframe(1))
        data = getattr(self.data, name)(**kwargs)
        if not _carries(data):
            return data
        frame = _getframe(1)
        if frame is not tape.frame:
            tape.enter(frame)
        return tape.record(rule, (tape.operand(self),), data, kwargs, frame)

    method.__name__ = name
    if speedups is None or not quick:
        return method
    return _compiled(name, rule, method, 1, allowed)


def _product(name: str, rule: Rule) -> Callable[..., Any]:
    """A method that takes another array, `W.dot(x)`."""

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        tape = self.tape
        other = args[0] if len(args) == 1 and not kwargs else None
        if not tape.open or type(self.data) is not np.ndarray or type(other) not in _ARRAYS:
            return calls.call_method(self, name, args, kwargs, _getframe(1))
        data = getattr(self.data, name)(raw(other))
        if not _carries(data):
            return data
        frame = _getframe(1)
        if frame is not tape.frame:
            tape.enter(frame)
        return tape.record(rule, (tape.operand(self), tape.operand(other)), data, NONE, frame)

    method.__name__ = name
    if speedups is None:
        return method
    return _compiled(name, rule, method, 2, frozenset())


_ARRAYS = (Array, np.ndarray)


def _compiled(
    name: str, rule: Rule, method: Callable[..., Any], operands: int, allowed: frozenset[str]
) -> Callable[..., Any]:
    made: Callable[..., Any] = speedups.method(
        rule, getattr(np.ndarray, name), method, operands, allowed
    )
    made.__name__, made.__qualname__ = name, method.__qualname__
    return made


def _attribute(name: str) -> property:
    # Not __getattr__: a class that has one reads every attribute of its own slowly.
    return property(lambda self: self.tape.attribute(self, name))


def _round(self: Array, digits: int | None = None) -> Any:
    if digits is None or not self.tape.open:
        return round(self.data, *([] if digits is None else [digits]))
    ids = (self.tape.operand(self),)
    data = round(self.data, digits)
    return self.tape.record(_ROUND, ids, data, {"decimals": digits}, _getframe(1))


def _reverse(self: Array) -> Any:
    return iter([self[i] for i in range(len(self.data) - 1, -1, -1)])  # type: ignore[index]


_GETITEM = BY_NAME["getitem"]
_ROUND = BY_NAME["round"]
_TRANSPOSE = BY_NAME["transpose"]

ARITHMETIC = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "matmul": operator.matmul,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
}
UFUNC = {
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}


def _install() -> None:
    for short, function in ARITHMETIC.items():
        rule = calls.rule_of(getattr(np, UFUNC.get(short, short)))
        inplace = getattr(operator, f"i{short}")
        setattr(Array, f"__{short}__", _binary(rule, function, False))
        setattr(Array, f"__r{short}__", _binary(rule, function, True))
        setattr(Array, f"__i{short}__", _inplace(rule, inplace, function))
    for short, name in COMPARISONS.items():
        rule = calls.rule_of(getattr(np, name))
        setattr(Array, f"__{short}__", _binary(rule, getattr(operator, short), False))
    for short, name in {
        "neg": "negative",
        "pos": "positive",
        "abs": "absolute",
        "invert": "invert",
    }.items():
        rule = calls.rule_of(getattr(np, name))
        setattr(Array, f"__{short}__", _unary(rule, getattr(operator, short)))
    for name, rule in METHODS.items():
        setattr(Array, name, (_product if name == "dot" else _method)(name, rule))
    for kind in (np.ndarray, np.float64):
        for name in dir(kind):  # the rest: flags, nbytes, strides, item, tofile, …
            if not name.startswith("_") and not hasattr(Array, name):
                setattr(Array, name, _attribute(name))
    special = {"getitem": _getitem, "setitem": _setitem, "round": _round, "reversed": _reverse}
    for short, method in special.items():
        setattr(Array, f"__{short}__", method)
    Array.T = property(_transposed)  # type: ignore[attr-defined]
    Array.__array_ufunc__ = calls.array_ufunc  # type: ignore[attr-defined]
    Array.__array_function__ = calls.array_function  # type: ignore[attr-defined]


_install()
warnings.filterwarnings("ignore", "you are shuffling a 'Array' object")  # it is right: see _getitem
from . import arranged, calling, composed, faces, iterating, placing  # noqa: E402, F401  they know more functions

__all__ = ["Array", "Tape"]
