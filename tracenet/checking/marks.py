"""The verdicts of a check on the picture: each backward box says in words how it was found."""

from __future__ import annotations

from dataclasses import replace

from ..diagram import Diagram, Node
from ..parts import Part
from ..records import BACKWARD
from ..trace import Trace
from ..views import parts
from .conventions import digits
from .report import Checked, Output, Report
from .verdict import EXACT, UNCHECKED


def marked(trace: Trace, diagram: Diagram, report: Report, depth: int | None = None) -> Diagram:
    """The diagram with a verdict on each box of hand-written backward code."""
    path = lambda block: "/".join(b.name for b in trace.around(block))
    boxes = {(part.name, path(part.block)): part for part in parts(trace, depth) if _is_ours(part)}
    nodes = []
    for node in diagram.nodes:
        part = boxes.get((node.name, node.block or "")) if node.kind == "backward" else None
        nodes.append(node if part is None else _with_verdict(trace, node, part, report))
    return replace(diagram, nodes=tuple(nodes))


def _is_ours(part: Part) -> bool:
    return part.phase == BACKWARD and not part.derived


def _with_verdict(trace: Trace, node: Node, part: Part, report: Report) -> Node:
    rows = [row for row in report.blocks if _belongs(trace, row, part)]
    if not rows:
        return node
    worst = rows[0]  # a report begins with the worst
    outputs = [o for row in rows for o in row.outputs if _made_here(trace, o, part)]
    mark, remark = _verdict(worst, outputs)
    return replace(node, mark=mark, remark=remark)


def _belongs(trace: Trace, row: Checked, part: Part) -> bool:
    """Whether a checked block is the box, or lies in it; or holds it, where it is statements."""
    inside = part.block in {b.id for b in trace.around(row.block)}
    return row.block == part.block if part.loose else inside


def _made_here(trace: Trace, output: Output, part: Part) -> bool:
    if output.value is None or not part.loose:
        return True
    return any(output.value in trace.ops[k].outs for k in part.ops)


def _verdict(worst: Checked, outputs: list[Output]) -> tuple[str, str]:
    wrong = [o for o in outputs if o.verdict.bad]
    if wrong:
        names = ", ".join(dict.fromkeys(o.name for o in wrong))
        if worst.fault is None:
            return "wrong", f"✗ {names} wrong: passed on"
        return "wrong", f"✗ {names} {_short(wrong[0])}, line {worst.fault.line}"
    judged = [o for o in outputs if o.verdict.kind != UNCHECKED]
    if not judged:
        return ("unchecked", "unchecked") if outputs else ("", "")
    scaled = {o.verdict.reason: [] for o in judged if o.verdict.kind != EXACT}  # type: ignore[var-annotated]
    for o in judged:
        if o.verdict.kind != EXACT:
            scaled[o.verdict.reason].append(o.name)
    if not scaled:
        return "right", "✓ gradients right"
    text = "; ".join(f"{', '.join(dict.fromkeys(n))} ×{reason}" for reason, n in scaled.items())
    return "scaled", f"✓ right, {text}"


def _short(output: Output) -> str:
    verdict = output.verdict
    if verdict.factor is not None and "while" not in verdict.reason:
        return f"×{verdict.reason or digits(verdict.factor)}"
    if verdict.kind == "wrong":
        return f"wrong by {verdict.deviation:.2g}"
    return verdict.kind if "while" not in verdict.reason else "scaled unlike the others"
