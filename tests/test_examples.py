"""Every example, run as a person runs it; each writes its picture."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.differences import numerical
from tests.truth import close, truth
from tracenet import tracer
from tracenet.commands import main

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
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


# ---------------------------------------------------------------------- networks by hand


def plainly(module, *names):
    return [module[name] for name in names]


def assert_gradients(loss, parameters, gradients):
    for name, parameter in parameters.items():
        expected = numerical(loss, parameter)
        np.testing.assert_allclose(
            gradients[name], expected, rtol=1e-5, atol=1e-8, err_msg=name, strict=True
        )


@pytest.mark.parametrize("call", ["product(x, y, z)", "switch(x, y, z, w)"])
def test_circuits(call):
    inputs, expected = truth("cs231n_product" if "product" in call else "cs231n_max")
    target = tracer.load(ROOT / "examples" / "circuits.py")
    for name, value in inputs.items():
        call = call.replace(f"{name},", f"{value},").replace(f"{name})", f"{value})")
    trace = tracer.trace_call(target, call).backward()
    close(trace.result, expected["f"])
    for name in inputs:
        close(trace.gradient(name), expected["d" + name])


def test_cnn():
    module = load("cnn")
    step, X, y, parameters = plainly(module, "step", "X", "y", "parameters")
    loss, grads, new = step(X, y, parameters, 0.1)
    assert_gradients(lambda: step(X, y, parameters, 0.1)[0], parameters, grads)
    assert step(X, y, new, 0.1)[0] < loss
    z, _ = module["conv_forward"](X, parameters["W1"], parameters["b1"])
    assert z[1, 2, 3, 4] == pytest.approx(np.sum(X[1, 0, 3:6, 4:7] * parameters["W1"][2, 0]))


def test_rnn():
    module = load("rnn")
    loss, *given, parameters = plainly(module, "loss", "inputs", "targets", "h0", "parameters")
    value, grads = loss(*given, parameters)
    assert len(given[0]) == 20
    assert_gradients(lambda: loss(*given, parameters)[0], parameters, grads)
    for _ in range(100):
        _, grads = loss(*given, parameters)
        for name in parameters:
            parameters[name] -= 0.05 * np.clip(grads[name], -1, 1)
    assert loss(*given, parameters)[0] < value / 4


def test_lstm():
    module = load("lstm")
    step, *given, parameters = plainly(
        module, "step", "x", "h_prev", "c_prev", "target", "parameters"
    )
    x, h_prev, c_prev, _ = given
    _, grads, (dx, dh_prev, dc_prev) = step(*given, parameters)
    grads |= {"x": dx, "h_prev": dh_prev, "c_prev": dc_prev}
    everything = parameters | {"x": x, "h_prev": h_prev, "c_prev": c_prev}
    assert_gradients(lambda: step(*given, parameters)[0], everything, grads)


@pytest.mark.parametrize(("name", "data"), [("transformer", "x target"), ("resnet", "X Y")])
def test_a_forward_pass_alone_gets_its_backward(name, data):
    trace = tracer.trace_call(
        tracer.load(ROOT / "examples" / f"{name}.py"),
        f"loss({', '.join(data.split())}, parameters)",
    ).backward()
    module = load(name)
    loss, parameters = plainly(module, "loss", "parameters")
    given = plainly(module, *data.split())
    assert trace.result == loss(*given, parameters)
    some = dict(list(parameters.items())[::7] if name == "resnet" else parameters.items())
    gradients = {key: trace.gradient(key) for key in some}
    assert_gradients(lambda: loss(*given, parameters), some, gradients)


def test_no_position_of_the_transformer_sees_what_comes_later():
    module = load("transformer")
    block, x, parameters = plainly(module, "transformer_block", "x", "parameters")
    before = block(x, parameters)
    x[3:] += 1
    assert np.array_equal(block(x, parameters)[:3], before[:3])
    assert not np.isclose(block(x, parameters)[3:], before[3:]).any()


def test_the_residual_network_has_50_layers():
    parameters = load("resnet")["parameters"]
    assert sum(np.shape(value)[1] > 1 for value in parameters.values()) == 50
    assert len([key for key in parameters if key[0] in "UVW"]) == 50


@pytest.mark.parametrize("name", ["cnn", "rnn", "lstm", "transformer", "resnet", "circuits"])
def test_a_plain_example_runs_by_itself(tmp_path, name):
    source = (ROOT / "examples" / f"{name}.py").read_text()
    assert "tracenet" not in source.split('"""', 2)[2]
    run(tmp_path, ROOT / "examples" / f"{name}.py")


# ---------------------------------------------------------------------- what their pictures hold


def drawn(name, call, **options):
    return tracer.trace_call(
        tracer.load(ROOT / "examples" / f"{name}.py"), call, noting=True
    ).diagram(**options)


def names(diagram, kind):
    return [node.name for node in diagram.nodes if node.kind == kind]


def test_every_gradient_of_the_cnn_is_drawn_once():
    diagram = drawn("cnn", "step(X, y, parameters, 0.1)")
    assert names(diagram, "forward") == ["conv", "relu", "pool", "dense"]
    assert names(diagram, "loss") == ["softmax_loss"]
    assert sorted(names(diagram, "gradient")) == ["dW, db", "dW, db", "dX"]
    into = {edge.head for edge in diagram.edges}
    updates = [node for node in diagram.nodes if node.kind == "update"]
    assert len(updates) == 2 and all(node.id in into for node in updates)


def test_the_lstm_cell_is_drawn_with_all_its_gradients():
    diagram = drawn("lstm", "step(x, h_prev, c_prev, target, parameters)")
    gradients = names(diagram, "gradient")
    for gate in "figo":
        assert f"dW_{gate}, db_{gate}" in gradients
    assert "dc_prev" in gradients and len(gradients) == 6
    assert set(names(diagram, "backward")) >= {f"{n} backward" for n in names(diagram, "forward")}


def test_readme_shows_what_the_check_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    said = README.read_text().partition("tracenet check examples/wrong_gradient.py")[2]
    shown = said.split("```")[2].strip()
    command = ["check", "examples/wrong_gradient.py", "--call", "iteration(x, y, parameters)"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1 and done.output.strip().startswith(shown)
