"""Blocks named by hand, and hand-written backward blocks.

A call of the user's own function is a block by itself. `tracer.block` gives one a name, as
decorator or as context manager, and `@layer.backward` gives it a backward of its own. Functions
that are paired by name (`linear_forward` with `linear_backward`, `relu` with `relu_backward`)
are such blocks without being told.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from . import tape as tapes
from .array import Array, is_container
from .compiled import speedups
from .notes import followed
from .tape import active


def partner_name(name: str) -> str | None:
    """The name of the backward function that belongs to a forward function.

    >>> partner_name("linear_forward"), partner_name("conv_forward_naive"), partner_name("relu")
    ('linear_backward', 'conv_backward_naive', None)
    """
    if "forward" not in name:
        return None
    return name.replace("forward", "backward")


@dataclass(slots=True, eq=False)
class Given:
    """A traced array that a block was given or gave back: the value that it was then, and its data.

    It knows no tape: with one a trace would be a cycle, and stay until somebody looks for those.
    """

    id: int
    data: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.data)


@dataclass(slots=True)
class Visit:
    """One call of a block with a backward of its own: what went in, and what came out.

    The containers are copies of the user's, with a `Given` for each traced array.
    start, stop: the range of the tape's operations that the call recorded.
    """

    block: Block
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any = None
    call: int = -1
    start: int = -1
    stop: int = -1


class Block:
    """A function that is a block by name, with a backward of its own where one is given."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        backward: Callable[..., Any] | None = None,
        by_name: bool = False,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", "block"))
        self.by_name = by_name
        self.given_backward = backward

    def backward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Says that `function` is the backward of this block.

        It takes the gradient of each array that the block returns, then what it needs of the rest
        that the block returns (its cache) and of the block's own arguments, found by their names;
        it returns the gradients of the block's array arguments, in their order, or a dict of them.
        """
        self.given_backward = function
        return function

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tape = active()
        if tape is None:
            return self.function(*args, **kwargs)
        if self.given_backward is None:
            depth = tape.go_in(self.name, sys._getframe(1))
            try:
                return self.function(*args, **kwargs)
            finally:
                tape.come_out(depth)
        visit = Visit(self, copied(args), copied(kwargs))
        depth = tape.go_in("" if self.by_name else self.name, sys._getframe(1), visit)
        visit.call, visit.start = len(tape.calls) - 1, len(tape.ops)
        try:
            result = self.function(*args, **kwargs)
        finally:
            tape.come_out(depth)
        visit.stop = len(tape.ops)
        visit.result = copied(result)
        tape.visits.append(visit)
        return result


tapes.through = Block.__call__.__code__
if speedups is not None:
    speedups.prepare(Given=Given, through=tapes.through)
    speedups.give_methods()


class NamedBlock:
    """`tracer.block("layer 1")`: a decorator, and a context manager."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._open: list[tuple[tapes.Tape | None, int]] = []

    def __call__(self, function: Callable[..., Any]) -> Block:
        return Block(function, self.name)

    def __enter__(self) -> None:
        tape = active()
        depth = tape.go_in(self.name, sys._getframe(1)) if tape is not None else 0
        self._open.append((tape, depth))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        tape, depth = self._open.pop()
        if tape is not None:
            tape.come_out(depth)


def block(what: str | Callable[..., Any]) -> Any:
    """Names a block: `with tracer.block("layer 1"):`, `@tracer.block`, `@tracer.block("layer")`.

    As a decorator it gives the function a `backward` decorator for a hand-written backward.
    """
    if isinstance(what, str):
        return NamedBlock(what)
    if callable(what):
        return Block(what)
    raise TypeError(f"tracer.block takes a name or a function, got {type(what).__name__}")


_around: list[Any] = []  # the containers that are being copied, one in the other


def _copied(tree: Any) -> Any:
    if type(tree) is Array:
        tape = active() or tree.tape
        # one that is left over from a trace that has ended is a constant of this one
        return Given(id=tape.operand(tree), data=tree.data)
    return followed(copied, tree, _around) if is_container(tree) else tree


copied: Callable[[Any], Any] = _copied
"""Nested containers copied, with a `Given` for each traced array."""
if speedups is not None:
    copied = speedups.copied  # which calls `_copied` for what is not common
    speedups.prepare(copied=_copied)
