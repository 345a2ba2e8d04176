"""The traced namespaces: `np` and its parts, as the user's code sees them.

NumPy's own protocols never see `np.zeros(3)`, so an array made that way would swallow what is
written into it. These namespaces stand in for NumPy's: the same functions, which record while a
trace is running and pass straight through when none is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from ..ops import RULES, Rule
from . import calls, memory, tape
from .array import Array, arrays_in, has_arrays, raw, strip
from .compiled import speedups
from .tape import NONE

_getframe = sys._getframe
_new = object.__new__
ndarray = np.ndarray


def _general(function: Any, role: str) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        return _call(function, role, args, kwargs, _getframe(1))

    return dressed(traced, function)


def _call(function: Any, role: str, args: Any, kwargs: Any, frame: Any) -> Any:
    if not (has_arrays(args) or (kwargs and has_arrays(kwargs))):
        data = function(*args, **kwargs)
        running = tape._active
        if running is None:
            return data
        if isinstance(data, np.ndarray) and any(calls.shares(data, x) for x in args):
            return running.leaf(data, role, None)  # np.asarray of an array that somebody holds
        return running.fresh(data, role, frame)
    running = calls.tape_of((args, kwargs)) or tape._active
    if running is None:
        return function(*strip(args), **strip(kwargs))
    if role == "random":
        return _random(running, function, args, kwargs, frame)
    return calls.call(running, function, args, dict(kwargs), frame)


def _random(running: Any, function: Any, args: Any, kwargs: Any, frame: Any) -> Any:
    if getattr(function, "__name__", "") == "shuffle":
        return calls._mutating(running, function, args, kwargs, frame)
    data = function(*strip(args), **strip(kwargs))
    if np.asarray(data).dtype.kind == "f":
        for x in arrays_in((args, kwargs)):
            leaf = running.leaves.get(x.id)
            if leaf is not None and leaf.role in ("constant", "random"):
                continue  # nothing that anybody wants a gradient of
            running.left(x, f"np.random.{function.__name__} drew from it")
    return running.fresh(data, "random", frame)


REDUCTIONS: dict[Any, Any] = {
    np.sum: ndarray.sum,
    np.prod: ndarray.prod,
    np.max: ndarray.max,
    np.min: ndarray.min,
}
"""What these functions come to for an array, by a longer way."""


def _direct(function: Any, rule: Rule, count: int) -> Callable[..., Any]:
    """The quick way for a rule with one or two operands, when it is called with just those."""

    allowed = frozenset(rule.settings) - calls.IGNORED
    method = REDUCTIONS.get(function)

    def one(*args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else None
        if type(x) is not Array or len(args) != 1 or not x.tape.open:
            return _call(function, "constant", args, kwargs, _getframe(1))
        if kwargs and not calls.simple(kwargs, allowed):
            return _call(function, "constant", args, kwargs, _getframe(1))
        data = x.data
        data = (function if method is None or type(data) is not ndarray else method)(data, **kwargs)
        running = x.tape
        frame = _getframe(1)
        if frame is not running.frame:
            running.enter(frame)
        call = running.call  # now: a finalizer that computes may move the tape at any time
        id = x.id if x.alias is None else memory.read(running, x)
        values = running.values
        out = len(values)
        values.append(data)
        settings = kwargs or NONE
        running.ops.append((rule, out, (id,), settings, call, frame.f_lasti))
        result = _new(Array)
        result.data = data
        result.id = out
        result.tape = running
        result.alias = None
        return result

    def two(*args: Any, **kwargs: Any) -> Any:
        if len(args) != 2 or kwargs or not (type(args[0]) is Array or type(args[1]) is Array):
            return _call(function, "constant", args, kwargs, _getframe(1))
        x, y = args
        running = x.tape if type(x) is Array else y.tape
        other = y if type(x) is Array else x
        if not running.open or type(other) in (list, tuple) or calls.holds_objects(other):
            return _call(function, "constant", args, kwargs, _getframe(1))
        data = function(raw(x), raw(y))
        frame = _getframe(1)
        if frame is not running.frame:
            running.enter(frame)
        call = running.call  # now: a finalizer that computes may move the tape at any time
        if type(x) is Array and type(y) is Array and x.tape is y.tape:
            i = x.id if x.alias is None else memory.read(running, x)
            j = y.id if y.alias is None else memory.read(running, y)
        else:
            i, j = running.operand(x), running.operand(y)
        values = running.values
        out = len(values)
        values.append(data)
        running.ops.append((rule, out, (i, j), NONE, call, frame.f_lasti))
        result = _new(Array)
        result.data = data
        result.id = out
        result.tape = running
        result.alias = None
        return result

    quick: Any = one if count == 1 else two
    if speedups is not None:
        quick = speedups.function(rule, method or function, quick, count, allowed)
    return dressed(quick, function)


def dressed(traced: Any, function: Any) -> Any:
    traced.__name__ = traced.__qualname__ = getattr(function, "__name__", "function")
    traced.__doc__ = function.__doc__
    traced.__wrapped_numpy__ = function
    return traced


def _method(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        running = calls.tape_of((args, kwargs))
        if running is None:
            return _call(getattr(ufunc, name), "constant", args, kwargs, _getframe(1))
        return calls.apply_ufunc(running, ufunc, name, args, kwargs, _getframe(1))

    return traced


def _with_methods(ufunc: np.ufunc, quick: Callable[..., Any]) -> Callable[..., Any]:
    for name in ("reduce", "accumulate", "outer", "at", "reduceat"):
        setattr(quick, name, _method(ufunc, name))
    return quick


@cache
def traced(function: Any, role: str = "constant") -> Callable[..., Any]:
    """The traced twin of a NumPy function."""
    rule = RULES.get(function)
    plain = rule is not None and not rule.variadic and not rule.view
    if plain and role == "constant" and function not in calls.SPECIAL and rule is not None:
        count = len(rule.operands)
        quick = _direct(function, rule, count) if count <= 2 else _general(function, role)
    else:
        quick = _general(function, role)
    return _with_methods(function, quick) if isinstance(function, np.ufunc) else quick


LIBRARIES = {"scipy", "scipy.signal", "scipy.special", "scipy.ndimage", "scipy.linalg"}
"""Other libraries whose functions are recorded where the program has imported them."""

PARTS = {
    "numpy": "constant", "numpy.random": "random", "numpy.linalg": "constant",
    "numpy.fft": "constant", "numpy.lib": "constant", "numpy.lib.stride_tricks": "constant",
}  # fmt: skip
"""By their names: NumPy imports some of them only when somebody asks, and so does tracenet."""

TYPES: dict[Any, Any] = {}
"""What stands for classes and builders of NumPy's: `np.vectorize`, `np.c_`; others fill it."""

UNTOUCHED = {
    "errstate", "seterr", "set_printoptions", "get_printoptions", "printoptions", "finfo", "iinfo",
    "dtype", "isscalar", "issubdtype", "get_include", "show_config", "geterr", "broadcast_shapes",
    "seed", "get_state", "set_state",
}  # fmt: skip


_BUILDERS = (type(np.r_), type(np.c_))


_GENERATORS = {"RandomState", "Generator", "default_rng"}


def generator(value: Any) -> Any:
    """What stands for a class of random generators, or for what makes one; None for all else."""
    home = getattr(value, "__module__", None) or ""
    if getattr(value, "__name__", "") not in _GENERATORS or not home.startswith("numpy.random"):
        return None
    from .generators import TWINS  # NumPy imports numpy.random when somebody asks, and so does this

    return TWINS.get(value)


def twin(value: Any, role: str = "constant") -> Any:
    """What stands for an attribute of NumPy in the traced namespace."""
    if isinstance(value, ModuleType):
        return part(value) if is_part(value) else value
    if callable(value) and (drawing := generator(value)) is not None:
        return drawing
    if isinstance(value, type) or not callable(value):
        return TYPES.get(value, value) if isinstance(value, (type, *_BUILDERS)) else value
    if getattr(value, "__name__", "") in UNTOUCHED:
        return value
    return traced(value, role)


class Namespace(ModuleType):
    """A module whose functions are the traced twins of another module's."""

    def __init__(self, original: ModuleType, role: str) -> None:
        super().__init__(original.__name__, original.__doc__)
        self.__dict__["_original"], self.__dict__["_role"] = original, role

    def __getattr__(self, name: str) -> Any:
        value = twin(getattr(self._original, name), self._role)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return dir(self._original)


@cache
def part(module: ModuleType) -> Namespace:
    """The traced twin of `numpy`, `np.random`, `scipy.signal` and the like; it has their names."""
    return Namespace(module, PARTS.get(module.__name__, "constant"))


def is_part(module: ModuleType) -> bool:
    """Whether a module is one whose functions are recorded."""
    name = getattr(module, "__name__", "")
    return (name in PARTS or name in LIBRARIES) and type(module) is not Namespace


__all__ = ["Namespace", "generator", "is_part", "part", "traced", "twin"]
