"""Every rule in the table, every example: against finite differences, and true to what it says."""

import dataclasses

import numpy as np
import pytest

from tests.ops.checker import build, check, differentiable, gradient
from tracenet.ops import BY_NAME, Rule, unbroadcast

RULES = list(BY_NAME.values())
SMOOTH = [rule for rule in RULES if rule.backward is not None]
EXAMPLES = [(rule, example) for rule in SMOOTH for example in rule.examples]
IDS = [f"{rule.name}-{i}" for rule in SMOOTH for i, _ in enumerate(rule.examples)]


@pytest.mark.parametrize(("rule", "example"), EXAMPLES, ids=IDS)
def test_gradient_is_that_of_finite_differences(rule, example):
    assert check(rule, example) > 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_complete(rule):
    assert rule.examples, "an op without examples is an op without tests"
    if rule.backward is None:
        assert not rule.differentiable
        operands, settings = build(rule, rule.examples[0])
        rule.forward(*operands, **settings)
        return
    count = 1 if rule.variadic else len(rule.operands)
    assert len(rule.saves) == len(rule.mirrors) == count
    assert rule.variadic or len(rule.backward) == count
    known = {name.lstrip("*") for name in rule.operands} | {"out"}
    assert {word for saved in rule.saves for word in saved.split()} <= known
    assert rule.formula


def garbage(x):
    """Something of the same shape and dtype that no right answer can come from."""
    if isinstance(x, np.ndarray):
        return np.full(x.shape, np.nan if x.dtype.kind == "f" else 1, x.dtype)
    return float("nan") if isinstance(x, float) else x


@pytest.mark.parametrize(("rule", "example"), EXAMPLES, ids=IDS)
def test_only_what_is_saved_is_read(rule, example):
    operands, settings = build(rule, example)
    out = rule.forward(*operands, **settings)
    g = np.ones(np.shape(out)) if isinstance(out, np.ndarray) else 1.0
    for i, x in enumerate(operands):
        function = rule.backward if rule.variadic else rule.backward[i]
        if function is None or not differentiable(x):
            continue
        saved = rule.saves[0 if rule.variadic else i].split()
        names = rule.operands if not rule.variadic else [rule.operands[0][1:]] * len(operands)
        given = [y if name in saved else garbage(y) for name, y in zip(names, operands)]
        kept = out if "out" in saved else garbage(out)
        expected = gradient(rule, i, g, out, operands, settings)
        np.testing.assert_array_equal(gradient(rule, i, g, kept, given, settings), expected)


@pytest.mark.parametrize(("rule", "example"), EXAMPLES, ids=IDS)
def test_single_precision_stays_single(rule, example):
    operands, settings = build(rule, example)
    single = lambda x: (
        x.astype(np.float32) if differentiable(x) and isinstance(x, np.ndarray) else x
    )
    operands = [single(x) for x in operands]
    out = rule.forward(*operands, **settings)
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        return  # Python numbers alone, or a rule that was told a dtype
    g = np.ones(out.shape, np.float32)
    for i, x in enumerate(operands):
        function = rule.backward if rule.variadic else rule.backward[i]
        if function is not None and isinstance(x, np.ndarray) and differentiable(x):
            got = function(i, g, out, *operands, **settings) if rule.variadic else function(
                g, out, *operands, **settings)  # fmt: skip
            assert np.asarray(got).dtype == np.float32, rule.name


def test_the_checker_finds_a_planted_fault():
    good = BY_NAME["divide"]
    wrong = dataclasses.replace(
        good, backward=(good.backward[0], lambda g, out, x, y: g * out / y)
    )  # fmt: skip
    with pytest.raises(AssertionError):
        check(wrong, ((3, 4), (3, 4)))
    flat = dataclasses.replace(
        BY_NAME["matmul"], backward=(BY_NAME["matmul"].backward[0], lambda g, out, x, y: x @ g)
    )
    with pytest.raises(AssertionError):
        check(flat, ((3, 3), (3, 3)))


def test_ties_share_the_gradient():
    x = np.array([1.0, 2.0, 2.0])
    largest: Rule = BY_NAME["max"]
    assert np.array_equal(gradient(largest, 0, 1.0, np.max(x), [x], {}), [0, 0.5, 0.5])
    pair = BY_NAME["maximum"]
    zero = np.zeros(2)
    assert np.array_equal(gradient(pair, 0, np.ones(2), zero, [zero, zero], {}), [0.5, 0.5])


def test_edges_of_domains():
    power, norm, std = BY_NAME["power"], BY_NAME["norm"], BY_NAME["std"]
    x = np.array([0.0, 2.0, -1.0])
    assert np.array_equal(gradient(power, 0, np.ones(3), x**2, [x, 2], {}), 2 * x)
    assert np.array_equal(gradient(power, 0, np.ones(3), x**0, [x, 0], {}), np.zeros(3))
    zero = np.zeros(3)
    assert np.array_equal(gradient(norm, 0, 1.0, np.linalg.norm(zero), [zero], {}), zero)
    assert np.array_equal(gradient(std, 0, 1.0, np.std(zero), [zero], {}), zero)


def test_unbroadcast():
    g = np.ones((5, 3, 4))
    assert unbroadcast(g, (5, 3, 4)) is g
    assert np.array_equal(unbroadcast(g, (3, 1)), np.full((3, 1), 20.0))
    assert unbroadcast(g, ()) == 60
