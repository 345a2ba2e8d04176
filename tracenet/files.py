"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import UsageError


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` in one step, at the end, if nothing fails before.

    Readers see the old file or the new one, never half of it.
    """
    path = Path(path)
    check_folder(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, _mode(path))
        os.replace(name, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None
        raise


def check_folder(path: Path) -> None:
    """Raises UsageError where there can be no such file."""
    if not path.parent.is_dir():
        raise UsageError(
            f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}"
        )
    if path.is_dir():
        raise UsageError(f"{str(path)!r} cannot be written: it is a folder")


def _mode(path: Path) -> int:
    """The mode of the file that is replaced, or that of a file that is made now."""
    with suppress(OSError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
