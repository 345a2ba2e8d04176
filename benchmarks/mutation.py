"""Mutants of backward functions: one small change each, of the kinds that people make by mistake."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A changed source. function: where. what: the change. first, last: lines of the statement."""

    source: str
    function: str
    what: str
    first: int
    last: int


Shapes = dict[str, dict[str, tuple[int, ...]]]


def mutants(source: str, functions: set[str], shapes: Shapes) -> Iterator[Mutant]:
    """Every mutant of the functions of these names, statement by statement.

    shapes: for each function the shapes of the arrays among its variables: a name is replaced by
    names of the same shape.

    Lines stay what they are: a mutant is written in place of the text of the expression changed.
    """
    tree = ast.parse(source)
    for qualified, function in _functions(tree):
        if qualified not in functions:
            continue
        names = shapes.get(function.name, {})
        for statement in ast.walk(function):
            if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr)):
                continue
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            for node, new, what in _changes(statement, names):
                yield Mutant(
                    _replaced(source, node, new), qualified, what,
                    statement.lineno, statement.end_lineno or statement.lineno,
                )  # fmt: skip


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def _replaced(source: str, node: ast.AST, new: str) -> str:
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    begin = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
    end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
    fill = "\n" * (source[begin:end].count("\n") - new.count("\n"))
    return source[:begin] + (new if not fill else new[:-1] + fill + new[-1]) + source[end:]


OTHER = {ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult()}


def _changes(
    statement: ast.stmt, names: dict[str, tuple[int, ...]]
) -> Iterator[tuple[ast.AST, str, str]]:
    if isinstance(statement, ast.AugAssign):
        yield statement, _text(ast.Assign([statement.target], statement.value)), "= for +="
        yield statement, "pass", "dropped"
    for node in ast.walk(statement):
        for new, what in _of_node(node, names):
            yield node, f"({_text(new)})", what


def _of_node(node: ast.AST, names: dict[str, tuple[int, ...]]) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.BinOp) and type(node.op) in OTHER:
        yield _with(node, op=OTHER[type(node.op)]), "operator"
        yield node.left, "right operand dropped"
        if isinstance(node.op, (ast.Add, ast.Sub)):
            yield node.right, "left operand dropped"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand, "sign"
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value, "transpose dropped"
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1), "constant + 1"
        yield ast.Constant(node.value * 2), "constant doubled"
    if isinstance(node, ast.Call):
        yield from _of_call(node)
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Gt, ast.LtE, ast.Lt, ast.Eq)):
        turned = {ast.Gt: ast.Lt(), ast.LtE: ast.Gt(), ast.Lt: ast.Gt(), ast.Eq: ast.NotEq()}
        yield _with(node, ops=[turned[type(node.ops[0])]]), "comparison"
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        alike = [n for n, shape in names.items() if n != node.id and shape == names[node.id]]
        for other in alike[:2]:
            yield ast.Name(other, ast.Load()), f"{other} for {node.id}"


def _of_call(node: ast.Call) -> Iterator[tuple[ast.AST, str]]:
    for k, keyword in enumerate(node.keywords):
        others = [*node.keywords[:k], *node.keywords[k + 1 :]]
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant):
            turned = ast.keyword("axis", ast.Constant(1 - int(keyword.value.value)))
            yield _with(node, keywords=[*others, turned]), "other axis"
            yield _with(node, keywords=others), "axis dropped"
        if keyword.arg == "keepdims":
            yield _with(node, keywords=others), "keepdims dropped"
    swap = {"dot": "dot", "maximum": "minimum"}
    if isinstance(node.func, ast.Attribute) and node.func.attr in swap and len(node.args) == 2:
        yield _with(node, args=node.args[::-1]), "operands exchanged"


def _with(node: ast.AST, **fields: object) -> ast.AST:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _text(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node)))
