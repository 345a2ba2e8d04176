"""What a backward function was given, and what it claims to be the gradient of what.

Three things say which result is which: the name of the result, the position of the argument, and
the shape. Where most names agree with the positions the positions decide, so that two results that
were exchanged are found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from ..recording.notes import UNKNOWN, Held, Note, Ref, names_returned
from ..recording.phases import called_backward
from ..recording.roles import DATA
from ..records import BACKWARD, Block
from ..words import GRADIENT
from .match import Named, arrays, bases, by_likeness, by_name, matched
from .run import Run
from .target import Target, stepped, target

# ---------------------------------------------------------------------- what it was given


def incoming(run: Run, note: Note, forward: Block | None) -> list[Named]:
    """The gradients that a backward function was given, in the order of its parameters."""
    known = run.touched_in(forward) if forward is not None else set()
    found: list[Named] = []
    for name, x in note.args.items():
        if not isinstance(x, Ref) or not run.floating(x.id):
            continue
        made = run.maker.get(x.id)
        late = made is not None and made.phase == BACKWARD and x.id not in known
        if DATA.fullmatch(name) and not (late and called_backward(note.code.co_name)):
            continue
        first = not found and (late or x.id not in run.touched)
        if GRADIENT.fullmatch(name) or first:
            found.append(Named(name, x.id))
    return found


def outputs(run: Run, forward: Block) -> list[Named]:
    """What a forward block returned that others may compute with, in order; its cache is not."""
    result, note = run.result(forward), run.note(forward)
    names = names_returned(note, result) if note is not None else []
    items = result if isinstance(result, (tuple, list)) else [result]
    found = [
        Named((names[k] if k < len(names) else None) or f"[{k}]", item.id)
        for k, item in enumerate(items)
        if isinstance(item, Ref) and run.floating(item.id)
    ]
    found = found or [x for x in arrays(result, "result") if run.floating(x.id)]
    return found or [Named(run.trace.values[i].name, i) for i in _read_later(run, forward)]


def _read_later(run: Run, forward: Block) -> list[int]:
    """The values that a block made and that the forward pass after it computes with."""
    inside, made = set(run.inside[forward.id]), run.made_in(forward)
    later = [op for op in run.forward_ops if run.places[op.id] not in inside]
    read = [i for op in later for i in op.ins if i in made and run.floating(i)]
    return list(dict.fromkeys(read))


def seeds(
    run: Run, given: list[Named], results: list[Named], home: Run | None = None
) -> dict[int, int | None]:
    """For each result of a forward block the gradient of it that the backward block was given.

    home: the run of the forward block, where that is another one.
    """
    pairs = matched(given, results, run.shape, (home or run).shape)
    found: dict[int, int | None] = {of.id: g.id for g, of in pairs if of is not None}
    if not found and len(given) == 1 and results:
        found[results[0].id] = given[0].id
    return found


def nested(run: Run, note: Note, forward: Block, have: dict[int, Any]) -> dict[int, int | None]:
    """The gradients in containers: `gradients["da_next"]` is a_next's, `d_next` that of `(h, c)`."""
    result = run.result(forward)
    found: dict[int, int | None] = {}
    items = list(result) if isinstance(result, (tuple, list)) else [result]
    flat = [x for x in outputs(run, forward) if x.id not in have]
    for name, tree in note.args.items():
        if isinstance(tree, dict):
            given = [x for x in arrays(tree, name) if GRADIENT.fullmatch(x.name)]
            for g in given:
                alike = [x for x in flat if run.shape(x.id) == run.shape(g.id)]
                of = by_name(g, flat) or by_likeness(g, alike)
                if of is not None:
                    found[of.id] = g.id
        elif isinstance(tree, (tuple, list)) and GRADIENT.fullmatch(name):
            shapes = lambda trees: [run.shape(x.id) for x in arrays(trees, "")]
            for item in items:
                if isinstance(item, type(tree)) and shapes(item) == shapes(tree):
                    pairs = zip(arrays(item, ""), arrays(tree, ""))
                    found.update((of.id, g.id) for of, g in pairs if of.id not in have)
    return found


def inputs(run: Run, forward: Block) -> list[Named]:
    """What a forward block was given: its arguments, its object's arrays, and what else it read."""
    note = run.note(forward)
    found: list[Named] = []
    for name, tree in (note.args if note is not None else {}).items():
        found += [x for x in arrays(tree, name) if run.floating(x.id)]
    read = run.read_in(forward)
    have = {x.id for x in found}
    for i in read:
        value, leaf = run.trace.values[i], run.tape.leaves.get(i)
        own = leaf is not None and leaf.call >= 0  # an array that the code made itself
        if i not in have and value.name and not own:
            found.append(Named(value.name, i, False))
    return [x for x in found if x.id in read]


# ---------------------------------------------------------------------- what it claims


def targets(
    run: Run, block: Block, note: Note, given: list[Named], home: Run | None = None
) -> list[Target]:
    """The gradients that a backward function returned, and those that it left in its arguments.

    given: what they may be the gradients of, in `home`, the run of the forward block.
    """
    home = home or run
    result = run.result(block)
    items = list(result) if isinstance(result, (tuple, list)) else [result]
    names = names_returned(note, result)
    names = names if len(names) == len(items) else [None] * len(items)
    placed = _by_position(run, home, items, names, [x for x in given if x.top])
    if placed is not None:
        times = Counter(x.id for *_, x in placed)
        found = [_placed(run, home, *one) for one in placed if times[one[2].id] == 1]
        found += [_part(one[0], one[2]) for one in placed if times[one[2].id] > 1]
    else:
        known, alone = {x.id for x in incoming(run, note, None)}, block.parent is None
        claimed = [x for k, item in enumerate(items)
                   for x in arrays(item, names[k] or _unnamed(k, items))
                   if run.floating(x.id)
                   and (x.id in known or alone or not run.of_forward(x.id))]  # fmt: skip
        found = [
            target(run, g, of, home) for g, of in matched(claimed, given, run.shape, home.shape)
        ]
    have = {t.of for t in found}
    left = _left_behind(run, block, note, {t.got for t in found}, {x.name for x in given})
    free = [x for x in given if x.id not in have]
    found += [target(run, g, of, home) for g, of in matched(left, free, run.shape, home.shape)]
    if home is run:
        parameters = [x for x in given if x.id not in {t.of for t in found}]
        found += stepped(run, block, parameters)
    handed = {x.name: x.id for name, tree in note.args.items() for x in arrays(tree, name)}
    return [_alone(run, t, handed) for t in found if t.of is not None or t.of_name or _said(t)]


def _said(claim: Target) -> bool:
    """Whether a result is called a gradient, so that it is to be said that it was not checked."""
    return GRADIENT.fullmatch(claim.name) is not None and len(claim.name) > 1


def _alone(run: Run, claim: Target, handed: dict[str, int]) -> Target:
    """What a block added to a sum that it was handed, as steps of a loop over time do."""
    op = run.maker.get(claim.got) if claim.got is not None else None
    if op is None or op.rule != "add" or op.ins[0] != handed.get(claim.name):
        return claim
    why = "what it added to the sum"
    return replace(claim, got=op.ins[1], why=why, total=claim.got)


def _unnamed(k: int, items: list[Any]) -> str:
    return f"result {k + 1}" if len(items) > 1 else "result"


def _by_position(
    run: Run, home: Run, items: list[Any], names: list[str | None], arguments: list[Named]
) -> list[tuple[str, Any, Named]] | None:
    """Each result with the argument in its place, where the names of most say that it is so."""
    arguments = [x for x in arguments if "mask" not in x.name]
    if len(items) != len(arguments):
        arguments = list({x.id: x for x in arguments}.values())
    if len(items) != len(arguments) or any(isinstance(i, (dict, list, tuple, Held)) for i in items):
        return None
    agree = disagree = 0
    for name, x in zip(names, arguments):
        of = _named(name, arguments)
        agree += of is x
        disagree += of is not None and of is not x
    if agree < disagree or (len(items) == 1 and disagree):
        return None
    alike = [
        run.shape(i.id) == home.shape(x.id) for i, x in zip(items, arguments) if isinstance(i, Ref)
    ]
    if agree == disagree and 2 * sum(alike) < len(alike):
        return None
    return [(n or _unnamed(k, items), item, x)
            for k, (n, item, x) in enumerate(zip(names, items, arguments))]  # fmt: skip


def _named(name: str | None, arguments: list[Named]) -> Named | None:
    if not name:
        return None
    gradient = Named(name, -1)
    return by_name(gradient, arguments) or by_likeness(gradient, arguments)


def _placed(run: Run, home: Run, name: str, item: Any, of: Named) -> Target:
    if isinstance(item, Ref):
        return target(run, Named(name, item.id), of, home)
    if item is UNKNOWN:
        why = "cannot tell from the source what was returned"
        return Target(name, None, of.id, home.parameter(of.id), why, of.name)
    return Target(name, None, of.id, home.parameter(of.id), "", of.name, item)


def _part(name: str, of: Named) -> Target:
    """One of several gradients of one array, that was given as several arguments."""
    why = "the array was given more than once; only the sum of these can be judged"
    return Target(name, None, None, why=why, of_name=of.name)


def _left_behind(
    run: Run, block: Block, note: Note, have: set[int | None], inputs: set[str]
) -> list[Named]:
    """The gradients that a call left in its object, or in an argument that it wrote to."""
    made = run.made_in(block)
    found: dict[int, Named] = {}
    for name in note.args:
        for x in arrays(note.final.get(name), name):
            if x.id in made and x.id not in have and run.floating(x.id) and _is_gradient(x, inputs):
                found.setdefault(x.id, x)
    return list(found.values())


def _is_gradient(x: Named, inputs: set[str]) -> bool:
    """Whether an array, or what holds it, is called a gradient: `self.W` after an update is none."""
    if inputs.intersection(bases(x.name)):
        return True
    return any(GRADIENT.fullmatch(name) for name in ((x.name,) if x.top else (x.name, x.group)))


def missing(run: Run, found: list[Target], given: list[Named], every: bool = False) -> list[Target]:
    """The parameters that got no gradient, though others beside them did.

    every: whether all must have one, even where none has.
    """
    have = {t.of for t in found}
    every = every and not found
    groups = {x.group for x in given if x.id in have and run.parameter(x.id)}
    return [
        Target(f"d{x.name}", None, x.id, True, "", x.name, None)
        for x in {x.id: x for x in given}.values()
        if x.id not in have and run.parameter(x.id) and (every or x.group in groups)
    ]
