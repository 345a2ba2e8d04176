"""The report as a table for the terminal: worst first, equal calls in one row."""

from __future__ import annotations

import math

from .report import Checked, Output, Report, said, short
from .verdict import EXACT, SCALED, UNCHECKED

MARKS = {True: "ok", False: "WRONG"}
WIDTH = 46


def table(report: Report) -> str:
    """A sentence that says what to look at, then a row for each backward block and gradient."""
    lines = [report.sentence()]
    if not report.blocks:
        return lines[0]
    lines.append("")
    rows = _rows(report)
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join([*cells, *row[3:]]).rstrip())
    return "\n".join(lines + _arrays(report))


def _rows(report: Report) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for block, count in _grouped(report):
        name = _cut(block.backward) + (f" ×{count}" if count > 1 else _call(block))
        mark = "WRONG" if block.bad else "-" if block.unchecked else "ok"
        if block.passed_on:
            mark = "passed on"
        first = (mark, name, f"{_end(short(block.file))}:{block.line}" if block.file else "")
        rows.append((*first, _summary(block)))
        if block.bad and not block.passed_on:
            rows += [("", f"  {o.name}", "", said(o.verdict)) for o in block.outputs]
        if block.fault is not None and block.fault.statement:
            rows.append(("", f"  line {block.fault.line}", "", block.fault.statement))
        rows += [("", "", "", remark) for remark in _remarks(block)]
    return rows


def _cut(name: str) -> str:
    """A name that fits into a column; an expression that was called has its text for a name."""
    return name if len(name) <= WIDTH else name[: WIDTH - 1] + "…"


def _end(path: str) -> str:
    """The end of a path, where all of it does not fit into a column."""
    return path if len(path) <= WIDTH else "…/" + "/".join(path.split("/")[-2:])[-WIDTH:]


def _call(block: Checked) -> str:
    return f" {block.ordinal}" if block.ordinal else ""


def _grouped(report: Report) -> list[tuple[Checked, int]]:
    """Each block with how many calls it stands for: right ones of one function are one row."""
    found: dict[object, tuple[Checked, int]] = {}
    for block in report.blocks:
        key: object = (block.backward, _summary(block), block.unchecked, tuple(_remarks(block)))
        if block.bad:
            kinds = tuple((o.name, o.verdict.kind) for o in block.outputs)
            key = (block.backward, block.fault, block.passed_on or kinds)
        first, count = found.get(key, (block, 0))
        found[key] = (first, count + 1)
    return list(found.values())


def _summary(block: Checked) -> str:
    if block.unchecked:
        return ": ".join(filter(None, ("unchecked", block.why_unchecked)))
    against = f"against {block.forward}" if block.forward else "against the loss"
    if block.note.startswith("no loss"):
        against = "from the error on"
    if block.passed_on:
        wrong = _list([o.name for o in block.outputs if o.verdict.bad])
        return f"{against}: {wrong} wrong, {block.note or 'by what the blocks inside it returned'}"
    if block.bad:
        return against
    exact = [o.name for o in block.outputs if o.verdict.kind == EXACT]
    scaled = [o for o in block.outputs if o.verdict.kind == SCALED]
    parts = [f"{_list(exact)} exact"] if exact else []
    for reason in dict.fromkeys(o.verdict.reason for o in scaled):
        names = [o.name for o in scaled if o.verdict.reason == reason]
        parts.append(f"{_list(names)} ×{reason} by convention")
    return f"{against}: " + "; ".join(parts) if parts else against


def _list(names: list[str], most: int = 8) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _remarks(block: Checked) -> list[str]:
    audit = block.audit
    found = []
    if audit is not None:
        for names, text in (
            (audit.unread, "kept in the cache and never read: {}"),
            (audit.elsewhere, "read from outside its arguments: {}"),
            (audit.overwritten, "overwritten between forward and backward: {}"),
            (audit.written, "writes over its argument {}"),
        ):
            if names:
                found.append(text.format(_list(list(names), 4)))
    said_of: dict[str, list[str]] = {}
    for o in block.outputs:
        if o.verdict.kind == EXACT and o.verdict.reason:
            said_of.setdefault(o.verdict.reason, []).append(o.name)
    if not block.bad:
        found += [f"{_list(names, 4)}: {reason}" for reason, names in list(said_of.items())[:3]]
    unknown = [o for o in block.outputs if o.verdict.kind == UNCHECKED]
    if unknown and not block.unchecked:
        found += [f"{o.name} unchecked: {o.verdict.reason}" for o in unknown[:3]]
    if block.note and not block.unchecked and not block.passed_on:
        found.append(block.note)
    return found


def _arrays(report: Report) -> list[str]:
    """The two arrays of the worst gradient at fault, where they are small enough to be read."""
    for block in report.blocks:
        if block.fault is None:
            continue
        wrong = [o for o in block.outputs if o.verdict.bad and o.verdict.got is not None]
        wrong = [o for o in wrong if "while" not in o.verdict.reason]  # right, but for its scale
        for output in wrong[:1]:
            return _shown(output)
    return []


def _shown(output: Output) -> list[str]:
    import numpy as np

    verdict = output.verdict
    write = lambda x: np.array2string(
        np.asarray(x), precision=4, suppress_small=False, threshold=40, edgeitems=2,
        max_line_width=88, prefix="     ",
    )  # fmt: skip
    lines = ["", f"{output.name} as returned:", "     " + write(verdict.got),
             f"{output.name} as the forward block has it:", "     " + write(verdict.expected)]  # fmt: skip
    if verdict.where and math.isfinite(verdict.deviation):
        index = ", ".join(str(i) for i in verdict.where)
        cosine = f", cosine {verdict.cosine:.6f}" if verdict.cosine is not None else ""
        lines.append(f"largest deviation at [{index}]{cosine}")
    return lines
