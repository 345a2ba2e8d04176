"""What is recorded: names, roles, blocks, values; writes in place, views, and what leaves."""

import gc
import math
import sys
import warnings
import weakref
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracenet import numpy as tnp
from tracenet import tracer
from tracenet.errors import LeftTraceWarning, RecordError, UsageError


def names(trace, role=None):
    return [v.name for v in trace.values.values() if v.name and (role is None or v.role == role)]


# ---------------------------------------------------------------------- what comes in


class Model:
    def __init__(self):
        self.W = np.ones((2, 3))
        self.nested = {"b": [np.zeros(2)], "rate": 0.1}


def test_arrays_are_found_in_containers_and_named():
    def f(x, params, pair, model, scale=2.0):
        return np.sum(params["W1"] @ x + pair[0] + model.W @ x + model.nested["b"][0]) * scale

    params, model = {"W1": np.ones((2, 3)), "n": 3}, Model()
    trace = tracer.trace(f, np.ones(3), params, (np.ones(2), "text"), model, scale=0.5)
    assert set(names(trace)) >= {"x", "W1", "pair[0]", "W", "b[0]", "scale"}
    assert set(names(trace, "parameter")) == {"W1", "pair[0]", "W", "b[0]"}
    assert type(params["W1"]) is np.ndarray and type(model.W) is np.ndarray
    assert type(model.nested["b"][0]) is np.ndarray and params["n"] == 3


def test_side_effects_of_the_code_stay_and_are_plain():
    def f(x, state):
        state["mean"] = x.mean()
        state["history"].append(x * 2)
        state["w"] -= x
        return state["w"].sum()

    def fresh():
        return {"history": [], "w": np.ones(3)}

    x, traced, plain = np.arange(3.0), fresh(), fresh()
    kept = traced["w"]
    assert tracer.trace(f, x, traced).result == f(x, plain)
    assert traced["mean"] == plain["mean"] and isinstance(traced["mean"], np.float64)
    assert traced["w"] is kept and np.array_equal(kept, plain["w"])
    assert type(traced["history"][0]) is np.ndarray


def test_roles_can_be_said():
    def f(a, b, c):
        return np.sum(a * b * c)

    a, b, c = np.ones(2), np.full(2, 2.0), np.full(2, 3.0)
    trace = tracer.trace(f, tracer.input(a), tracer.parameter(b, "weight"), tracer.constant(c))
    assert [trace.value(n).role for n in ("a", "weight", "c")] == ["input", "parameter", "constant"]
    trace.backward()
    assert np.array_equal(trace.gradient("weight"), [3, 3])
    with pytest.raises(Exception, match="the gradient of a was not computed, since it is an input"):
        trace.gradient("a")
    assert np.array_equal(trace.backward(wrt=["a"]).gradient("a"), [6, 6])


def test_type_tests_of_the_code_hold():
    def f(x, y):
        assert isinstance(x, np.ndarray) and x.shape == (2, 2) and x.dtype == np.float64
        assert len(x) == 2 and x.ndim == 2 and x.size == 4
        total = x.sum()
        assert isinstance(total, float)
        cost = float(np.squeeze(np.array([[total]])))
        assert isinstance(cost, float)
        return cost if y > 0 else 0.0

    x = np.arange(4.0).reshape(2, 2)
    trace = tracer.trace(f, x, 1.0).backward(wrt=["x"])
    assert trace.result == 6.0 and type(trace.result) is float
    assert np.array_equal(trace.gradient("x"), np.ones((2, 2)))


def test_plain_floats_are_traced_and_stay_plain():
    def f(w, x):
        return 1 / (1 + math.exp(-w * x)) + abs(w) - max(w, x) ** 2

    trace = tracer.trace(f, 2.0, -1.0)
    assert trace.result == f(2.0, -1.0) and type(trace.result) is float
    s = 1 / (1 + math.exp(2))
    assert trace.backward().gradient("x") == pytest.approx(2 * s * (1 - s), rel=1e-12)


# ---------------------------------------------------------------------- names and blocks


def test_names_come_from_assignments_keys_and_attributes():
    class Box:
        pass

    def f(x):
        box = Box()
        z = x * 2
        box.act = np.tanh(z)
        grads = {"first": box.act + 1}
        grads["second"] = grads["first"] * 3
        u, v = z + 1, z - 1
        (w := u * v)
        w += 1
        return np.sum(w) + np.sum(grads["second"])

    found = names(tracer.trace(f, np.ones(2)))
    assert [n for n in found if n] == ["x", "z", "act", "first", "second", "u", "v", "w", "w"]


def test_calls_are_blocks_and_repeats_are_numbered():
    def scale(x):
        return x * 2

    def layer(x):
        y = scale(x)
        return y + 1

    def f(x):
        for _ in range(2):
            x = layer(x)
        with tracer.block("head"):
            h = x * 3
        return sum([np.sum(part) for part in (h, x)])

    trace = tracer.trace(f, np.ones(2))
    paths = ["/".join(b.name for b in trace.around(block.id)) for block in trace.blocks]
    assert paths == ["f", "f/layer 1", "f/layer 1/scale", "f/layer 2", "f/layer 2/scale", "f/head"]
    trace.check()


def test_a_value_of_a_numbered_block_is_numbered():
    def layer(a_prev):
        z = a_prev * 2
        return z

    trace = tracer.trace(lambda x: np.sum(layer(layer(x))), np.ones(2))
    assert np.array_equal(trace["z1"], [2, 2]) and np.array_equal(trace["z2"], [4, 4])
    with pytest.raises(UsageError, match=r"no value is called 'z3' in this trace; there are x, z1"):
        trace["z3"]


# ---------------------------------------------------------------------- writes, views, memory


def test_what_was_recorded_does_not_change_when_it_is_written_over():
    def f(scores, y):
        probs = np.exp(scores)
        dscores = probs
        dscores[range(2), y] -= 1
        dscores /= 2
        return dscores

    scores = np.array([[0.0, 1.0], [2.0, 0.5]])
    trace = tracer.trace(f, scores, np.array([0, 1]))
    assert np.array_equal(trace["probs"], np.exp(scores))
    assert np.array_equal(trace.result, f(scores, np.array([0, 1])))


def test_what_the_user_does_afterwards_does_not_reach_the_record():
    small, large = np.ones(4), np.ones(20_000)
    trace = tracer.trace(lambda small, large: np.sum(small) * np.sum(large), small, large)
    small[:] = 7
    assert np.array_equal(trace["small"], np.ones(4))
    large[:] = 7
    with pytest.raises(RecordError, match="large of shape .* was changed after the run"):
        trace["large"]


def test_filling_an_array_copies_nothing(monkeypatch):
    def fill(x, n):
        out = np.zeros(n)
        for i in range(n):
            out[i] = x * i
        return out

    copies = []
    from tracenet.recording import memory

    real = memory.protect

    def counted(tape, buffer):
        copies.extend(id for id, used in buffer.live.items() if used)
        real(tape, buffer)

    monkeypatch.setattr(memory, "protect", counted)
    trace = tracer.trace(fill, 2.0, 500)
    assert len(copies) <= 1  # the zeros, once
    assert np.array_equal(trace.result, fill(2.0, 500))
    trace.backward({"": np.ones(500)})
    assert trace.gradient("x") == sum(range(500))
    halfway = [v for v in trace.values.values() if v.name == "out"][250]
    assert np.array_equal(trace.data(halfway.id), np.where(np.arange(500) < 250, trace.result, 0))


@st.composite
def programs(draw):
    """A few statements on some arrays that may share memory: views, writes, arithmetic."""
    steps = []
    count = 1
    for _ in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(["view", "write", "op", "inplace", "reshape", "transpose"]))
        steps.append((kind, draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1)),
                      draw(st.integers(0, 3)), draw(st.integers(0, 3))))  # fmt: skip
        count += kind in ("view", "op", "reshape", "transpose")
    return steps


def run(steps, x):
    arrays = [x * 1.0]
    for kind, i, j, a, b in steps:
        one, other = arrays[i], arrays[j]
        if kind == "view":
            arrays.append(one[min(a, b) : max(a, b) + 1] if one.ndim else one)
        elif kind == "write":
            if one.size:
                one[a % len(one)] = other.sum() if b % 2 else b
        elif kind == "op":
            arrays.append(one * 2 + b)
        elif kind == "inplace":
            one += b
        elif kind == "reshape":
            arrays.append(one.reshape(-1))
        else:
            arrays.append(one.T)
    total = arrays[0].sum()
    for y in arrays[1:]:
        total = total + (y * y).sum()
    return total


@settings(max_examples=150, deadline=None)
@given(programs())
def test_programs_of_views_and_writes(steps):
    x = np.arange(16.0).reshape(4, 4) / 8
    expected = run(steps, x)
    trace = tracer.trace(lambda x: run(steps, x), x)
    assert trace.result == expected
    trace.check()
    for op in trace.ops:  # every recorded value is what its op gives for the recorded inputs
        from tracenet.ops import BY_NAME

        rule = BY_NAME[op.rule]
        inputs = [trace.data(i) for i in op.ins[: len(rule.operands)]]
        again = rule.forward(*inputs, **op.settings)
        assert np.array_equal(again, trace.data(op.outs[0])), op
    trace.backward(wrt=["x"])
    step = 1e-6
    for index in [(0, 0), (1, 2), (3, 3)]:
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        numeric = (run(steps, above) - run(steps, below)) / (2 * step)
        assert trace.gradient("x")[index] == pytest.approx(numeric, rel=1e-4, abs=1e-5)


def read_and_written(x):
    z = np.tanh(x)
    z[0] = z[1] * x[2]
    return np.sum(z[:, 1:])


def half_forward(x):
    return x / 2, [x]


def half_backward(dy, cache):
    return dy / 2


def of_blocks(x):
    y, cache = half_forward(x)
    return np.sum(y), half_backward(np.ones(y.shape), cache)


@pytest.mark.parametrize(
    "function", [lambda x: np.sum(np.tanh(x) ** 2), read_and_written, of_blocks]
)
def test_nothing_outlives_the_trace(function):
    trace = tracer.trace(function, np.ones((3, 3))).backward()
    _ = trace.ops, trace.diagram()
    inner = weakref.ref(trace._tape)
    gc.disable()
    try:
        del trace
        assert inner() is None
    finally:
        gc.enable()


class Kept(NamedTuple):
    x: object


def square_forward(x):
    return x * x, Kept(x)


def square_backward(dy, cache):
    return 2 * dy * cache.x


def test_a_backward_reads_what_its_cache_held_before_it_was_written_over():
    def over(x):
        z = x + 0
        y, _ = square_forward(z)
        z[:] = 100.0
        return y.sum()

    trace = tracer.trace(over, np.full(2, 3.0)).backward()
    assert trace.gradient("x").tolist() == [6.0, 6.0]


def test_what_an_earlier_trace_left_is_a_constant_for_a_block():
    left = []

    def first(x):
        left.append(x * 2)
        return x.sum()

    tracer.trace(first, np.full(2, 10.0))
    trace = tracer.trace(lambda x: (x * square_forward(left[0])[0]).sum(), np.ones(2)).backward()
    assert trace.gradient("x").tolist() == [400.0, 400.0]


class Shy:
    @property
    def __dict__(self):
        raise RuntimeError("not to be looked into")


def test_an_object_that_cannot_be_looked_into_is_not_noted():
    def shy(x):
        held = Shy()
        y, _ = square_forward(x)
        return y.sum() + bool(held)

    assert tracer.trace(shy, np.ones(2)).result == 3.0


def test_a_chain_of_5000_ops():
    def chain(x):
        for _ in range(5000):
            x = x * 1.0001
        return x

    trace = tracer.trace(chain, 1.0).backward()
    assert len(trace.ops) == 10_000
    assert trace.gradient("x") == pytest.approx(1.0001**5000, rel=1e-9)
    from tracenet.render import encode

    assert len(encode(trace.diagram("ops", values="none"), "json")) > 100_000


# ---------------------------------------------------------------------- leaving, and errors


def test_leaving_the_trace_is_said_once_for_each_place():
    def f(x):
        total = 0.0
        for _ in range(3):
            total += complex(x.sum()).real
        return total * x.sum()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace = tracer.trace(f, np.ones(2))
    assert [w.category for w in caught] == [LeftTraceWarning]
    assert "complex() made it a plain number" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert [(left.file, left.why) for left in trace.left] == [
        (__file__, "complex() made it a plain number")
    ]


def test_a_subclass_of_ndarray_is_not_lost_silently():
    with pytest.warns(LeftTraceWarning, match="view made it a matrix"):
        tracer.trace(lambda x: np.sum(np.asarray(x.view(np.matrix))), np.ones((2, 2)))


def test_the_users_error_is_theirs_with_a_note():
    def layer(x, W):
        z = W @ x
        return z + np.ones(7)

    with pytest.raises(ValueError, match="broadcast") as caught:
        tracer.trace(lambda x, W: layer(x, W), np.ones(3), np.ones((2, 3)))
    note = caught.value.__notes__[-1]
    assert "matmul in block" in note and "layer" in note and "W (2, 3)" in note
    assert caught.value.tracenet_trace.failed.startswith("ValueError")
    assert tracer.trace(lambda x: x * 2, np.ones(2)).result[0] == 2  # and the tracer goes on


def test_wrong_calls():
    with pytest.raises(UsageError, match="write tracer.trace"):
        tracer.trace(3.0)
    with pytest.raises(RecordError, match="a trace is being recorded already"):
        tracer.trace(lambda x: tracer.trace(lambda y: y, x), np.ones(2))


def test_operations_without_a_rule_are_recorded():
    def f(x):
        return np.sum(np.sinc(x))

    trace = tracer.trace(f, np.array([0.1, 0.2]))
    assert "sinc" in [op.rule for op in trace.ops]
    with pytest.raises(Exception, match="sinc has no backward rule") as caught:
        trace.backward()
    assert __file__ in str(caught.value)


def test_out_and_where():
    def f(x):
        out = np.full(3, 7.0)
        np.multiply(x, 2, out=out)
        np.clip(out, 0, 3, out=out)
        np.add(x, 10, out=out, where=x > 1)
        return out

    x = np.array([0.5, 1.5, 1.0])
    trace = tracer.trace(f, x)
    assert np.array_equal(trace.result, f(x)) and np.array_equal(f(x), [1, 11.5, 2])
    trace.check()


def test_the_traced_namespace_is_numpy_when_nothing_is_traced():
    assert isinstance(tnp.zeros(3), np.ndarray) and tnp.pi == np.pi
    assert tnp.float64 is np.float64 and tnp.ndarray is np.ndarray
    assert np.array_equal(tnp.add.reduce([1, 2, 3]), 6)
    assert issubclass(tnp.random.RandomState, np.random.RandomState)


def test_randomness_is_recorded_as_such():
    def f(x):
        mask = np.random.rand(3) < 0.5
        return np.sum(x * mask)

    np.random.seed(0)
    plain = f(np.ones(3))
    np.random.seed(0)
    trace = tracer.trace(f, np.ones(3))
    assert trace.result == plain
    assert [v.role for v in trace.values.values() if v.op is None and v.role == "random"]


def test_modules_are_put_back():
    before = dict(globals())
    tracer.trace(lambda x: np.zeros(2) + x, np.ones(2))
    assert globals()["np"] is before["np"] is np
    assert "float" not in globals() and "max" not in globals()


REACHING = """
from collections import deque
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import NamedTuple
import numpy as np

W, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.5])
history = []

def inner(x):
    return np.tanh(x @ W)

def with_globals(x):
    out = (inner(x) + b).sum()
    history.append(out)
    return out

def make():
    W = np.array([[1.0, 2.0], [3.0, 4.0]])
    def closure(x):
        return (x @ W).sum()
    return closure

closure = make()

def default(x, W=np.array([[1.0, 2.0], [3.0, 4.0]])):
    return (x @ W).sum()

class Shared:
    W = np.array([[1.0, 2.0], [3.0, 4.0]])
    def __call__(self, x):
        return (x @ self.W).sum()

shared = Shared()

@dataclass(slots=True)
class First:
    W: np.ndarray

@dataclass(slots=True)
class Second(First):
    b: np.ndarray
    def __call__(self, x):
        return (x @ self.W + self.b).sum()

slots = Second(np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2))
queue = deque([np.array([[1.0, 2.0], [3.0, 4.0]])])

def queued(x, weights=queue):
    return (x @ weights[0]).sum()

def product(W, x):
    return (x @ W).sum()

held = partial(product, np.array([[1.0, 2.0], [3.0, 4.0]]))

class Log:
    losses = []

def logged(x, W=np.array([[1.0, 2.0], [3.0, 4.0]])):
    Log.losses.append((x @ W).sum())
    return Log.losses[-1]
"""


@pytest.mark.parametrize(
    ("name", "weight"),
    [("with_globals", "W"), ("closure", "W"), ("default", "W"), ("shared", "W"), ("slots", "W"),
     ("queued", "weights[0]"), ("held", "W"), ("logged", "W")],
)  # fmt: skip
def test_weights_are_found_where_the_code_reaches_them(name, weight, tmp_path):
    file = tmp_path / "reaching.py"
    file.write_text(REACHING)
    program = tracer.load(file)
    function = getattr(program, name)
    x = np.array([[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]])
    trace = tracer.trace(function, x).backward()
    assert trace.result == function(x)
    of = x.T @ np.ones((3, 2))
    if name == "with_globals":
        of = x.T @ (1 - np.tanh(x @ program.W) ** 2)
    np.testing.assert_allclose(trace.gradient(weight), of)
    assert trace.value(weight).role == "parameter"
    held = [program.W, program.b, program.Shared.W, program.slots.W, program.queue[0],
            program.default.__defaults__[0], program.closure.__closure__[0].cell_contents]  # fmt: skip
    assert {type(a) for a in held} == {np.ndarray}
    assert {type(a) for a in [*program.history, *program.Log.losses]} <= {np.float64}


def scaled(W, x):
    return math.exp(float(np.sum(W * x)))


def test_a_partial_function_sees_what_its_own_module_sees():
    trace = tracer.trace(partial(scaled, np.ones(3)), np.full(3, 0.5)).backward()
    assert [op.rule for op in trace.ops if op.phase == "forward"] == [
        "multiply",
        "sum",
        "reshape",
        "exp",
    ]
    assert np.allclose(trace.gradient("W"), 0.5 * math.exp(1.5))


def test_a_module_whose_names_are_a_kind_of_dict_of_its_own():
    class Names(dict):
        pass

    namespace = Names(__name__="cells", np=np)
    exec("def f(x): return np.sum(np.tanh(x))", namespace)
    before = dict(namespace)
    assert [op.rule for op in tracer.trace(namespace["f"], np.ones(3)).ops] == ["tanh", "sum"]
    assert namespace == before


def test_a_module_that_refuses_a_name_gets_back_what_it_was_given():
    class Names(dict):
        def __setitem__(self, name, value):
            if name == "max":
                raise KeyError("not max")
            dict.__setitem__(self, name, value)

    namespace = Names(__name__="cells", np=np)
    exec("def f(x): return np.sum(x)", namespace)
    before = dict(namespace)
    with pytest.raises(KeyError, match="not max"):
        tracer.trace(namespace["f"], np.ones(3))
    assert namespace == before


IMPORTING = """
import sys
import numpy as np
from statistics import mean

def f(x):
    assert "float" in globals() and "float" not in vars(sys.modules["statistics"])
    return np.sum(np.tanh(x)) * mean([1.0, 2.0])
"""


def test_functions_of_libraries_that_a_program_imports_see_what_they_always_see(tmp_path):
    (tmp_path / "importing.py").write_text(IMPORTING)
    module = tracer.load(tmp_path / "importing.py")
    trace = tracer.trace_call(module, "f(np.ones(3))")
    assert [op.rule for op in trace.ops] == ["tanh", "sum", "multiply"]
    assert trace._tape.notes is None


def test_a_block_from_elsewhere_that_a_function_is_given_sees_the_traced_math():
    elsewhere, here = {"__name__": "elsewhere"}, {"__name__": "here"}
    exec("import math\ndef act(x): return math.exp(x)", elsewhere)
    exec("import numpy as np\ndef f(x, act): return act(np.sum(x))", here)
    for act in (tracer.block(elsewhere["act"]), partial(elsewhere["act"]), elsewhere["act"]):
        trace = tracer.trace(here["f"], np.ones(3), act)
        assert [op.rule for op in trace.ops] == ["sum", "exp"]
        trace = tracer.trace(partial(here["f"], act=act), np.ones(3))
        assert [op.rule for op in trace.ops] == ["sum", "exp"]


def test_two_closures_of_one_function_both_reach_their_arrays():
    def layer(W):
        def inner(x):
            return x @ W

        return inner

    first, second = layer(np.ones((3, 4))), layer(np.ones((4, 2)))
    trace = tracer.trace(lambda x: np.sum(second(first(x))), np.ones((2, 3))).backward()
    assert [leaf.name for leaf in trace._tape.leaves.values()] == ["x", "W", "W"]


def test_dicts_as_deep_as_python_goes_get_their_arrays_back():
    def nested(depth):
        inner, dicts = {"w": np.ones(2)}, []
        for _ in range(depth):
            dicts.append(inner)
            inner = {"w": np.ones(2), "in": inner}
        return inner, dicts

    for depth in (50, 600, 5000):
        top, dicts = nested(depth)
        with suppress(RecursionError):
            tracer.trace(lambda x, p: np.sum(x * p["w"]), np.ones(2), top)
        assert all(type(d["w"]) is np.ndarray for d in dicts)


def test_a_module_that_answers_to_every_name_is_let_be(monkeypatch):
    class Anything(ModuleType):
        def __getattr__(self, name):
            return lambda *args: None

    monkeypatch.setitem(sys.modules, "anything", Anything("anything"))
    assert tracer.trace(lambda x: np.sum(x), np.ones(2)).result == 2.0
