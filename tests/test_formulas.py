"""Formulas say what was computed: what is transposed, what was zero, what is a gradient."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.networks import dict_cache
from tracenet import tracer
from tracenet.diagram import plain
from tracenet.formulas import Formulas

ROOT = Path(__file__).parent.parent


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


def test_every_formula_of_a_backward_block_by_the_book_and_the_cost_are_whole():
    trace = tracer.trace(dict_cache.step, *dict_cache.step_example())
    boxes = {n.name: [plain(line) for line in n.lines] for n in trace.diagram().nodes if n.lines}
    assert boxes["cost_of"] == ["cost = −Σ (Y ⊙ log(A[2]) + (1 − Y) ⊙ log(1 − A[2])) / 5"]
    assert boxes["layer 1 backward"] == [
        "dA[1] = W[2]T dZ[2]", "dZ[1] = dA[1] ⊙ (1 − (A[1])2)", "dW[1] = dZ[1] XT / 5",
        "db[1] = Σ dZ[1] / 5",
    ]  # fmt: skip


def test_where_formulas_are_left_out_it_is_said_and_those_of_parameters_stay():
    def forward(x, W):
        h = W @ x
        return np.sum(h**2), h

    def backward(h, x, W):
        dh = 2 * h
        dk = dh * 1.0
        dl = dk + 0.0
        dm = 1.0 * dl
        dW = dm @ x.T
        dx = W.T @ dm
        return dx, dW

    def step(x, W):
        loss, h = forward(x, W)
        return loss, backward(h, x, W)

    trace = tracer.trace(step, np.ones((3, 2)), np.ones((2, 3)))
    lines = next([plain(x) for x in n.lines] for n in trace.diagram().nodes if n.kind == "backward")
    assert len(lines) == 5 and "…" in lines
    assert any(line.startswith("dW = ") for line in lines) and lines[-1].startswith("dx = ")


def test_each_time_step_has_the_gradients_of_the_parameters():
    module = tracer.load(ROOT / "examples" / "rnn.py")
    trace = tracer.trace_call(module, "loss(inputs, targets, h0, parameters)")
    nodes = trace.diagram().nodes
    ends = [n for n in nodes if n.kind == "backward" and plain(n.title).startswith("rnn_step")]
    starts = [[re.sub(r"(\[\d+\]|\d+)? = .*", "", plain(x)) for x in n.lines] for n in ends]
    assert starts == [["dz", "dWx", "dWh", "db", "dh"], ["dz", "dWx", "dWh", "db"]]
