"""What stands for Python's own in the user's modules: `math`, `float`, `type`, `max` and `min`.

They do what they always do; given traced numbers, they record.
"""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from ..ops import BY_NAME, Rule
from . import calls
from .array import Array, arrays_in, has_arrays, raw, strip
from .namespace import dressed
from .tape import NONE

_getframe = sys._getframe
_kind = builtins.type

# ---------------------------------------------------------------------- math


def _mathematical(function: Any, rule: Any) -> Callable[..., Any]:

    def traced(*args: Any) -> Any:
        if not has_arrays(args):
            return function(*args)
        running = calls.tape_of(args)
        data = function(*strip(args))
        if running is None:
            return data
        ids = tuple([running.operand(x) for x in args])
        return running.record(rule, ids, data, NONE, _getframe(1))

    return dressed(traced, function)


def _whole(function: Any) -> Callable[..., Any]:
    """Of numbers a whole number or a truth, as `math.floor` gives: nothing to differentiate."""
    return dressed(lambda *args, **kwargs: function(*strip(args), **strip(kwargs)), function)


def _other(function: Any) -> Callable[..., Any]:
    """A function without a rule, recorded under its name."""

    def traced(*args: Any, **kwargs: Any) -> Any:
        args = tuple(list(x) if isinstance(x, Iterator) else x for x in args)
        running = calls.tape_of((args, kwargs))
        data = function(*strip(args), **strip(kwargs))
        if running is None or not isinstance(data, builtins.float):
            return data
        ids = tuple([running.operand(x) for x in arrays_in((args, kwargs))])
        return running.record(calls.opaque(function), ids, data, NONE, _getframe(1))

    return dressed(traced, function)


def _log(x: Any, *base: Any) -> Any:
    if _kind(x) is not Array or base or not x.tape.open:
        return math.log(raw(x), *strip(base))
    running = x.tape
    data = math.log(x.data)
    return running.record(calls.rule_of(np.log), (running.operand(x),), data, NONE, _getframe(1))


def _fsum(items: Any) -> Any:
    items = list(items)
    running = calls.tape_of(items)
    data = math.fsum(strip(items))
    if running is None:
        return data
    ids = tuple([running.operand(x) for x in items])
    return running.record(BY_NAME["fsum"], ids, data, NONE, _getframe(1))


_UFUNCS = {
    "exp": np.exp, "exp2": np.exp2, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "expm1": np.expm1, "sqrt": np.sqrt, "cbrt": np.cbrt, "tanh": np.tanh, "sinh": np.sinh,
    "cosh": np.cosh, "sin": np.sin, "cos": np.cos, "tan": np.tan, "atan": np.arctan,
    "asin": np.arcsin, "acos": np.arccos, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "pow": np.power, "fabs": np.absolute, "atan2": np.arctan2,
    "hypot": np.hypot, "erf": BY_NAME["erf"],
}  # fmt: skip
_WHOLE = ("floor", "ceil", "trunc", "isnan", "isinf", "isfinite", "isclose", "comb", "gcd", "isqrt")

MATH = {
    getattr(math, name): _mathematical(getattr(math, name), rule)
    for name, ufunc in _UFUNCS.items()
    if hasattr(math, name)
    for rule in [ufunc if isinstance(ufunc, Rule) else calls.rule_of(ufunc)]
}
MATH.update({math.log: dressed(_log, math.log), math.fsum: dressed(_fsum, math.fsum)})
MATH.update({f: _whole(f) for name in _WHOLE if (f := getattr(math, name))})
MATH.update({
    f: _other(f) for name, f in vars(math).items()
    if callable(f) and f not in MATH and not name.startswith("_")
})  # fmt: skip

math_namespace = ModuleType("math", math.__doc__)
math_namespace.__dict__.update({k: v for k, v in vars(math).items() if not k.startswith("__")})
math_namespace.__dict__.update({f.__name__: twin for f, twin in MATH.items()})

# ---------------------------------------------------------------------- json


def _written(function: Any) -> Callable[..., Any]:
    """`json.dumps`, which knows a float by its type: a traced one is written as what it is."""

    def traced(*args: Any, default: Any = None, **kwargs: Any) -> Any:
        def known(x: Any) -> Any:
            if _kind(x) is Array and isinstance(x.data, builtins.float):
                return builtins.float(x.data)
            if default is not None:
                return default(raw(x))
            raise TypeError(f"Object of type {_kind(raw(x)).__name__} is not JSON serializable")

        return function(*args, default=known, **kwargs)

    return dressed(traced, function)


@cache
def json_namespace(json: ModuleType) -> ModuleType:
    """What stands for the module `json`, which is not imported for it."""
    made = ModuleType("json", json.__doc__)
    made.__dict__.update({k: v for k, v in vars(json).items() if not k.startswith("__")})
    made.__dict__.update({name: _written(getattr(json, name)) for name in ("dump", "dumps")})
    return made


# ---------------------------------------------------------------------- builtins


class _FloatType(_kind):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, builtins.float)

    def __subclasscheck__(cls, kind: Any) -> bool:
        return issubclass(kind, builtins.float)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is builtins.float

    def __hash__(cls) -> int:
        return hash(builtins.float)


class float(builtins.float, metaclass=_FloatType):
    """`float` in the user's module: `float(cost)` stays traced, `isinstance(cost, float)` holds."""

    dtype = np.dtype(builtins.float)  # so that NumPy takes it where it takes the builtin

    def __new__(cls, x: Any = 0.0) -> Any:
        if _kind(x) is not Array or not x.tape.open:
            return builtins.float(raw(x))
        data = builtins.float(x.data)
        rule = BY_NAME["reshape"]
        ids = (x.tape.operand(x),)
        return x.tape.record(rule, ids, data, {"shape": ()}, _getframe(1))


class _TypeType(_kind):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _kind(raw(args[0])) if len(args) == 1 else _kind(*args, **kwargs)

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, _kind)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is _kind

    def __hash__(cls) -> int:
        return hash(_kind)


class type(_kind, metaclass=_TypeType):  # type: ignore[misc]
    """`type` in the user's module: `type(x) == np.ndarray` holds for a traced array."""


def _chosen(function: Any, ufunc: Any) -> Callable[..., Any]:
    rule = calls.rule_of(ufunc)

    def traced(*args: Any, **kwargs: Any) -> Any:
        if len(args) != 2 or kwargs or not any(_number(x) for x in args):
            return function(*args, **kwargs)
        running = calls.tape_of(args)
        data = function(*strip(args))
        if running is None:
            return data
        ids = tuple([running.operand(x) for x in args])
        return running.record(rule, ids, data, NONE, _getframe(1))

    return dressed(traced, function)


def _number(x: Any) -> bool:
    return _kind(x) is Array and isinstance(x.data, builtins.float)


BUILTINS: dict[str, Any] = {
    "float": float,
    "type": type,
    "max": _chosen(builtins.max, np.maximum),
    "min": _chosen(builtins.min, np.minimum),
}

__all__ = ["BUILTINS", "MATH", "json_namespace", "math_namespace"]
