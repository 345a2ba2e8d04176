"""Generated programs of views, slices, writes in place and aliases, against plain NumPy.

Each statement takes arrays from a list, may write into them through whatever shares their memory,
and may add a new one, a view or a copy. Held against the plain run are the result and every array
at the end; every recorded value against what its rule gives for the recorded inputs; and the
gradient against finite differences.
"""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sameness import same
from tracenet import tracer
from tracenet.ops import BY_NAME
from tracenet.recording.absent import Placed

INDICES = [
    0, -1, slice(1, 3), slice(None, None, 2), slice(None, None, -1), ..., None, (..., 0),
    (slice(None), None), (0, ...), [0, 0, 1], [1, -1], (slice(None, None, 2), ...),
]  # fmt: skip
"""Basic indices and fancy ones; which of them an array can take depends on its shape."""

VIEWS = {
    "index": lambda x, i, j: x[INDICES[i % len(INDICES)]],
    "transposed": lambda x, i, j: x.T,
    "swapped": lambda x, i, j: np.swapaxes(x, 0, -1) if x.ndim else x,
    "flat": lambda x, i, j: x.reshape(-1),
    "raveled": lambda x, i, j: np.ravel(x, order="F" if i % 2 else "C"),
    "column": lambda x, i, j: x[..., np.newaxis],
    "alias": lambda x, i, j: np.asarray(x),
    "copy": lambda x, i, j: np.array(x, copy=True),
    "diagonal": lambda x, i, j: np.diagonal(x) if x.ndim > 1 else x,
    "turned": lambda x, i, j: np.rot90(x) if x.ndim > 1 else x[::-1],
    "masked": lambda x, i, j: x[parity(x)],
    "arithmetic": lambda x, i, j: np.tanh(x) * (i + 1) - 0.5,
}


def parity(x):
    return (np.arange(np.size(x)) % 2 == 0).reshape(np.shape(x))


def write_row(x, y, i, j):
    x[INDICES[i % 6]] = y.sum() / 9


def write_over(x, y, i, j):
    x[...] = np.broadcast_to(y.mean(), x.shape)


def write_masked(x, y, i, j):
    x[parity(x)] = i / 4


def add_scalar(x, y, i, j):
    x += i / 8


def add_array(x, y, i, j):
    x += y.sum() / 5


def scale_slice(x, y, i, j):
    x[::2] *= 1 + i / 8


def add_at(x, y, i, j):
    np.add.at(x, [0, 0, -1], y.mean())


def multiply_out(x, y, i, j):
    np.multiply(x, 0.5, out=x)


def tanh_out(x, y, i, j):
    np.tanh(x, out=x)


def where_out(x, y, i, j):
    np.add(x, y.mean(), out=x, where=parity(x))


def fill(x, y, i, j):
    x[-1:].fill(i / 3)


def copy_into(x, y, i, j):
    np.copyto(x, y.mean(), where=parity(x))


def put(x, y, i, j):
    np.put(x, [0, -1], y.max())


def flat_write(x, y, i, j):
    x.flat[i % x.size] = y.sum() / 7


WRITES = [
    write_row, write_over, write_masked, add_scalar, add_array, scale_slice, add_at, multiply_out,
    tanh_out, where_out, fill, copy_into, put, flat_write,
]  # fmt: skip

STEPS = st.tuples(
    st.sampled_from([*VIEWS, *range(len(WRITES))]), st.integers(0, 30), st.integers(0, 30),
    st.integers(0, 12), st.integers(0, 3),
)  # fmt: skip


def run(steps, x):
    """The arrays at the end, of which each may share memory with others, and a number of them."""
    arrays = [x * 1.0]
    held = {"last": arrays[0]}
    for what, one, other, i, j in steps:
        x, y = arrays[one % len(arrays)], arrays[other % len(arrays)]
        if not x.size or not y.size or not x.ndim:
            continue
        try:
            if isinstance(what, str):
                made = VIEWS[what](x, i, j)
                if made.ndim < 5 and isinstance(made, np.ndarray):
                    arrays.append(made)
                    held["last"] = made
            else:
                WRITES[what](x, y, i, j)
        except (IndexError, ValueError):
            continue  # an index that this shape does not take, or a view that cannot be written
    total = sum((a * a).sum() for a in arrays) + held["last"].sum()
    return total, arrays


@settings(max_examples=250, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=9))
def test_memory_is_what_it_is_in_plain_numpy(steps):
    x = np.cos(np.arange(12.0)).reshape(4, 3)
    expected = run(steps, x.copy())
    trace = tracer.trace(lambda x: run(steps, x), x)
    assert same(trace.result, expected)
    assert not trace.left
    trace.check()
    for op in trace.ops:
        rule = BY_NAME.get(op.rule)
        if rule is None or not op.ins:
            continue
        inputs = [trace.data(i) for i in op.ins[: None if rule.variadic else len(rule.operands)]]
        again = rule.forward(*inputs, **op.settings)
        np.testing.assert_allclose(again, trace.data(op.outs[0]), rtol=1e-12, err_msg=op.rule)
    trace.backward(loss="[0]", wrt=["x"])
    step = 1e-6
    for index in ((0, 0), (1, 2), (3, 1)):
        moved = [x.copy(), x.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        above, below = (run(steps, each)[0] for each in moved)
        got = trace.gradient("x")[index]
        assert got == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-5)


# ---------------------------------------------------------------------- how much is done


def test_filling_an_array_is_gone_through_once(monkeypatch):
    """Of 3,000 versions none is copied, and what is asked of them does not grow with their number."""
    from tracenet.recording import memory

    count = {"copied": 0, "rebuilt": 0}
    protect = memory.protect

    def protected(tape, buffer):
        count["copied"] += sum(buffer.live.values())
        protect(tape, buffer)

    def rebuilt(*args):
        count["rebuilt"] += 1
        return real(*args)

    import tracenet.trace as module

    real = module.rebuild
    monkeypatch.setattr(memory, "protect", protected)
    monkeypatch.setattr(module, "rebuild", rebuilt)

    def fill(x, n):
        out = np.zeros(n)
        for i in range(n):
            out[i] = x * i
        return out

    n = 3000
    trace = tracer.trace(fill, 2.0, n)
    assert len(trace.ops) == 2 * n and count["copied"] <= 1
    assert len(trace.diagram(values="shapes").nodes) == 2
    trace.backward({"": np.ones(n)})
    assert trace.gradient("x") == sum(range(n)) and count["rebuilt"] < 10


def fill(x, n):
    out = np.zeros(n)
    for i in range(n):
        out[i] = x * i
    return np.sum(out)


def look(x, n):
    total = 0.0
    for i in range(n):
        total = total + x[i] * x[i]
    return total


def look_back(x, n):
    out = np.zeros(n)
    out[0] = x[0]
    for i in range(1, n):
        out[i] = out[i - 1] * 0.5 + x[i]
    return np.sum(out)


def add_to(x, n):
    out = np.zeros((n, 2))
    for i in range(n):
        out[i] += x[i]
        out[i, 0] -= x[i - 1, 1]
    return np.sum(out * out)


def rows(x, n):
    out = np.zeros((n, 2))
    for i, row in enumerate(x):
        out[i] = row * 2
    return np.sum(out)


@pytest.mark.parametrize(
    ("function", "shape"),
    [(fill, ()), (look, (None,)), (look_back, (None,)), (add_to, (None, 2)), (rows, (None, 2))],
)
def test_bytes_of_reading_and_writing_one_by_one_grow_as_the_array(function, shape):
    """Twice the elements take twice the bytes, at their highest too, and not four times."""

    def peak(n):
        x = np.ones([n if size is None else size for size in shape]) if shape else 2.0
        tracemalloc.start()
        trace = tracer.trace(function, x, n).backward(wrt=["x"])
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not trace.left
        return found

    peak(10)
    assert peak(2000) < 3 * peak(1000)  # lists and dicts grow in steps: not exactly twice


@pytest.mark.parametrize("function", [look, look_back, add_to, rows])
def test_every_gradient_on_the_way_can_be_had(function):
    """Of each operation the recorded gradients are what its rule gives, and sums are sums."""
    n = 6
    x = np.cos(np.arange(2.0 * n)).reshape(n, 2)
    trace = tracer.trace(function, x if function in (add_to, rows) else x[:, 0].copy(), n)
    trace.backward(wrt=["x"])
    stood_in = 0
    for op in (op for op in trace.ops if op.phase == "backward"):
        if op.of is None:
            sum_ = trace.data(op.ins[0]) + trace.data(op.ins[1])
            np.testing.assert_allclose(trace.data(op.outs[0]), sum_, rtol=1e-12)
            continue
        rule, forward = BY_NAME[op.rule], trace.ops[op.of]
        inputs, out = [trace.data(i) for i in forward.ins], trace.data(forward.outs[0])
        for place, made in zip(op.wants, op.outs):
            again = rule.backward[place](trace.data(op.ins[0]), out, *inputs, **op.settings)
            np.testing.assert_allclose(trace.data(made), again, rtol=1e-12, err_msg=op.rule)
            stood_in += type(trace._tape.values[made]) is Placed
    assert stood_in > n - 2


def test_places_that_an_index_names_twice_in_a_replay():
    def run(x):
        total = 0.0
        for index in ([0, 0, 2], np.array([1, 1]), x > 2, (slice(None), None), -1, np.int64(1)):
            total = total + np.sum(x[index] ** 2)
        return total

    trace = tracer.trace(run, np.array([1.0, 2.0, 3.0])).backward()
    np.testing.assert_array_equal(trace.gradient("x"), [6, 16, 24])
