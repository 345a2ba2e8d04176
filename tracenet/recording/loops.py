"""Which loop of a flat script is its training loop, of which one turn is recorded.

The training loop is the loop at module level (also inside `if`, `with` and `try`) that changes what
it reads, as `w -= lr * dw` and `w = step(w, x)` do, and of several the one with the most arithmetic,
the first of equals. Where there is none, it is looked for in functions that are called like
training (`main`, `train`, `fit`, `model` …), and then for one that calls a step, as `train_step(net)`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import UsageError
from .notebook import Cell, bound
from .parts import HOOK, Part, bodies, hooked, lies_in, part

_TRAINING = re.compile(
    r"main|run|learn|sgd|(.*_)?(train|fit|model|network)(_.*)?|gradient_descent.*|optimi[sz]e.*"
)
_STEP = re.compile(r"(.*_)?(step|train|backward|backprop|update|fit|optimi[sz]e|learn)(_.*)?")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Loop = ast.For | ast.While


def turn_of(cells: list[Cell], number: int, within: tuple[int, int] | None) -> Part:
    """Puts the hook around the body of the training loop; within: lines that the loop is in."""
    cell, loop, function = _training_loop(cells, within)
    where = f"{Path(cell.file).name}, line {loop.lineno}"
    found = part(f"turn {number}", f"the loop at {where}", loop.body)
    if isinstance(loop, ast.For):
        found.assigned += [n for n in bound(loop.target) if n not in found.assigned]
    inner = loop.body
    if function is not None:
        inner = [*_entering(function), *inner]
    loop.body = [hooked(inner, loop)]
    return found


def _training_loop(
    cells: list[Cell], within: tuple[int, int] | None
) -> tuple[Cell, _Loop, _Function | None]:
    if within is not None:
        found = [
            (cell, loop, _around(cell.tree, loop))
            for cell in cells
            for loop in ast.walk(cell.tree)
            if isinstance(loop, _Loop) and lies_in(loop, within)
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
    deep: list[tuple[Cell, _Loop, _Function | None]] = [
        (cell, loop, function)
        for cell in cells
        for function in ast.walk(cell.tree)
        if isinstance(function, _Function) and _TRAINING.fullmatch(function.name)
        for loop in _loops(function.body)
    ]
    best: list[tuple[Cell, _Loop, _Function | None]] = []
    for changes, entries in ((_updates, flat), (_updates, deep), (_steps, flat), (_steps, deep)):
        best = best or [entry for entry in entries if changes(entry[1])]
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
            yield from _loops(s for inner in bodies(statement) for s in inner)


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


def _steps(loop: _Loop) -> list[ast.Call]:
    """The calls that change something by their names, as `train_step(net, x)` and `net.fit(x)` do."""
    calls = [n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.Call)]
    return [n for n in calls if _STEP.fullmatch(ast.unparse(n.func).rpartition(".")[2])]


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
    names = _locals(function)
    take = " try: {0} = " + HOOK + ".{1}({0!r}, {0})\n except NameError: pass"  # not all are set
    lines = [f"if {HOOK}.due:", *(take.format(name, "enter") for name in names)]
    lines += [f" {HOOK}.begin()", *(take.format(name, "number") for name in names)]
    return ast.parse("\n".join(lines)).body


def _locals(function: _Function) -> list[str]:
    """The variables of a function itself, without those of functions and comprehensions in it."""
    own = function.args
    every = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
    found = dict.fromkeys(a.arg for a in every if a is not None)
    others: set[str] = set()
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, _SCOPES):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        elif isinstance(node, ast.Global | ast.Nonlocal):
            others.update(node.names)
        stack += ast.iter_child_nodes(node)
    return [name for name in found if name not in others]


_SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp,
    ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
