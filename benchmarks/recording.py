"""How recording grows: a million operations, elements written one by one, unmodified code.

    python benchmarks/recording.py

Times are the least of three; they are given for each operation at several lengths, so that what is
linear shows as a column of equal numbers. Bytes are counted by `tracemalloc`, in a run of its own.
The last two lines are of a course's code as it stands: many functions, and a backward of its own. What
it takes in a trace is given over what it takes by itself, with a block for each call and a note of
what each call was given.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.networks import course
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


def of_a_course(sizes: list[int], batch: int, repeats: int) -> None:
    """Forward and backward functions as a course has them, by themselves and recorded."""
    rng = numpy.random.RandomState(1)
    X, Y = rng.randn(sizes[0], batch), (rng.rand(sizes[-1], batch) > 0.5) * 1.0
    parameters = {}
    for l in range(1, len(sizes)):
        parameters[f"W{l}"] = rng.randn(sizes[l], sizes[l - 1]) / numpy.sqrt(sizes[l - 1])
        parameters[f"b{l}"] = numpy.zeros((sizes[l], 1))

    def plain() -> None:
        for _ in range(repeats):
            course.course_net(X, Y, parameters)

    def traced() -> None:
        for _ in range(repeats):
            tracer.trace(course.course_net, X, Y, parameters)

    pairs = [(least(plain), least(traced)) for _ in range(7)]
    ratio = statistics.median(second / first for first, second in pairs)
    print(
        f"a course's code, {'-'.join(map(str, sizes))}, batch {batch}: "
        f"{pairs[0][0] / repeats * 1e6:.0f} µs by itself, recorded in {ratio:.2f} times that"
    )


def main() -> None:
    growth("a chain", chain, (10_000, 100_000, 1_000_000), 1)
    bytes_of_an_op()
    growth("elements written one by one", written, (10_000, 100_000), 2)
    unmodified()
    of_a_course([4, 3, 2, 1], 6, 500)
    of_a_course([784, 128, 64, 10], 64, 20)


if __name__ == "__main__":
    main()
