"""Judging the cases: each backward block alone, then what is convention, and then whose fault it is."""

from __future__ import annotations

from ..records import Block
from .blame import attribute
from .case import Case
from .conventions import mark_conventions
from .excuses import excuse
from .reference import Judged, alone
from .run import Run


def judge(run: Run, cases: list[Case]) -> list[Judged]:
    """The verdicts on all cases, in their order: blocks inside others come first."""
    found = [alone(run, case) for case in cases]
    mark_conventions(run, found)
    excuse(run, found)
    for one in found:
        if one.bad:
            attribute(run, one, found)
    return found


def block_name(block: Block) -> str:
    """A block as a report names it: the function, and which of its calls."""
    return f"{block.function} {block.ordinal}" if block.ordinal else block.function


__all__ = ["Judged", "block_name", "judge"]
