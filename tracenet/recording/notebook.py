"""Notebooks: the code cells of an .ipynb file, run one after another as the file that they are.

Each cell is compiled under a name of its own, `net.ipynb[cell 3]`, whose text Python can look up:
messages and the trace then name cells and lines as they name those of a .py file.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import io
import json
import linecache
import re
import sys
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LoadError, UsageError

_MAGIC = re.compile(r"\s*([%!?]|[\w.]+\s*=\s*[%!]|[\w.]+\?\??\s*$)")
_AROUND_PYTHON = re.compile(r"%%(time|capture|prun|memit|python3?)\b")
"""Cell magics whose cell is Python all the same; the cells of others are left out."""

PLOTTING = {
    "matplotlib", "mpl_toolkits", "pylab", "seaborn", "PIL", "IPython", "ipywidgets", "plotly",
    "bokeh", "altair", "imageio",
}  # fmt: skip
_JUPYTER = {"display", "get_ipython"}
_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a program. file: what its code is compiled as. number: 0 for a whole .py file."""

    number: int
    file: str
    tree: ast.Module


def is_notebook(file: str | Path) -> bool:
    """Whether a file is a notebook, by its suffix."""
    return Path(file).suffix.lower() == ".ipynb"


def read(file: Path, cells: str | None = None) -> list[Cell]:
    """The code cells of a notebook, or those that `cells` chooses: `1-4,7`, counted from 1.

    Raises LoadError where the file is no notebook or a cell does not parse, UsageError where there
    are no such cells.
    """
    texts = _texts(file)
    wanted = chosen(cells, len(texts)) if cells is not None else range(1, len(texts) + 1)
    return [_cell(file, number, texts[number - 1]) for number in wanted]


def _texts(file: Path) -> list[str]:
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        sheets = tree.get("worksheets", [tree])  # notebooks of before 2015 have sheets
        found = [cell for sheet in sheets for cell in sheet["cells"]]
        code = [cell for cell in found if cell["cell_type"] == "code"]
        return ["".join(cell.get("source", cell.get("input", ""))) for cell in code]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(
            f"cannot read {str(file)!r} as a notebook ({type(error).__name__}: {error}): "
            "save it again as .ipynb, or give a .py file"
        ) from None


def chosen(cells: str, count: int) -> list[int]:
    """The numbers that `1-4,7` means, in order.

    >>> chosen("1-3,5", 6)
    [1, 2, 3, 5]
    """
    found: set[int] = set()
    for part in cells.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise UsageError(f"cannot read {cells!r} as cells: write numbers as in '1-4,7'")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= count:
            raise UsageError(
                f"there are no cells {part.strip()!r}: the notebook has {count} code cells, "
                "counted from 1"
            )
        found.update(range(first, last + 1))
    return sorted(found)


def _cell(file: Path, number: int, text: str) -> Cell:
    name = f"{file}[cell {number}]"
    lines = plain(text)
    text = "".join(line + "\n" for line in lines)
    # No time of change: linecache then never asks the disk for a file of this name.
    linecache.cache[name] = (len(text), None, [line + "\n" for line in lines], name)
    try:
        return Cell(number, name, ast.parse(text, name))
    except SyntaxError as error:
        raise LoadError(f"cannot parse {name!r}, line {error.lineno}: {error.msg}") from None


def plain(text: str) -> list[str]:
    """The lines of a cell with `pass` in place of what only IPython understands.

    >>> plain("%matplotlib inline\\nx = 1\\n!ls")
    ['pass', 'x = 1', 'pass']
    """
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines and lines[first].startswith("%%"):
        if not _AROUND_PYTHON.match(lines[first]):
            return ["pass" if i == first else "" for i in range(len(lines))]
        lines[first] = "pass"
    goes_on = False
    for i, line in enumerate(lines):
        if goes_on or (_MAGIC.match(line) and not _inside(lines[:i])):
            indent = line[: len(line) - len(line.lstrip())]
            lines[i] = "" if goes_on else indent + "pass"
            goes_on = line.rstrip().endswith("\\")
    return lines


def _inside(lines: list[str]) -> bool:
    """Whether a statement or text goes on after these lines: then `% b` is no magic."""
    if lines and lines[-1].endswith("\\"):
        return True
    try:
        for _ in tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline):
            pass
    except tokenize.TokenError:
        return True
    except SyntaxError:
        return False
    return False


# ---------------------------------------------------------------------- running


def run(
    cells: Iterable[Cell], namespace: dict[str, Any], strict: Callable[[], bool] = lambda: False
) -> None:
    """Runs cells, without the statements that need a plotting library that is not installed.

    strict: asked when one fails; whether it is an error all the same.
    """
    skipped = _Skipped(namespace)
    flags = 0
    try:
        for cell in cells:
            for statement in cell.tree.body:
                module = ast.Module([statement], [])
                code = compile(module, cell.file, "exec", flags, dont_inherit=True)
                flags |= code.co_flags & _FUTURE
                try:
                    exec(code, namespace)
                except (ImportError, NameError) as error:
                    if strict() or not skipped.skips(cell, statement, error):
                        raise
    finally:
        skipped.say()


class _Skipped:
    """What was left out because a library is missing, and the names that are missing with it."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.names: dict[str, str] = dict.fromkeys(_JUPYTER, "Jupyter")  # a name -> what it is of
        self.cells: dict[str, None] = {}
        self.why: dict[str, None] = {}

    def skips(self, cell: Cell, statement: ast.stmt, error: ImportError | NameError) -> bool:
        if isinstance(error, ImportError):
            top = (error.name or "").partition(".")[0]
            library = top if top in PLOTTING and isinstance(error, ModuleNotFoundError) else None
        else:
            library = self.names.get(error.name or "")
        if library is None:
            return False
        for name in bound(statement):
            if name not in self.namespace and not hasattr(builtins, name):
                self.names[name] = library
        self.cells[cell.file], self.why[library] = None, None
        return True

    def say(self) -> None:
        if self.cells:
            file = Path(next(iter(self.cells)).rpartition("[")[0]).name
            numbers = ", ".join(re.findall(r"\d+(?=\]$)", cell)[0] for cell in self.cells)
            print(
                f"tracenet: {file}: skipped the statements that need {', '.join(self.why)}, which "
                f"cannot be imported here, in cell{'s' * (len(self.cells) > 1)} {numbers}",
                file=sys.stderr,
            )


def bound(statement: ast.AST) -> list[str]:
    """The variables that a statement assigns, imports or defines."""
    found: dict[str, None] = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        elif isinstance(node, ast.alias):
            found[node.asname or node.name.partition(".")[0]] = None
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = None
    return list(found)
