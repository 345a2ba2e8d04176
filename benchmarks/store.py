"""What it takes to save a long trace, to load it, and to write it as JSON and DOT.

    python benchmarks/store.py

Traces of 10,000 and of 100,000 operations, forward and backward, each step in a new process. The
last column is the time of one operation in the long trace over that in the short one: 1 is linear.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy

import tracenet
from tracenet import Trace, tracer
from tracenet import numpy as np
from tracenet.render import encode

COUNTS = (10_000, 100_000)
STEPS = ("records", "save", "load", "ops as json", "ops as dot", "blocks as json")


def network(x, W, b, steps):
    """A recurrent network; both of its passes together are ten operations a step."""
    for _ in range(steps):
        z = W @ x + b
        a = np.tanh(z)
        x = a
    return np.sum(x)


def traced(count: int) -> Trace:
    """A trace of about so many operations, of which the records are not yet made."""
    rng = numpy.random.RandomState(0)
    W, b = rng.randn(8, 8) / 8, rng.randn(8, 1)
    return tracer.trace(network, rng.randn(8, 4), W, b, count // 8).backward()


def work(step: str, count: int, path: Path) -> Callable[[], object]:
    """What is measured of a step, after what it needs."""
    if step == "load":
        return lambda: tracenet.load_trace(path)
    trace = traced(count)
    if step == "records":
        return lambda: trace.ops
    assert len(trace.ops) > count * 0.95
    if step == "save":
        return lambda: trace.save(path)
    view, _, format = step.partition(" as ")
    return lambda: encode(trace.diagram(view, values="shapes"), format)


def main() -> None:
    print(f"{'':16}" + "".join(f"{count:>14,}" for count in COUNTS) + f"{'per op':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            times = [_seconds(step, count, Path(folder) / f"{count}.trace") for count in COUNTS]
            ratio = times[1] / times[0] * COUNTS[0] / COUNTS[1]
            print(f"{step:16}" + "".join(f"{t:12.2f} s" for t in times) + f"{ratio:9.2f}x")
        sizes = [(Path(folder) / f"{count}.trace").stat().st_size for count in COUNTS]
    ratio = sizes[1] / sizes[0] * COUNTS[0] / COUNTS[1]
    print(f"{'size':16}" + "".join(f"{s / 1e6:11.2f} MB" for s in sizes) + f"{ratio:9.2f}x")


def _seconds(step: str, count: int, path: Path) -> float:
    """The seconds of a step, in a process of its own: nothing of another is in its way."""
    command = [sys.executable, __file__, step, str(count), str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        measured = work(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
        start = time.perf_counter()
        measured()
        print(time.perf_counter() - start)
    else:
        main()
