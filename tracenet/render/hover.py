"""What boxes and arrows say when they are pointed at: what they are, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..diagram import Diagram, Shown, plain
from ..figures import dimensions, grid
from . import label

MOST = 64
"""Elements of the largest array whose numbers are all told; of others the statistics are."""
DIGITS = 6

Rows = Sequence[Sequence[str]]
Numbers = dict[int, Rows]
"""By the `id` of an array that a diagram holds."""


def titles(diagram: Diagram) -> dict[str, str]:
    """What each box and arrow says, by its id."""
    nodes = {node.id: node for node in diagram.nodes}
    numbers: Numbers = {}
    titles = {node.id: told(node.name, node.shown, numbers) for node in diagram.nodes}
    for edge in diagram.edges:
        name = f"{nodes[edge.tail].name} → {nodes[edge.head].name}"
        titles[edge.id] = told(name, edge.shown, numbers)
    return titles


def told(name: str, shown: Iterable[Shown], known: Numbers | None = None) -> str:
    """A name, and under it arrays with their numbers, or what is said of them, line by line.

    known: the numbers of arrays that other boxes have told, which are kept there.

    >>> told("loss", [Shown(key="cost", dtype="float64", grid=(("0.5",),))])
    'loss\\ncost, float64:\\n0.5'
    """
    lines, known = [label.clean(name)], {} if known is None else known
    for item in shown:
        shape = dimensions(item.shape) if item.shape else ""
        power = f"times 10^{item.exponent}" if item.exponent else ""
        facts = (plain(item.name) or item.key, shape, item.dtype, item.state, power)
        numbers = ["  ".join(row) for row in item.grid or _all(item, known)] + list(
            item.summary[1:]
        )
        head = label.clean(", ".join(fact for fact in facts if fact))
        lines += [f"{head}:" if numbers else head, *map(label.clean, numbers)]
    return "\n".join(line for line in lines if line)


def _all(item: Shown, known: Numbers) -> Rows:
    """The numbers of an array that is drawn as a summary, if they are few: rows of its last axis."""
    data = item.data
    if (
        data is None
        or not 0 < data.size <= MOST
        or data.ndim == 0
        or data.dtype.kind not in "biufc"
    ):
        return ()
    if id(data) not in known:
        known[id(data)] = grid(data.reshape(-1, data.shape[-1]), DIGITS)
    return known[id(data)]
