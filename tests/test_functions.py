"""Functions of NumPy in the ways that people call them: NumPy's own result, the right gradient.

Each line is the body of a function of `x`; what its last expression gives is weighted and summed.
"""

import math
from functools import partial

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view  # noqa: F401  used in the lines

from tests.differences import numerical
from tests.sameness import same
from tracenet import tracer
from tracenet.errors import LeftTraceWarning, NoRuleError

RNG = np.random.RandomState(0)
SQUARE = RNG.uniform(0.3, 1.7, (4, 4))
CUBE, LINE = RNG.uniform(0.3, 1.7, (2, 3, 4)), RNG.uniform(0.3, 1.7, 4)

ON_SQUARE = """
np.fill_diagonal(x, 0); x * 2
x = x * 1; np.fill_diagonal(x, 0); x * 2
y = x * 1; np.fill_diagonal(y, x[0]); y * y
y = x * 1; np.put(y, [0, 2], [5.0, 6.0]); y * y
y = x * 1; y.put([0, 2], [5.0, 6.0]); y * y
y = x * 1; np.place(y, y > 1, [7.0]); y * y
y = x * 1; np.putmask(y, y > 1, 0); y * y
y = x * 1; np.putmask(y, y > 1, x * x); y * y
y = x * 1; np.put_along_axis(y, np.array([[0], [1], [2], [0]]), 9.0, 1); y * y
y = np.zeros((4, 4)); np.put_along_axis(y, np.array([[0], [1], [2], [0]]), x[:, :1], 1); y * y
y = np.zeros(x.shape); np.copyto(y, x, where=x > 1); y * y
y = np.zeros(x.shape); np.copyto(y, x); y * y
np.add(x, 10, where=x > 1, out=np.zeros(x.shape))
y = x * x; np.multiply(y, x, out=y, where=x > 1); y
np.log(x, out=np.zeros_like(x), where=x > 1)
np.exp(x, where=x > 1, out=x * 2)
np.divide(x, x.sum(), out=np.zeros_like(x), where=x.sum() != 0)
np.sum(x, where=x > 1)
np.mean(x, axis=0, where=x > 0.5)
np.max(x, axis=1, where=x > 0.5, initial=0)
np.max(x, initial=1.2)
np.sum(x, axis=0, initial=3.0)
x.sum(where=x > 1)
np.prod(x, axis=1)
np.vectorize(lambda t: t * t + 1)(x)
np.vectorize(lambda t: max(0, t - 1))(x)
np.vectorize(lambda t, u: t * u)(x, x[0])
np.vectorize(math.exp)(x)
np.vectorize(lambda t: math.tanh(t), otypes=[float])(x)
np.apply_along_axis(lambda r: r / np.sum(r), 1, x)
np.apply_along_axis(np.sum, 0, x)
np.apply_along_axis(lambda r: np.exp(r - np.max(r)) / np.sum(np.exp(r - np.max(r))), 1, x)
np.lib.stride_tricks.as_strided(x, (3, 3, 2, 2), x.strides * 2)
np.lib.stride_tricks.as_strided(x, shape=(3, 3, 2, 2), strides=x.strides * 2).sum(axis=(0, 1))
np.lib.stride_tricks.sliding_window_view(x, (2, 2))
np.lib.stride_tricks.sliding_window_view(x, 2, axis=0)[::2]
sliding_window_view(x, (2, 2), axis=(0, 1))
as_strided(x, (3, 3, 2, 2), x.strides + x.strides)
np.einsum(x, [0, 1], x, [1, 2], [0, 2])
np.einsum('ij,j->i', x, LINE)
np.einsum('ij->', x, optimize=True)
np.einsum('ij,kj->ik', x, x, optimize='greedy')
np.linalg.norm(x)
np.linalg.norm(x, axis=1)
np.linalg.norm(x, ord=2, axis=1, keepdims=True)
np.linalg.norm(x, 1, axis=0)
np.linalg.norm(x, ord='fro')
np.linalg.norm(x, axis=(0, 1))
np.linalg.norm(x, 3, axis=0)
np.linalg.norm(x, np.inf, axis=0)
np.linalg.norm(x, -np.inf, axis=0)
np.linalg.norm(x, 2)
np.linalg.norm(x, 'nuc')
np.linalg.norm(x, 1)
np.linalg.norm(x, np.inf)
np.linalg.inv(x + 4 * np.eye(4))
np.linalg.solve(x + 4 * np.eye(4), LINE)
np.linalg.det(x + 4 * np.eye(4))
np.linalg.matrix_power(x, 3)
np.linalg.multi_dot([x, x, x])
np.triu(x)
np.tril(x, -1)
np.ravel(x)
np.ravel(x, order='F')
x.ravel('F')
x.flatten()
x.flatten('F')
x.reshape((2, 8), order='F')
np.split(x, 2)[0]
np.sign(x) * x
np.std(x, axis=0)
np.std(x, ddof=1)
np.var(x, axis=0, ddof=1)
np.stack([x, x], axis=1)
np.hsplit(x, 2)[1]
np.vsplit(x, 2)[1]
np.array_split(x, 3)[1]
np.diag(x)
np.rot90(x)
np.tensordot(x, x, axes=([1], [0]))
np.take_along_axis(x, np.argmax(x, 1)[:, None], 1)
np.insert(x, 0, 1, axis=1)
np.insert(x, [1, 3], 0.5, axis=0)
np.delete(x, 1, axis=0)
np.tri(4) * x
np.roll(x, 1, 0)
np.kron(x, x)
np.diff(x, axis=0)
np.cumsum(x, axis=1)
np.sort(x, axis=0)
np.median(x, axis=0)
np.quantile(x, 0.3, axis=0)
np.average(x, axis=0, weights=np.arange(1.0, 5))
np.average(x, axis=1)
np.average(x, weights=x)
np.nan_to_num(x)
np.nansum(x)
np.nanmean(x)
np.nanmax(x, axis=0)
np.ptp(x)
np.amax(x, 0)
np.logaddexp(x, x * 2)
np.maximum.reduce(x)
np.select([x > 1, x < 0.5], [x, x * x], 0)
np.piecewise(x, [x < 1, x >= 1], [lambda t: t * t, lambda t: t])
np.extract(x > 1, x)
np.compress([True, False, True, True], x, axis=0)
x.compress([True, False, True, True], axis=0)
np.ix_([0, 1], [1, 2])[0] * x[np.ix_([0, 1], [1, 2])]
np.polyval([1.0, 2, 3], x)
np.block([[x, x], [x, x]])
np.c_[np.ones(4), x]
np.vdot(x, x)
np.inner(x, x)
np.trace(x)
np.array([x[0], x[1]])
np.array([[t * 2 for t in row] for row in x])
np.asarray(x, dtype=np.float64)
np.full_like(x, x[0, 0])
np.tile(x, (2, 1))
np.repeat(x, 2, axis=0)
np.pad(x, 1)
np.pad(x, ((1, 0), (0, 2)), mode='edge')
np.pad(x, 1, 'reflect')
np.pad(x, 1, 'constant', constant_values=3)
np.pad(x, 1, 'wrap')
x.dot(x)
x.squeeze()
x.clip(0.5, 1)
np.clip(x, 0.5, None)
np.clip(x, a_min=0.5, a_max=1.0)
np.clip(x, 0.5, 1, out=x * 1)
np.float_power(x, 2)
np.power(x, 3)
2 ** x
np.power(2, x)
x ** x
x ** (-1)
x ** 0.5
np.mod(x, 0.7)
x % 0.7
np.fmod(x, 0.7)
divmod(x, 0.7)[1]
x // 0.7
np.heaviside(x - 1, 0.5) * x
np.exp2(x)
np.deg2rad(x)
np.real(x)
np.conj(x)
x.real
x.conj()
x.item(0) * x
x.mean()
np.argmax(x) * x
x.view()
x.view().reshape(-1)
x.T.copy()
x.flat[3] * 1.0
sum(x.flat)
np.array(list(x.flat))
y = x * 1; y.flat = 3.0; y
y = x * 1; y.flat[2] = x[0, 0]; y
np.ndenumerate(x).__next__()[1] * 1.0
sum((v for i, v in np.ndenumerate(x)))
y = x * 1; y.resize((2, 8)); y
np.resize(x, (2, 3))
np.flip(x)
x[::-1]
x[..., None]
x[np.newaxis]
x[[0, 1], [1, 2]]
x[x > 1]
x[np.where(x > 1)]
x[np.nonzero(x > 1)]
np.take(x, [1, 2])
x.take([1, 2], axis=1)
np.ones_like(x) * x
np.linspace(0, 1, 5) * x.sum()
np.copysign(x, -1)
np.hypot(x, x)
np.expand_dims(x, (0, 2))
np.matmul(x, x, out=np.empty((4, 4)))
np.dot(x, x, out=np.empty((4, 4)))
np.sum(x, axis=0, out=np.empty(4))
np.mean(x, axis=0, keepdims=True)
np.add.at((y := (x * 1)), [0, 0, 1], x[0]); y
y = x * 1; np.subtract.at(y, [0, 0], 1.0); y
y = x * 1; np.add.at(y, ([0, 0], [1, 1]), x[0, :2]); y
y = np.zeros((4, 4)); np.add.at(y, (slice(None), [0, 0]), x[:, :2]); y
np.matvec(x, LINE)
np.vecdot(x, x)
np.linalg.vector_norm(x)
np.concat([x, x])
np.permute_dims(x, (1, 0))
np.array([x, x], dtype=object)[0] * 1.0
np.multiply(np.array([x, x], dtype=object)[0], x)
x - np.array([x, x], dtype=object)[1]
np.nan_to_num(np.log(x), neginf=0)
x.prod()
x.trace()
x.diagonal()
x.repeat(2)
x.cumsum()
x.max(axis=1, keepdims=True)
x.__matmul__(x)
x.nonzero()[0].size * x
np.dstack([x, x])
np.array_equal(x, x) * x
(x == x.max(axis=1, keepdims=True)) * x
"""

ON_LINE = """
y = np.zeros(5); np.put(y, [0, 2], x[:2]); y * y
np.atleast_2d(x)
np.atleast_1d(x.sum())
np.atleast_3d(x)
np.outer(x, x)
np.diagflat(x)
np.diag(x)
np.append(x, x)
np.cross(x[:3], x[1:])
np.trapezoid(x)
np.cumprod(x)
np.percentile(x, 30)
np.multiply.outer(x, x)
np.subtract.outer(x, x)
np.add.outer(x, x)
np.add.accumulate(x)
np.bincount([0, 1, 1, 0], weights=x)
np.histogram(x)[0] * x.sum()
np.choose([0, 1, 0, 1], [x, x * 2])
np.meshgrid(x, x)[0]
np.broadcast_arrays(x, SQUARE)[0]
np.r_[x, x]
np.c_[x, x]
np.full((2, 2), x[0])
np.repeat(x, [1, 2, 0, 3])
np.squeeze(x[:, None])
float(x[0]) * x
y = x * 1; y.sort(); y
np.linspace(0, x[0], 5)
np.convolve(x, [1.0, 2])
np.correlate(x, x[:2])
np.ediff1d(x)
x.searchsorted(1.0) * x
np.column_stack((x, x))
"""

ON_CUBE = """
np.apply_over_axes(np.sum, x, [0, 2])
np.einsum('...ij,...kj->...ik', x, x)
np.einsum('i...->...', x)
np.einsum('bij,jk->bik', x, SQUARE)
np.moveaxis(x, 0, -1)
np.swapaxes(x, 0, 1)
np.dsplit(x, 2)[0]
np.rot90(x, 2, (1, 2))
x.transpose(1, 0, 2)
np.rollaxis(x, 2)
x.swapaxes(0, 2)
"""

CASES = [
    (line, x)
    for lines, x in ((ON_SQUARE, SQUARE), (ON_CUBE, CUBE), (ON_LINE, LINE))
    for line in lines.strip().splitlines()
]


def function(line):
    """A loss from one of the lines."""
    *before, last = line.split("; ")
    body = "".join(f"    {each}\n" for each in before)
    text = (
        f"def f(x):\n{body}    out = {last}\n"
        "    weights = np.random.RandomState(5).uniform(0.5, 1.5, np.shape(out))\n"
        "    return np.sum(out * weights)\n"
    )
    names = dict(globals())
    exec(compile(text, __file__, "exec"), names)
    return names["f"]


@pytest.mark.parametrize(("line", "x"), CASES, ids=[line for line, _ in CASES])
def test_a_function_of_numpy(line, x):
    f = function(line)
    try:
        plain = f(x.copy())
    except AttributeError as error:
        pytest.skip(f"not in this NumPy: {error}")
    trace = tracer.trace(f, x.copy())
    assert same(trace.result, plain) and not trace.left
    trace.check()
    trace.backward(wrt=["x"])
    at = x.copy()
    expected = numerical(lambda: f(at.copy()), at)
    np.testing.assert_allclose(trace.gradient("x"), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "line", ["np.linalg.svd(x)[1]", "np.sinc(x)", "np.fft.fft(x).real", "np.abs(x - 1j * x)",
             "np.linalg.slogdet(x)[1]", "np.interp(x, [0, 1], [1, 5])"],
)  # fmt: skip
def test_without_a_rule_the_value_is_recorded_and_the_gradient_an_error(line):
    f = function(line)
    trace = tracer.trace(f, SQUARE.copy())
    assert same(trace.result, f(SQUARE.copy())) and not trace.left
    with pytest.raises(NoRuleError, match="no backward rule|complex numbers"):
        trace.backward(wrt=["x"])


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize(
    "line", ["np.matrix(x) * 2", "np.float64(x[0, 0])", "sum(v.sum() for v in np.nditer(x, ['external_loop']))",
             "np.array(x.tolist())", "np.fromiter((t for t in x[0]), float)",
             "np.ma.masked_array(x, x > 1).filled(0)"],
)  # fmt: skip
def test_where_it_leaves_it_says_so(line):
    with pytest.warns(LeftTraceWarning):
        trace = tracer.trace(function(line), SQUARE.copy())
    assert trace.left


def test_a_vectorized_function_made_before_the_trace():
    calls = []

    def one(t):
        calls.append(type(t))
        return t * t if t > 1 else 0.0

    f = np.vectorize(one, otypes=[float])
    program = {"f": f, "np": np, "__name__": "p"}
    exec("def loss(x):\n    return f(x).sum()", program)
    trace = tracer.trace(program["loss"], LINE.copy()).backward(wrt=["x"])
    assert np.array_equal(trace.gradient("x"), np.where(LINE > 1, 2 * LINE, 0))
    assert len(calls) == len(LINE)


def test_arrays_of_objects_are_containers():
    def loss(weights, x):
        a = x
        for w in weights:
            a = np.tanh(np.dot(w, a))
        return np.sum(a) + np.sum(weights[0] * 0.1)

    weights = np.empty(2, dtype=object)
    weights[:] = [RNG.randn(3, 4), RNG.randn(2, 3)]
    plain = loss(weights, LINE)
    trace = tracer.trace(loss, weights, LINE).backward()
    assert trace.result == plain and [type(w) for w in weights] == [np.ndarray] * 2
    expected = numerical(partial(loss, weights, LINE), weights[0])
    np.testing.assert_allclose(trace.gradient("weights[0]"), expected, rtol=1e-6)


def test_text_is_no_loss(capsys):
    def f(x):
        loss = x.sum()
        print("loss %f after %d, %s" % (loss, 3, x))  # noqa: UP031
        print("{:.3f}".format(loss), f"{loss:.2e}", str(loss), repr(x))  # noqa: UP032
        return loss

    trace = tracer.trace(f, LINE)
    traced = capsys.readouterr().out
    f(LINE)
    assert capsys.readouterr().out == traced and not trace.left
    assert math.isfinite(trace.result)


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
@pytest.mark.parametrize("shape", [(7,), (5, 3)])
def test_a_generator_shuffles_a_traced_array_as_a_plain_one(make, shape):
    weights = np.arange(np.prod(shape)).reshape(shape) ** 2.0

    def f(x):
        z = x * 1
        make(3).shuffle(z)
        return (z * weights).sum()

    x = RNG.randn(*shape)
    before = x.copy()
    trace = tracer.trace(f, x).backward()
    assert trace.result == f(x) and not trace.left
    np.testing.assert_allclose(trace.gradient("x"), numerical(partial(f, x), x), rtol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("index", [(4,), (1, 1), ((1, 1),), (-2,)])
def test_item_takes_the_element_that_it_says(index):
    W = RNG.randn(2, 3)
    trace = tracer.trace(lambda W: W.item(*index) * 2.0, W).backward()
    expected = np.zeros((2, 3))
    expected.flat[4] = 2
    np.testing.assert_array_equal(trace.gradient("W"), expected)


KEYWORDS = [
    lambda W: np.dot(np.ones((2, 3)), b=W).sum(),
    lambda W: np.tensordot(a=np.ones((2, 3)), b=W, axes=1).sum(),
    lambda W: np.outer(a=W[0], b=W[1]).sum(),
    lambda W: (np.tile(A=W, reps=(2, 1)) ** 2).sum(),
    lambda W: (np.pad(array=W, pad_width=1) ** 2).sum(),
    lambda W: W.clip(min=0).sum(),
    lambda W: W.clip(max=0.5).sum(),
]


@pytest.mark.parametrize("f", KEYWORDS)
def test_operands_may_be_given_by_their_keywords(f):
    W = RNG.randn(3, 4)
    trace = tracer.trace(f, W).backward()
    assert trace.result == f(W)
    np.testing.assert_allclose(
        trace.gradient("W"), numerical(partial(f, W), W), rtol=1e-6, atol=1e-9
    )


def test_what_is_saved_leaves_the_trace_and_says_so(tmp_path):
    def f(x):
        np.save(tmp_path / "x.npy", x * 2)
        np.savez(tmp_path / "x.npz", a=x)
        return np.load(tmp_path / "x.npy").sum() * x.sum()

    with pytest.warns(LeftTraceWarning):
        trace = tracer.trace(f, LINE)
    assert [place.why for place in trace.left] == [
        "np.save wrote it to a file", "np.savez wrote it to a file",
    ]  # fmt: skip


def test_json_writes_traced_numbers(tmp_path):
    file = tmp_path / "program.py"
    file.write_text("import json\ndef f(x):\n    return json.dumps({'loss': float(x.sum())})\n")
    program = tracer.load(file)
    assert tracer.trace(program.f, LINE).result == program.f(LINE)


def test_the_real_part_can_be_written():
    def f(x):
        z = x * 1
        z.real = x * x
        return z.sum()

    trace = tracer.trace(f, LINE).backward()
    assert trace.result == f(LINE)
    np.testing.assert_allclose(trace.gradient("x"), 2 * LINE)


def doubled_by_nditer(x):
    z = x * 1
    with np.nditer(z, op_flags=["readwrite"]) as places:
        for place in places:
            place[...] = 2 * place * place
    return z.sum()


def steps_of_nditer(x):
    z = x * 1
    places = np.nditer(z, flags=["multi_index"], op_flags=["readwrite"])
    while not places.finished:
        z[places.multi_index] = z[places.multi_index] ** 3
        places[0] = places[0] + 1
        places.iternext()
    return z.sum()


@pytest.mark.parametrize("f", [doubled_by_nditer, steps_of_nditer])
def test_what_is_written_through_an_iterator_is_recorded(f):
    x = RNG.uniform(0.5, 1.5, (2, 3))
    trace = tracer.trace(f, x).backward()
    assert trace.result == f(x) and not trace.left
    np.testing.assert_allclose(trace.gradient("x"), numerical(partial(f, x), x), rtol=1e-6)
