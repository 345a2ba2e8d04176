"""Blocks from calls: which calls of the traced program are drawn as blocks, and in which pass.

Calls of the user's own functions are blocks; comprehensions, lambdas and code of libraries belong
to the block that they run in. A function that is called more than once in the same place is
numbered: `layer 1`, `layer 2`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

from ..records import FORWARD, Block
from ..words import FORWARD_METHODS
from . import source
from .phases import both_passes, function_of, is_backward, set_phases, up_to, updates
from .tape import EXPRESSION, Tape, foreign

_TRANSPARENT = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>", "<module>")


def blocks_of(tape: Tape, title: str, blocks: list[Block], recorded: int) -> list[int]:
    """Fills `blocks` and returns the block of each call. recorded: how many ops the run made."""
    blocks.append(Block(0, title, title, None, FORWARD, 0, None, "", 0))
    block_of = [0]
    absorbs: dict[int, Any] = {}  # block -> the functions that it was named for
    for number, call in enumerate(tape.calls):
        if number == 0:
            continue
        parent = block_of[call.parent]
        if call.code is not None and call.code in absorbs.get(parent, ()):
            block_of.append(parent)
            _complete(blocks, parent, call)
        elif call.code is not None and _see_through(call.code):
            block_of.append(parent)
        else:
            block_of.append(len(blocks))
            if call.partner is not None:
                block = call.partner.block
                absorbs[len(blocks)] = [
                    getattr(f, "__code__", None) for f in (block.function, block.given_backward)
                ]
            blocks.append(_block(tape, call, len(blocks), parent, blocks))
    ran = {block_of[op[4]] for op in tape.ops[:recorded]}
    _number(blocks, {b for block in ran for b in up_to(blocks, block, 0)})
    _open_root(blocks, block_of, ran)
    alone = is_backward(blocks[0].function.rpartition(".")[2])  # a backward function run by itself
    both = set() if alone else both_passes(tape, blocks, block_of, recorded)
    codes = {block_of[n]: call.code for n, call in enumerate(tape.calls) if call.code is not None}
    codes = {b: code for b, code in codes.items() if code.co_name == function_of(blocks[b])}
    set_phases(blocks, both, updates(tape, blocks, block_of, recorded), codes)
    return block_of


def _see_through(code: Any) -> bool:
    if code.co_name in _TRANSPARENT or code.co_filename == EXPRESSION:
        return True
    return foreign(code.co_filename)


def _complete(blocks: list[Block], id: int, call: Any) -> None:
    block, code = blocks[id], call.code
    blocks[id] = replace(
        block, file=code.co_filename, line=code.co_firstlineno, function=code.co_name
    )


def _block(tape: Tape, call: Any, id: int, parent: int, blocks: list[Block]) -> Block:
    if call.code is None:
        function = call.name or call.partner.block.name
        name = call.name or _friendly(function, None)
        phase = blocks[parent].phase
        return Block(id, name, function, parent, phase, 0, None, "", 0)
    function = call.code.co_name
    name = _friendly(function, call.owner)
    qualified = f"{call.owner}.{function}" if call.owner else function
    file, line = call.code.co_filename, call.code.co_firstlineno
    caller = source.where(tape, call.parent, call.lasti)
    return Block(
        id, name, qualified, parent, FORWARD, 0, None, file, line, statement=caller.text
    )  # fmt: skip


def _friendly(function: str, owner: str | None) -> str:
    """`linear_forward` is drawn as `linear`, `Linear.forward` as `Linear`."""
    if owner is not None and function.strip("_") in FORWARD_METHODS:
        return owner
    short = re.sub(r"(^forward_|_forward$|_forward(?=_))", "", function)
    return f"{owner}.{short}" if owner is not None else short


def _open_root(blocks: list[Block], block_of: list[int], ran: set[int]) -> None:
    """The traced function is the root, not a block inside it. ran: the blocks of the run's ops."""
    inside = {b for block in ran for b in up_to(blocks, block, 0)}
    top = [block for block in blocks if block.parent == 0 and block.id in inside]
    loose = 0 in ran
    if len(top) != 1 or loose:
        return
    only = top[0].id
    to = lambda id: 0 if id == only else id - (id > only)
    kept = [top[0], *(b for b in blocks if b.id not in (0, only))]
    blocks[:] = [
        replace(b, id=to(b.id), parent=None if b.id == only else to(b.parent or 0)) for b in kept
    ]
    block_of[:] = [to(id) for id in block_of]


def _number(blocks: list[Block], ran: set[int]) -> None:
    """Numbers equal calls in the same parent: `layer 1`, `layer 2`; `ran` are those to number."""
    of = lambda block: (block.parent, block.function)
    total = Counter(of(block) for block in blocks if block.id in ran)
    seen: Counter[Any] = Counter()
    for i, block in enumerate(blocks):
        if i not in ran or total[of(block)] < 2:
            continue
        seen[of(block)] += 1
        ordinal = seen[of(block)]
        blocks[i] = replace(block, ordinal=ordinal, name=f"{block.name} {ordinal}")
