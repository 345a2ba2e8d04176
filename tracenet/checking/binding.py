"""Faults where nothing is computed: a variable that was bound to the wrong thing."""

from __future__ import annotations

import ast

from ..recording import source
from ..records import Op
from .case import Case
from .reference import Judged
from .run import Run
from .target import Target
from .verdict import Fault


def shared_binding(run: Run, case: Case, suspects: list[Op]) -> Fault | None:
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


def bound_last(run: Run, case: Case, wrong: list[Target], inside: list[Judged]) -> Fault:
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
