"""Which pass a block belongs to: forward, backward or update, by the name of its function.

Names alone mislead where one function runs both passes, so what a block reads is looked at too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ..records import BACKWARD, FORWARD, UPDATE, Block
from ..words import GRADIENT
from .roles import DATA
from .tape import Tape

BACKWARD_NAME = re.compile(
    r"(.*_)?(backward|backprop|back_prop|bprop|backpropagation|bwd|back|vjp|pullback)(_.*)?"
)
DERIVATIVE_NAME = re.compile(r"(?!num|eval|approx)(.*_)?(prime|derivative|grad|gradient)")
_WORDS = re.compile(
    r"_?(forward|backward|backprop|[fb]prop|fwd|bwd|back|vjp|pullback|__call__|loss|prime|derivative|gradient|grad)_?"
)
_VARIANT = re.compile(r"_(alt|alternative|naive|fast|vectorized|loops?|simple|v\d+)$")
"""What sets versions of one function apart, as in `batchnorm_backward_alt`."""

ARRANGES = {"getitem", "reshape", "transpose", "copy", "astype", "array"}
"""Operations that cut a batch out of the data: a forward pass has not begun with them."""

_UPDATE = re.compile(
    r"update(_.*)?|(.*_)?update(_.*)?|gradient_descent.*|sgd.*|adam.*|optimi[sz]e.*"
)
_STEP = re.compile(r"(.*_)?(step|apply|learn|descend)(_.*)?")
"""What updates are also called; the cell of a recurrent network is called so as well."""


def _phase(function: str, around: str, step: bool) -> str:
    if around != FORWARD:
        return around
    if is_backward(function):
        return BACKWARD
    return UPDATE if step else FORWARD


_COUNTS = re.compile(r"self|[a-zA-Z]|idx|index|cache|args|_+")


def computes_gradients(code: Any) -> bool:
    """Whether a function is backward code by its variables: it takes a gradient and makes others.

    `top_diff_is(self, top_diff_h, …)` with `ds`, `do`, `di` in it is, whatever it is called.
    """
    count = code.co_argcount + code.co_kwonlyargcount
    taken = [name for name in code.co_varnames[:count] if name != "self"]
    if not taken or not GRADIENT.fullmatch(taken[0]):
        return False
    made = [name for name in code.co_varnames[count:] if not _COUNTS.fullmatch(name)]
    gradients = [name for name in made if GRADIENT.fullmatch(name)]
    return len(gradients) > 1 and 3 * len(gradients) >= 2 * len(made)


_PAIRS: ContextVar[Mapping[str, str]] = ContextVar("pairs", default=MappingProxyType({}))
"""Backward functions whose names do not say so, and the forward functions that they belong to."""


@contextmanager
def paired(forward_of: Mapping[str, str]) -> Iterator[None]:
    """Takes functions for the backward of others: `{"bottom_data_is": "top_data_is"}`."""
    before = _PAIRS.set(forward_of)
    try:
        yield
    finally:
        _PAIRS.reset(before)


def called_backward(function: str) -> bool:
    """Whether a function is called a backward, or was said to be one."""
    pairs = _PAIRS.get()
    named = BACKWARD_NAME.fullmatch(function) is not None and function not in pairs.values()
    return named or function in pairs


def is_backward(function: str) -> bool:
    """Whether a function is backward code, by its name."""
    derivative = DERIVATIVE_NAME.fullmatch(function) and function not in _PAIRS.get().values()
    return called_backward(function) or bool(derivative)


def both_passes(
    tape: Tape, blocks: list[Block], block_of: list[int], recorded: int
) -> set[tuple[str, str]]:
    """The functions that are called like a backward but read nothing that was computed before.

    They run the forward pass too, as a `backprop(x, y)` does that a training step calls for each
    example; unless a forward function of that name ran before. The first call decides: later ones
    read parameters that an update has made.
    """
    named = {b.id for b in blocks[1:] if is_backward(function_of(b))} if recorded else set()
    first: dict[tuple[str, str], int] = {}
    for id in sorted(named):
        first.setdefault((blocks[id].file, blocks[id].function), id)
    found = {
        key: id for key, id in first.items() if blocks[id].file and not _has_forward(blocks, id)
    }
    made: dict[int, set[int]] = {}  # value -> the blocks named like a backward that made it
    ran = set()
    for rule, out, ins, _, call, _ in tape.ops[:recorded]:
        inside = {b for b in up_to(blocks, block_of[call], None) if b in named}
        ran |= inside
        for key, id in list(found.items()):
            if id in inside and any(i in made and id not in made[i] for i in ins):
                del found[key]
        if rule.name not in ARRANGES or any(i in made for i in ins):
            made[out] = inside
    return {key for key, id in found.items() if id in ran}


def _has_forward(blocks: list[Block], id: int) -> bool:
    """Whether the forward function of a `…_backward` ran before it."""
    mine = stem(blocks[id].function)
    named = called_backward(function_of(blocks[id])) and bool(mine)
    return named and any(stem(block.function) == mine for block in blocks[1:id])


def function_of(block: Block) -> str:
    """The name of its function, without what the function belongs to."""
    return block.function.rpartition(".")[2]


def updates(tape: Tape, blocks: list[Block], block_of: list[int], recorded: int) -> set[int]:
    """The blocks that take the step of an optimizer."""
    called = {b.id for b in blocks[1:] if _UPDATE.fullmatch(function_of(b))}
    for block in blocks[1:]:
        if called and is_backward(function_of(block)):
            called.difference_update(up_to(blocks, block.id, None))
    if called:  # an `optimize(w, b, X, Y)` runs both passes: what it calls reads the data
        leaves = tape.leaves
        data = {i for i, leaf in leaves.items() if leaf.name and DATA.fullmatch(leaf.name)}
        for _, _, ins, _, call, _ in tape.ops[:recorded]:
            if not data.isdisjoint(ins):
                called.difference_update(up_to(blocks, blocks[block_of[call]].parent, None))
    return called | _steps(tape, blocks, block_of, recorded)


def _steps(tape: Tape, blocks: list[Block], block_of: list[int], recorded: int) -> set[int]:
    """The blocks called like a step of an optimizer that read what a backward block made."""
    named = {b.id for b in blocks[1:] if _STEP.fullmatch(function_of(b))}
    if not named:
        return set()
    backward = {b.id for b in blocks[1:] if is_backward(function_of(b))}
    gradients: set[int] = set()
    found: set[int] = set()
    for _, out, ins, _, call, _ in tape.ops[:recorded]:
        around = set(up_to(blocks, block_of[call], None))
        if around & backward:
            gradients.add(out)
            named -= around  # a step of training, with both passes in it
        elif around & named and not gradients.isdisjoint(ins):
            found |= around & named
    return found & named


def set_phases(
    blocks: list[Block], both: set[tuple[str, str]], steps: set[int], codes: dict[int, Any]
) -> None:
    """Says which pass each block is of, by its name; the traced function itself is no evidence.

    A function called `backprop` that is traced by itself often runs both passes.
    both: the functions that do so although they are not the traced function. steps: updates.
    codes: the code of each block that has some.
    """
    blocks[0] = replace(blocks[0], phase=FORWARD)
    for i, block in enumerate(blocks[1:], 1):
        around = blocks[block.parent or 0].phase
        phase = _phase(function_of(block), around, i in steps) if block.file else around
        said = function_of(block) in _PAIRS.get().values()
        if phase == FORWARD and not said and i in codes and computes_gradients(codes[i]):
            phase = BACKWARD
        if phase == BACKWARD and around == FORWARD and (block.file, block.function) in both:
            phase = FORWARD
        named = phase == FORWARD
        name = block.name if named or block.ordinal else function_of(block)
        blocks[i] = replace(block, phase=phase, name=name, handwritten=phase == BACKWARD)


def up_to(blocks: list[Block], block: int | None, stop: int | None) -> Iterator[int]:
    """A block and those around it, from the inside, without `stop`."""
    while block is not None and block != stop:
        yield block
        block = blocks[block].parent


def stem(function: str) -> str:
    """What the names of a pair have in common: `linear` of `linear_backward`."""
    owner, dot, name = function.rpartition(".")
    name = _PAIRS.get().get(name, name)
    return owner + dot + _WORDS.sub("", _VARIANT.sub("", name))
