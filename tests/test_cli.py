"""The command, as a person uses it: what it draws, what it says, how it ends."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tracenet.commands import main
from tracenet.render import engine, png

ROOT = Path(__file__).parent.parent
NET = """
import numpy as np
W = np.array([[0.5, -0.2], [0.1, 0.3]])
x = np.array([[1.0], [2.0]])
n = np.array([1, 2])
state = {"calls": 0}

def layer(a, W):
    z = W @ a
    return np.tanh(z)

def loss(x):
    state["calls"] += 1
    return np.sum(layer(layer(x, W), W) ** 2)

def nothing():
    return loss(x)

def vector(x):
    return layer(x, W)

def broken(x):
    h = layer(x, W)
    return h + np.ones((7, 1))

def strange(x):
    return np.sum(np.array([np.nan, np.inf]) * x[:, 0])

class Net:
    def __init__(self):
        self.w = np.ones((1, 2))
    def loss(self, x):
        return np.sum(self.w @ x)

net = Net()
print("said by the file")
"""


@pytest.fixture
def net(tmp_path):
    file = tmp_path / "my_net.py"
    file.write_text(NET)
    return str(file)


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "tex", "html", "md", "dot", "json"])
def test_every_format_by_suffix(net, tmp_path, suffix):
    out = tmp_path / f"net.{suffix}"
    result = run("render", net, "--call", "loss(x)", "-o", out)
    assert result.exit_code == 0, result.output
    start = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "json": b"{"}
    start |= {"tex": b"% ", "html": b"<!DOCTYPE", "md": b"# "}
    assert out.read_bytes().startswith(start[suffix])
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def nodes(text):
    return [(node["kind"], node["name"]) for node in json.loads(text)["nodes"]]


def test_standard_output_holds_only_the_picture(net):
    result = run("render", net, "--call", "loss(x)", "-o", "-", "--format", "json")
    assert "said by the file" in result.stderr
    kinds = nodes(result.stdout)
    assert ("forward", "layer 1") in kinds and ("backward", "layer 2 backward") in kinds
    assert ("gradient", "dW") in kinds


def test_targets(net):
    as_function = run("render", f"{net}:nothing", "-o", "-", "--format", "json")
    assert ("loss", "loss") in nodes(as_function.stdout)
    method = run("render", net, "--call", "net.loss(x)", "-o", "-", "--format", "json")
    assert ("parameter", "w") in nodes(method.stdout)
    whole = run("render", net, "--call", "loss(x) * 2 + 1", "-o", "-", "--format", "json")
    assert whole.exit_code == 0


def test_options(net):
    base = ["render", net, "--call", "loss(x)", "-o", "-", "--format", "json"]
    forward = nodes(run(*base, "--forward-only").stdout)
    assert not any(kind in ("backward", "cache", "gradient") for kind, _ in forward)
    ops = json.loads(run(*base, "--view", "ops").stdout)
    assert ops["view"] == "ops" and {f["name"] for f in ops["frames"]} == {"layer 1", "layer 2"}
    updated = nodes(run(*base, "--learning-rate", "0.1").stdout)
    assert ("update", "update of W") in updated
    shapes = json.loads(run(*base, "--values", "shapes").stdout)
    assert all(n["kind"] for n in shapes["nodes"])
    two = json.loads(run(*base, "--depth", "2").stdout)
    assert len(two["nodes"]) >= len(shapes["nodes"])


def test_a_loss_that_is_not_scalar_is_drawn_forwards(net):
    result = run("render", net, "--call", "vector(x)", "-o", "-", "--format", "json")
    assert result.exit_code == 0
    assert "only the forward pass is drawn: there is no scalar loss" in result.stderr
    asked = run("render", net, "--call", "vector(x)", "--backward", "-o", "-", "--format", "json")
    assert asked.exit_code == 2 and "there is no scalar loss" in asked.stderr


def test_not_a_number_is_drawn_and_marked(net):
    result = run("render", net, "--call", "strange(x)", "-o", "-", "--format", "json")
    assert result.exit_code == 0
    assert '"NaN"' in result.stdout


WRONG = [
    (["missing.py", "--call", "f(x)"], "there is no such file"),
    (["missing.py"], "there is no such file"),
    (["{net}", "--call", "loss(x"], "cannot parse the expression"),
    (["{net}", "--call", "loss(x)", "-o", "no/such/folder/x.svg"], "there is no folder"),
    (["{net}", "--call", "loss(x)", "-o", "x.bmp"], "unknown suffix '.bmp'"),
    (["{net}", "--call", "loss(x)", "-o", "{net}", "--format", "svg"], "is not written over"),
    (["{net}", "--call", "loss(x)", "-o", "new.py", "--format", "svg"], "is not written over"),
    (["{net}", "--call", "loss(x)", "--view", "tow"], "unknown view 'tow': choose one of"),
    (["{net}", "--call", "loss(x)", "--values", "all"], "unknown amount of values 'all'"),
    (["{net}", "--call", "loss(x)", "--digits", "0"], "--digits must be from 1 to 17"),
    (["{net}", "--call", "loss(x)", "--depth", "0"], "--depth must be 1 or more"),
    (["{net}", "--call", "loss(x)", "-o", "-"], "-o - needs --format"),
    (["{net}"], "made no trace"),
    (["{net}:absent"], "there is no function 'absent' in the file; there are layer, loss"),
    (["{net}", "--call", "los(x)"], "'los' in 'los(x)' is not in the file: did you mean 'loss'?"),
    (["{net}", "--call", "loss(y)"], "'y' in 'loss(y)' is not in the file"),
    (["{net}", "--call", "layer(x)"], "argument: 'W': it is layer(a, W), and the call 'layer(x)'"),
    (["{net}", "--call", "loss(x)", "-o", "."], "is a folder: give -o the name of a file in it"),
    (["{bad}", "--call", "f()"], "line 2"),
    (["{bad}"], "line 2"),
]


@pytest.mark.parametrize(("args", "message"), WRONG)
def test_wrong_usage_is_one_clear_line(net, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.py"
    bad.write_text("x = 1\ndef f(:\n")
    before = sorted(p.name for p in tmp_path.iterdir())
    result = run("render", *[a.format(net=net, bad=bad) for a in args])
    assert result.exit_code == 2
    said = [line for line in result.stderr.splitlines() if line != "said by the file"]
    assert len(said) == 1 and message in said[0] and said[0].startswith("tracenet: ")
    after = sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__")
    assert after == [name for name in before if name != "__pycache__"]


def test_the_users_error_is_theirs(net, tmp_path):
    out = tmp_path / "x.svg"
    result = run("render", net, "--call", "broken(x)", "-o", out)
    assert result.exit_code == 1 and not out.exists()
    assert "my_net.py" in result.stderr and "return h + np.ones((7, 1))" in result.stderr
    assert "could not be broadcast" in result.stderr
    assert "tracenet: the last recorded operation was tanh in block broken / layer" in result.stderr
    assert "recording" not in result.stderr  # none of our own frames
    partial = run("render", net, "--call", "broken(x)", "-o", out, "--partial")
    assert partial.exit_code == 1 and "failed here, line 24" in out.read_text()
    checked = run("check", net, "--call", "broken(x)")
    assert checked.exit_code == 2 and "could not be broadcast" in checked.stderr
    advice = run("check", net)
    assert f"tracenet check {net} --call" in advice.stderr and "--iteration 1" in advice.stderr


def test_an_existing_file_survives_a_failure(net, tmp_path, monkeypatch):
    out = tmp_path / "x.svg"
    out.write_text("mine")
    monkeypatch.setenv("TRACENET_ENGINE", "dot")
    monkeypatch.setenv("PATH", "")
    result = run("render", net, "--call", "loss(x)", "--view", "ops", "-o", out)
    assert result.exit_code == 2 and out.read_text() == "mine"
    assert "no Graphviz could be loaded" in result.stderr and "apt-get install" in result.stderr
    for suffix in ("dot", "json"):
        assert (
            run("render", net, "--call", "loss(x)", "-o", tmp_path / f"x.{suffix}").exit_code == 0
        )


def test_a_picture_at_another_size_or_by_another_hand_is_said(net, tmp_path, monkeypatch):
    monkeypatch.setattr(png, "MOST_PIXELS", 400_000)
    result = run("render", net, "--call", "loss(x)", "-o", tmp_path / "x.png")
    (line,) = [text for text in result.stderr.splitlines() if "dots an inch" in text]
    assert re.fullmatch(
        r"tracenet: the PNG is drawn with \d+ dots an inch instead of 192, as \d+ × \d+ pixels: "
        r"\.svg and \.pdf are sharp at any size",
        line,
    )
    monkeypatch.setenv("TRACENET_ENGINE", "pygraphviz")
    monkeypatch.setattr(engine, "TIMEOUT", 0.001)
    result = run("render", net, "--call", "loss(x)", "--view", "ops", "-o", tmp_path / "x.svg")
    assert result.exit_code == 0 and (tmp_path / "x.svg").read_text().endswith("</svg>\n")
    assert "tracenet: Graphviz took more than 0.001 s and was stopped: tracenet placed this" in (
        result.stderr
    )


def test_help_version_completion():
    assert "render" in run("--help").output
    assert run("--version").output.startswith("tracenet ")
    assert "--call" in run("render", "--help").output
    assert "_TRACENET_COMPLETE" in run("completion", "bash").output


def test_the_same_bytes_whatever_the_hash_seed(net, tmp_path):
    made = []
    for seed in ("0", "1", "77"):
        out = tmp_path / f"{seed}.svg"
        subprocess.run(
            [sys.executable, "-m", "tracenet", "render", net, "--call", "loss(x)", "-o", str(out)],
            env={
                "PYTHONHASHSEED": seed,
                "PATH": "",
                "PYTHONPATH": str(ROOT),
                "HOME": str(tmp_path),
            },
            check=True,
            capture_output=True,
        )
        made.append(out.read_bytes())
    assert made[0] == made[1] == made[2]
