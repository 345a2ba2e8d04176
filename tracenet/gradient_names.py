"""Which names in a run are those of gradients that its own code computes.

`dW1` is one where there is a `W1`, and `l1_delta` is by its ending. From these it spreads along the
flow of values: `dhraw`, which is no gradient by its name alone, is one because it is computed from
`dh`; and `dy`, where nothing is called `y`, because `dWhy` is computed from it.
"""

from __future__ import annotations

import re
from typing import Any

from .notation import split_gradient

ENDINGS = "_(?:deltas?|errors?|err|grads?|gradients?|adjustments?)"


def ends_as_gradient(name: str) -> bool:
    """Whether a name that does not begin with d is a gradient's: `delta`, `grad_W`, `l1_delta`.

    >>> ends_as_gradient("l1_delta"), ends_as_gradient("delta2"), ends_as_gradient("l1")
    (True, True, False)
    """
    begins = re.match(r"(delta|grad|nabla)(_|\d|$)", name)
    return bool(begins or re.fullmatch(rf"\w+?{ENDINGS}", name))


def gradient_names(trace: Any) -> frozenset[str]:
    """The names of gradients in a trace, of all its values."""
    known = trace.names
    found = {name for name in known if _surely(name, known)}
    flows = _flows(trace)
    before = -1
    while len(found) != before:
        before = len(found)
        for made, read in flows:
            if made not in found and read & found and re.match(r"d[A-Za-z]", made):
                found.add(made)
            if made in found:
                found.update(name for name in read if split_gradient(name)[1])
    return frozenset(found)


def _surely(name: str, known: frozenset[str]) -> bool:
    base, gradient = split_gradient(name)
    return (gradient and base in known) or ends_as_gradient(name)


def _flows(trace: Any) -> list[tuple[str, set[str]]]:
    """For each name, the names that values of that name are computed from, past unnamed ones."""
    values = trace.values
    through: dict[int, set[str]] = {}
    found: dict[str, set[str]] = {}
    nothing: set[str] = set()
    for op in trace.ops:
        if op.of is not None:
            continue
        read: set[str] = set()
        for i in op.ins:
            read |= {values[i].name} if values[i].name else through.get(i, nothing)
        for out in op.outs:
            name = values[out].name
            if name:
                found.setdefault(name, set()).update(read - {name})
            else:
                through[out] = read
    return list(found.items())
