"""NumPy functions without a rule of their own, recorded as what they are made of.

The function is called for real, so its result is NumPy's own. What is recorded are the simpler
operations that say the same thing, and the last of them gets that result. Arguments that a
composition does not know leave the function recorded under its name alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from . import calls
from .array import Array, raw, strip
from .namespace import part, traced

tnp: Any = part(np)


class Unknown(Exception):
    """Raised by a composition for arguments that it does not know."""


def along(ndim: int, axis: int, index: Any) -> tuple[Any, ...]:
    """The index that takes `index` along one axis and all of the others."""
    return (*[slice(None)] * (axis % ndim), index)


def recorded(compose: Callable[..., Any]) -> calls.Handler:
    """The handler that records a function as `compose` does it."""

    def handler(tape: Any, function: Any, args: Any, kwargs: Any, frame: Any) -> Any:
        data = function(*strip(args), **strip(kwargs))
        start = len(tape.values)
        try:
            made = compose(*args, **kwargs)
        except (Unknown, TypeError):
            rule, operands, settings = calls._as_opaque(function, args, kwargs)
            return calls._result(tape, rule, operands, settings, data, frame)
        return finished(tape, made, data, start)

    return handler


def finished(tape: Any, made: Any, data: Any, start: int) -> Any:
    """What was composed, with NumPy's own numbers in it; only the last value gets a name."""
    if isinstance(made, (list, tuple)):
        return type(data)(finished(tape, m, d, start) for m, d in zip(made, data))
    if type(made) is not Array:
        return data
    if made.id < start:  # the function gave back what it was given
        return made
    tape.unnamed.update(range(start, made.id))
    if made.alias is None and np.shape(data) == made.shape:
        made.data = tape.values[made.id] = data
    return made


def _ndim(x: Any) -> int:
    return int(np.ndim(raw(x)))


# ---------------------------------------------------------------------- differences and averages


def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    for _ in range(n):
        after, before = slice(1, None), slice(None, -1)
        a = a[along(_ndim(a), axis, after)] - a[along(_ndim(a), axis, before)]
    return a


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    after, before = (y[along(_ndim(y), axis, s)] for s in (slice(1, None), slice(None, -1)))
    return ((dx if x is None else diff(tnp.asarray(x))) * (after + before) / 2.0).sum(axis=axis)


def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    a = tnp.asarray(a)
    if weights is None:
        return a.mean(axis=axis, keepdims=keepdims)
    weights = tnp.asarray(weights)
    if _ndim(weights) != _ndim(a):
        weights = weights.reshape([-1 if i == axis % _ndim(a) else 1 for i in range(_ndim(a))])
    weights = tnp.broadcast_to(weights, np.shape(raw(a)))
    how = {"axis": axis, "keepdims": keepdims}
    return tnp.sum(a * weights, **how) / tnp.sum(weights, **how)


def ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return tnp.max(a, axis=axis, keepdims=keepdims) - tnp.min(a, axis=axis, keepdims=keepdims)


def quantile(a: Any, q: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    if _ndim(q) or np.ndim(axis):
        raise Unknown
    a = tnp.ravel(a) if axis is None else a
    at = 0 if axis is None else axis
    place = float(raw(q)) * (np.shape(raw(a))[at] - 1)
    low, rest = int(place), place - int(place)
    ordered = tnp.sort(a, axis=at)
    found = ordered[along(_ndim(a), at, low)]
    if rest:
        found = found + (ordered[along(_ndim(a), at, low + 1)] - found) * rest
    return tnp.expand_dims(found, at) if keepdims and axis is not None else found


def percentile(a: Any, q: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return quantile(a, q / 100, axis, keepdims=keepdims)


def median(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return quantile(a, 0.5, axis, keepdims=keepdims)


def nansum(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return tnp.sum(tnp.where(np.isnan(raw(a)), 0, a), axis=axis, keepdims=keepdims)


def nanmean(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    count = np.sum(~np.isnan(raw(a)), axis=axis, keepdims=keepdims)
    return nansum(a, axis, keepdims=keepdims) / count


def nanmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return tnp.max(tnp.where(np.isnan(raw(a)), -np.inf, a), axis=axis, keepdims=keepdims)


def nanmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return tnp.min(tnp.where(np.isnan(raw(a)), np.inf, a), axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------------- of some elements


def _sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
         initial: Any = None, where: Any = True) -> Any:  # fmt: skip
    made = tnp.sum(tnp.where(where, a, 0), axis=axis, keepdims=keepdims)
    return made if initial is None else made + initial


def _prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
          initial: Any = None, where: Any = True) -> Any:  # fmt: skip
    made = tnp.prod(tnp.where(where, a, 1), axis=axis, keepdims=keepdims)
    return made if initial is None else made * initial


def _mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
          where: Any = True) -> Any:  # fmt: skip
    chosen = np.broadcast_to(raw(where), np.shape(raw(a)))
    count = np.sum(chosen, axis=axis, keepdims=keepdims)
    return tnp.sum(tnp.where(where, a, 0), axis=axis, keepdims=keepdims) / count


def _greatest(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
              initial: Any = -np.inf, where: Any = True) -> Any:  # fmt: skip
    made = tnp.max(tnp.where(where, a, -np.inf), axis=axis, keepdims=keepdims)
    return tnp.maximum(made, initial)


def _least(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
           initial: Any = np.inf, where: Any = True) -> Any:  # fmt: skip
    made = tnp.min(tnp.where(where, a, np.inf), axis=axis, keepdims=keepdims)
    return tnp.minimum(made, initial)


OF_SOME: dict[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.prod: _prod,
    np.mean: _mean,
    np.max: _greatest,
    np.min: _least,
}
calls.SPECIAL.update({("of some", f): recorded(compose) for f, compose in OF_SOME.items()})


def _outer(tape: Any, ufunc: Any, args: Any, kwargs: Any, frame: Any) -> Any:
    """`np.subtract.outer(x, y)`: every element of the one with every one of the other."""
    data = ufunc.outer(*strip(args), **strip(kwargs))
    start = len(tape.values)
    x, y = args
    made = traced(ufunc)(tnp.reshape(x, np.shape(raw(x)) + (1,) * _ndim(y)), y)
    return finished(tape, made, data, start)


calls.SPECIAL["outer"] = _outer

# ---------------------------------------------------------------------- products


def vdot(a: Any, b: Any) -> Any:
    return tnp.dot(tnp.ravel(a), tnp.ravel(b))


def vecdot(a: Any, b: Any, *, axis: int = -1) -> Any:
    return tnp.sum(a * b, axis=axis)


def matvec(a: Any, b: Any) -> Any:
    return tnp.squeeze(tnp.matmul(a, tnp.expand_dims(b, -1)), -1)


def cross(a: Any, b: Any, *, axis: int = -1) -> Any:
    if np.shape(raw(a))[-1] != 3 or np.shape(raw(b))[-1] != 3 or axis != -1:
        raise Unknown
    one, two = [1, 2, 0], [2, 0, 1]
    return a[..., one] * b[..., two] - a[..., two] * b[..., one]


def kron(a: Any, b: Any) -> Any:
    n, shape = _ndim(a), np.shape(np.kron(raw(a), raw(b)))
    if _ndim(b) != n:
        raise Unknown
    odd, even = (tuple(range(start, 2 * n, 2)) for start in (1, 0))
    return (tnp.expand_dims(a, odd) * tnp.expand_dims(b, even)).reshape(shape)


def solve(a: Any, b: Any) -> Any:
    return tnp.matmul(tnp.linalg.inv(a), b)


def multi_dot(arrays: Any) -> Any:
    return reduce(tnp.dot, arrays)


def matrix_power(a: Any, n: int) -> Any:
    return reduce(tnp.matmul, [a] * n) if n > 0 else tnp.linalg.inv(matrix_power(a, -n))


def vector_norm(x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    if keepdims or np.ndim(axis):
        raise Unknown
    return tnp.linalg.norm(tnp.ravel(x) if axis is None else x, ord=ord, axis=axis)


def polyval(p: Any, x: Any) -> Any:
    y = np.zeros(np.shape(raw(x)))
    for factor in p:
        y = y * x + factor
    return y


# ---------------------------------------------------------------------- numbers


def fmod(x: Any, y: Any) -> Any:
    return x - np.trunc(raw(x) / raw(y)) * y


def copysign(x: Any, y: Any) -> Any:
    return tnp.abs(x) * np.copysign(1.0, raw(y))


def conjugate(x: Any) -> Any:
    if raw(x).dtype.kind == "c":
        raise Unknown
    return +x


def real(x: Any) -> Any:
    if raw(x).dtype.kind == "c":
        raise Unknown
    return x


def entered(found: dict[Any, Callable[..., Any]]) -> None:
    """Has these functions of NumPy's recorded as their compositions."""
    calls.SPECIAL.update({function: recorded(compose) for function, compose in found.items()})


def named(module: Any, *composed: Callable[..., Any]) -> dict[Any, Callable[..., Any]]:
    """The functions of a module that are called like these; not every NumPy has all of them."""
    names = [f.__name__ for f in composed]
    return {getattr(module, n): f for n, f in zip(names, composed) if hasattr(module, n)}


entered(named(
    np, diff, average, ptp, quantile, percentile, median, nansum, nanmean, nanmax, nanmin, vdot,
    cross, kron, polyval, fmod, copysign, conjugate, real, trapezoid, vecdot, matvec,
))  # fmt: skip
entered(named(np.linalg, solve, multi_dot, matrix_power, vector_norm))
entered({
    np.deg2rad: lambda x: x * (np.pi / 180), np.radians: lambda x: x * (np.pi / 180),
    np.rad2deg: lambda x: x * (180 / np.pi), np.degrees: lambda x: x * (180 / np.pi),
    np.ediff1d: lambda a: diff(tnp.ravel(a)),
})  # fmt: skip
