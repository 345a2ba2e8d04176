"""Which modules see the traced namespaces, and for how long.

While a trace runs, the modules of the traced program (the file of the traced function, what lies
beside it or below, modules whose objects it is given, and all that these import and that is not an
installed package) have `np`, `math`, `float`,
`max` and `min` exchanged for their traced twins, and pairs such as `linear_forward` and
`linear_backward` for functions that remember their call. NumPy itself and every other module stay
as they are; afterwards everything is put back.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterable
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from .array import Array
from .blocks import Block, partner_name
from .calling import vectorized
from .calls import foreign_rule
from .namespace import TYPES, is_part, part, traced
from .tape import foreign
from .twins import BUILTINS, MATH, json_namespace, math_namespace

_swaps: dict[int, tuple[int, dict[str, Any], list[tuple[str, Any, Any]]]] = {}
_others: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
_backward: dict[int, tuple[int, dict[str, Any], bool]] = {}


Swap = list[tuple[dict[str, Any], str, Any, Any]]


def swap(namespaces: Iterable[dict[str, Any]]) -> Swap:
    """Gives these modules the traced namespaces; returns what `unswap` needs."""
    done: Swap = []
    for namespace in namespaces:
        for name, plain, twin in _twins(namespace):
            if namespace.get(name, _ABSENT) is plain:
                namespace[name] = twin
                done.append((namespace, name, plain, twin))
    return done


def unswap(done: Swap) -> None:
    """Puts everything back, except what the code itself changed in the meantime."""
    for namespace, name, plain, twin in reversed(done):
        if namespace.get(name) is twin:
            if plain is _ABSENT:
                del namespace[name]
            else:
                namespace[name] = plain


_ABSENT = object()


def _twins(namespace: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    known = _swaps.get(id(namespace))
    if known is not None and known[0] == len(namespace) and known[1] is namespace:
        return known[2]
    found = [
        (name, value, twin)
        for name, value in list(namespace.items())
        if (twin := _twin(name, value, namespace)) is not None
    ]
    found += [(name, _ABSENT, twin) for name, twin in BUILTINS.items() if name not in namespace]
    _swaps[id(namespace)] = (len(namespace), namespace, found)
    return found


def _twin(name: str, value: Any, namespace: dict[str, Any]) -> Any:
    if value is math:
        return math_namespace
    if isinstance(value, ModuleType) and value.__name__ == "json":
        return json_namespace(value)
    if isinstance(value, ModuleType):
        return part(value) if is_part(value) else None
    if isinstance(value, FunctionType) and value.__globals__ is namespace:
        return _paired(name, value, namespace)
    if isinstance(value, np.vectorize):
        return partial(vectorized, value)  # made before the trace
    if isinstance(value, type) or not callable(value):
        return TYPES.get(value) if isinstance(value, (type, type(np.r_), type(np.c_))) else None
    return _function(value)


def _function(value: Any) -> Any:
    try:
        if value in MATH:
            return MATH[value]
    except TypeError:  # not hashable
        return None
    module = getattr(value, "__module__", None) or ""
    if isinstance(value, np.ufunc) and getattr(np, value.__name__, None) is value:
        return traced(value)
    if module == "numpy" or (
        module.startswith("numpy.") and not module.startswith("numpy.testing")
    ):
        return traced(value, "random" if module.startswith("numpy.random") else "constant")
    return traced(value) if foreign_rule(value) is not None else None


def _paired(name: str, function: FunctionType, namespace: dict[str, Any]) -> Any:
    other = partner_name(name)
    backward = namespace.get(other) if other else None
    if isinstance(backward, FunctionType):
        return Block(function, name, backward, by_name=True)
    backward = namespace.get(f"{name}_backward")
    if isinstance(backward, FunctionType) and not name.endswith("_backward"):
        return Block(function, name, backward, by_name=True)
    return None


_named_backward = re.compile(
    r".*(backward|back_?prop|bprop|bptt|bwd|vjp|derivative|prime).*|(.*_)?back"
    r"|.*(?<!auto)(?<!my)(?<!micro)grad(?!(ient)?s?_?desc).*"
    r"|d(?!ata|e(bug|cay|cod|ep|fault|fin|l|mo|nois|ns|riv|scri|tect|v)|i(ag|ct|git|m|r|sc|sp|st|v)"
    r"|nn|o(_|t|wn)|raw|rop|ump|ynam)_?\w+",
    re.IGNORECASE,
).fullmatch
"""Names of backward code: `drelu`, `loss_grad`; `dense`, `dropout` and `gradient_descent` are not."""


def has_backward(namespaces: Iterable[dict[str, Any]]) -> bool:
    """Whether a program has backward code of its own, going by the names of its functions."""
    return any(map(_has_backward, namespaces))


def _has_backward(namespace: dict[str, Any]) -> bool:
    known = _backward.get(id(namespace))
    if known is not None and known[0] == len(namespace) and known[1] is namespace:
        return known[2]
    found = any(
        isinstance(value, (FunctionType, type, Block))
        and value.__module__ == namespace.get("__name__")
        and (_named_backward(name) or (isinstance(value, type) and any(map(_named_backward, vars(value)))))
        for name, value in list(namespace.items())
    )  # fmt: skip
    _backward[id(namespace)] = (len(namespace), namespace, found)
    return found


def program(function: Any, *given: Any) -> list[dict[str, Any]]:
    """The modules of the program that a function, and objects that it is given, belong to."""
    found: dict[int, dict[str, Any]] = {}
    for thing in (function, *given):
        own = _namespace(thing) if type(thing) not in _PLAIN else None
        if own is not None and id(own) not in found:
            found[id(own)] = own
            found.update(_with_others(own))
    return list(found.values())


_PLAIN = {Array, np.ndarray, dict, list, tuple, float, int, str, bool, type(None)}


def _with_others(namespace: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The modules beside a module's file, and what all of them import of the program."""
    file = namespace.get("__file__")
    if not file:
        return {}
    key = (file, len(sys.modules))
    if key not in _others:
        if len(_others) > 64:
            _others.clear()
        found: dict[int, dict[str, Any]] = {}
        todo = [namespace, *_siblings(file)]
        while todo:
            own = todo.pop()
            if id(own) not in found:
                found[id(own)] = own
                todo += _imported(own)
        _others[key] = found
    return _others[key]


def _imported(namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """The modules of the program that a module holds, or whose functions and classes it holds."""
    modules = set()
    for value in list(namespace.values()):
        if isinstance(value, (type, FunctionType)):
            value = sys.modules.get(value.__module__ or "")
        if isinstance(value, ModuleType):
            modules.add(value)
    return [vars(module) for module in modules if _is_program(module)]


def _is_program(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and not foreign(str(file))


def _namespace(thing: Any) -> dict[str, Any] | None:
    for candidate in (thing, getattr(thing, "__func__", None), getattr(thing, "__wrapped__", None)):
        if isinstance(candidate, FunctionType):
            return candidate.__globals__
    module = sys.modules.get(getattr(type(thing), "__module__", "") or "")
    file = getattr(module, "__file__", None)
    return None if module is None or not file or foreign(file) else module.__dict__


def _siblings(file: str) -> list[dict[str, Any]]:
    """The modules that were loaded from the folder of a file or from below it."""
    start = os.path.join(os.path.dirname(os.path.abspath(file)), "")
    return [
        vars(module)
        for module in list(sys.modules.values())
        if (getattr(module, "__file__", None) or "").startswith(start) and _is_program(module)
    ]
