"""Graphviz: it reads DOT and gives back positions.

pygraphviz's wheels carry Graphviz; it is run in a process of its own (see `worker`), since it ends
the process on some graphs. Where its libraries cannot be loaded, or gave up, the program `dot` is
run; where there is none, what went wrong is said in one line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import EngineError, unknown
from . import worker
from .fonts import config_file

CHOICE = "TRACENET_ENGINE"
CHOICES = ("", "pygraphviz", "dot", "none")
TIMEOUT = 10
"""Seconds that Graphviz may take."""

INSTALL = (
    "install the system's X11 and glib libraries (Debian: apt-get install libx11-6 libxext6"
    " libxrender1 libglib2.0-0) or Graphviz itself (apt-get install graphviz), or leave"
    " TRACENET_ENGINE unset: tracenet then places every picture itself"
)


class GaveUp(EngineError):
    """There is no answer from Graphviz: the graph is valid, and it could not place it in time."""


class Crash(GaveUp):
    """Graphviz ended without an answer."""


class Slow(GaveUp):
    """Graphviz was stopped."""


class NotLoaded(EngineError):
    """The libraries that pygraphviz carries could not be loaded; the message says why."""


def layout(dot: str, format: str, program: str = "dot") -> bytes:
    """What Graphviz makes of DOT text, in one of its formats (`json`, `dot`, …).

    Raises EngineError if no Graphviz can be loaded, or if it refuses the text; Crash if it gave up.
    The environment variable TRACENET_ENGINE (pygraphviz, dot, none) forces a way.
    """
    return _layout(
        dot, format, program, os.environ.get(CHOICE, ""), shutil.which("dot"), _folder_of()
    )


@lru_cache(maxsize=8)  # an SVG and a PNG of one diagram are placed once
def _layout(
    dot: str, format: str, program: str, choice: str, executable: str | None, folder: str | None
) -> bytes:
    if choice not in CHOICES:
        raise unknown(CHOICE, choice, CHOICES[1:])
    why: EngineError = NotLoaded(
        "TRACENET_ENGINE=none" if choice == "none" else "no program dot on PATH"
    )
    if choice in ("", "pygraphviz"):
        try:
            return _by_wheel(dot, format, program, folder)
        except (NotLoaded, Crash) as error:
            why = error
    if choice in ("", "dot") and executable is not None:
        return _as_program(dot, format, program, executable)
    if isinstance(why, Crash):
        raise why
    raise EngineError(f"no Graphviz could be loaded ({why}): {INSTALL}")


# ---------------------------------------------------------------------- the wheel's libraries


def _folder_of() -> str | None:
    """Where pygraphviz is installed; it is not imported here."""
    spec = find_spec("pygraphviz")
    places = spec.submodule_search_locations if spec is not None else None
    return next(iter(places)) if places else None


def _by_wheel(dot: str, format: str, program: str, folder: str | None) -> bytes:
    if folder is None:
        raise NotLoaded("pygraphviz is not installed")
    script = str(Path(__file__).with_name("worker.py"))
    done = _run([sys.executable, "-S", script, folder, format, program], dot)
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == worker.NOT_LOADED:
        raise NotLoaded(" ".join(said.split()))
    if done.returncode == worker.REFUSED:
        raise EngineError(_refusal(said, "it gave no reason"))
    if done.returncode:
        raise Crash(f"Graphviz gave up on this graph ({_last_line(said)})")
    return done.stdout


def _run(command: list[str], dot: str) -> subprocess.CompletedProcess[bytes]:
    environment = dict(os.environ)
    fonts = config_file()
    if fonts:
        environment.setdefault("FONTCONFIG_FILE", fonts)
    try:
        return subprocess.run(
            command,
            input=dot.encode("utf-8"),
            capture_output=True,
            timeout=TIMEOUT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise Slow(f"Graphviz took more than {TIMEOUT} s and was stopped") from None
    except OSError as error:
        raise NotLoaded(str(error)) from None


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "without a word"


# ---------------------------------------------------------------------- as a program


def _as_program(dot: str, format: str, program: str, executable: str) -> bytes:
    try:
        done = _run([executable, f"-K{program}", f"-T{format}"], dot)
    except NotLoaded as error:
        raise EngineError(f"no Graphviz could be loaded ({error}): {INSTALL}") from None
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode < 0:
        raise Crash(f"Graphviz gave up on this graph ({_last_line(said)})")
    if done.returncode or not done.stdout or "Error: Unknown HTML element" in said:
        raise EngineError(_refusal(said, f"it ended with {done.returncode}"))
    return done.stdout


def _refusal(said: str, otherwise: str) -> str:
    errors = [line for line in said.splitlines() if line.startswith(("Error", "dot:"))]
    return "Graphviz refused the graph: " + (errors[0] if errors else otherwise)
