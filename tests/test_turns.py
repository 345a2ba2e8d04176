"""Several turns of training in one trace, and parameters that a run makes itself."""

import numpy as np
import pytest
from numpy.random import default_rng

from tests.differences import numerical
from tests.networks import turns
from tests.test_check import planted
from tracenet import load_trace, tracer
from tracenet.diagram import plain
from tracenet.render import encode


def checked(name, *example):
    function, made = getattr(turns, name), getattr(turns, f"{name}_example")(*example)
    return tracer.check(tracer.trace(function, *made))


@pytest.mark.parametrize(
    ("name", "example", "count"),
    [("model", [1], 6), ("model", [3], 14), ("fitted", [1], 4), ("fitted", [3], 12), ("adam", [], 8), ("whole", [1], 8), ("whole", [3], 24), ("neuron", [1], 2), ("neuron", [3], 6)],
)  # fmt: skip
def test_no_alarm(name, example, count):
    found = checked(name, *example)
    assert found.ok and not found.faults, str(found)
    rights = [o for b in found.blocks for o in b.outputs if o.verdict.right]
    assert len(rights) >= count, str(found)


FAULTS = [
    ("model", "db = np.sum(dZ, axis=1, keepdims=True) / m", "db = np.sum(dZ, axis=1, keepdims=True)", "affine_backward"),
    ("model", "dZ1 = dA1 * (1 - A1**2)", "dZ1 = dA1 * (1 - A1)", "model"),
    ("fitted", "self.dW1, self.db1 = X.T @ e,", "self.dW1, self.db1 = X.T @ np.abs(e),", "Regression.backward"),
    ("neuron", "db = np.sum(A - Y) / m", "db = np.sum(A - Y)", "neuron_pass"),
    ("neuron", "dw = np.dot(X, (A - Y).T)", "dw = np.dot(X, (Y - A).T)", "neuron_pass"),
    ("adam", "self.dbeta = dout.sum(axis=0)", "self.dbeta = dout.mean(axis=0)", "Scale.backward"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "function"), FAULTS)
def test_a_fault_in_the_same_code_is_found(name, old, new, function, tmp_path):
    found = planted(tmp_path, "turns", name, old, new)
    assert not found.ok, str(found)
    assert function in {f.function for f in found.faults}, str(found)


# ------------------------------------------------------------------ parameters of the run's own


def parameters(trace):
    return {v.name: v for v in trace.values.values() if v.role == "parameter"}


def test_what_a_run_makes_and_descends_from_is_a_parameter():
    trace = tracer.trace(turns.model, *turns.model_example(1))
    assert set(parameters(trace)) == {"W1", "b1", "W2", "b2"}
    assert np.array_equal(trace["W1"], turns.initialize(3, 4, 2)["W1"])
    names = [block.name for block in trace.blocks if any(op.block == block.id for op in trace.ops)]
    assert not any("initialize" in name for name in names)
    trace.check()


@pytest.mark.parametrize("values", ["full", "summary", "shapes"])
def test_it_is_however_little_is_kept(values):
    with tracer.keeping(values):
        trace = tracer.trace(turns.model, *turns.model_example(2))
    assert set(parameters(trace)) == {"W1", "b1", "W2", "b2"}
    trace.check()


def in_place(X, Y):
    W = np.zeros((3, 2))
    W[0] = np.random.RandomState(0).randn(2)
    W[1:] = 0.5
    e = X @ W - Y
    dW = X.T @ e
    W -= 0.1 * dW
    return np.sum(e**2)


def test_a_trace_of_it_is_saved_and_read_again(tmp_path):
    X, Y = np.random.RandomState(1).randn(5, 3), np.random.RandomState(2).randn(5, 2)
    trace = tracer.trace(in_place, X, Y).backward()
    again = load_trace(trace.save(tmp_path / "run.trace"))
    assert np.array_equal(again["W"], trace["W"])
    assert np.array_equal(again.gradient("W"), trace.gradient("W"))


def test_what_it_was_made_of_may_be_returned():
    def returning(X, Y):
        raw = np.random.RandomState(0).randn(3, 2)
        W = raw * 0.1
        dW = X.T @ (X @ W - Y)
        W = W - 0.1 * dW
        return np.sum((X @ W - Y) ** 2), raw

    trace = tracer.trace(returning, np.ones((4, 3)), np.ones((4, 2)))
    assert len(trace.outputs) == 2 and trace.diagram().nodes and trace.describe()
    trace.check()
    assert np.array_equal(trace.result[1], np.random.RandomState(0).randn(3, 2))


def test_its_derived_gradient_is_that_of_differences():
    X, Y = np.random.RandomState(1).randn(5, 3), np.random.RandomState(2).randn(5, 2)
    trace = tracer.trace(in_place, X, Y).backward()
    W = np.zeros((3, 2))
    W[0], W[1:] = np.random.RandomState(0).randn(2), 0.5
    expected = numerical(lambda: np.sum((X @ W - Y) ** 2), W)
    assert np.array_equal(trace["W"], W)
    np.testing.assert_allclose(trace.gradient("W"), expected, rtol=1e-6)
    assert [op.rule for op in trace.ops][:2] == ["matmul", "subtract"]


def with_momentum(X, Y):
    W = np.random.RandomState(0).randn(3, 2)
    velocity = np.zeros((3, 2))
    for _ in range(2):
        dW = X.T @ (X @ W - Y)
        velocity = 0.9 * velocity - 0.1 * dW
        W = W + velocity
    return np.sum(W)


def leaky(X, W, U):
    h = np.zeros((1, 2))
    for x in X:
        h = h * 0.5 + 0.5 * np.tanh(x @ W + h @ U)
    return np.sum(h)


def noisy(x, W):
    noise = np.random.RandomState(0).randn(4, 2)
    mask = (np.random.RandomState(1).rand(4, 2) < 0.5) / 0.5
    z = (x @ W + 0.1 * noise) * mask
    return np.sum(z - z.mean(axis=0))


def relaxing(X, W, U):
    h = np.zeros(2)
    for x in X:
        c = np.tanh(x @ W + h @ U)
        h = h - 0.3 * (h - c)
    return np.sum(h)


def averaging(x, W):
    mu = np.zeros((1, 3))
    for _ in range(2):
        mu = mu - 0.1 * (mu - x.mean(axis=0))
    return np.sum((x - mu) @ W)


def residual(x, W):
    pos = np.sin(np.arange(12.0).reshape(4, 3))
    h = pos - np.tanh((x + pos) @ W @ W.T)
    return np.sum(h)


@pytest.mark.parametrize(
    ("function", "found"),
    [(with_momentum, {"W"}), (leaky, {"W", "U"}), (noisy, {"W"}), (relaxing, {"W", "U"}),
     (averaging, {"W"}), (residual, {"W"})],
)  # fmt: skip
def test_velocities_states_and_noise_are_none(function, found):
    draw = np.random.RandomState(3).randn
    given = {"with_momentum": [draw(4, 3), draw(4, 2)]}
    given |= {key: [draw(4, 3), draw(3, 2)] for key in ("noisy", "averaging", "residual")}
    trace = tracer.trace(
        function, *given.get(function.__name__, [draw(4, 3), draw(3, 2), draw(2, 2)])
    )
    assert set(parameters(trace)) == found


# ------------------------------------------------------------------ generators of the run's own


def drawn(make):
    rng = make(5)
    again = [isinstance(rng, np.random.Generator), isinstance(rng, np.random.RandomState)]
    legacy = again[1]
    few = rng.randint(0, 9, 4) if legacy else rng.integers(0, 9, 4)
    found = [
        rng.normal(1.0, 2.0, (2, 3)), rng.uniform(size=3), rng.permutation(5), few, rng.normal(),
        rng.randn(2, 2) if legacy else rng.random((2, 2)), rng.choice(7, 3, replace=False),
        rng.multivariate_normal(np.zeros(2), np.eye(2), 3), rng.choice(["a", "b"]),
        rng.standard_gamma(2.0, 3), rng.dirichlet([1.0, 2.0]), rng.binomial(5, 0.5, (2,)),
    ]  # fmt: skip
    rng.shuffle(found[1])
    return [*found, again, [float(np.sum(x)) for x in found[:2]]], rng


@pytest.mark.parametrize("kind", ["RandomState", "default_rng"])
def test_a_generator_made_in_a_trace_draws_what_it_would(kind):
    plain, rng = drawn(getattr(np.random, kind))
    trace = tracer.trace(lambda: drawn(getattr(np.random, kind)))
    traced, still = trace.result
    for a, b in zip(plain, traced):
        assert type(a) is type(b) and np.array_equal(a, b)
    assert type(still.normal(size=2)) is np.ndarray  # after the trace it is NumPy's own
    rng.normal(size=2)
    assert np.array_equal(rng.uniform(size=4), still.uniform(size=4))
    roles = {v.role for v in trace.values.values() if v.shape == (2, 3)}
    assert roles == {"random"}


def test_what_it_draws_into_is_written_to():
    def into(x, total):
        rng = np.random.default_rng(0)
        buffer = np.zeros(3)
        for _ in range(2):
            assert rng.standard_normal(out=buffer) is buffer
            total = total + np.sum(x * buffer)
        return total

    trace = tracer.trace(into, np.ones(3), 0.0).backward(wrt=["x"])
    rng = np.random.default_rng(0)
    expected = rng.standard_normal(3) + rng.standard_normal(3)
    np.testing.assert_allclose(trace.gradient("x"), expected)


def test_its_class_is_known_by_those_there_were():
    class Own(np.random.RandomState):
        pass

    kinds = lambda x: [issubclass(Own, np.random.RandomState), x]
    assert tracer.trace(kinds, np.ones(2)).result[0] is True


def test_it_may_have_been_imported_by_its_name():
    trace = tracer.trace(lambda: np.sum(default_rng(0).normal(size=(2, 3)) * 2.0))
    assert trace.result == np.sum(np.random.default_rng(0).normal(size=(2, 3)) * 2.0)
    assert [op.rule for op in trace.ops] == ["multiply", "sum"]


def test_a_generator_that_was_there_before_is_of_its_class_and_kept():
    rng = np.random.default_rng(0)
    known = lambda x: (isinstance(rng, np.random.Generator), np.random.default_rng(rng) is rng, x)
    assert tracer.trace(known, np.ones(2)).result[:2] == (True, True)


# ------------------------------------------------------------------ updates among the statements


def passed(X, Y, p):
    h = np.tanh(X @ p["W1"] + p["b1"])
    J = np.sum((h - Y) ** 2) / 2
    dz = (h - Y) * (1 - h**2)
    g = {"dW1": X.T @ dz, "db1": dz.sum(axis=0)}
    return J, g


def by_keys(X, Y, p):
    J, g = passed(X, Y, p)
    for name in ("W", "b"):
        p[name + "1"] = p[name + "1"] - 0.1 * g["d" + name + "1"]
    return J


def in_place_by_keys(X, Y, p):
    J, g = passed(X, Y, p)
    for name in ("W", "b"):
        p[name + "1"] -= 0.1 * g["d" + name + "1"]
    return J


@pytest.mark.parametrize("function", [by_keys, in_place_by_keys])
def test_an_update_under_a_computed_key_is_drawn_as_one(function):
    draw = np.random.RandomState(4).randn
    trace = tracer.trace(function, draw(5, 3), draw(5, 2), {"W1": draw(3, 2), "b1": draw(2)})
    boxes = [n for n in trace.diagram(values="none").nodes if n.kind == "update"]
    assert {name for box in boxes for name in box.name.removeprefix("update of ").split(", ")} == {"W1", "b1"}  # fmt: skip
    assert not [n for n in trace.diagram().nodes if n.kind == "forward" and n.column > 2]


def test_a_write_is_said_where_its_name_is_used_again():
    def softmax_forward(z):
        e = np.exp(z)
        return e / np.sum(e), z

    def softmax_backward(p):
        d = p.copy()
        d[0] -= 1
        d = d / 2
        return d

    def loss(z):
        p, _ = softmax_forward(z)
        return -np.log(p[0]), softmax_backward(p)

    trace = tracer.trace(loss, np.arange(3.0))
    lines = ["".join(run.text for run in line) for n in trace.diagram().nodes for line in n.lines]
    assert "d[0] = d[0] − 1" in lines and "d = d / 2" in lines, lines


def test_a_gradient_with_the_factor_of_others_is_found_where_it_is_scaled(tmp_path):
    new = "dA_prev = np.dot(W.T, dZ) / m\n    return dA_prev, dW, db"
    found = planted(tmp_path, "turns", "model", "return np.dot(W.T, dZ), dW, db", new)
    assert {f.statement for f in found.faults} == {"dA_prev = np.dot(W.T, dZ) / m"}, str(found)


def test_a_pass_that_first_arranges_and_a_loss_that_is_only_printed(capsys):
    trace = tracer.trace(turns.arranged, *turns.arranged_example())
    assert tracer.check(trace).ok
    boxes = {n.name: n for n in trace.diagram(values="none").nodes}
    assert boxes["squared_cost"].kind == "loss"
    for view in ("blocks", "network", "cache", "ops", "circuit"):
        assert trace.diagram(view).nodes
    (shown,) = next(n for n in trace.diagram().nodes if n.kind == "loss").shown
    assert plain(shown.name) == "cost" and float(shown.data) == turns.arranged_cost()
    assert [plain(line) for line in boxes["squared_cost backward"].lines] == ["dA[2] = Z[2] − Y"]
    assert not any(name in boxes for name in ("Y backward", "dA2", "dA2 backward"))


@pytest.mark.parametrize("view", ["blocks", "network", "cache", "ops"])
@pytest.mark.parametrize("name", ["adam", "whole", "fitted", "neuron", "model"])
def test_each_is_drawn_in_each_view(name, view):
    trace = tracer.trace(getattr(turns, name), *getattr(turns, f"{name}_example")())
    for values in ("full", "none"):
        assert len(encode(trace.diagram(view, values=values), "svg")) > 2000


# ------------------------------------------------------------------ losses beside the loss


def noted_costs(X, Y, turns_):
    P = turns.initialize(3, 4, 2)
    costs = []
    for _ in range(turns_):
        cost, grads = one_pass(X, Y, P)
        costs.append(cost)
        P = turns.update(P, grads, 0.1)
    return P, costs


def forward(X, P):
    A1, first = turns.affine_forward(X, P["W1"], P["b1"])
    A2, second = turns.affine_forward(A1, P["W2"], P["b2"])
    return A2, (first, second)


def backward(A2, Y, caches):
    dA1, dW2, db2 = turns.affine_backward(A2 - Y, caches[1])
    _, dW1, db1 = turns.affine_backward(dA1, caches[0])
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


def one_pass(X, Y, P):
    A2, caches = forward(X, P)
    return turns.squared_cost(A2, Y), backward(A2, Y, caches)


def validated(X, Y, turns_):
    P = turns.initialize(3, 4, 2)
    for _ in range(turns_):
        A2, caches = forward(X[:, :4], P)
        cost = turns.squared_cost(A2, Y[:, :4])
        held, _ = forward(X[:, 4:], P)
        other = turns.squared_cost(held, Y[:, 4:])
        P = turns.update(P, backward(A2, Y[:, :4], caches), 0.1)
        print(cost, other)
    return P


@pytest.mark.parametrize("function", [noted_costs, validated])
@pytest.mark.parametrize("count", [1, 3])
def test_a_pass_is_held_against_its_own_loss(function, count):
    X, Y, _ = turns.model_example()
    found = tracer.check(tracer.trace(function, X, Y, count))
    assert found.ok and not found.faults, str(found)
    assert [
        o for b in found.blocks if b.backward == "backward" for o in b.outputs if o.verdict.right
    ]


def critic_and_generator(X, z):
    G, D = np.random.RandomState(1).randn(2, 3) * 0.1, np.random.RandomState(2).randn(3) * 0.1
    f = z @ G
    real, fake = 1 / (1 + np.exp(-X @ D)), 1 / (1 + np.exp(-f @ D))
    loss_critic = -np.mean(np.log(real)) - np.mean(np.log(1 - fake))
    dD = X.T @ (real - 1) / len(X) + f.T @ fake / len(X)
    D = D - 0.1 * dD
    f = z @ G
    fake = 1 / (1 + np.exp(-f @ D))
    loss_generator = -np.mean(np.log(fake))
    dG = z.T @ np.outer((fake - 1) / len(z), D)
    G = G - 0.1 * dG
    return loss_critic, loss_generator


def test_each_of_two_losses_has_its_gradients():
    draw = np.random.RandomState(5).randn
    found = tracer.check(tracer.trace(critic_and_generator, draw(6, 3), draw(6, 2)))
    assert found.ok and not found.faults, str(found)
    rights = {o.name for b in found.blocks for o in b.outputs if o.verdict.right}
    assert {"dD", "dG"} <= rights, str(found)


def bounded(X, Y, W, most):
    e = X @ W - Y
    loss = np.sum(e**2) / 2
    dW = X.T @ e
    norm = np.sqrt(np.sum(dW**2))
    if norm > most:
        dW = dW * most / norm
    W = W - 0.1 * dW
    return loss


@pytest.mark.parametrize("most", [1e-3, 1e9])
def test_a_gradient_may_be_bounded_by_its_norm(most):
    draw = np.random.RandomState(6).randn
    found = tracer.check(tracer.trace(bounded, draw(5, 3), draw(5, 2), draw(3, 2), most))
    assert found.ok and not found.faults, str(found)
    assert [o.name for b in found.blocks for o in b.outputs if o.verdict.right] == ["dW"]
