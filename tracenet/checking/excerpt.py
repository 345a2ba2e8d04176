"""A piece of a trace that can be run again: with other values in it, and backwards.

The reference of a check is made here: the operations of a forward block, as they were recorded, are
replayed backwards by their own rules, from whatever gradients the hand-written backward was given.
Nothing of the user's is called, so nothing of theirs is disturbed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..backward import replay
from ..errors import NoRuleError
from ..ops import Rule
from ..recording.absent import Placed, restored
from ..recording.tape import Tape
from ..trace import Trace

STEP = 6e-6
"""The relative step of a central difference: the cube root of the precision of a float64."""


EPSILON = 1e-4
"""The largest constant that keeps a denominator or a logarithm from zero, and means nothing else."""


class Excerpt:
    """Some operations of a trace, in their order, with the values that they touch.

    ops: the numbers of the operations on the tape. values: the data of those values, by their
    numbers; `numerical` are the names of the operations without a rule, differentiated numerically.
    """

    def __init__(self, trace: Trace, ops: Iterable[int]) -> None:
        tape = trace._tape
        self.places = list(ops)
        self.ops = [tape.ops[k] for k in self.places]
        self.values: dict[int, Any] = {}
        self.made: dict[int, int] = {op[1]: place for place, op in enumerate(self.ops)}
        self.numerical: set[str] = set()
        for op in self.ops:
            for id in (*op[2], op[1]):
                if id not in self.values:
                    self.values[id] = trace.data(id)

    @property
    def inputs(self) -> list[int]:
        """The values that are read here and made elsewhere, in the order in which they are read."""
        read = dict.fromkeys(id for op in self.ops for id in op[2])
        return [id for id in read if id not in self.made]

    def rerun(
        self, given: Mapping[int, Any], within: Mapping[int, set[int]] | None = None,
        kept: Collection[int] = (),
    ) -> dict[int, Any]:  # fmt: skip
        """The values as they would be with some of them replaced by those in `given`.

        within: for a replaced value the places of the operations that still read what it was, as
        those of the block that returns it do. kept: values that stay as they were all the same.
        """
        values = {**self.values, **given}
        was = {id: self.values[id] for id in given if id in self.values}
        spared = within or {}
        changed, changed_was = set(given), set[int]()
        for place, (rule, out, ins, settings, *_) in zip(self.places, self.ops):
            old = {i for i in ins if i in was and place in spared.get(i, ())}
            fresh = not changed_was.isdisjoint(old) or not changed.isdisjoint(set(ins) - old)
            if not fresh or out in kept or (out in given and out not in spared):
                continue
            operands = [was[i] if i in old else values[i] for i in ins]
            result = forward(rule, operands, settings)
            if out in given:
                was[out] = result
                changed_was.add(out)
            else:
                values[out] = result
                changed.add(out)
        return values

    def pull(
        self,
        seeds: Mapping[int, Any],
        wanted: Iterable[int],
        values: Mapping[int, Any] | None = None,
    ) -> dict[int, Any]:
        """The gradient of each value on the way from `seeds`, gradients by value, to `wanted`."""
        values = self.values if values is None else values
        wanted = list(wanted)
        ids = list(dict.fromkeys([*self.values, *seeds, *wanted]))
        place = {id: k for k, id in enumerate(ids)}
        tape = Tape()
        tape.values = [values.get(id, seeds.get(id)) for id in ids]
        between = self._between(seeds, wanted)
        for rule, out, ins, settings, *_ in between:
            if rule.backward is None and rule.differentiable:
                self._rerunnable(rule, out, ins, settings, values)
        tape.ops = [
            (self._rule(rule), place[out], tuple([place[i] for i in ins]), settings, 0, -1)
            for rule, out, ins, settings, *_ in between
        ]
        data = tape.values.__getitem__
        own = {place[id]: fitting(seed, values.get(id)) for id, seed in seeds.items()}
        result = replay(tape, data, own, [place[id] for id in wanted if id in place])
        there = lambda g: restored(tape.values, g) if type(data(g)) is Placed else data(g)
        return {ids[k]: there(g) for k, g in result.gradients.items()}

    def _between(self, seeds: Iterable[int], wanted: Iterable[int]) -> list[Any]:
        """The operations by which what is wanted leads to a seed: others need no rule."""
        reached = set(wanted)
        for op in self.ops:
            if not reached.isdisjoint(op[2]):
                reached.add(op[1])
        leading, found = set(seeds), []
        for op in reversed(self.ops):
            if op[1] in leading and op[1] in reached:
                leading.update(op[2])
                found.append(op)
        return found[::-1]

    def _rerunnable(
        self, rule: Rule, out: int, ins: tuple[int, ...], settings: Any, values: Mapping[int, Any]
    ) -> None:
        """Makes sure that an operation without a rule can be differentiated numerically.

        It is called with its arrays alone; what it gives then must be what it gave in the run.
        """
        try:
            again = forward(rule, [values[i] for i in ins], settings)
            same = np.array_equal(again, values[out], equal_nan=True)
        except (TypeError, ValueError):
            same = False
        if not same:
            raise NoRuleError(
                f"{rule.name} has no backward rule, and cannot be run again by itself"
            )
        self.numerical.add(rule.name)

    def apart(self, within: set[int], ids: Iterable[int]) -> Excerpt:
        """The same with some values told apart where certain operations read them.

        within: the places of those operations on the tape. The gradient of `alias(id)` is then what
        comes by way of them, and that of `id` the rest.
        """
        other, ids = copy(self), set(ids)
        aliases = {id: self.alias(id) for id in ids}
        other.ops = [
            (op[0], op[1], tuple([aliases.get(i, i) for i in op[2]]), *op[3:])
            if k in within
            else op
            for k, op in zip(self.places, self.ops)
        ]
        other.values = {
            **self.values,
            **{aliases[i]: self.values[i] for i in ids if i in self.values},
        }
        return other

    @staticmethod
    def alias(id: int) -> int:
        """The number that a value has where it was told apart."""
        return -id - 1

    def with_rules(self, rules: Mapping[str, Rule]) -> Excerpt:
        """The same operations with other rules for some of them, by their names."""
        other = copy(self)
        other.ops = [(rules.get(op[0].name, op[0]), *op[1:]) for op in self.ops]
        return other

    def has_epsilon(self) -> bool:
        """Whether it reads a small constant, as in `log(p + 1e-8)` or `clip(p, 1e-7, 1 - 1e-7)`."""
        read = [self.values[id] for id in self.inputs]
        read += [x for op in self.ops for x in op[3].values()]
        return any(isinstance(x, float) and 0 < abs(x) <= EPSILON for x in read)

    def _rule(self, rule: Rule) -> Rule:
        if rule.backward is not None or not rule.differentiable:
            return rule
        return numerical(rule)


def forward(rule: Rule, operands: list[Any], settings: dict[str, Any]) -> Any:
    """Runs one operation again."""
    if rule.variadic:
        return rule.forward(*operands, **settings)
    return rule.forward(*operands[: len(rule.operands)], **settings)


def fitting(seed: Any, x: Any) -> Any:
    """A gradient to begin with, as an array of its value's shape where it is one."""
    if isinstance(x, np.ndarray):
        seed = np.asarray(seed)
        return np.array(np.broadcast_to(seed, x.shape), dtype=x.dtype) if seed.size else seed
    return seed


def numerical(rule: Rule) -> Rule:
    """The rule of an operation that has none: derivatives by central differences."""
    if rule.variadic:
        every = lambda i, g, out, *xs, **s: _differences(
            lambda x: rule.forward(*xs[:i], x, *xs[i + 1 :], **s), g, xs[i]
        )
        return replace(rule, backward=every, saves=())
    functions = tuple([partial(_one, rule, i) for i in range(len(rule.operands))])
    return replace(rule, backward=functions, saves=("",) * len(functions))


def _one(rule: Rule, i: int, g: Any, out: Any, *xs: Any, **settings: Any) -> Any:
    again = lambda x: rule.forward(*xs[:i], x, *xs[i + 1 : len(rule.operands)], **settings)
    return _differences(again, g, xs[i])


def _differences(function: Any, g: Any, x: Any) -> Any:
    """The gradient of sum(g * function(x)), one element of x after the other."""
    x = np.array(x, dtype=float)
    result = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        step = STEP * max(1.0, abs(x[at]))
        up, down = x.copy(), x.copy()
        up[at] += step
        down[at] -= step
        result[at] = np.sum(g * (np.asarray(function(up)) - function(down))) / (2 * step)
    return result
