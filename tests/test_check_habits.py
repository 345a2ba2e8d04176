"""The check on code as people write it: no alarm where it is right, and none missed for that."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.networks import habits
from tests.test_check import planted
from tracenet import tracer
from tracenet.commands import main

FILE = Path(habits.__file__)


def report(name):
    return tracer.check(tracer.trace(getattr(habits, name), *getattr(habits, f"{name}_example")()))


def outputs(report, function):
    found = [o for b in report.blocks if b.backward == function for o in b.outputs]
    assert found, [b.backward for b in report.blocks]
    return found


RIGHT = {  # network -> the function that must have been judged, and how many gradients of it
    "names": ("cell_backward", 15), "gru": ("Gru.train_step", 4), "digits": ("Network.backprop", 4),
    "entropy": ("Network.backprop", 3), "divided": ("divided", 2), "plain": ("plain_backward", 3),
    "losses": ("mse_prime", 1), "inplace": ("inplace", 4), "encoder": ("Encoder.backward", 1),
    "training": ("Dense.backward", 6), "variant": ("norm_backward_alt", 2), "masked": ("masked", 10),
    "chained": ("affine_backward", 6), "clipped": ("clipped", 3), "ascent": ("ascent", 2),
    "caller": ("caller_backward", 2), "returned": ("returned", 2), "keyed": ("keyed", 2),
    "taken": ("taken", 2), "leibniz": ("leibniz", 3), "unjudged": ("unjudged", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_no_alarm(name):
    found = report(name)
    assert found.ok and not found.faults, str(found)
    function, count = RIGHT[name]
    checked = [o for o in outputs(found, function) if o.verdict.right]
    assert len(checked) >= count, str(found)


FAULTS = [
    ("names", "da = parameters", "da = -parameters", "cell_backward"),
    ("names", 'gradients["dWaa"] += dz @ a_prev.T', 'gradients["dWaa"] += dz @ a.T', "cell_backward"),
    ("gru", "dhh = z * dh * (1 - hh**2)", "dhh = z * dh", "Gru.backward"),
    ("digits", "nabla_w[-l] = np.dot(delta, activations[-l - 1]", "nabla_w[-l] = 2 * np.dot(delta, activations[-l - 1]", "Network.backprop"),
    ("entropy", "delta) * sigmoid_prime(zs[-l])", "delta) * zs[-l]", "Network.backprop"),
    ("divided", "dZ1 = (dZ2 @ W2.T) * A1 * (1 - A1)", "dZ1 = (dZ2 @ W2.T) * A1", "divided"),
    ("plain", "dZ1 = grads[\"dA2\"] * (1 - A1**2)", "dZ1 = grads[\"dA2\"] * (1 - A1)", "plain_backward"),
    ("losses", "return 2 * (y_pred - y_true)", "return (y_pred - y_true)", "mse_prime"),
    ("inplace", "    dz[z <= 0] = 0\n", "", "inplace"),
    ("encoder", "return dq + dk + dv + error", "return dq + dk + dv", "Encoder.backward"),
    ("training", "input_gradient = output_gradient @", "input_gradient = 2 * output_gradient @", "Dense.backward"),
    ("variant", "- np.mean(dxhat, axis=0)", "", "norm_backward_alt"),
    ("chained", "return d * (x > 0)", "return d * x", "relu_backward"),
    ("clipped", "db1 = X.T @ do, do.sum(axis=0)", "db1 = X.T @ do, do.mean(axis=0)", "clipped"),
    ("clipped", "dW1 = dW1 / norm", "dW1 = dW1 / len(X)", "clipped"),
    ("returned", "return loss, X.T @ e, e.sum(axis=0)", "return loss, X.T @ e, e.mean(axis=0)", "returned"),
    ("keyed", 'sums["b1"] += e', 'sums["b1"] += e * h', "keyed"),
    ("taken", "(X.T @ e)", "(X.T @ np.abs(e))", "taken"),
    ("leibniz", "dout_dnet = 1 - out**2", "dout_dnet = 1 - out", "leibniz"),
    ("caller", "dz = dout * (1 - o**2)", "dz = dout * (1 - o)", "caller_backward"),
    ("ascent", "l1_delta = l1_error * l1 * (1 - l1)", "l1_delta = l1_error * l1", "ascent"),
    ("masked", "    dh3[h3 <= 0] = 0\n", "", "masked"),
    ("masked", "dh2 *= 1 - h2**2", "dh2 *= 1 - h2", "masked"),
    ("masked", "dh1 = dh1 * (h1 > 0)", "dh1 = dh1 * h1", "masked"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "function"), FAULTS)
def test_a_fault_in_the_same_code_is_found(name, old, new, function, tmp_path):
    found = planted(tmp_path, "habits", name, old, new)
    assert not found.ok, str(found)
    assert function in {f.function for f in found.faults}, str(found)


def test_a_gradient_given_before_the_softmax_is_said():
    assert "before the result" in str(report("names"))


def test_a_step_that_works_out_its_own_part_of_the_loss_is_judged_by_its_share():
    reasons = {o.verdict.reason for o in outputs(report("gru"), "Gru.backward")}
    assert "the share of this call" in reasons


def test_without_a_loss_it_is_said_where_the_check_began():
    assert "the gradient of activation2" in str(report("digits"))
    assert "delta on, the gradient of z" in str(report("entropy"))


def test_regularisation_left_to_the_update_is_said_and_a_forgotten_term_is_wrong(tmp_path):
    found = report("plain")
    assert "the cost's regularisation, 0.1 W1, is not in it" in str(found)
    old, new = 'grads["dW1"] = dZ1 @ X.T', 'grads["dW1"] = dZ1 @ X.T + 0.1 * parameters["W1"]'
    assert "it lacks 0.1 W2" in str(planted(tmp_path, "habits", "plain", old, new))


def test_a_regularisation_with_a_wrong_factor_is_wrong(tmp_path):
    text = FILE.read_text()
    for layer in ("2", "1"):
        old = {"1": "dZ1 @ X.T", "2": "dZ2 @ A1.T"}[layer] + "\n    "
        assert text.count(old) == 1
        text = text.replace(old, f'{old.strip()} + 0.2 * parameters["W{layer}"]\n    ')
    file = tmp_path / "decay.py"
    file.write_text(text)
    found = tracer.check(tracer.trace(tracer.load(file).plain, *habits.plain_example()))
    assert "it has 0.1 W1 too much" in str(found) and not found.ok


def test_a_gradient_under_the_next_layers_name_is_said():
    assert "dA2: exact, and really dA1" in str(report("plain"))


def test_what_was_not_judged_is_said():
    found = report("unjudged")
    assert found.ok and found.unjudged == ("W1",)
    assert found.sentence() == "The gradients that were found are right; none was found of W1."
    assert found.to_json()["unjudged"] == ["W1"]
    assert report("returned").sentence() == "All gradients are right."


def test_a_check_that_found_no_gradient_of_a_parameter_is_not_passed():
    def nothing(X, T, W):
        h = np.tanh(X @ W)
        loss = np.sum((h - T) ** 2)
        dh = 2 * (h - T)
        return loss, dh

    draw = np.random.RandomState(0).randn
    found = tracer.check(tracer.trace(nothing, draw(5, 3), draw(5, 2), draw(3, 2)))
    assert not found.ok and not found.faults, str(found)
    assert "No gradient of a parameter was found: none of W." in str(found)


def test_what_is_handed_on_beside_the_output_is_not_called_overwritten():
    audits = [b.audit for b in report("chained").blocks if b.audit is not None]
    assert audits and not any(audit.overwritten for audit in audits)


def test_a_gradient_is_judged_as_it_was_before_it_was_clipped():
    reasons = {o.name: o.verdict.reason for o in outputs(report("clipped"), "clipped")}
    assert reasons["dW1"] == reasons["db1"] == "before clipping"


def test_a_factor_is_located_where_the_first_gradient_lacks_it(tmp_path):
    old = 'dh1 = dh2 @ P["W2"].T'
    found = planted(tmp_path, "habits", "masked", old, f"{old} * len(X)")
    assert [f.statement for f in found.faults] == [f"{old} * len(X)"], str(found)
    found = planted(tmp_path, "habits", "masked", old, f"{old} * 1.0001")
    assert "×1.0001, while dW4, dW3, db3, dW2, db2 are not scaled" in str(found)


def test_an_epsilon_of_the_forward_block_explains_a_little():
    verdict = outputs(report("losses"), "entropy_loss_backward")[0].verdict
    assert verdict.right and "ε" in verdict.reason


def test_gradients_of_an_array_that_was_given_three_times_are_judged_by_their_sum():
    found = report("encoder")
    reasons = {o.verdict.reason for o in outputs(found, "Attention.backward")}
    assert any("given more than once" in reason for reason in reasons)


def test_the_loss_of_several_iterations_is_not_used():
    assert all(o.verdict.kind != "wrong" for o in outputs(report("training"), "Dense.backward"))


def leaving_forward(x, w):
    return np.frombuffer((x * w).tobytes()) + 0, (x, w)


def leaving_backward(dout, cache):
    x, w = cache
    return dout * w, dout * x


def leaving(x, w, dout):
    out, cache = leaving_forward(x, w)
    return out, leaving_backward(dout, cache)


def test_nothing_is_said_where_values_left_the_trace():
    args = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0]), np.ones(3)
    with pytest.warns(UserWarning, match="leaves the trace"):
        trace = tracer.trace(leaving, *args)
    found = tracer.check(trace)
    assert not [b for b in found.blocks if b.bad], str(found)
    assert "values left the trace at test_check_habits.py" in str(found)


# ---------------------------------------------------------------------- names


def run(*args):
    return CliRunner().invoke(main, ["check", str(FILE), *args])


CALL = "(lambda x, g, d: undo_norm(d, norm_forward(x, g)[1]))(*variant_example())"


def test_a_pair_is_what_the_user_says():
    plain = run("--call", CALL)
    paired = run("--call", CALL, "--pair", "norm_forward=undo_norm")
    assert "undo_norm" not in plain.output
    assert paired.exit_code == 0, paired.output
    assert (
        "undo_norm" in paired.output and "against norm_forward: dx, dgamma exact" in paired.output
    )


def test_a_pair_is_drawn_as_one(tmp_path):
    file = tmp_path / "pair.json"
    made = CliRunner().invoke(
        main, ["render", str(FILE), "--call", CALL, "--pair", "norm_forward=undo_norm", "-o", str(file)]
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert '"of"' in file.read_text()


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("norm_forward", "--pair must be FORWARD=BACKWARD"),
        ("norm_forward=", "--pair must be FORWARD=BACKWARD"),
        ("norm_forward=nothing", "no function 'nothing' ran; there ran"),
    ],
)
def test_a_pair_that_is_none_is_said(pair, said):
    found = run("--call", CALL, "--pair", pair)
    assert found.exit_code == 2 and said in found.output
