"""The process that Graphviz runs in: DOT on standard input, a picture on standard output.

Graphviz ends the whole process on some graphs that are valid, so it is given a process of its own.
It is started as `python -S worker.py FOLDER FORMAT PROGRAM`, FOLDER being that of pygraphviz, and
imports nothing of tracenet and nothing of pygraphviz but its thin layer over the libraries: that
halves the time it takes to start. Exit codes: 3, the libraries could not be loaded; 4, Graphviz
refused the graph; what there is to say is on standard error.
"""

from __future__ import annotations

import os
import sys
import tempfile
import types
from typing import Any

NOT_LOADED, REFUSED = 3, 4


def load(folder: str) -> Any:
    """The functions of Graphviz, without the rest of pygraphviz."""
    beside = os.path.join(os.path.dirname(folder), "pygraphviz.libs")
    if hasattr(os, "add_dll_directory") and os.path.isdir(beside):
        os.add_dll_directory(beside)
    package = types.ModuleType("pygraphviz")
    package.__path__ = [folder]
    sys.modules["pygraphviz"] = package
    import pygraphviz.graphviz as graphviz

    if not hasattr(graphviz, "gvContextWithBuiltins"):
        raise ImportError("pygraphviz is older than 2.0")
    return graphviz


def drawn(graphviz: Any, dot: bytes, format: str, program: str) -> bytes:
    """What Graphviz makes of DOT. Raises ValueError where it refuses."""
    with tempfile.TemporaryFile() as file:
        file.write(dot)
        file.seek(0)
        graph = graphviz.agread(file, None)
    context = graphviz.gvContextWithBuiltins()
    if graphviz.gvLayout(context, graph, program.encode()):
        raise ValueError(f"no layout by {program!r}")
    made = graphviz.gvRenderData(context, graph, format.encode())
    if not isinstance(made, (list, tuple)) or made[0]:  # a bare number where it failed
        raise ValueError(f"no output as {format!r}")
    return made[1] if isinstance(made[1], bytes) else made[1].encode("utf-8", "surrogateescape")


def main() -> int:
    folder, format, program = sys.argv[1:]
    try:
        graphviz = load(folder)
    except (ImportError, OSError) as error:
        sys.stderr.write(" ".join(str(error).split()))
        return NOT_LOADED
    try:
        data = drawn(graphviz, sys.stdin.buffer.read(), format, program)
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"\nError: {error}")
        return REFUSED
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
    os._exit(0)  # nothing to put in order: the process ends here


if __name__ == "__main__":
    sys.exit(main())
