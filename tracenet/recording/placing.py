"""Functions that write at some places of an array, recorded as a write with an index.

`np.put`, `np.fill_diagonal`, `np.copyto(…, where=…)` and ufuncs with `where=` all say which
elements are written and with what; what they write stays connected.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import calls, memory
from .array import Array, raw, strip
from .namespace import part
from .tape import NONE

tnp: Any = part(np)


def _cycled(values: Any, count: Any) -> Any:
    """As many of the values as there are places, over again where they do not reach."""
    if np.size(raw(values)) == 1:
        return tnp.reshape(values, ()) if type(values) is Array else np.reshape(values, ())
    places = np.asarray(count) if np.ndim(count) else np.arange(int(count))
    places = places % np.size(raw(values))
    return tnp.ravel(values)[places] if type(values) is Array else np.ravel(values)[places]


def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> tuple[Any, Any]:
    size = a.data.size
    where = np.ravel(raw(ind))
    where = np.clip(where, 0, size - 1) if mode == "clip" else where % size
    return np.unravel_index(where, a.data.shape), _cycled(v, len(where))


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> tuple[Any, Any]:
    marks = np.zeros(a.data.shape, bool)
    np.fill_diagonal(marks, True, wrap)
    where = np.nonzero(marks)
    return where, _cycled(val, len(where[0]))


def _place(arr: Any, mask: Any, vals: Any) -> tuple[Any, Any]:
    mask = raw(mask).astype(bool)
    return mask, _cycled(vals, int(mask.sum()))


def _putmask(a: Any, mask: Any, values: Any) -> tuple[Any, Any]:
    mask = np.broadcast_to(raw(mask), a.data.shape).astype(bool)
    return mask, _cycled(values, np.flatnonzero(mask))


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: Any = -1) -> tuple[Any, Any]:
    where = raw(indices)
    if axis is None:
        return np.unravel_index(where.ravel(), arr.data.shape), _cycled(values, where.size)
    grid = list(np.ogrid[tuple(slice(n) for n in where.shape)])
    grid[axis] = where
    return tuple(grid), values


def _copyto(dst: Any, src: Any, casting: str = "", where: Any = True) -> tuple[Any, Any]:
    shape = dst.data.shape
    if where is True:
        return ..., src
    mask = np.broadcast_to(raw(where), shape)
    if type(src) is Array:
        return mask, tnp.broadcast_to(src, shape)[mask]
    return mask, np.broadcast_to(src, shape)[mask]


def placed(find: Any) -> calls.Handler:
    """The handler of a function whose index and values `find` gives."""

    def handler(tape: Any, function: Any, args: Any, kwargs: Any, frame: Any) -> None:
        target = args[0]
        if type(target) is not Array or type(target.data) is not np.ndarray:
            return calls._mutating(tape, function, args, kwargs, frame)
        start = len(tape.values)
        index, values = find(*args, **kwargs)
        tape.unnamed.update(range(start, len(tape.values)))
        calls._enter(tape, frame)
        act = lambda: function(*strip(args), **strip(kwargs))
        memory.write(tape, target, index, values, act, frame.f_lasti, "write")
        return None

    return handler


def masked(tape: Any, ufunc: Any, args: Any, kwargs: Any, frame: Any) -> Any:
    """A ufunc with `out=` and `where=`: of what it computes, the chosen elements are written.

    Recorded are the chosen elements of each operand, the operation on them, and the write.
    """
    out = kwargs.pop("out")
    target = out[0] if isinstance(out, tuple) else out
    rule = calls.rule_of(ufunc)
    if not isinstance(ufunc, np.ufunc) or rule.backward is None or ufunc.nout != 1:
        return calls._masked(tape, ufunc, args, kwargs, out, frame)
    if type(target) is not Array:
        target = tape.leaf(target, "constant", None)
    shape = target.data.shape
    mask = np.broadcast_to(raw(kwargs["where"]), shape)
    start = len(tape.values)
    chosen = [
        tnp.broadcast_to(x, shape)[mask] if type(x) is Array else np.broadcast_to(x, shape)[mask]
        for x in args
    ]
    ids = tuple([tape.operand(x) for x in chosen])
    whole = ufunc(*strip(args), out=target.data.copy(), **strip(kwargs))
    written = whole[mask]
    calls._enter(tape, frame)
    made = Array(written, tape.append(rule, ids, written, NONE, frame.f_lasti), tape)
    tape.unnamed.update(range(start, len(tape.values)))
    act = lambda: np.copyto(target.data, whole)
    memory.write(tape, target, mask, made, act, frame.f_lasti, "write")
    return target


calls.SPECIAL.update({
    np.put: placed(_put), np.fill_diagonal: placed(_fill_diagonal), np.place: placed(_place),
    np.putmask: placed(_putmask), np.put_along_axis: placed(_put_along_axis),
    np.copyto: placed(_copyto), calls.MASKED: masked,
})  # fmt: skip
