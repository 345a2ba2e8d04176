"""What of a view is drawn: its options checked, a block in focus, equal blocks folded."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from importlib import import_module
from itertools import groupby
from typing import Any

from .collapsing import Gap, collapsed
from .diagram import BACKWARD_LANE, FORWARD_LANE, Diagram, Node
from .errors import UsageError
from .folding import LEAST, folded
from .opening import no_such_block
from .trace import Trace

DRAWN_BY = {
    "blocks": "picture",
    "ops": "ops_picture",
    "network": "network_picture",
    "circuit": "circuit_picture",
    "cache": "cache_picture",
}
IN_ROWS = ("blocks", "network", "cache")
"""The views whose boxes are blocks, which can be opened, closed, put in focus and folded."""

Names = str | Collection[str]


def chosen(
    trace: Trace,
    view: str,
    *,
    open: Names = (),
    close: Names = (),
    focus: Names = (),
    fold: bool | str | None = None,
    **options: Any,
) -> Diagram:
    """The diagram of a view with what was chosen of it."""
    module = import_module(f".{DRAWN_BY[view]}", __package__)
    names = {"open": _several(open), "close": _several(close), "focus": _several(focus)}
    if view in IN_ROWS:
        made = module.draw(trace, open=names["open"], close=names["close"], **options)
        whole = focused(trace, made, names["focus"])
        made = folded(whole, fold)
        if fold and len(made.nodes) == len(whole.nodes):
            warnings.warn(
                f"nothing was folded: no {LEAST} blocks in sequence are equal in their formulas, "
                "shapes and arrows",
                stacklevel=2,
            )
    else:
        _check_blocks(view, [*(n for n in names if names[n]), *(["fold"] if fold else [])])
        made = module.draw(trace, **options)
    return made


def _several(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _check_blocks(view: str, asked: list[str]) -> None:
    if asked:
        raise UsageError(
            f"{', '.join(asked)}: the view {view!r} draws operations, and these choose blocks: "
            f"use one of {', '.join(map(repr, IN_ROWS))}"
        )


# ---------------------------------------------------------------------- focus


def focused(trace: Trace, diagram: Diagram, names: Collection[str]) -> Diagram:
    """The blocks of some names with their neighbours; what is left out is an ellipsis.

    Raises UsageError with the names there are for a name that nothing in the diagram has.
    """
    if not names:
        return diagram
    middle: set[int] = set()
    for name in names:
        middle |= {node.column for node in _called(trace, diagram, name)}
    kept = middle | set(_neighbours(diagram, middle))
    return collapsed(diagram, _gaps({node.column for node in diagram.nodes}, kept))


def _called(trace: Trace, diagram: Diagram, name: str) -> list[Node]:
    """The boxes of a name, as drawn or of a function."""
    boxes = [node for node in diagram.nodes if node.kind in ("forward", "loss", "backward")]
    functions = {
        "/".join(b.name for b in trace.around(block.id)): block.function.rpartition(".")[2]
        for block in trace.blocks[1:]
    }
    function = lambda node: functions.get(node.block) if node.block else None
    found = [node for node in boxes if name in (node.name, function(node))]
    if not found:
        known = [n for node in boxes for n in (node.name, function(node)) if n]
        raise no_such_block(name, known)
    return found


def _neighbours(diagram: Diagram, columns: Collection[int]) -> Iterator[int]:
    """The columns that arrows along the passes lead to and from."""
    by_id = {node.id: node for node in diagram.nodes}
    for edge in diagram.edges:
        tail, head = by_id[edge.tail], by_id[edge.head]
        if tail.lane == head.lane and tail.lane in (FORWARD_LANE, BACKWARD_LANE):
            if tail.column in columns or head.column in columns:
                yield from (tail.column, head.column)


def _gaps(columns: Collection[int], kept: Collection[int]) -> list[Gap]:
    found = []
    for out, group in groupby(sorted(columns), key=lambda column: column not in kept):
        if out:
            run = list(group)
            found.append(Gap(run[0], run[-1]))
    return found
