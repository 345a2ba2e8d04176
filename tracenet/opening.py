"""Which blocks are opened: by default whatever holds a chain of layers, and nothing below that.

Blocks can be opened and closed by name on top of that: as they are drawn, `layer 2`, or by the name
of the function, which stands for all its calls.
"""

from __future__ import annotations

from collections.abc import Iterable

from .cutting import partition
from .errors import UsageError
from .gathering import gathered
from .parts import numbered, path, weights
from .records import FORWARD, Block
from .trace import Trace

LISTED = 30
"""Names that are listed where one is unknown."""


def opened(
    trace: Trace, depth: int | None, open: Iterable[str] = (), close: Iterable[str] = ()
) -> set[int]:
    """The numbers of the blocks that are drawn as what is in them."""
    found = _by_default(trace) if depth is None else _to_depth(trace, depth)
    for name in open:
        for id in called(trace, name):
            found.update(path(trace, id))
    for name in close:
        shut = set(called(trace, name))
        found = {id for id in found if id == 0 or not shut & set(path(trace, id))}
    return found


def called(trace: Trace, name: str) -> list[int]:
    """The blocks of a name, as drawn or of their function; not the trace itself."""
    return [b.id for b in trace.blocks[1:] if name in (b.name, b.function.rpartition(".")[2])]


def no_such_block(name: str, names: Iterable[str]) -> UsageError:
    """What is said of a name that no block has: the names there are."""
    known = list(dict.fromkeys(names))
    more = f", … ({len(known)} in all)" if len(known) > LISTED else ""
    there = ", ".join(map(repr, known[:LISTED])) or "none with a name"
    return UsageError(f"no block is called {name!r} in this trace; there are {there}{more}")


def _to_depth(trace: Trace, depth: int) -> set[int]:
    return {block.id for block in trace.blocks if len(trace.around(block.id)) <= depth}


def _by_default(trace: Trace) -> set[int]:
    blocks = trace.blocks
    found = {0}
    for block in blocks[1:]:
        if block.phase == FORWARD and block.parent in found and not block.ordinal:
            if _holds_chain(trace, block.id):
                found.add(block.id)
    for block in blocks[1:]:
        if block.of in found or _holds_layers(trace, block, found):
            found.add(block.id)
    return found


DEEPEST = 4
"""How far it is looked for a chain of layers in what a block calls."""


def _holds_chain(trace: Trace, id: int, far: int = DEEPEST) -> bool:
    """Whether a block holds a chain of layers, or calls what holds one, as a `train_step` does."""
    if _layers_in(trace, id) >= 2:
        return True
    inner = [b for b in trace.blocks if b.parent == id and b.phase == FORWARD and not b.ordinal]
    return far > 0 and any(_holds_chain(trace, block.id, far - 1) for block in inner)


def _layers_in(trace: Trace, id: int) -> int:
    """How many parts of a block, were it opened, read parameters of their own."""
    inside = [p for p in partition(trace, {0, *path(trace, id)}) if id in path(trace, p.block)]
    together = gathered(trace, [p for p in inside if p.phase == FORWARD])
    own = [w for part in together if (w := weights(trace, part))]
    return min(len(own), len(set().union(*own)))


def _holds_layers(trace: Trace, block: Block, opened: set[int]) -> bool:
    """Whether a hand-written backward is a whole pass: it holds the backwards of several layers."""
    if block.parent not in opened or not block.handwritten or block.of is not None:
        return False
    own = [b for b in trace.blocks if b.parent == block.id]
    loose = {
        found[1]
        for op in trace.ops
        if op.block == block.id
        for out in op.outs
        if (found := numbered(trace.values[out].name)) is not None and found[0].startswith("d")
    }
    return len(own) > 1 or len(loose) > 1
