"""Where in the source something was done, and what the source calls it.

While recording, only a code object and an offset into it are noted. Python keeps, for each
instruction, the exact range of source text that it was compiled from; that range is looked up in
the syntax tree of the file, and the tree says which variable, key or attribute the result went to.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

from ..words import GRADIENTS
from .roles import PARAMETER
from .tape import Call, Tape, foreign

Span = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instruction stands: `name` is what its result is assigned to.

    returned: None, or the position in the returned tuple (-1 for the returned value itself).
    statement: the first line of its statement; text: the statement's source.
    """

    file: str
    line: int
    name: str | None = None
    returned: int | None = None
    statement: int = 0
    text: str = ""


class _Tree:
    """The syntax tree of one file, looked up by source range."""

    def __init__(self, file: str) -> None:
        text = "".join(linecache.getlines(file))
        self.lines = text.splitlines()
        self.nodes: dict[Span, ast.AST] = {}
        self.parents: dict[ast.AST, ast.AST] = {}
        self.statements: dict[int, ast.stmt] = {}
        try:
            tree = ast.parse(text)
        except SyntaxError:
            return
        for parent in ast.walk(tree):
            for child in ast.iter_child_nodes(parent):
                self.parents[child] = parent
            if isinstance(parent, ast.expr | ast.stmt):
                self.nodes.setdefault(span(parent), parent)
            if isinstance(parent, ast.stmt) and not hasattr(parent, "body"):
                for line in range(parent.lineno, (parent.end_lineno or parent.lineno) + 1):
                    self.statements.setdefault(line, parent)


_NOWHERE = (-1, -1, -1, -1)


def span(node: Any) -> Span:
    """Where a node of a syntax tree stands: lines, then columns."""
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


@lru_cache(maxsize=256)
def _tree(file: str) -> _Tree:
    return _Tree(file)


def forget() -> None:
    """Forgets the sources that were read; files may have changed since."""
    linecache.checkcache()
    _tree.cache_clear()
    _positions.cache_clear()
    look_up.cache_clear()
    _last_returned.cache_clear()


@lru_cache(maxsize=1024)
def _positions(code: CodeType) -> list[Any]:
    return list(code.co_positions())


@lru_cache(maxsize=16_384)
def look_up(code: CodeType, lasti: int) -> Place:
    """The place of the instruction at offset `lasti` of `code`."""
    file = code.co_filename
    if lasti < 0:
        return Place(file, code.co_firstlineno)
    line, end, column, end_column = _positions(code)[lasti // 2]
    if line is None:
        return Place(file, code.co_firstlineno)
    tree = _tree(file)
    node = tree.nodes.get((line, end, column, end_column))
    statement = tree.statements.get(line)
    first = statement.lineno if statement is not None else line
    text = _text(tree, statement)
    name, returned = _target(tree, node) if node is not None else (None, None)
    if node is None and statement is not None and end_column == statement.end_col_offset:
        name, returned = _whole(statement)
    return Place(file, line, name, returned, first, text)


def span_at(code: CodeType, lasti: int) -> Span | None:
    """The range of source text that an instruction was compiled from."""
    if lasti < 0:
        return None
    line, end, column, end_column = _positions(code)[lasti // 2]
    return None if line is None else (line, end, column, end_column)


def returned(code: CodeType, lasti: int) -> ast.expr | None:
    """What the `return` at an instruction gives back; of a lambda, its expression.

    Where the instruction is none of a `return`, the last one in the source.
    """
    at = span_at(code, lasti)
    node = _tree(code.co_filename).nodes.get(at) if at is not None else None
    return node.value if isinstance(node, ast.Return) else _last_returned(code)


@lru_cache(maxsize=1024)
def _last_returned(code: CodeType) -> ast.expr | None:
    if code.co_name == "<lambda>":
        return _body(code)
    found = function(code)
    ends = [n for n in _own(found) if isinstance(n, ast.Return)] if found is not None else []
    return max(ends, key=lambda n: (n.lineno, n.col_offset)).value if ends else None


def _body(code: CodeType) -> ast.expr | None:
    """The expression of a lambda: the innermost one around an instruction of its own."""
    tree = _tree(code.co_filename)
    for k in range(len(_positions(code))):
        node: ast.AST | None = tree.nodes.get(span_at(code, 2 * k) or _NOWHERE)
        while node is not None and not isinstance(node, ast.stmt):
            node = tree.parents.get(node)
            if isinstance(node, ast.Lambda):
                return node.body
    return None


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _own(child)


def function(code: CodeType) -> ast.FunctionDef | None:
    """The syntax tree of a function."""
    for node in _tree(code.co_filename).parents:
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None


def _text(tree: _Tree, statement: ast.stmt | None) -> str:
    if statement is None:
        return ""
    last = statement.end_lineno or statement.lineno
    return " ".join(line.strip() for line in tree.lines[statement.lineno - 1 : last])


def _target(tree: _Tree, node: ast.AST) -> tuple[str | None, int | None]:
    """What the value of an expression is assigned to, or where it is returned."""
    parent = tree.parents.get(node)
    if isinstance(node, ast.AugAssign):
        return name_of(node.target), None
    if isinstance(parent, (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Return)):
        if isinstance(parent, ast.Assign) and node in parent.targets:
            return None, None  # a write: its new version keeps the name of the old
        return _whole(parent)
    if isinstance(parent, ast.Subscript) and parent.value is node:
        return None, None
    if isinstance(parent, ast.Tuple):
        return _in_tuple(tree, parent, node)
    if isinstance(parent, ast.Dict) and node in parent.values:
        return _key(parent.keys[parent.values.index(node)]), None  # type: ignore[arg-type]
    return None, None


def _whole(parent: ast.AST) -> tuple[str | None, int | None]:
    if isinstance(parent, ast.Return):
        return None, -1
    targets = (
        parent.targets if isinstance(parent, ast.Assign) else [getattr(parent, "target", None)]
    )
    names = [name for target in targets if (name := name_of(target)) is not None]
    return (names[0] if names else _item(targets[0])), None


ITEM = "[…]"
"""Ends the name of what is put under a variable key: in a container, it is called after that."""


def _item(target: ast.AST | None) -> str | None:
    if not isinstance(target, ast.Subscript) or not isinstance(target.slice, ast.Name):
        return None  # an expression as a key, as in grads["dW" + str(l)], says what it is itself
    base = target.value
    return f"{name_of(base)}{ITEM}" if isinstance(base, ast.Name | ast.Attribute) else None


def _in_tuple(tree: _Tree, group: ast.Tuple, node: ast.AST) -> tuple[str | None, int | None]:
    outer = tree.parents.get(group)
    position = group.elts.index(node)  # type: ignore[arg-type]
    if isinstance(outer, ast.Return):
        return None, position
    if isinstance(outer, ast.Assign) and isinstance(outer.targets[0], ast.Tuple):
        targets = outer.targets[0].elts
        return (name_of(targets[position]) if position < len(targets) else None), None
    return None, None


def name_of(target: ast.AST | None, position: int = -1) -> str | None:
    """The name that an assignment target gives: variable, attribute, or constant key."""
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript):
        return _in(target)  # an element that is written is not the whole
    if isinstance(target, ast.Tuple) and 0 <= position < len(target.elts):
        return name_of(target.elts[position])
    return None


def _in(target: ast.Subscript) -> str | None:
    """The name of what is put under a key: in a container of gradients, `dW1` under `"W1"`."""
    key, container = _key(target.slice), name_of(target.value)
    if key is None or container is None or not GRADIENTS.fullmatch(container):
        return key
    return f"d{key}" if PARAMETER.fullmatch(key) else key


def _key(node: ast.AST | None) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value if node.value.isidentifier() else None
    return None


@lru_cache(maxsize=4096)
def renews(statement: str) -> bool:
    """Whether a statement gives something a new value made from the old by a step.

    >>> renews("p[k] = p[k] - rate * g[k]"), renews("w -= g"), renews("setattr(o, k, getattr(o, k) - g)")
    (True, True, True)
    >>> renews("x = h + f"), renews("not python")
    (False, False)
    """
    try:
        (node,) = ast.parse(statement).body
    except (SyntaxError, ValueError):
        return False
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, ast.Add | ast.Sub)
    target: str | None = None
    value: ast.AST | None = None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = ast.unparse(node.targets[0]), node.value
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if ast.unparse(call.func) == "setattr" and len(call.args) == 3:
            target = f"getattr({ast.unparse(call.args[0])}, {ast.unparse(call.args[1])})"
            value = call.args[2]
    step = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.Sub)
    return step and ast.unparse(value.left) == target  # type: ignore[union-attr]


# ---------------------------------------------------------------------- for a tape


def caller(tape: Tape, call: int, lasti: int) -> tuple[Call, int]:
    """The innermost call of the user's own code around an operation, and the offset in it."""
    entry = tape.calls[call]
    while entry.parent >= 0 and (entry.code is None or foreign(entry.code.co_filename)):
        if entry.code is not None:
            lasti = entry.lasti
        entry = tape.calls[entry.parent]  # a block named by hand has its caller's code
    return entry, lasti


def where(tape: Tape, call: int, lasti: int) -> Place:
    """The place of an operation in the user's code."""
    entry, lasti = caller(tape, call, lasti)
    if entry.code is None:
        return Place("<unknown>", 0)
    return look_up(entry.code, lasti)


def place(tape: Tape, call: int, lasti: int) -> tuple[str, int]:
    """File and line of an operation."""
    found = where(tape, call, lasti)
    return found.file, found.line


def given_name(tape: Tape, call: int, lasti: int) -> str | None:
    """What the user's code calls the result of an operation, in it or in its callers."""
    entry, lasti = caller(tape, call, lasti)
    if entry.code is None:
        return None
    found = look_up(entry.code, lasti)
    name, position = found.name, found.returned
    while name is None and position is not None and entry.parent >= 0:
        entry, lasti = caller(tape, entry.parent, entry.lasti)
        if entry.code is None:
            return None
        name, position = _unpacked(entry.code, lasti, position)
    return name


def _unpacked(code: CodeType, lasti: int, position: int) -> tuple[str | None, int | None]:
    """What a call's result, or one place of it, is assigned to; or where that is returned."""
    tree = _tree(code.co_filename)
    node = tree.nodes.get(tuple(_positions(code)[lasti // 2]))
    if node is None:
        return None, None
    parent = tree.parents.get(node)
    if position < 0 or isinstance(parent, ast.Return):
        name, returned = _target(tree, node)
        return name, (position if returned == -1 else returned)
    if isinstance(parent, ast.Assign):
        return name_of(parent.targets[0], position), None
    return None, None
