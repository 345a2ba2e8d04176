"""The arrays that a program reaches without being given them: globals, closures, defaults, classes.

They are exchanged for traced ones while a trace runs, as those in the arguments are, and put back.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from .array import PLAIN, Array
from .compiled import speedups
from .roles import holds_state
from .tape import foreign

_CONTAINERS = {dict, list, deque}
_HOLDERS = {np.ndarray, tuple, *_CONTAINERS}
"""What is looked into there; an object is known by what it is given to."""


_read: dict[int, tuple[CodeType, tuple[str, ...] | None]] = {}
"""By the `id` of code, since its hash is that of all it consists of, found anew each time."""


def _own_names(code: CodeType) -> tuple[str, ...] | None:
    """The globals that code of the program's reads; None for code of a library."""
    known = _read.get(id(code))
    if known is None or known[0] is not code:
        if len(_read) > 4096:
            _read.clear()
        known = _read[id(code)] = code, None if foreign(code.co_filename) else _names(code)
    return known[1]


def _names(code: CodeType) -> tuple[str, ...]:
    """The globals that code reads, and the functions defined in it."""
    import dis

    own = [step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"]
    inner = [name for x in code.co_consts if isinstance(x, CodeType) for name in _names(x)]
    return tuple(dict.fromkeys([*own, *inner]))


def _put_back(namespace: dict[str, Any], name: str, value: Any) -> None:
    """Puts a global back, unless the run gave it another value."""
    if type(namespace.get(name)) is Array:
        namespace[name] = namespace[name].data if namespace[name].data is not value else value


def of_class(entrance: Any, kind: type, path: Any) -> None:
    """Wraps the arrays that a class of the user's holds for all its objects."""
    for owner in kind.__mro__:
        for name, item in list(vars(owner).items()):
            if type(item) is np.ndarray and item.dtype.kind == "f":
                twin = entrance.array(item, name, (path, "." + name), None, True)
                setattr(owner, name, twin)
                entrance.undo.append(partial(setattr, owner, name, item))


def reach(entrance: Any, function: Any) -> None:
    """Wraps what a function, and those that it calls, reach without having been given it.

    That are the variables of its closure, its defaults, and the globals that its code names.
    """
    given = len(entrance.tape.leaves)
    todo, seen = [function], set()  # of ids: what is reached stays while this runs
    while todo:
        f = todo.pop()
        if type(f) is not FunctionType:
            if isinstance(f, partial):
                todo.append(f.func)
                continue
            f = getattr(f, "__func__", f)
            if not isinstance(f, FunctionType):
                f = getattr(type(f), "__call__", None)
            if not isinstance(f, FunctionType):
                continue
        if id(f) in seen:
            continue
        seen.add(id(f))
        code = f.__code__
        names = _own_names(code)
        if names is None:
            continue
        if speedups is not None:
            found = speedups.reaches(f, names)
            if found is not None:  # nothing that holds arrays
                todo += found
                continue
        if f.__closure__:
            for name, cell in zip(code.co_freevars, f.__closure__):
                _closed_over(entrance, name, cell, todo)
        if f.__defaults__:
            _defaults(entrance, f)
        for name in names:
            value = f.__globals__.get(name)
            if type(value) is FunctionType:
                todo.append(value)
            elif type(value) is type and value.__module__ == f.__module__:
                entrance.put_back += [x for x in vars(value).values() if type(x) in _CONTAINERS]
            elif type(value) in _HOLDERS:
                wrapped = entrance.enter(value, name, name, None if holds_state(name) else True)
                if wrapped is not value:
                    f.__globals__[name] = wrapped
                    entrance.undo.append(partial(_put_back, f.__globals__, name, value))
    if len(entrance.tape.leaves) > given:
        entrance.tape.reached = set(islice(entrance.tape.leaves, given, None))


def bound(entrance: Any, function: Any) -> Any:
    """A partial function with traced arrays among the arguments that it holds."""
    if not isinstance(function, partial):
        return function
    inner = function.func
    twin = hasattr(inner, "__wrapped_numpy__")
    code = None if twin else getattr(inner, "__code__", None)
    names = code.co_varnames if code is not None else [f"x{i}" for i in range(len(function.args))]
    args = [entrance.enter(x, name, name, False) for x, name in zip(function.args, names)]
    kwargs = {name: entrance.enter(x, name, name, False) for name, x in function.keywords.items()}
    entrance.others += [x for x in (*args, *kwargs.values()) if type(x) not in PLAIN]
    return partial(inner, *args, **kwargs)


def _closed_over(entrance: Any, name: str, cell: Any, todo: list[Any]) -> None:
    """Wraps what a variable of a closure holds; a function there is to be looked into."""
    try:
        value = cell.cell_contents
    except ValueError:  # a variable that is bound later
        return
    if type(value) is FunctionType:
        todo.append(value)
    elif type(value) in _HOLDERS:
        wrapped = entrance.enter(value, name, name, True)
        if wrapped is not value:
            cell.cell_contents = wrapped
            entrance.undo.append(partial(setattr, cell, "cell_contents", value))


def _defaults(entrance: Any, f: FunctionType) -> None:
    before, code = f.__defaults__ or (), f.__code__
    names = code.co_varnames[code.co_argcount - len(before) : code.co_argcount]
    wrapped = tuple(
        entrance.enter(x, name, name, False) if type(x) in _HOLDERS else x
        for x, name in zip(before, names)
    )
    if any(new is not old for new, old in zip(wrapped, before)):
        f.__defaults__ = wrapped
        entrance.undo.append(partial(setattr, f, "__defaults__", before))
