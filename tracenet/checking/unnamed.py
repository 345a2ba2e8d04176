"""Gradients that have no name of their own: returned in the loss's company, or only taken as a step.

`return loss, X.T @ dz, dz.sum(0)` and `p["W"] -= rate * (X.T @ dz)` are gradients by what they do: what
is returned has a parameter's key, or alone has its shape, and was computed from all of the data.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..records import Block
from ..words import GRADIENT
from .match import Named, arrays, bases, named_or_keyed
from .run import Run
from .target import Target, averaged, stepped, target

SUMS = {"matmul", "dot", "outer", "einsum", "tensordot", "sum", "mean", "transpose", "add"}
"""What makes a step that was not given a name: an elementwise one may be an optimizer's."""


def unnamed(
    run: Run, block: Block, loss: int, inputs: list[Named], have: set[int | None]
) -> list[Target]:
    """What a function with both passes leaves for parameters that it names no gradient of.

    inputs: the values that the loss is computed from. have: those that have a gradient.
    """
    read = run.read_in(block).keys()
    parameters = {x.id: x for x in inputs if run.parameter(x.id) and x.id in read - have}
    free = list(parameters.values())
    if not free:
        return []
    leading = run.leading(loss)
    returned = [x for x in _returned(run, block, leading) if _of_all_data(run, x.id, leading)]
    found = [target(run, x, of) for x, of in _pairs(run, returned, inputs, free)]
    rest = [x for x in free if x.id not in {t.of for t in found}]
    for step in stepped(run, block, rest):
        maker = run.maker.get(step.got) if step.got is not None else None
        if maker is not None and maker.rule in SUMS and not averaged(run, maker):
            found.append(step)
    return found


def _returned(run: Run, block: Block, leading: set[int]) -> Iterator[Named]:
    """The arrays that a block returns and that are neither of its forward pass nor parameters."""
    for x in arrays(run.result(block), "result"):
        maker = run.maker.get(x.id)
        if maker is None or x.id in leading or not run.shape(x.id) or not run.floating(x.id):
            continue
        if not averaged(run, maker) and x.id not in run.versions and not _renewed(run, x.id):
            yield x


def _renewed(run: Run, id: int) -> bool:
    """Whether a value is what an update made of a parameter: W - rate * dW."""
    op = run.maker[id]
    return op.rule in ("add", "subtract") and any(run.parameter(i) for i in op.ins)


def _of_all_data(run: Run, id: int, leading: set[int]) -> bool:
    """Whether a value was computed from all the data that the loss was, as its gradients are."""
    behind, leaves = run.behind(id), run.tape.leaves
    data = {i for i in leading if i in leaves and leaves[i].role == "input" and run.shape(i)}
    return data <= behind


def _pairs(
    run: Run, returned: list[Named], inputs: list[Named], free: list[Named]
) -> Iterator[tuple[Named, Named]]:
    """Each of these arrays with the parameter of its key, or of its shape where there is one such."""
    known = {x.name for x in inputs}
    for x in returned:
        alike = [p for p in free if run.shape(p.id) == run.shape(x.id)]
        keyed = named_or_keyed(x, alike)
        if keyed is not None and sum(p.name == keyed.name for p in alike) > 1:
            continue  # the `w` of several layers
        own = run.trace.values[x.id].name
        says = GRADIENT.fullmatch(own) is not None and not known.isdisjoint(bases(own))
        rivals = [y for y in returned if run.shape(y.id) == run.shape(x.id)]
        if keyed is None and not says and len(alike) == len(rivals) == 1:
            keyed = alike[0]
        if keyed is not None:
            yield Named(f"d{keyed.name}", x.id), keyed
