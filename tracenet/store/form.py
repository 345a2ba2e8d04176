"""What a file of a trace begins with, and how one is told from other files."""

from __future__ import annotations

from pathlib import Path

FORMAT, VERSION = "tracenet trace", 2
HEAD = "tracenet.json"
SUFFIX = ".trace"
_LOCAL_HEADER = 30
"""Bytes before the name of the first member of a zip file."""


def begins_as_trace(path: Path) -> bool:
    """Whether a file is one that tracenet saved, by its first bytes."""
    with open(path, "rb") as file:
        start = file.read(_LOCAL_HEADER + len(HEAD))
    return start[:4] == b"PK\x03\x04" and start[_LOCAL_HEADER:] == HEAD.encode()
