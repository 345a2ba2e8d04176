"""What hand-written networks in the wild do, each thing in the smallest form that shows it."""

import sys
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from tracenet import tracer

from .differences import numerical

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
    assert np.array_equal(trace.gradient("W1"), [[1, 1], [1, 1]])
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
