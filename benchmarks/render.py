"""What `tracenet render` takes for each example, start-up included, as whole processes; then what
a deep network takes to be drawn as SVG, in this process.

python benchmarks/render.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tracenet import Trace, tracer
from tracenet.render import encode

EXAMPLES = Path(__file__).parent.parent / "examples"
CALLS = {  # what is run of the examples that draw nothing by themselves
    "circuits": "switch(3.0, -4.0, 2.0, -1.0)",
    "cnn": "step(X, y, parameters, 0.1)",
    "course_network": "iteration(X, Y, parameters, 0.5)",
    "lstm": "step(x, h_prev, c_prev, target, parameters)",
    "resnet": "loss(X, Y, parameters)",
    "rnn": "loss(inputs, targets, h0, parameters)",
    "transformer": "loss(x, target, parameters)",
    "wrong_gradient": "iteration(x, y, parameters)",
}
RUNS = 7


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for example in sorted(EXAMPLES.glob("*.py")):
            command = [sys.executable, "-m", "tracenet", "render", str(example)]
            call = CALLS.get(example.stem)
            command += [*(["--call", call] if call else []), "-o", "picture.svg"]
            times = []
            for _ in range(RUNS + 1):
                start = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                times.append(time.perf_counter() - start)
            print(f"{example.stem:16} {statistics.median(times[1:]):.2f} s (median of {RUNS})")
    for count in (10, 100, 300):
        start = time.perf_counter()
        encode(deep(count).diagram(values="shapes"), "svg")
        print(f"{count:4} layers      {time.perf_counter() - start:.2f} s")


def deep(count: int) -> Trace:
    """A chain of equal layers, forward and backward."""

    def layer(a, W):
        return np.tanh(W @ a)

    def loss(x, weights):
        for W in weights:
            x = layer(x, W)
        return np.sum(x**2)

    weights = [np.full((3, 3), 0.1) for _ in range(count)]
    return tracer.trace(loss, np.ones((3, 1)), weights).backward()


if __name__ == "__main__":
    main()
