"""Networks in every idiom that people write them in: run both passes as they stand, in a trace."""

import importlib
import json
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.differences import numerical
from tests.sameness import same
from tracenet import tracer


@dataclass
class Idiom:
    """A network of `tests.networks`: its function, and where its parameters are.

    parameters: from the list of arguments to its parameters by label, each an array, or for a
    float the list and the place that it stands in.
    """

    module: str
    name: str
    parameters: object
    args: list = field(default_factory=list)

    def fresh(self):
        module = importlib.import_module(f"tests.networks.{self.module}")
        np.random.seed(7)
        self.args = list(getattr(module, f"{self.name}_example")())
        np.random.seed(8)
        return getattr(module, self.name)

    def loss(self, label=None, index=(), step=0.0):
        """The loss of a plain run, with one number of one parameter moved."""
        function = self.fresh()
        if label is not None:
            slot = self.parameters(self.args)[label]
            holder, index = slot if isinstance(slot, tuple) else (slot, index)
            holder[index] += step
        result = function(*self.args)
        return float(result[0] if isinstance(result, tuple) else result)

    def differences(self, label, shape, step=1e-6):
        found = np.zeros(shape)
        for index in np.ndindex(*shape):
            above, below = (self.loss(label, index, by) for by in (step, -step))
            found[index] = (above - below) / (2 * step)
        return found


def at(*places):
    """Parameters that are arguments: names and their places."""
    return lambda args: {name: args[i] for name, i in places}


def floats(names):
    return lambda args: {name: (args, i) for i, name in enumerate(names.split(), 3)}


def neurons(args):
    rows = [
        (f"{k}.{j}", n) for k, layer in enumerate(args[:2]) for j, n in enumerate(layer.neurons)
    ]
    return {f"{at}.{i}": (n.weights, i) for at, n in rows for i in range(2)}


def attributes(*names):
    return lambda args: {
        f"{name}{i}": getattr(layer, name)
        for i, layer in enumerate(args[0].layers) for name in names if hasattr(layer, name)
    }  # fmt: skip


def listed(args):
    net = args[0]
    return {f"{n}[{i}]": a for n in ("weights", "biases") for i, a in enumerate(getattr(net, n))}


def arrays_of(place):
    return lambda args: {k: v for k, v in args[place].items() if isinstance(v, np.ndarray)}


IDIOMS = {
    "course": Idiom("course", "course_net", arrays_of(2)),
    "nested caches, dropout": Idiom("dropping", "dropout_net", arrays_of(2)),
    "modular, batch norm": Idiom("modular", "norm_net", arrays_of(2)),
    "conv and pool in loops": Idiom("modular", "conv_net", arrays_of(2)),
    "RNN": Idiom("sequence", "rnn_net", at(("h0", 1), ("Wx", 2), ("Wh", 3), ("b", 4))),
    "LSTM": Idiom("sequence", "lstm_net", at(("h0", 1), ("Wx", 2), ("Wh", 3), ("b", 4))),
    "dicts by time step": Idiom(
        "sequence", "char_rnn",
        at(("hprev", 2), ("Wxh", 3), ("Whh", 4), ("Why", 5), ("bh", 6), ("by", 7)),
    ),
    "attention": Idiom("heads", "head_net", arrays_of(1)),
    "layer objects": Idiom("layers", "layer_net", attributes("W", "b")),
    "layer library": Idiom("library", "library_net", attributes("w", "b", "gamma", "beta")),
    "zipped lists": Idiom("zipped", "zipped_net", listed),
    "linked nodes": Idiom("nodes", "node_net", arrays_of(2)),
    "floats by name": Idiom("floats", "named_net", floats("w1 w2 w3 w4 w5 w6 b1 b2")),
    "floats in objects": Idiom("floats", "neuron_net", neurons),
    "numpy by other names": Idiom("switching", "switch_net", at(("w", 2), ("W2", 3), ("gamma", 4))),
    "flat function": Idiom("flat", "step", at(("W1", 2), ("b1", 3), ("W2", 4), ("b2", 5))),
}  # fmt: skip
EACH = pytest.mark.parametrize("idiom", IDIOMS.values(), ids=IDIOMS)


def state(x):
    """What is in an argument after the run: objects as what they hold."""
    if isinstance(x, dict):
        return {key: state(item) for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(state(item) for item in x)
    return {key: state(item) for key, item in vars(x).items()} if hasattr(x, "__dict__") else x


def leaf(trace, slot, taken):
    """The recorded value that a parameter came in as: the next one with its content."""
    x = slot[0][slot[1]] if isinstance(slot, tuple) else slot
    found = [
        v for v in trace.values.values()
        if v.op is None and v.name and v.shape == np.shape(x) and np.array_equal(trace.data(v.id), x)
    ]  # fmt: skip
    free = [v for v in found if v.id not in taken]
    taken.add(free[0].id)
    return free[0]


def leads_to(trace, id):
    """The values that are computed from a value."""
    found = {id}
    for op in trace.ops:
        if found.intersection(op.ins):
            found.update(op.outs)
    return found


@EACH
def test_a_traced_run_is_the_plain_run(idiom, capsys):
    plain = idiom.fresh()(*idiom.args)
    kept, printed = state(idiom.args), capsys.readouterr().out
    function = idiom.fresh()
    trace = tracer.trace(function, *idiom.args)
    assert same(trace.result, plain)
    assert same(state(idiom.args), kept)
    assert capsys.readouterr().out == printed
    assert not trace.left
    trace.check()


@EACH
def test_every_parameter_is_connected_and_has_its_gradient(idiom):
    function = idiom.fresh()
    before = idiom.parameters(idiom.args)
    before = {k: s if isinstance(s, tuple) else s.copy() for k, s in before.items()}
    trace = tracer.trace(function, *idiom.args)
    taken = set()
    leaves = {label: leaf(trace, slot, taken) for label, slot in before.items()}
    for label, value in leaves.items():
        assert trace.loss() in leads_to(trace, value.id), label
        assert value.role == "parameter" or label in ("h0", "hprev"), (label, value.role)
    trace._tape.visits.clear()  # the rules' own gradients, whatever the code's are
    trace.backward(wrt=[value.key for value in leaves.values()])
    for label, value in leaves.items():
        expected = idiom.differences(label, value.shape)
        np.testing.assert_allclose(
            trace.gradient(value.key), expected, rtol=2e-6, atol=2e-8, err_msg=label
        )


# ---------------------------------------------------------------------- a notebook

CELLS = [
    "%matplotlib inline\nimport numpy as np\nimport matplotlib.pyplot as plt\nnp.random.seed(3)",
    "X = np.random.randn(5, 3)\ny = np.array([0, 2, 1, 1, 0])\n"
    "W = 0.1 * np.random.randn(3, 4)\nb = np.zeros((1, 4))\n"
    "W2 = 0.1 * np.random.randn(4, 3)\nb2 = np.zeros((1, 3))",
    "plt.scatter(X[:, 0], X[:, 1], c=y)\nplt.show()",
    "%%time\ndef loss(X, y, W, b, W2, b2, reg=1e-3):\n"
    "    hidden = np.maximum(0, np.dot(X, W) + b)\n"
    "    scores = np.dot(hidden, W2) + b2\n"
    "    exp_scores = np.exp(scores)\n"
    "    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)\n"
    "    correct = -np.log(probs[range(len(y)), y])\n"
    "    return np.sum(correct) / len(y) + 0.5 * reg * (np.sum(W * W) + np.sum(W2 * W2))",
    "print('loss: %f' % loss(X, y, W, b, W2, b2))",
]


def test_a_notebook_with_magics_and_plots(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as where it is not installed
    cells = [{"cell_type": "code", "source": text, "outputs": []} for text in CELLS]
    file = tmp_path / "spiral_idiom.ipynb"
    file.write_text(json.dumps({"cells": cells, "nbformat": 4, "metadata": {}}))
    module = tracer.load(file)
    plain = module.loss(module.X, module.y, module.W, module.b, module.W2, module.b2)
    assert f"loss: {plain:f}" in capsys.readouterr().out
    trace = tracer.trace_call(module, "loss(X, y, W, b, W2, b2)").backward()
    assert same(trace.result, plain) and not trace.left
    for name in ("W", "b", "W2", "b2"):
        array = getattr(module, name)
        loss = lambda: module.loss(module.X, module.y, module.W, module.b, module.W2, module.b2)
        assert trace.value(name).role == "parameter"
        np.testing.assert_allclose(
            trace.gradient(name), numerical(loss, array), rtol=1e-6, atol=1e-9
        )
