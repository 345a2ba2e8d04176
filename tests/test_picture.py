"""What is drawn: the boxes, where they stand, what is in them, and how they hang together."""

from collections import Counter

import numpy as np
import pytest

from tests.networks import course, stepping
from tests.render.pictures import rnn, rnn_by_hand
from tests.test_truths import mazur_loss
from tests.truth import truth
from tracenet import tracer
from tracenet.diagram import EDGE_KINDS, NODE_KINDS, plain
from tracenet.errors import UsageError


def mazur():
    given, _ = truth("mazur")
    parameters = {k: given[k] for k in ("W1", "b1", "W2", "b2")}
    trace = tracer.trace(mazur_loss, given["x"], given["y"], parameters).backward()
    trace.update(0.5, ["W1", "W2"])
    return trace


@pytest.fixture(scope="module")
def diagram():
    return mazur().diagram()


def find(diagram, kind):
    return [n for n in diagram.nodes if n.kind == kind]


def test_two_rows(diagram):
    forward = find(diagram, "forward")
    assert [(n.name, n.column) for n in forward] == [("layer 1", 1), ("layer 2", 2)]
    for box in [*forward, *find(diagram, "loss")]:
        mirror = next(n for n in find(diagram, "backward") if n.of == box.id)
        assert mirror.column == box.column and mirror.lane > box.lane
        assert mirror.name == box.name + " backward"
    lanes = {
        kind: {n.lane for n in find(diagram, kind)} for kind in ("parameter", "cache", "update")
    }
    assert lanes == {"parameter": {0}, "cache": {2}, "update": {5}}


def test_formulas_are_those_of_the_code(diagram):
    lines = {n.name: [plain(line) for line in n.lines] for n in diagram.nodes}
    assert lines["layer 2"] == ["z[2] = W[2] a[1] + b[2]", "a[2] = 1 / (1 + exp(−z[2]))"]
    assert lines["loss"] == ["loss = 0.5 · Σ (a[2] − y)2"]
    assert "dW[2] = dz[2] a[1]T" in lines["layer 2 backward"]
    assert lines["loss backward"] == ["da[2] = 0.5 · 2 (a[2] − y)"]
    assert lines["update of W1"] == ["W[1] := W[1] − 0.5 · dW[1]"]


def test_what_flows_and_what_is_cached(diagram):
    by_id = {n.id: n for n in diagram.nodes}
    arrows = {
        (by_id[e.tail].name, by_id[e.head].name): (e.kind, [s.key for s in e.shown])
        for e in diagram.edges
    }
    assert arrows["layer 1", "layer 2"] == ("data", ["a1"])
    assert arrows["layer 2 backward", "layer 1 backward"] == ("gradient", ["da1"])
    assert arrows["layer 2", "cache of layer 2"][0] == "cache"
    cached = {s.key for n in diagram.nodes if n.name == "cache of layer 2" for s in n.shown}
    assert {"a1", "W2", "a2"} <= cached
    struck = next(n for n in diagram.nodes if n.name == "dx")
    assert struck.shown[0].state == "not computed"


def test_kinds_and_references_are_known(diagram):
    for view in (diagram, mazur().diagram("ops")):
        ids = {n.id for n in view.nodes}
        assert len(ids) == len(view.nodes) and {n.kind for n in view.nodes} <= set(NODE_KINDS)
        assert {e.kind for e in view.edges} <= set(EDGE_KINDS)
        assert all({e.tail, e.head} <= ids for e in view.edges)
        assert all(n.of in ids for n in view.nodes if n.of is not None)


def test_each_op_stands_over_its_mirror():
    view = mazur().diagram("ops")
    by_id = {n.id: n for n in view.nodes}
    mirrors = [n for n in find(view, "backward") if n.of is not None]
    assert len(mirrors) == 16
    for mirror in mirrors:
        assert by_id[mirror.of].column == mirror.column and by_id[mirror.of].lane < mirror.lane
    assert [f.name for f in view.frames] == ["layer 1", "layer 2"]


def test_a_backward_pass_by_hand_stands_under_its_forward_blocks():
    """Also sums over time, which would otherwise pile up where a weight is first used."""
    trace = rnn_by_hand(4)
    view, spans = trace.diagram("ops"), {}
    for box in find(view, "forward"):
        spans.setdefault(box.block, []).append(box.column)
    paths = {block.id: "/".join(b.name for b in trace.around(block.id)) for block in trace.blocks}
    of = {
        paths[b.id]: paths[b.of] for b in trace.blocks if b.of is not None and paths[b.of] in spans
    }
    boxes = [box for box in find(view, "backward") if box.block in of]
    assert len({box.block for box in boxes}) >= 4
    for box in boxes:
        columns = spans[of[box.block]]
        assert min(columns) <= box.column <= max(columns), box.name
    step = [box.column for box in boxes if box.block.endswith("step 2 backward")]
    share = -(-len(step) // len(set(spans[of[boxes[0].block]])))
    assert max(Counter(step).values()) <= share + 1  # and one that has to stand there


def test_sums_of_gradients_over_time_stand_where_the_gradients_are():
    boxes = find(rnn(6).diagram("ops"), "backward")
    sums = [box for box in boxes if box.name == "add" and box.block == "loss"]
    assert len(sums) == 3 * 5  # of Wx, Wh and b, from each step to the one before
    assert sorted(Counter(box.column for box in sums).values()) == [1] * 5 + [2] * 5


def test_sums_of_a_replayed_pass_stand_in_the_step_whose_gradient_they_add():
    def step(h, W):
        return np.tanh(W @ h)

    def loss(h, W):
        for _ in range(5):
            h = step(h, W)
        return np.sum(h)

    view = tracer.trace(loss, np.ones((2, 1)), np.eye(2)).backward().diagram("ops")
    sums = [box.column for box in find(view, "backward") if box.name == "add"]
    products = [box.column for box in find(view, "forward") if box.name == "matmul"]
    assert sorted(sums) == products[:-1]


def test_depth_opens_blocks():
    rng = np.random.RandomState(0)
    parameters = {
        "W1": rng.randn(2, 2),
        "b1": rng.randn(2, 1),
        "W2": rng.randn(1, 2),
        "b2": rng.randn(1, 1),
    }
    trace = tracer.trace(course.cost_of, rng.randn(2, 3), np.array([[1.0, 0, 1]]), parameters)
    names = lambda depth: [n.name for n in trace.diagram(depth=depth).nodes if n.lane == 1]
    assert names(1) == ["X", "L_model", "compute_cost"]
    assert names(2)[1:3] == ["linear_activation 1", "linear_activation 2"]
    assert names(3)[1:3] == ["linear", "relu"]
    assert names(None)[1:3] == ["linear_activation 1", "linear_activation 2"]
    with pytest.raises(UsageError, match="depth must be 1 or more"):
        trace.diagram(depth=0)


def test_options_are_checked():
    trace = mazur()
    with pytest.raises(UsageError, match="unknown view 'rows': choose one of 'blocks', 'ops'"):
        trace.diagram("rows")
    with pytest.raises(UsageError, match="unknown amount of values"):
        trace.diagram(values="most")
    with pytest.raises(UsageError, match="digits must be from 1 to 17"):
        trace.diagram(digits=99)
    forward = trace.diagram(backward=False)
    assert {n.kind for n in forward.nodes} == {"input", "parameter", "forward", "loss"}


def test_partial_and_unusual():
    one = tracer.trace(lambda x: x * 2, np.ones(2)).diagram()
    assert [n.kind for n in one.nodes] == ["input", "forward"]
    nothing = tracer.trace(lambda x: 3, np.ones(2)).diagram()
    assert [n.name for n in nothing.nodes] == ["x", "nothing was recorded"]
    with pytest.raises(ValueError) as caught:
        tracer.trace(lambda x: np.tanh(x) + np.ones(7), np.ones(3))
    broken = caught.value.tracenet_trace.diagram()
    assert any(n.title and "failed here" in n.title[0].text for n in broken.nodes)


def test_layer_objects_are_one_iteration_of_gradient_descent():
    """Layers with caches and weights in `self`, and a `step`: each in its row, by its own names."""
    trace = tracer.trace(stepping.train, *stepping.train_example())
    view = trace.diagram()
    at = lambda kind: [n.name for n in find(view, kind)]
    assert at("forward") == ["Dense 1", "Rectifier", "Dense 2"]
    assert at("backward") == [
        "Dense 1 backward", "Rectifier backward", "Dense 2 backward", "CrossEntropy backward",
    ]  # fmt: skip
    assert at("parameter") == ["W1, b1", "W2, b2"]
    assert sorted(at("gradient")) == ["dW1, db1", "dW2, db2", "dx"]
    assert at("update") == ["update of W1, b1", "update of W2, b2"]
    by_id = {node.id: node for node in view.nodes}
    for update in find(view, "update"):
        (edge,) = [e for e in view.edges if e.head == update.id]
        assert by_id[edge.tail].column == update.column
    left = next(n for n in find(view, "gradient") if n.column == 0)
    assert left.shown[0].state == "" and left.shown[0].shape == (4, 6)
    layers, head, x, y = stepping.train_example()
    stepping.train(layers, head, x, y)
    assert np.array_equal(trace["dW2"], layers[2].dW)
    assert np.array_equal(trace["b1:2"], layers[0].b)


def test_two_parts_of_one_gradient_stand_on_an_arrow_once():
    def centred(r):
        c = r - np.mean(r, axis=0)
        return c * c

    def scaled(x, w):
        r = x * w
        return r

    def loss(x, w):
        r = scaled(x, w)
        c = centred(r)
        return np.sum(c * r)

    trace = tracer.trace(loss, np.eye(3), np.ones(3))
    arrows = trace.backward().diagram(values="shapes").edges
    found = [[plain(one.name) for one in arrow.shown] for arrow in arrows]
    assert [names for names in found if "dr" in names] == [["dr"], ["dr"]]
