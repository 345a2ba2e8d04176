"""Which gradient belongs to which array: by name first, then by the shapes that are left.

`dW` is W's, `grads["W1"]` is W1's, `self.weights_grad` is weights', the third result of a backward
function is the third argument's. A gradient of the wrong shape keeps the array that its name says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..recording.notes import Held, Ref

GRADIENT = re.compile(
    r"d([A-Z_].*|out.*|next.*|prev.*|[a-z]\d*|[a-z]_.*|h.*|prob.*|score.*|loss.*|values?|inputs?|y.*)"
    r"|.*grad(ient)?s?(_.*)?|.*delta.*|g|upstream.*|(output_)?error|nabla_.*"
)
"""Names of parameters that stand for a gradient."""

_MARKS = (
    r"d_?(.+)", r"(?:grad|gradient|g|nabla|delta)s?_?(?:of_)?(.+)", r"(.+?)_?(?:grad|gradient|delta)s?",
    r"nabla_(.+)",
)  # fmt: skip


def bases(name: str) -> list[str]:
    """What a gradient's name may be the gradient of.

    >>> bases("dW1"), bases("weights_grad"), bases("grad_b")
    (['W1'], ['weights'], ['b'])
    """
    found = [m.group(1) for mark in _MARKS if (m := re.fullmatch(mark, name))]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Named:
    """An array in an argument or a result: what it is called there, and its value.

    top: whether it is an argument itself, or in a container; `group` is that container's name.
    """

    name: str
    id: int
    top: bool = True
    group: str = ""


def arrays(tree: Any, name: str, top: bool = True, group: str = "") -> Iterator[Named]:
    """The traced arrays of a noted tree, by their names, keys and positions."""
    if isinstance(tree, Ref):
        yield Named(name, tree.id, top, group)
    elif isinstance(tree, Held):
        for key, item in tree.attributes.items():
            yield from arrays(item, key, False, name)
    elif isinstance(tree, dict):
        for key, item in tree.items():
            yield from arrays(
                item, key if isinstance(key, str) else f"{name}[{key!r}]", False, name
            )
    elif isinstance(tree, (list, tuple)):
        for i, item in enumerate(tree):
            yield from arrays(item, f"{name}[{i}]", False, name)


def matched(
    gradients: Iterable[Named],
    inputs: list[Named],
    shape: Callable[[int], tuple[int, ...]],
    shape_of: Callable[[int], tuple[int, ...]] | None = None,
) -> list[tuple[Named, Named | None]]:
    """Each gradient with the input that it is the gradient of, where that can be said.

    shape, shape_of: the shape of a gradient, and of an input, by their numbers.
    """
    of_shape = shape_of or shape
    gradients = list(gradients)
    found: dict[int, Named] = {}
    free = list(inputs)
    for how in (by_name, by_key, by_likeness):
        for k, gradient in enumerate(gradients):
            if k not in found:
                alike = [x for x in free if of_shape(x.id) == shape(gradient.id)]
                of = how(gradient, alike if how is by_likeness else free)
                if of is not None:
                    found[k] = of
                    free = [x for x in free if x.id != of.id]
    for k, gradient in enumerate(gradients):
        if k in found or (not gradient.top and "[" not in gradient.name):
            continue  # a key that names nothing is no evidence
        same = [x for x in free if of_shape(x.id) == shape(gradient.id) and x.top == gradient.top]
        same = same or [x for x in free if of_shape(x.id) == shape(gradient.id)]
        if same:
            found[k] = same[0]
            free = [x for x in free if x.id != same[0].id]
    return [(gradient, found.get(k)) for k, gradient in enumerate(gradients)]


def by_name(gradient: Named, inputs: list[Named]) -> Named | None:
    """The input that a gradient is named after: `dW` is W's."""
    for base in bases(gradient.name):
        for x in inputs:
            if x.name == base:
                return x
    return None


def by_key(gradient: Named, inputs: list[Named]) -> Named | None:
    """`grads["W1"]` is the gradient of `params["W1"]`, `nabla_w[0]` of `weights[0]`."""
    if gradient.top:
        return None
    for x in inputs:
        if not x.top and x.name == gradient.name:
            return x
    for base in bases(gradient.group):
        for x in inputs:
            if not x.top and x.group.startswith(base) and _index(x) == _index(gradient):
                return x
    return None


def _index(x: Named) -> str:
    return x.name.removeprefix(x.group)


def by_likeness(gradient: Named, inputs: list[Named]) -> Named | None:
    """`dA_prev` is the gradient of A, `dinputs` of the input."""
    for base in bases(gradient.name):
        plain = _plain(base)
        for x in inputs:
            if _plain(x.name) == plain:
                return x
    return None


def _plain(name: str) -> str:
    return re.sub(r"_?(prev|previous|next|in|inp|data)$|^(prev|next)_|s$", "", name.lower())
