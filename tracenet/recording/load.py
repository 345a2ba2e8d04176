"""Running an unmodified file, so that its functions can be traced.

The file runs normally, as an import would run it: with real NumPy and without its `__main__`
part. It sees the traced namespaces only while a trace of it runs (see `scope`).
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from ..errors import LoadError, UsageError
from . import notebook, source
from .notebook import Cell


def load(path: str | Path, cells: str | None = None) -> ModuleType:
    """Runs the Python file or notebook at `path` and returns it as a module.

    Modules that it imports from its own folder are found, as when it is run as a script. A file of
    a package is imported as part of it, so that `from ..layers import *` finds what it means.
    cells: which code cells of a notebook are run, as in `"1-4,7"`; by default all.

    Raises LoadError where there is no such file or it does not parse; what the file itself raises
    is passed on.
    """
    return _run(Path(path).resolve(), read(path, cells))


def read(path: str | Path, cells: str | None = None) -> list[Cell]:
    """The program in a file: the cells of a notebook, or the whole file as the only one."""
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "there is no such file"
        raise LoadError(f"cannot load {str(path)!r}: {what}")
    if notebook.is_notebook(file):
        return notebook.read(file.resolve(), cells)
    if cells is not None:
        raise UsageError(f"{str(path)!r} has no cells to choose: only .ipynb files have")
    try:
        name = str(file.resolve())
        return [Cell(0, name, ast.parse(file.read_bytes(), name))]
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise LoadError(f"cannot parse {str(path)!r}{line}: {why}") from None


def _run(file: Path, cells: list[Cell]) -> ModuleType:
    source.forget()
    _findable(str(file.parent))
    if notebook.is_notebook(file):
        return _notebook(file, cells)
    blocked = None
    try:
        name = _name_in_package(file) or file.stem
    except ImportError as error:  # what the package needs, the file itself may do without
        name, blocked = file.stem, error
    known = sys.modules.get(name)
    if known is not None and "." in name and getattr(known, "__file__", None) == str(file):
        return known  # its package has imported it: a second copy would have classes of its own
    name = name if known is None else f"{name}_loaded"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise LoadError(f"cannot load {str(file)!r}: its name must end in .py or .ipynb")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        raise (blocked if blocked and "no known parent" in str(error) else error) from None
    return module


def _notebook(file: Path, cells: list[Cell]) -> ModuleType:
    """A notebook as a module: its cells, in order."""
    name = file.stem if file.stem not in sys.modules else f"{file.stem}_loaded"
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    try:
        notebook.run(cells, vars(module))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _name_in_package(file: Path) -> str | None:
    """The dotted name of a file in a package that can be imported: it is, here."""
    package, root = _package(file)
    if not package:
        return None
    _findable(str(root))
    importlib.import_module(".".join(package))
    return ".".join((*package, file.stem))


def _package(file: Path) -> tuple[tuple[str, ...], Path]:
    """The package that a file is in, by the `__init__.py` of its folders, and the folder of that."""
    names: list[str] = []
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return tuple(names), folder


def _findable(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
