"""A part of a program that is to be recorded, and the hook that is put around it.

The syntax tree is changed, not the text: every statement keeps its line, and names are found as in
the file itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from .notebook import Cell, bound

HOOK = "__tracenet_part__"
"""The name under which an instrumented program finds the context manager around its part."""


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


def part(title: str, what: str, body: list[ast.stmt]) -> Part:
    """What these statements assign and update."""
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


def hooked(body: list[ast.stmt], at: ast.stmt) -> ast.stmt:
    """`with HOOK: body`: whatever ends the body (`continue`, `break`, an error), the hook knows."""
    item = ast.withitem(ast.Name(HOOK, ast.Load()))
    return ast.fix_missing_locations(ast.copy_location(ast.With([item], body), at))


def bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The lists of statements directly inside `if`, `with` and `try`."""
    for name in ("body", "orelse", "finalbody"):
        if inner := getattr(statement, name, None):
            yield inner


# ---------------------------------------------------------------------- lines


def lines_of(cells: list[Cell], lines: tuple[int, int]) -> Part:
    """Puts the hook around the statements at module level that lie within some lines."""
    shown = f"{lines[0]}:{lines[1]}"
    for cell in cells:
        body = _body_at(cell.tree.body, lines)
        chosen = [s for s in body if lies_in(s, lines) and not _must_come_first(s)]
        for statement in body:
            if not lies_in(statement, lines) and _touches(statement, lines):
                raise UsageError(
                    f"lines {shown} cut the statement of lines {_first(statement)}:"
                    f"{statement.end_lineno}: choose all of it or nothing"
                )
        if chosen:
            chosen_part = part(f"lines {shown}", f"lines {shown} of {Path(cell.file).name}", chosen)
            start = body.index(chosen[0])
            body[start : start + len(chosen)] = [hooked(chosen, chosen[0])]
            return chosen_part
    raise UsageError(
        f"no statement at module level lies within lines {shown} of {Path(cells[0].file).name}"
    )


def _body_at(body: list[ast.stmt], lines: tuple[int, int]) -> list[ast.stmt]:
    """The list of statements that lines are part of: the module's, or one in an `if` of it."""
    for statement in body:
        if _touches(statement, lines) and not lies_in(statement, lines):
            if isinstance(statement, ast.If | ast.With | ast.Try):
                for inner in bodies(statement):
                    if _first(inner[0]) <= lines[0] and lines[1] <= (inner[-1].end_lineno or 0):
                        return _body_at(inner, lines)
    return body


def _first(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(d.lineno for d in decorators)])


def lies_in(statement: ast.stmt, lines: tuple[int, int]) -> bool:
    """Whether all of a statement stands within some lines, decorators included."""
    return lines[0] <= _first(statement) and (statement.end_lineno or 0) <= lines[1]


def _touches(statement: ast.stmt, lines: tuple[int, int]) -> bool:
    return _first(statement) <= lines[1] and lines[0] <= (statement.end_lineno or 0)


def _must_come_first(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
