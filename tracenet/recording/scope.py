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
from typing import Any, NamedTuple

import numpy as np

from .array import PLAIN
from .blocks import Block, partner_name
from .calling import vectorized
from .calls import foreign_rule
from .compiled import ABSENT, speedups
from .namespace import TYPES, generator, is_part, part, traced
from .tape import foreign
from .twins import BUILTINS, MATH, json_namespace, math_namespace

_others: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
_known: dict[int, Module] = {}
_programs: dict[int, tuple[dict[str, Any], int, list[Module]]] = {}

Twins = list[tuple[str, Any, Any]]


class Module(NamedTuple):
    """A module of the program, and what was found out of it when it had so many names.

    twins: `(name, what it holds, what it holds while a trace runs)`. pairs: the backward functions
    that some of those call. backward: whether it has backward code of its own.
    """

    namespace: dict[str, Any]
    names: int
    twins: Twins
    pairs: list[tuple[str, Any]]
    backward: bool


Swap = list[tuple[Module, Twins]]


def swap(modules: Iterable[Module]) -> Swap:
    """Gives these modules the traced namespaces; returns what `unswap` needs."""
    done: Swap = []
    for module in modules:
        namespace, _, twins, pairs, _ = module
        given = _given if type(namespace) is dict else _give
        try:
            taken = given(namespace, twins)
            if taken is not twins or (pairs and _paired_anew(module)):
                unswap([(module, taken)])  # a function was defined anew, as in a notebook
                _forget(namespace)
                module = _know(namespace)
                taken = given(namespace, module.twins)
        except BaseException:
            unswap([*done, (module, module.twins)])
            raise
        done.append((module, taken))
    return done


def unswap(done: Swap) -> None:
    """Puts everything back, except what the code itself changed in the meantime."""
    for module, twins in reversed(done):
        namespace = module[0]
        (_taken if type(namespace) is dict else _take)(namespace, twins)


def _paired_anew(module: Module) -> bool:
    return any(module.namespace.get(name) is not function for name, function in module.pairs)


def _give(namespace: dict[str, Any], twins: Twins) -> Twins:
    """Gives one module its twins; returns those that it took, which is `twins` if it took all."""
    done = [three for three in twins if namespace.get(three[0], ABSENT) is three[1]]
    for name, _, twin in done:
        namespace[name] = twin
    return twins if len(done) == len(twins) else done


def _take(namespace: dict[str, Any], twins: Twins) -> None:
    for name, plain, twin in reversed(twins):
        if namespace.get(name) is twin:
            if plain is ABSENT:
                del namespace[name]
            else:
                namespace[name] = plain


_given = _give if speedups is None else speedups.swap  # of exact dicts
_taken = _take if speedups is None else speedups.unswap


def _forget(namespace: dict[str, Any]) -> None:
    _known.pop(id(namespace), None)
    _programs.clear()


def _know(namespace: dict[str, Any]) -> Module:
    known = _known.get(id(namespace))
    if known is None or known.names != len(namespace) or known.namespace is not namespace:
        found = [
            (name, value, twin)
            for name, value in list(namespace.items())
            if (twin := _twin(name, value, namespace)) is not None
        ]
        pairs = [
            (other, namespace[other])
            for name, _, twin in found
            if type(twin) is Block and (other := _partner(name, namespace))
        ]
        found += [(name, ABSENT, twin) for name, twin in BUILTINS.items() if name not in namespace]
        if len(_known) > 256:  # what a module holds is not kept for ever
            _known.clear()
            _programs.clear()
        known = Module(namespace, len(namespace), found, pairs, _has_backward(namespace))
        _known[id(namespace)] = known
    return known


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
    if callable(value) and (drawing := generator(value)) is not None:
        return drawing
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
    other = _partner(name, namespace)
    return Block(function, name, namespace[other], by_name=True) if other else None


def _partner(name: str, namespace: dict[str, Any]) -> str | None:
    """The name of the backward function that a module has for a forward function."""
    own = "" if name.endswith("_backward") else f"{name}_backward"
    for other in (partner_name(name), own):
        if other and isinstance(namespace.get(other), FunctionType):
            return other
    return None


_named_backward = re.compile(
    r".*(backward|back_?prop|bprop|bptt|bwd|vjp|derivative|prime).*|(.*_)?back"
    r"|.*(?<!auto)(?<!my)(?<!micro)grad(?!(ient)?s?_?desc).*"
    r"|d(?!ata|e(bug|cay|cod|ep|fault|fin|l|mo|nois|ns|riv|scri|tect|v)|i(ag|ct|git|m|r|sc|sp|st|v)"
    r"|nn|o(_|t|wn)|raw|rop|ump|ynam)_?\w+",
    re.IGNORECASE,
).fullmatch
"""Names of backward code: `drelu`, `loss_grad`; `dense`, `dropout` and `gradient_descent` are not."""


def has_backward(swapped: Swap) -> bool:
    """Whether a program has backward code of its own, going by the names of its functions."""
    for module, _ in swapped:  # noqa: SIM110  any() takes twice as long, and every trace asks this
        if module.backward:
            return True
    return False


def _has_backward(namespace: dict[str, Any]) -> bool:
    return any(
        isinstance(value, (FunctionType, type, Block))
        and value.__module__ == namespace.get("__name__")
        and (_named_backward(name) or (isinstance(value, type) and any(map(_named_backward, vars(value)))))
        for name, value in list(namespace.items())
    )  # fmt: skip


def program(function: Any, given: Iterable[Any] = ()) -> list[Module]:
    """The modules of the program that a function, and objects that it is given, belong to."""
    if type(function) is not FunctionType or given:
        return _program([function, *given])
    start, loaded = function.__globals__, len(sys.modules)
    known = _programs.get(id(start))
    if known is not None and known[0] is start and known[1] == loaded:
        for module in known[2]:
            if module.names != len(module.namespace):
                break
        else:
            return known[2]
    found = _program([function])
    if len(_programs) > 64:
        _programs.clear()
    _programs[id(start)] = start, loaded, found
    return found


def _program(things: Iterable[Any]) -> list[Module]:
    found: dict[int, dict[str, Any]] = {}
    for thing in things:
        own = None if type(thing) in PLAIN else _namespace(thing)
        if own is not None and id(own) not in found:
            found[id(own)] = own
            found.update(_with_others(own))
    return [_know(namespace) for namespace in found.values()]


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


def _file(module: Any) -> str:
    """The file of a module; a stand-in for one may answer to every name, so it is not asked."""
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else ""


def _is_program(module: ModuleType) -> bool:
    file = _file(module)
    return bool(file) and not foreign(file)


def _namespace(thing: Any) -> dict[str, Any] | None:
    while isinstance(thing, partial):
        thing = thing.func
    if type(thing) is FunctionType:
        return thing.__globals__
    for candidate in (thing, getattr(thing, "__func__", None), getattr(thing, "__wrapped__", None)):
        if isinstance(candidate, FunctionType):
            return candidate.__globals__
    module = sys.modules.get(getattr(type(thing), "__module__", "") or "")
    return module.__dict__ if module is not None and _is_program(module) else None


def _siblings(file: str) -> list[dict[str, Any]]:
    """The modules that were loaded from the folder of a file or from below it."""
    start = os.path.join(os.path.dirname(os.path.abspath(file)), "")
    return [
        vars(module)
        for module in list(sys.modules.values())
        if _file(module).startswith(start) and _is_program(module)
    ]
