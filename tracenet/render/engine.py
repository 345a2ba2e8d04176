"""Graphviz: it reads DOT and gives back positions, or a finished PDF.

Graphviz is loaded into this process through pygraphviz, whose wheels carry it; where that cannot
be, the program `dot` is run. It is found out when it is first needed, as loading takes time, and
what went wrong is said in one line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import EngineError, unknown
from .fonts import config_file

CHOICE = "TRACENET_ENGINE"
TIMEOUT = 60
"""Seconds that the program may take."""

INSTALL = (
    "install the system's X11 and glib libraries (Debian: apt-get install libx11-6 libxext6"
    " libxrender1 libglib2.0-0) or Graphviz itself (apt-get install graphviz), or write .dot or"
    " .json, which need neither"
)

_one_at_a_time = threading.Lock()  # Graphviz keeps its state in global variables


def layout(dot: str, format: str, program: str = "dot") -> bytes:
    """What Graphviz makes of DOT text, in one of its formats (`json`, `pdf`, …).

    Raises EngineError if no Graphviz can be loaded, or if it refuses the text. The environment
    variable TRACENET_ENGINE (pygraphviz, dot, none) forces a way.
    """
    return _engine()(dot, format, program)


Engine = Callable[[str, str, str], bytes]


def _engine() -> Engine:
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", "pygraphviz", "dot", "none"):
        raise unknown(CHOICE, choice, ("pygraphviz", "dot", "none"))
    why = "TRACENET_ENGINE=none" if choice == "none" else ""
    if choice in ("", "pygraphviz"):
        why = _load_failure()
        if not why:
            return _in_process
    if choice in ("", "dot"):
        if shutil.which("dot"):
            return _as_program
        why = why or "no program dot on PATH"
    raise EngineError(f"no Graphviz could be loaded ({why}): {INSTALL}")


# ---------------------------------------------------------------------- in process


def _load_failure() -> str:
    """Loads pygraphviz; why it could not, in one line, or ""."""
    try:
        with _our_fonts():
            import pygraphviz.graphviz
    except (ImportError, OSError) as error:
        return " ".join(str(error).split())
    if not hasattr(pygraphviz.graphviz, "gvContextWithBuiltins"):
        return "pygraphviz is older than 2.0"
    return ""


def _in_process(dot: str, format: str, program: str) -> bytes:
    with _one_at_a_time, _our_fonts(), _muted() as said:
        try:
            data = _rendered(dot, format, program)
        except (ValueError, RuntimeError, OSError) as error:
            raise EngineError(_refusal(said(), str(error))) from None
        if "syntax error" in said():  # in a label, which it then draws as the node's name
            raise EngineError(_refusal(said(), ""))
    return data


def _rendered(dot: str, format: str, program: str) -> bytes:
    from pygraphviz import graphviz as gv

    with tempfile.TemporaryFile() as file:
        file.write(dot.encode("utf-8"))
        file.seek(0)
        graph = gv.agread(file, None)
    context = gv.gvContextWithBuiltins()
    try:
        if gv.gvLayout(context, graph, program.encode()):
            raise ValueError(f"no layout by {program!r}")
        try:
            made = gv.gvRenderData(context, graph, format.encode())
        finally:
            gv.gvFreeLayout(context, graph)
    finally:
        gv.agclose(graph)
        gv.gvFreeContext(context)
    if not isinstance(made, (list, tuple)) or made[0]:  # a bare number where it failed
        raise ValueError(f"no output as {format!r}")
    return made[1] if isinstance(made[1], bytes) else made[1].encode("utf-8", "surrogateescape")


@contextmanager
def _our_fonts() -> Iterator[None]:
    """Points fontconfig to our fonts, unless the user has pointed it elsewhere."""
    file = config_file()
    if os.environ.get("FONTCONFIG_FILE") or not file:
        yield
        return
    os.environ["FONTCONFIG_FILE"] = file
    try:
        yield
    finally:
        os.environ.pop("FONTCONFIG_FILE", None)


@contextmanager
def _muted() -> Iterator[Callable[[], str]]:
    """Catches what C code writes to standard error; the value reads it."""
    with tempfile.TemporaryFile() as caught:

        def said() -> str:
            caught.seek(0)
            return caught.read().decode("utf-8", "replace")

        saved = _divert(caught)
        try:
            yield said
        finally:
            if saved is not None:
                os.dup2(saved, 2)
                os.close(saved)


def _divert(file: Any) -> int | None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all, as under pythonw
        return None
    os.dup2(file.fileno(), 2)
    return saved


# ---------------------------------------------------------------------- as a program


def _as_program(dot: str, format: str, program: str) -> bytes:
    command = [shutil.which("dot") or "dot", f"-K{program}", f"-T{format}"]
    with _our_fonts():
        environment = dict(os.environ)
    try:
        done = subprocess.run(
            command,
            input=dot.encode("utf-8"),
            capture_output=True,
            timeout=TIMEOUT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"Graphviz took more than {TIMEOUT} s: draw less of it") from None
    except OSError as error:
        raise EngineError(f"no Graphviz could be loaded ({error}): {INSTALL}") from None
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace")
        raise EngineError(_refusal(said, f"it ended with {done.returncode}"))
    return done.stdout


def _refusal(said: str, otherwise: str) -> str:
    errors = [line for line in said.splitlines() if line.startswith(("Error", "dot:"))]
    return "Graphviz refused the graph: " + (errors[0] if errors else otherwise)
