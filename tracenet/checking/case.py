"""One thing to check: a hand-written backward, with where its reference begins and what it claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..records import Block
from .run import Run
from .target import Target


@dataclass(slots=True)
class Case:
    """One backward block, and what is to be known of it.

    forward: its forward block, or None for a whole pass. ops: the operations on the tape that the
    reference is made of. seeds: for a forward value the value that is its gradient, or None where
    it is the loss itself. own: the operations of the backward code, as they stand on the tape.
    inside: the places of the cases whose blocks ran inside this one. home: the run of the forward
    block, where that is another one; given: values of it that are replaced. elementwise: whether it
    is a derivative f′(z) that others multiply with the gradient, and no gradient itself.
    note: what else there is to say of it.
    """

    backward: Block
    forward: Block | None
    ops: list[int]
    seeds: dict[int, int | None]
    targets: list[Target]
    own: list[int]
    why: str = ""
    inside: list[int] = field(default_factory=list)
    home: Run | None = None
    given: dict[int, Any] = field(default_factory=dict)
    elementwise: bool = False
    note: str = ""

    @property
    def whole(self) -> bool:
        """Whether it begins at the loss."""
        return not self.elementwise and any(g is None for g in self.seeds.values())
