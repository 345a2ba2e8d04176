"""What it takes to start: the command, the import and a whole drawing, over a bare Python.

    python benchmarks/startup.py            # 41 interleaved rounds; a number after it for more

Whole processes, one of each kind in every round, and the medians of what each takes longer than the
bare Python of the same round. They run with `-S`: what the `.pth` files of an editable install do
at every start is no part of either side. Compiled modules are there, as they are after a first use.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 41

COMMANDS = {
    "bare python": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import tracenet": ["-c", "import tracenet"],
    "from tracenet import tracer": ["-c", "from tracenet import tracer"],
    "tracenet --help": ["-m", "tracenet", "--help"],
    "tracenet render mazur.py": [
        "-m", "tracenet", "render", str(ROOT / "examples" / "mazur.py"), "-o", "picture.svg",
    ],
}  # fmt: skip


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for name in COMMANDS:
            seconds(COMMANDS[name], folder)  # compiles what is not compiled yet
        for _ in range(rounds):
            for name in COMMANDS:
                times[name].append(seconds(COMMANDS[name], folder))
    base = times["bare python"]
    print(
        f"{'milliseconds':30}{'whole':>8}{'over bare python':>20}{'quarter to three quarters':>28}"
    )
    for name, found in times.items():
        over = sorted(t - b for t, b in zip(found, base))
        low, _, high = statistics.quantiles(over, n=4)
        print(
            f"{name:30}{statistics.median(found) * 1e3:8.0f}{statistics.median(over) * 1e3:20.0f}"
            f"{low * 1e3:20.0f} to {high * 1e3:.0f}"
        )


def seconds(command: list[str], folder: str) -> float:
    """How long a process of Python takes, from its start to its end."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(os.path.isdir, sys.path[1:])])
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-S", *command],
        cwd=folder, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
