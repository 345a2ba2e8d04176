"""What hand-written networks in the wild do, each thing in the smallest form that shows it."""

import sys
import textwrap
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from tracenet import tracer

from .differences import numerical


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Writes the files of a program, and forgets its modules afterwards."""
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("import numpy as np\n" + textwrap.dedent(text))
        return tmp_path

    yield write
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) is None or str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


# ---------------------------------------------------------------------- what is called

NET = """
    def forward(x, params):
        return np.tanh(params["W"] @ x)
    def cost(a, y):
        return np.sum((a - y) ** 2)
    def start(rows, columns):
        return {"W": np.full((rows, columns), 0.5)}
    class Net:
        count = 0
        def __init__(self):
            self.W = np.ones((2, 2))
        def run(self, x):
            self.count += 1
            return self.W @ x
"""


def test_a_run_of_the_program_in_an_argument_is_traced(program):
    module = tracer.load(program({"net.py": NET}) / "net.py")
    module.x, module.y, module.params = np.ones(2), np.zeros(3), module.start(3, 2)
    trace = tracer.trace_call(module, "cost(forward(x, params), y)")
    found = trace.backward().gradient("W")
    loss = lambda: module.cost(module.forward(module.x, module.params), module.y)
    assert np.allclose(found, numerical(loss, module.params["W"]))


def test_arguments_that_only_ask_for_shapes_are_made_first(program):
    module = tracer.load(program({"net.py": NET}) / "net.py")
    module.x = np.ones(2)
    trace = tracer.trace_call(module, "forward(x, start(len(x), x.shape[0]))")
    assert trace.value("W").role == "parameter" and len(trace.ops) == 2


def test_a_method_of_a_result_runs_the_program_once(program):
    module = tracer.load(program({"net.py": NET}) / "net.py")
    module.net, module.x = module.Net(), np.ones(2)
    trace = tracer.trace_call(module, "net.run(x).sum()")
    assert module.net.count == 1
    assert np.array_equal(trace.backward().gradient("W"), np.ones((2, 2)))


@pytest.mark.parametrize(
    "call", ["Net().run(x)", "cost(Net().run(x), 0)", "[cost(Net().run(v), 0) for v in [x]][0]"]
)
def test_what_is_made_in_the_expression_has_parameters(program, call):
    module = tracer.load(program({"net.py": NET}) / "net.py")
    module.x = np.ones(2)
    before = set(vars(module))
    trace = tracer.trace_call(module, call)
    assert trace.value("W").role == "parameter" and trace.value("x").role == "input"
    assert set(vars(module)) == before


def test_what_is_made_in_the_expression_is_made_once(program):
    module = tracer.load(program({"net.py": NET}) / "net.py")
    made = []
    module.Net.__init__ = lambda self: made.append(self) or setattr(self, "W", np.ones(2))
    assert tracer.trace_call(module, "Net().W.sum()").result == 2 and len(made) == 1


# ---------------------------------------------------------------------- files of a program


def test_a_file_of_a_package_imports_its_neighbours(program):
    folder = program(
        {
            "wild/__init__.py": "",
            "wild/parts/__init__.py": "",
            "wild/layers.py": """
                def dense(x, W):
                    out = np.zeros(2)
                    out[:] = W @ x
                    return out
            """,
            "wild/parts/net.py": """
                from ..layers import dense
                def loss(x, W):
                    return dense(x, W).sum()
            """,
        }
    )
    module = tracer.load(folder / "wild" / "parts" / "net.py")
    assert module.__name__ == "wild.parts.net"
    module.x, module.W = np.ones(3), np.ones((2, 3))
    trace = tracer.trace_call(module, "loss(x, W)").backward()
    assert np.array_equal(trace.gradient("W"), np.ones((2, 3)))
    assert [block.name for block in trace.blocks][:2] == ["loss", "dense"]
    assert tracer.load(folder / "wild" / "parts" / "net.py") is module


def test_a_package_that_does_not_import_is_no_reason_to_fail(program):
    files = {"wild/__init__.py": "import nowhere_to_be_found", "wild/net.py": "x = 1"}
    assert tracer.load(program(files) / "wild" / "net.py").x == 1


def test_what_is_imported_from_another_folder_is_traced(program):
    folder = program(
        {
            "common/deeper.py": """
                def fill(x):
                    out = np.zeros(2)
                    out[0] = x
                    return out
            """,
            "common/tools.py": "from common import deeper",
            "chapter/net.py": """
                from common.tools import deeper
                def loss(x):
                    return deeper.fill(x * 3).sum()
            """,
        }
    )
    sys.path.insert(0, str(folder))
    module = tracer.load(folder / "chapter" / "net.py")
    trace = tracer.trace(module.loss, np.float64(2.0))
    assert trace.backward().gradient("x") == 3 and not trace.left
    assert module.deeper.np is np


# ---------------------------------------------------------------------- what holds the arrays


class Layer:
    def __init__(self, W):
        self.W, self.seen = W, None

    def forward(self, x):
        self.seen = x
        return self.W @ x


def test_arrays_in_kinds_of_dict_and_list_are_found_and_put_back():
    class Stack(list):
        pass

    layers = OrderedDict(a=Layer(np.ones((2, 2))), b=Layer(np.ones((1, 2))))
    sizes = defaultdict(list, {"bias": Stack([np.ones(1)])})

    def network(x, layers, sizes):
        for layer in layers.values():
            x = layer.forward(x)
        return np.sum(x + sizes["bias"][0])

    trace = tracer.trace(network, np.ones(2), layers, sizes).backward()
    assert np.array_equal(trace.gradient("W"), [[1, 1], [1, 1]])
    assert trace.gradient("bias[0]") == [1]
    assert type(layers["a"].seen) is type(layers["b"].seen) is np.ndarray
    assert type(layers) is OrderedDict and type(sizes["bias"][0]) is np.ndarray


def test_arrays_of_objects_hold_plain_arrays_afterwards():
    class Optimizer:
        memory = None

    def step(optimizer, params):
        optimizer.memory = np.empty(2, dtype=object)
        for i, p in enumerate(params):
            optimizer.memory[i] = {"m": p * 2}
        return params[0]

    optimizer = Optimizer()
    tracer.trace(step, optimizer, [np.ones(2), np.ones(3)])
    assert [type(kept["m"]) for kept in optimizer.memory] == [np.ndarray, np.ndarray]


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
