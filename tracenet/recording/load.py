"""Running an unmodified file, so that its functions can be traced.

The file runs normally, as an import would run it: with real NumPy and without its `__main__`
part. It sees the traced namespaces only while a trace of it runs (see `scope`).
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from ..errors import LoadError
from . import source


def load(path: str | Path) -> ModuleType:
    """Runs the Python file at `path` and returns it as a module.

    Modules that it imports from its own folder are found, as when it is run as a script.

    Raises LoadError where there is no such file or it does not parse; what the file itself raises
    is passed on.
    """
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "there is no such file"
        raise LoadError(f"cannot load {str(path)!r}: {what}")
    text = file.read_bytes()
    try:
        compile(text, str(file), "exec")
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise LoadError(f"cannot parse {str(path)!r}{line}: {why}") from None
    return _run(file.resolve())


def _run(file: Path) -> ModuleType:
    source.forget()
    name = file.stem if file.stem not in sys.modules else f"{file.stem}_loaded"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise LoadError(f"cannot load {str(file)!r}: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
