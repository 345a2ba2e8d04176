"""NumPy functions that call functions of the user's: they are gone through as NumPy does it.

`np.vectorize`, `np.apply_along_axis`, `np.apply_over_axes`, `np.piecewise`: the user's function gets
traced elements or rows, so that what it does with them is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import calls, memory
from .array import Array, has_arrays, raw, strip
from .namespace import TYPES, part

tnp: Any = part(np)


class vectorize(np.vectorize):
    """`np.vectorize` in the user's module: calls its function with traced elements."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return vectorized(self, *args, **kwargs)


def vectorized(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The call of a vectorized function, also of one that was made before the trace."""
    plain = np.vectorize.__call__
    if kwargs or function.signature is not None or function.excluded or calls.tape_of(args) is None:
        return plain(function, *args, **kwargs)
    arrays: list[Any] = [x if type(x) is Array else np.asarray(x) for x in args]
    shape = np.broadcast_shapes(*(np.shape(raw(x)) for x in arrays))
    arrays = [tnp.broadcast_to(x, shape) if np.shape(raw(x)) != shape else x for x in arrays]
    elements = lambda index: [_python(x[index]) for x in arrays]
    if function.otypes is None and not function.cache and shape:
        function.pyfunc(*elements((0,) * len(shape)))  # as NumPy does, to see what it gives
    found = [function.pyfunc(*elements(index)) for index in np.ndindex(*shape)]
    if not found or isinstance(found[0], tuple):
        return plain(function, *args)
    dtype = (function.otypes or [np.asarray(raw(found[0])).dtype])[0]
    return _gathered(found, shape, dtype)


def _python(x: Any) -> Any:
    """An element as the vectorized function gets it: a Python number."""
    if type(x) is Array:
        return Array(x.data.item(), x.id, x.tape) if x.alias is None else x
    return x.item() if isinstance(x, np.generic) else x


def _gathered(found: list[Any], shape: tuple[int, ...], dtype: Any) -> Any:
    whole = np.array([raw(x) for x in found]).astype(dtype)
    if not has_arrays(found):
        return whole.reshape(shape)
    made = tnp.array(found)
    if made.dtype != whole.dtype:
        made = made.astype(whole.dtype)
    return made.reshape(shape) if shape else made[0]


class ndenumerate(np.ndenumerate):
    """`np.ndenumerate` in the user's module: pairs of an index and a traced element."""

    def __new__(cls, arr: Any) -> Any:
        return _pairs(arr) if type(arr) is Array else np.ndenumerate(arr)


def _pairs(x: Any) -> Iterator[Any]:
    return ((index, x[index]) for index in np.ndindex(x.shape))


def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Row by row, as NumPy does it; the rows' results are put together again."""
    moved = tnp.moveaxis(arr, axis, -1)
    outer = moved.shape[:-1]
    rows = [tnp.asanyarray(func1d(moved[i], *args, **kwargs)) for i in np.ndindex(*outer)]
    shape = np.shape(raw(rows[0]))
    made = tnp.reshape(tnp.stack(rows), outer + shape)
    for k in range(len(shape)):  # the axes of a row's result stand where the row's axis was
        made = tnp.moveaxis(made, len(outer) + k, axis % np.ndim(raw(arr)) + k)
    return made


def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """One axis after the other, each kept as an axis of length one."""
    for axis in (axes,) if np.ndim(axes) == 0 else axes:
        axis = axis % np.ndim(raw(a))
        made = func(a, axis)
        a = tnp.expand_dims(made, axis) if np.ndim(raw(made)) < np.ndim(raw(a)) else made
    return a


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function gets the elements for which its condition holds."""
    conditions = [np.asarray(raw(c), bool) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    made = tnp.zeros(x.shape, x.dtype)
    for condition, what in zip(conditions, funclist):
        if condition.any():
            made[condition] = what(x[condition], *args, **kw) if callable(what) else what
    return made


def _gone_through(emulated: Any) -> calls.Handler:
    def handler(tape: Any, function: Any, args: Any, kwargs: Any, frame: Any) -> Any:
        start = len(tape.values)
        made = emulated(*args, **kwargs)
        if type(made) is Array:
            tape.unnamed.update(i for i in range(start, made.id) if i in _inner(tape, start))
        return made

    return handler


def _inner(tape: Any, start: int) -> set[int]:
    """The values that this room made itself, and not the user's function."""
    here = {
        number for number, call in enumerate(tape.calls)
        if call.code is not None and call.code.co_filename == __file__
    }  # fmt: skip
    found = set()
    for op in reversed(tape.ops):
        if op[1] < start:
            break
        if op[4] in here:
            found.add(op[1])
    return found


def as_strided(tape: Any, function: Any, args: Any, kwargs: Any, frame: Any) -> Any:
    """A view by shape and strides; the rule needs an array without gaps."""
    x = args[0] if args else kwargs["x"]
    data = function(*strip(args), **strip(kwargs))
    if type(x) is not Array or not x.data.flags.c_contiguous or not data.size:
        rule, operands, settings = calls._as_opaque(function, args, kwargs)
        return calls._result(tape, rule, operands, settings, data, frame)
    rule = calls.rule_of(function)
    steps = tuple(stride // x.data.itemsize for stride in data.strides)
    settings = {"shape": data.shape, "steps": steps}
    calls._enter(tape, frame)
    id = x.id if x.alias is None else memory.current(tape, x)
    out = Array(data, tape.append(rule, (id,), data, settings, frame.f_lasti), tape)
    memory.share(tape, x, out, rule, settings)
    return out


TYPES.update({np.vectorize: vectorize, np.ndenumerate: ndenumerate})
calls.SPECIAL.update({
    np.apply_along_axis: _gone_through(apply_along_axis),
    np.apply_over_axes: _gone_through(apply_over_axes),
    np.piecewise: _gone_through(piecewise),
    np.lib.stride_tricks.as_strided: as_strided,
})  # fmt: skip
