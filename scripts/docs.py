"""Draws the pictures in docs/ from the examples; with --check, says which are out of date.

Those of the gallery, which `gallery` draws, are among them.

python scripts/docs.py [--check]
"""

from __future__ import annotations

import re
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

import gallery

from tracenet import tracer

ROOT = Path(__file__).parent.parent
PICTURES: dict[str, Any] = {
    "docs/mono.svg": (
        "examples/wrong_gradient.py",
        {"check": True, "values": "shapes", "theme": "mono", "ground": "both"},
        "iteration(x, y, parameters)",
    ),
    "docs/mazur.svg": ("examples/mazur.py", {}),
    "docs/deep_network.svg": ("examples/deep_network.py", {}),
    "docs/circuit.svg": ("examples/circuit.py", {"view": "circuit", "digits": 2}),
    "docs/wrong_gradient.svg": (
        "examples/wrong_gradient.py",
        {"check": True, "values": "shapes"},
        "iteration(x, y, parameters)",
    ),
}


def skeleton(svg: str) -> list[str]:
    """What must not differ: the elements and the text; positions depend on fonts and Graphviz."""
    return re.findall(r'class="[^"]*"|>[^<]+<', svg)


def main() -> int:
    checking = "--check" in sys.argv
    stale = []
    for target, (example, options, *call) in PICTURES.items():
        if call:
            trace = tracer.trace_call(tracer.load(ROOT / example), call[0], noting=True)
        else:
            trace = runpy.run_path(str(ROOT / example))["trace"]
        if not checking:
            print(trace.render(ROOT / target, **options))
            continue
        with tempfile.TemporaryDirectory() as folder:
            fresh = trace.render(Path(folder) / "fresh.svg", **options).read_text()
        kept = ROOT / target
        if not kept.exists() or skeleton(kept.read_text()) != skeleton(fresh):
            stale.append(target)
    if stale:
        print("out of date, run python scripts/docs.py:", ", ".join(stale))
    return gallery.main() or bool(stale)


if __name__ == "__main__":
    sys.exit(main())
