"""The most memory that a pass takes, forward and backward, beside the same written by hand.

    pip install -e '.[bench]'            # HIPS autograd, MyGrad, torch; each may be missing
    python benchmarks/memory.py          # `--time` for the time of the large network instead

Each figure is the most that a process of its own had resident, Python and NumPy and the weights
with it, over that of the process that runs the code by hand, which keeps the output of each layer
and no more. `full` is what tracenet keeps as usual: every value. `summary` and `shapes` are
`tracer.keeping`. Weights outweigh all else in the first network, activations in the second.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

from overhead import LARGE, LARGE_BATCH, PEERS, dense

from tracenet import numpy as np
from tracenet import tracer

ROWS = {
    "8 layers of 4096, batch 256": (LARGE, LARGE_BATCH),
    "24 layers of 512, batch 8192": ([512] * 25, 8192),
}
MODES = ("full", "summary", "shapes")
ROUNDS = 5


def run(how: str, data: tuple[Any, ...]) -> Any:
    """One pass; what it returns holds what it kept."""
    loss, by_hand, X, Y, parameters = data
    if how == "by hand":
        return by_hand(X, Y, parameters)
    if how in MODES:
        with tracer.keeping(how):
            return tracer.trace(loss(np), tracer.input(X), Y, parameters).backward()
    return PEERS[how](loss, X, Y, parameters)()


def peak(row: str, how: str) -> int:
    """The kilobytes that a process of its own had at its highest."""
    command = [sys.executable, __file__, row, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(how: str, data: tuple[Any, ...]) -> float:
    start = time.perf_counter()
    run(how, data)
    return time.perf_counter() - start


def times() -> None:
    """The large network by the clock: pairs in one process, the median of their ratios."""
    data = dense(*ROWS["8 layers of 4096, batch 256"], "float32")
    ratios: dict[str, list[float]] = {how: [] for how in MODES}
    for _ in range(ROUNDS):
        for how, found in ratios.items():
            before = seconds("by hand", data)
            found.append(seconds(how, data) / before)
    for how, found in ratios.items():
        print(
            f"{how}: {statistics.median(found):.3f} times by hand ({min(found):.3f} to {max(found):.3f})"
        )


def main() -> None:
    if sys.argv[1:] == ["--time"]:
        return times()
    if len(sys.argv) == 3:
        run(sys.argv[2], dense(*ROWS[sys.argv[1]], "float32"))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return None
    others = [name for name in PEERS if find_spec(name) is not None]
    print(f"{'':30}{'by hand':>12}" + "".join(f"{how:>10}" for how in (*MODES, *others)))
    for row in ROWS:
        base = peak(row, "by hand")
        print(f"{row:30}{base / 1024:9.0f} MB", end="", flush=True)
        for how in (*MODES, *others):
            print(f"{peak(row, how) / base:10.2f}", end="", flush=True)
        print()
    return None


if __name__ == "__main__":
    main()
