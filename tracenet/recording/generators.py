"""Random generators that a program makes while it is traced: `default_rng(0)`, `RandomState(0)`.

What they draw is recorded as what `np.random.randn` draws is: as an array of its own, so that it is
known whether a weight or noise was made of it. They draw the same numbers, and are instances of
NumPy's classes; after the trace they go on as NumPy's own do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from . import calls
from .array import Array, strip
from .namespace import _call
from .tape import inside

_KEPT = {"bytes", "get_state", "seed", "set_state", "shuffle", "spawn"}
"""Methods that draw nothing, or that write to what they are given, element by element."""


def _drawing(kind: type, name: str) -> Callable[..., Any]:
    plain = getattr(kind, name)

    def draw(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        if inside(frame.f_code.co_filename):  # `randn` itself asks for `standard_normal`
            return plain(self, *args, **kwargs)
        out = kwargs.get("out")
        if type(out) is Array and out.tape.open:
            bound = plain.__get__(self)
            act = lambda: bound(*strip(args), **strip(kwargs))
            calls.mutate(out.tape, calls.opaque(bound), out, [args], act, frame)
            return out
        if out is not None:
            return plain(self, *strip(args), **strip(kwargs))
        return _call(plain.__get__(self), "random", args, kwargs, frame)

    draw.__name__ = name
    return draw


def _recorded(kind: type) -> type:
    """The class of generators whose draws are recorded; NumPy's own are instances of it, too."""
    names = [
        name for name in dir(kind)
        if name[0] != "_" and name not in _KEPT and callable(getattr(kind, name))
    ]  # fmt: skip
    asked = {
        "__instancecheck__": lambda cls, x: isinstance(x, kind),
        "__subclasscheck__": lambda cls, x: issubclass(x, kind),
    }
    meta = type("_Meta", (type,), asked)
    methods: dict[str, Any] = {name: _drawing(kind, name) for name in names}
    methods["__module__"] = kind.__module__
    made: type = meta(kind.__name__, (kind,), methods)
    return made


RandomState: Any = _recorded(np.random.RandomState)
Generator: Any = _recorded(np.random.Generator)


def default_rng(seed: Any = None) -> Any:
    """As `np.random.default_rng`."""
    made = np.random.default_rng(seed)
    return made if made is seed else Generator(made.bit_generator)


TWINS: dict[Any, Any] = {
    np.random.RandomState: RandomState,
    np.random.Generator: Generator,
    np.random.default_rng: default_rng,
}
