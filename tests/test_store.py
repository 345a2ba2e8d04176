"""Saving and loading: what comes back is what was there, to the bit; bad files say so."""

import json
import math
import os
import pickle
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tracenet
from tests.networks import course, flat, heads, layers, modular, sequence
from tests.test_networks import CASES
from tracenet import tracer
from tracenet.cli import main
from tracenet.errors import GradientError, LoadError, UsageError
from tracenet.recording.memory import LATER
from tracenet.render import encode
from tracenet.store.arrays import Entries, Pools
from tracenet.store.coding import Decoder, Encoder
from tracenet.strides import dense

ITERATIONS = [
    (getattr(module, name), getattr(module, f"{name}_example"))
    for module, names in [
        (course, ["course_net"]), (flat, ["step"]), (heads, ["head_net"]), (layers, ["layer_net"]),
        (modular, ["norm_net", "conv_net"]), (sequence, ["rnn_net", "lstm_net", "char_rnn"]),
    ]
    for name in names
]  # fmt: skip
"""Networks that run both passes themselves, and what makes their arguments."""


def same(a, b):
    """Equal in type, dtype, shape and bits."""
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, slice):
        return type(b) is slice and same([a.start, a.stop, a.step], [b.start, b.stop, b.step])
    if isinstance(a, (np.ndarray, np.generic)):
        if type(a) is not type(b) or a.dtype != b.dtype or a.shape != b.shape:
            return False
        return a.tolist() == b.tolist() if a.dtype.hasobject else a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return type(b) is float and np.float64(a).tobytes() == np.float64(b).tobytes()
    return type(a) is type(b) and a == b


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
    assert any(data is LATER for data in trace._tape.values), "nothing to rebuild in this test"
    assert any(data is LATER for data in loaded._tape.values), "versions were written out in full"
    assert_same(loaded, trace)
    assert_drawn_the_same(loaded, trace, formats=("json", "dot"))


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


# ---------------------------------------------------------------------- the code of settings


class Kept:
    """Pools that are read without a file between."""

    def __init__(self):
        self.arrays = []

    def add(self, array):
        self.arrays.append(array.copy())
        return len(self.arrays) - 1


def through(x):
    kept = Kept()
    return Decoder(kept.arrays)(json.loads(json.dumps(Encoder(kept.add)(x), allow_nan=False)))


DTYPES = hnp.scalar_dtypes() | hnp.byte_string_dtypes(min_len=1)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text()
    | st.binary() | st.just(...) | st.just(np._NoValue) | DTYPES | ARRAYS
    | st.sampled_from([float, int, np.float32, np.int64, np.bool_, np.transpose, np.swapaxes])
    | hnp.from_dtype(np.dtype("f4")) | st.integers(2**70, 2**90)
    | st.builds(slice, *[st.none() | st.integers(-9, 9)] * 3)
)  # fmt: skip
KEYS = st.text(max_size=5) | st.integers() | st.none() | st.tuples(st.integers(), st.text())
SETTINGS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(SETTINGS)
def test_settings_come_back(settings):
    assert same(through(settings), settings)


@given(hnp.arrays(object, hnp.array_shapes(), elements=st.integers() | st.text() | st.none()))
def test_arrays_of_objects_come_back(array):
    assert same(through(array), array)


def test_what_has_no_form_keeps_its_text():
    class Odd:
        def __repr__(self):
            return "odd <repr>"

        def __str__(self):
            return "odd"

    back = through({"a": Odd(), "b": [math.sin]})
    assert (repr(back["a"]), str(back["a"])) == ("odd <repr>", "odd")
    assert repr(back["b"][0]) == repr(math.sin)
    assert same(repr(through(back)), repr(back))


VIEWS = st.sampled_from([
    lambda x: x, lambda x: x.T, lambda x: x[::-1], lambda x: x[:, 1:], lambda x: x[..., None],
    lambda x: np.broadcast_to(x[:1], (5, *x.shape[1:])), lambda x: x[:0],
    lambda x: np.moveaxis(x, 0, -1), lambda x: np.asfortranarray(x),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
])  # fmt: skip


@given(hnp.arrays(DTYPES, st.tuples(*[st.integers(2, 5)] * 3)), st.lists(VIEWS, min_size=1))
def test_arrays_of_every_layout_come_back(tmp_path_factory, base, views):
    pools = Pools()
    arrays = [view(base) for view in views] + [views[0](views[-1](base))]
    numbers = [pools.add(array) for array in arrays]
    path = tmp_path_factory.getbasetemp() / "arrays.zip"
    with zipfile.ZipFile(path, "w") as file:
        pools.write(lambda name: file.open(name, "w"))
    with zipfile.ZipFile(path) as file:
        entries = Entries(json.loads(json.dumps(pools.entries)), file)
    for number, array in zip(numbers, arrays):
        assert same(entries[number], array)
        assert same(dense(array), array)
        lengths = np.array(array.shape) > 1
        steps, own = (np.array(a.strides)[lengths] for a in (entries[number], dense(array)))
        assert array.size == 0 or steps.tolist() == own.tolist()


# ---------------------------------------------------------------------- files


def test_nothing_is_pickled(small, tmp_path, monkeypatch):
    refuse = lambda *_, **__: pytest.fail("pickle was used")
    for name in ("dump", "dumps", "load", "loads"):
        monkeypatch.setattr(pickle, name, refuse)
    loaded = tracenet.load_trace(small.save(tmp_path / "run.trace"))
    assert same(loaded.gradient("W"), small.gradient("W"))


def test_a_loaded_trace_is_not_replayed(small, tmp_path):
    loaded = tracenet.load_trace(small.save(tmp_path / "run.trace"))
    for act in (loaded.backward, lambda: loaded.update(0.1)):
        with pytest.raises(GradientError, match="was loaded from a file") as raised:
            act()
        assert "\n" not in str(raised.value)


def error_of(path):
    with pytest.raises(LoadError) as raised:
        tracenet.load_trace(path)
    assert "\n" not in str(raised.value) and path.name in str(raised.value)
    return str(raised.value)


def rewritten(path, changes):
    """The file again, with some members changed, or left out where they are None."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()} | changes
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            if content is not None:
                new.writestr(zipfile.ZipInfo(name), content)


def test_files_that_are_no_traces(tmp_path):
    assert "there is no such file" in error_of(tmp_path / "nowhere.trace")
    assert "it is a folder" in error_of(tmp_path)
    for content in (b"", b"import numpy", b"PK\x03\x04" + bytes(60)):
        (tmp_path / "a.trace").write_bytes(content)
        assert "is not a saved trace" in error_of(tmp_path / "a.trace")
    with zipfile.ZipFile(tmp_path / "b.trace", "w") as other:
        other.writestr("word/document.xml", "<a/>")
    assert "is not a saved trace" in error_of(tmp_path / "b.trace")


def test_a_newer_version(small, tmp_path):
    path = small.save(tmp_path / "run.trace")
    head = {"format": "tracenet trace", "version": 2, "tracenet": "9.1", "more": []}
    rewritten(path, {"tracenet.json": json.dumps(head)})
    assert "newer tracenet (9.1, version 2" in error_of(path)


def test_every_missing_member_is_noticed(small, tmp_path):
    whole = small.save(tmp_path / "run.trace").read_bytes()
    path = tmp_path / "cut.trace"
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as file:
        names = file.namelist()[1:]
    for name in names:
        path.write_bytes(whole)
        rewritten(path, {name: None})
        assert "damaged or not whole" in error_of(path)
        rewritten(path, {name: b"[]"})
        assert "damaged or not whole" in error_of(path)


def test_every_cut_and_every_flipped_byte_of_the_arrays_is_noticed(small, tmp_path):
    whole = small.save(tmp_path / "run.trace").read_bytes()
    path = tmp_path / "cut.trace"
    for length in range(60, len(whole), 37):
        path.write_bytes(whole[:length])
        assert "damaged or not whole" in error_of(path)
    with zipfile.ZipFile(tmp_path / "run.trace") as file:
        start = file.getinfo("arrays/0.npy").header_offset + 200
    path.write_bytes(whole[:start] + bytes([whole[start] ^ 1]) + whole[start + 1 :])
    assert "damaged or not whole" in error_of(path)


def test_a_pickle_in_the_file_is_refused(small, tmp_path):
    path = small.save(tmp_path / "run.trace")
    np.save(tmp_path / "evil.npy", np.array([{}], dtype=object), allow_pickle=True)
    rewritten(path, {"arrays/0.npy": (tmp_path / "evil.npy").read_bytes()})
    assert "damaged or not whole" in error_of(path)


def test_other_files_are_not_written_over(small, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already and is not a saved trace"):
        small.save(path)
    assert path.read_text() == "mine"
    path.write_bytes(b"")
    assert (
        tracenet.load_trace(small.save(path)).title == tracenet.load_trace(small.save(path)).title
    )
    with pytest.raises(UsageError, match="there is no folder"):
        small.save(tmp_path / "no" / "run.trace")


def test_an_interrupted_write_leaves_the_old_file(small, tmp_path, monkeypatch):
    path = small.save(tmp_path / "run.trace")
    before = path.read_bytes()

    def interrupted(self, member):
        with member("arrays/0.npy") as file:
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Pools, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["run.trace"]

    def full(self, member):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Pools, "write", full)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        small.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["run.trace"]


def test_progress_is_told(small, tmp_path):
    said = []
    tracenet.load_trace(small.save(tmp_path / "run.trace", said.append), said.append)
    assert [words.split()[0] for words in said] == ["building", "writing", "reading", "building"]


# ---------------------------------------------------------------------- the command


def test_the_command_draws_a_saved_trace(small, tmp_path):
    path = small.save(tmp_path / "run.trace")
    for options in ([], ["--view", "ops"], ["--depth", "1", "--values", "shapes"]):
        out = tmp_path / "net.json"
        done = CliRunner().invoke(main, ["render", str(path), "-o", str(out), *options])
        assert done.exit_code == 0, done.output
        words = {"view": "blocks"} | dict(
            (name[2:], int(word) if word.isdigit() else word)
            for name, word in zip(options[::2], options[1::2])
        )
        assert out.read_bytes() == encode(small.diagram(**words), "json")


def test_what_the_command_says_of_saved_traces(small, tmp_path):
    path = small.save(tmp_path / "run.trace")
    bad = tmp_path / "bad.trace"
    bad.write_bytes(path.read_bytes()[:500])
    for args, words in [
        ([str(path), "--call", "f()"], "leave --call out"),
        ([str(path), "--learning-rate", "0.1"], "was loaded from a file"),
        ([str(bad)], "damaged or not whole"),
    ]:
        done = CliRunner().invoke(main, ["render", *args, "-o", str(tmp_path / "net.json")])
        assert done.exit_code == 2 and words in done.output
        assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "net.json").exists()
