"""Calls of NumPy functions and methods on traced arrays: which rule, which operands, what result.

Whatever is called is called for real, with the plain data, so the result is NumPy's own. Then the
call is put into the form of its rule (operands, settings) and written down. A function without a
rule is written down all the same, under its own name; only a gradient that needs it is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..ops import ADAPT, BY_NAME, FOREIGN, METHODS, RULES, Rule, pieces
from . import memory
from .array import Array, arrays_in, has_arrays, raw, strip
from .tape import NONE, Tape, active

IGNORED = {"dtype", "casting", "order", "subok", "copy", "like", "out"}
"""Settings that change how a result is stored and not what it means."""

OTHERWISE = ("a", "x", "arr", "in1", "in2", "v")
"""What NumPy and SciPy also call their array arguments."""

Handler = Callable[[Tape, Any, tuple[Any, ...], dict[str, Any], Any], Any]


_SIMPLE = {int, bool, type(None), str}


def simple(kwargs: dict[str, Any], allowed: frozenset[str]) -> bool:
    """Whether these are settings of a rule, with plain values, so that they can be kept as is."""
    for name, value in kwargs.items():
        if name not in allowed or type(value) not in _SIMPLE:
            return False
    return True


def rule_of(function: Any) -> Rule:
    """The rule of a function; for one that is not in the table, a rule that only has a name."""
    return RULES.get(function) or foreign_rule(function) or opaque(function)


def foreign_rule(function: Any) -> Rule | None:
    """The rule of a function of another library, where it has one: `scipy.special.expit`."""
    name = getattr(function, "__name__", "")
    if isinstance(function, np.ufunc):
        return FOREIGN.get(name)
    library = ".".join((getattr(function, "__module__", None) or "").split(".")[:2])
    return FOREIGN.get(f"{library}.{name}")


@cache
def opaque(function: Any) -> Rule:
    """The rule of an operation that tracenet knows nothing of but its name."""
    name = getattr(function, "__name__", str(function))
    return Rule(name, function, ("*inputs",), formula=f"{name}({{inputs}})")


def shares(data: np.ndarray, other: Any) -> bool:
    """Whether `data` is a view of the same memory as `other`."""
    if not isinstance(other, np.ndarray) or data.base is None:
        return data is other
    return data.base is other or (other.base is not None and data.base is other.base)


# ---------------------------------------------------------------------- the protocols


def array_ufunc(self: Array, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """What NumPy calls when a ufunc meets a traced array."""
    tape = tape_of(inputs) or tape_of((kwargs.get("out"),))
    if tape is None:
        return getattr(ufunc, method)(*strip(inputs), **strip(kwargs))
    return apply_ufunc(tape, ufunc, method, inputs, kwargs, sys._getframe(1))


def array_function(self: Array, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """What NumPy calls when one of its other functions meets a traced array."""
    tape = tape_of((args, kwargs))
    if tape is None:
        return function(*strip(args), **strip(kwargs))
    return call(tape, function, tuple(args), dict(kwargs), sys._getframe(1))


def tape_of(tree: Any) -> Tape | None:
    """The open tape of the traced arrays in nested arguments."""
    for array in arrays_in(tree):
        if array.tape.open:
            return array.tape  # type: ignore[no-any-return]
    return None


def apply_ufunc(
    tape: Tape, ufunc: np.ufunc, method: str, inputs: Any, kwargs: dict[str, Any], frame: Any
) -> Any:
    """A ufunc and its methods: `np.add(x, y)`, `np.add.reduce`, `np.add.at`, …"""
    if method == "__call__":
        return call(tape, ufunc, tuple(inputs), kwargs, frame)
    if method == "at":
        return _at(tape, ufunc, inputs, frame)
    same = {
        ("add", "reduce"): np.sum,
        ("multiply", "reduce"): np.prod,
        ("maximum", "reduce"): np.max,
        ("minimum", "reduce"): np.min,
        ("add", "accumulate"): np.cumsum,
        ("multiply", "accumulate"): np.cumprod,
    }.get((ufunc.__name__, method))
    if method == "outer":
        handler = SPECIAL["outer"]
        return handler(tape, ufunc, tuple(inputs), kwargs, frame)
    if same is not None:
        if "axis" not in kwargs and len(inputs) == 1:
            kwargs = {**kwargs, "axis": 0}  # NumPy's default for a ufunc's own reduce
        return call(tape, same, tuple(inputs), kwargs, frame)
    return call(tape, getattr(ufunc, method), tuple(inputs), kwargs, frame)


def holds_objects(x: Any) -> bool:
    """Whether an operand is an array of objects, which may be traced."""
    return type(x) is np.ndarray and x.dtype.kind == "O"


def of_elements(function: Any, inputs: Any, kwargs: Any = NONE) -> Any:
    """An operation with an array of objects: element by element, as NumPy does it."""
    return function(*[_objects(x) if type(x) is Array else x for x in inputs], **kwargs)


def _objects(x: Array) -> Any:
    data = np.empty(x.shape, object)
    for index in np.ndindex(x.shape):
        item = x[index]  # type: ignore[index]
        data[index] = Array(item.data.item(), item.id, item.tape) if type(item) is Array else item
    return data


def _at(tape: Tape, ufunc: np.ufunc, inputs: Any, frame: Any) -> None:
    target, index, *values = inputs
    act = lambda: ufunc.at(raw(target), strip(index), *strip(values))
    if type(target) is not Array:
        for x in arrays_in(list(values)):
            tape.left(x, f"np.{ufunc.__name__}.at wrote it into an array that is not traced")
        act()
        return
    if ufunc in (np.add, np.subtract) and type(target.data) is np.ndarray:
        added = values[0] if ufunc is np.add else -_maybe(values[0])
        _enter(tape, frame)
        memory.write(tape, target, index, added, act, frame.f_lasti, "add_at")
    else:
        mutate(tape, opaque(ufunc.at), target, (index, values), act, frame)


def _maybe(x: Any) -> Any:
    return x if type(x) is Array else np.asarray(x)


def _enter(tape: Tape, frame: Any) -> None:
    if frame is not tape.frame:
        tape.enter(frame)


# ---------------------------------------------------------------------- functions


def call(
    tape: Tape, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frame: Any
) -> Any:
    """Calls `function` with the plain data and records it."""
    if type(function) is np.ufunc and any(map(holds_objects, args)):
        return of_elements(function, args, kwargs)
    handler = SPECIAL.get(function)
    if handler is None and ("where" in kwargs or "initial" in kwargs):
        handler = SPECIAL.get(("of some", function))
    if handler is not None:
        return handler(tape, function, args, kwargs, frame)
    if kwargs.get("where", True) is not True and kwargs.get("out") is not None:
        return SPECIAL[MASKED](tape, function, args, kwargs, frame)
    out = kwargs.pop("out", None)
    data = function(*strip(args), **strip(kwargs))
    rule, operands, settings = normal(function, args, kwargs)
    result = _result(tape, rule, operands, settings, data, frame)
    return result if out is None else _into(tape, out, result, frame)


def normal(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Rule, Sequence[Any], dict[str, Any]]:
    """A call in the form of its rule: the rule, the operands, and the settings by name."""
    adapt = ADAPT.get(function)
    if adapt is not None:
        return adapt(args, kwargs)  # type: ignore[no-any-return]
    rule = rule_of(function)
    if rule.backward is None and rule.operands == ("*inputs",):
        return _as_opaque(function, args, kwargs)
    if rule.variadic:
        operands, rest = list(args[0]), args[1:]
    else:
        operands, rest, kwargs = _operands(function, rule, args, kwargs)
    settings = {n: v for n, v in zip(rule.settings, rest) if n not in IGNORED or n == "order"}
    for name, value in kwargs.items():
        if name in IGNORED and not (name == "order" and name in rule.settings):
            continue
        if name in rule.settings:
            settings[name] = value
        else:
            return _as_opaque(function, args, kwargs)
    if has_arrays(settings):
        settings = strip(settings)
    return rule, operands, _ordered(settings, operands)


def _ordered(settings: dict[str, Any], operands: Sequence[Any]) -> dict[str, Any]:
    """Settings in which the order of elements is C or F, and is said only if it is F."""
    order = settings.get("order")
    if order is None:
        return settings
    if order in ("A", "K"):
        flags = raw(operands[0]).flags
        order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    kept = {name: value for name, value in settings.items() if name != "order"}
    return {**kept, "order": "F"} if order == "F" else kept


def _operands(function: Any, rule: Rule, args: Any, kwargs: Any) -> tuple[Any, Any, dict[str, Any]]:
    count = len(rule.operands)
    if len(args) >= count:
        return args[:count], args[count:], kwargs
    kwargs = dict(kwargs)
    operands = list(args)
    theirs = _parameters(function)
    for k, name in enumerate(rule.operands[len(args) :], len(args)):
        called = (name, *theirs[k : k + 1], *OTHERWISE)
        key = next((n for n in called if n in kwargs), None)
        if key is None:
            break
        operands.append(kwargs.pop(key))
    return operands, (), kwargs


@lru_cache(maxsize=512)
def _parameters(function: Any) -> tuple[str, ...]:
    """What a function calls its parameters: `a` and `b`, of `np.dot(x, b=W)`."""
    import inspect

    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # ufuncs have no signature; their operands have no names
        return ()


def _as_opaque(function: Any, args: Any, kwargs: Any) -> tuple[Rule, Sequence[Any], dict[str, Any]]:
    operands = list(arrays_in([args, kwargs]))
    return opaque(function), operands, NONE


def _result(
    tape: Tape, rule: Rule, operands: Sequence[Any], settings: Any, data: Any, frame: Any
) -> Any:
    if type(data) is np.ndarray or isinstance(data, (float, np.inexact)):
        if rule.view and type(operands[0]) is Array and type(data) is np.ndarray:
            return view(tape, rule, operands[0], data, settings, frame)
        out = tape.record(rule, _ids(tape, rule, operands, frame), data, settings, frame)
        _opaque_view(tape, operands, out, data)
        return out
    if isinstance(data, (tuple, list)) and any(map(_numeric, data)):
        ids = _ids(tape, rule, operands, frame)
        made = [
            tape.record(opaque(rule.forward), ids, item, {"output": i}, frame)
            if _numeric(item)
            else item
            for i, item in enumerate(data)
        ]
        return type(data)(*made) if hasattr(data, "_fields") else type(data)(made)
    if isinstance(data, np.ndarray):
        for x in operands:
            if type(x) is Array:
                tape.left(x, f"{rule.name} made it a {type(data).__name__}")
    return data


def _numeric(x: Any) -> bool:
    return isinstance(x, (np.ndarray, float, np.inexact))


def _opaque_view(tape: Tape, operands: Sequence[Any], out: Array, data: Any) -> None:
    """An operation without a view rule gave a view all the same: keep what it shows now."""
    if type(data) is np.ndarray and data.base is not None:
        for x in operands:
            if type(x) is Array and shares(data, x.data):
                tape.values[out.id] = data.copy()


def _ids(tape: Tape, rule: Rule, operands: Sequence[Any], frame: Any) -> tuple[int, ...]:
    _enter(tape, frame)
    return tuple(
        [tape.operand(nested(tape, x, frame) if type(x) in (list, tuple) else x) for x in operands]
    )


def view(tape: Tape, rule: Rule, x: Array, data: Any, settings: dict[str, Any], frame: Any) -> Any:
    """Records an operation that gives a view of `x`, or a copy where NumPy had to make one."""
    if x.tape is not tape:
        return tape.record(rule, (tape.operand(x),), data, settings, frame)
    _enter(tape, frame)
    shared = type(data) is np.ndarray and shares(data, x.data)
    if x.alias is None:
        id = x.id
    else:
        id = memory.current(tape, x) if shared else memory.read(tape, x)
    out = Array(data, tape.append(rule, (id,), data, settings, frame.f_lasti), tape)
    if shared:
        memory.share(tape, x, out, rule, settings)
    return out


def _into(tape: Tape, out: Any, result: Any, frame: Any) -> Any:
    """`out=`: writes the result into the array that was given for it."""
    target = out[0] if isinstance(out, tuple) else out
    if type(target) is Array:
        act = lambda: np.copyto(target.data, raw(result), casting="same_kind")
        _enter(tape, frame)
        memory.write(tape, target, ..., result, act, frame.f_lasti, "write")
        return target
    np.copyto(target, raw(result), casting="same_kind")
    return Array(target, result.id, tape) if type(result) is Array else target


def _masked(
    tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], out: Any, frame: Any
) -> Any:
    """`out=` with `where=`: only some elements are written, the others stay what they were."""
    target = out[0] if isinstance(out, tuple) else out
    act = lambda: function(*strip(args), out=raw(target), **strip(kwargs))
    if type(target) is Array:
        mutate(tape, opaque(function), target, [args, kwargs], act, frame)
        return target
    act()
    ids = _ids(tape, opaque(function), [target, *arrays_in([args, kwargs])], frame)
    return Array(
        target, tape.append(opaque(function), ids, target.copy(), NONE, frame.f_lasti), tape
    )


def mutate(
    tape: Tape,
    rule: Rule,
    x: Array,
    others: Any,
    act: Callable[[], Any],
    frame: Any,
    settings: dict[str, Any] = NONE,
) -> None:
    """Records a change in place that has no rule of its own: a new version of all of `x`."""
    _enter(tape, frame)
    ids = (tape.operand(x), *(tape.operand(y) for y in arrays_in(others)))
    alias = x.alias or memory.root(tape, x)
    memory.protect(tape, alias.buffer)
    act()
    id = tape.append(rule, ids, x.data.copy(), settings, frame.f_lasti)
    changed = Array(x.data.copy(), id, tape)
    memory.write(tape, x, ..., changed, lambda: None, frame.f_lasti, "write")


# ---------------------------------------------------------------------- methods


def method(x: Array, name: str, bound: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the real data that has no rule; the call is recorded under its name."""

    def called(*args: Any, **kwargs: Any) -> Any:
        tape = x.tape
        if not tape.open or name in ("item", "tolist", "tobytes", "tofile", "dump", "dumps"):
            return _outwards(x, name, bound, args, kwargs)
        frame = sys._getframe(1)
        if name == "put":
            return call(tape, np.put, (x, *args), kwargs, frame)
        if name in ("fill", "sort", "partition", "itemset", "setfield", "byteswap"):
            act = lambda: bound(*strip(args), **strip(kwargs))
            return _changed_by(tape, x, name, args, kwargs, act, frame)
        data = bound(*strip(args), **strip(kwargs))
        known = opaque(getattr(type(x.data), name))
        return _result(tape, known, [x, *arrays_in([args, kwargs])], NONE, data, frame)

    return called


def _outwards(x: Array, name: str, bound: Any, args: Any, kwargs: Any) -> Any:
    """`item` keeps being traced; what writes bytes or lists leaves the trace."""
    data = bound(*strip(args), **strip(kwargs))
    if name == "item" and x.tape.open and isinstance(data, float):
        at = args[0] if len(args) == 1 else args  # item(5), item(1, 2), item((1, 2)), item()
        flat = x.ndim and not isinstance(at, tuple)
        index = np.unravel_index(at % x.size, x.shape) if flat else at or (0,) * x.ndim
        return x.tape.record(
            BY_NAME["getitem"], (x.tape.operand(x),), data, {"index": index}, sys._getframe(2)
        )
    if name != "item":
        x.tape.left(x, f".{name}() took its numbers out")
    return data


def _changed_by(
    tape: Tape, x: Array, name: str, args: Any, kwargs: Any, act: Any, frame: Any
) -> None:
    if name == "fill":
        _enter(tape, frame)
        memory.write(tape, x, ..., args[0], act, frame.f_lasti, "write")
    elif name == "sort":
        rule, _, settings = normal(np.sort, (x, *args), kwargs)
        mutate(tape, rule, x, (), act, frame, settings)
    else:
        mutate(tape, opaque(getattr(np.ndarray, name)), x, args, act, frame)


def call_method(x: Array, name: str, args: Any, kwargs: dict[str, Any], frame: Any) -> Any:
    """A method that has a rule: `x.sum(axis=0)`, `x.reshape(2, -1)`, `x.T`."""
    tape = x.tape
    if type(x.data) is float and name in ("copy",):
        return x
    bound = getattr(x.data, name)
    if not tape.open:
        return bound(*strip(args), **strip(kwargs))
    if "where" in kwargs or "initial" in kwargs:
        return call(tape, getattr(np, name), (x, *args), kwargs, frame)
    out = kwargs.pop("out", None)
    data = bound(*strip(args), **strip(kwargs))
    rule = METHODS[name]
    if kwargs and getattr(np, name) in ADAPT:  # x.clip(min=0)
        rule, operands, settings = ADAPT[getattr(np, name)]((x, *args), kwargs)
        return _result(tape, rule, operands, strip(settings), data, frame)
    if name in ("reshape", "transpose") and not (len(args) == 1 and _sequence(args[0])):
        args = (args,) if args else ()
    count = len(rule.operands) - 1
    settings = {
        n: v
        for n, v in zip(rule.settings, args[count:])
        if n not in IGNORED or n in ("dtype", "order")
    }
    kept = lambda name: name in rule.settings and (name not in IGNORED or name == "order")
    settings.update({k: v for k, v in kwargs.items() if kept(k)})
    settings = _ordered(settings, [x])
    operands = (x, *args[:count])
    if any(k not in rule.settings and k not in IGNORED for k in kwargs):
        rule, settings = opaque(getattr(np.ndarray, name)), NONE
    result = _result(tape, rule, operands, strip(settings), data, frame)
    return result if out is None else _into(tape, out, result, frame)


def _sequence(x: Any) -> bool:
    return x is None or isinstance(x, (tuple, list))


# ---------------------------------------------------------------------- functions of their own kind


def nested(tape: Tape, tree: Any, frame: Any, dtype: Any = None) -> Any:
    """`np.array([[a, b], [c, d]])` with traced elements; plain lists become plain arrays."""
    if not has_arrays(tree):
        return np.array(tree, dtype)
    data = np.array(strip(tree), dtype)
    if data.dtype == object:
        return _of_objects(tree, data)
    items, shape = _flat(tree)
    settings = {"nest": shape}
    _enter(tape, frame)
    ids = tuple([tape.operand(item) for item in items])
    return tape.record(BY_NAME["array"], ids, data, settings, frame)


def _of_objects(tree: Any, data: Any) -> Any:
    """An array of objects holds the traced arrays themselves, as a list does."""
    for index in np.ndindex(data.shape):
        item = tree
        for k, i in enumerate(index):
            if type(item) not in (list, tuple):
                item = item[index[k:]]
                break
            item = item[i]
        scalar = type(item) is Array and isinstance(item.data, np.generic)
        data[index] = Array(item.data.item(), item.id, item.tape) if scalar else item
    return data


def _flat(tree: Any) -> tuple[list[Any], tuple[int, ...]]:
    """The elements of regular nested lists, and the shape of the nest around them."""
    items, shape = [tree], []
    while items and all(type(item) in (list, tuple) for item in items):
        if len({len(item) for item in items}) != 1:
            break
        shape.append(len(items[0]))
        items = [inner for item in items for inner in item]
    return items, tuple(shape)


def _array(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], frame: Any) -> Any:
    """np.array, asarray and their kin."""
    x = args[0] if args else kwargs.get("a", kwargs.get("object"))
    dtype = args[1] if len(args) > 1 else kwargs.get("dtype")
    if type(x) in (list, tuple):
        return nested(tape, x, frame, dtype)
    if type(x) is not Array:
        return tape.fresh(function(*strip(args), **strip(kwargs)), "constant", frame)
    data = function(x.data, *strip(args[1:]), **strip(kwargs))
    if data is x.data:
        return x
    if dtype is not None and np.dtype(dtype) != np.asarray(x.data).dtype:
        return tape.record(BY_NAME["astype"], (tape.operand(x),), data, {"dtype": dtype}, frame)
    return tape.record(BY_NAME["copy"], (tape.operand(x),), data, NONE, frame)


def _like(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], frame: Any) -> Any:
    """np.zeros_like and its kin: a new array, of which only the shape comes from the old one."""
    return tape.fresh(function(*strip(args), **strip(kwargs)), "constant", frame)


def _plainly(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], frame: Any) -> Any:
    """Questions about an array whose answer is not an array: np.shape, np.allclose, …"""
    return function(*strip(args), **strip(kwargs))


def _split(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], frame: Any) -> list[Any]:
    """np.split and its kin: each piece is an indexing of the array."""
    x, rest = args[0], strip(args[1:])
    if type(x) is not Array:
        return function(x, *rest, **strip(kwargs))  # type: ignore[no-any-return]
    parts = []
    for index in pieces(function, x.data, *rest, **strip(kwargs)):
        settings = {"index": index}
        parts.append(view(tape, BY_NAME["getitem"], x, x.data[index], settings, frame))
    return parts


def _mutating(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], frame: Any) -> None:
    """np.fill_diagonal, np.put, shuffle, …: change their first argument in place."""
    act = lambda: function(*strip(args), **strip(kwargs))
    if type(args[0]) is Array and type(args[0].data) is np.ndarray:
        mutate(tape, opaque(function), args[0], [args[1:], kwargs], act, frame)
        return
    for x in arrays_in([args, kwargs]):
        tape.left(x, f"{function.__name__} wrote it into an array that is not traced")
    act()


def _saved(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], frame: Any) -> Any:
    """np.save and its like: what is read from the file again is data."""
    for x in arrays_in([args, kwargs]):
        tape.left(x, f"np.{function.__name__} wrote it to a file")
    return function(*strip(args), **strip(kwargs))


def _boolean(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any], frame: Any) -> Any:
    """np.where with a condition alone: positions, which carry no gradient."""
    if len(args) + len(kwargs) == 1:
        return function(*strip(args), **strip(kwargs))
    data = function(*strip(args), **strip(kwargs))
    rule, operands, settings = normal_rule(RULES[function], args)
    return _result(tape, rule, operands, settings, data, frame)


def normal_rule(rule: Rule, args: Any) -> tuple[Rule, Sequence[Any], dict[str, Any]]:
    """The form of a call whose arguments are exactly the operands."""
    return rule, args, NONE


MASKED = "ufunc with out= and where="

SPECIAL: dict[Any, Handler] = {
    **dict.fromkeys(
        (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.copy),
        _array,
    ),
    **dict.fromkeys((np.zeros_like, np.ones_like, np.empty_like), _like),
    **dict.fromkeys(
        (
            np.shape, np.ndim, np.size, np.allclose, np.array_equal, np.array_equiv,
            np.may_share_memory, np.shares_memory, np.result_type, np.can_cast, np.iscomplexobj,
            np.isrealobj, np.isscalar, np.histogram, np.array2string, np.array_repr, np.array_str,
        ),
        _plainly,
    ),
    **dict.fromkeys((np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit), _split),
    **dict.fromkeys((np.save, np.savez, np.savez_compressed, np.savetxt), _saved),
    np.where: _boolean,
}  # fmt: skip

__all__ = ["active", "call", "call_method", "nested", "rule_of", "view"]
