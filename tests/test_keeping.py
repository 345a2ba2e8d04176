"""Traces that keep only what their backward needs: the same gradients, and fewer bytes."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_memory import STEPS, add_to, look, look_back, rows, run
from tests.test_networks import CASES, IDS
from tracenet import tracer
from tracenet.errors import RecordError, UsageError
from tracenet.recording import keeping
from tracenet.recording.keeping import Gone
from tracenet.render import encode


@pytest.fixture
def greedy(monkeypatch):
    """Everything is let go that may be, as soon as it may."""
    monkeypatch.setattr(keeping, "SMALL", 0)
    monkeypatch.setattr(keeping, "SLACK", 0)
    monkeypatch.setattr(keeping, "SHARE", 0)


def lean(function, *args, mode="shapes", **backward):
    with tracer.keeping(mode):
        return tracer.trace(function, *args).backward(**backward)


def gone(trace):
    return sum(isinstance(data, Gone) for data in trace._tape.values)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients_are_the_same_to_the_last_bit(case, greedy):
    (function, args, _), (again, same, _) = case(), case()  # networks keep what they computed
    full = tracer.trace(function, *args).backward()
    light = lean(again, *same)
    assert gone(light) > 5
    for _ in range(2):
        for id in full._replays[-1].wanted & set(full.gradients()):
            found = (trace.data(trace.gradient_of(id)) for trace in (light, full))
            np.testing.assert_array_equal(*found)
        light.backward()


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=9))
def test_programs_of_views_and_writes(steps):
    x = np.cos(np.arange(12.0)).reshape(4, 3)
    function = lambda x: run(steps, x)[0]
    full = tracer.trace(function, x).backward(wrt=["x"])
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SMALL", "SLACK", "SHARE"):
            patch.setattr(keeping, name, 0)
        np.testing.assert_array_equal(
            lean(function, x, wrt=["x"]).gradient("x"), full.gradient("x")
        )


@pytest.mark.parametrize("function", [look, look_back, add_to, rows])
def test_reading_and_writing_one_by_one(function, greedy):
    x = np.cos(np.arange(12.0)).reshape(6, 2)
    args = x if function in (add_to, rows) else x[:, 0].copy(), 6
    full = tracer.trace(function, *args).backward()
    np.testing.assert_array_equal(lean(function, *args).gradient("x"), full.gradient("x"))


def network(X, parameters):
    a = X
    for l in range(1, len(parameters) + 1):
        a = np.tanh(parameters[f"W{l}"] @ a + 0.1) * 1.5
    return np.sum(a**2)


def arguments(layers, size=32, batch=512):
    rng = np.random.RandomState(0)
    made = {f"W{l}": rng.randn(size, size) / size**0.5 for l in range(1, layers + 1)}
    return rng.randn(size, batch), made


def test_bytes_kept_are_those_that_the_backward_reads():
    """Of each layer's five values the output of tanh and what it is multiplied by."""
    layers, size, batch = 12, 32, 512
    args = arguments(layers, size, batch)
    array = size * batch * 8

    def peak(make):
        tracemalloc.start()
        trace = make()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / array, trace

    tracer.trace(network, *arguments(1))
    full, trace = peak(lambda: tracer.trace(network, *args).backward())
    small, light = peak(lambda: lean(network, *args))
    assert full > layers * 4 and small < layers * 2 + 8
    assert gone(light) >= layers * 5
    for name in args[1]:
        np.testing.assert_array_equal(light.gradient(name), trace.gradient(name))


def test_what_is_left_of_an_array():
    args = arguments(2)
    trace = lean(network, *args, mode="summary")
    full = tracer.trace(network, *args).backward()
    id, data = next((i, v) for i, v in enumerate(trace._tape.values) if isinstance(v, Gone))
    assert data.shape == full.data(id).shape and data.dtype == full.data(id).dtype
    assert data.sketch["max"] == full.data(id).max()
    with pytest.raises(RecordError, match=r"of shape \(32, 512\) was not kept: .*tracer.keeping"):
        trace.data(id)
    shapes = lean(network, *args)
    assert {v.sketch for v in shapes._tape.values if isinstance(v, Gone)} == {None}
    with pytest.raises(UsageError, match="'shapes'"), tracer.keeping("little"):
        pass
    assert not gone(tracer.trace(network, *args).backward()), "after the with all is kept again"


def test_what_a_gradient_would_need_and_is_gone_is_said():
    with tracer.keeping("shapes"):
        x, W1 = tracer.input(np.ones(2000)), np.ones(2000)
        trace = tracer.trace(lambda x, W1: np.sum(np.exp(x) * W1), x, W1)
    trace.backward(wrt=["W1"])
    with tracer.keeping("shapes"):
        trace = tracer.trace(lambda x, W1: np.sum(np.exp(x * 2) + W1), x, W1)
    with pytest.raises(RecordError, match="was not kept"):
        trace.backward(wrt=["x"])


@pytest.mark.parametrize("view", ["blocks", "network", "cache", "ops"])
@pytest.mark.parametrize("mode", ["summary", "shapes"])
def test_pictures(mode, view):
    """They are those of a full trace."""
    args = arguments(2)
    pair = lean(network, *args, mode=mode), tracer.trace(network, *args).backward()
    drawn = [trace.diagram(view, values=mode) for trace in pair]
    cells = [[shown for part in (*d.nodes, *d.edges) for shown in part.shown] for d in drawn]
    assert [replace(s, data=None) for s in cells[0]] == [replace(s, data=None) for s in cells[1]]
    assert any(s.summary for s in cells[0]) and gone(pair[0])
    for format in ("svg", "json", "html"):
        assert encode(drawn[0], format)


def test_the_command_keeps_what_is_drawn(tmp_path, monkeypatch):
    """With shapes alone the same picture takes less memory, and no number is asked for."""
    from click.testing import CliRunner

    from tracenet.commands import main

    text = """import numpy as np
def layer(a, W):
    return np.tanh(W @ a + 1)
def loss(X, weights):
    for W in weights:
        X = layer(X, W)
    return np.sum(X)
def run():
    return loss(np.ones((40, 40)), [np.eye(40) for _ in range(3)])
"""
    (tmp_path / "net.py").write_text(text)
    swept, real = [], keeping.Lean.sweep
    monkeypatch.setattr(keeping.Lean, "sweep", lambda self: (swept.append(1), real(self)))
    drawn = {}
    for values in ("full", "summary", "shapes", "none"):
        for keeps in (True, False):
            swept.clear()
            out = tmp_path / f"{values}.svg"
            with monkeypatch.context() as patch:
                if not keeps:
                    patch.setattr(keeping, "SMALL", 1 << 40)
                target = [str(tmp_path / "net.py"), "--call", "run()"]
                done = CliRunner().invoke(
                    main, ["render", *target, "--values", values, "-o", str(out)]
                )
            assert done.exit_code == 0, done.output
            assert bool(swept) == (values != "full")
            drawn[keeps] = out.read_text()
        assert drawn[True] == drawn[False]
