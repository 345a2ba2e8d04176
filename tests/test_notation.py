"""How names are written, in each notation, as names and in the formulas of a whole network."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tracenet import notation, tracer
from tracenet.commands import main
from tracenet.diagram import plain
from tracenet.errors import UsageError


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def layer(a_prev, W, b):
    z = W @ a_prev + b
    a = sigmoid(z)
    return a


def cost(x, y, parameters):
    a = layer(x, parameters["W1"], parameters["b1"])
    a = layer(a, parameters["W2"], parameters["b2"])
    cost = np.sum((a - y) ** 2) / 2
    return cost


@pytest.fixture(scope="module")
def trace():
    rng = np.random.RandomState(0)
    parameters = {
        "W1": rng.randn(3, 2), "b1": np.zeros((3, 1)), "W2": rng.randn(1, 3), "b2": np.zeros((1, 1))
    }  # fmt: skip
    made = tracer.trace(cost, np.ones((2, 1)), np.ones((1, 1)), parameters)
    made.backward()
    made.update(learning_rate=0.1)
    return made


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("ng", ["W[1]", "dW[2]", "dz[1]", "w0", "dγ[1]", "σ", "data"]),
        ("nielsen", ["W1", "∇W2", "δ1", "w0", "∇γ1", "σ", "data"]),
        ("partial", ["W[1]", "∂J/∂W[2]", "∂J/∂z[1]", "w0", "∂J/∂γ[1]", "σ", "data"]),
        ("code", ["W1", "dW2", "dz1", "w0", "dgamma1", "sigmoid", "data"]),
    ],
)
def test_names(chosen, names):
    with notation.written_in(chosen):
        found = [plain(notation.text(n)) for n in ("W1", "dW2", "dz1", "w0", "dgamma1")]
        found += [notation.function("sigmoid"), plain(notation.text("data"))]
    assert found == names
    assert plain(notation.text("dW1")) == "dW[1]", "the notation outlived its diagram"


def test_the_number_of_a_w_is_that_of_a_layer_where_it_is_a_matrix():
    def net(x, w1, b1, w2):
        z1 = w1 @ x + b1
        return np.sum(w2 * np.tanh(z1))

    args = np.ones((2, 3)), np.ones((4, 2)), np.ones((4, 1)), np.ones((4, 1))
    text = tracer.trace(net, *args).describe()
    assert "w[1] x + b[1]" in text and "w1" not in text
    text = tracer.trace(lambda x, w1, w2: w1 * x + w2, 2.0, 3.0, 4.0).describe()
    assert "w_1 · x + w_2" in text


def lines(trace, chosen, view="blocks"):
    made = trace.diagram(view, notation=chosen)
    return {node.name: [plain(line) for line in node.lines] for node in made.nodes}


def test_formulas(trace):
    assert lines(trace, "ng")["layer 2"] == ["z[2] = W[2] a[1] + b[2]", "a[2] = σ(z[2])"]
    assert lines(trace, "code")["layer 2"] == ["z2 = W2 a1 + b2", "a2 = sigmoid(z2)"]
    assert "dz2 = da2 ⊙ sigmoid′(z2)" in lines(trace, "code")["layer 2 backward"]
    assert "δ2 = ∇a2 ⊙ σ′(z2)" in lines(trace, "nielsen")["layer 2 backward"]
    partial = lines(trace, "partial")["layer 2 backward"]
    assert "∂J/∂W[2] = ∂J/∂z[2] a[1]T" in partial
    update = next(found for name, found in lines(trace, "partial").items() if "update" in name)
    assert update[0] == "W[1] := W[1] − 0.1 · (∂J/∂W[1])", "a quotient after a factor"


def test_a_raised_number_is_not_taken_for_a_power(trace):
    assert "∇W2 = δ2 (a1)T" in lines(trace, "nielsen")["layer 2 backward"]


@pytest.mark.parametrize("chosen", ["nielsen", "partial", "code"])
@pytest.mark.parametrize("view", ["blocks", "ops", "network", "cache"])
def test_every_view_is_in_one_notation(trace, view, chosen):
    made = trace.diagram(view, notation=chosen)
    drawn = [plain(s.name) for item in (*made.nodes, *made.edges) for s in item.shown]
    drawn += [plain(line) for node in made.nodes for line in node.lines]
    text = " ; ".join(drawn)
    other = {"nielsen": ("d", "[1]"), "partial": ("d",), "code": ("[1]", "σ", "∂")}[chosen]
    for letter in other:
        assert not any(word.startswith(letter) for word in text.replace("(", " ").split()), text
    assert {"nielsen": "∇W2", "partial": "∂J/∂W[2]", "code": "dW2"}[
        chosen
    ] in text or view == "cache"


def test_every_format_is_in_it(trace, tmp_path):
    def text(name, chosen):
        return trace.render(tmp_path / name, notation=chosen).read_text()

    assert r"\partial J/\partial W" in text("n.tex", "partial")
    assert "∂J/∂" in text("n.html", "partial") and "∂J/∂" in text("n.svg", "partial")
    assert r"\nabla" in text("n.md", "nielsen") and r"\delta" in text("n.tex", "nielsen")
    names = [s["label"] if "label" in s else str(s) for n in json.loads(text("n.json", "nielsen"))["nodes"] for s in n.get("values", [])]  # fmt: skip
    assert any("∇W2" in name for name in names)


def test_a_notation_that_does_not_exist(trace):
    with pytest.raises(
        UsageError, match="unknown notation 'leibniz': choose one of 'ng', 'nielsen'"
    ):
        trace.diagram(notation="leibniz")


def test_the_command(tmp_path):
    net = tmp_path / "net.py"
    net.write_text("import numpy as np\ndef f():\n    W1 = np.ones(2)\n    return np.sum(W1 * 2)\n")

    def run(*options):
        return CliRunner().invoke(
            main, ["render", f"{net}:f", "-o", str(tmp_path / "n.svg"), *options]
        )

    assert run("--notation", "code", "--theme", "ng", "--ground", "both").exit_code == 0
    assert "prefers-color-scheme:dark" in (tmp_path / "n.svg").read_text()
    pale = tmp_path / "pale.toml"
    pale.write_text('[light]\ntext = "#b0b0b0"\n')
    said = run("--theme", str(pale)).stderr.splitlines()
    assert [line for line in said if "hard to read" in line and line.startswith("tracenet: ")]
    assert not any("UserWarning" in line for line in said)
    for options, message in [
        (["--notation", "leibniz"], "unknown notation 'leibniz'"),
        (["--theme", "solarized"], "unknown theme 'solarized'"),
        (["--ground", "pink"], "unknown ground 'pink'"),
        (["--dpi", "300"], "dpi is for .png, and .svg has no pixels: leave it out"),
    ]:
        result = run(*options)
        assert result.exit_code != 0 and message in result.output + result.stderr


def test_a_cell_shows_what_was_asked_for(trace):
    cell = trace.show(theme="ng", ground="dark", notation="nielsen")
    page = cell._repr_mimebundle_()["text/html"]
    assert "∇" in page and "#0d1117" in page
    with pytest.raises(UsageError, match="unknown theme"):
        trace.show(theme="solarized")
