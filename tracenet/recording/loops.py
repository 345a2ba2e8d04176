"""Which part of a flat script is recorded: one turn of its training loop, or some of its lines.

The training loop is the loop at module level (also inside `if`, `with` and `try`) that changes what
it reads, as `w -= lr * dw` and `w = step(w, x)` do, and of several the one with the most arithmetic,
the first of equals. Where there is none, it is looked for in functions that are called like
training (`main`, `train`, `fit`, `model` …).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from .notebook import Cell, bound

HOOK = "__tracenet_part__"
"""The name under which an instrumented program finds the context manager around its part."""

_TRAINING = re.compile(
    r"main|run|learn|sgd|(.*_)?(train|fit|model|network)(_.*)?|gradient_descent.*|optimi[sz]e.*"
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Loop = ast.For | ast.While


@dataclass(slots=True)
class Part:
    """What is recorded of a program. title: what it is called in the picture.

    what: it in words, with its lines. assigned: the variables that it assigns. updated: those that
    it adds to or takes from, and so are parameters whatever they are called.
    """

    title: str
    what: str
    assigned: list[str] = field(default_factory=list)
    updated: set[str] = field(default_factory=set)


# ---------------------------------------------------------------------- a loop


def turn_of(cells: list[Cell], number: int, within: tuple[int, int] | None) -> Part:
    """Puts the hook around the body of the training loop; within: lines that the loop is in."""
    cell, loop, function = _training_loop(cells, within)
    where = _place(cell, loop.lineno)
    part = _part(f"turn {number}", f"the loop at {where}", loop.body)
    if isinstance(loop, ast.For):
        part.assigned += [n for n in bound(loop.target) if n not in part.assigned]
    inner = loop.body
    if function is not None:
        inner = [*_entering(function), *inner]
    loop.body = [_hooked(inner, loop)]
    return part


def _training_loop(
    cells: list[Cell], within: tuple[int, int] | None
) -> tuple[Cell, _Loop, _Function | None]:
    if within is not None:
        found = [
            (cell, loop, _around(cell.tree, loop))
            for cell in cells
            for loop in ast.walk(cell.tree)
            if isinstance(loop, _Loop) and _lies_in(loop, within)
        ]
        found.sort(key=lambda entry: entry[1].lineno)
        if not found:
            raise UsageError(
                f"no loop lies in lines {within[0]}:{within[1]}: choose the lines from its `for` or "
                "`while` to its end"
            )
        return found[0]
    flat: list[tuple[Cell, _Loop, _Function | None]]
    flat = [(cell, loop, None) for cell in cells for loop in _loops(cell.tree.body)]
    best = [entry for entry in flat if _updates(entry[1])] or [
        (cell, loop, function)
        for cell in cells
        for function in ast.walk(cell.tree)
        if isinstance(function, _Function) and _TRAINING.fullmatch(function.name)
        for loop in _loops(function.body)
        if _updates(loop)
    ]
    if not best and not flat:
        raise UsageError(
            f"there is no training loop in {Path(cells[0].file).name if cells else 'it'}: no "
            "`for` or `while` at module level, nor one that changes what it reads in a function "
            "such as main() or train(); say what to run with --call, or which lines with --lines"
        )
    return max(best or flat, key=lambda entry: _arithmetic(entry[1]))  # the first of equals


def _loops(body: Iterable[ast.stmt]) -> Iterator[_Loop]:
    """The outermost loops among statements, in order."""
    for statement in body:
        if isinstance(statement, _Loop):
            yield statement
        elif isinstance(statement, ast.If | ast.With | ast.Try):
            yield from _loops(s for inner in _bodies(statement) for s in inner)


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The lists of statements directly inside `if`, `with` and `try`."""
    for name in ("body", "orelse", "finalbody"):
        if inner := getattr(statement, name, None):
            yield inner


def _around(tree: ast.Module, loop: _Loop) -> _Function | None:
    """The innermost function that a loop stands in."""
    found = [f for f in ast.walk(tree) if isinstance(f, _Function) and loop in ast.walk(f)]
    return found[-1] if found else None  # walked from the outside


def _updates(loop: _Loop) -> list[ast.stmt]:
    """The statements that change something by what it was; a counter does not count."""
    return [
        node
        for statement in loop.body
        for node in ast.walk(statement)
        if (isinstance(node, ast.AugAssign) and _reads(node.value))
        or (isinstance(node, ast.Assign) and _reads_itself(node))
    ]


def _reads(value: ast.expr) -> list[str]:
    named = ast.Name | ast.Attribute | ast.Subscript
    return [ast.unparse(node) for node in ast.walk(value) if isinstance(node, named)]


def _reads_itself(node: ast.Assign) -> bool:
    targets = {
        ast.unparse(t)
        for target in node.targets
        for t in (target.elts if isinstance(target, ast.Tuple) else [target])
    }
    read = _reads(node.value)
    return not targets.isdisjoint(read) and len(read) > 1  # `i = i + 1` is a counter


def _arithmetic(loop: _Loop) -> int:
    return sum(isinstance(n, ast.BinOp | ast.AugAssign | ast.Call) for n in ast.walk(loop))


def _entering(function: _Function) -> list[ast.stmt]:
    """Code that hands the local variables of a function to the hook, and takes them back traced.

    From outside a function its variables cannot be exchanged (before Python 3.13).
    """
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    names = dict.fromkeys([a.arg for a in every] + [n for s in function.body for n in bound(s)])
    for node in ast.walk(function):
        if isinstance(node, ast.Global | ast.Nonlocal):
            for name in node.names:
                names.pop(name, None)
    take = " try: {0} = " + HOOK + ".{1}({0!r}, {0})\n except NameError: pass"  # not all are set
    lines = [f"if {HOOK}.due:", *(take.format(name, "enter") for name in names)]
    lines += [f" {HOOK}.begin()", *(take.format(name, "number") for name in names)]
    return ast.parse("\n".join(lines)).body


# ---------------------------------------------------------------------- lines


def lines_of(cells: list[Cell], lines: tuple[int, int]) -> Part:
    """Puts the hook around the statements at module level that lie within some lines."""
    shown = f"{lines[0]}:{lines[1]}"
    for cell in cells:
        body = _body_at(cell.tree.body, lines)
        chosen = [s for s in body if _lies_in(s, lines) and not _must_come_first(s)]
        for statement in body:
            if not _lies_in(statement, lines) and _touches(statement, lines):
                raise UsageError(
                    f"lines {shown} cut the statement of lines {_first(statement)}:"
                    f"{statement.end_lineno}: choose all of it or nothing"
                )
        if chosen:
            part = _part(f"lines {shown}", f"lines {shown} of {Path(cell.file).name}", chosen)
            start = body.index(chosen[0])
            body[start : start + len(chosen)] = [_hooked(chosen, chosen[0])]
            return part
    raise UsageError(
        f"no statement at module level lies within lines {shown} of {Path(cells[0].file).name}"
    )


def _body_at(body: list[ast.stmt], lines: tuple[int, int]) -> list[ast.stmt]:
    """The list of statements that lines are part of: the module's, or one in an `if` of it."""
    for statement in body:
        if _touches(statement, lines) and not _lies_in(statement, lines):
            if isinstance(statement, ast.If | ast.With | ast.Try):
                for inner in _bodies(statement):
                    if _first(inner[0]) <= lines[0] and lines[1] <= (inner[-1].end_lineno or 0):
                        return _body_at(inner, lines)
    return body


def _first(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(d.lineno for d in decorators)])


def _lies_in(statement: ast.stmt, lines: tuple[int, int]) -> bool:
    return lines[0] <= _first(statement) and (statement.end_lineno or 0) <= lines[1]


def _touches(statement: ast.stmt, lines: tuple[int, int]) -> bool:
    return _first(statement) <= lines[1] and lines[0] <= (statement.end_lineno or 0)


def _must_come_first(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


# ---------------------------------------------------------------------- the hook


def _part(title: str, what: str, body: list[ast.stmt]) -> Part:
    assigned: dict[str, None] = {}
    updated: set[str] = set()
    for node in (n for statement in body for n in ast.walk(statement)):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr | ast.For):
            assigned.update(dict.fromkeys(bound(node)))
        if (name := _stepped(node)) is not None:
            updated.add(name)
    return Part(title, what, list(assigned), updated)


def _stepped(node: ast.AST) -> str | None:
    """The variable that `w -= …`, `w += …`, `w = w - …` or `w = w + …` changes."""
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
        return node.target.id if isinstance(node.target, ast.Name) else None
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.Sub):
        left, target = value.left, node.targets[0]  # type: ignore[attr-defined]
        if isinstance(left, ast.Name) and isinstance(target, ast.Name) and left.id == target.id:
            return left.id
    return None


def _hooked(body: list[ast.stmt], at: ast.stmt) -> ast.stmt:
    """`with HOOK: body`: whatever ends the body (`continue`, `break`, an error), the hook knows."""
    item = ast.withitem(ast.Name(HOOK, ast.Load()))
    return ast.fix_missing_locations(ast.copy_location(ast.With([item], body), at))


def _place(cell: Cell, line: int) -> str:
    return f"{Path(cell.file).name}, line {line}"
