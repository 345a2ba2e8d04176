"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import UsageError


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` in one step, at the end, if nothing fails before.

    Readers see the old file or the new one, never half of it. A link stays one: what it leads to
    is replaced. What is no file, as a pipe or a device, is written to, at the end.
    """
    path = Path(path)
    check_folder(path)
    if path.exists() and not path.is_file():
        with tempfile.TemporaryFile() as whole:
            yield whole
            whole.seek(0)
            with _errors_of(path), open(path, "wb") as to:
                shutil.copyfileobj(whole, to)
        return
    real = Path(os.path.realpath(path))
    with _errors_of(path):
        handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with _errors_of(path):
            with os.fdopen(handle, "wb") as file:
                yield file
            os.chmod(name, _mode(real))
            os.replace(name, real)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None


def check_folder(path: Path) -> None:
    """Raises UsageError where there can be no such file."""
    if not path.parent.is_dir():
        raise UsageError(
            f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}"
        )
    if path.is_dir():
        raise UsageError(f"{str(path)!r} cannot be written: it is a folder")
    if path.is_file() and not path.stat().st_mode & 0o222:
        raise UsageError(f"{str(path)!r} cannot be written: it is read-only")


def _mode(path: Path) -> int:
    """The mode of the file that is replaced, or that of a file that is made now."""
    with suppress(OSError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
