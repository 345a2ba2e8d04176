"""The table of rules: what tracenet knows of each operation.

A `Rule` is one entry: the NumPy function it stands for, which arguments are arrays, how the
gradient goes backwards, what that needs to have been saved, how both are written as formulas,
and examples that the tests hold against finite differences.

Backward functions take the gradient of the output first, then the output, then the operands,
then the settings by name, and return the gradient of *one* operand. They need not undo
broadcasting: the replay sums a gradient over the axes along which its operand was stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Backward = Callable[..., Any]


class AtPlaces(tuple[Any, ...]):
    """The backward of a rule that reads or writes some places of its first operand.

    A replay need not call it: it does the same in place, on a gradient that nobody else holds.
    """

    __slots__ = ()


# How tightly a formula binds; operands that bind less tightly are put in parentheses.
LOOSE, SUM, PRODUCT, POWER, ATOM = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One operation.

    name: what the op is called in a trace, `"multiply"`.
    forward: called with the operands' data and the settings.
    operands: the names of the array arguments, in order. A single name that starts with `*`
        (`"*arrays"`) means that the first argument is a sequence of arrays.
    settings: the names of the positional arguments after the operands, in NumPy's order.
    backward: one function per operand, `f(g, out, *operands, **settings)`; for `"*arrays"` one
        function `f(i, g, out, *arrays, **settings)` for the i-th array. None: no gradient flows
        (comparisons, argmax); a rule without `backward` at all has `backward=None`.
    saves: for each operand, the names of the values that its backward reads besides the
        gradient and shapes and dtypes: `"y"`, `"out"`, `"x out"`, or `""`.
    formula: the forward as a formula, with `{x}` for operand x and `{axis}` for a setting.
    mirrors: the formula of each operand's gradient, with `{g}` for the gradient of the output.
    binds: `SUM`, `PRODUCT`, `POWER` or `ATOM`, of `formula`; `mirror_binds` of `mirrors`.
    view: the result may share memory with the first operand.
    differentiable: False for operations whose derivative is zero wherever it exists.
    methods: names of the ndarray methods that do the same, with the function's settings in order.
    aliases: other functions that do the same with the same arguments.
    domain: where the tests draw the operands from.
    examples: operand shapes (or literal values) with an optional dict of settings last:
        `((3, 4), (4,))`, `((3, 4), {"axis": 0})`. A shape is a tuple; `()` is a scalar array;
        a float is that number; anything else is passed as it is.
    """

    name: str
    forward: Callable[..., Any]
    operands: tuple[str, ...]
    backward: tuple[Backward | None, ...] | Backward | None = None
    saves: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    formula: str = ""
    mirrors: tuple[str, ...] = ()
    binds: int = ATOM
    mirror_binds: int = PRODUCT
    view: bool = False
    differentiable: bool = True
    methods: tuple[str, ...] = ()
    aliases: tuple[Callable[..., Any], ...] = ()
    domain: tuple[float, float] = (-2.0, 2.0)
    examples: Sequence[tuple[Any, ...]] = ()

    def __repr__(self) -> str:
        return f"<rule {self.name}>"

    @property
    def variadic(self) -> bool:
        """Whether the first argument is a sequence of arrays."""
        return self.operands[0].startswith("*")

    def reads(self, i: int, ins: tuple[int, ...], out: int) -> list[int]:
        """The values that the backward of operand i reads besides the gradient, by their numbers.

        ins, out: the numbers of the operands and of the output.
        """
        if self.variadic:
            words = self.saves[0].split() if self.saves else []
            return [
                *(ins if self.operands[0].lstrip("*") in words else ()),
                *([out] if "out" in words else ()),
            ]
        words = self.saves[i].split() if i < len(self.saves) else []
        return [out if w == "out" else ins[self.operands.index(w)] for w in words]


RULES: dict[Any, Rule] = {}
"""The rule of each function that has one."""

METHODS: dict[str, Rule] = {}
"""The rule of each ndarray method that has one."""

BY_NAME: dict[str, Rule] = {}
"""The rules by name, as a saved trace refers to them."""


def rule(name: str, forward: Callable[..., Any], operands: str, **fields: Any) -> Rule:
    """Enters a rule into the table; `operands` is a string such as `"x y"`."""
    entry = Rule(name, forward, tuple(operands.split()), **fields)
    if name in BY_NAME:
        raise ValueError(f"two rules are called {name!r}: give the second one another name")
    BY_NAME[name] = entry
    for function in (forward, *entry.aliases):
        RULES[function] = entry
    for method in entry.methods:
        METHODS[method] = entry
    return entry


FOREIGN: dict[str, Rule] = {}
"""The rules of functions of other libraries: ufuncs by their names, others as `"scipy.signal.x"`."""

ADAPT: dict[Any, Callable[[Any, Any], tuple[Rule, Sequence[Any], dict[str, Any]]]] = {}
"""For functions whose arguments are in another order than their rule's: how to put them in order.

From args and kwargs to rule, operands and settings.
"""


_add: Callable[..., Any] = np.add.reduce  # its keywords cost more than the sum of a small array


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sums a gradient over the axes along which an operand of `shape` was stretched."""
    have = g.shape
    if have == shape:
        return g
    extra = len(have) - len(shape)
    if extra > 0:
        g = _add(g, tuple(range(extra)))
        have = g.shape
    elif extra < 0:
        return g
    if len(shape) == 2 and have[0] == shape[0]:
        return _add(g, 1, None, None, True) if have[1] != shape[1] else g
    stretched = tuple([i for i, n in enumerate(shape) if n == 1 and have[i] != 1])
    return _add(g, stretched, None, None, True) if stretched else g


MIXING = {
    "sum", "mean", "max", "min", "prod", "var", "std", "norm", "cumsum", "cumprod", "sort",
    "matmul", "dot", "einsum", "tensordot", "outer", "inner", "convolve", "correlate", "det", "inv",
    *(f"scipy.special.{name}" for name in ("logsumexp", "softmax", "log_softmax")),
    *(f"scipy.signal.{name}" for name in ("convolve", "correlate", "convolve2d", "correlate2d")),
    "scipy.signal.fftconvolve", "scipy.signal.oaconvolve",
}  # fmt: skip
"""Operations that mix elements: a function with one has a Jacobian and no f′."""
