"""Saving and loading: what comes back is what was there, to the bit, and is drawn as it was."""

import numpy as np
import pytest

import tracenet
from tests.networks import course, flat, heads, layers, modular, sequence
from tests.sameness import same
from tests.test_networks import CASES
from tracenet import tracer
from tracenet.recording.absent import Later, Placed
from tracenet.render import encode

ITERATIONS = [
    (getattr(module, name), getattr(module, f"{name}_example"))
    for module, names in [
        (course, ["course_net"]), (flat, ["step"]), (heads, ["head_net"]), (layers, ["layer_net"]),
        (modular, ["norm_net", "conv_net"]), (sequence, ["rnn_net", "lstm_net", "char_rnn"]),
    ]
    for name in names
]  # fmt: skip
"""Networks that run both passes themselves, and what makes their arguments."""


def assert_same(loaded, trace):
    assert loaded.ops == trace.ops and loaded.blocks == trace.blocks
    assert list(loaded.values.items()) == list(trace.values.items())
    for mine, other in zip(loaded.ops, trace.ops):
        assert same(mine.settings, other.settings), mine
    for id in range(len(trace._tape.values)):
        assert same(loaded.data(id), trace.data(id)), id
    assert loaded.gradients() == trace.gradients() and loaded.seeds() == trace.seeds()
    assert loaded.loss_values() == trace.loss_values()
    assert loaded.outputs == trace.outputs and loaded.left == trace.left
    assert (repr(loaded), loaded.title, loaded.failed, loaded.failed_at) == (
        repr(trace), trace.title, trace.failed, trace.failed_at,
    )  # fmt: skip
    assert [v.key for v in loaded.values.values() if v.key not in loaded] == []


def graph_of(trace, level):
    graph = trace.graph(level)
    return sorted(graph.nodes), sorted((a, b, str(d)) for a, b, d in graph.edges(data=True))


def assert_drawn_the_same(loaded, trace, formats=("json", "dot", "svg")):
    few = {"depth": 1, "values": "summary"}
    for view, options, wanted in [
        ("blocks", {}, formats), ("blocks", few, ["json"]), ("ops", few, ["json"]),
    ]:  # fmt: skip
        mine, other = (t.diagram(view, **options) for t in (loaded, trace))
        for format in wanted:
            assert encode(mine, format) == encode(other, format), (view, format)


@pytest.fixture(scope="module")
def small():
    def loss(x, W):
        return np.sum(np.tanh(W @ x) ** 2)

    return tracer.trace(loss, np.array([[1.0], [2.0]]), np.array([[0.5, -0.2]])).backward()


# ---------------------------------------------------------------------- whole networks


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_networks_come_back(case, backward, tmp_path):
    function, args, _ = case()
    trace = tracer.trace(function, *args)
    if backward:
        trace.backward().update(0.1)
    loaded = tracenet.load_trace(trace.save(tmp_path / "run.trace"))
    assert_same(loaded, trace)
    assert same(loaded.result, trace.result)
    assert_drawn_the_same(loaded, trace)
    assert all(graph_of(loaded, level) == graph_of(trace, level) for level in ("blocks", "ops"))
    assert [step.block for step in loaded.steps()] == [step.block for step in trace.steps()]
    loaded.check()


@pytest.mark.parametrize(("function", "example"), ITERATIONS, ids=lambda f: f.__name__)
def test_iterations_come_back(function, example, tmp_path):
    trace = tracer.trace(function, *example())
    loaded = tracenet.load_trace(trace.save(tmp_path / "run.trace"))
    assert_same(loaded, trace)
    assert_drawn_the_same(loaded, trace, formats=("json", "dot"))


def test_a_loaded_trace_is_saved_as_the_same_bytes(small, tmp_path):
    one = small.save(tmp_path / "one.trace")
    two = tracenet.load_trace(one).save(tmp_path / "two.trace")
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes() == small.save(tmp_path / "three.trace").read_bytes()


# ---------------------------------------------------------------------- values


def filled(x):
    """Writes in place, through views, by index arrays, and a version that nobody computed with."""
    out = np.zeros((4, 6))
    for k in range(4):
        out[k] = x * k
    out.T[1:3][:, 0] = 7.0
    out[np.array([0, 2]), np.array([1, 1])] += 1.0
    np.add.at(out, np.array([3, 3]), 0.5)
    out[...] = out * 2
    mask = out > 3
    out[mask] = 0.25
    return np.sum(out[::2, None, 1:5:2]) + np.sum(out.astype(np.float32)) + np.max(out, axis=None)


def test_versions_of_what_is_written_in_place(tmp_path):
    trace = tracer.trace(filled, np.arange(6.0))
    loaded = tracenet.load_trace(trace.save(tmp_path / "run.trace"))
    assert any(type(data) is Later for data in trace._tape.values), (
        "nothing to rebuild in this test"
    )
    assert any(type(data) is Later for data in loaded._tape.values), (
        "versions were written out in full"
    )
    assert_same(loaded, trace)
    assert_drawn_the_same(loaded, trace, formats=("json", "dot"))


def test_gradients_of_what_is_read_and_written_at_places(tmp_path):
    def run(x):
        out = np.zeros(5)
        for i in range(5):
            out[i] = x[i] * x[i - 1] + out[i - 2]
        return np.sum(out * out)

    trace = tracer.trace(run, np.arange(1.0, 6.0)).backward()
    loaded = tracenet.load_trace(trace.save(tmp_path / "run.trace"))
    for one in (trace, loaded):
        kinds = {data.how for data in one._tape.values if type(data) is Placed}
        assert kinds == {"read", "added", "kept"}, "steps were written out in full"
    assert_same(loaded, trace)


def test_large_arrays_are_shared_and_drawn_to_the_last_bit(tmp_path):
    x = np.random.RandomState(0).randn(300, 400)

    def run(x):
        part = x[::3, 5:77]
        turned = np.swapaxes(x.reshape(3, 100, 400), 0, 2)
        wide = np.broadcast_to(x[:1], (50_000, 400))
        return np.sum(part) + np.sum(turned[:, :, 1]) + np.max(wide) + np.sum(x.T) + np.sum(x[::-1])

    trace = tracer.trace(run, x)
    path = trace.save(tmp_path / "run.trace")
    assert path.stat().st_size < 4 * x.nbytes
    loaded = tracenet.load_trace(path)
    assert_same(loaded, trace)
    assert_drawn_the_same(loaded, trace, formats=("json",))


def test_an_unknown_operation_and_a_failed_run(tmp_path):
    def broken(x):
        return np.sum(np.apply_along_axis(lambda row: row[0], 1, x)) + np.ones((7, 1)) @ x

    with pytest.raises(ValueError) as raised:
        tracer.trace(broken, np.ones((2, 2)))
    trace = raised.value.tracenet_trace
    loaded = tracenet.load_trace(trace.save(tmp_path / "run.trace"))
    assert loaded.failed == trace.failed and "ValueError" in loaded.failed
    assert loaded.failed_at == trace.failed_at and loaded.last_steps() == trace.last_steps()


def test_results_that_no_file_holds(tmp_path):
    trace = tracer.trace(lambda x: (x * 2, {"a": object(), 3: [None, True]}), np.ones(2))
    loaded = tracenet.load_trace(trace.save(tmp_path / "run.trace")).result
    assert same(loaded[0], trace.result[0]) and loaded[1][3] == [None, True]
    assert repr(loaded[1]["a"]) == repr(trace.result[1]["a"])
