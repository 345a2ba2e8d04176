"""Whole networks in public idioms: connected, bit-identical, and with the right gradients."""

import copy

import numpy as np
import pytest

from tests.differences import numerical
from tests.networks import conv, course, flat, layers, recurrent, transformer
from tracenet import tracer

RNG = np.random.RandomState


def course_case():
    rng = RNG(0)
    X, Y = rng.randn(3, 4), np.array([[1.0, 0.0, 1.0, 0.0]])
    sizes = [3, 4, 2, 1]
    parameters = {}
    for l in range(1, 4):
        parameters[f"W{l}"] = rng.randn(sizes[l], sizes[l - 1])
        parameters[f"b{l}"] = rng.randn(sizes[l], 1)
    return course.cost_of, (X, Y, parameters), parameters


def recurrent_case():
    rng = RNG(1)
    N, T, D, H = 2, 3, 3, 4
    args = (
        rng.randn(N, T, D), rng.randn(N, H), rng.randn(D, H), rng.randn(H, H), rng.randn(H),
        rng.randn(N, T, H),
    )  # fmt: skip
    return recurrent.loss, args, {"Wx": args[2], "Wh": args[3], "b": args[4]}


def softmax_case():
    rng = RNG(2)
    scores, y = rng.randn(4, 3), np.array([0, 2, 1, 1])

    def loss(W, x, y):
        return recurrent.softmax_loss(x @ W, y)[0]

    W = rng.randn(3, 3)
    return loss, (W, scores, y), {"W": W}


def conv_case():
    rng = RNG(3)
    x, w, b = rng.randn(2, 2, 6, 6), rng.randn(3, 2, 3, 3), rng.randn(3)
    w2 = rng.randn(12, 2)
    return conv.loss, (x, w, b, w2), {"w": w, "b": b, "w2": w2}


def arrays_of(tree, path=""):
    """The arrays in nested dicts, by the path of their keys."""
    if not isinstance(tree, dict):
        return {path: tree}
    inner = [arrays_of(item, f"{path}.{key}" if path else key) for key, item in tree.items()]
    return {name: array for part in inner for name, array in part.items()}


def transformer_case():
    params = transformer.make_parameters()
    named = arrays_of(params)
    for array in named.values():  # no two are equal, so that each is found by its content
        array += 0.1 * RNG(len(array)).randn(*array.shape) + 0.01 * array.ndim
    for k, array in enumerate(named.values()):
        array += 0.003 * k
    return transformer.loss, (RNG(4).randn(5, 8), params, 2), named


def layers_case():
    net = layers.Network([3, 4, 2])
    rng = RNG(5)
    named = {"W": net.layers[0].W, "b": net.layers[2].b}
    return net.loss, (rng.randn(5, 3), rng.randn(5, 2)), named


CASES = [course_case, recurrent_case, softmax_case, conv_case, transformer_case, layers_case]
IDS = [case.__name__.removesuffix("_case") for case in CASES]


def leaf_of(trace, array):
    """The recorded value of an argument, found by its content."""
    same = [
        v for v in trace.values.values()
        if v.op is None and v.name and v.shape == array.shape
        and np.array_equal(trace.data(v.id), array)
    ]  # fmt: skip
    assert len(same) == 1, [v.key for v in same]
    return same[0].key


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_values_are_bit_identical(case):
    function, args, _ = case()
    plain = function(*copy.deepcopy(args))
    trace = tracer.trace(function, *args)
    assert type(trace.result) is type(plain)
    assert trace.result == plain
    trace.check()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients_are_those_of_finite_differences(case):
    function, args, parameters = case()
    trace = tracer.trace(function, *args)
    names = {label: leaf_of(trace, array) for label, array in parameters.items()}
    plain = tracer.trace(function, *args)
    plain._tape.visits.clear()  # derived rules alone: the course's own backward divides by m
    plain.backward(wrt=list(names.values()))
    for label, array in parameters.items():
        expected = numerical(lambda: function(*args), array)
        got = plain.gradient(names[label])
        assert got.shape == array.shape
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-8, err_msg=label)


def test_hand_written_step_is_recognised():
    rng = RNG(6)
    args = [rng.randn(2, 5), np.array([[1.0, 0, 1, 1, 0]]), rng.randn(3, 2), rng.randn(3, 1)]
    args += [rng.randn(1, 3), rng.randn(1, 1), 0.1]
    trace = tracer.trace(flat.step, *args)
    plain = flat.step(*args)
    assert all(np.array_equal(a, b) for a, b in zip(trace.result, plain))
    names = [(step.block.name, step.block.phase) for step in trace.steps()]
    assert names == [
        ("layer 1", "forward"),
        ("layer 2", "forward"),
        ("loss", "forward"),
        ("layer 2 backward", "backward"),
        ("layer 1 backward", "backward"),
        ("update", "update"),
    ]
    cost = lambda: flat.step(*args)[0]
    for name, array in zip(("W1", "b1", "W2", "b2"), args[2:6]):
        np.testing.assert_allclose(trace.gradient(name), numerical(cost, array), rtol=1e-6)


def test_course_iteration_stands_in_its_rows():
    _, (X, Y, parameters), _ = course_case()

    def iteration(X, Y, parameters):
        AL, caches = course.L_model_forward(X, parameters)
        cost = course.compute_cost(AL, Y)
        grads = course.L_model_backward(AL, Y, caches)
        return cost, grads

    trace = tracer.trace(iteration, X, Y, parameters)
    steps = [(s.block.name, s.block.phase) for s in trace.steps()]
    layers_ = ["linear_activation 1", "linear_activation 2", "linear_activation 3"]
    assert steps[:4] == [(n, "forward") for n in [*layers_, "compute_cost"]]
    assert [n for n, p in steps if p == "backward"] == [
        "compute_cost backward", *(n + " backward" for n in reversed(layers_)),
    ]  # fmt: skip
    for name in ("W1", "b2", "W3"):
        assert np.array_equal(trace.gradient(name), trace.result[1]["d" + name])
    cached = {v.name for s in trace.steps() if s.block.name == "linear_activation 2 backward"
              for v in s.inputs}  # fmt: skip
    assert {"W2", "A1", "Z2"} <= cached


def test_a_flat_forward_is_drawn_by_layers_in_both_passes():
    def forward(X, Y, W1, b1, W2, b2):
        Z1 = np.dot(W1, X) + b1
        A1 = np.tanh(Z1)
        Z2 = np.dot(W2, A1) + b2
        A2 = flat.sigmoid(Z2)
        cost = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
        return cost

    rng = RNG(7)
    Y = np.array([[1.0, 0, 1]])
    args = (rng.randn(2, 3), Y, rng.randn(3, 2), rng.randn(3, 1), rng.randn(1, 3), rng.randn(1, 1))
    trace = tracer.trace(forward, *args).backward()
    names = ["layer 1", "layer 2", "loss"]
    assert [s.block.name for s in trace.steps()] == [
        *names, *(f"{name} backward" for name in reversed(names)),
    ]  # fmt: skip


def test_turns_of_a_loop_are_layers():
    def feedforward(a, weights):
        for w in weights:
            a = flat.sigmoid(np.dot(w, a))
        return a

    rng = RNG(8)
    weights = [rng.randn(3, 2), rng.randn(1, 3)]
    trace = tracer.trace(feedforward, np.ones((2, 1)), weights).backward()
    assert [s.block.name for s in trace.steps()] == [
        "layer 1", "layer 2", "layer 2 backward", "layer 1 backward",
    ]  # fmt: skip
