"""Every example, run as a person runs it; each writes its picture."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.differences import numerical
from tests.truth import close, truth

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(folder, *args):
    return subprocess.run(
        [sys.executable, *map(str, args)], cwd=folder, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["mazur", "circuit", "deep_network"])
def test_an_example_writes_its_picture(tmp_path, name):
    done = run(tmp_path, ROOT / "examples" / f"{name}.py")
    assert (tmp_path / f"{name}.svg").read_text().startswith("<?xml")
    assert f"{name}.svg" in done.stdout


def test_the_course_network_knows_nothing_of_tracenet_and_is_drawn(tmp_path):
    source = (ROOT / "examples" / "course_network.py").read_text()
    assert "tracenet" not in source.split('"""')[2]
    call = "iteration(X, Y, parameters, 0.5)"
    target = ROOT / "examples" / "course_network.py"
    run(tmp_path, "-m", "tracenet", "render", target, "--call", call, "-o", "c.json")
    diagram = json.loads((tmp_path / "c.json").read_text())
    kinds = {kind: [n["name"] for n in diagram["nodes"] if n["kind"] == kind]
             for kind in ("forward", "cache", "loss", "backward", "gradient", "update")}  # fmt: skip
    layers = [f"linear_activation {i}" for i in (1, 2, 3)]
    assert kinds["forward"] == layers and kinds["loss"] == ["compute_cost"]
    assert sorted(kinds["backward"]) == sorted(
        [*(f"{n} backward" for n in layers), "compute_cost backward"]
    )
    assert len(kinds["cache"]) == 4 and len(kinds["update"]) == 3
    assert {"dW1, db1", "dW2, db2", "dW3, db3"} <= set(kinds["gradient"])
    by_id = {n["id"]: n for n in diagram["nodes"]}
    for node in diagram["nodes"]:
        if node["kind"] == "backward":
            assert node["name"] == by_id[node["of"]]["name"] + " backward"
            assert node["column"] == by_id[node["of"]]["column"]


def load(name):
    import runpy

    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


def test_mazur():
    _, expected = truth("mazur")
    trace = load("mazur")["trace"]
    close(trace.result, expected["loss"])
    for name in ("W1", "b1", "W2", "b2"):
        close(trace.gradient(name), expected["d" + name])
    close(trace["W1:2"], expected["W1_new"])


def test_circuit():
    _, expected = truth("cs231n_sigmoid")
    trace = load("circuit")["trace"]
    close(trace.result, expected["f"])
    for name in ("w0", "x0", "w1", "x1", "w2"):
        close(trace.gradient(name), expected["d" + name])


def test_deep_network_is_trained_on_real_measurements():
    module = load("deep_network")
    X, Y, parameters, trace = (module[k] for k in ("X", "Y", "parameters", "trace"))
    assert X.shape == (4, 150) and Y.sum(axis=1).tolist() == [50, 50, 50]
    forward = module["forward"]
    assert trace.result == forward(X, Y, parameters) > forward(X, Y, module["new"])
    for name in ("W1", "b2", "W3"):
        expected = numerical(lambda: forward(X, Y, parameters), parameters[name])
        np.testing.assert_allclose(trace.gradient(name), expected, rtol=1e-5, atol=1e-8)
    for _ in range(200):
        _, parameters = module["iteration"](X, Y, parameters, 0.5)
    predicted = np.argmax(
        module["forward"].__globals__["softmax"](_scores(module, X, parameters)), 0
    )
    assert np.mean(predicted == np.argmax(Y, axis=0)) > 0.95


def _scores(module, X, parameters):
    a = np.tanh(parameters["W1"] @ X + parameters["b1"])
    a = np.tanh(parameters["W2"] @ a + parameters["b2"])
    return parameters["W3"] @ a + parameters["b3"]


def test_the_wrong_gradient_is_found():
    target = str(ROOT / "examples" / "wrong_gradient.py")
    done = subprocess.run(
        [sys.executable, "-m", "tracenet", "check", target, "--call", "iteration(x, y, parameters)"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    readme = (ROOT / "README.md").read_text()
    for line in done.stdout.splitlines()[:6]:
        assert line in readme
