"""What recording and replaying costs beside hand-written NumPy, and what the peers cost.

    pip install -e '.[bench]'               # HIPS autograd, MyGrad, torch; each may be missing
    python benchmarks/overhead.py           # the small rows; `--large` for 8 layers of 4096
    python benchmarks/overhead.py --large

Each figure is a ratio to NumPy by hand, forward and backward, of the same network on the same data:
the median of paired rounds in one process, and the range of the middle half of them. "in a trace"
is a pass among many that one trace records and replays; "one trace each" enters and leaves a trace
for every pass, which costs a fixed time however small the network is. A trace of many passes gives
the sums of their gradients, so the code by hand that it is compared with adds them up too. Everything computes with one
thread: on a machine that others use too, threads of BLAS that wait for each other measure nothing.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import networks
import numpy

from tracenet import numpy as np
from tracenet import tracer

ROUNDS = 15
SLOW = 50  # times as slow: three rounds say enough
LARGE, LARGE_BATCH = [4096] * 9, 256

Run = Callable[[], Any]


def dense(sizes: list[int], batch: int, dtype: str = "float64") -> tuple[Any, ...]:
    rng = numpy.random.RandomState(1)
    X, Y = rng.randn(sizes[0], batch).astype(dtype), rng.randn(sizes[-1], batch).astype(dtype)
    parameters = networks.dense_parameters(sizes, dtype)
    return networks.dense_loss, networks.dense_by_hand, X, Y, parameters


def transformer() -> tuple[Any, ...]:
    rng = numpy.random.RandomState(1)
    X, Y = rng.randn(8, 32, networks.WIDTH), rng.randn(8, 32, networks.WIDTH)
    return networks.block_loss, networks.block_by_hand, X, Y, networks.block_parameters()


ROWS = {  # name: (network, passes of one measurement, passes in one trace)
    "2-3-1, batch 4": (lambda: dense([2, 3, 1], 4), 2000, 50),
    "784-128-64-10, batch 64": (lambda: dense([784, 128, 64, 10], 64), 40, 2),
    "1000 layers of 16 by 16, batch 8": (lambda: dense([16] * 1001, 8), 3, 2),
    "transformer block, 8 by 32 by 64": (transformer, 20, 2),
}

# ---------------------------------------------------------------------- who takes part


def traced(loss: Any, X: Any, Y: Any, parameters: Any) -> tuple[Run, Callable[[], Any]]:
    function = loss(np)
    run = lambda: tracer.trace(function, tracer.input(X), Y, parameters).backward()
    return run, lambda: (lambda t: (t.result, {k: t.gradient(k) for k in parameters}))(run())


def many(loss: Any, passes: int, X: Any, Y: Any, parameters: Any) -> Run:
    """One trace of the sum of the losses of equal passes."""
    function = loss(np)

    def total(X, Y, parameters):
        sum_ = function(X, Y, parameters)
        for _ in range(passes - 1):
            sum_ = sum_ + function(X, Y, parameters)
        return sum_

    return lambda: tracer.trace(total, tracer.input(X), Y, parameters).backward()


def added_up(by_hand: Any, passes: int, data: Any) -> Run:
    """The same by hand: so many passes, their losses and gradients added up."""

    def run():
        loss, grads = by_hand(*data)
        for _ in range(passes - 1):
            more, new = by_hand(*data)
            loss += more
            for name, gradient in new.items():
                grads[name] += gradient
        return loss, grads

    return run


def by_hips(loss: Any, X: Any, Y: Any, parameters: Any) -> Run:
    import autograd
    import autograd.numpy

    gradient = autograd.value_and_grad(loss(autograd.numpy), 2)
    return lambda: gradient(X, Y, parameters)


def by_mygrad(loss: Any, X: Any, Y: Any, parameters: Any) -> Run:
    import mygrad

    function = loss(mygrad)

    def run():
        tensors = {k: mygrad.tensor(v, copy=False) for k, v in parameters.items()}
        result = function(X, Y, tensors)
        result.backward()
        return result.item(), {k: t.grad for k, t in tensors.items()}

    return run


def by_torch(loss: Any, X: Any, Y: Any, parameters: Any) -> Run:
    import torch

    torch.set_num_threads(1)
    function = loss(torch)
    X, Y = torch.from_numpy(X), torch.from_numpy(Y)
    leaves = {k: torch.from_numpy(v).requires_grad_() for k, v in parameters.items()}

    def run():
        for leaf in leaves.values():
            leaf.grad = None
        result = function(X, Y, leaves)
        result.backward()
        return result.item(), {k: t.grad.numpy() for k, t in leaves.items()}

    return run


PEERS = {"autograd": by_hips, "mygrad": by_mygrad, "torch": by_torch}

# ---------------------------------------------------------------------- measuring


def seconds(function: Run, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def contenders(network: tuple[Any, ...], passes: int) -> dict[str, tuple[Run, int]]:
    """What is measured, with how many passes one call of it makes; each is checked first."""
    loss, by_hand, *data = network
    expected, grads = by_hand(*data)
    one, answer = traced(loss, *data)
    checks = {"one trace each": answer}
    found = {"in a trace": (many(loss, passes, *data), passes), "one trace each": (one, 1)}
    for name, make in PEERS.items():
        if find_spec(name) is not None:
            checks[name] = make(loss, *data)
            found[name] = (checks[name], 1)
    for name, check in checks.items():
        result, got = check()
        assert numpy.allclose(result, expected), name
        assert all(numpy.allclose(got[k], g, atol=1e-5) for k, g in grads.items()), name
    return found


def measure(network: tuple[Any, ...], repeats: int, passes: int, rounds: int) -> None:
    _, by_hand, *data = network
    plain, summed = lambda: by_hand(*data), added_up(by_hand, passes, data)
    running = contenders(network, passes)
    ratios: dict[str, list[float]] = {name: [] for name in running}
    times = []
    for _ in range(rounds):
        for name, (run, count) in running.items():
            if len(ratios[name]) == 3 and min(ratios[name]) > SLOW:
                continue
            calls = max(1, repeats // count)
            base = seconds(plain if count == 1 else summed, calls)
            ratios[name].append(seconds(run, calls) / base)
            times.append(base / count)
            gc.collect()
    print(f"{statistics.median(times) * 1e6:12.0f} µs", end="")
    for name in ("in a trace", "one trace each", *PEERS):
        print(f"{_shown(ratios.get(name, [])):>23}", end="")
    print(flush=True)


def _shown(ratios: list[float]) -> str:
    if not ratios:
        return "not installed"
    if len(ratios) < 4:
        return f"{statistics.median(ratios):.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def main() -> None:
    heads = ("in a trace", "one trace each", *PEERS)
    print(f"{'forward and backward':34}{'by hand':>15}" + "".join(f"{h:>23}" for h in heads))
    if "--large" in sys.argv:
        print(f"{'8 layers of 4096, batch 256':34}", end="", flush=True)
        return measure(dense(LARGE, LARGE_BATCH, "float32"), 1, 1, 5)
    for name, (network, repeats, passes) in ROWS.items():
        print(f"{name:34}", end="", flush=True)
        measure(network(), repeats, passes, int(os.environ.get("ROUNDS", ROUNDS)))
    return None


if __name__ == "__main__":
    main()
