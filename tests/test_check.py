"""`tracenet check`: right code raises no alarm, planted faults are found in the right function."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import tracenet
from tests.faults import FAULTS
from tests.truth import truth
from tracenet import tracer
from tracenet.commands import main

NETWORKS = [
    ("course", "course_net"), ("modular", "norm_net"), ("modular", "conv_net"),
    ("sequence", "rnn_net"), ("sequence", "lstm_net"), ("sequence", "char_rnn"),
    ("heads", "head_net"), ("layers", "layer_net"), ("stepping", "train"), ("flat", "step"),
]  # fmt: skip


def network(module, name):
    made = importlib.import_module(f"tests.networks.{module}")
    return getattr(made, name), getattr(made, f"{name}_example")()


def source(module):
    return Path(importlib.import_module(f"tests.networks.{module}").__file__).read_text()


def checked(module, name):
    function, args = network(module, name)
    return tracer.check(tracer.trace(function, *args))


def planted(tmp_path, module, name, old, new):
    """The report on a network with one piece of its text replaced."""
    text = source(module)
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {module}"
    file = tmp_path / f"{module}_with_fault.py"
    file.write_text(text.replace(old, new))
    made = tracer.load(file)
    return tracer.check(tracer.trace(getattr(made, name), *getattr(made, f"{name}_example")()))


def verdicts(report, function):
    block = next(b for b in report.blocks if b.backward == function)
    return {o.name: o.verdict for o in block.outputs}


# ---------------------------------------------------------------------- right code


@pytest.mark.parametrize(("module", "name"), NETWORKS)
def test_right_code_raises_no_alarm(module, name):
    report = checked(module, name)
    assert report.ok and not report.faults, str(report)
    assert not any(block.unchecked for block in report.blocks)


@pytest.mark.parametrize(("module", "name"), NETWORKS)
def test_the_networks_are_right_by_central_differences(module, name):
    """What the check calls right is right: the loss's own differences say so, without any rule."""
    _, args = network(module, name)
    result = _again(module, name, args)
    loss = result[0] if isinstance(result, tuple) else result
    found = _named_gradients(module, name, args, result)
    assert found
    for array, gradient in found:
        at = tuple(n // 2 for n in array.shape)
        differences = []
        before = array[at]
        for step in (1e-6, -1e-6):
            array[at] = before + step
            again = _again(module, name, args)
            differences.append(again[0] if isinstance(again, tuple) else again)
        array[at] = before
        slope = (float(differences[0]) - float(differences[1])) / 2e-6
        assert gradient[at] == pytest.approx(slope, rel=2e-4, abs=2e-6)
    assert np.isfinite(float(loss))


def _again(module, name, args):
    if name == "norm_net":
        np.random.seed(0)  # the same dropout mask
        args[2]["bn"].clear()
    function, _ = network(module, name)
    return function(*args, rate=0.0) if name == "train" else function(*args)


def _named_gradients(module, name, args, result):
    """Pairs of a parameter and the gradient that the network itself computed for it."""
    if name in ("course_net", "norm_net", "conv_net", "head_net"):
        params = args[1] if name == "head_net" else args[2]
        result = _again(module, name, args)
        return [(params[k.removeprefix("d")], g) for k, g in result[1].items()
                if k.removeprefix("d") in params]  # fmt: skip
    if name in ("rnn_net", "lstm_net"):
        names = dict(zip(("x", "h0", "Wx", "Wh", "b"), args))
        return [(names[k], g) for k, g in result[1].items()]
    if name == "char_rnn":
        return [(a, g) for a, g in zip(args[3:8], result[1:6]) if np.all(np.abs(g) < 1)]
    if name in ("layer_net", "train"):
        layers = args[0] if name == "train" else args[0].layers
        linear = [layer for layer in layers if hasattr(layer, "W")]
        return [(layer.W, layer.dW.copy()) for layer in linear]
    _, W1, b1, W2, b2 = result  # flat: the update W - 0.1 dW
    return [(a, (a - new) / 0.1) for a, new in zip(args[2:6], (W1, b1, W2, b2))]


def test_what_the_course_leaves_to_another_place_is_a_convention():
    report = checked("course", "course_net")
    found = verdicts(report, "linear_backward")
    assert (found["dW"].kind, found["dW"].reason) == ("scaled", "1/m")
    assert found["dW"].factor == pytest.approx(1 / 6)
    assert found["dA_prev"].kind == "exact"
    whole = verdicts(report, "L_model_backward")
    assert whole["dW1"].kind == "exact" and whole["dA1"].reason == "m"


def test_checking_changes_nothing_of_the_users():
    function, args = network("modular", "norm_net")
    trace = tracer.trace(function, *args)
    mean = args[2]["bn"]["running_mean"].copy()
    tracer.check(trace)
    tracer.check(trace)
    assert np.array_equal(args[2]["bn"]["running_mean"], mean)


def test_float32_code_is_judged_as_float32():
    function, (x, y, params) = network("modular", "conv_net")
    single = {k: v.astype(np.float32) for k, v in params.items()}
    report = tracer.check(tracer.trace(function, x.astype(np.float32), y, single))
    assert report.ok, str(report)


def test_kinks_and_ties_are_no_errors():
    def relu_forward(x):
        return np.maximum(0, x), x

    def relu_backward(dout, cache):
        return dout * (cache >= 0)

    x = np.array([[0.0, 1.0, -1.0], [0.0, 0.0, 2.0]])
    assert tracer.check(relu_forward, relu_backward, x).ok

    def max_forward(x):
        return np.max(x, axis=1), x

    def max_backward(dout, x):
        return (x == np.max(x, axis=1, keepdims=True)) * dout[:, None]

    assert tracer.check(max_forward, max_backward, np.array([[1.0, 1.0], [0.0, 2.0]])).ok


# ---------------------------------------------------------------------- planted faults


def test_the_catalogue_is_large_enough():
    assert len(FAULTS) >= 40
    assert len({fault[0] for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_planted_fault_is_found_in_the_right_function(tmp_path, fault):
    _, module, name, old, new, function = fault
    with np.errstate(all="ignore"):
        report = planted(tmp_path, module, name, old, new)
    assert not report.ok, str(report)
    assert {f.function for f in report.faults} == {function}, str(report)


def test_the_statement_is_named(tmp_path):
    report = planted(tmp_path, "modular", "norm_net", "dxhat = dout * gamma", "dxhat = dout * xhat")
    assert report.faults[0].statement == "dxhat = dout * xhat"
    assert "Look at batchnorm_backward" in report.sentence()
    assert "dxhat = dout * xhat" in str(report)


def test_the_sentence_says_of_each_gradient_what_is_wrong_with_it():
    def layer_forward(x, w, b):
        return x * w + b, (x, w)

    def layer_backward(dout, cache):
        return dout, dout + cache[0], dout

    report = tracer.check(layer_forward, layer_backward, *np.random.RandomState(0).randn(3, 4))
    sizes = {
        o.name: f"wrong by {o.verdict.deviation:.2g}"
        for o in report.blocks[0].outputs
        if o.verdict.bad
    }
    assert len(set(sizes.values())) == 2
    assert all(f"{name}: {words}" in report.sentence() for name, words in sizes.items())


def test_blocks_that_pass_a_fault_on_are_told_apart(tmp_path):
    report = planted(tmp_path, "course", "course_net", "return dA * s * (1 - s)", "return dA * s")
    by_name = {block.backward: block for block in report.blocks}
    assert by_name["sigmoid_backward"].fault is not None
    outer = next(b for b in report.blocks if b.ordinal == 3 and "activation" in b.backward)
    assert outer.bad and outer.passed_on and outer.fault is None


def test_a_wrong_shape_is_never_hidden_by_broadcasting(tmp_path):
    keep = "np.sum(dZ, axis=1, keepdims=True)"
    report = planted(tmp_path, "course", "course_net", keep, "np.sum(dZ, axis=1)")
    found = verdicts(report, "linear_backward")["db"]
    assert found.kind == "wrong shape" and "must be" in found.reason


def test_a_gradient_that_was_not_computed_is_told_from_a_zero(tmp_path):
    report = planted(
        tmp_path, "course", "course_net", 'grads["dW" + str(L)], grads["db" + str(L)] = out',
        'grads["weights"], grads["db" + str(L)] = out',
    )  # fmt: skip
    assert verdicts(report, "L_model_backward")["dW3"].kind == "not computed"


def test_a_factor_of_two_is_named():
    def square_forward(x):
        return x**2, x

    def square_backward(dy, x):
        return dy * x

    report = tracer.check(square_forward, square_backward, np.arange(1.0, 4.0))
    (block,) = report.blocks
    assert block.outputs[0].verdict.factor == pytest.approx(0.5)
    assert block.outputs[0].verdict.reason == "1/2"
    with pytest.raises(AssertionError, match="Look at square_backward"):
        tracer.assert_gradients(square_forward, square_backward, np.arange(1.0, 4.0))


# ---------------------------------------------------------------------- caches made by hand


def test_the_courses_own_cases_are_right_block_by_block():
    course = importlib.import_module("tests.networks.course")
    given = truth("coursera_linear_backward")[0]
    cache = (given["A_prev"], given["W"], given["b"])
    report = tracer.check(tracer.trace(course.linear_backward, given["dZ"], cache))
    assert report.ok
    assert verdicts(report, "linear_backward")["dW"].reason == "1/m"

    given = truth("coursera_linear_activation_backward")[0]
    cache = ((given["A_prev"], given["W"], given["b"]), given["Z"])
    for activation in ("sigmoid", "relu"):
        args = given["dA"], cache, activation
        report = tracer.check(tracer.trace(course.linear_activation_backward, *args))
        assert report.ok and not any(block.unchecked for block in report.blocks)
        assert len(report.blocks) == 3

    given = truth("coursera_L_model_backward")[0]
    caches = [
        ((given["A0"], given["W1"], given["b1"]), given["Z1"]),
        ((given["A1"], given["W2"], given["b2"]), given["Z2"]),
    ]
    report = tracer.check(tracer.trace(course.L_model_backward, given["AL"], given["Y"], caches))
    assert report.ok
    names = [block.backward for block in report.blocks if not block.unchecked]
    assert sorted(names) == sorted(
        2 * ["linear_activation_backward", "linear_backward"]
        + ["relu_backward", "sigmoid_backward"]
    )


def test_a_fault_is_found_on_a_cache_that_fits_no_run(tmp_path):
    text = source("course")
    file = tmp_path / "wrong.py"
    file.write_text(text.replace("dA * s * (1 - s)", "dA * s * (1 + s)"))
    given = truth("coursera_linear_activation_backward")[0]
    cache = ((given["A_prev"], given["W"], given["b"]), given["Z"])
    wrong = tracer.load(file)
    report = tracer.check(
        tracer.trace(wrong.linear_activation_backward, given["dA"], cache, "sigmoid")
    )
    assert [fault.function for fault in report.faults] == ["sigmoid_backward"]


# ---------------------------------------------------------------------- the cache


def test_the_audit_says_what_is_kept_and_never_read():
    report = checked("course", "course_net")
    audit = next(b.audit for b in report.blocks if b.backward == "linear_backward")
    assert audit.kept == ("A_prev", "W", "b")
    assert audit.read == ("A_prev", "W") and audit.unread == ("b",)
    assert not audit.elsewhere and not audit.overwritten


def test_the_audit_of_a_whole_pass_says_what_is_never_read():
    report = checked("dict_cache", "step")
    (audit,) = [block.audit for block in report.blocks]
    assert report.ok and audit.unread == ("Z1", "Z2")
    assert {"A1", "A2"} <= set(audit.read) and not audit.elsewhere


def test_the_audit_finds_a_global_and_an_overwritten_cache(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(
        "import numpy as np\n"
        "W = np.arange(6.0).reshape(2, 3)\n"
        "def linear_forward(x):\n"
        "    return W @ x, (x,)\n"
        "def linear_backward(dout, cache):\n"
        "    (x,) = cache\n"
        "    return W.T @ dout\n"
        "def run(x):\n"
        "    out, cache = linear_forward(x)\n"
        "    x *= 2\n"
        "    return linear_backward(np.ones_like(out), cache)\n"
        "x = np.ones((3, 2))\n"
    )
    made = tracer.load(file)
    report = tracer.check(tracer.trace_call(made, "run(x)"))
    (audit,) = [block.audit for block in report.blocks]
    assert audit.elsewhere == ("W",)
    assert audit.unread == ("x",) and audit.overwritten == ("x",)


# ---------------------------------------------------------------------- the command


@pytest.fixture
def script(tmp_path):
    text = source("course")
    file = tmp_path / "net.py"
    file.write_text(text + "\nX, Y, parameters = course_net_example()\n")
    return file


def test_the_command_says_that_all_is_right(script):
    done = CliRunner().invoke(
        main, ["check", str(script), "--call", "course_net(X, Y, parameters)"]
    )
    assert done.exit_code == 0
    assert done.output.startswith("All gradients are right")


def test_the_command_names_the_fault_and_exits_with_one(script):
    script.write_text(script.read_text().replace("dA * s * (1 - s)", "dA * s"))
    call = ["check", str(script), "--call", "course_net(X, Y, parameters)"]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 1
    assert "line 26: return dA * s" in done.output.splitlines()[0]
    done = CliRunner().invoke(main, [*call, "--json"])
    found = json.loads(done.output)
    assert not found["ok"]
    first = found["blocks"][0]
    assert first["fault"]["function"] == "sigmoid_backward" and first["fault"]["line"] == 26
    assert {"forward", "backward", "file", "line", "outputs", "fault"} <= set(first)
    assert [b["backward"] for b in found["blocks"] if b["fault"]] == ["sigmoid_backward"]


def test_the_command_exits_with_two_where_there_is_nothing_to_check(script):
    done = CliRunner().invoke(main, ["check", str(script), "--call", "compute_cost(X, X)"])
    assert done.exit_code == 2
    assert "No hand-written backward code ran" in done.output


def test_a_backward_function_alone_is_a_call(script):
    call = "linear_backward(Y, (X, parameters['W3'][:, :1] * np.ones((1, 4)), parameters['b3']))"
    done = CliRunner().invoke(main, ["check", str(script), "--call", call])
    assert done.exit_code == 0, done.output


# ---------------------------------------------------------------------- the picture


def test_each_backward_box_says_how_it_was_found(tmp_path):
    function, args = network("course", "course_net")
    marks = _marks(tracer.trace(function, *args))
    assert marks["linear_activation 1 backward"][0] == "scaled"
    assert "×1/m" in marks["linear_activation 1 backward"][1]


def test_a_wrong_box_says_what_is_wrong_and_where(tmp_path, script):
    script.write_text(script.read_text().replace("dA * s * (1 - s)", "dA * s"))
    made = tracer.load(script)
    trace = tracer.trace(made.course_net, made.X, made.Y, made.parameters)
    mark, remark = _marks(trace)["linear_activation 3 backward"]
    assert mark == "wrong" and "line 26" in remark and remark.startswith("✗")
    svg = trace.render(tmp_path / "net.svg", check=True).read_text()
    assert "line 26" in svg


def _marks(trace):
    nodes = trace.diagram(check=True).nodes
    return {node.name: (node.mark, node.remark) for node in nodes if node.kind == "backward"}


def test_check_is_public():
    assert tracenet.check is not None and callable(tracenet.assert_gradients)


# ---------------------------------------------------------------------- which result is whose


def forward(x, k):
    return x * k, (x, k)


def early(dout, cache):
    x, k = cache
    if k > 1:
        dx = dout * k
        return dx, np.sum(dout * x)
    dk = np.sum(dout * x)
    return dout * k, 2.0 * dk


@pytest.mark.parametrize(("k", "right"), [(3.0, True), (0.5, False)])
def test_the_return_that_ran_says_what_was_returned(k, right):
    report = tracer.check(forward, early, np.array([1.0, 2.0, 4.0]), np.array(k))
    assert report.blocks and report.ok is right, str(report)


def test_backward_functions_may_be_lambdas():
    x = np.array([1.0, -2.0, 4.0])
    square = lambda x: (x**2, x)
    tracer.assert_gradients(square, lambda dout, x: 2 * dout * x, x)
    with pytest.raises(AssertionError, match="1/2"):
        tracer.assert_gradients(square, lambda dout, x: (lambda g: g * x)(dout), x)


FORGOTTEN = """
import numpy as np

def forward(X, W1, b1, W2, b2):
    A1 = np.tanh(W1 @ X + b1)
    A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
    return A2, (A1, A2)

def backward(X, Y, W2, cache):
    A1, A2 = cache
    m = X.shape[1]
    dZ2 = A2 - Y
    dW2 = dZ2 @ A1.T / m
    db2 = dZ2.sum(axis=1, keepdims=True) / m
    dA1 = W2.T @ dZ2
    dZ1 = dA1 * (1 - A1 ** 2)
    dW1 = dZ1 @ X.T
    db1 = dZ1.sum(axis=1, keepdims=True) / m
    return dW1, db1, dW2, db2

def step(X, Y, W1, b1, W2, b2):
    A2, cache = forward(X, W1, b1, W2, b2)
    loss = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    return loss, backward(X, Y, W2, cache)

rng = np.random.RandomState(0)
X, Y = rng.randn(3, 5), (rng.rand(1, 5) > 0.5) * 1.0
W1, b1, W2, b2 = rng.randn(4, 3), np.zeros((4, 1)), rng.randn(1, 4), np.zeros((1, 1))
"""


def test_where_one_gradient_lacks_the_mean_its_own_line_is_named(tmp_path):
    """All before it is m times too large as well, until the others are divided."""
    (tmp_path / "net.py").write_text(FORGOTTEN)
    module = tracer.load(tmp_path / "net.py")
    report = tracer.check(tracer.trace_call(module, "step(X, Y, W1, b1, W2, b2)", noting=True))
    assert [fault.statement for fault in report.faults] == ["dW1 = dZ1 @ X.T"]
