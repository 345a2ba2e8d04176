"""Calling a hand-written backward block: what it is given, and what its results are gradients of.

The convention is the one that courses and books share: a backward function takes the gradients of
what the forward function returned, then the cache, and returns the gradients of the forward
function's array arguments in their order (or a dict that names them).
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..errors import GradientError
from ..words import GRADIENT
from .array import Array, is_container, mapped, raw
from .blocks import Given, Visit
from .scope import program, swap, unswap
from .tape import Tape


@dataclass(frozen=True, slots=True)
class Played:
    """What a hand-written backward did: its range of operations, and (value, gradient) pairs."""

    start: int
    stop: int
    gradients: list[tuple[int, int]]


def suits(visit: Visit) -> bool:
    """Whether the backward is that of one block: its first parameter is a gradient.

    `L_model_backward(AL, Y, caches)` is not: it is a whole pass, loss included. Nor is one found
    by its name that takes what its forward function neither takes nor returns.
    """
    block = visit.block
    names = _parameters(block.given_backward)
    if not block.by_name:
        return bool(names)
    if not names or not GRADIENT.fullmatch(next(iter(names))):
        return False
    own = _parameters(block.function)
    needed = [
        name
        for name, p in list(names.items())[_gradient_count(visit) :]
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and name not in own
    ]
    return len(needed) <= max(len(_rest(visit)), 0)


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def _gradient_count(visit: Visit) -> int:
    names = list(_parameters(visit.block.given_backward))
    count = 0
    while count < len(names) and GRADIENT.fullmatch(names[count]):
        count += 1
    return max(1, count)


def outputs(visit: Visit) -> list[Given]:
    """The returned arrays that a gradient is expected for."""
    result = visit.result
    items = [result] if type(result) is Given else list(result) if _many(result) else []
    return [x for x in items[: _gradient_count(visit)] if type(x) is Given]


def _many(x: Any) -> bool:
    return isinstance(x, (tuple, list))


def _rest(visit: Visit) -> list[Any]:
    return list(visit.result[_gradient_count(visit) :]) if _many(visit.result) else []


def replay(tape: Tape, data: Any, visit: Visit, gradients: dict[int, int]) -> Played:
    """Calls the hand-written backward of one visit, with everything traced."""
    function = visit.block.given_backward
    args = [_gradient_of(tape, data, x, gradients) for x in outputs(visit)]
    args += _others(tape, data, visit, len(args))
    start = len(tape.ops)
    done = swap(program(function))
    tape.begin(sys._getframe())
    try:
        tape.go_in(visit.block.name, sys._getframe(), visit)
        assigned = _assigned(tape, visit, function(*args))  # type: ignore[misc]
    finally:
        tape.end()
        unswap(done)
    return Played(start, len(tape.ops), assigned)


def _gradient_of(tape: Tape, data: Any, x: Given, gradients: dict[int, int]) -> Array:
    id = gradients.get(x.id)
    if id is None:
        tape.values.append(np.zeros_like(data(x.id)))
        id = len(tape.values) - 1
    return Array(data(id), id, tape)


def _others(tape: Tape, data: Any, visit: Visit, given: int) -> list[Any]:
    """The arguments after the gradients: the cache, and the forward's arguments by name."""
    block = visit.block
    own = dict(inspect.signature(block.function).bind(*visit.args, **visit.kwargs).arguments)
    rest = _rest(visit)
    names = list(_parameters(block.given_backward).items())[given:]
    free = [n for n, p in names if n not in own and p.default is p.empty]
    found = []
    for name, parameter in names:
        if name in own and not (name in ("cache", "caches") and rest):
            found.append(own[name])
        elif rest and len(free) > 1:
            found.append(rest.pop(0))
        elif rest:
            found.append(_cache(rest))
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            raise GradientError(
                f"cannot call {_called(block)}: nothing to give it for {name!r}. A backward takes "
                "the gradient of what its block returns, then the rest that the block returns "
                f"(the cache), then arguments of {block.name} under their own names. One that takes "
                "anything else is checked in a run of both: tracer.check(tracer.trace(step, X, Y))"
            )
    return [_current(tape, data, x) for x in found]


def _cache(rest: list[Any]) -> Any:
    """What the forward function returned for its backward: the one container, or all of it.

    `return out, cache, running_mean` returns a cache, and beside it what is not for the backward.
    """
    caches = [x for x in rest if isinstance(x, (tuple, dict))]
    return caches[0] if len(caches) == 1 else rest[0] if len(rest) == 1 else tuple(rest)


def _current(tape: Tape, data: Any, tree: Any) -> Any:
    """The arrays with the data that they had then, whatever was written over them since."""
    if type(tree) is Given:
        return Array(data(tree.id), tree.id, tape)
    return mapped(partial(_current, tape, data), tree) if is_container(tree) else tree


def _assigned(tape: Tape, visit: Visit, result: Any) -> list[tuple[int, int]]:
    """Which value each returned array is the gradient of."""
    block = visit.block
    own = inspect.signature(block.function).bind(*visit.args, **visit.kwargs).arguments
    targets = [(name, x) for name, x in own.items() if _is_array(x)]
    if isinstance(result, dict):
        pairs = [(n, x, result.get(f"d{n}", result.get(n))) for n, x in targets]
    else:
        given = list(result) if _many(result) else [result]
        if len(given) != len(targets):
            names = ", ".join(name for name, _ in targets) or "none"
            raise GradientError(
                f"{_called(block)} returned {len(given)} gradients for {len(targets)} array "
                f"arguments of {block.name} ({names}): return one for each, in that order, or a "
                "dict such as {'dW': …}"
            )
        pairs = [(n, x, g) for (n, x), g in zip(targets, given)]
    found = []
    for name, x, g in pairs:
        if type(x) is not Given or g is None:
            continue
        g = _fitted(g, x.shape)
        if np.shape(raw(g)) != x.shape:
            raise GradientError(
                f"{_called(block)} returned an array of shape {np.shape(raw(g))} as the gradient "
                f"of {name}, which has shape {x.shape}"
            )
        found.append((x.id, tape.operand(g)))
    return found


def _fitted(g: Any, shape: tuple[int, ...]) -> Any:
    """Gives the gradient of a bias of shape (1, n) that was summed to (n,) its axis back.

    In the user's own update broadcasting does that; shapes that would grow by it do not fit.
    """
    given = np.shape(raw(g))
    if len(given) == len(shape) or np.prod(given) != np.prod(shape):
        return g
    short, long = sorted((given, shape), key=len)
    alike = long[len(long) - len(short) :] == short
    return g.reshape(shape) if alike and isinstance(raw(g), np.ndarray) else g


def _is_array(x: Any) -> bool:
    """Whether the backward returns a gradient for an argument: an array, or a traced number."""
    data = x.data if type(x) is Given else x
    number = type(x) is Given and isinstance(data, (float, np.inexact))
    return (number or isinstance(data, np.ndarray)) and np.asarray(data).dtype.kind == "f"


def _called(block: Any) -> str:
    return getattr(block.given_backward, "__name__", "the backward") + "()"
