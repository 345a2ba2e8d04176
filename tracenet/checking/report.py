"""The report of a check: a verdict for every gradient, whose fault it is, and what to look at."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .audit import Audit
from .judge import Judged
from .target import Target
from .verdict import EXACT, SCALED, UNCHECKED, Fault, Verdict


@dataclass(frozen=True, slots=True)
class Output:
    """One gradient: what the code calls it, what it is the gradient of, and the verdict.

    value: its number in the trace, or None where it was not computed.
    """

    name: str
    of: str
    verdict: Verdict
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """One backward block.

    forward, backward: the functions' names, `forward` empty where it begins at the loss. block: the
    number of the block in the trace. ordinal: which of the equal calls it was. outputs: its
    gradients. fault: where its own fault is, or None. passed_on: whether what is wrong with it
    comes from blocks inside it. note: what else there is to say. audit: of its cache.
    """

    forward: str
    backward: str
    block: int
    ordinal: int
    file: str
    line: int
    outputs: tuple[Output, ...]
    fault: Fault | None
    passed_on: bool
    note: str
    audit: Audit | None

    @property
    def bad(self) -> bool:
        """Whether some gradient of it is wrong, or it spoils one that others hold."""
        return self.fault is not None or any(output.verdict.bad for output in self.outputs)

    @property
    def unchecked(self) -> bool:
        """Whether nothing of it could be checked."""
        return all(output.verdict.kind == UNCHECKED for output in self.outputs)

    @property
    def why_unchecked(self) -> str:
        """Why nothing of it could be checked, in words; `""` where something was."""
        if not self.unchecked:
            return ""
        return self.note or next((o.verdict.reason for o in self.outputs), "")

    @property
    def worst(self) -> float:
        """The largest deviation of a wrong gradient."""
        return max((o.verdict.deviation for o in self.outputs if o.verdict.bad), default=0.0)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. blocks: worst first. why: why there was nothing to check, or `""`.

    unjudged: the names of the parameters of which no gradient was judged. untrained: whether that
    are all there are.
    """

    blocks: tuple[Checked, ...]
    why: str = ""
    unjudged: tuple[str, ...] = ()
    untrained: bool = False

    @property
    def ok(self) -> bool:
        """Whether gradients were checked, of a parameter where there is one, and none is wrong."""
        return not any(block.bad for block in self.blocks) and self.checked

    @property
    def checked(self) -> bool:
        """Whether anything could be checked: of a whole pass, the gradient of some parameter."""
        some = [block for block in self.blocks if not block.unchecked]
        return any(block.forward or block.bad or not self.untrained for block in some)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Where the faults are, each place once, worst first."""
        return tuple(dict.fromkeys(b.fault for b in self.blocks if b.fault is not None))

    def __str__(self) -> str:
        from .table import table

        return table(self)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON: `ok`, and `blocks` with their outputs and faults."""
        return {
            "ok": self.ok,
            "sentence": self.sentence(),
            "blocks": [_json(b) for b in self.blocks],
            "unjudged": list(self.unjudged),
        }

    def sentence(self) -> str:
        """One sentence that says what to look at."""
        if self.untrained and not self.checked and self.blocks:
            return f"No gradient of a parameter was found: none of {listed(self.unjudged)}."
        if not self.blocks or not self.checked:
            whys = dict.fromkeys(why for b in self.blocks if (why := b.why_unchecked))
            return self.why or "Nothing could be checked: " + "; ".join(whys)
        first = next((b for b in self.blocks if b.fault is not None), None)
        if first is not None:
            return _look(first, len(self.faults))
        bad = next((b for b in self.blocks if b.bad), None)
        if bad is not None:
            return f"{bad.backward} returns a wrong gradient, but no statement of it was found at fault."
        found = (
            "The gradients that were found are right"
            if self.unjudged
            else "All gradients are right"
        )
        scaled = sorted({w for b in self.blocks for w in _conventions(b)})
        if scaled:
            found += f"; by convention {', '.join(scaled)}"
        return (
            f"{found}; none was found of {listed(self.unjudged)}." if self.unjudged else f"{found}."
        )


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first of these names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _look(block: Checked, count: int) -> str:
    fault = block.fault
    assert fault is not None
    wrong: dict[str, list[str]] = {}
    for output in block.outputs:
        if output.verdict.bad:
            wrong.setdefault(said(output.verdict), []).append(output.name)
    alike = [f"{', '.join(names)}: {words}" for words, names in wrong.items()]
    what = "; ".join(alike) or block.note
    where = f"{short(fault.file)}, line {fault.line}"
    line = f": {fault.statement}" if fault.statement else ""
    more = f" ({count - 1} more below.)" if count > 1 else ""
    return f"Look at {fault.function}, {where}{line}\n{what}.{more}"


def _conventions(block: Checked) -> Iterator[str]:
    for output in block.outputs:
        if output.verdict.kind == SCALED and output.verdict.convention:
            yield f"{output.name} is ×{output.verdict.reason}"


def said(verdict: Verdict) -> str:
    """A verdict in words."""
    if verdict.kind == EXACT:
        return "exact"
    if verdict.kind == SCALED:
        factor = f"×{verdict.factor:.6g}" if verdict.factor is not None else "scaled"
        known = verdict.reason
        if verdict.convention:
            return f"×{known} by convention"
        if "while" in known:
            return known
        return f"{factor} ({known})" if known and known != factor[1:] else factor
    if verdict.kind == "wrong":
        off = "" if math.isinf(verdict.deviation) else f" by {verdict.deviation:.2g}"
        return f"wrong{off}" + (f" ({verdict.reason})" if verdict.reason else "")
    return f"{verdict.kind}" + (f" ({verdict.reason})" if verdict.reason else "")


def short(file: str) -> str:
    """A path as one would type it: relative, where the file lies below the current folder."""
    try:
        near = os.path.relpath(file)
    except ValueError:  # another drive
        return file
    return file if near.startswith("..") else near


def _json(block: Checked) -> dict[str, Any]:
    fault = block.fault
    return {
        "forward": block.forward or None,
        "backward": block.backward,
        "call": block.ordinal,
        "file": block.file,
        "line": block.line,
        "outputs": [_output(output) for output in block.outputs],
        "passed_on": block.passed_on,
        "note": block.note or None,
        "cache": block.audit.to_json() if block.audit is not None else None,
        "fault": None if fault is None else {
            "function": fault.function, "file": fault.file, "line": fault.line,
            "statement": fault.statement,
        },
    }  # fmt: skip


def _output(output: Output) -> dict[str, Any]:
    verdict = output.verdict
    finite = lambda x: x if x is not None and math.isfinite(x) else None
    return {
        "name": output.name,
        "of": output.of or None,
        "verdict": verdict.kind,
        "factor": finite(verdict.factor),
        "convention": verdict.convention,
        "deviation": finite(verdict.deviation),
        "where": list(verdict.where),
        "cosine": finite(verdict.cosine),
        "reason": verdict.reason or None,
    }


def checked(trace: Any, judged: Judged, audit: Audit | None) -> Checked:
    """One row of the report."""
    case = judged.case
    outputs = tuple(
        Output(_called(t), t.of_name or _of(trace, t), v, t.got) for t, v in judged.outputs
    )
    return Checked(
        case.forward.function if case.forward is not None else "",
        case.backward.function, case.backward.id, case.backward.ordinal, case.backward.file,
        case.backward.line, outputs, judged.fault, judged.passed_on, judged.note, audit,
    )  # fmt: skip


def _called(target: Target) -> str:
    """What a gradient is called: d of what it is the gradient of, where the code has no name."""
    unnamed = target.name.startswith("result") or target.name.startswith("[")
    return f"d{target.of_name}" if unnamed and target.of_name else target.name


def _of(trace: Any, target: Target) -> str:
    return trace.values[target.of].name if target.of in trace.values else ""
