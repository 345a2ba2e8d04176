"""Hand-written passes as they are found in the wild: which is which, and what belongs together."""

import numpy as np
import pytest

from tracenet import tracer

# ---------------------------------------------------------------------- hand-written passes

LAYERS = """
    class Dense:
        def __init__(self, W):
            self.W = W
        def forward(self, x):
            self.x = x
            return self.W @ x
        def backward(self, g):
            self.dW = np.outer(g, self.x)
            return self.W.T @ g

    class Turn:
        def forward(self, x):
            return np.reshape(x, x.shape[::-1])
        def backward(self, g):
            return np.reshape(g, g.shape[::-1])

    def step(x, layers):
        for layer in layers:
            x = layer.forward(x)
        g = 2 * x
        for layer in reversed(layers):
            g = layer.backward(g)
        return g

    def both(x, W):
        z = layer(x, W)
        d = layer_prime(z)
        return d * x

    def layer(x, W):
        return np.tanh(W * x)

    def layer_prime(a):
        return 1 - a ** 2

    def backprop(x, W):
        return both(x, W)

    def train(xs, W):
        for x in xs:
            W = W - 0.1 * backprop(x, W)
        return W

    class Model:
        def __init__(self, W):
            self.W = W
        def forward(self, x):
            return self.W * x
        def backward(self, a, x):
            loss = self.measure(a)
            g = 2 * a
            self.dW = g * x
            return loss
        def measure(self, a):
            squares = a ** 2
            return np.sum(squares)

    def run(model, x):
        return model.backward(model.forward(x), x)
"""


def backward_blocks(trace):
    return [
        (block.name, trace.blocks[block.of].name if block.of is not None else None)
        for block in trace.blocks
        if block.phase == "backward"
    ]


def test_a_backward_that_keeps_no_values_is_paired_by_its_name(program):
    module = tracer.load(program({"net.py": LAYERS}) / "net.py")
    layers = [module.Turn(), module.Dense(np.ones((2, 3))), module.Turn()]
    trace = tracer.trace(module.step, np.ones((1, 3)), layers)
    assert backward_blocks(trace) == [
        ("Turn 2 backward", "Turn 2"), ("Dense backward", "Dense"), ("Turn 1 backward", "Turn 1"),
    ]  # fmt: skip


def test_a_backprop_that_runs_both_passes_is_no_backward(program):
    module = tracer.load(program({"net.py": LAYERS}) / "net.py")
    trace = tracer.trace(module.train, [np.ones(2), np.ones(2)], np.ones(2))
    assert [b.name for b in trace.blocks if b.function == "layer"] == ["layer", "layer"]
    assert backward_blocks(trace) == [("layer backward", "layer")] * 2  # by layer_prime


def test_a_loss_computed_in_a_backward_is_differentiated_and_drawn(program, tmp_path):
    module = tracer.load(program({"net.py": LAYERS}) / "net.py")
    model = module.Model(np.full(3, 2.0))
    trace = tracer.trace(module.run, model, np.ones(3)).backward()
    assert np.array_equal(trace.gradient("W"), [4, 4, 4])
    assert trace.render(tmp_path / "model.dot").stat().st_size


def test_the_gradient_of_a_write_is_drawn(tmp_path):
    def f(x, W):
        out = np.zeros(2)
        for i in range(2):
            out[i] = np.sum(W[i] * x)
        return np.sum(out**2)

    trace = tracer.trace(f, np.ones(3), np.ones((2, 3))).backward()
    assert trace.render(tmp_path / "write.dot").stat().st_size
    assert trace.render(tmp_path / "ops.dot", view="ops").stat().st_size


def affine_forward(x, W, b):
    return x @ W + b, (x, W)


def affine_backward(dout, cache):
    x, W = cache
    return dout @ W.T, x.T @ dout, np.sum(dout, axis=0)


def test_the_gradient_of_a_row_bias_may_lack_the_row_axis():
    def loss(x, params):
        out, _ = affine_forward(x, params["W"], params["b"])
        return np.sum(out)

    params = {"W": np.ones((3, 2)), "b": np.zeros((1, 2))}
    trace = tracer.trace(loss, np.ones((4, 3)), params).backward()
    assert np.array_equal(trace.gradient("b"), [[4, 4]])
    trace.check()


def test_pairs_of_examples_are_data():
    def total(params, training_data, mini_batch):
        loss = sum(np.sum((params["W"] * x - y) ** 2) for x, y in training_data)
        return loss + np.sum(mini_batch[0])

    pairs = [(np.ones(2), np.zeros(2)), (np.zeros(2), np.ones(2))]
    trace = tracer.trace(total, {"W": np.ones(2), "W_input": np.ones(2)}, pairs, [np.ones(3)])
    roles = {v.name: v.role for v in trace.values.values() if v.op is None and v.name}
    assert {name for name, role in roles.items() if role == "parameter"} == {"W", "W_input"}


def test_a_package_that_does_not_import_says_why(program):
    files = {"torn/__init__.py": "import nowhere_to_be_found", "torn/net.py": "from . import x"}
    with pytest.raises(ImportError, match="nowhere_to_be_found"):
        tracer.load(program(files) / "torn" / "net.py")


def scale_forward(x, gamma, mean):
    cache = (x, gamma)
    return gamma * (x - mean), cache, 0.9 * mean


def scale_backward(dout, cache):
    x, gamma = cache
    return dout * gamma, np.sum(dout * (x - 1)), np.sum(-dout * gamma)


def test_a_cache_that_is_returned_with_other_things_is_the_cache():
    def loss(x, gamma, mean):
        out, _, _ = scale_forward(x, gamma, mean)
        return np.sum(out)

    trace = tracer.trace(loss, np.full(2, 3.0), np.array(2.0), np.array(1.0)).backward()
    assert trace.gradient("gamma") == 4


def test_gradients_kept_beside_parameters_are_no_parameters():
    class Layer:
        def __init__(self):
            self.W, self.wi_diff, self.grads = np.ones(2), np.zeros(2), {"W": np.zeros(2)}

    trace = tracer.trace(lambda layer, x: np.sum(layer.W * x), Layer(), np.ones(2))
    leaves = [v for v in trace.values.values() if v.op is None and v.name]
    assert [v.name for v in leaves if v.role == "parameter"] == ["W"]


def test_a_backward_of_a_forward_that_ran_is_one_whatever_it_reads(program):
    module = tracer.load(program({"net.py": LAYERS}) / "net.py")
    module.net, module.x, module.g = module.Dense(np.ones((2, 3))), np.ones(3), np.ones(2)
    trace = tracer.trace_call(module, "[net.forward(x), net.backward(g)]")
    assert backward_blocks(trace) == [("Dense backward", "Dense")]


def step_forward(a_prev, W):
    a = np.tanh(W * a_prev)
    return a, a * 2


def step_backward(dy, gradients, a):
    gradients["dW"] += dy * a
    return gradients


def test_a_backward_that_takes_something_else_is_not_replayed():
    def loss(x, W):
        _, y = step_forward(x, W)
        return np.sum(y)

    trace = tracer.trace(loss, np.zeros(2), np.ones(2)).backward()
    assert np.array_equal(trace.gradient("W"), [0, 0])


def test_a_layer_of_a_module_that_nobody_imports_is_traced(program):
    folder = program(
        {
            "src/layers/fill.py": """
                class Fill:
                    def __init__(self):
                        self.w = np.ones(2)
                    def run(self, x):
                        out = np.zeros(2)
                        out[:] = self.w * x
                        return out
            """,
            "src/model/net.py": """
                class Net:
                    def __init__(self, layers):
                        self.layers = layers
                    def run(self, x):
                        for layer in self.layers:
                            x = layer.run(x)
                        return np.sum(x)
            """,
        }
    )
    fill = tracer.load(folder / "src" / "layers" / "fill.py")
    net = tracer.load(folder / "src" / "model" / "net.py")
    trace = tracer.trace(net.Net([fill.Fill()]).run, np.full(2, 3.0)).backward()
    assert np.array_equal(trace.gradient("w"), [3, 3]) and not trace.left


def test_a_batch_cut_out_of_the_data_does_not_make_both_passes_a_backward(program):
    module = tracer.load(program({"net.py": LAYERS}) / "net.py")
    module.data, module.W = np.ones((4, 2)), np.ones(2)
    trace = tracer.trace_call(module, "[backprop(data[i], W) for i in range(2)]")
    assert [b.phase for b in trace.blocks if b.function == "layer"] == ["forward", "forward"]
