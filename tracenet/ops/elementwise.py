"""Elementwise operations: arithmetic, powers, exponentials, choices.

The gradient of each operand has the shape of the output; broadcasting is undone by the replay.
Where two operands of `maximum` are equal each gets half of the gradient, as each of two equal
elements of `np.max` does.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .table import ADAPT, ATOM, BY_NAME, POWER, PRODUCT, SUM, rule, unbroadcast

PAIRS = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (3, 2)),
    ((2, 3), 1.5),
    (0.5, (2, 3)),
    (0.7, 1.3),
]
ONE = [((3, 4),), ((),), (0.7,)]


def unary(
    name: str, function: Any, derivative: Any, saves: str, formula: str, mirror: str, **more: Any
) -> None:
    """A rule of one operand with an elementwise derivative."""
    more = {"examples": ONE, **more}
    rule(
        name, function, "x", backward=(derivative,), saves=(saves,), formula=formula,
        mirrors=(mirror,), **more,
    )  # fmt: skip


rule(
    "add", np.add, "x y",
    backward=(lambda g, out, x, y: g, lambda g, out, x, y: g),
    saves=("", ""), formula="{x} + {y}", mirrors=("{g}", "{g}"), binds=SUM, mirror_binds=ATOM,
    examples=PAIRS,
)  # fmt: skip


def _less(g: Any, y: Any) -> Any:
    """-g, summed first where y was stretched: fewer numbers are negated then."""
    return -(unbroadcast(g, y.shape) if type(g) is type(y) is np.ndarray else g)


rule(
    "subtract", np.subtract, "x y",
    backward=(lambda g, out, x, y: g, lambda g, out, x, y: _less(g, y)),
    saves=("", ""), formula="{x} − {y}", mirrors=("{g}", "−{g}"), binds=SUM, examples=PAIRS,
)  # fmt: skip
rule(
    "multiply", np.multiply, "x y",
    backward=(lambda g, out, x, y: g * y, lambda g, out, x, y: g * x),
    saves=("y", "x"), formula="{x} ⊙ {y}", mirrors=("{g} ⊙ {y}", "{g} ⊙ {x}"), binds=PRODUCT,
    examples=PAIRS,
)  # fmt: skip


def _denominator(g: Any, out: Any, x: Any, y: Any) -> Any:
    """-g out / y, summed before it is divided where y was stretched."""
    made = g * out
    return (unbroadcast(made, y.shape) if type(made) is type(y) is np.ndarray else made) / -y


rule(
    "divide", np.divide, "x y",
    backward=(lambda g, out, x, y: g / y, _denominator),
    saves=("y", "y out"), formula="{x} / {y}", mirrors=("{g} / {y}", "−{g} ⊙ {out} / {y}"),
    binds=PRODUCT, domain=(0.5, 2.0), examples=PAIRS,
)  # fmt: skip


def _power_base(g: Any, out: Any, x: Any, y: Any) -> Any:
    """y x^(y-1); 0 where y is 0, also at x = 0, since x^0 is 1 everywhere."""
    if type(y) is int or type(y) is float:
        if y == 2:
            return g * (x + x)
        return g * (y * x ** (y - 1)) if y else g * 0
    return g * np.where(y == 0, 0, y * np.power(x, np.where(y == 0, 1, y - 1)))


def _power_exponent(g: Any, out: Any, x: Any, y: Any) -> Any:
    """x^y log x; 0 where x is not positive: there the power is defined for whole y only."""
    logarithm = np.log(np.where(np.greater(x, 0), x, 1))
    return g * out * logarithm.astype(getattr(out, "dtype", float))


rule(
    "power", np.power, "x y",
    backward=(_power_base, _power_exponent), saves=("x y", "x out"),
    formula="{x}^{y}", mirrors=("{g} ⊙ {y} {x}^{y}⁻¹", "{g} ⊙ {out} ⊙ log({x})"), binds=POWER,
    domain=(0.5, 2.0), aliases=(np.float_power,), examples=[*PAIRS, ((3, 4), 2), ((3,), 3)],
)  # fmt: skip
rule(
    "remainder", np.remainder, "x y",
    backward=(lambda g, out, x, y: g, lambda g, out, x, y: -g * np.floor_divide(x, y)),
    saves=("", "x y"), formula="{x} mod {y}", mirrors=("{g}", "−{g} ⊙ ⌊{x} / {y}⌋"),
    binds=PRODUCT, domain=(0.6, 0.9), examples=[((3, 4), (3, 4)), ((2, 3), 0.55)],
)  # fmt: skip

unary("negative", np.negative, lambda g, out, x: -g, "", "−{x}", "−{g}", binds=PRODUCT)
unary("positive", np.positive, lambda g, out, x: g, "", "{x}", "{g}", mirror_binds=ATOM)
unary("square", np.square, lambda g, out, x: g * (x + x), "x", "{x}²", "2 {g} ⊙ {x}", binds=POWER)
unary(
    "sqrt",
    np.sqrt,
    lambda g, out, x: g / (2 * out),
    "out",
    "√({x})",
    "{g} / (2 {out})",
    domain=(0.5, 2),
)
unary(
    "cbrt",
    np.cbrt,
    lambda g, out, x: g / (3 * out * out),
    "out",
    "∛({x})",
    "{g} / (3 {out}²)",
    domain=(0.5, 2),
)
unary("reciprocal", np.reciprocal, lambda g, out, x: -g * out * out, "out", "1 / {x}", "−{g} ⊙ {out}²",
      binds=PRODUCT, domain=(0.5, 2))  # fmt: skip
unary("absolute", np.absolute, lambda g, out, x: g * np.sign(x), "x", "|{x}|", "{g} ⊙ sign({x})",
      aliases=(np.fabs,), domain=(0.2, 2))  # fmt: skip
unary("exp", np.exp, lambda g, out, x: g * out, "out", "exp({x})", "{g} ⊙ {out}")
unary(
    "exp2",
    np.exp2,
    lambda g, out, x: g * (out * np.log(2).astype(out.dtype)),
    "out",
    "2^{x}",
    "{g} ⊙ {out} log 2",
)
unary(
    "expm1",
    np.expm1,
    lambda g, out, x: g * (out + 1),
    "out",
    "exp({x}) − 1",
    "{g} ⊙ ({out} + 1)",
    binds=SUM,
)
unary("log", np.log, lambda g, out, x: g / x, "x", "log({x})", "{g} / {x}", domain=(0.5, 2))
unary("log2", np.log2, lambda g, out, x: g / (x * 0.6931471805599453), "x", "log₂({x})",
      "{g} / ({x} log 2)", domain=(0.5, 2))  # fmt: skip
unary("log10", np.log10, lambda g, out, x: g / (x * 2.302585092994046), "x", "log₁₀({x})",
      "{g} / ({x} log 10)", domain=(0.5, 2))  # fmt: skip
unary(
    "log1p",
    np.log1p,
    lambda g, out, x: g / (1 + x),
    "x",
    "log(1 + {x})",
    "{g} / (1 + {x})",
    domain=(0.1, 2),
)


@cache
def _one(dtype: Any) -> Any:
    """1 as an array: to make one of the number takes NumPy twice as long as a small operation."""
    one = np.ones((), dtype)
    one.flags.writeable = False
    return one


def _tanh(g: Any, out: Any, x: Any) -> Any:
    """g (1 - out²), in one new array."""
    made = out * out
    if type(made) is not np.ndarray:
        return g * (1 - made)
    np.subtract(_one(made.dtype), made, made)
    made *= g
    return made


unary(
    "tanh",
    np.tanh,
    _tanh,
    "out",
    "tanh({x})",
    "{g} ⊙ (1 − {out}²)",
)
unary("sin", np.sin, lambda g, out, x: g * np.cos(x), "x", "sin({x})", "{g} ⊙ cos({x})")
unary("cos", np.cos, lambda g, out, x: -g * np.sin(x), "x", "cos({x})", "−{g} ⊙ sin({x})")
unary(
    "tan",
    np.tan,
    lambda g, out, x: g * (1 + out * out),
    "out",
    "tan({x})",
    "{g} ⊙ (1 + {out}²)",
    domain=(-1, 1),
)
unary("sinh", np.sinh, lambda g, out, x: g * np.cosh(x), "x", "sinh({x})", "{g} ⊙ cosh({x})")
unary("cosh", np.cosh, lambda g, out, x: g * np.sinh(x), "x", "cosh({x})", "{g} ⊙ sinh({x})")
unary("arcsin", np.arcsin, lambda g, out, x: g / np.sqrt(1 - x * x), "x", "arcsin({x})",
      "{g} / √(1 − {x}²)", domain=(-0.8, 0.8))  # fmt: skip
unary("arccos", np.arccos, lambda g, out, x: -g / np.sqrt(1 - x * x), "x", "arccos({x})",
      "−{g} / √(1 − {x}²)", domain=(-0.8, 0.8))  # fmt: skip
unary(
    "arctan", np.arctan, lambda g, out, x: g / (1 + x * x), "x", "arctan({x})", "{g} / (1 + {x}²)"
)


unary("arcsinh", np.arcsinh, lambda g, out, x: g / np.sqrt(x * x + 1), "x", "arcsinh({x})",
      "{g} / √({x}² + 1)")  # fmt: skip
unary("arccosh", np.arccosh, lambda g, out, x: g / np.sqrt(x * x - 1), "x", "arccosh({x})",
      "{g} / √({x}² − 1)", domain=(1.5, 3), examples=[((3, 4),), ((),), (1.7,)])  # fmt: skip
unary("arctanh", np.arctanh, lambda g, out, x: g / (1 - x * x), "x", "arctanh({x})",
      "{g} / (1 − {x}²)", domain=(-0.8, 0.8))  # fmt: skip

rule(
    "arctan2", np.arctan2, "x y",
    backward=(
        lambda g, out, x, y: g * y / (x * x + y * y),
        lambda g, out, x, y: -g * x / (x * x + y * y),
    ),
    saves=("x y", "x y"), formula="arctan2({x}, {y})",
    mirrors=("{g} ⊙ {y} / ({x}² + {y}²)", "−{g} ⊙ {x} / ({x}² + {y}²)"), domain=(0.5, 2),
    examples=PAIRS,
)  # fmt: skip
rule(
    "hypot", np.hypot, "x y",
    backward=(lambda g, out, x, y: g * x / out, lambda g, out, x, y: g * y / out),
    saves=("x out", "y out"), formula="√({x}² + {y}²)",
    mirrors=("{g} ⊙ {x} / {out}", "{g} ⊙ {y} / {out}"), domain=(0.5, 2), examples=PAIRS,
)  # fmt: skip
rule(
    "logaddexp", np.logaddexp, "x y",
    backward=(
        lambda g, out, x, y: g * np.exp(x - out),
        lambda g, out, x, y: g * np.exp(y - out),
    ),
    saves=("x out", "y out"), formula="log(exp({x}) + exp({y}))",
    mirrors=("{g} ⊙ exp({x} − {out})", "{g} ⊙ exp({y} − {out})"), examples=PAIRS,
)  # fmt: skip


def _share(wins: Any, x: Any, y: Any, g: Any) -> Any:
    """The gradient where an operand was chosen; half of it where both were equal."""
    chosen = wins(x, y)
    equal = np.equal(x, y)
    if np.any(equal):
        return g * np.where(equal, 0.5, chosen).astype(g.dtype if hasattr(g, "dtype") else float)
    return g * chosen


for _name, _function, _first, _second, _sign in (
    ("maximum", np.maximum, np.greater, np.less, ">"),
    ("minimum", np.minimum, np.less, np.greater, "<"),
):
    rule(
        _name, _function, "x y",
        backward=(
            lambda g, out, x, y, wins=_first: _share(wins, x, y, g),
            lambda g, out, x, y, wins=_second: _share(wins, x, y, g),
        ),
        saves=("x y", "x y"), formula=_name[:3] + "({x}, {y})",
        mirrors=(
            "{g} ⊙ [{x} " + _sign + " {y}]",
            "{g} ⊙ [{y} " + _sign + " {x}]",
        ),
        aliases=(np.fmax,) if _name == "maximum" else (np.fmin,), examples=PAIRS,
    )  # fmt: skip


def _clip_low(g: Any, out: Any, x: Any, low: Any, high: Any) -> Any:
    if low is None:
        return 0 * g
    inside = True if high is None else np.less_equal(low, high)  # where they cross, high wins
    return g * (np.less(x, low) & inside)


def _clip_high(g: Any, out: Any, x: Any, low: Any, high: Any) -> Any:
    if high is None:
        return 0 * g
    crossed = False if low is None else np.greater(low, high)
    return g * (np.greater(x, high) | crossed)


def _clip_inside(g: Any, out: Any, x: Any, low: Any, high: Any) -> Any:
    """The edges belong to the inside, as in the derivative that autograd and torch take."""
    inside = np.equal(out, x)
    if low is not None and high is not None:
        inside &= np.less_equal(low, high)
    return g * inside


rule(
    "clip", np.clip, "x low high",
    backward=(_clip_inside, _clip_low, _clip_high), saves=("x out low high", "x low high", "x low high"),
    formula="clip({x}, {low}, {high})",
    mirrors=("{g} ⊙ [{low} ≤ {x} ≤ {high}]", "{g} ⊙ [{x} < {low}]", "{g} ⊙ [{x} > {high}]"),
    methods=("clip",),
    examples=[
        ((3, 4), -0.7, 0.8), ((3, 4), None, 0.8), ((2, 3), (3,), 1.9), ((3, 4), 0.6, -0.4),
        ((3, 4), (3, 4), (3, 4)),
    ],
)  # fmt: skip


def _adapt_clip(args: Any, kwargs: Any) -> Any:
    """np.clip, whose limits are called a_min and a_max, or min and max."""
    kwargs = {k: v for k, v in kwargs.items() if k not in ("out", "dtype", "casting")}
    given = dict(zip(("a", "a_min", "a_max"), args)) | kwargs
    low, high = (
        given.get(long, given.get(short)) for long, short in (("a_min", "min"), ("a_max", "max"))
    )
    return BY_NAME["clip"], [given["a"], low, high], {}


ADAPT[np.clip] = _adapt_clip
rule(
    "where", np.where, "c x y",
    backward=(
        None,
        lambda g, out, c, x, y: np.where(c, g, np.zeros_like(g)),
        lambda g, out, c, x, y: np.where(c, np.zeros_like(g), g),
    ),
    saves=("", "c", "c"), formula="where({c}, {x}, {y})",
    mirrors=("", "{g} ⊙ [{c}]", "{g} ⊙ [not {c}]"),
    examples=[(np.array([[True, False, True]]), (3, 3), (3,)), (np.array([True, False]), (2,), 0.5)],
)  # fmt: skip
rule(
    "nan_to_num", np.nan_to_num, "x",
    backward=(lambda g, out, x, **settings: g * np.isfinite(x),), saves=("x",),
    settings=("copy", "nan", "posinf", "neginf"), formula="nan_to_num({x})",
    mirrors=("{g} ⊙ [{x} finite]",), examples=[((3, 4),)],
)  # fmt: skip

for _name, _text in {
    "sign": "sign({x})", "floor": "⌊{x}⌋", "ceil": "⌈{x}⌉", "rint": "round({x})",
    "trunc": "trunc({x})",
}.items():  # fmt: skip
    rule(_name, getattr(np, _name), "x", differentiable=False, formula=_text, examples=ONE)
rule("round", np.round, "x", differentiable=False, settings=("decimals",), formula="round({x})",
     methods=("round",), examples=ONE)  # fmt: skip
rule(
    "floor_divide",
    np.floor_divide,
    "x y",
    differentiable=False,
    formula="⌊{x} / {y}⌋",
    examples=PAIRS,
)
