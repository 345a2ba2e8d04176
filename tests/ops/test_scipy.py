"""Functions of SciPy, where it is installed: the rules compute what it computes, and are found."""

import importlib

import numpy as np
import pytest

from tests.differences import numerical
from tests.ops.checker import build
from tracenet import tracer
from tracenet.ops import BY_NAME

pytest.importorskip("scipy")
NAMED = [rule for name, rule in BY_NAME.items() if name.startswith("scipy.")]
EXAMPLES = [(rule, example) for rule in NAMED for example in rule.examples]
EVEN = [
    (BY_NAME[f"scipy.signal.{name}"], ((4, 5), shape, {"mode": mode}))
    for name in ("convolve2d", "correlate2d", "convolve", "correlate", "fftconvolve")
    for shape in ((2, 2), (4, 3), (1, 5)) for mode in ("full", "same", "valid")
]  # fmt: skip


def scipy_function(rule):
    library, _, name = rule.name.rpartition(".")
    return getattr(importlib.import_module(library), name)


@pytest.mark.parametrize(("rule", "example"), EXAMPLES + EVEN)
def test_a_rule_computes_what_scipy_does(rule, example):
    operands, settings = build(rule, example)
    ours = rule.forward(*operands, **settings)
    theirs = scipy_function(rule)(*operands, **settings)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("sizes", [(5, 2), (5, 4), (2, 5), (4, 4)])
def test_numpy_cuts_its_modes_as_the_rule_does(name, sizes):
    rng = np.random.RandomState(0)
    x, y = (rng.randn(n) for n in sizes)
    for mode in ("full", "same", "valid"):
        ours = BY_NAME[name].forward(x, y, mode=mode)
        np.testing.assert_allclose(ours, getattr(np, name)(x, y, mode), err_msg=mode)


PROGRAM = """
    import scipy.signal
    from scipy import signal, special
    from scipy.special import erf, expit as sigmoid, logsumexp
    import math

    def loss(x, k, w):
        h = np.zeros((2, 4, 4))
        for i in range(2):
            h[i] = signal.correlate2d(x, k[i], mode="valid")
        back = scipy.signal.convolve2d(h[0], k[1], "full")
        a = sigmoid(h) * special.softmax(back[:4, :4], axis=1)
        total = logsumexp(a @ w) + np.sum(erf(w)) + math.erf(w[0])
        return total + signal.fftconvolve(in1=x, in2=k[0], mode="same").sum() ** 2
"""


def test_a_program_with_scipy_stays_connected(program):
    module = tracer.load(program({"net.py": PROGRAM}) / "net.py")
    rng = np.random.RandomState(0)
    args = rng.randn(5, 5), rng.randn(2, 2, 2), rng.randn(4)
    trace = tracer.trace(module.loss, *args)
    assert trace.result == module.loss(*args) and not trace.left
    trace.backward(wrt=["x", "k", "w"])
    for name, array in zip("xkw", args):
        expected = numerical(lambda: module.loss(*args), array)
        np.testing.assert_allclose(trace.gradient(name), expected, rtol=1e-6, atol=1e-8)
    assert module.signal is importlib.import_module("scipy.signal")


def test_edges_that_have_no_rule_say_so(program):
    text = """
        from scipy import signal
        def loss(x, k):
            return np.sum(signal.convolve2d(x, k, mode="same", boundary="wrap"))
    """
    module = tracer.load(program({"net.py": text}) / "net.py")
    trace = tracer.trace(module.loss, np.ones((3, 3)), np.ones((2, 2)))
    with pytest.raises(Exception, match=r"boundary='wrap', .* pad the array with np.pad"):
        trace.backward()
