"""How recording grows: a million operations, elements written one by one, unmodified code.

    python benchmarks/recording.py

Times are the least of three; they are given for each operation at several lengths, so that what is
linear shows as a column of equal numbers. Bytes are counted by `tracemalloc`, in a run of its own.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import numpy

from tracenet import tracer

COUNTED = 100_000
PAIRS = 41


def chain(x: Any, count: int) -> Any:
    for _ in range(count):
        x = x * 1.0000001
    return x


def written(x: Any, count: int) -> Any:
    """As many elements, each computed and written by itself."""
    from tracenet import numpy as np

    out = np.zeros(count)
    for i in range(count):
        out[i] = x * 0.5
    return np.sum(out)


def least(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        gc.collect()
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def growth(name: str, function: Callable[..., Any], counts: tuple[int, ...], ops: int) -> None:
    for count in counts:
        x = numpy.float64(1.0)
        record = least(lambda c=count, x=x: tracer.trace(function, x, c))
        trace = tracer.trace(function, x, count)
        replay = least(trace.backward)
        print(
            f"{name}, {count:9,}: recorded in {record / count / ops * 1e6:6.2f} µs an operation, "
            f"replayed in {replay / count / ops * 1e6:6.2f}"
        )


def bytes_of_an_op() -> None:
    """What an operation takes besides the numbers themselves, recorded and replayed."""
    tracemalloc.start()
    trace = tracer.trace(chain, numpy.float64(1.0), COUNTED)
    recorded = tracemalloc.get_traced_memory()[0]
    trace.backward()
    replayed = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    value = sys.getsizeof(numpy.float64(0))
    print(
        f"bytes of an operation besides its arrays: {recorded / COUNTED - value:.0f} recorded, "
        f"{replayed / COUNTED - 2 * value:.0f} with its mirror"
    )


PLAIN = """
import numpy as np

def layer(a, W, b):
    return np.tanh(W @ a + b)

def loss(X, weights, biases):
    a = X
    for W, b in zip(weights, biases):
        a = layer(a, W, b)
    return np.sum(a ** 2)
"""
EXPLICIT = """
from tracenet import numpy as np
from tracenet import tracer

def loss(X, weights, biases):
    a = X
    for W, b in zip(weights, biases):
        with tracer.block("layer"):
            a = np.tanh(W @ a + b)
    return np.sum(a ** 2)
"""


def unmodified() -> None:
    """A file that knows nothing of tracenet against one that names its blocks."""
    rng = numpy.random.RandomState(0)
    weights, biases = [rng.randn(16, 16) / 4 for _ in range(100)], [numpy.zeros((16, 1))] * 100
    X = rng.randn(16, 8)
    with tempfile.TemporaryDirectory() as folder:
        plain, explicit = (
            _loaded(Path(folder) / name, text)
            for name, text in (("plain.py", PLAIN), ("explicit.py", EXPLICIT))
        )
        ratios = []
        for _ in range(PAIRS):
            times = []
            for module in (plain, explicit):
                start = time.perf_counter()
                tracer.trace(module.loss, X, weights, biases).backward()
                times.append(time.perf_counter() - start)
            ratios.append(times[0] / times[1])
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"unmodified code over explicit blocks: {middle:.2f} ({low:.2f} to {high:.2f})")


def _loaded(path: Path, text: str) -> Any:
    path.write_text(text)
    return tracer.load(path)


def main() -> None:
    growth("a chain", chain, (10_000, 100_000, 1_000_000), 1)
    bytes_of_an_op()
    growth("elements written one by one", written, (10_000, 100_000), 2)
    unmodified()


if __name__ == "__main__":
    main()
