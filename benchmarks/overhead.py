"""What recording and replaying costs beside plain NumPy, and beside HIPS autograd, in one process.

    python benchmarks/overhead.py            # needs `pip install autograd` for the last column

Each figure is the median over paired rounds of (tracenet or autograd) / (hand-written NumPy),
forward and backward, of the same network on the same data. "in a trace" is a pass among many that
one trace records and replays; "one trace each" enters and leaves a trace for every single pass,
which costs a fixed time however small the network is. Ratios hold better than times.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy

from tracenet import numpy as np
from tracenet import tracer

try:
    import autograd
    import autograd.numpy as anp
except ImportError:  # the column stays empty
    autograd = None

NETWORKS = [
    ("2-3-1, batch 4", [2, 3, 1], 4, 2000),
    ("784-128-64-10, batch 64", [784, 128, 64, 10], 64, 60),
]
ROUNDS = 15


def parameters_of(sizes: list[int]) -> dict[str, numpy.ndarray]:
    rng = numpy.random.RandomState(0)
    made = {}
    for l in range(1, len(sizes)):
        made[f"W{l}"] = rng.randn(sizes[l], sizes[l - 1]) / numpy.sqrt(sizes[l - 1])
        made[f"b{l}"] = numpy.zeros((sizes[l], 1))
    return made


def loss_with(np):
    """The network over any NumPy: tanh layers, half the mean squared error."""

    def loss(X, Y, parameters):
        a = X
        for l in range(1, len(parameters) // 2 + 1):
            a = np.tanh(np.dot(parameters["W" + str(l)], a) + parameters["b" + str(l)])
        return 0.5 * np.sum((a - Y) ** 2) / Y.shape[1]

    return loss


def by_hand(X, Y, parameters):
    """The same, forward and backward, as a student writes it."""
    np = numpy
    L = len(parameters) // 2
    a = {0: X}
    for l in range(1, L + 1):
        a[l] = np.tanh(np.dot(parameters["W" + str(l)], a[l - 1]) + parameters["b" + str(l)])
    m = Y.shape[1]
    loss = 0.5 * np.sum((a[L] - Y) ** 2) / m
    grads = {}
    da = (a[L] - Y) / m
    for l in range(L, 0, -1):
        dz = da * (1 - a[l] ** 2)
        grads["dW" + str(l)] = np.dot(dz, a[l - 1].T)
        grads["db" + str(l)] = np.sum(dz, axis=1, keepdims=True)
        if l > 1:
            da = np.dot(parameters["W" + str(l)].T, dz)
    return loss, grads


def seconds(function: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def many(loss: Callable[..., object], passes: int) -> Callable[..., object]:
    """The sum of the losses of equal passes, for one trace that records them all."""

    def total(X, Y, parameters):
        sum_ = loss(X, Y, parameters)
        for _ in range(passes - 1):
            sum_ = sum_ + loss(X, Y, parameters)
        return sum_

    return total


def measure(sizes: list[int], batch: int, repeats: int) -> tuple[float, list[float]]:
    """Seconds of a pass by hand, and the ratios: in a trace, one trace each, autograd."""
    rng = numpy.random.RandomState(1)
    X, Y = rng.randn(sizes[0], batch), rng.randn(sizes[-1], batch)
    parameters = parameters_of(sizes)
    traced_loss = loss_with(np)
    passes = max(2, repeats // 40)
    total = many(traced_loss, passes)

    plain = lambda: by_hand(X, Y, parameters)
    one = lambda: tracer.trace(traced_loss, tracer.input(X), Y, parameters).backward()
    more = lambda: tracer.trace(total, tracer.input(X), Y, parameters).backward()
    check = one()
    loss, grads = plain()
    assert check.result == loss
    assert all(numpy.allclose(check.gradient(k[1:]), g) for k, g in grads.items())
    contenders = [(more, passes), (one, 1)]
    if autograd is not None:
        gradient = autograd.value_and_grad(loss_with(anp), 2)
        contenders.append((lambda: gradient(X, Y, parameters), 1))
    ratios: list[list[float]] = [[] for _ in contenders]
    times = []
    for _ in range(ROUNDS):
        for i, (contender, count) in enumerate(contenders):
            base = seconds(plain, repeats)
            times.append(base)
            ratios[i].append(seconds(contender, max(1, repeats // count)) / count / base)
    return statistics.median(times), [statistics.median(r) for r in ratios]


def main() -> None:
    heads = ("by hand", "in a trace", "one trace each", "autograd")
    print(f"{'forward and backward':26}" + "".join(f"{head:>16}" for head in heads))
    for name, sizes, batch, repeats in NETWORKS:
        plain, ratios = measure(sizes, batch, repeats)
        shown = "".join(f"{ratio:15.2f}x" for ratio in ratios)
        print(f"{name:26}{plain * 1e6:13.1f} µs{shown}")


if __name__ == "__main__":
    main()
