"""The statement at fault inside a backward function.

What the right gradients were computed from is trusted, and so is every value that is known to be
right: one that equals the reference gradient of a forward value. Of what is left of the way to the
wrong gradients, the first statement is named. Where several statements are wrong and share a variable
that was only bound to something (`dz = dnext_h`, `A_prev, W, b = cache`), it is that binding; where
nothing was computed at all, it is where the variable that was returned was bound last.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops import BY_NAME, Rule
from ..recording import source
from ..recording.notes import Note, refs
from ..records import Op
from .cases import Case
from .claims import Target
from .match import bases
from .run import Run
from .verdict import compare

if TYPE_CHECKING:
    from .judge import Judged


NO_RULE = Rule("", print, ("*inputs",))
"""Stands for the rule of an operation that has none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a wrong gradient is made. function: its name. statement: the line's text, or `""`."""

    function: str
    file: str
    line: int
    statement: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a block: the reference gradients, by which factors a right one may differ
    from them, and which of the block's results have the wrong shape."""

    reference: Mapping[int, Any]
    factors: set[float]
    misshapen: set[int | None]


@dataclass(frozen=True, slots=True)
class _Made:
    """Where a value comes from: the operation, or None where a block that is checked made it."""

    ins: tuple[int, ...]
    op: Op | None


def locate(
    run: Run, case: Case, facts: Known, wrong: list[Target], right: list[Target],
    inside: list[Judged],
) -> Fault:  # fmt: skip
    """The fault of a block whose gradients `wrong` are wrong and `right` are right."""
    made = _made(run, case, inside)
    known = _known(run, case, made, facts)
    fine = [t.got for t in right if t.got is not None]
    fine += [id for id, good in known.items() if good]
    bad = {id for id, good in known.items() if not good}
    trusted: set[int] = set()
    for id in fine:
        behind = _behind(made, [id])
        if not behind & bad:  # errors may cancel in a sum
            trusted |= behind
    ways = [_way(made, known, trusted, t.got) for t in wrong if t.got is not None]
    common = [made[id].op for id in sorted(set.intersection(*ways))] if len(ways) > 1 else []
    op = _suspect(common)
    if op is None:
        firsts = [_shaper(made, t.got, facts) or _first(made, way)
                  for t, way in zip([t for t in wrong if t.got is not None], ways)]  # fmt: skip
        suspects = sorted((op for op in firsts if op is not None), key=lambda op: op.id)
        binding = _shared_binding(run, case, suspects) if len(suspects) > 1 else None
        if binding is not None:
            return binding
        op = suspects[0] if suspects else None
    if op is None:
        return _bound(run, case, wrong, inside)
    function = run.trace.blocks[op.block].function
    return Fault(function, op.file or case.backward.file, op.line, op.statement)


def _made(run: Run, case: Case, inside: list[Judged]) -> dict[int, _Made]:
    """Where each value of the block comes from; a block inside it is one step."""
    others = {k: place for place, judged in enumerate(inside) for k in judged.case.own}
    reads: dict[int, set[int]] = {}
    outs: dict[int, int] = {}
    made: dict[int, _Made] = {}
    own = set(case.own)
    for op in run.ops:
        k = run.places[op.id]
        if k not in own:
            continue
        if k in others and inside[others[k]].case.backward.id != case.backward.id:
            reads.setdefault(others[k], set()).update(op.ins)
            outs.update((out, others[k]) for out in op.outs)
        else:
            made.update((out, _Made(op.ins, op)) for out in op.outs)
    for out, place in outs.items():
        made[out] = _Made(tuple(i for i in reads[place] if outs.get(i) != place), None)
    return made


def _way(
    made: Mapping[int, _Made], known: Mapping[int, bool], trusted: set[int], end: int
) -> set[int]:
    """What lies on the way to a wrong value and is not known to be right.

    Where something on it is known to be wrong, only what leads there.
    """
    way = _behind(made, [end])
    bad = next((id for id in sorted(way) if known.get(id) is False), None)
    if bad is not None:
        way = _behind(made, [bad])
    return {id for id in way - trusted if id in made}


def _first(made: Mapping[int, _Made], way: set[int]) -> Op | None:
    return _suspect([made[id].op for id in sorted(way)])


def _suspect(ops: Iterable[Op | None]) -> Op | None:
    """The first operation that computes something; where none does, the first one at all."""
    found = [op for op in ops if op is not None]
    return next((op for op in found if not _rule(op).view), found[0] if found else None)


def _shaper(made: Mapping[int, _Made], id: int | None, facts: Known) -> Op | None:
    """The operation that gave a result its wrong shape: the last one."""
    return made[id].op if id in facts.misshapen and id in made else None  # type: ignore[index]


def _behind(made: Mapping[int, _Made], ids: Iterable[int]) -> set[int]:
    """These values, and all that they were computed from."""
    found: set[int] = set()
    todo = list(ids)
    while todo:
        id = todo.pop()
        if id not in found:
            found.add(id)
            if id in made:
                todo += made[id].ins
    return found


def _known(run: Run, case: Case, made: Mapping[int, _Made], facts: Known) -> dict[int, bool]:
    """The values of a backward function that are known to be right or wrong.

    A value that is called dZ is right if it is the reference gradient of Z, up to one factor, and
    wrong if not; one without such a name is right if it equals some reference gradient, or a value
    of the forward block that is computed again.
    """
    reference = facts.reference
    shaped: dict[tuple[int, ...], list[Any]] = {}
    for id, gradient in reference.items():
        if id not in case.seeds:  # that a value is what was given says nothing of it
            shaped.setdefault(np.shape(gradient), []).append(gradient)
    home = case.home or run
    for k in case.ops:
        id = home.tape.ops[k][1]
        if home.floating(id) and id in reference:  # else it may be backward code itself
            shaped.setdefault(home.shape(id), []).append(case.given.get(id, home.trace.data(id)))
    names: dict[str, list[Any]] = {}
    for id, gradient in reference.items():
        if id in home.trace.values:
            names.setdefault(home.trace.values[id].name, []).append(gradient)
    known: dict[int, bool] = {}
    for id, step in made.items():
        if step.op is not None and run.floating(id):
            good = _judged(run, id, step.op, shaped, names, facts.factors)
            if good is not None:
                known[id] = good
    return known


def _judged(
    run: Run, id: int, op: Op, shaped: Mapping[Any, list[Any]], names: Mapping[str, list[Any]],
    factors: set[float],
) -> bool | None:  # fmt: skip
    """Whether a value is right or wrong, where that can be said."""
    data = run.trace.data(id)
    if _rule(op).formula == "{x}":
        return True  # a copy
    if np.size(data) > 1 and any(_equal(data, x) for x in shaped.get(np.shape(data), [])):
        return True
    named = [g for base in bases(run.trace.values[id].name) for g in names.get(base, [])]
    named = [g for g in named if np.shape(g) == np.shape(data)]
    if named:
        factor = [compare(data, g).factor for g in named]
        return any(f is not None and abs(f - k) <= 1e-6 * k for f in factor for k in factors)
    return None


def _rule(op: Op) -> Rule:
    return BY_NAME.get(op.rule) or NO_RULE


def _equal(data: Any, gradient: Any) -> bool:
    return bool(np.any(gradient)) and compare(data, gradient).kind == "exact"


def misfit(run: Run, case: Case) -> tuple[Fault, str] | None:
    """The call that handed a backward block another cache, or other settings, than its forward's."""
    note, there = run.note(case.backward), run.note(case.forward)
    if note is None or case.forward is None or case.whole or case.home is not None:
        return None
    other = _other_settings(note, there)
    result = run.result(case.forward)
    kept = set(refs(result)) - set(case.seeds) if isinstance(result, (tuple, dict)) else set()
    given = set(refs(note.args))
    if not other and (not kept or kept & given == kept or "self" in note.args):
        return None
    call = run.tape.calls[run.noted[case.backward.id]]
    place = source.where(run.tape, call.parent, call.lasti)
    function = run.trace.blocks[case.backward.parent or 0].function
    why = f"it was called with {other}" if other else "it was handed another cache than its own"
    return Fault(function, place.file, place.line, place.text), why


def _other_settings(note: Note, there: Note | None) -> str:
    """The settings that a forward function and its backward were given differently."""
    if there is None:
        return ""
    plain = lambda x: isinstance(x, (str, bool, int)) or x is None
    found = [
        f"{name}={x!r}, its forward with {there.args[name]!r}"
        for name, x in note.args.items()
        if plain(x) and name in there.args and plain(there.args[name]) and x != there.args[name]
    ]
    return ", ".join(found)


# ---------------------------------------------------------------------- variables that were bound


def _shared_binding(run: Run, case: Case, suspects: list[Op]) -> Fault | None:
    """The binding of a variable that all wrong statements read, where nothing is computed in it."""
    tree = _tree(run, case)
    if tree is None:
        return None
    lines = {op.line for op in suspects}
    reading = [s for s in _simple(tree) if lines & _lines(s)]
    if len(reading) < 2:
        return None
    shared = set.intersection(
        *({n.id for n in ast.walk(s) if isinstance(n, ast.Name)} for s in reading)
    )
    computed = {op.line for op in run.ops if run.places[op.id] in set(case.own)}
    first = min(s.lineno for s in reading)
    before = [s for s in _simple(tree) if s.lineno < first and shared & _stored(s)]
    before = [s for s in before if not computed & _lines(s)]
    return _fault(case, before[-1]) if before else None


def _bound(run: Run, case: Case, wrong: list[Target], inside: list[Judged]) -> Fault:
    """Where the variable that holds a wrong gradient was bound last, or the return statement."""
    place = Fault(case.backward.function, case.backward.file, case.backward.line)
    tree = _tree(run, case)
    if tree is None or not wrong:
        return place
    absent = next((t for t in wrong if t.raw is None), None)
    if absent is not None:
        stored = _stored_after(run, case, tree, absent, inside)
        if stored is not None:
            return _fault(case, stored)
    names = {t.name for t in wrong}
    ends = [n for n in ast.walk(tree) if isinstance(n, ast.Return)]
    bound = [s for s in _simple(tree) if names & _stored(s)]
    expected = {f"d{t.of_name}" for t in wrong}
    if bound and (names <= expected or any(t.raw is None for t in wrong)):
        return _fault(case, bound[-1])
    return _fault(case, ends[-1]) if ends else _fault(case, bound[-1]) if bound else place


def _stored_after(
    run: Run, case: Case, tree: ast.FunctionDef, absent: Target, inside: list[Judged]
) -> ast.stmt | None:
    """The statement that should have stored a gradient which a block inside did return."""
    for one in reversed(inside):
        if all(t.of != absent.of for t, _ in one.outputs):
            continue
        call = run.tape.calls[run.noted.get(one.case.backward.id, 0)]
        if one.case.backward.parent != case.backward.id:
            continue
        line = source.where(run.tape, call.parent, call.lasti).line
        after = [s for s in _simple(tree) if s.lineno >= line and isinstance(s, ast.Assign)]
        keyed = [
            s
            for s in after
            if any(isinstance(n, ast.Subscript) for t in s.targets for n in ast.walk(t))
        ]
        if keyed:
            return keyed[0]
    return None


def _tree(run: Run, case: Case) -> ast.FunctionDef | None:
    note = run.note(case.backward)
    return source.function(note.code) if note is not None else None


def _simple(tree: ast.AST) -> list[ast.stmt]:
    """The statements of a function that hold no others, in order."""
    found = [
        n
        for n in ast.walk(tree)
        if isinstance(n, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr))
    ]
    return sorted(found, key=lambda s: s.lineno)


def _lines(statement: ast.stmt) -> set[int]:
    return set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))


def _stored(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.Return, ast.Expr)):
        return set()
    found = {
        n.id
        for n in ast.walk(statement)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    return found


def _fault(case: Case, statement: ast.stmt) -> Fault:
    text = ast.unparse(statement)
    return Fault(case.backward.function, case.backward.file, statement.lineno, text)
