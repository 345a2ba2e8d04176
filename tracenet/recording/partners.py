"""Which forward block each hand-written backward block belongs to.

A backward block reads what its forward block read or made: that is the cache, whatever carried it.
What all blocks of one function touch, as shared weights, says nothing about which of them it is; so
those that touch something rarer are looked at first, and the others only where that leaves a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..records import BACKWARD, FORWARD, Block, Op
from .phases import function_of, is_backward, stem, up_to

Score = tuple[bool, bool, int, int, bool, int, int]


def pair(
    blocks: list[Block], ops: list[Op], objects: dict[int, int], handed: dict[int, set[int]]
) -> None:
    """Finds the forward block of each hand-written backward block that the user's code ran.

    Of equal candidates the latest that has no backward block yet is taken; one that has is taken
    again where the cache is clearly its own, as when the same cache is passed twice. A method
    belongs to the method of the same object. A block that keeps no values, as one that only
    reshapes, is known by its name and by the order of the run. objects: the object that a block is
    a method of. handed: the values that a block was handed, where that was noted.
    """
    search = _Search(blocks, _touched(blocks, ops), objects, handed)
    for keeps in (True, False):
        for block in blocks:
            block = blocks[block.id]
            if block.phase != BACKWARD or not block.handwritten or block.of is not None:
                continue
            best = search.best(block, keeps)
            if best is not None:
                search.taken.add(best)
                of = blocks[best]
                name = f"{of.name} backward"
                blocks[block.id] = replace(block, of=best, ordinal=of.ordinal, name=name)


def _touched(blocks: list[Block], ops: list[Op]) -> dict[int, set[int]]:
    """For each block, the values that it or a block inside it reads or makes."""
    found: dict[int, set[int]] = {block.id: set() for block in blocks}
    for op in ops:
        for block in up_to(blocks, op.block, None):
            found[block].update(op.ins)
            if op.phase == FORWARD:
                found[block].update(op.outs)
    return found


@dataclass(slots=True)
class _Group:
    """Forward blocks that a backward block may belong to, by its name.

    members: in the order of the run. shared: what all of them touch. by: who touches another value.
    """

    members: list[int]
    shared: set[int] = field(default_factory=set)
    by: dict[int, list[int]] = field(default_factory=dict)

    def near(self, values: set[int]) -> list[int]:
        """Those that touch one of some values that not all touch."""
        found = {id for value in values - self.shared for id in self.by.get(value, ())}
        return sorted(found)


class _Search:
    """What is known of all blocks while pairs are found."""

    def __init__(
        self,
        blocks: list[Block],
        touched: dict[int, set[int]],
        objects: dict[int, int],
        handed: dict[int, set[int]],
    ) -> None:
        self.blocks, self.touched, self.objects, self.handed = blocks, touched, objects, handed
        self.taken = {block.of for block in blocks if block.of is not None}
        self.depth = {block.id: len(list(up_to(blocks, block.id, None))) for block in blocks}
        self.forward = [
            (block.id, stem(block.function), _class_of(block))
            for block in blocks
            if block.phase == FORWARD
        ]
        self.groups: dict[tuple[str, str | None], _Group] = {}

    def best(self, block: Block, keeps: bool) -> int | None:
        """The forward block of a backward block. keeps: whether by what is in its cache."""
        group = self._group(block)
        scores: list[Score] = []
        if keeps:
            read, handed = self.touched[block.id], self.handed.get(block.id, set())
            scores = self._scores(block, group.near(read | handed), keeps)
            if scores and max(scores)[:2] == (block.id in self.objects, True):
                return max(scores)[-1]  # the others touch less of its cache
        scores = self._scores(block, group.members, keeps)
        return max(scores)[-1] if scores else None

    def _group(self, block: Block) -> _Group:
        named = is_backward(function_of(block)) or _named_after(block, self.blocks)
        mine, owner = stem(block.function), None if named else _class_of(block)
        if (mine, owner) not in self.groups:
            members = [id for id, name, of in self.forward if name == mine or of == owner]
            self.groups[mine, owner] = self._indexed(_Group(members))
        return self.groups[mine, owner]

    def _indexed(self, group: _Group) -> _Group:
        if group.members:
            group.shared = set.intersection(*(self.touched[id] for id in group.members))
        for id in group.members:
            for value in self.touched[id] - group.shared:
                group.by.setdefault(value, []).append(id)
        return group

    def _scores(self, block: Block, candidates: list[int], keeps: bool) -> list[Score]:
        own, named_for = self.objects.get(block.id), _named_for(block)
        mine, handed = self.touched[block.id], self.handed.get(block.id, set())
        around = set(up_to(self.blocks, block.id, None))
        scores = []
        for other in candidates:
            read, common = mine & self.touched[other], handed & self.touched[other]
            same = own is not None and own == self.objects.get(other)
            if own is not None and other in self.objects and not same:
                continue
            free = other not in self.taken
            if same or read or common if keeps else free and other < block.id and named_for:
                near = -abs(self.depth[block.id] - self.depth[other])
                # an object holds the cache of all its calls: what is read of it says which one
                outside = other not in around  # a function is seldom the forward of what it calls
                scores.append((same, outside, len(read), len(common), free, near, other))
        return scores


def _class_of(block: Block) -> str:
    return block.function.rpartition(".")[0]


def _named_after(block: Block, blocks: list[Block]) -> bool:
    """Whether a block belongs to a backward pass only by the block that it stands in."""
    return block.parent is not None and blocks[block.parent].phase == BACKWARD


def _named_for(block: Block) -> bool:
    """Whether the name says whose backward this is: `Reshape.backward`, not a bare `backward`."""
    return bool(stem(block.function).strip("._"))
