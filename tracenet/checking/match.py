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
from ..words import GRADIENT

_MARKS = (
    r"d(?:E|L|J|C|loss|cost|error)_?d_?(.+)",
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
    holder: that container with all that it is in, as `blocks[0]` or `self.weight`.
    """

    name: str
    id: int
    top: bool = True
    group: str = ""
    holder: str = ""


def arrays(
    tree: Any, name: str, top: bool = True, group: str = "", holder: str = ""
) -> Iterator[Named]:
    """The traced arrays of a noted tree, by their names, keys and positions."""
    if isinstance(tree, Ref):
        yield Named(name, tree.id, top, group, holder)
        return
    inner = f"{holder}.{name}" if holder and "[" not in name else name
    if isinstance(tree, Held):
        for key, item in tree.attributes.items():
            yield from arrays(item, key, False, name, inner)
    elif isinstance(tree, dict):
        for key, item in tree.items():
            text = key if isinstance(key, str) else f"{name}[{key!r}]"
            yield from arrays(item, text, False, name, inner)
    elif isinstance(tree, (list, tuple)):
        fields = getattr(tree, "_fields", None) or [f"{name}[{i}]" for i in range(len(tree))]
        for field, item in zip(fields, tree):
            yield from arrays(item, field, False, name, inner)


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
    for how in (by_name, by_key, by_holder, by_likeness):
        for k, gradient in enumerate(gradients):
            if k not in found:
                alike = [x for x in free if of_shape(x.id) == shape(gradient.id)]
                of = how(gradient, alike if how in (by_likeness, by_holder) else free)
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
    """The input that a gradient is named after: `dW` is W's, of the same object where several are W."""
    for base in bases(gradient.name):
        same = [x for x in inputs if x.name == base]
        if not gradient.top and len({x.id for x in same}) > 1:
            same = [x for x in same if _tail(x.holder) == _tail(gradient.holder)] or same
        if same:
            return same[0]
    return None


def named_or_keyed(gradient: Named, inputs: list[Named]) -> Named | None:
    """The input that a gradient is named after, or that has its key."""
    return by_name(gradient, inputs) or by_key(gradient, inputs)


def _tail(holder: str) -> str:
    """The end of a path, from its last index on: `layers[0]` of `net.layers[0]`."""
    head, bracket, rest = holder.rpartition("[")
    return head.rpartition(".")[2] + bracket + rest if bracket else holder.rpartition(".")[2]


def by_key(gradient: Named, inputs: list[Named]) -> Named | None:
    """`grads["W1"]` is the gradient of `params["W1"]`, `nabla_w[0]` of `weights[0]`.

    Where several containers have that key, it is that of the same place: `grads[0]["W"]` of
    `layers[0]["W"]`.
    """
    if gradient.top:
        return None
    same = [x for x in inputs if not x.top and x.name == gradient.name]
    if len({x.holder for x in same}) > 1:
        same = [x for x in same if _places(x.holder) == _places(gradient.holder)] or same
    if same:
        return same[0]
    for base in bases(gradient.group):
        for x in inputs:
            if not x.top and x.group.startswith(base) and _index(x) == _index(gradient):
                return x
    return None


def _places(holder: str) -> list[str]:
    return re.findall(r"\[(.*?)\]", holder)


def by_holder(gradient: Named, inputs: list[Named]) -> Named | None:
    """`self.weight.grad` is the gradient of `self.weight.data`, `demb` of the one array of `emb`.

    inputs: those of its shape.
    """
    plain = [x for x in inputs if not x.top and not GRADIENT.fullmatch(x.name)]
    if not gradient.top and "." in gradient.holder and GRADIENT.fullmatch(gradient.name):
        own = [x for x in plain if x.holder == gradient.holder]
        if len({x.id for x in own}) == 1:
            return own[0]
    for base in bases(gradient.name):
        held = [x for x in plain if x.holder.rpartition(".")[2] == base]
        if len({x.id for x in held}) == 1:
            return held[0]
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
