"""What a check costs: times the traced run that it checks.

    python benchmarks/check.py

The course network of tests/networks, and the same with layers of 64 to 256 units and 256 examples.
Medians of interleaved rounds in one process; then of whole processes, as a user waits for them:
Python that runs the network, and `tracenet check` of it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.networks import course
from tracenet import tracer

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15


def wide() -> tuple[Any, ...]:
    """The course network as it would be trained: 256 examples, layers of 256, 128, 64 and 1."""
    rng = np.random.RandomState(0)
    sizes = [256, 128, 64, 1]
    parameters = {}
    for l in range(1, len(sizes)):
        parameters[f"W{l}"] = rng.randn(sizes[l], sizes[l - 1]) / np.sqrt(sizes[l - 1])
        parameters[f"b{l}"] = np.zeros((sizes[l], 1))
    return rng.randn(256, 256), (rng.rand(1, 256) > 0.5) * 1.0, parameters


def seconds(action: Any) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    """Prints milliseconds and ratios."""
    print(f"{'network':10} {'plain':>9} {'traced':>9} {'checked':>9}  checked/traced")
    for name, args in (("small", course.course_net_example()), ("wide", wide())):
        rows = [measured(args) for _ in range(ROUNDS)]
        plain, traced, checked = (1e3 * statistics.median(column) for column in zip(*rows))
        print(f"{name:10} {plain:7.2f}ms {traced:7.2f}ms {checked:7.2f}ms  {checked / traced:.1f}")
    python, command = (statistics.median(column) for column in zip(*map(processes, range(ROUNDS))))
    print(
        f"whole processes: python {python * 1e3:.0f}ms, tracenet check {command * 1e3:.0f}ms, ",
        end="",
    )
    print(f"{command / python:.1f} times that")


CALL = "course.course_net(*course.course_net_example())"


def processes(_: int) -> tuple[float, float]:
    """One round: Python that runs the network, and the command that checks it."""
    plain = [sys.executable, "-c", f"from tests.networks import course; {CALL}"]
    call = CALL.replace("course.", "")
    check = [sys.executable, "-m", "tracenet", "check", "tests/networks/course.py", "--call", call]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def run(command: list[str]) -> float:
        return seconds(
            lambda: subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
        )

    return run(plain), run(check)


def measured(args: tuple[Any, ...]) -> tuple[float, float, float]:
    """One round: the plain run, the traced run, and the traced run with its check."""
    plain = seconds(lambda: course.course_net(*args))
    made: list[Any] = []
    traced = seconds(lambda: made.append(tracer.trace(course.course_net, *args)))
    return plain, traced, traced + seconds(lambda: tracer.check(made[0]))


if __name__ == "__main__":
    main()
