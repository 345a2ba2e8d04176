"""What settings hold, as JSON and back: slices, tuples, `...`, None, index arrays, dtypes, views.

Nothing is pickled. A plain number, text, list or None is itself; everything else is a dict with one
key, which says what it is: `{"slice": [0, null, 2]}`. What has no such form (an object of the user's)
comes back as an `Unsaved` with the text that it had.
"""

from __future__ import annotations

import builtins
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import BY_NAME, RULES

PLAIN = {int, bool, str, type(None)}
LONG = 64
"""Bits of the longest integer that is written as a number; Python refuses to print the longest."""
NAMED = {"...": Ellipsis, "no value": np._NoValue, "not implemented": NotImplemented}
TYPES = ("bool", "int", "float", "complex", "str", "bytes", "object")


class Unsaved:
    """Stands for an object that a file cannot hold; it prints as the object did."""

    def __init__(self, text: str, shown: str) -> None:
        self._text, self._shown = text, shown

    def __repr__(self) -> str:
        return self._text

    def __str__(self) -> str:
        return self._shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unsaved) and repr(other) == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Encoder:
    """From Python to JSON. add: takes in an array and gives its number.

    lost: how many objects had no form; who wants to know whether one did looks before and after.
    """

    def __init__(self, add: Callable[[np.ndarray], int]) -> None:
        self.add = add
        self.lost = 0

    def __call__(self, x: Any) -> Any:
        kind = type(x)
        if kind is int and x.bit_length() > LONG:
            return {"int": hex(x)}
        if kind in PLAIN:
            return x
        if kind is float:
            return x if x - x == 0 else {"float": struct.pack("<d", x).hex()}
        if kind is list:
            return [self(item) for item in x]
        word = _WORDS.get(kind)
        if word is not None:
            return {word: _TO[word](self, x)}
        return self._other(x)

    def _other(self, x: Any) -> Any:
        for name, one in NAMED.items():
            if x is one:
                return {"the": name}
        if isinstance(x, (np.ndarray, np.generic)):
            return self._array(x)
        if isinstance(x, np.dtype) and not x.hasobject:
            return {"dtype": self.add(np.empty(0, x))}
        named = _type_name(x) if isinstance(x, type) else None
        if named is not None:
            return {"type": named}
        return self._function(x)

    def _array(self, x: Any) -> Any:
        if x.dtype.hasobject or x.dtype.kind == "T":
            items = [self(item) for item in np.asarray(x, dtype=object).reshape(-1).tolist()]
            return {"objects": [list(x.shape), items]}
        return {"array" if isinstance(x, np.ndarray) else "scalar": self.add(np.asarray(x))}

    def _function(self, x: Any) -> Any:
        """A function of the table of rules, as the paths of writes hold them."""
        rule = RULES.get(x) if callable(x) and type(x).__hash__ is not None else None
        if rule is not None and BY_NAME[rule.name].forward is x:
            return {"rule": rule.name}
        self.lost += 1
        return {"unsaved": [repr(x), str(x)]}


def _type_name(x: type) -> str | None:
    if x.__module__ == "builtins" and x.__name__ in TYPES:
        return x.__name__
    known = issubclass(x, np.generic) and getattr(np, x.__name__, None) is x
    return f"numpy.{x.__name__}" if known else None


_WORDS = {
    tuple: "tuple", dict: "dict", slice: "slice", range: "range", complex: "complex",
    bytes: "bytes", set: "set", frozenset: "frozenset",
}  # fmt: skip
_TO: dict[str, Callable[[Encoder, Any], Any]] = {
    "tuple": lambda code, x: [code(item) for item in x],
    "dict": lambda code, x: [[code(key), code(item)] for key, item in x.items()],
    "slice": lambda code, x: [code(x.start), code(x.stop), code(x.step)],
    "range": lambda code, x: [x.start, x.stop, x.step],
    "complex": lambda code, x: struct.pack("<2d", x.real, x.imag).hex(),
    "bytes": lambda code, x: x.hex(),
    "set": lambda code, x: sorted((code(item) for item in x), key=repr),
    "frozenset": lambda code, x: sorted((code(item) for item in x), key=repr),
}


class Decoder:
    """From JSON back to Python. arrays: what gives an array by its number."""

    def __init__(self, arrays: Any) -> None:
        self.arrays = arrays

    def __call__(self, x: Any) -> Any:
        if type(x) is list:
            return [self(item) for item in x]
        if type(x) is dict:
            ((word, inner),) = x.items()
            return _FROM[word](self, inner)
        return x


def _objects(code: Decoder, x: Any) -> np.ndarray:
    shape, items = x
    array = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        array[place] = code(item)
    return array.reshape(shape)


def _type(code: Decoder, name: str) -> Any:
    found = getattr(np, name[6:]) if name.startswith("numpy.") else None
    if isinstance(found, type) and issubclass(found, np.generic):
        return found
    if name not in TYPES:
        raise ValueError(f"a type called {name!r}")
    return getattr(builtins, name)


_FROM: dict[str, Callable[[Decoder, Any], Any]] = {
    "int": lambda code, x: int(x, 16),
    "float": lambda code, x: struct.unpack("<d", bytes.fromhex(x))[0],
    "complex": lambda code, x: complex(*struct.unpack("<2d", bytes.fromhex(x))),
    "tuple": lambda code, x: tuple([code(item) for item in x]),
    "dict": lambda code, x: {code(key): code(item) for key, item in x},
    "slice": lambda code, x: slice(*[code(item) for item in x]),
    "range": lambda code, x: range(*x),
    "bytes": lambda code, x: bytes.fromhex(x),
    "set": lambda code, x: {code(item) for item in x},
    "frozenset": lambda code, x: frozenset(code(item) for item in x),
    "the": lambda code, x: NAMED[x],
    "array": lambda code, x: code.arrays[x],
    "scalar": lambda code, x: code.arrays[x][()],
    "objects": _objects,
    "dtype": lambda code, x: code.arrays[x].dtype,
    "type": _type,
    "rule": lambda code, x: BY_NAME[x].forward,
    "unsaved": lambda code, x: Unsaved(*x),
}
