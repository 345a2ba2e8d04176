"""What there is to check in a trace: each hand-written backward with what its results must be.

A `Case` says where the reference begins (gradients of forward values that the backward was given,
or a loss) and which value of the run is claimed to be the gradient of which. There are three kinds:
a backward block of one forward block, which is given the gradients of what that returned; a whole
pass, which begins at the loss; and one function that does both passes.
"""

from __future__ import annotations

from dataclasses import replace

from ..ops import MIXING
from ..recording.notes import Note, Ref, refs
from ..recording.phases import DERIVATIVE_NAME, called_backward
from ..records import BACKWARD, FORWARD, Block
from .byhand import rebuilt
from .case import Case
from .claims import incoming, inputs, missing, nested, outputs, seeds, targets
from .lossless import compares, from_error
from .match import Named, arrays
from .run import Run
from .target import Target, target
from .whole import flat, from_loss, own_loss


def cases(run: Run) -> list[Case]:
    """The cases of a trace, blocks inside others before those."""
    blocks = run.trace.blocks
    found: list[Case] = []
    for block in blocks:
        if not run.inside[block.id]:
            continue
        if _is_backward(run, block):
            found.append(_case(run, block))
        elif block.phase == FORWARD:
            both = flat(run, block) or _without_loss(run, block)
            if both is not None:
                found.append(both)
    depth = {block.id: len(run.trace.around(block.id)) for block in blocks}
    found.sort(key=lambda case: (-depth[case.backward.id], case.backward.id))
    _claim_parameters(run, found)
    found = [case for case in found if case.targets or case.why or not case.whole]
    for k, case in enumerate(found):
        around = {block.id for block in run.trace.around(case.backward.id)[:-1]}
        for other in found[k + 1 :]:
            if other.backward.id in around:
                other.inside.append(k)
    return found


def _without_loss(run: Run, block: Block) -> Case | None:
    """A function with both passes that goes straight to the error; None if it is none."""
    name, note = block.function.rpartition(".")[2], run.note(block)
    if note is None or run.loss is not None:
        return None
    own = {op.id for op in run.ops_in(block) if op.block == block.id}
    if block.parent is not None and not called_backward(name) and not compares(run, own):
        return None
    found = from_error(run, block, None, run.inside[block.id], note)
    return found if found.targets else None


def _claim_parameters(run: Run, found: list[Case]) -> None:
    """The case of the whole run also claims what the blocks in it claim for its parameters.

    Layer objects keep their gradients to themselves: nothing is returned that has them all. What is
    claimed twice, by calls of one layer at several times, is no claim about the whole.
    """
    top = next((c for c in found if c.backward.parent is None and c.whole), None)
    if top is None:
        return
    elsewhere = {t.of for c in found if c.whole and c is not top for t in c.targets}
    top.targets = [t for t in top.targets if t.of not in elsewhere]
    have = {t.of for t in top.targets} | elsewhere
    outermost = [c for c in found if c is not top and not _around(run, c, found, top)]
    claims: dict[int, list[Target]] = {}
    leading = {i for end in top.seeds for i in run.leading(end)}
    for case in outermost:
        for one in case.targets:
            told = not run.versions or one.of in leading  # else it is of another iteration
            if one.parameter and one.of is not None and told:
                claims.setdefault(one.of, []).append(one)
    for of, several in claims.items():
        claim = _summed(run, several, outermost)
        if claim is not None and of not in have:
            top.targets.append(claim)
        elif claim is not None:
            top.targets = [claim if t.of == of and t.got == claim.got else t for t in top.targets]


def _summed(run: Run, claims: list[Target], cases: list[Case]) -> Target | None:
    """What several calls of one layer claim together for a parameter: the sum that they left.

    Where each call wrote over what the one before it left, and nobody had read that, the last one is
    the claim, and what it should be a sum of is known.
    """
    last = claims[-1]
    if len(claims) == 1:
        return last
    if last.total is not None:
        return replace(last, got=last.total, why="", total=None)
    parts = tuple(t.got for t in claims if t.got is not None)
    own = {k for case in cases for k in case.own}
    read = {i for op in run.ops if run.places[op.id] not in own for i in op.ins}
    returned = {x for case in cases for x in refs(run.result(case.backward))}
    if len(set(parts)) < len(claims) or not read.isdisjoint(parts) or returned & set(parts):
        return None
    return replace(last, parts=parts)


def _around(run: Run, case: Case, found: list[Case], top: Case) -> bool:
    """Whether a case lies in another one that claims the same parameters."""
    around = {b.id for b in run.trace.around(case.backward.id)[:-1]}
    own = {t.of for t in case.targets if t.parameter}
    return any(
        c.backward.id in around and c is not top and own & {t.of for t in c.targets} for c in found
    )


def _is_backward(run: Run, block: Block) -> bool:
    """Whether a block is backward code, and not a helper that it calls.

    The traced function itself is, where it is called so and was given a gradient.
    """
    name = block.function.rpartition(".")[2]
    if block.parent is None:
        note = run.note(block)
        return bool(called_backward(name) and note and (
            incoming(run, note, None) or run.loss is None))  # fmt: skip
    if block.phase != BACKWARD or not block.handwritten:
        return False
    again = block.of is not None and run.trace.blocks[block.of].function == block.function
    if again and "<lambda>" not in block.function:
        return False  # a forward function that the backward code calls again
    inside = run.trace.blocks[block.parent].phase == BACKWARD
    return block.of is not None or not inside or called_backward(name)


def _case(run: Run, block: Block) -> Case:
    forward = run.trace.blocks[block.of] if block.of is not None else None
    own = run.inside[block.id]
    note = run.note(block)
    if note is None:
        return Case(block, forward, [], {}, [], own, "what it was given was not noted")
    given = incoming(run, note, forward)
    if forward is not None and given and forward.id in {b.id for b in run.trace.around(block.id)}:
        forward = _by_cache(run, block, note, given) or forward  # `net` calls `net_backward`
    name = block.function.rpartition(".")[2]
    if not given and DERIVATIVE_NAME.fullmatch(name) and not _of_loss(run, forward):
        return _derivative(run, block, forward, own, note)
    if not given and run.loss is None and not _of_loss(run, forward):
        return from_error(run, block, forward, own, note)
    if not given:
        return from_loss(run, block, forward, own, note)
    if forward is None:
        return _without_forward(run, block, own, note, given)
    begin = seeds(run, given, outputs(run, forward))
    begin |= nested(run, note, forward, begin)
    if begin and _half(run, note, forward, begin):
        return from_loss(run, block, forward, own, note)
    if not begin:
        why = f"cannot tell which result of {forward.function} each gradient it was given is of"
        return Case(block, forward, [], {}, [], own, why)
    around = inputs(run, forward)
    claimed = targets(run, block, note, around)
    claimed += missing(run, claimed, around)
    return Case(block, forward, run.inside[forward.id], begin, claimed, own)


def _by_cache(run: Run, block: Block, note: Note, given: list[Named]) -> Block | None:
    """The forward block that a cache is of, where the name says that it is the caller's own.

    It made or read all that was handed on, and made what has the shape of the gradient.
    """
    gradients = {x.id for x in given}
    kept = {x.id for name, tree in note.args.items() for x in arrays(tree, name)} - gradients
    around = {b.id for b in run.trace.around(block.id)}
    for other in reversed(run.trace.blocks):
        if other.phase != FORWARD or other.id in around or not run.inside[other.id]:
            continue
        shapes = {run.shape(x.id) for x in outputs(run, other)}
        fits = all(run.shape(x.id) in shapes for x in given)
        if kept and fits and kept <= run.touched_in(other):
            return other
    return None


def _half(run: Run, note: Note, forward: Block, begin: dict[int, int | None]) -> bool:
    """Whether a block works out the gradient of one of its results itself, from the loss.

    That result leads to the loss, and the backward was handed it, but no gradient of it.
    """
    loss = run.loss
    handed = {x.id for x in note.args.values() if isinstance(x, Ref)}
    left = {x.id for x in outputs(run, forward)} - set(begin)
    inner = {x for k in run.inside[forward.id] for x in run.at[k].ins}
    return loss is not None and bool(left & handed - inner & run.leading(loss))


def _of_loss(run: Run, forward: Block | None) -> bool:
    return forward is not None and own_loss(run, forward) is not None


def _derivative(run: Run, block: Block, forward: Block | None, own: list[int], note: Note) -> Case:
    """A function such as `sigmoid_prime`: f′ at what f was given, or at what f returned."""
    result, later = run.result(block), "f′ is judged where it is used"
    if forward is None or not isinstance(result, Ref):
        return Case(block, forward, [], {}, [], own, later)
    around = inputs(run, forward)
    ends = [x for x in outputs(run, forward) if run.shape(x.id) == run.shape(result.id)]
    begins = [x for x in around if run.shape(x.id) == run.shape(result.id)]
    handed = {x.id for name, tree in note.args.items() for x in arrays(tree, name)}
    mixes = any(op.rule in MIXING for op in run.ops_in(forward))
    if mixes or len(ends) != 1 or len(begins) != 1 or handed.isdisjoint((ends[0].id, begins[0].id)):
        return Case(block, forward, [], {}, [], own, later)
    claim = target(run, Named(f"{forward.name}′", result.id), begins[0])
    ops = run.inside[forward.id]
    return Case(block, forward, ops, {ends[0].id: None}, [claim], own, elementwise=True)


def _without_forward(
    run: Run, block: Block, own: list[int], note: Note, given: list[Named]
) -> Case:
    """A backward function whose forward did not run: on a cache that was made by hand."""
    found = rebuilt(run, block, note)
    if isinstance(found, str):
        return Case(block, None, [], {}, [], own, found)
    root = found.run.trace.blocks[0]
    begin = seeds(run, given, outputs(found.run, root), found.run)
    if not begin:
        return Case(block, root, [], {}, [], own, f"cannot tell what {given[0].name} is of")
    claimed = targets(run, block, note, found.inputs, found.run)
    ops = found.run.inside[root.id]
    return Case(block, root, ops, begin, claimed, own, home=found.run, given=found.given)
