"""Values that leave the trace: said once for each place, and marked on every picture."""

import json
import re

import numpy as np
import pytest

from tracenet import load_trace, tracer
from tracenet.errors import LeftTraceWarning
from tracenet.render import encode

PROGRAM = """
    def layer(x, W):
        z = W @ x
        a = np.tanh(z)
        return a

    def loss(x, y, parameters):
        a1 = layer(x, parameters["W1"])
        rounded = np.matrix(a1)
        a2 = layer(a1 + np.asarray(rounded), parameters["W2"])
        cost = np.sum((a2 - y) ** 2)
        for _ in range(3):
            seen = complex(cost)
        return cost

    def early(W, x):
        W = np.asarray(np.matrix(W))
        return np.sum(W @ x)

    def drawn(mu):
        noise = np.random.normal(mu, 1.0)
        word = np.random.choice(3, p=mu / mu.sum())
        return np.sum(noise + mu) + word

    def deep(x, weights):
        for i, W in enumerate(weights):
            x = layer(x, W)
            if i == 4:
                np.asarray(np.matrix(x))
        return np.sum(x)
"""
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.fixture
def net(program):
    return tracer.load(program({"net.py": PROGRAM}) / "net.py")


@pytest.fixture
def left(net):
    rng = np.random.RandomState(0)
    parameters = {"W1": rng.randn(3, 2), "W2": rng.randn(1, 3)}
    with pytest.warns(LeftTraceWarning):
        return tracer.trace(net.loss, rng.randn(2, 1), rng.randn(1, 1), parameters).backward()


def line(net, text):
    with open(net.__file__) as file:
        return next(n for n, found in enumerate(file, 1) if text in found)


def remarks(trace, view="blocks", **options):
    return {n.name: n.remark for n in trace.diagram(view, **options).nodes if n.mark == "left"}


def test_each_place_is_listed_once(net, left):
    places = [(at.line, at.why) for at in left.left]
    assert places == [
        (line(net, "np.matrix(a1)"), "view made it a matrix"),
        (line(net, "complex(cost)"), "complex() made it a plain number"),
    ]
    assert {at.file for at in left.left} == {net.__file__}


@pytest.mark.parametrize(
    ("view", "boxes"),
    [("blocks", ["layer 1", "loss"]), ("cache", ["layer 1", "loss"]),
     ("network", ["layer 1", "loss"]), ("ops", ["tanh", "sum"])],
)  # fmt: skip
def test_the_box_that_made_it_says_so(net, left, view, boxes):
    said = remarks(left, view)
    assert list(said) == boxes
    first, second = said.values()
    assert re.fullmatch(r"\w+ leaves the trace: net.py, line \d+", first)
    assert first.endswith(f"line {line(net, 'np.matrix(a1)')}")
    assert second == f"cost leaves the trace: net.py, line {line(net, 'complex(cost)')}"


def test_the_circuit_says_so():
    def f(x, y):
        product = x * y
        complex(product)
        return product + 1.0

    with pytest.warns(LeftTraceWarning):
        trace = tracer.trace(f, 2.0, 3.0)
    said = remarks(trace, "circuit")
    assert len(said) == 1 and "product leaves the trace: test_leaving.py, line" in str(said)


def test_formats_carry_it(left, tmp_path):
    nodes = json.loads(encode(left.diagram(), "json"))["nodes"]
    marked = [node for node in nodes if node["mark"] == "left"]
    assert len(marked) == 2 and all("leaves the trace" in node["remark"] for node in marked)
    for form in ("svg", "html", "md", "tex", "dot"):
        assert b"leaves the trace" in encode(left.diagram(), form), form
    left.save(tmp_path / "run.trace")
    again = load_trace(tmp_path / "run.trace")
    assert again.left == left.left and remarks(again) == remarks(left)


def test_a_parameter_that_leaves_is_marked_where_the_run_was(net):
    with pytest.warns(LeftTraceWarning):
        trace = tracer.trace(net.early, tracer.parameter(np.ones((2, 2)), "W"), np.ones(2))
    assert [remark.partition(":")[0] for remark in remarks(trace).values()] == [
        "W leaves the trace"
    ]


def test_a_draw_from_a_traced_array_is_said_and_a_choice_is_none(net):
    with pytest.warns(LeftTraceWarning, match="normal drew from it"):
        trace = tracer.trace(net.drawn, np.array([0.5, 0.25, 0.25]))
    assert len(trace.left) == 1


def test_a_folded_picture_keeps_the_mark(net):
    rng = np.random.RandomState(1)
    with pytest.warns(LeftTraceWarning):
        trace = tracer.trace(net.deep, rng.randn(2, 1), [rng.randn(2, 2) for _ in range(12)])
    folded = trace.diagram(fold=True)
    assert len(folded.nodes) < len(trace.diagram().nodes)
    assert [node.remark for node in folded.nodes if node.mark == "left"]


def test_rounding_stays_in_the_trace():
    def f(x):
        return round(x, 1) * x

    trace = tracer.trace(f, 0.26)
    assert trace.result == 0.3 * 0.26 and [op.rule for op in trace.ops] == ["round", "multiply"]
    assert trace.backward().gradient("x") == 0.3
