"""Formulas say what was computed: what is transposed, what was zero, what is a gradient."""

from __future__ import annotations

import numpy as np

from tracenet import tracer
from tracenet.diagram import plain
from tracenet.formulas import Formulas


def lines(trace):
    formulas = Formulas(trace)
    found = {plain(formulas.line(id)) for id, value in trace.values.items() if value.name}
    return found - {""}


def transposing(x, parameters):
    y = (parameters["W1"] @ x).T
    z = np.reshape(y.T, (3, 4)).T @ parameters["W2"]
    loss = np.sum(z)
    return loss


def test_a_product_that_is_transposed_stands_in_parentheses():
    args = np.ones((2, 4)), {"W1": np.ones((3, 2)), "W2": np.ones((3, 2))}
    trace = tracer.trace(transposing, *args).backward()
    found = lines(trace)
    assert "y = (W[1] x)T" in found
    assert "z = y W[2]" in found  # transposed twice, and transposed once more
    assert "dW[2] = yT dz" in found


def accumulating(x, target, parameters):
    grads = {name: np.zeros_like(value) for name, value in parameters.items()}
    h = np.zeros((3, 1))
    for _ in range(2):
        h = np.tanh(parameters["Wx"] @ x + h)
        dh = h - target
        grads["Wx"] += dh @ x.T
        grads["by"] += dh[:2]
    return grads


def test_gradients_under_the_names_of_the_parameters_are_called_gradients():
    x, target = np.ones((2, 1)), np.zeros((3, 1))
    trace = tracer.trace(accumulating, x, target, {"Wx": np.ones((3, 2)), "by": np.ones((2, 1))})
    found = lines(trace)
    assert "dWx = 0 + dh xT" in found and "dWx = dWx + dh xT" in found
    assert "dby = 0 + dh[:2]" in found
    assert {"dWx", "dby"} <= trace.names
    assert not {line for line in found if line.startswith(("Wx =", "by ="))}
