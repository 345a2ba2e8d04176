"""Backward functions that ran without their forward: on caches made by hand, as course tests do.

The forward function is found by its name in the same module and run on what the cache holds. Where
the cache holds an array that the forward computes on its way (`Z`, `xhat`), the cached one takes its
place: such caches are drawn at random and fit no forward run, so a reference at any other values
would mean nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from ..errors import TracenetError
from ..recording.notes import UNKNOWN, Held, Note, Ref
from ..recording.phases import stem
from ..records import Block
from ..tracer import noted
from ..words import GRADIENT
from .claims import inputs
from .match import Named, arrays
from .run import Run


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A forward block that was run again. given: cached arrays that replace what it computed."""

    run: Run
    given: dict[int, Any]
    inputs: list[Named]


def rebuilt(run: Run, block: Block, note: Note) -> Rebuilt | str:
    """The forward block of a backward function, run on its cache; or why it cannot be."""
    function = _forward(note)
    if function is None:
        return f"no forward function for {note.code.co_name} ran, and none is in its module"
    known = _known(run, block, note)
    arguments = _arguments(run, function, note, known)
    if isinstance(arguments, str):
        return f"{function.__name__} did not run, and {arguments}"
    try:
        made = noted(function, **arguments)
    except (TracenetError, Exception) as error:
        return f"{function.__name__} did not run, and cannot be run on this cache: {error}"
    again = Run(made)
    root = made.blocks[0]
    given = _given(run, again, root, note)
    if isinstance(given, str):
        return given
    return Rebuilt(again, given, inputs(again, root))


def _forward(note: Note) -> FunctionType | None:
    """The function of the same module whose name is that of the backward without `backward`."""
    name = note.code.co_name
    same = [
        f
        for n, f in note.module.items()
        if isinstance(getattr(f, "function", f), FunctionType)
        and n != name
        and stem(n) == stem(name)
    ]
    found = [getattr(f, "function", f) for f in same]
    return next((f for f in found if "backward" not in f.__name__), None)


def _known(run: Run, block: Block, note: Note) -> dict[str, Any]:
    """The variables of a backward function, and of those that it called, that are no gradients."""
    found: dict[str, Any] = {}
    for id, call in run.noted.items():
        inner = run.tape.notes.of[call]
        if id == block.id or block.id in {b.id for b in run.trace.around(id)}:
            for name, x in {**inner.final, **inner.args}.items():
                if not GRADIENT.fullmatch(name):
                    found.setdefault(name, x)
    return {**found, **{n: x for n, x in note.final.items() if not GRADIENT.fullmatch(n)}}


def _arguments(
    run: Run, function: FunctionType, note: Note, known: dict[str, Any]
) -> dict[str, Any] | str:
    """What the forward function is called with; or what there is nothing for."""
    found = {}
    cached = [x for n, x in note.args.items() if not GRADIENT.fullmatch(n) and isinstance(x, Ref)]
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        match = next((n for n in known if n == name), None) or next(
            (n for n in known if _plain(n) == _plain(name)), None
        )
        if match is not None:
            found[name] = _data(run, known[match])
        elif len(cached) == 1 and not found:
            found[name] = run.trace.data(cached[0].id)
        elif parameter.default is parameter.empty:
            return f"nothing in the cache is called {name!r}"
    return found


def _plain(name: str) -> str:
    return re.sub(r"_?(prev|cache|in)$|^prev_", "", name.lower())


def _data(run: Run, tree: Any) -> Any:
    """A noted tree with real arrays in it."""
    if isinstance(tree, Ref):
        data = run.trace.data(tree.id)
        return data.copy() if hasattr(data, "copy") else data
    if isinstance(tree, dict):
        return {key: _data(run, item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        kind = getattr(tree, "_make", type(tree))
        return kind(_data(run, item) for item in tree)
    return tree


def _given(run: Run, again: Run, root: Block, note: Note) -> dict[int, Any] | str:
    """The cached arrays that take the place of what the forward function computed."""
    result = again.result(root)
    if result is UNKNOWN or not isinstance(result, tuple):
        return {}
    mine = list(arrays(result[1:] if len(result) > 2 else result[1], "cache"))
    for name, tree in note.args.items():
        theirs = list(_cached(name, tree))
        if not theirs or [x.name for x in theirs] != [x.name for x in mine]:
            continue
        found = {}
        for a, b in zip(mine, theirs):
            if again.shape(a.id) != run.shape(b.id):
                return f"the cached {b.name} has shape {run.shape(b.id)}, not {again.shape(a.id)}"
            found[a.id] = run.trace.data(b.id)
        return found
    return {}


def _cached(name: str, tree: Any) -> Iterator[Named]:
    if not GRADIENT.fullmatch(name) and not isinstance(tree, Held):
        yield from arrays(tree, "cache")
