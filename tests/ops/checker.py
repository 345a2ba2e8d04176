"""Holds the backward of a rule against central differences of its forward."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracenet.backward import _fitted
from tracenet.ops import Rule


def build(rule: Rule, example: tuple[Any, ...], seed: int = 0) -> tuple[list[Any], dict[str, Any]]:
    """The operands and settings of an example: shapes are drawn from the rule's domain."""
    rng = np.random.RandomState(seed)
    low, high = rule.domain
    told = isinstance(example[-1], dict)
    settings = example[-1] if told else {}
    operands = []
    for spec in example[: len(example) - told]:
        if isinstance(spec, tuple):
            size = int(np.prod(spec))
            grid = np.linspace(low, high, size + 2)[1:-1] if size else np.zeros(0)
            drawn = rng.permutation(grid + rng.uniform(-1, 1, grid.shape) * (high - low) / 1e3)
            operands.append(np.asarray(drawn.reshape(spec)))  # no two elements are equal
        else:
            operands.append(spec)
    return operands, settings


def gradient(rule: Rule, i: int, g: Any, out: Any, operands: list[Any], settings: Any) -> Any:
    """What the rule gives for operand i, brought to its shape as the replay does."""
    if rule.variadic:
        return _fitted(rule.backward(i, g, out, *operands, **settings), operands[i])
    return _fitted(rule.backward[i](g, out, *operands, **settings), operands[i])


def differences(
    rule: Rule, i: int, g: Any, operands: list[Any], settings: Any, step: float = 1e-6
) -> Any:
    """Central differences of sum(g * forward) with respect to operand i."""
    x = np.array(operands[i], dtype=float)
    made = np.zeros_like(x)

    def value(changed: Any) -> float:
        given = list(operands)
        given[i] = changed if isinstance(operands[i], np.ndarray) else float(changed)
        return float(np.sum(np.asarray(rule.forward(*given, **settings)) * g))

    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        made[index] = (value(above) - value(below)) / (2 * step)
    return made


def differentiable(x: Any) -> bool:
    """Whether an operand can have a gradient at all."""
    return x is not None and np.asarray(x).dtype.kind == "f"


def check(rule: Rule, example: tuple[Any, ...]) -> int:
    """Asserts that every gradient of an example is right; returns how many there were."""
    operands, settings = build(rule, example)
    out = rule.forward(*operands, **settings)
    g = np.random.RandomState(1).uniform(0.5, 1.5, np.shape(out))
    g = g if isinstance(out, np.ndarray) else float(g)
    checked = 0
    for i, x in enumerate(operands):
        function = rule.backward if rule.variadic else rule.backward[i]
        if function is None or not differentiable(x):
            continue
        got = gradient(rule, i, g, out, operands, settings)
        expected = differences(rule, i, g, operands, settings)
        assert np.shape(got) == np.shape(x), f"shape {np.shape(got)} for {np.shape(x)}"
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-8)
        checked += 1
    return checked
