"""The compiled loops write what the Python functions write, to the bit, and leave nothing behind."""

import copy
import gc
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections import OrderedDict, deque
from contextlib import suppress
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from tests.networks import course
from tests.test_networks import CASES
from tracenet import numpy as tnp
from tracenet import tracer
from tracenet.recording import compiled
from tracenet.recording.array import Array
from tracenet.recording.blocks import Given
from tracenet.recording.compiled import speedups
from tracenet.recording.notes import Held
from tracenet.recording.tape import Tape

ADDRESS = re.compile(" at 0x[0-9a-f]+")
ROOT = os.path.dirname(os.path.dirname(__file__))


def operands(x, y, scale=2.0):
    """Every kind of operand on either side of an operator."""
    a = x + y - 1 * x / 2 + 0.5 - (3 - y) + x**2 + 2.0**y + True + np.float32(0.5) * x
    a = a + np.ones(3) * x + [1.0, 2.0, 3.0] - (y + np.array(2.0)) + (x > y) * x + -x + abs(y)
    a = (
        a
        + np.maximum(0, x)
        + np.minimum(y, 1.5)
        + np.maximum(x, np.zeros(3))
        + np.add([1, 2, 3], y)
    )
    return (a @ np.eye(3)).sum() * scale + np.float64(1.5) * (x @ y) + (x.sum() + 1) * y.mean()


def settings(W, x):
    """Reductions with and without settings, of arrays and of numbers."""
    z = np.matmul(W, x)
    a = np.sum(z, axis=1, keepdims=True) + np.mean(z, 0) + np.max(z, axis=(0, 1)) + np.sum(z, 1)
    a = a + np.exp(z).max(axis=0) + z.sum(axis=-1, keepdims=True, dtype=float) + np.std(z)
    return np.sum(np.sum(np.sum(a, axis=0)) + np.prod(z, axis=np.int64(0))) + np.log(np.sum(a * a))


def memory(W, x):
    """Views and writes in place between operations."""
    z = W @ x
    z[0] = z[1] * 2
    row, z[1] = z[0], 3.0
    row += W[1] @ x
    z *= x.T[0, 0]
    part = z[:, ::2]
    part[...] = part + np.tanh(row).sum()
    for i in range(3):
        z[i, 0] = z[i, 0] * W[i, 0]
    return np.sum(z * z) + np.sum(part)


def residual(x, layers):
    """Gradients that meet, from arrays in nested containers with other things among them."""
    for layer in layers:
        h = np.tanh(x @ layer["W"] + layer["b"]) * layer["scale"] + layer["shift"]
        x = x + h if layer["skip"] else h
    parts = np.concatenate([x, x * 2], axis=1)
    return np.sum(np.where(parts > 0, parts, 0.1 * parts)) / np.einsum("ij->", x * x)


def stretched(x, row, column, number, low):
    """Operands that are stretched in every way that a bias is, in one float type and in two."""
    a = (x + row) * column + number - (x - row[0]) / (column + 3) + x * row[None] + (row + x[0])
    return np.sum(a + low) + np.sum(x.astype(np.float32) * low) + np.sum(x[None] + row)


def several_calls(x, n):
    def inner(x, n):
        return x if n == 0 else inner(np.sin(x) + 1, n - 1) * 2

    return sum(inner(x, k).sum() for k in range(n))


class Cache(NamedTuple):
    x: object
    W: object


class Dense:
    """A layer with a backward of its own, that keeps what it needs in every kind of container."""

    def __init__(self, W):
        self.W, self.cache, self.grads, self.many = W, None, {}, list(range(5))

    def forward(self, x, *rest, slope=0.1, **how):
        z = x @ self.W
        self.cache = (Cache(x, self.W), {"z": z, "list": [z, (z, 2)], 3: None}, rest, how)
        return np.where(z > 0, z, slope * z)

    def backward(self, dy, slope=0.1):
        (x, W), held, _, _ = self.cache
        dz = dy.copy()
        dz[held["z"] <= 0] *= slope
        self.grads["W"] = x.T.dot(dz)
        return dz.dot(W.T)


@tracer.block("scaled")
def scaled(x, by):
    return x * by, (x, by)


@scaled.backward
def scaled_backward(dy, cache):
    x, by = cache
    return dy * by, (dy * x).sum()


def relu_forward(x):
    x = x + 0
    part = x[1:]
    part[part < 0] = 0.0
    return x, x


def relu_backward(dy, cache):
    return dy * (cache > 0)


def layers_and_blocks(x, layers, by):
    for one in layers:
        x = one.forward(x, "rest", more=3)
    y, _ = scaled(x, by)
    y, _ = relu_forward(y)
    with tracer.block("cost"):
        cost = -np.sum(-y) / y.shape[0] + y.argmax() + (y * y).mean(axis=0).max()
    dy = np.ones(y.shape) / y.shape[0]
    for one in reversed(layers):
        dy = one.backward(dy)
    return cost, dy


STALE = """
def inner(v, w):
    return {}

def f(x, w):
    z = x + 0
    v = z[1:]
    z[0:2] = 5.0
    return np.sum(inner(v, w))
"""
"""A view that is first read in another call, after a write; in a program without backward code."""


def alone(text):
    namespace = {"np": np}
    exec(text, namespace)
    return namespace["f"]


STALES = [
    alone(STALE.format(done))
    for done in ("v.sum()", "v.mean()", "-v", "abs(v)", "v.dot(w)", "np.sum(v)", "v * w")
]


def aside(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def odd_operands(x, low, many):
    y = x.sum().sum() + x.dot(low) + (x > 0).dot(x > 1) + (-x.sum()) + (x > 0).sum() + x.argmax()
    scaled(y, many)
    try:
        scaled(many, None)
    except TypeError:
        y = y * 2
    with suppress(ZeroDivisionError), tracer.block("broken"):
        y = y + 1 / 0
    found = []
    aside(lambda: found.append(np.sum(x * 3)))
    z = x + 0
    for i in range(3):
        z[i] = y
    return np.sum(z) + found[0]


def in_itself(x):
    tree, named = {"x": x}, Cache(x, [x])
    tree["itself"], tree["list"] = tree, [tree, named]
    held, _ = kept(x * 2, tree, deque([x, named]), OrderedDict(a=x))
    again, _ = kept(held, tree=named)
    return again.sum()


@tracer.block("kept")
def kept(x, tree, *more):
    return x * 1.0, (tree, more)


@kept.backward
def kept_backward(dy, cache):
    return dy


def step(X, Y, parameters):
    return course.course_net(X, Y, parameters)


def layer(rng, skip):
    made = {"W": rng.randn(3, 3), "b": rng.randn(3), "scale": 1.5, "skip": skip, "name": "dense"}
    return made | {"shift": np.float64(0.25), 7: rng.randn(2), "steps": np.arange(3)}


def cases():
    rng = np.random.RandomState(0)
    skips = [layer(rng, skip) for skip in (True, False, True)]
    row, column = rng.randn(1, 4), rng.randn(3, 1)
    low = np.float32(rng.randn(3, 4))
    yield from (case()[:2] for case in CASES)
    yield operands, (rng.randn(3), rng.randn(3))
    yield settings, (rng.randn(3, 4), rng.randn(4, 3))
    yield memory, (rng.randn(3, 4), rng.randn(4, 2))
    yield residual, (rng.randn(2, 3), skips)
    yield stretched, (rng.randn(3, 4), row, column, np.array(0.5), low)
    yield several_calls, (rng.randn(3), 4)
    yield step, course.course_net_example()
    yield from ((function, (rng.randn(4), rng.randn(3))) for function in STALES)
    yield odd_operands, (rng.randn(3), np.float32(rng.randn(3)), [rng.randn(2)] * 10_001)
    yield in_itself, (rng.randn(3),)
    yield layers_and_blocks, (rng.randn(4, 3), [Dense(rng.randn(3, 3)) for _ in range(2)], 0.5)
    yield lambda x, W: np.sum(np.tanh(x @ W) @ W.T), (rng.randn(300, 20), rng.randn(20, 200))


def shown(data):
    if isinstance(data, np.ndarray) and not data.dtype.hasobject:
        bits = hashlib.sha1(np.ascontiguousarray(data)).hexdigest()
        return f"{data.dtype} {data.shape} {bits}"
    return f"{type(data).__name__} {ADDRESS.sub('', repr(data))}"


def noted(tree):
    if isinstance(tree, dict):
        return {key: noted(x) for key, x in tree.items()}
    if isinstance(tree, (list, tuple, deque)):
        return type(tree).__name__, [noted(x) for x in tree]
    if isinstance(tree, Held):
        return tree.number, noted(tree.attributes)
    if isinstance(tree, Given):
        return tree.id, shown(tree.data)
    return ADDRESS.sub("", repr(tree))


def where(code, lasti):
    """The place in the source: a call of Python code stands at the end of the instruction."""
    if code is None or lasti < 0:
        return None
    return next(islice(code.co_positions(), lasti // 2, None))


def lines(function, args, **how):
    """All that one run and its backward wrote, line by line."""
    trace = tracer.trace(function, *args).backward(**how)
    tape, replay = trace._tape, trace._replays[0]
    for rule, out, ins, settings, call, lasti in tape.ops:
        settings = {name: shown(x) for name, x in settings.items()}
        yield f"op {rule.name} {out} {ins} {settings} {call} {where(tape.calls[call].code, lasti)}"
    for call in tape.calls:
        outer = where(tape.calls[call.parent].code, call.lasti)
        yield f"call {call.code and call.code.co_name} {call.parent} {outer}"
    for visit in tape.visits:
        given = visit.args, visit.kwargs, visit.result
        yield f"visit {visit.block.name} {noted(given)} {visit.call} {visit.start} {visit.stop}"
    for number, note in (tape.notes.of if tape.notes is not None else {}).items():
        end = where(note.code, note.end)
        yield f"note {number} {note.code.co_name} {noted(note.args)} {noted(note.final)} {end}"
    for leaf in tape.leaves.values():
        yield f"leaf {leaf}"
    for id, data in enumerate(tape.values):
        yield f"value {id} {shown(data)}"
    for event in replay.events:
        yield f"event {[x if type(x) in (str, int, tuple) else '' for x in event]}"
    yield f"gradients {sorted(replay.gradients.items())} {sorted(tape.reached)}"
    yield f"after {[shown(x) for x in args]}"


def everything():
    return [line for function, args in cases() for line in lines(function, args)]


@pytest.mark.skipif(speedups is None, reason="tracenet was installed without a compiler")
def test_compiled_and_python_write_the_same():
    program = "import json, tests.test_compiled as t; print(json.dumps([t.speedups is None, t.everything()]))"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "TRACENET_PURE": "1"}, cwd=ROOT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pure, found = json.loads(done.stdout)
    assert pure
    assert found == everything()


@pytest.mark.skipif(speedups is None, reason="tracenet was installed without a compiler")
def test_the_compiled_loops_are_what_runs():
    assert type(tnp.exp).__name__ == type(tnp.matmul).__name__ == "Function"
    assert type(Array.__add__).__name__ == type(Array.__rsub__).__name__ == "Operator"
    assert type(Array.sum).__name__ == type(Array.__neg__).__name__ == "Operator"
    assert Array.sum.__name__ == "sum"
    assert type(Tape.enter).__name__ == type(Tape.go_in).__name__ == "method_descriptor"


def test_a_module_of_another_version_or_none_at_all_is_not_used(monkeypatch):
    monkeypatch.delenv("TRACENET_PURE", raising=False)
    monkeypatch.setattr(compiled, "import_module", lambda name: SimpleNamespace(VERSION=0))
    assert compiled._loaded() is None
    monkeypatch.setattr(compiled, "import_module", lambda name: SimpleNamespace())
    assert compiled._loaded() is None

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(compiled, "import_module", missing)
    assert compiled._loaded() is None


def test_an_error_of_numpy_comes_through_and_leaves_the_record_whole():
    def wrong(W, x):
        z = np.matmul(W, x)
        with suppress(ValueError):
            z + x
        with suppress(np.exceptions.AxisError):
            np.sum(z, axis=5)
        return np.sum(z) + np.matmul(x, W)

    with pytest.raises(ValueError, match="matmul") as caught:
        tracer.trace(wrong, np.ones((3, 4)), np.ones((4, 5)))
    trace = caught.value.tracenet_trace
    assert [op.rule for op in trace.ops] == ["matmul", "sum"]


def test_an_error_in_a_mirror_comes_through():
    def odd(W):
        return np.linalg.qr(np.tanh(W))[1].sum()

    from tracenet.errors import NoRuleError

    trace = tracer.trace(odd, np.eye(3))
    with pytest.raises(NoRuleError, match="qr"):
        trace.backward()


def test_code_that_numpy_runs_may_take_an_array_apart():
    def odd(x, how):
        np.seterrcall(lambda *_: how(x))
        return x * 1e300

    def close(x):
        x.tape.end()

    def strip(x):
        del x.id

    before = np.geterrcall()
    try:
        with np.errstate(over="call"):
            with pytest.raises(AttributeError):
                tracer.trace(lambda x: odd(x, strip), np.full(3, 1e300))
            assert np.isinf(tracer.trace(lambda x: odd(x, close), np.full(3, 1e300)).result).all()
    finally:
        np.seterrcall(before)


def test_a_large_gradient_of_two_operands_is_not_written_over():
    def loss(a, b, W):
        s, z = a * W, a + b
        return np.sum(s) + np.sum(z * z)

    a, b, W = np.random.RandomState(0).randn(3, 100, 100)
    trace = tracer.trace(loss, a, b, W).backward(wrt=["a", "b"])
    assert np.allclose(trace.gradient("a"), W + 2 * (a + b))
    assert np.allclose(trace.gradient("b"), 2 * (a + b))


def test_operands_that_are_lists_belong_to_the_call_that_has_them():
    trace = tracer.trace(lambda x: np.sum(x * [1.0, 2.0]), np.ones(2))
    assert len(trace.blocks) == 1


def test_numpy_itself_can_be_traced():
    assert tracer.trace(tnp.exp, np.ones(3)).values[0].name == "x0"
    assert tracer.trace(partial(tnp.maximum, 0.5), np.ones(3)).result.tolist() == [1.0] * 3


class Layer:
    def __init__(self):
        self.activation, self.inner = tnp.tanh, tnp.exp

    def forward(self, x):
        return self.inner(self.activation(x)) + 1


def test_a_traced_function_can_be_held_and_copied():
    layer = copy.deepcopy(Layer())
    assert layer.inner is tnp.exp and copy.copy(layer.inner) is tnp.exp
    x = np.ones(3)
    assert np.array_equal(layer.forward(x), np.exp(np.tanh(x)) + 1)
    trace = tracer.trace(lambda x: layer.forward(x).sum(), x).backward()
    assert np.allclose(trace.gradient("x"), np.exp(np.tanh(1)) * (1 - np.tanh(1) ** 2))


def test_an_operator_can_be_asked_for_by_name():
    found = []

    def ask(x):
        found.append(x.__add__(1.0).data)
        found.append(Array.__mul__(x, 2.0).data)
        return np.sum(x)

    tracer.trace(ask, np.arange(3.0))
    assert np.array_equal(found, [[1, 2, 3], [0, 2, 4]])
    assert tnp.exp.__name__ == "exp" and "exponential" in tnp.exp.__doc__


def test_what_is_said_of_an_array_may_be_taken_away_while_it_comes_in():
    class Taking:
        def __del__(self):
            self.marked.data = self.marked.name = self.marked.role = None

    before = gc.get_threshold()
    for often in range(1, 40):
        taking = Taking()
        taking.itself, taking.marked = taking, tracer.parameter(np.ones(20_000), f"w{often}")
        marked = taking.marked
        del taking
        gc.set_threshold(often, 1, 1)
        try:
            tracer.trace(np.sum, marked)
        except Exception:
            pass  # it was taken away before it came in
        finally:
            gc.set_threshold(*before)


def test_compiled_functions_refuse_what_they_are_not_made_for():
    if speedups is None:
        pytest.skip("tracenet was installed without a compiler")
    for name in ("enter", "twin", "swap", "unswap", "put_back", "reaches", "floating_leaves"):
        with pytest.raises(TypeError, match=name):
            getattr(speedups, name)(1)
    with pytest.raises(TypeError, match="swap takes a list, got a dict"):
        speedups.swap({}, {})
    with pytest.raises(TypeError, match="Entrance"):
        speedups.enter(1, 2, 3, 4, 5)
    with pytest.raises(TypeError, match="nobody asks for what"):
        speedups.prepare(what=1)
    with pytest.raises(TypeError, match="Leaf is to be a type of tuples"):
        speedups.prepare(Leaf=Array)
    with pytest.raises(AttributeError):
        speedups.prepare(Ref=Array.__base__)
    for method in (Tape().enter, Tape().go_in, Tape().come_out):
        with pytest.raises(TypeError):
            method("no frame")
    with pytest.raises(IndexError):
        Tape().enter(sys._getframe())


def test_arrays_of_a_trace_that_has_ended_are_plain_operands():
    kept = []

    def keep(x):
        kept.append(x * 2)
        return np.sum(x)

    tracer.trace(keep, np.ones(3))
    assert type(kept[0] + 1) is type(np.exp(kept[0])) is np.ndarray
    trace = tracer.trace(lambda y: np.sum(y * kept[0] + np.maximum(kept[0], y)), np.zeros(3))
    assert trace.result == 6.0
    assert np.array_equal(trace.backward().gradient("y"), [2.0, 2.0, 2.0])


def test_a_finalizer_that_computes_does_not_disturb_the_record():
    class Late:
        def __init__(self, x):
            self.me, self.x = self, x

        def __del__(self):
            with suppress(Exception):
                (self.x * 2).sum()

    def late(x):
        for _ in range(20):
            Late(x)
            y, _ = relu_forward(x)
            Late(y)
            x = x + 0 * ((-y).sum() + y.dot(y).mean() + y.sum())
        return x.sum()

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        trace = tracer.trace(late, np.ones(3)).backward()
    finally:
        gc.set_threshold(*before)
    assert trace.gradient("x").tolist() == [1.0] * 3


def test_nothing_is_left_of_traces():
    def once():
        for function, args in cases():
            list(lines(function, args))

    once()
    once()

    def counted():
        gc.collect()
        objects = gc.get_objects()
        arrays = sum(type(x) is Array for x in objects)
        return sys.getallocatedblocks(), sys.getrefcount(None), len(objects), 1000 * arrays

    before = counted()
    for _ in range(20):
        once()
    after = counted()
    assert all(b - a < 1000 for a, b in zip(before, after)), (before, after)
