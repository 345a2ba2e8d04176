"""What each block keeps for its backward block, what that reads of it, and what it never reads.

Hand-written backward code is audited as `tracenet check` does: kept is what it was handed. Where
the backward pass was derived, kept is what the rules of the operations save.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import notation
from .checking.audit import Audit, audit, names_handed
from .checking.cases import cases
from .checking.run import Run as Checked
from .diagram import Diagram, Run, Text
from .drawing import checked
from .figures import dimensions
from .parts import Part
from .picture import Shapes
from .trace import Trace
from .views import parts

MARK: Text = (Run("✓"),)
HEADS = ("kept", "read", "never read")
ROWS = 12
"""Arrays in one cache; further ones are counted."""


def draw(
    trace: Trace,
    *,
    depth: int | None = None,
    values: str = "shapes",
    digits: int = 4,
    backward: bool = True,
    open: Collection[str] = (),
    close: Collection[str] = (),
) -> Diagram:
    """The two-row picture whose caches say what is kept and what is read."""
    checked(values, digits)
    cut = parts(trace, depth, open, close)
    return _Caches(trace, cut, "shapes", digits, backward).made()


@dataclass(frozen=True, slots=True)
class Kept:
    """One array of a cache."""

    name: Text
    shape: tuple[int, ...] | None
    kept: bool
    read: bool
    remark: str = ""


class _Caches(Shapes):
    view = "cache"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.audits = dict(_audits(self.trace))

    def _cache_fields(self, part: Part) -> dict[str, Any]:
        found = self.audits.get(part.block) if not (part.loose or part.derived) else None
        rows = list(self._audited(*found) if found is not None else self._saved(part))
        if not rows:
            return {}
        more = f"+{len(rows) - ROWS} more; " if len(rows) > ROWS else ""
        return {"table": _table(rows[:ROWS]), "remark": more + _summed(rows)}

    def _saved(self, part: Part) -> Iterator[Kept]:
        """For a derived backward part, and for loose statements: by the numbers of the values."""
        read = dict.fromkeys(self._cache(part))
        own = self.parts[part.of].ops if part.of is not None else ()
        saved = [v for k in own for v in self.trace.ops[k].saved] if part.derived else [*read]
        kept = dict.fromkeys(v for v in saved if self._worth(self.trace.values[v]))
        for id in (*kept, *(v for v in read if v not in kept)):
            yield Kept(self._called(id), self.trace.values[id].shape, id in kept, id in read)
        for id in self._never_read(part):
            if self.trace.values[id].op in own and id not in kept:
                yield Kept(self._called(id), self.trace.values[id].shape, True, False)

    def _never_read(self, part: Part) -> Iterator[int]:
        """What the backward function that loose statements stand in was handed for nothing."""
        found = self.audits.get(part.block) if part.loose else None
        if found is not None:
            audit, ids = found
            yield from (ids[name] for name in audit.unread if name in ids)

    def _called(self, id: int) -> Text:
        return self.formulas.label(id) or (Run("?"),)

    def _audited(self, found: Audit, ids: dict[str, int]) -> Iterator[Kept]:
        remarks = dict.fromkeys(found.overwritten, "overwritten")
        remarks |= dict.fromkeys(found.written, "written over")
        for name in found.kept:
            yield self._named(name, ids, True, name in found.read, remarks.get(name, ""))
        for name in found.elsewhere:
            yield self._named(name, ids, False, True)

    def _named(
        self, name: str, ids: dict[str, int], kept: bool, read: bool, remark: str = ""
    ) -> Kept:
        """A value by its name in the forward pass, where it has one, or as it was handed over."""
        value = self.trace.values.get(ids.get(name, -1))
        label = self.formulas.label(value.id) if value is not None else ()
        shape = value.shape if value is not None else None
        return Kept(label or notation.text(name), shape, kept, read, remark)


def _audits(trace: Trace) -> Iterator[tuple[int, tuple[Audit, dict[str, int]]]]:
    """The audit of each hand-written backward block, and the values by the names in it."""
    if trace._tape.notes is None:
        return
    run = Checked(trace)
    for case in cases(run):
        found, note = audit(run, case), run.note(case.backward)
        if found is not None and note is not None:
            yield case.backward.id, (found, {n: id for id, n in names_handed(note).items()})


def _table(rows: Iterable[Kept]) -> tuple[tuple[Text, ...], ...]:
    """One row for each array, a mark in the columns that are true of it."""
    rows = list(rows)
    remarked = any(row.remark or (row.read and not row.kept) for row in rows)
    heads = ("", *HEADS, *([""] if remarked else []))
    table: list[tuple[Text, ...]] = [tuple((Run(head),) for head in heads)]
    for row in rows:
        size = f"  {dimensions(row.shape)}" if row.shape is not None else ""
        marks = (row.kept, row.read, row.kept and not row.read)
        remark = row.remark or ("read from elsewhere" if row.read and not row.kept else "")
        cells = [(*row.name, Run(size)), *(MARK if mark else (Run(""),) for mark in marks)]
        table.append((*cells, *([(Run(remark),)] if remarked else [])))
    return tuple(table)


def _summed(rows: Iterable[Kept]) -> str:
    """`3 kept, 1 never read`."""
    rows = list(rows)
    kept = sum(row.kept for row in rows)
    counts = {
        "never read": sum(row.kept and not row.read for row in rows),
        "read from elsewhere": sum(row.read and not row.kept for row in rows),
    }
    return ", ".join([f"{kept} kept", *(f"{n} {what}" for what, n in counts.items() if n)])
