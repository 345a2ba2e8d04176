"""Parameters that a traced run makes itself, as a `model(X, Y, num_iterations)` of a course does.

What a run draws, or sets to zero, and then descends from by something that it calls a gradient,
`W = W - rate * dW`, is a parameter, as if it had been given. How it was made, `randn(n, m) * 0.01`, is
no part of the network: those operations are taken off the tape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..words import GRADIENT
from . import source
from .absent import Absent
from .keeping import Lean
from .memory import behind, makers, rebuild
from .notes import Held, Ref
from .tape import Leaf, Tape


def adopt(tape: Tape, returned: Iterable[int] = ()) -> None:
    """Makes parameters of what the run made itself and descends from.

    returned: values that the run returned, which are left as they are.
    """
    if not tape.drew or not any([op[0].name in _STEPS for op in tape.ops]):  # a list is quicker
        return
    found = _Descents(tape).found
    if not found:
        return
    paths = _paths(tape, found)
    for id in found:
        held = paths.get(id, "")
        path = held if isinstance(held, tuple) else _said(tape, id) or held
        tape.leaves[id] = Leaf(id, "parameter", _name(path), path)
        if isinstance(tape.values[id], Absent):
            tape.values[id] = rebuild(tape.ops, makers(tape), tape.values, id)
    _take_off(tape, found, set(returned))


_STEPS = ("subtract", "add")


class _Descents:
    """Finds what the run descends from, and what that was made of."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.made: dict[int, Any] = {}  # by value, the operation that made it
        own = {id for id, leaf in tape.leaves.items() if leaf.call >= 0}
        self.found: dict[int, set[int]] = {}  # parameters, each with all that it was made of
        for op in tape.ops:
            _, out, ins, *_ = op
            if ins and all(i in own or not (i in self.made or i in tape.leaves) for i in ins):
                own.add(out)
            self.made[out] = op
            of = self._descends(op, own)
            if of is not None:
                self.found[of] = self.behind(of)

    def _descends(self, op: Any, own: set[int]) -> int | None:
        """What an operation takes a step from, if the run made that itself."""
        rule, out, ins, *_ = op
        if rule.name not in _STEPS or len(ins) != 2:
            return None
        if ins[0] not in own and self._unscaled(ins[0]) not in own:
            return None
        step = self.behind(ins[1])
        of = ins[0] if ins[0] in step else self._unscaled(ins[0])
        if of not in step or of not in own or of in self.found or not self._array(of, out):
            return None
        others = (step & self.tape.leaves.keys()) - self.behind(of)  # what it was trained on
        return of if others and self._by_gradient(step - self.behind(of)) else None

    def _by_gradient(self, step: Iterable[int]) -> bool:
        """Whether something in a step is called a gradient: else it may be a state that moves on."""
        for id in sorted(step, reverse=True):
            op = self.made.get(id)
            name = None if op is None else source.given_name(self.tape, op[4], op[5])
            if name is not None and GRADIENT.fullmatch(name.removesuffix(source.ITEM)):
                return True
        return False

    def _array(self, id: int, out: int) -> bool:
        data, new = self.tape.values[id], self.tape.values[out]
        shape = getattr(data, "shape", ())
        return bool(shape) and data.dtype.kind == "f" and shape == getattr(new, "shape", ())

    def _unscaled(self, id: int) -> int:
        """W of `W * (1 - decay)`."""
        op = self.made.get(id)
        if op is None or op[0].name != "multiply":
            return id
        arrays = [i for i in op[2] if np.ndim(self.tape.values[i])]
        return arrays[0] if len(arrays) == 1 else id

    def behind(self, id: int) -> set[int]:
        """A value and all that it was computed from."""
        return behind(id, lambda i: self.made[i][2] if i in self.made else ())


# ---------------------------------------------------------------------- names


def _paths(tape: Tape, wanted: Iterable[int]) -> dict[int, Any]:
    """Where calls had these values, in a container rather than alone: as `Leaf.path` has it."""
    found: dict[int, Any] = {}
    for note in tape.notes.of.values() if tape.notes is not None else ():
        for name, tree in (*note.args.items(), *note.final.items()):
            for id, path in _held(tree, name):
                if id in wanted and not isinstance(found.get(id), tuple):
                    found[id] = path
    return found


def _held(tree: Any, path: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(tree, Ref):
        yield tree.id, path
    elif isinstance(tree, Held):
        for name, item in tree.attributes.items():
            yield from _held(item, (path, f".{name}"))
    elif isinstance(tree, dict):
        for key, item in tree.items():
            yield from _held(item, (path, key))
    elif isinstance(tree, list):
        for i, item in enumerate(tree):
            yield from _held(item, (path, i))


def _name(path: Any) -> str:
    if not isinstance(path, tuple):
        return str(path)
    around, key = path
    return key.removeprefix(".") if isinstance(key, str) else f"{_name(around)}[{key!r}]"


def _said(tape: Tape, id: int) -> str | None:
    """What the code calls a value where it makes it."""
    made = makers(tape)
    while id in made and tape.ops[made[id]][0].name in ("write", "add_at"):
        id = tape.ops[made[id]][2][0]  # a new version of the same variable
    leaf = tape.leaves.get(id)
    if leaf is not None:
        call, lasti = leaf.call, leaf.lasti
    else:
        *_, call, lasti = tape.ops[made[id]]
    name = source.given_name(tape, call, lasti)
    return None if name is None else name.removesuffix(source.ITEM)


# ---------------------------------------------------------------------- the tape without it


def _take_off(tape: Tape, found: dict[int, set[int]], read: set[int]) -> None:
    """Takes off what made the parameters and nothing else that is `read`."""
    made_of = set().union(*found.values())
    kept: list[Any] = []
    for op in reversed(tape.ops):
        if op[1] not in found and (op[1] not in made_of or op[1] in read):
            kept.append(op)
            read.update(op[2])
    kept.reverse()
    stands = {id(op) for op in kept}
    before = [0]  # how many operations are left before each place
    for op in tape.ops:
        before.append(before[-1] + (id(op) in stands))
    for op in tape.ops:
        if id(op) not in stands and op[1] not in found:
            tape.values[op[1]] = None  # nobody can ask for it any more
    tape.ops[:] = kept
    if isinstance(tape.values, Lean):
        tape.values.gone_through()
    tape.makers = (-1, {})
    for visit in tape.visits:
        visit.start, visit.stop = before[visit.start], before[visit.stop]
    tape.left_at = {at: left._replace(ops=before[left.ops]) for at, left in tape.left_at.items()}
    for i in made_of - read - found.keys():
        tape.leaves.pop(i, None)
