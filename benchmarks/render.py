"""What `tracenet render` takes for each example, start-up included, as whole processes.

python benchmarks/render.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
CALLS = {"course_network": ["--call", "iteration(X, Y, parameters, 0.5)"]}
RUNS = 7


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for example in sorted(EXAMPLES.glob("*.py")):
            command = [sys.executable, "-m", "tracenet", "render", str(example)]
            command += [*CALLS.get(example.stem, []), "-o", "picture.svg"]
            times = []
            for _ in range(RUNS + 1):
                start = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                times.append(time.perf_counter() - start)
            print(f"{example.stem:16} {statistics.median(times[1:]):.2f} s (median of {RUNS})")


if __name__ == "__main__":
    main()
