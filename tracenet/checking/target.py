"""The claim that one value of a run is the gradient of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..recording.notes import UNKNOWN
from ..records import Block, Op
from .match import Named
from .run import Run

GIVES = {"matmul", "dot", "outer", "einsum", "sum", "mean", "multiply", "divide", "transpose"}
"""What a step that is a gradient itself was made by; a sum of others would be a momentum."""


@dataclass(frozen=True, slots=True)
class Target:
    """One gradient that is claimed: `got` is the value, `of` what it should be the gradient of.

    name: what the code calls it. parameter: whether `of` is a parameter, not data that flow. why:
    what else is to be said, or why it cannot be checked where `of` is None. of_name: what the
    forward block calls what it is the gradient of. raw: what was returned in the place of an array.
    total: the sum that `got` was added to. parts: what each of several calls gave, of which `got` is
    the last.
    """

    name: str
    got: int | None
    of: int | None
    parameter: bool = False
    why: str = ""
    of_name: str = ""
    raw: Any = UNKNOWN
    total: int | None = None
    parts: tuple[int, ...] = ()


def target(run: Run, gradient: Named, of: Named | None, home: Run | None = None) -> Target:
    """The claim that one value is the gradient of another."""
    if of is None:
        why = f"cannot tell what {gradient.name} is the gradient of"
        return Target(gradient.name, gradient.id, None, why=why)
    got = before_clipping(run, gradient.id)
    why = "before clipping" if got != gradient.id else ""
    home = home or run
    leaf = home.tape.leaves.get(of.id)
    trained = home.parameter(of.id) or (leaf is not None and leaf.role == "constant")  # b = 0.0
    trained = trained or (leaf is None and of.id not in home.maker)  # the same, of the run's own
    return Target(gradient.name, got, of.id, trained, why, of.name)


def before_clipping(run: Run, id: int) -> int:
    """The gradient as it was before it was clipped, or scaled by its own norm: a step of its own."""
    while True:
        op = run.maker.get(id)
        source = _unclipped(run, op) if op is not None else None
        if source is None:
            return id
        id = source


def _unclipped(run: Run, op: Op) -> int | None:
    """What an operation clipped; None if it did something else."""
    if op.rule == "clip":
        return op.ins[0]
    if op.rule == "write" and run.shape(op.ins[1]) == run.shape(op.outs[0]):
        maker = run.maker.get(op.ins[1])
        return op.ins[1] if maker is not None and maker.rule == "clip" else None
    if op.rule in ("multiply", "divide") and len(op.ins) == 2:
        scale = next((i for i in op.ins if not run.shape(i)), None)
        array = next((i for i in op.ins if run.shape(i)), None)
        if scale is not None and array is not None:
            for one in (array, run.unscaled(array)):  # `dW / norm`, and `dW * most / norm`
                if one in run.behind(scale):
                    return one
    return None


def averaged(run: Run, op: Op) -> bool:
    """Whether an optimizer made a value, as a moving average: `v = beta * v + (1 - beta) * g`."""
    if op.rule not in ("add", "subtract") or len(op.ins) != 2:
        return False
    name = run.trace.values[op.outs[0]].name
    for i in op.ins:
        step = run.maker.get(i)
        if step is None or step.rule != "multiply" or len(step.ins) != 2:
            continue
        arrays = [k for k in step.ins if run.shape(k) == run.shape(op.outs[0]) != ()]
        state = arrays[0] if len(arrays) == 1 else None
        if state is None or run.parameter(state) or run.trace.values[state].name != name:
            continue
        before = run.maker.get(state)
        if state in run.tape.leaves or (before is not None and averaged(run, before)):
            return True
    return False


def stepped(run: Run, block: Block, given: list[Named]) -> list[Target]:
    """The gradients by which a block also updates its parameters: W -= rate * g, or W += g.

    given: the values that may be parameters. A step that was worked out where it is taken is no
    gradient, but what an optimizer made of one.
    """
    parameters = {x.id: x for x in given if run.parameter(x.id)}
    found: dict[int, Target] = {}
    for op in run.ops_in(block):
        if op.rule not in ("add", "subtract") or len(op.ins) != 2:
            continue
        of, step = parameters.get(op.ins[0]), run.maker.get(op.ins[1])
        if of is None or step is None or of.id in found:
            continue
        g = _without_rate(run, step, of.id)
        if g == op.ins[1] and not (step.rule in GIVES and _renews(run, op, of)):
            continue
        if run.shape(g) == run.shape(of.id) and not _by_optimizer(run, op, block, g):
            found[of.id] = target(run, Named(f"d{of.name}", g), of)
    return list(found.values())


def _without_rate(run: Run, step: Op, of: int) -> int:
    """The gradient g of a step `rate * g`; the step itself where it has no rate."""
    id = step.outs[0]
    while step.rule in ("multiply", "divide"):
        arrays = [i for i in step.ins if run.shape(i) == run.shape(of)]
        if len(arrays) != 1 or all(run.shape(i) for i in step.ins):
            break
        id = arrays[0]
        if run.trace.values[id].name or id not in run.maker:
            break
        step = run.maker[id]
    return id


def _renews(run: Run, op: Op, of: Named) -> bool:
    """Whether the result takes the parameter's place, as in `W += g`."""
    return run.trace.values[op.outs[0]].name == run.trace.values[of.id].name


def _by_optimizer(run: Run, op: Op, block: Block, id: int) -> bool:
    maker = run.maker.get(id)
    return op.block != block.id and maker is not None and maker.block == op.block
