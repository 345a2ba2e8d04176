"""Which boxes a trace is drawn as, and the views that draw them.

Blocks are opened and closed (`opening`), the run is cut into parts (`cutting`), loose statements
are gathered (`gathering`), and each backward part gets its forward part (`pairing`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from .cutting import partition
from .cycles import no_search_for_cycles
from .diagram import Diagram, proportion
from .errors import UsageError, unknown
from .gathering import gathered, with_loss
from .heatmaps import together
from .looping import looped
from .notation import is_w, written_in
from .opening import called, no_such_block, opened
from .pairing import paired
from .parts import Part, flows
from .records import FORWARD
from .trace import Step, Trace

VIEWS = ("blocks", "ops", "network", "circuit", "cache")


def parts(
    trace: Trace,
    depth: int | None = None,
    open: Collection[str] = (),
    close: Collection[str] = (),
) -> list[Part]:
    """The parts of a trace in the order in which they ran, each backward part with its `of`.

    open, close: names of blocks that are opened and closed besides what `depth` says.
    Raises UsageError with the names there are for a name that no block has.
    """
    if depth is not None and depth < 1:
        raise UsageError(f"depth must be 1 or more, got {depth}: 1 shows the outermost blocks")
    names = (*open, *close)
    pieces = partition(trace, opened(trace, depth, open, close))
    cut = with_loss(trace, looped(trace, gathered(trace, pieces)))
    for name in names:
        if not called(trace, name) and name not in {part.name for part in cut}:
            raise no_such_block(
                name, (*_names(trace), *(p.name for p in cut if p.phase == FORWARD))
            )
    return paired(trace, _apart(cut, pieces, open))


def _names(trace: Trace) -> Iterator[str]:
    """What blocks can be called by."""
    for block in trace.blocks[1:]:
        if not block.of:
            yield block.name
            yield block.function.rpartition(".")[2]


def _apart(cut: list[Part], pieces: list[Part], names: Collection[str]) -> list[Part]:
    """The parts, those of the given names as the statements that they were gathered from."""
    result: list[Part] = []
    for part in cut:
        if part.name not in names or not part.loose:
            result.append(part)
            continue
        mine = set(part.ops)
        result += [piece for piece in pieces if mine.issuperset(piece.ops)] or [part]
    return result


def steps(trace: Trace, depth: int | None) -> Iterator[Step]:
    """Both passes, part by part."""
    for part in parts(trace, depth):
        block = trace.blocks[part.block]
        if part.loose or part.derived:
            block = replace(block, name=part.name, phase=part.phase)
        inputs, outputs = flows(trace, part)
        yield Step(
            block,
            tuple(trace.ops[k] for k in part.ops),
            tuple(trace.values[i] for i in inputs),
            tuple(trace.values[i] for i in outputs),
        )


@no_search_for_cycles()
def diagram(
    trace: Trace, view: str, notation: str = "ng", legend: bool = False,
    ratio: str | float | None = None, **options: Any,
) -> Diagram:  # fmt: skip
    """The diagram of a view, its names in a notation, and with a legend if that is asked for."""
    wide = proportion(ratio)
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    from .choosing import chosen

    matrices = any(len(v.shape) > 1 and is_w(v.name) for v in trace.values.values())
    with written_in(notation, layers=matrices):
        made = together(chosen(trace, view, **options))
    return replace(made, legend=legend, ratio=wide)
