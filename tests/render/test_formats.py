"""All formats: the same bytes each time, whole files, and errors of one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tracenet.diagram import NODE_KINDS, Diagram
from tracenet.errors import EngineError, UsageError
from tracenet.render import FORMATS, dot, encode, engine, label, palette, png, svg, write

from . import sample

ROOT = Path(__file__).parents[2]
HASHES = """
import sys, hashlib
sys.path.insert(0, sys.argv[1])
from tests.render import sample
from tracenet.render import encode
for make in (sample.mazur, sample.operations, sample.hostile):
    for format in ("dot", "svg", "json", "pdf", "png", "tex", "md", "html"):
        print(hashlib.sha256(encode(make(), format)).hexdigest())
"""


def test_same_bytes_whatever_the_hash_seed():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", HASHES, str(ROOT)], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert outputs[0] == outputs[1] and len(outputs[0].split()) == 24


@pytest.mark.parametrize("name", sample.ALL)
@pytest.mark.parametrize("format", FORMATS)
def test_every_sample_in_every_format(name, format):
    data = encode(sample.ALL[name](), format)
    starts = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "json": b"{"}
    starts |= {"tex": b"% ", "md": b"# ", "html": b"<!DOCTYPE html>"}
    assert data.startswith(starts.get(format, b"digraph"))


def test_graphviz_accepts_the_dot_without_a_word(capfd):
    for make in sample.ALL.values():
        engine.layout(dot.text(make()), "json")
    assert capfd.readouterr().err == ""


def test_gradients_are_declared_rightwards():
    lines = dot.text(sample.mazur()).splitlines()
    backward = next(line for line in lines if "id=ed2" in line)
    assert backward.startswith("  b1 -> b2 ") and "dir=back" in backward


# ---------------------------------------------------------------------- PNG


def ink(diagram: Diagram, text: str | None = None) -> bytes:
    import resvg_py

    whole = text if text is not None else svg.encode(diagram).decode()
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=whole, dpi=96, skip_system_fonts=True, font_files=list(png.font_files())
        )
    )


def test_letters_are_drawn_without_system_fonts():
    whole = svg.encode(sample.one()).decode()
    bare = re.sub(r"<text.*?</text>", "", whole, flags=re.S)
    assert bare != whole
    assert ink(sample.one(), whole) != ink(sample.one(), bare)
    assert len(ink(sample.one(), whole)) > len(ink(sample.one(), bare)) + 50


def test_scale_and_its_limit():
    def pixels(data: bytes) -> tuple[int, int]:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")

    one = sample.one()
    single, double = pixels(png.encode(one, 1)), pixels(png.encode(one))
    assert all(abs(2 * a - b) <= 2 for a, b in zip(single, double))
    assert png.fitting('width="40000pt" height="2000pt"', 2) == 1
    assert png.fitting('width="400pt" height="200pt"', 2) == 2


# ---------------------------------------------------------------------- PDF


def test_pdf_carries_its_fonts_and_no_time():
    data = encode(sample.mazur(), "pdf")
    assert b"/FontFile" in data and data.rstrip().endswith(b"%%EOF")
    assert b"Date" not in data


# ---------------------------------------------------------------------- JSON


def test_json_says_everything():
    content = json.loads(encode(sample.mazur(), "json"), parse_constant=pytest.fail)
    assert (content["format"], content["version"]) == ("tracenet diagram", 1)
    nodes = {node["id"]: node for node in content["nodes"]}
    assert nodes["p1"]["value"]["data"] == sample.W[1]
    assert nodes["p1"]["value"]["shape"] == [2, 2]
    assert nodes["p1"]["value"]["dtype"] == "float64"
    assert [value["name"] for value in nodes["p1"]["values"]] == ["W1", "b1"]
    assert nodes["nl"]["value"]["data"] == sample.LOSS
    assert nodes["n1"]["value"]["state"] == "not computed" and "data" not in nodes["n1"]["value"]
    assert nodes["f1"]["formulas"][1] == "a[1] = σ(z[1])"
    assert {e["kind"] for e in content["edges"]} == {"data", "cache", "gradient"}


def test_json_is_strict_and_bounded():
    content = json.loads(encode(sample.figures(), "json"), parse_constant=pytest.fail)
    values = {node["name"]: node["value"] for node in content["nodes"]}
    assert values["nan"]["data"] == [[1.0, "NaN"], ["Infinity", -2.5]]
    assert values["large"]["summary"].keys() == {"min", "mean", "max", "nan", "infinite"}
    assert values["broken"]["summary"]["nan"] == 1 and "data" not in values["broken"]
    assert len(encode(sample.hostile(), "json").decode("utf-8"))


# ---------------------------------------------------------------------- engines


def test_an_engine_that_is_asked_for_and_missing_is_one_line(monkeypatch):
    monkeypatch.setenv(engine.CHOICE, "dot")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for format in ("svg", "png", "pdf"):
        with pytest.raises(EngineError) as caught:
            encode(sample.operations(), format)
        assert "\n" not in str(caught.value) and "apt-get install graphviz" in str(caught.value)
    assert encode(sample.operations(), "dot") and encode(sample.operations(), "json")


@pytest.mark.parametrize("format", ["svg", "png", "pdf", "tex", "html", "md"])
def test_no_view_needs_an_engine(monkeypatch, format):
    before = [encode(make(), format) for make in (sample.skip, sample.operations)]
    monkeypatch.setenv(engine.CHOICE, "none")
    monkeypatch.setattr(engine, "_run", None)
    assert [encode(make(), format) for make in (sample.skip, sample.operations)] == before


@pytest.mark.parametrize("limit", [0.001, None])
def test_what_graphviz_gives_up_is_placed_by_tracenet_and_that_is_said(monkeypatch, limit):
    usual = encode(sample.operations(), "svg")
    monkeypatch.setenv(engine.CHOICE, "pygraphviz")
    engine._layout.cache_clear()
    if limit is not None:
        monkeypatch.setattr(engine, "TIMEOUT", limit)
    else:
        ended = subprocess.CompletedProcess([], -6, b"", b"Assertion failed: lost label")
        monkeypatch.setattr(engine, "_run", lambda *_: ended)
    with pytest.warns(UserWarning, match="tracenet placed this picture itself; write .dot") as said:
        assert encode(sample.operations(), "svg") == usual
    (line,) = {str(warning.message) for warning in said}
    assert ("lost label" in line or "took more than 0.001 s" in line) and "\n" not in line


def test_a_library_that_does_not_load(monkeypatch):
    def missing(*args):
        raise engine.NotLoaded("libX11.so.6: cannot open")

    monkeypatch.setenv(engine.CHOICE, "pygraphviz")
    monkeypatch.setattr(engine, "_by_wheel", missing)
    engine._layout.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(EngineError, match="libX11"):
        encode(sample.operations(), "svg")


def test_an_unknown_engine(monkeypatch):
    monkeypatch.setenv(engine.CHOICE, "neato")
    with pytest.raises(UsageError, match="TRACENET_ENGINE"):
        encode(sample.one(), "svg")


@pytest.mark.parametrize("text", ["digraph {", "digraph { a [label=<<b>] }", ""])
def test_refusals_are_errors_and_leave_the_engine_usable(text, capfd):
    with pytest.raises(EngineError, match="refused"):
        engine.layout(text, "json")
    with pytest.raises(EngineError, match="refused"):
        engine.layout("digraph { a }", "no such format")
    assert engine.layout("digraph { a }", "json")
    assert capfd.readouterr().err == ""


def test_the_environment_is_left_alone(monkeypatch):
    monkeypatch.delenv("FONTCONFIG_FILE", raising=False)
    encode(sample.one(), "svg")
    assert "FONTCONFIG_FILE" not in os.environ


@pytest.mark.skipif(not shutil.which("dot"), reason="no program dot")
def test_the_program_dot(monkeypatch):
    monkeypatch.setenv(engine.CHOICE, "dot")
    for make in sample.ALL.values():
        assert encode(make(), "svg").endswith(b"</svg>\n")


# ---------------------------------------------------------------------- files


def test_write_by_suffix(tmp_path):
    for format in FORMATS:
        path = write(sample.one(), tmp_path / f"one.{format.upper()}")
        assert path.read_bytes() == encode(sample.one(), format)
    assert len(list(tmp_path.iterdir())) == len(FORMATS)


@pytest.mark.parametrize("name", ["one.txt", "one", "no/folder/one.svg"])
def test_a_wrong_path_is_one_line(tmp_path, name):
    with pytest.raises(UsageError) as caught:
        write(sample.one(), tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_file_stays_when_the_engine_fails(tmp_path, monkeypatch):
    path = tmp_path / "one.svg"
    path.write_text("before")
    monkeypatch.setenv(engine.CHOICE, "dot")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(EngineError):
        write(sample.operations(), path)
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_a_failing_disk_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UsageError, match="No space left"):
        write(sample.one(), tmp_path / "one.dot")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- colours


def test_every_kind_has_colours_and_text_is_legible():
    assert set(palette.NODES) == set(NODE_KINDS)
    for ink_ in (*palette.NODES.values(), *palette.EDGES.values()):
        for ground in (ink_.ground, ink_.cell):
            assert palette.contrast(palette.TEXT, ground) >= 4.5
        assert palette.contrast(palette.QUIET, ink_.ground) >= 4.5
        assert palette.contrast(palette.ALARM_TEXT, ink_.ground) >= 4.5
        assert palette.contrast(ink_.border, ink_.ground) >= 3
    assert palette.contrast(palette.ALARM_TEXT, palette.ALARM_CELL) >= 4.5
    assert palette.contrast(palette.STRUCK, palette.WHITE) >= 4.5
    assert palette.contrast(palette.QUIET, palette.FRAME_GROUND) >= 4.5


def test_labels_are_bounded():
    shown = sample.shown((), "x", np.ones((3000, 3000)))
    assert len("".join(label.arrays((shown,), palette.PLAIN))) < 20_000
