"""The trace as a networkx graph, and what makes a trace legal.

Edges point the way that values flow: in the forward pass from inputs to the loss, in the backward
pass from the loss to the gradients, and across from what is cached to what reads it.
"""

from __future__ import annotations

from typing import Any

import networkx

from .errors import RecordError, unknown
from .records import BACKWARD, FORWARD, Op
from .trace import Trace
from .views import parts

LEVELS = ("blocks", "ops")


def graph(trace: Trace, level: str = "blocks", depth: int | None = None) -> networkx.MultiDiGraph:
    """A directed graph: nodes are blocks (as drawn at `depth`) or ops, edges are values.

    Nodes carry `name`, `phase` and `of` (the node that they mirror); edges are keyed by the number
    of the value and carry `name`, `shape` and `kind` (data, cache or gradient).
    """
    if level not in LEVELS:
        raise unknown("level", level, LEVELS)
    made = networkx.MultiDiGraph(title=trace.title)
    home = _by_op(trace, made) if level == "ops" else _by_part(trace, made, depth)
    for op in trace.ops:
        for i in dict.fromkeys(op.ins):
            value = trace.values[i]
            if value.op is not None and home[value.op] != home[op.id]:
                kind = _kind(trace.ops[value.op], op)
                made.add_edge(
                    home[value.op],
                    home[op.id],
                    key=i,
                    name=value.name,
                    shape=value.shape,
                    kind=kind,
                )
    return made


def _by_op(trace: Trace, made: Any) -> dict[int, int]:
    for op in trace.ops:
        made.add_node(op.id, name=op.rule, phase=op.phase, of=op.of, block=op.block)
    return {op.id: op.id for op in trace.ops}


def _by_part(trace: Trace, made: Any, depth: int | None) -> dict[int, int]:
    cut = parts(trace, depth)
    for i, part in enumerate(cut):
        made.add_node(i, name=part.name, phase=part.phase, of=part.of, block=part.block)
    return {k: i for i, part in enumerate(cut) for k in part.ops}


def _kind(tail: Op, head: Op) -> str:
    if tail.phase == FORWARD:
        return "data" if head.phase == FORWARD else "cache"
    return "gradient"


def check(trace: Trace) -> None:
    """Raises RecordError with the first contradiction among the records.

    A value is made once, and before it is read; a backward op mirrors a forward op; a block
    stands inside an earlier one of the same trace, and mirrors a forward block.
    """
    made: dict[int, int] = {}
    for op in trace.ops:
        for i in op.ins:
            value = trace.values[i]
            if value.op is not None and i not in made:
                raise RecordError(f"op {op.id} ({op.rule}) reads value {i} before it is made")
        for out in op.outs:
            if out in made:
                raise RecordError(f"value {out} is made twice, by ops {made[out]} and {op.id}")
            made[out] = op.id
        if op.of is not None and trace.ops[op.of].phase != FORWARD:
            raise RecordError(f"op {op.id} mirrors op {op.of}, which is not a forward op")
    _check_blocks(trace)


def _check_blocks(trace: Trace) -> None:
    count = len(trace.blocks)
    for block in trace.blocks:
        if block.parent is not None and not 0 <= block.parent < count:
            raise RecordError(
                f"block {block.id} stands in block {block.parent}, which is not there"
            )
        if block.of is not None and trace.blocks[block.of].phase != FORWARD:
            raise RecordError(f"block {block.id} mirrors block {block.of}, not a forward block")
        if block.of is not None and block.phase != BACKWARD:
            raise RecordError(f"block {block.id} mirrors another and is not a backward block")
