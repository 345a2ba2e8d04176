"""What a picture says of values that left the trace: a remark on the box that made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from .recording.tape import Left
from .trace import Trace

MARK = "left"
"""The mark of a node whose value left the trace."""


def left_in(trace: Trace, home: Mapping[int, int]) -> dict[int, dict[str, Any]]:
    """For each box in which a value was made that left: its `mark` and its `remark`.

    home: the box of each operation. A value that no operation made, as an argument, is marked
    where it is read first; one that nothing reads, where the run was when it left.
    """
    found: dict[int, list[Left]] = {}
    for left in trace.left:
        box = _box(trace, left, home)
        if box is not None:
            found.setdefault(box, []).append(left)
    return {box: {"mark": MARK, "remark": said(trace, each)} for box, each in found.items()}


def _box(trace: Trace, left: Left, home: Mapping[int, int]) -> int | None:
    value = trace.values.get(left.id)
    made = value.op if value is not None else None
    ops = [made, *trace.readers.get(left.id, ())] if made is None else [made]
    at = min(max(left.ops - 1, 0), len(trace.ops) - 1)
    return next((home[op] for op in (*ops, at) if op in home), None)


def said(trace: Trace, several: list[Left]) -> str:
    """`z2 leaves the trace: net.py, line 12`."""
    names = [v.name for left in several if (v := trace.values.get(left.id)) and v.name]
    names = list(dict.fromkeys(names))
    one = len(several) == 1
    what = ", ".join(names) if len(names) == len(several) else "a value" if one else "values"
    verb = "leaves" if len(names) < 2 and (one or names) else "leave"
    lines: dict[str, list[int]] = {}
    for left in several:
        lines.setdefault(PurePath(left.file).name, []).append(left.line)
    where = "; ".join(
        f"{file}, line{'s' * (len(at) > 1)} {', '.join(map(str, sorted(at)))}"
        for file, at in lines.items()
    )
    return f"{what} {verb} the trace: {where}"
