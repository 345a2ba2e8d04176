"""From a file to a trace."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from zipfile import BadZipFile, ZipFile

import numpy as np

from ..backward import Replay
from ..build import Tables
from ..cycles import no_search_for_cycles
from ..errors import GradientError, LoadError
from ..ops import BY_NAME, Rule
from ..recording.absent import Later, Placed
from ..recording.tape import Left, Tape
from ..records import Block, Op, Value
from ..trace import Trace
from .arrays import Entries
from .coding import Decoder
from .columns import records
from .form import FORMAT, HEAD, SUFFIX, VERSION, begins_as_trace

DAMAGED = (
    ArithmeticError, AttributeError, BadZipFile, EOFError, LookupError, MemoryError,
    NotImplementedError, OSError, RecursionError, RuntimeError, TypeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip
"""What reading a file whose bytes are not what was written may end in."""


class LoadedTrace(Trace):
    """A trace from a file: everything but a replay, since the code that ran is not in the file."""

    def backward(self, *_: Any, **__: Any) -> NoReturn:
        """Raises GradientError: a loaded trace has the passes that it was saved with."""
        self._refuse("replayed")

    def update(self, *_: Any, **__: Any) -> NoReturn:
        """Raises GradientError: a loaded trace has the update that it was saved with, or none."""
        self._refuse("updated")

    def _refuse(self, done: str) -> NoReturn:
        raise GradientError(
            f"the trace of {self.title} was loaded from a file, which does not hold the code that "
            f"it ran, so it cannot be {done}: call trace.backward() and trace.update() before "
            "trace.save()"
        )


def is_saved(path: str | Path) -> bool:
    """Whether a path is that of a saved trace, or has the suffix of one."""
    path = Path(path)
    return path.is_file() and (path.suffix == SUFFIX or begins_as_trace(path))


@no_search_for_cycles()
def load_trace(path: str | Path, progress: Callable[[str], object] | None = None) -> Trace:
    """The trace that `trace.save(path)` wrote.

    progress: called with a few words before each part of the work.

    Raises LoadError where the file is missing, damaged, not a trace, or from a newer tracenet.
    """
    say = progress or (lambda doing: None)
    path = Path(path)
    _check(path)
    with _damage_named(path), ZipFile(path) as zip:
        _check_version(path, _json(zip, HEAD))
        say(f"reading {path}")
        loading = _Loading(zip)
        say("building the records")
        return loading.trace()


def _check(path: Path) -> None:
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise LoadError(f"cannot load {str(path)!r}: {what}")
    try:
        known = begins_as_trace(path)
    except OSError as error:
        raise LoadError(f"cannot load {str(path)!r}: {error.strerror}") from None
    if not known:
        raise LoadError(
            f"{str(path)!r} is not a saved trace: expected a file that trace.save() wrote"
        )


def _check_version(path: Path, head: Any) -> None:
    if head["format"] != FORMAT:
        raise ValueError(f"its format is {head['format']!r}")
    version = head["version"]
    if version > VERSION:
        raise LoadError(
            f"{str(path)!r} was written by a newer tracenet ({head['tracenet']}, version {version} "
            f"of the format; this one reads up to {VERSION}): update tracenet to load it"
        )


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Whatever goes wrong while reading is one line about the file."""
    try:
        yield
    except LoadError:
        raise
    except DAMAGED as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise LoadError(
            f"{str(path)!r} is damaged or not whole ({words}): save the trace again"
        ) from None


def _json(zip: ZipFile, name: str) -> Any:
    return json.loads(zip.read(name))


class _Loading:
    """One file, being read."""

    def __init__(self, zip: ZipFile) -> None:
        self.entries = Entries(_json(zip, "arrays.json"), zip)
        self.decode = Decoder(self.entries)
        self.settings = [self.decode(settings) for settings in _json(zip, "settings.json")]
        self.about = _json(zip, "trace.json")
        self.data = _json(zip, "data.json")
        self.tables = Tables()
        self._records(zip)

    def _records(self, zip: ZipFile) -> None:
        values, ops, blocks = (_json(zip, f"{name}.json") for name in ("values", "ops", "blocks"))
        tables = self.tables
        tables.values = {value.id: value for value in records(Value, values)}
        settings = [self.settings[i] for i in ops["settings"]]
        tables.ops = records(Op, ops, settings=settings)
        tables.places = {op: place for op, place in enumerate(ops["place"]) if place >= 0}
        tables.blocks = records(Block, blocks)
        tables.keys = {value.key: id for id, value in tables.values.items()}
        tables.by_hand = dict(map(tuple, self.about["by hand"]))

    def trace(self) -> Trace:
        """The trace of the file."""
        about = self.about
        trace = LoadedTrace(
            self._tape(), about["title"], [(n, i) for n, i in about["outputs"]], about["failed"]
        )
        trace.__dict__["_tables"] = self.tables
        trace.failed_at = None if about["failed_at"] is None else tuple(about["failed_at"])
        trace.result = self.decode(about["result"])
        if about["replay"] is not None:
            gradients, seeds = (
                dict(map(tuple, about["replay"][k])) for k in ("gradients", "seeds")
            )
            trace._replays = [Replay([], gradients, seeds, set(about["replay"]["wanted"]))]
        return trace

    def _tape(self) -> Tape:
        """A tape with what was saved of it: the data, and the ops that data are rebuilt by."""
        tape = Tape()
        tape.values = self._values()
        tape.rewritten = bool(self.data["later"])
        tape.ops = self._ops()
        for left in (Left(*fields) for fields in self.about["left"]):
            tape.left_at[left.file, left.line] = left
        return tape

    def _values(self) -> list[Any]:
        values: list[Any] = [self.entries[n] if n >= 0 else None for n in self.data["arrays"]]
        for id, other in self.data["others"].items():
            values[int(id)] = self.decode(other)
        for id in self.data["later"]:
            values[id] = self._later(id)
        for id, how, before, gradient, number in self.data.get("steps", ()):  # version 1 has none
            values[id] = Placed(self._later(id), how, before, gradient, self.settings[number])
        return values

    def _later(self, id: int) -> Later:
        """What stands for a value that is rebuilt, of the shape and dtype in its record."""
        value = self.tables.values[id]
        return Later(value.shape, np.dtype(value.dtype))

    def _ops(self) -> list[Any]:
        """The ops in the form of the tape; without a call, since there is no code."""
        ops: list[Any] = [(_unknown("unknown"), -1, (), {}, -1, -1)] * self.about["ops on the tape"]
        for id, place in self.tables.places.items():
            op = self.tables.ops[id]
            rule = BY_NAME.get(op.rule) or _unknown(op.rule)
            ops[place] = (rule, op.outs[0], op.ins, op.settings, -1, -1)
        return ops


def _unknown(name: str) -> Rule:
    """The rule of an op that has none in the table: it is there by its name alone."""
    return Rule(name, _unknown, ("*inputs",))
