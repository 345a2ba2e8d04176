"""The replayed backward pass: order, sums, hand-written blocks, and what it says when it can't."""

import networkx
import numpy as np
import pytest

from tests.networks import course
from tracenet import tracer
from tracenet.backward import replay
from tracenet.errors import GradientError, RecordError, UsageError
from tracenet.recording import partners
from tracenet.recording.absent import Dropped


def two_layers(x, y, parameters):
    h = np.tanh(parameters["W1"] @ x + parameters["b1"])
    out = parameters["W2"] @ h + h.mean()
    return np.sum((out - y) ** 2)


def parameters():
    rng = np.random.RandomState(0)
    return {"W1": rng.randn(3, 2), "b1": rng.randn(3, 1), "W2": rng.randn(1, 3)}


def made():
    return tracer.trace(two_layers, np.ones((2, 4)), np.zeros((1, 4)), parameters()).backward()


@pytest.mark.parametrize("level", ["ops", "blocks"])
def test_replay_is_in_reverse_topological_order(level):
    graph = made().graph(level)
    assert networkx.is_directed_acyclic_graph(graph)
    forward = [n for n, d in graph.nodes(data=True) if d["phase"] == "forward"]
    replayed = [d["of"] for _, d in graph.nodes(data=True) if d["of"] is not None]
    ranks = {n: i for i, n in enumerate(networkx.topological_sort(graph.subgraph(forward)))}
    for tail, head in networkx.transitive_closure(graph.subgraph(forward)).edges():
        if tail in replayed and head in replayed:
            assert replayed.index(head) < replayed.index(tail)
            assert ranks[tail] < ranks[head]


def test_gradients_meet_in_a_recorded_sum():
    trace = tracer.trace(lambda x: np.sum(x * x + x), np.array([1.0, 2.0])).backward()
    assert np.array_equal(trace.gradient("x"), [3, 5])
    sums = [op for op in trace.ops if op.phase == "backward" and op.rule == "add" and op.of is None]
    assert len(sums) == 2
    trace.check()


def test_a_second_backward_starts_afresh():
    trace = made()
    first = trace.gradient("W1").copy()
    count = len(trace.ops)
    trace.update(0.1)
    assert np.array_equal(trace.backward().gradient("W1"), first)
    assert len(trace.ops) == count


def test_a_gradient_that_was_given_meets_one_that_was_computed():
    def f(x):
        y = np.tanh(x)
        return {"y": y, "z": y + y}

    for size in (3, 5000):  # the larger ones are let go when they were summed
        x, given = np.linspace(0, 1, size), {"y": np.full(size, 2.0), "z": np.full(size, 3.0)}
        kept = {name: g.copy() for name, g in given.items()}
        trace = tracer.trace(f, x).backward(given)
        np.testing.assert_allclose(trace.gradient("x"), 8 * (1 - np.tanh(x) ** 2))
        assert all(np.array_equal(given[name], kept[name]) for name in kept)
        trace.check()
        assert [trace.found(id).shape for id in trace.values] and trace.diagram().nodes


def test_large_gradients_are_let_go_when_used_and_computed_again_when_asked_for():
    rng = np.random.RandomState(0)
    args = rng.randn(64, 64), rng.randn(1, 64), {"W1": rng.randn(64, 64), "W2": rng.randn(1, 64)}

    def network(x, y, parameters):
        h = np.tanh(parameters["W1"] @ x)
        h = h + parameters["W1"] @ h  # two uses, so that gradients meet
        return np.sum((parameters["W2"] @ h - y) ** 2)

    trace = tracer.trace(network, *args).backward()
    full = replay(trace._tape, trace.data, {trace.loss(): np.float64(1)}, trace._replays[0].wanted)
    dropped = [id for id, x in enumerate(trace._tape.values) if type(x) is Dropped]
    shift = full.seeds[trace.loss()] - trace._replays[0].seeds[trace.loss()]
    assert len(dropped) == 8
    for id in dropped:
        assert trace.found(id).shape == (64, 64)
        np.testing.assert_array_equal(trace.data(id), trace._tape.values[id + shift])


def test_gradients_let_go_cannot_come_back_from_other_numbers():
    W, x = np.full((100, 100), 0.01), np.ones((100, 100))
    trace = tracer.trace(lambda x, W: np.sum(np.tanh(W @ x)), x, tracer.parameter(W)).backward()
    dropped = next(i for i, d in enumerate(trace._tape.values) if type(d) is Dropped)
    W -= 0.1 * trace.gradient("W")
    with pytest.raises(RecordError, match="W of shape .* was changed after the run"):
        trace.data(dropped)


def test_given_output_gradients():
    def f(x):
        return {"a": x * 2, "b": x**2}

    trace = tracer.trace(f, np.array([1.0, 3.0]))
    with pytest.raises(GradientError, match=r"no scalar loss to begin with.*a of shape \(2,\)"):
        trace.backward()
    trace.backward({"a": np.ones(2), "b": np.array([1.0, 0.5])})
    assert np.array_equal(trace.gradient("x"), [4, 5])
    with pytest.raises(
        GradientError, match=r"given for a has shape \(3,\), and a has shape \(2,\)"
    ):
        trace.backward({"a": np.ones(3)})
    with pytest.raises(UsageError, match="no value is called 'c'"):
        trace.backward({"c": np.ones(2)})
    with pytest.raises(GradientError, match="the loss 'a' is not a scalar"):
        trace.backward(loss="a")


def test_several_scalars():
    trace = tracer.trace(lambda x: (np.zeros(2) + x, np.sum(x), np.sum(x**2)), np.ones(2))
    with pytest.raises(GradientError, match="more than one scalar was returned"):
        trace.backward()
    assert np.array_equal(trace.backward(loss="[2]").gradient("x"), [2, 2])


def test_gradients_that_are_not_there():
    trace = tracer.trace(lambda x, n: np.sum(x[n]), np.ones(3), np.array([0, 1]))
    with pytest.raises(GradientError, match="no gradients yet"):
        trace.gradient("x")
    trace.backward()
    with pytest.raises(GradientError, match="n is an array of int64: only floating point"):
        trace.gradient("n")
    with pytest.raises(UsageError, match="there are x, n"):
        trace.gradient("W9")
    unused = tracer.trace(lambda x, y: np.sum(x), np.ones(2), np.ones(2)).backward(wrt=["x", "y"])
    assert np.array_equal(unused.gradient("y"), [0, 0])


def test_update_is_recorded():
    trace = made()
    new = trace.update(0.5, ["W1"])
    assert np.array_equal(new["W1"], trace["W1"] - 0.5 * trace.gradient("W1"))
    assert [s.block.phase for s in trace.steps()][-1] == "update"
    assert trace.blocks[-1].phase == "update"


# ---------------------------------------------------------------------- hand-written backwards


def test_a_decorated_backward_is_used_and_recorded():
    calls = []

    @tracer.block("dense")
    def dense(x, W):
        z = W @ x
        return z, (x, W)

    @dense.backward
    def dense_backward(dz, cache):
        calls.append(dz.shape)
        x, W = cache
        dx = W.T @ dz
        dW = 10 * dz @ x.T  # recognisably not what the rules give
        return dx, dW

    def loss(x, W):
        z, _ = dense(x, W)
        return np.sum(z)

    x, W = np.ones((2, 1)), np.ones((3, 2))
    trace = tracer.trace(loss, x, W).backward()
    assert calls == [(3, 1)]
    assert np.array_equal(trace.gradient("W"), np.full((3, 2), 10.0))
    blocks = {b.name: b for b in trace.blocks}
    assert (
        blocks["dense backward"].handwritten and blocks["dense backward"].of == blocks["dense"].id
    )
    assert dense(x, W)[0].shape == (3, 1)  # untraced it is the plain function


def test_pairs_are_found_by_name_and_their_cache_is_read():
    rng = np.random.RandomState(0)
    given = {
        "W1": rng.randn(3, 2),
        "b1": rng.randn(3, 1),
        "W2": rng.randn(1, 3),
        "b2": np.ones((1, 1)),
    }
    X, Y = rng.randn(2, 4), np.array([[1.0, 0, 0, 1]])
    trace = tracer.trace(course.cost_of, X, Y, given).backward()
    AL, caches = course.L_model_forward(X, given)
    dAL = -(Y / AL - (1 - Y) / (1 - AL)) / 4  # of the mean cost; the course divides by m again
    expected = course.linear_activation_backward(dAL, caches[1], "sigmoid")
    np.testing.assert_allclose(trace.gradient("W2"), expected[1], rtol=1e-12)
    backward = [s for s in trace.steps() if s.block.name == "linear_activation 2 backward"]
    assert {v.name for v in backward[0].inputs} >= {"A1", "W2", "Z2"}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda dz, x, W: dz, r"returned 1 gradients for 2 array arguments of dense \(x, W\)"),
        (lambda dz, x, W: (dz, W), r"returned an array of shape \(3, 1\) as the gradient of x"),
    ],
)
def test_a_wrong_number_or_shape_of_gradients(returned, message):
    @tracer.block
    def dense(x, W):
        return W @ x

    dense.backward(returned)
    with pytest.raises(GradientError, match=message):
        tracer.trace(lambda x, W: np.sum(dense(x, W)), np.ones((2, 1)), np.ones((3, 2))).backward()


def test_a_backward_that_asks_for_what_is_not_there():
    @tracer.block
    def dense(x):
        return x * 2

    @dense.backward
    def back(dout, cache):
        return dout * 2

    with pytest.raises(
        GradientError, match=r"cannot call back\(\): nothing to give it for 'cache'"
    ):
        tracer.trace(lambda x: np.sum(dense(x)), np.ones(2)).backward()


def test_partners_of_many_equal_blocks_are_found_by_what_is_their_own(monkeypatch):
    """Shared weights are touched by all steps; a search among all for each would be quadratic."""
    looked = []
    scores = partners._Search._scores
    monkeypatch.setattr(
        partners._Search,
        "_scores",
        lambda self, block, among, keeps: looked.extend(among) or scores(self, block, among, keeps),
    )
    trace = tracer.trace(steps_by_hand, [np.full((2, 1), i / 9) for i in range(40)], np.eye(2))
    backward = [block for block in trace.blocks if block.phase == "backward" and block.handwritten]
    assert [trace.blocks[block.of].ordinal for block in backward] == list(range(40, 0, -1))
    assert len(looked) <= 3 * 40


def steps_by_hand(xs, W):
    h, kept = xs[0], []
    for x in xs:
        h, cache = step_forward(x, h, W)
        kept.append(cache)
    dh = np.ones_like(h)
    for cache in reversed(kept):
        dh = step_backward(dh, cache)
    return dh


def step_forward(x, h, W):
    new = np.tanh(W @ h + x)
    return new, (new, W)


def step_backward(dh, cache):
    h, W = cache
    return W.T @ (dh * (1 - h**2))


CELL = """
import numpy as np

def linear_forward(A, W):
    return W @ A, (A, W)

def linear_backward(dZ, cache):
    A, W = cache
    return W.T @ dZ, dZ @ A.T

def net(A, W):
    Z, cache = linear_forward(A, W)
    return np.sum(Z)
"""


def cell():
    namespace = {"__name__": "cells"}
    exec(CELL, namespace)
    return namespace


def test_functions_that_are_defined_anew_are_paired_again_as_in_a_notebook():
    namespace = cell()
    for _ in range(2):
        before = dict(namespace)
        trace = tracer.trace(namespace["net"], np.ones((2, 3)), np.ones((4, 2)))
        assert len(trace._tape.visits) == 1
        assert namespace == before
        exec(CELL, namespace)


def test_a_backward_that_is_mended_is_the_one_that_is_used():
    namespace = cell()
    args = np.ones((2, 3)), np.ones((4, 2))
    exec("def linear_backward(dZ, cache): return 5 * (cache[1].T @ dZ), dZ @ cache[0].T", namespace)
    wrong = tracer.trace(namespace["net"], *args).backward(wrt=["A"]).gradient("A")
    exec("def linear_backward(dZ, cache): return cache[1].T @ dZ, dZ @ cache[0].T", namespace)
    right = tracer.trace(namespace["net"], *args).backward(wrt=["A"]).gradient("A")
    assert np.array_equal(wrong, 5 * right) and np.array_equal(right, np.full((2, 3), 4.0))


def test_whether_there_is_backward_code_is_known_as_soon_as_it_is_written():
    namespace = {"__name__": "cells", "np": np, "act": np.tanh, "d_act": None}
    exec("def net(x): return np.sum(act(x))", namespace)
    assert tracer.trace(namespace["net"], np.ones(2))._tape.notes is None
    names = len(namespace)
    namespace["act"] = np.exp
    exec("def d_act(x): return np.exp(x)", namespace)
    assert len(namespace) == names  # as when a cell of a notebook is mended
    assert tracer.trace(namespace["net"], np.ones(2))._tape.notes is not None
