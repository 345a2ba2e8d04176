"""The files of traces: what is refused, and that a write is whole or does not happen."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

import tracenet
from tests.sameness import same
from tracenet import tracer
from tracenet.commands import main
from tracenet.errors import GradientError, LoadError, UsageError
from tracenet.render import encode
from tracenet.store.arrays import Pools


@pytest.fixture(scope="module")
def small():
    def loss(x, W):
        return np.sum(np.tanh(W @ x) ** 2)

    return tracer.trace(loss, np.array([[1.0], [2.0]]), np.array([[0.5, -0.2]])).backward()


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
    head = {"format": "tracenet trace", "version": 3, "tracenet": "9.1", "more": []}
    rewritten(path, {"tracenet.json": json.dumps(head)})
    assert "newer tracenet (9.1, version 3" in error_of(path)


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
