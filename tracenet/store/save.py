"""From a trace to a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from ..cycles import no_search_for_cycles
from ..errors import UsageError
from ..files import check_folder, replacing
from ..ops import BY_NAME
from ..recording.absent import Later, Placed
from ..recording.memory import makers
from ..records import Block, Op, Value
from ..trace import Trace
from ..version import VERSION as WRITTEN_BY
from .arrays import Pools
from .coding import Encoder
from .columns import columns
from .form import FORMAT, HEAD, VERSION, begins_as_trace

Progress = Callable[[str], object]


@no_search_for_cycles()
def save(trace: Trace, path: str | Path, progress: Progress | None = None) -> Path:
    """Writes a trace into a file, whole or not at all; an older trace there is replaced.

    progress: called with a few words before each part of the work.

    Returns the path. Raises UsageError where the file is there and is not a saved trace.
    """
    say = progress or (lambda doing: None)
    path = Path(path)
    _check_free(path)
    say("building the records")
    members, pools = _Saving(trace).members()
    with replacing(path) as file, ZipFile(file, "w", allowZip64=True) as zip:
        say(f"writing {path}")
        for name, content in members.items():
            _write_json(zip, name, content)
        pools.write(lambda name: zip.open(_member(name, ZIP_STORED), "w", force_zip64=True))
    return path


def _check_free(path: Path) -> None:
    """Only a trace may be written over, or an empty file, such as `mktemp` makes."""
    check_folder(path)
    with suppress(FileNotFoundError):
        if path.stat().st_size and not begins_as_trace(path):
            raise UsageError(
                f"{str(path)!r} is there already and is not a saved trace: delete it first, or "
                "save under another name"
            )


def _write_json(zip: ZipFile, name: str, content: Any) -> None:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    how = ZIP_STORED if name == HEAD else ZIP_DEFLATED
    zip.writestr(_member(name, how), text.encode("ascii"), compresslevel=1)


def _member(name: str, how: int) -> ZipInfo:
    """A member without a date: the same trace gives the same file."""
    info = ZipInfo(name)
    info.compress_type = how
    info.external_attr = 0o644 << 16
    return info


class _Saving:
    """The tables of one file."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.tape, self.tables = trace._tape, trace._tables
        self.pools = Pools()
        self.code = Encoder(self.pools.add)
        self.settings: list[Any] = []
        self.of_settings: dict[int, tuple[int, bool]] = {}  # id() -> its place, and if it is whole

    def members(self) -> tuple[dict[str, Any], Pools]:
        """The members of the file that are JSON, in their order, and the arrays."""
        tables = self.tables
        ops = self._ops()
        members = {
            HEAD: {"format": FORMAT, "version": VERSION, "tracenet": WRITTEN_BY},
            "values.json": columns(Value, list(tables.values.values())),
            "ops.json": ops,
            "blocks.json": columns(Block, tables.blocks),
            "data.json": self._data(),
            "trace.json": self._about(),
            "settings.json": self.settings,
            "arrays.json": self.pools.entries,
        }
        return members, self.pools

    def _ops(self) -> dict[str, Any]:
        ops, places = self.tables.ops, self.tables.places
        table = columns(Op, ops, without=("settings",))
        table["settings"] = [self._settings_of(op.settings)[0] for op in ops]
        table["place"] = [places.get(op.id, -1) for op in ops]
        return table

    def _settings_of(self, settings: dict[str, Any]) -> tuple[int, bool]:
        """Where the settings are in their table; an op and its mirror have the same."""
        found = self.of_settings.get(id(settings))
        if found is None:
            before = self.code.lost
            self.settings.append(self.code(settings))
            found = len(self.settings) - 1, self.code.lost == before
            self.of_settings[id(settings)] = found
        return found

    def _data(self) -> dict[str, Any]:
        """For each value the number of its array, or -1 and what else it is."""
        arrays: list[int] = []
        others: dict[str, Any] = {}
        later: list[int] = []
        steps: list[list[Any]] = []
        for value, data in enumerate(self.tape.values):
            number = -1
            if type(data) is Later and self._can_be_rebuilt(value):
                later.append(value)
            elif type(data) is Placed and self._settings_of(data.settings)[1]:
                settings = self._settings_of(data.settings)[0]
                steps.append([value, data.how, data.before, data.gradient, settings])
            else:
                data = self.trace.data(value)
                if type(data) is np.ndarray and not data.dtype.hasobject and data.dtype.kind != "T":
                    number = self.pools.add(data)
                else:
                    others[str(value)] = self.code(data)
            arrays.append(number)
        return {"arrays": arrays, "others": others, "later": later, "steps": steps}

    def _can_be_rebuilt(self, value: int) -> bool:
        """Whether a loaded trace can replay the write, or the view, that made a value."""
        rule, _, _, settings = self.tape.ops[makers(self.tape)[value]][:4]
        _, whole = self.of_settings.get(id(settings), (-1, False))
        return whole and BY_NAME.get(rule.name) is rule

    def _about(self) -> dict[str, Any]:
        trace = self.trace
        replay = trace._replays[-1] if trace._replays else None
        return {
            "title": trace.title,
            "failed": trace.failed,
            "failed_at": trace.failed_at,
            "outputs": trace._outputs,
            "result": self._result(),
            "left": list(self.tape.left_at.values()),
            "ops on the tape": len(self.tape.ops),
            "by hand": list(self.tables.by_hand.items()),
            "replay": None if replay is None else {
                "gradients": list(replay.gradients.items()),
                "seeds": list(replay.seeds.items()),
                "wanted": sorted(replay.wanted),
            },
        }  # fmt: skip

    def _result(self) -> Any:
        with suppress(RecursionError):  # the user's own objects may hold themselves
            return self.code(self.trace.result)
        return {"unsaved": ["a result that holds itself"] * 2}
