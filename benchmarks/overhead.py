"""What recording and replaying costs beside plain NumPy, and beside HIPS autograd, in one process.

    python benchmarks/overhead.py            # needs `pip install autograd` for the second column

Each figure is a median over paired rounds of (tracenet or autograd) / (hand-written NumPy), forward
and backward, of the same network on the same data. Ratios hold better than times.
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


def measure(sizes: list[int], batch: int, repeats: int) -> tuple[float, float, float]:
    """Seconds of plain NumPy, and the ratios of tracenet and autograd to it."""
    rng = numpy.random.RandomState(1)
    X, Y = rng.randn(sizes[0], batch), rng.randn(sizes[-1], batch)
    parameters = parameters_of(sizes)
    traced_loss = loss_with(np)

    def with_tracenet():
        return tracer.trace(traced_loss, X, Y, parameters).backward()

    plain = lambda: by_hand(X, Y, parameters)
    check = with_tracenet()
    loss, grads = plain()
    assert check.result == loss
    assert all(numpy.allclose(check.gradient(k[1:]), g) for k, g in grads.items())
    contenders = [with_tracenet]
    if autograd is not None:
        gradient = autograd.value_and_grad(loss_with(anp), 2)
        contenders.append(lambda: gradient(X, Y, parameters))
    ratios: list[list[float]] = [[] for _ in contenders]
    times = []
    for _ in range(ROUNDS):
        for i, contender in enumerate(contenders):
            base = seconds(plain, repeats)
            times.append(base)
            ratios[i].append(seconds(contender, repeats) / base)
    medians = [statistics.median(r) for r in ratios] + [float("nan")]
    return statistics.median(times), medians[0], medians[1]


def main() -> None:
    print(f"{'forward and backward':26} {'NumPy by hand':>14} {'tracenet':>10} {'autograd':>10}")
    for name, sizes, batch, repeats in NETWORKS:
        plain, ours, theirs = measure(sizes, batch, repeats)
        print(f"{name:26} {plain * 1e6:11.1f} µs {ours:9.2f}x {theirs:9.2f}x")


if __name__ == "__main__":
    main()
