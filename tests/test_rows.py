"""What stands in which row, and under which name: state, floats, loops, gradients by their flow."""

import math

import numpy as np
import pytest

from tests.networks import conv, floats, library, sequence
from tracenet import tracer
from tracenet.records import BACKWARD, FORWARD, UPDATE
from tracenet.views import parts


def names(trace, role="parameter"):
    return [v.name for v in trace.values.values() if v.op is None and v.name and v.role == role]


def boxes(trace):
    return [(part.name, part.phase) for part in parts(trace)]


# ---------------------------------------------------------------------- roles


class Adam:
    def __init__(self, w):
        self.w, self.b = w, np.zeros(2)
        self.m, self.v = np.zeros_like(w), np.zeros_like(w)
        self.m_hat, self.v_hat, self.velocity = np.ones(2), np.ones(2), np.ones(2)
        self.cache, self.eta, self.lr = np.ones(2), np.ones(2), np.float64(0.1)
        self.bn1_mean, self.running_var, self.r_mean = np.ones(2), np.ones(2), np.ones(2)
        self.hidden_weights, self.gamma = np.ones(2), np.ones(2)


def test_state_of_optimizers_and_batch_norms_is_no_parameter():
    def f(net, x, v, params):
        return np.sum(net.w @ x) + sum(np.sum(a) for a in (*v.values(), params["m"], params["W"]))

    params = {"W": np.ones(2), "m": np.ones(2), "beta": np.ones(2)}
    trace = tracer.trace(f, Adam(np.ones((2, 2))), np.ones(2), {"dW1": np.ones(2)}, params)
    assert names(trace) == ["w", "b", "hidden_weights", "gamma", "W", "beta"]
    assert "lr" in names(trace, "constant")


def test_running_averages_of_a_library_are_inputs():
    trace = tracer.trace(library.library_net, *library.library_net_example())
    assert {name.strip("1234") for name in names(trace)} == {"w", "b", "gamma", "beta"}
    assert {"running_mean", "running_var"} <= set(names(trace, "input"))


def test_floats_have_roles_where_there_are_no_arrays():
    trace = tracer.trace(floats.named_net, *floats.named_net_example())
    assert names(trace) == ["w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2"]
    assert names(trace, "input") == ["i1", "i2", "o1"]
    assert names(trace, "constant") == ["learning_rate"]
    trace = tracer.trace(floats.neuron_net, *floats.neuron_net_example())
    assert len(names(trace)) == 12 and sum(n.startswith("bias") for n in names(trace)) == 4
    assert type(floats.neuron_net_example()[0].neurons[0].bias) is float


def test_of_single_numbers_every_gradient_is_computed():
    trace = tracer.trace(lambda w, x: math.tanh(w * x), 2.0, 0.5).backward()
    assert trace.value("w").role == "parameter"
    assert trace.gradient("x") == pytest.approx(2 * (1 - math.tanh(1) ** 2))


# ---------------------------------------------------------------------- gradients by their flow

ELEVEN_LINES = """
def nonlin(x, deriv=False):
    if deriv:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])
syn0 = np.cos(np.arange(12.0)).reshape(3, 4)
syn1 = np.sin(np.arange(4.0)).reshape(4, 1)
for j in range(60):
    l1 = nonlin(np.dot(X, syn0))
    l2 = nonlin(np.dot(l1, syn1))
    l2_error = y - l2
    l2_delta = l2_error * nonlin(l2, deriv=True)
    l1_error = l2_delta.dot(syn1.T)
    l1_delta = l1_error * nonlin(l1, deriv=True)
    syn1 += l1.T.dot(l2_delta)
    syn0 += X.T.dot(l1_delta)
"""


def test_names_that_end_in_delta_and_error_stand_in_the_backward_row(program):
    file = program({"lines.py": ELEVEN_LINES}) / "lines.py"
    trace = tracer.trace_script(file, iteration=2)
    assert boxes(trace) == [
        ("layer 1", FORWARD), ("layer 2", FORWARD),
        ("layer 2 backward", BACKWARD), ("layer 1 backward", BACKWARD), ("update", UPDATE),
    ]  # fmt: skip
    assert names(trace) == ["syn0", "syn1"]


def test_a_call_of_numpy_in_the_expression_is_traced(program):
    module = tracer.load(program({"lines.py": ELEVEN_LINES}) / "lines.py")
    trace = tracer.trace_call(module, "nonlin(np.dot(X, syn0))")
    assert trace.ops[0].rule == "dot" and "syn0" in names(trace)
    one = tracer.trace_call(module, "nonlin(np.asarray(X) / 2)")
    assert one.ops[0].rule == "negative"  # data are prepared before


NODE = """
class Node:
    def bottom_data_is(self, w, x):
        self.w, self.x = w, x
        self.h = np.tanh(w * x)
        return self.h
    def top_diff_is(self, top_diff_h):
        dz = (1 - self.h ** 2) * top_diff_h
        dw = dz * self.x
        dx = dz * self.w
        return dx, dw
def prepare(dim, size):
    double = size * 2
    return double * dim
def step(node, w, x):
    h = node.bottom_data_is(prepare(w, 0.5), x)
    return node.top_diff_is(2 * h)
"""


def test_backward_code_of_any_name_is_known_by_its_variables(program):
    module = tracer.load(program({"net.py": NODE}) / "net.py")
    trace = tracer.trace(module.step, module.Node(), np.ones(2), np.ones(2))
    found = {b.function.rpartition(".")[2]: b for b in trace.blocks[1:]}
    backward = found["top_diff_is"]
    assert backward.phase == BACKWARD and found["prepare"].phase == FORWARD
    assert trace.blocks[backward.of].function == "Node.bottom_data_is"


# ---------------------------------------------------------------------- loops


def test_both_passes_in_one_function_are_a_box_each():
    trace = tracer.trace(sequence.char_rnn, *sequence.char_rnn_example())
    assert boxes(trace) == [
        ("copy", FORWARD), ("loop ×4", FORWARD), ("loop ×4 backward", BACKWARD),
        ("dWxh … dby", BACKWARD),
    ]  # fmt: skip
    for name, given in zip(("Wxh", "Whh", "Why", "bh", "by"), trace.result[1:]):
        assert np.array_equal(trace.gradient(name), given)
    assert len(trace.diagram().nodes) < 12


def test_loops_that_fill_an_array_are_one_box():
    rng = np.random.RandomState(0)
    x, w, b = rng.randn(2, 2, 6, 6), rng.randn(3, 2, 3, 3), rng.randn(3)
    trace = tracer.trace(conv.conv_forward_naive, x, w, b)
    assert len(trace.ops) > 1000
    assert [name for name, _ in boxes(trace)] == ["padded", "loop ×216"]
    assert len(trace.diagram().nodes) <= 4

    def loss(x, W):
        h = np.zeros(40)
        for i in range(40):
            h[i] = np.tanh(np.dot(W[i], x))
        return np.sum(h)

    trace = tracer.trace(loss, rng.randn(3), rng.randn(40, 3)).backward()
    assert [name for name, _ in boxes(trace)][:1] == ["h ×40"] and len(trace.diagram().nodes) < 10


def test_layers_and_steps_of_training_are_no_loop():
    def deep(x, weights):
        for w in weights:
            z = np.dot(w, x)
            x = np.tanh(z)
        return np.sum(x)

    trace = tracer.trace(deep, np.ones(2), [np.ones((2, 2)), np.eye(2), np.eye(2) * 2])
    assert [name for name, _ in boxes(trace)][:4] == ["z", "x", "z", "x"]

    def train(w, x):
        for _ in range(3):
            a = w * x
            da = 2 * a
            dw = da * x
            w = w - 0.1 * dw
        return w

    trace = tracer.trace(train, np.ones(2), np.ones(2))
    assert not any(part.turns for part in parts(trace))


def test_states_by_time_step_are_called_after_their_dict():
    trace = tracer.trace(sequence.char_rnn, *sequence.char_rnn_example())
    assert {"hs", "ys", "ps", "xs"} <= {v.name for v in trace.values.values()}

    def fill(x):
        out = np.zeros(3)
        for i in range(3):
            out[i] = np.sum(x) * i
        return out

    trace = tracer.trace(fill, np.ones(2))
    assert [v.name for v in trace.values.values() if v.shape == () and v.op is not None] == [""] * 6
