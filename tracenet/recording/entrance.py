"""Where the user's arrays enter the trace, and leave it again.

Arrays are looked for in what the function is given: arguments, and the dicts, lists, tuples and
plain objects in them. Each gets a name (from the parameter, the key, the attribute) and a role.
Containers are changed in place while the trace runs, so that the user's code sees its own objects;
at the end every traced array in them is put back to a plain one.
"""

from __future__ import annotations

from collections import UserDict, UserList, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import islice
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from .array import PLAIN, Array
from .compiled import speedups
from .reaching import of_class
from .roles import holds_state
from .roles import role as role_of
from .tape import Leaf, Tape


@dataclass(slots=True, eq=False)  # not frozen: that is slow to make
class Marked:
    """An array with what `tracer.input`, `parameter` or `constant` said of it."""

    data: Any
    role: str
    name: str | None = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype)


class Entrance:
    """Wraps the arrays that one traced call is given, and unwraps them afterwards.

    This runs for every trace, however small, so it does no more than it must.
    """

    __slots__ = (
        "_held", "_numbers", "_seen", "arrays", "kinds", "others", "put_back", "tape", "undo",
    )  # fmt: skip

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.arrays = False  # whether any was found: then floats beside them are constants
        self._seen: dict[int, Any] = {}  # id of an object -> its traced twin
        self._held: list[Any] = []  # keeps those objects alive, so that ids stay theirs
        self.put_back: list[Any] = []  # containers that get plain arrays again at the end
        self.undo: list[Callable[[], Any]] = []  # what else is put back at the end
        self.kinds: set[type] = set()  # the classes of the user's objects that were entered
        self.others: list[Any] = []  # what was given whose module may belong to the program
        self._numbers: list[tuple[Any, Any, str, Any]] = []  # floats in containers and objects

    # ------------------------------------------------------------------ in

    def arguments(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], names: list[str | None]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with traced arrays in place of plain ones."""
        called = parameters_of(function, len(args))
        for i, name in enumerate(names):
            called[i] = name or called[i]
        wrapped: list[Any] = []
        named: dict[str, Any] = {}
        floats = False
        for arg, name in zip(args, called):
            new = _entered(self, arg, name, name, False)
            wrapped.append(new)
            if type(new) not in PLAIN:
                self.others.append(new)
            elif type(new) is float:
                floats = True
        for key, arg in kwargs.items():
            new = named[key] = _entered(self, arg, key, key, False)
            if type(new) not in PLAIN:
                self.others.append(new)
            elif type(new) is float:
                floats = True
        if type(function) is not FunctionType:
            if isinstance(function, MethodType) and is_plain(function.__self__):
                self._container(function.__self__, "", "")
            elif is_plain(function):  # an object that can be called
                self._container(function, "", "")
        if floats:  # what they are depends on whether there are arrays
            for i, (arg, name) in enumerate(zip(args, called)):
                if type(arg) is float:
                    wrapped[i] = self._number(arg, name, name)
            for key, arg in kwargs.items():
                if type(arg) is float:
                    named[key] = self._number(arg, key, key)
        if self._numbers and not self.arrays:
            for container, key, name, path in self._numbers:
                if isinstance(container, (dict, list, deque)):
                    container[key] = self._number(container[key], name, path)
                else:
                    number = self._number(getattr(container, key), name, path)
                    object.__setattr__(container, key, number)
        return wrapped, named

    def value(self, name: str, value: Any) -> Any:
        """What a variable holds, with traced arrays in place of plain ones."""
        return self.enter(value, name, name, False)

    def number(self, name: str, value: float) -> Array:
        """A float that a variable holds, traced; to be called once the arrays are in."""
        return self._number(value, name, name)

    def variables(self, namespace: dict[str, Any], named: Collection[str] = ()) -> set[int]:
        """Wraps the arrays among a module's global variables, in place.

        Returns the values of those that only variables hold whose names are not in `named`.
        """
        apart: set[int] = set()
        for name, value in sorted(namespace.items(), key=lambda item: item[0] not in named):
            if not name.startswith("__") and not isinstance(value, (ModuleType, type)):
                before = len(self.tape.leaves)
                wrapped = self.value(name, value)
                if wrapped is not value:
                    namespace[name] = wrapped
                if name not in named:
                    apart.update(islice(self.tape.leaves, before, None))
        self.put_back.append(namespace)
        return apart

    def enter(self, x: Any, name: str, path: Any, contained: bool | None) -> Any:
        """What stands for `x` while the trace runs: a traced array, or `x` itself.

        contained: whether in a container, so likely a parameter; None: in one of gradients.
        """
        return _entered(self, x, name, path, contained)

    def _enter(self, x: Any, name: str, path: Any, contained: bool | None) -> Any:
        """The same for anything; where the commonest is compiled, that calls this for the rest."""
        kind = type(x)
        if kind is np.ndarray and x.dtype.kind != "O":
            return self.array(x, name, path, None, contained)
        if kind in _ATOMS:
            return x
        if kind is Marked:
            return self.array(x.data, x.name or name, path, x.role, contained)
        if isinstance(x, (dict, list, deque)) or kind is np.ndarray:
            self._container(x, name, path)
            return x
        if isinstance(x, (UserDict, UserList)):  # abstract classes: slow to ask for
            self._container(x.data, name, path)
            return x
        if isinstance(x, (np.ndarray, np.inexact)):
            return self.array(x, name, path, None, contained)
        if isinstance(x, tuple):
            return self._tuple(x, name, path)
        if is_plain(x):
            self._container(x, name, path)
        return x

    def _tuple(self, x: Any, name: str, path: Any) -> Any:
        kept = None if holds_state(name) else True
        items = [self.enter(item, f"{name}[{i}]", (path, i), kept) for i, item in enumerate(x)]
        if all(new is old for new, old in zip(items, x)):
            return x
        return tuple(items) if type(x) is tuple else type(x)(*items)

    def array(
        self, data: Any, name: str, path: Any, role: str | None, contained: bool | None
    ) -> Any:
        if speedups is not None and type(data) is np.ndarray:
            twin = speedups.twin(self, data, name, path, contained, role)
            if twin is not None:
                return twin
        if type(data) is int or type(data) is float:
            return self._marked_number(float(data), name, path, role)
        key = id(data)
        twin = self._seen.get(key)
        if twin is None:
            kind = data.dtype.kind
            if kind not in "fciub" and type(data) is np.ndarray:
                return data
            tape = self.tape
            number = tape.given(data)
            twin = self._seen[key] = _new(Array)  # what Array(…) comes to, by a longer way
            twin.data, twin.id, twin.tape, twin.alias = data, number, tape, None
            self._held.append(data)
            self.arrays = True
            if role is None:
                role = role_of(name, contained, kind == "f" or kind == "c", not data.ndim)
            tape.leaves[number] = _leaf(Leaf, (number, role, name, path, -1, -1))
        return twin

    def _marked_number(self, x: float, name: str, path: Any, role: str | None) -> Array:
        array = self._number(x, name, path)
        leaf = self.tape.leaves[array.id]
        self.tape.leaves[array.id] = leaf._replace(role=role or leaf.role)
        return array

    def _number(self, x: float, name: str, path: Any) -> Array:
        role = "constant" if self.arrays else role_of(name, isinstance(path, tuple), True, True)
        number = self.tape.given(x)
        self.tape.leaves[number] = Leaf(number, role, name, path)
        return Array(x, number, self.tape)

    def _container(self, x: Any, name: str, path: Any) -> None:
        if id(x) in self._seen:
            return
        self._seen[id(x)] = x
        self._held.append(x)
        self.put_back.append(x)
        state = holds_state(name) and (len(name) > 1 or not is_plain(x))  # a model may be called m
        kept = None if state else True
        if isinstance(x, dict):
            for key, item in list(x.items()):
                self._item(x, name, path, kept, key, item)
        elif isinstance(x, np.ndarray):  # of objects
            for index, item in np.ndenumerate(x):
                place = index[0] if len(index) == 1 else index
                x[index] = self.enter(item, f"{name}[{place}]", (path, place), kept)
        elif isinstance(x, (list, deque)):
            for i, item in enumerate(list(x)):
                if type(item) is float:
                    self._numbers.append((x, i, f"{name}[{i}]", (path, i)))
                    continue
                new = self.enter(item, f"{name}[{i}]", (path, i), kept)
                if new is not item:
                    x[i] = new
        else:
            if type(x) not in self.kinds:
                self.kinds.add(type(x))
                self.others.append(x)
                of_class(self, type(x), path)
            for attribute, item in attributes(x):
                if type(item) is float:
                    self._numbers.append((x, attribute, attribute, (path, "." + attribute)))
                    continue
                new = self.enter(item, attribute, (path, "." + attribute), kept)
                if new is not item:
                    object.__setattr__(x, attribute, new)

    def _item(
        self, x: dict[Any, Any], name: str, path: Any, kept: bool | None, key: Any, item: Any
    ) -> None:
        """Exchanges what a dict holds under one key."""
        inner = key if type(key) is str else f"{name}[{key!r}]"
        if type(item) is float:
            self._numbers.append((x, key, inner, (path, key)))
            return
        new = self.enter(item, inner, (path, key), kept)
        if new is not item:
            x[key] = new

    # ------------------------------------------------------------------ out

    def restore(self) -> None:
        """Puts plain arrays back into every container that was entered."""
        for undo in reversed(self.undo):
            undo()
        _put_back_all(self.put_back, (set(), []))

    def snapshot(self, tree: Any) -> Any:
        """A result with plain arrays for traced ones."""
        way: _Way = (set(), [])
        plain = unwrap(tree, way)
        _put_back_all([], way)
        return plain


_entered: Callable[..., Any] = Entrance._enter
if speedups is not None:
    speedups.prepare(Entrance=Entrance, Marked=Marked, deque=deque, holds_state=holds_state)
    _entered = speedups.enter  # which calls `_enter` for what is not common
_new = object.__new__
_leaf = tuple.__new__  # a third of the cost of Leaf(…), and every trace pays it
_ATOMS = {float, int, str, bool, type(None), FunctionType, bytes, complex, range, type}


def parameters_of(function: Any, count: int) -> list[str]:
    """The names of a function's first `count` positional parameters."""
    if type(function) is FunctionType and not function.__dict__:  # so it wraps no other
        own = function.__code__
        if count <= own.co_argcount:
            return list(own.co_varnames[:count])
    if hasattr(function, "__wrapped_numpy__"):
        return [f"x{i}" for i in range(count)]
    inner = function if isinstance(function, (FunctionType, MethodType)) else None
    if inner is None and not isinstance(function, type):
        inner = getattr(type(function), "__call__", None)
    inner = getattr(inner, "__wrapped__", inner)
    code = getattr(getattr(inner, "__func__", inner), "__code__", None)
    if code is None:
        return [f"x{i}" for i in range(count)]
    bound = isinstance(function, MethodType) or not isinstance(function, FunctionType)
    names = list(code.co_varnames[int(bound) : code.co_argcount])
    more = max(0, count - len(names))
    star = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & 4 else "x"
    return [*names[:count], *(f"{star}[{i}]" for i in range(more))]


def is_plain(x: Any) -> bool:
    """Whether an object is the user's own: data in attributes, a class that is not a library's."""
    kind = type(x)
    if not hasattr(x, "__dict__") and not hasattr(kind, "__slots__"):
        return False
    if isinstance(x, (type, ModuleType, FunctionType, MethodType)) or kind is Array:
        return False
    top = (kind.__module__ or "").partition(".")[0]
    return top not in _LIBRARIES and not hasattr(kind, "__array_ufunc__")


_LIBRARIES = {
    "builtins", "numpy", "tracenet", "functools", "collections", "types", "random", "re",
    "threading", "logging", "io", "_io", "pathlib", "itertools", "matplotlib", "pandas", "scipy",
    "sklearn", "torch", "tensorflow", "typing", "abc", "enum", "datetime", "decimal", "fractions",
}  # fmt: skip


def attributes(x: Any) -> list[tuple[str, Any]]:
    """The data attributes of an object of the user's: those in slots of its bases too."""
    found = list(vars(x).items()) if hasattr(x, "__dict__") else []
    for kind in type(x).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(x, name):
                found.append((name, getattr(x, name)))
    return found


_Way = tuple[set[int], list[Any]]
"""The containers that were found, by their `id`s, and those that are to be looked into: one after the
other, so that nothing goes deep."""


def _put_back_all(containers: list[Any], way: _Way) -> None:
    """Puts plain data into these, and into all that is found in them."""
    for x in containers:
        unwrap(x, way)
    todo = way[1]
    while todo:
        _unwrap_inside(todo.pop(), way)


def unwrap(x: Any, way: _Way) -> Any:
    """Plain data in place of a traced array; dicts, lists and objects are to be looked into."""
    kind = type(x)
    if kind is Array:
        return x.data
    if kind in _ATOMS:
        return x
    if kind is np.ndarray and x.dtype != object:
        return x
    if isinstance(x, tuple):
        items = [unwrap(item, way) for item in x]
        if any(new is not old for new, old in zip(items, x)):
            return tuple(items) if kind is tuple else kind(*items)
    elif id(x) not in way[0]:
        way[0].add(id(x))
        way[1].append(x)
    return x


def _unwrap_inside(x: Any, way: _Way) -> None:
    """Puts plain data into a container, in place."""
    if speedups is not None and type(x) is dict:
        speedups.put_back(x, unwrap, way)
    elif isinstance(x, (dict, list, deque)):
        for key, item in list(x.items() if isinstance(x, dict) else enumerate(x)):
            new = item.data if type(item) is Array else unwrap(item, way)
            if new is not item:
                x[key] = new
    elif isinstance(x, np.ndarray):
        for i, item in enumerate(x.flat):
            new = unwrap(item, way)
            if new is not item:
                x[np.unravel_index(i, x.shape)] = new
    elif is_plain(x):
        for name, item in attributes(x):
            new = unwrap(item, way)
            if new is not item:
                object.__setattr__(x, name, new)
