"""Every published example in tests/truths, reproduced forward and backward through the tracer."""

import math

import numpy as np
import pytest

from tests.networks import course, recurrent
from tests.truth import TRUTHS, close, truth
from tracenet import tracer


def seen(trace, name):
    """A recorded value by the name that the code gives it."""
    close(trace[name], trace.data(trace.value(name).id))
    return trace[name]


def test_every_example_is_tested():
    tested = {
        "mazur", "ng_graph", "micrograd", "cs231n_product", "cs231n_max", "cs231n_sigmoid",
        "cs231n_affine_forward", "cs231n_relu_forward", "cs231n_rnn_step_forward",
        "coursera_linear_forward", "coursera_linear_activation_forward",
        "coursera_L_model_forward", "coursera_cost", "coursera_linear_backward",
        "coursera_linear_activation_backward", "coursera_L_model_backward",
    }  # fmt: skip
    assert {path.stem for path in TRUTHS.glob("*.json")} == tested


def layer(a_prev, W, b):
    z = W @ a_prev + b
    a = 1 / (1 + np.exp(-z))
    return a


def mazur_loss(x, y, parameters):
    a1 = layer(x, parameters["W1"], parameters["b1"])
    a2 = layer(a1, parameters["W2"], parameters["b2"])
    loss = 0.5 * np.sum((a2 - y) ** 2)
    return loss


def test_mazur():
    given, expected = truth("mazur")
    parameters = {k: given[k] for k in ("W1", "b1", "W2", "b2")}
    trace = tracer.trace(mazur_loss, given["x"], given["y"], parameters).backward()
    close(trace.result, expected["loss"])
    for name in ("z1", "a1", "z2", "a2"):
        close(seen(trace, name), expected[name])
    for name in ("dz2", "dW2", "db2", "da1", "dz1", "dW1", "db1"):
        close(trace.gradient(name[1:]), expected[name])
    new = trace.update(given["learning_rate"], ["W1", "W2"])
    close(new["W1"], expected["W1_new"])
    close(new["W2"], expected["W2_new"])


def test_ng_graph():
    def graph(a, b, c):
        u = b * c
        v = a + u
        J = 3 * v
        return J

    given, expected = truth("ng_graph")
    trace = tracer.trace(graph, *given.values()).backward()
    for name in ("u", "v", "J"):
        close(trace[name], expected[name])
    for name in ("dJ", "dv", "da", "du", "db", "dc"):
        close(trace.gradient(name[1:]), expected[name])


def micrograd(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + max(b + a, 0.0)
    d += 3 * d + max(b - a, 0.0)
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def test_micrograd():
    given, expected = truth("micrograd")
    trace = tracer.trace(micrograd, given["a"], given["b"]).backward()
    close(trace.result, expected["g"])
    close(trace.gradient("a"), expected["da"])
    close(trace.gradient("b"), expected["db"])


def test_cs231n_product():
    def circuit(x, y, z):
        q = x + y
        f = q * z
        return f

    given, expected = truth("cs231n_product")
    trace = tracer.trace(circuit, **given).backward()
    for name in ("q", "f"):
        close(trace[name], expected[name])
    for name in ("f", "q", "x", "y", "z"):
        close(trace.gradient(name), expected["d" + name])


def test_cs231n_max():
    def circuit(x, y, z, w):
        xy = x * y
        largest = max(z, w)
        total = xy + largest
        f = 2 * total
        return f

    given, expected = truth("cs231n_max")
    trace = tracer.trace(circuit, **given).backward()
    names = {"xy": "xy", "largest": "max", "total": "sum", "f": "f"}
    for name, published in names.items():
        close(trace[name], expected[published])
        close(trace.gradient(name), expected["d" + published])
    for name in ("x", "y", "z", "w"):
        close(trace.gradient(name), expected["d" + name])


def test_cs231n_sigmoid():
    def neuron(w0, x0, w1, x1, w2):
        w0x0 = w0 * x0
        w1x1 = w1 * x1
        dot = w0x0 + w1x1 + w2
        neg = -dot
        exp = math.exp(neg)
        plus1 = exp + 1
        f = 1 / plus1
        return f

    given, expected = truth("cs231n_sigmoid")
    trace = tracer.trace(neuron, **given).backward()
    for name in ("w0x0", "w1x1", "dot", "neg", "exp", "plus1", "f"):
        close(trace[name], expected[name])
    for name in ("w0", "x0", "w1", "x1", "w2", "dot", "neg", "exp", "plus1"):
        close(trace.gradient(name), expected["d" + name])


def test_cs231n_layers():
    given, expected = truth("cs231n_affine_forward")
    affine = lambda x, w, b: x.reshape(x.shape[0], -1).dot(w) + b
    close(tracer.trace(affine, **given).result, expected["out"])
    given, expected = truth("cs231n_relu_forward")
    close(tracer.trace(lambda x: np.maximum(0, x), **given).result, expected["out"])
    given, expected = truth("cs231n_rnn_step_forward")
    close(tracer.trace(recurrent.rnn_step_forward, **given).result[0], expected["next_h"])


def test_coursera_forward():
    given, expected = truth("coursera_linear_forward")
    close(tracer.trace(course.linear_forward, **given).result[0], expected["Z"])
    given, expected = truth("coursera_linear_activation_forward")
    for activation in ("sigmoid", "relu"):
        trace = tracer.trace(course.linear_activation_forward, **given, activation=activation)
        close(trace.result[0], expected[activation])
        close(trace["Z"], expected["Z"])
    given, expected = truth("coursera_L_model_forward")
    parameters = {k: v for k, v in given.items() if k != "X"}
    trace = tracer.trace(course.L_model_forward, given["X"], parameters)
    for name, published in {"Z1": "Z1", "A1": "A1", "Z2": "Z2", "A2": "A2", "Z3": "Z3"}.items():
        close(trace[name], expected[published])
    close(trace.result[0], expected["AL"])


def test_coursera_cost():
    given, expected = truth("coursera_cost")
    trace = tracer.trace(course.compute_cost, given["AL"], given["Y"])
    close(trace.result, expected["cost"])


def test_coursera_linear_backward():
    given, expected = truth("coursera_linear_backward")
    cache = (given["A_prev"], given["W"], given["b"])
    dA_prev, dW, db = tracer.trace(course.linear_backward, given["dZ"], cache).result
    close(dA_prev, expected["dA_prev"])
    close(dW, expected["dW"])
    close(db, expected["db"])


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_coursera_linear_activation_backward(activation):
    given, expected = truth("coursera_linear_activation_backward")
    cache = ((given["A_prev"], given["W"], given["b"]), given["Z"])
    trace = tracer.trace(course.linear_activation_backward, given["dA"], cache, activation)
    for got, name in zip(trace.result, ("dA_prev", "dW", "db")):
        close(got, expected[f"{activation}_{name}"])


def test_coursera_L_model_backward():
    given, expected = truth("coursera_L_model_backward")
    caches = [
        ((given["A0"], given["W1"], given["b1"]), given["Z1"]),
        ((given["A1"], given["W2"], given["b2"]), given["Z2"]),
    ]
    trace = tracer.trace(course.L_model_backward, given["AL"], given["Y"], caches)
    close(trace["dAL"], expected["dAL"])
    for name in ("dA1", "dW2", "db2", "dA0", "dW1", "db1"):
        close(trace.result[name], expected[name])
