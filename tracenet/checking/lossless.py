"""Cases of runs that compute no loss: the backward pass begins at an error such as `y - a`.

Many books go straight to the error. What follows from it can be judged all the same: whether the
rest is the backward of the forward pass, with that error as the gradient of the output, or of what
the output was computed from (a[L] - y is the gradient of z[L] under the cross-entropy).
"""

from __future__ import annotations

from ..ops import MIXING
from ..recording.notes import Note, Ref
from ..recording.phases import DERIVATIVE_NAME
from ..records import Block, Op
from .case import Case
from .claims import targets
from .match import Named
from .reference import alone
from .run import Run
from .target import Target, stepped
from .verdict import fits_up_to_m
from .whole import flat_targets, named_values

NO_LOSS = "no loss was computed in this run"


def from_error(run: Run, block: Block, forward: Block | None, own: list[int], note: Note) -> Case:
    """A backward pass from an error on, with the seed under which most of it is right."""
    nothing = Case(block, forward, [], {}, [], own, NO_LOSS)
    start = _error(run, block)
    if start is None:
        return nothing
    output, error = start
    leading = run.leading(output)
    before = [run.places[op.id] for op in run.ops if op.outs[0] in leading]
    claimed = _claims(run, block, note, output, error, set(own))
    if not claimed:
        return nothing
    name = run.trace.values[error].name or f"the error at line {run.maker[error].line}"
    said = f"no loss was computed; judged from {name} on, the gradient of "
    tries = []
    for end in (output, *_elementwise_before(run, output)):
        of = run.trace.values[end].name or "the output"
        case = Case(block, None, before, {end: error}, claimed, own, note=said + of)
        judged = alone(run, case)
        fits = [t for t, v in judged.outputs if fits_up_to_m(v)]
        right = sum(t.parameter for t in fits)
        wrong = len(judged.outputs) - len(fits)
        tries.append((right, -wrong, case))
    right, _, best = max(tries, key=lambda one: one[:2])
    return best if right else nothing


def compares(run: Run, ops: set[int]) -> bool:
    """Whether some of these operations compare an output of the network with a label."""
    return any(_compared(run, op, op.outs[0]) is not None for op in run.ops if op.id in ops)


def _error(run: Run, block: Block) -> tuple[int, int] | None:
    """The output of the network, and the first difference of it to something that is no output."""
    for op in run.ops_in(block):
        home = run.trace.blocks[op.block]
        if home.id != block.id and DERIVATIVE_NAME.fullmatch(home.function.rpartition(".")[2]):
            result = run.result(home)
            if isinstance(result, Ref) and (found := _compared(run, op, result.id)) is not None:
                return found
        elif (found := _compared(run, op, op.outs[0])) is not None:
            return found
    return _composed(run, block)


def _composed(run: Run, block: Block) -> tuple[int, int] | None:
    """An error that is no plain difference, as `-(y / a - (1 - y) / (1 - a))` is.

    It is computed from one output of the network and from labels alone, and what is not reads it.
    """
    source: dict[int, int] = {}  # value -> the output that it was computed from
    labelled: set[int] = set()
    for op in run.ops_in(block):
        trained = [i for i in op.ins if i in source or run.trained_before(i)]
        sources = {source.get(i, i) for i in trained}
        ready = [i for i in op.ins if i in labelled]
        if len(sources) == 1 and not any(run.parameter(i) for i in op.ins):
            output = sources.pop()
            source[op.outs[0]] = output
            if ready or any(i not in trained and run.shape(i) for i in op.ins):
                labelled.add(op.outs[0])
        elif ready and run.shape(ready[0]) == run.shape(source[ready[0]]):
            return source[ready[0]], ready[0]
    return None


def _compared(run: Run, op: Op, error: int) -> tuple[int, int] | None:
    if op.rule != "subtract" or len(op.ins) != 2 or not run.floating(error):
        return None
    trained = [i for i in op.ins if run.trained_before(i)]
    if len(trained) != 1 or not run.shape(error):
        return None
    label = next(i for i in op.ins if i != trained[0])
    same = run.shape(label) == run.shape(trained[0]) == run.shape(error)
    return (trained[0], error) if same else None


def _elementwise_before(run: Run, id: int) -> list[int]:
    """The z of an output σ(z) or softmax(z): what it is a function of, in the same function's call."""
    found, op = [], run.maker.get(id)
    home = op.block if op is not None else None
    while op is not None and op.block == home:
        inner = [i for i in op.ins if run.shape(i) == run.shape(id)]
        if not inner or op.rule in MIXING:
            break
        found.append(inner[0])
        op = run.maker.get(inner[0])
    return found


def _claims(
    run: Run, block: Block, note: Note, output: int, error: int, own: set[int]
) -> list[Target]:
    """What the code claims as gradients, of what leads to the output; the error itself is given."""
    leading = run.leading(output)
    if run.maker[output].id in {op.id for op in run.ops_in(block)}:
        found = flat_targets(run, block, output)
    else:
        found = targets(run, block, note, named_values(run, own))
    have = {t.of for t in found}
    left = [i for i in run.tape.leaves if run.parameter(i) and i in leading - have]
    found += stepped(run, block, [Named(run.trace.values[i].name, i) for i in left])
    return [t for t in found if t.of in leading and t.got not in (error, None)]
