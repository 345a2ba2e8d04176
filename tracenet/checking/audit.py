"""What a backward block keeps of its forward block, what it reads of that, and what it does not.

The cache is found by use: whatever carried them, the arrays of the forward pass that the backward
block was handed are what is kept. What it reads without having been handed it came from somewhere
else: a global, or an object that may be stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..recording.notes import Ref
from .case import Case
from .match import Named, arrays
from .run import Run


@dataclass(frozen=True, slots=True)
class Audit:
    """The cache of one pair of blocks, by the names of the arrays.

    kept: what the backward was handed. read: what it reads of that. unread: what it never reads,
    of what was kept for it alone.
    elsewhere: what it reads of the forward pass without having been handed it. overwritten: what
    was changed after the forward block had put it into the cache. written: arguments that the
    backward block itself wrote over.
    """

    kept: tuple[str, ...]
    read: tuple[str, ...]
    unread: tuple[str, ...]
    elsewhere: tuple[str, ...]
    overwritten: tuple[str, ...]
    written: tuple[str, ...]

    def to_json(self) -> dict[str, list[str]]:
        """The names as lists."""
        return {name: list(getattr(self, name)) for name in self.__slots__}


def audit(run: Run, case: Case) -> Audit | None:
    """The audit of one case, where it is known what the backward block was handed."""
    note = run.note(case.backward)
    if note is None or case.forward is None or case.home is not None:
        return None
    if case.whole and case.inside:  # what it was handed is for the blocks in it
        return None
    if case.elementwise or not case.targets:
        return None
    seeds = set(case.seeds.values())
    handed = names_handed(note)
    kept = {i: name for i, name in handed.items() if i not in seeds and run.floating(i)}
    read = run.read_in(case.backward)
    loose = {i for i in read if i in run.touched and i not in handed and run.floating(i)}
    kept_for_it = lambda i: not case.whole or i in run.maker  # of a network: not its parameters
    views = {i for i in loose if _view_of(run, i, handed)}
    named = lambda ids: tuple(dict.fromkeys(n for i in ids if (n := _name(run, i, handed))))
    return Audit(
        named(kept),
        named(i for i in kept if i in read),
        named(i for i in kept if i not in read and not _owned(run, i) and kept_for_it(i)),
        () if case.inside else named(sorted(loose - views)),
        tuple(_overwritten(run, case, note)),
        tuple(_written(note, handed)),
    )


def names_handed(note: Any) -> dict[int, str]:
    """What a backward block was handed: its own names for the values, by their numbers."""
    handed = {x.id: x.name for n, t in note.args.items() for x in arrays(t, n)}
    handed.update((t.id, n) for n, t in note.final.items() if isinstance(t, Ref) and t.id in handed)
    return handed


def _name(run: Run, id: int, handed: dict[int, str]) -> str:
    if id in handed:
        return handed[id]
    return run.trace.values[id].name if id in run.trace.values else ""


def _owned(run: Run, id: int) -> bool:
    """Whether a value is an array that its layer has anyway: no cache."""
    return id in run.tape.leaves and run.tape.leaves[id].owned


def _view_of(run: Run, id: int, handed: dict[int, str]) -> bool:
    op = run.maker.get(id)
    return op is not None and any(i in handed for i in op.ins) and len(op.ins) == 1


def _overwritten(run: Run, case: Case, note: Any) -> Iterator[str]:
    """What is in the cache now is not what the forward block put there."""
    assert case.forward is not None
    result = run.result(case.forward)
    kept = [list(arrays(item, "cache")) for item in (result if isinstance(result, tuple) else ())]
    for name, tree in note.args.items():
        gradient = isinstance(tree, Ref) and tree.id in case.seeds.values()
        now = list(arrays(tree, "cache")) if name != "self" and not gradient else []
        for then in kept:
            if now and [x.name for x in now] == [x.name for x in then]:
                yield from _changed(run, then, now, set(case.seeds))


def _changed(run: Run, then: list[Named], now: list[Named], outputs: set[int]) -> Iterator[str]:
    """What is another value now, in places of the cache that otherwise hold the same."""
    for before, after in zip(then, now):
        same = before.id == after.id or run.shape(before.id) != run.shape(after.id)
        if not same and before.id not in outputs and _follows(run, after.id, before.id):
            yield _name(run, before.id, {}) or after.name


def _follows(run: Run, later: int, earlier: int) -> bool:
    """Whether a value is a later version of another: made from it, perhaps in place."""
    op = run.maker.get(later)
    while op is not None and op.ins and run.shape(op.outs[0]) == run.shape(earlier):
        if op.ins[0] == earlier:
            return True
        op = run.maker.get(op.ins[0])
    return False


def _written(note: Any, handed: dict[int, str]) -> Iterator[str]:
    """An argument that is another value when the call ends, though nothing was assigned to it."""
    assigned = _assigned(note.code)
    for name, before in note.args.items():
        after = note.final.get(name)
        if isinstance(before, Ref) and isinstance(after, Ref) and before.id != after.id:
            if name not in assigned:
                yield name


@lru_cache(maxsize=256)
def _assigned(code: Any) -> frozenset[str]:
    """The names that a function assigns to, from its source."""
    import ast

    from ..recording.source import function

    tree = function(code)
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)] if tree is not None else []
    return frozenset(n.id for n in names if isinstance(n.ctx, ast.Store))
