"""What an expression given to `trace_call` runs: one call with ready arguments, or all of it.

Where the expression is one call of the program's own function, its arguments are made first,
untraced, so that they come in by name: `iteration(X, Y, initialize(3), 0.5)`. Where an argument is
itself a run of the program on arrays, as in `cost(forward(X, parameters), Y)`, it is part of what
is traced, and so the whole expression is.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ..ops import RULES
from .calls import foreign_rule
from .entrance import attributes, is_plain
from .tape import EXPRESSION, foreign


@dataclass(frozen=True, slots=True)
class Planned:
    """A function to trace, its arguments, and the names that those have in the expression."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    names: list[str | None]
    made: dict[str, Any]  # what was made first, by the names that it has in the function


def planned(tree: ast.Expression, text: str, namespace: dict[str, Any]) -> Planned:
    """What to trace for a parsed expression that is to be evaluated in a module."""
    call, makers = tree.body, _Makers(namespace)
    if isinstance(call, ast.Call) and not _computes(call, namespace):
        call.func = ast.fix_missing_locations(makers.visit(call.func))
        function = _evaluate(call.func, namespace, makers.made)
        if _own(function):
            return Planned(function, *_arguments(call, namespace), {})
    whole = ast.fix_missing_locations(makers.visit(tree))
    code = compile(whole, EXPRESSION, "eval")
    return Planned(FunctionType(code, namespace, text), (), {}, [], makers.made)


class _Makers(ast.NodeTransformer):
    """Takes out of an expression what makes networks and parameters, and runs it first.

    `cost(Net(3).run(x), y)` becomes `cost(made_1.run(x), y)`: what `Net(3)` holds comes in with
    its names, as if it had been a variable.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.made: dict[str, Any] = {}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = None if _runs(node.func) else _known(node.func, self.namespace)
        if not _makes(function) or _takes_arrays(node, function, self.namespace):
            return self.generic_visit(node)
        try:
            made = _evaluate(node, self.namespace)
        except NameError:  # of a loop or lambda variable: it can only be made where it stands
            return self.generic_visit(node)
        name = f"made_{len(self.made) + 1}"
        while name in self.namespace:
            name += "_"
        self.made[name] = made
        return ast.Name(name, ast.Load())


_MAKER = re.compile(r"_*(init|make|create|build|new|load|random).*")


def _makes(function: Any) -> bool:
    """Whether this is a class of the program's, or a function that is called like a maker."""
    if not isinstance(function, type):
        return _own(function) and bool(_MAKER.fullmatch(getattr(function, "__name__", "")))
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    return bool(file) and not foreign(str(file))


def _runs(node: ast.AST) -> bool:
    """Whether evaluating this calls something: `net.forward(x).sum` does, `net.forward` does not."""
    return any(isinstance(inner, ast.Call) for inner in ast.walk(node))


def _own(function: Any) -> bool:
    """Whether this is a function or method of the program, not of a library and not a class."""
    inner = function if isinstance(function, (FunctionType, MethodType)) else None
    if inner is None and not isinstance(function, type):
        inner = getattr(type(function), "__call__", None)
    code = getattr(getattr(inner, "__func__", inner), "__code__", None)
    return code is not None and not foreign(code.co_filename)


def _computes(whole: ast.Call, namespace: dict[str, Any]) -> bool:
    """Whether a part of a call runs the program's own code on arrays: it belongs to the trace."""
    for call in ast.walk(whole):
        if call is whole or not isinstance(call, ast.Call):
            continue
        if _runs(call.func):  # Net(3).run(x)
            if any(_mentions(each, namespace) for each in _given(call)):
                return True
            continue
        function = _known(call.func, namespace)
        if _own(function) and _takes_arrays(call, function, namespace):
            return True
        known = _hashable(function) and (function in RULES or foreign_rule(function) is not None)
        if known and len(_arrays_of(call, namespace)) > 1:
            return True  # f(np.dot(x, W)): a layer begins in the argument
    return False


def _hashable(x: Any) -> bool:
    return callable(x) and getattr(x, "__hash__", None) is not None


def _arrays_of(call: ast.Call, namespace: dict[str, Any]) -> set[str]:
    """The variables with arrays that a call reads."""
    names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    return {name for name in names if _holds(namespace.get(name), set())}


def _takes_arrays(call: ast.Call, function: Any, namespace: dict[str, Any]) -> bool:
    return _holds(getattr(function, "__self__", None), set()) or any(
        _mentions(each, namespace) for each in _given(call)
    )


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _known(node: ast.expr, namespace: dict[str, Any]) -> Any:
    """What a name stands for; None for that of a loop or lambda variable."""
    try:
        return _evaluate(node, namespace)
    except Exception:
        return None


_ABOUT = {"shape", "size", "ndim", "dtype"}


def _mentions(node: ast.AST, namespace: dict[str, Any]) -> bool:
    """Whether an expression hands arrays over, and not only their shape or length."""
    if isinstance(node, ast.Name):
        return _holds(namespace.get(node.id), set())
    if isinstance(node, ast.Attribute) and node.attr in _ABOUT:
        return False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
        return False
    return any(_mentions(inner, namespace) for inner in ast.iter_child_nodes(node))


def _holds(x: Any, seen: set[int]) -> bool:
    if isinstance(x, np.ndarray):
        return True
    if id(x) in seen:
        return False
    seen.add(id(x))
    if isinstance(x, dict):
        return any(_holds(item, seen) for item in x.values())
    if isinstance(x, (list, tuple)):
        return any(_holds(item, seen) for item in x)
    return is_plain(x) and any(_holds(item, seen) for _, item in attributes(x))


def _arguments(
    call: ast.Call, namespace: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], list[str | None]]:
    args: list[Any] = []
    names: list[str | None] = []
    for argument in call.args:
        if isinstance(argument, ast.Starred):
            items = list(_evaluate(argument.value, namespace))
            args += items
            names += [None] * len(items)
        else:
            args.append(_evaluate(argument, namespace))
            names.append(argument.id if isinstance(argument, ast.Name) else None)
    kwargs: dict[str, Any] = {}
    for keyword in call.keywords:
        value = _evaluate(keyword.value, namespace)
        kwargs.update(value if keyword.arg is None else {keyword.arg: value})
    return tuple(args), kwargs, names


def _evaluate(node: ast.expr, namespace: dict[str, Any], made: dict[str, Any] | None = None) -> Any:
    return eval(compile(ast.Expression(node), EXPRESSION, "eval"), namespace, made)
