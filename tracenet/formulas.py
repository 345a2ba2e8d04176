"""Formulas from recorded operations: `z[1] = W[1] a[0] + b[1]`, `dz[1] = da[1] ⊙ σ′(z[1])`.

A formula is built from the templates of the rules. It stops at values that the code gave a name,
and at calls of small functions, which are written as calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import notation
from .diagram import Run, Text, plain
from .ops import BY_NAME, MIXING, Rule
from .recording.keeping import SMALL as ALWAYS_KEPT
from .records import BACKWARD, Op
from .trace import Trace

ATOM, POWER, PRODUCT, SUM, LOOSE = 4, 3, 2, 1, 0
LONGEST = 46
"""Characters; a longer formula is cut, with an ellipsis."""

LONG = 64
"""The same for one that stands alone in its box: a cross-entropy over a batch has about 58."""

DEEPEST = 24
"""Operations inside each other; the rest is an ellipsis, which is seldom within `LONGEST`."""

SMALL = 8
"""A called function of at most so many operations, from one array to one, is written as a call."""


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of a formula and how tightly it binds."""

    text: Text
    binds: int = ATOM


class Formulas:
    """Writes the formulas of one trace."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.values = trace.values
        self.ops = trace.ops
        self.calls = _small_calls(trace)
        self.called: dict[int, list[int]] = {}  # argument -> what small functions made of it
        for out, (_, x) in self.calls.items():
            self.called.setdefault(x, []).append(out)
        self.mixed = {op.block for op in trace.ops if op.rule in MIXING}
        self.seeds = trace.seeds()
        self.many: frozenset[int] = frozenset()  # ops of loops in one box: they have no one index
        self._depth = 0
        self._known: dict[tuple[int, int], Term] = {}

    # ------------------------------------------------------------------ lines

    def line(self, id: int, longest: int = LONGEST) -> Text:
        """`name = formula` for a value; empty where it has no name or no maker."""
        value = self.values[id]
        if value.op is None or not value.name:
            return ()
        op = self.ops[value.op]
        if op.rule == "write" and op.of is None:
            return self._written(op, value.name)
        term = self._of(op, id)
        name = notation.text(value.name, value.of is not None)
        if plain(term.text) == plain(name):
            return ()
        return _cut((*name, Run(" = "), *term.text), longest)

    def _of(self, op: Op, id: int) -> Term:
        """How a value was made, as far as it can be seen: what is drawn is cut to `LONGEST`."""
        key = id, self._depth
        if key not in self._known:
            self._known[key] = self._nested(op, id)
        return self._known[key]

    def _nested(self, op: Op, id: int) -> Term:
        if self._depth == DEEPEST:
            return Term((Run("…"),))
        self._depth += 1
        try:
            term = self._how(op, id)
        finally:
            self._depth -= 1
        return Term(_cut(term.text, 2 * LONGEST), term.binds)

    def _how(self, op: Op, id: int) -> Term:
        """How a value was made: forwards, as a gradient, or as a sum of gradients."""
        if op.of is not None:
            return self._derived(op, id)
        if not _is_meeting(op):
            return self._made(op, id)
        return self._through_call(op, self.values[id].of) or self._sum(op)

    def _sum(self, op: Op) -> Term:
        """Gradients that meet, each as it was made; there may be as many as there were uses."""
        runs: list[Run] = []
        waiting = list(reversed(op.ins))
        while waiting and len(runs) < LONGEST:
            i = waiting.pop()
            maker = self.values[i].op
            made = None if maker is None else self.ops[maker]
            if made is not None and _is_meeting(made):
                call = self._through_call(made, self.values[i].of)
                if call is None:
                    waiting += reversed(made.ins)
                    continue
                term = call
            else:
                term = self._of(made, i) if made is not None else self.term(i)
            runs += [*([Run(" + ")] if runs else []), *term.text]
        return Term(tuple(runs), SUM)

    def _written(self, op: Op, name: str) -> Text:
        """`dZ[Z ≤ 0] = 0`."""
        whole = op.settings.get("index") is ...
        where = self._index(op)
        index = [self.term(i).text for i in op.ins[2:]] or [(Run(where),)]
        place = () if whole else (Run("["), *_joined(index), Run("]"))
        return _cut((*notation.text(name), *place, Run(" = "), *self.term(op.ins[1]).text))

    def _index(self, op: Op) -> str:
        """The index of an operation, as far as one can be told for what is drawn together."""
        unknown = op.id in self.many or op.settings.get("path") or "index" not in op.settings
        return "…" if unknown else notation.index(op.settings["index"])

    def _placed(self, formula: str, op: Op) -> str:
        """A formula with the index that was used: `x[:, 3]`."""
        return formula.replace("[…]", f"[{self._index(op)}]")

    def _made(self, op: Op, id: int) -> Term:
        call = self.calls.get(id)
        if call is not None:
            name, x = call
            return Term((Run(f"{notation.function(name)}("), *self.term(x).text, Run(")")))
        rule = BY_NAME.get(op.rule)
        if op.rule == "write":
            return self.term(op.ins[1])
        if rule is None or not rule.formula:
            inner = [self.term(i).text for i in op.ins[:3]]
            return Term((Run(f"{op.rule}("), *_joined(inner), Run(")")))
        formula = self._placed(self._scaled(rule.formula, op), op)
        return self._filled(formula, rule.binds, self._operands(rule, op), op.settings)

    def _scaled(self, formula: str, op: Op) -> str:
        """A product with a number is no elementwise product of arrays."""
        scalar = any(not self.values[i].shape for i in op.ins if i in self.values)
        return formula.replace(" ⊙ ", " · ") if scalar else formula

    def _operands(self, rule: Rule, op: Op) -> dict[str, Any]:
        if rule.variadic:
            inner = [self.term(i).text for i in op.ins]
            return {rule.operands[0].lstrip("*"): Term(_joined(inner))}
        return {name: self.term(i) for name, i in zip(rule.operands, op.ins)}

    def term(self, id: int, depth: int = 0) -> Term:
        """A value inside a formula: its name, its number, or how it was made."""
        value = self.values.get(id)
        if value is None or (value.op is None and not value.name):
            return Term((Run(_number(self.trace.found(id))),), ATOM)
        if value.name:
            text = notation.text(value.name, value.of is not None)
            return Term(text, PRODUCT if notation.is_quotient(text) else ATOM)
        op = self.ops[value.op]  # type: ignore[index]
        return self._of(op, id)

    def label(self, id: int) -> Text:
        """What a value is called in a list of arrays: its name, or a short formula for it."""
        value = self.values[id]
        if value.name or value.op is None or value.of is not None:
            return notation.text(value.name, value.of is not None) if value.name else ()
        return _cut(self._of(self.ops[value.op], id).text, 18)

    # ------------------------------------------------------------------ derived backward

    def _derived(self, op: Op, id: int) -> Term:
        """The gradient that a mirror op made: `da ⊙ σ′(z)`, `dz aᵀ`."""
        forward = self.ops[op.of]  # type: ignore[index]
        target = self.values[id].of
        call = self._through_call(op, target)
        if call is not None:
            return call
        rule = BY_NAME.get(forward.rule)
        place = forward.ins.index(target) if target in forward.ins else 0
        place = self._place(op, id, forward, place)
        if rule is None or rule.variadic or place >= len(rule.mirrors) or not rule.mirrors[place]:
            return self.term(op.ins[0])
        terms: dict[str, Any] = {n: self.term(i) for n, i in zip(rule.operands, forward.ins)}
        terms["g"] = self.term(op.ins[0])
        terms["out"] = self.term(forward.outs[0])
        mirror = self._simpler(self._scaled(rule.mirrors[place], forward), op, forward)
        mirror = self._placed(mirror, forward)
        filled = self._filled(mirror, rule.mirror_binds, terms, forward.settings)
        if self._was_summed(op, id):
            return Term((Run("Σ "), *_grouped(filled, PRODUCT)), PRODUCT)
        return filled

    def _simpler(self, mirror: str, op: Op, forward: Op) -> str:
        """The square's 2 x, and nothing for the gradient of the loss by itself, which is 1."""
        if forward.rule == "power" and self._number_of(forward.ins[1]) == 2:
            mirror = "{g} · 2 {x}"
        if op.ins[0] in self.seeds:
            for start in ("{g} ⊙ ", "{g} · "):
                mirror = mirror.removeprefix(start)
        return mirror

    def _number_of(self, id: int) -> Any:
        data = self.trace.found(id)
        return data if np.ndim(data) == 0 else None

    def _place(self, op: Op, id: int, forward: Op, default: int) -> int:
        position = op.outs.index(id) if id in op.outs else 0
        return op.wants[position] if position < len(op.wants) else default

    def _was_summed(self, op: Op, id: int) -> bool:
        """Whether broadcasting was undone: the gradient of b is summed over the examples."""
        forward = self.ops[op.of]  # type: ignore[index]
        rule = BY_NAME.get(forward.rule)
        elementwise = rule is not None and forward.rule in (
            "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "where",
        )  # fmt: skip
        out = self.values[forward.outs[0]].shape
        return elementwise and self.values[id].shape != out

    def _through_call(self, op: Op, target: int | None) -> Term | None:
        """The gradient through a small function, f: dz = da ⊙ f′(z)."""
        for out in self.called.get(target, ()) if target is not None else ():
            name, x = self.calls[out]
            gradient = self.trace.gradient_of(out)
            blocks = self.trace.blocks
            mine = blocks[op.block].of
            maker = self.values[out].op
            outside = op.of is not None and maker is not None and mine != self.ops[maker].block
            if gradient is None or maker is None or outside:
                continue
            word = notation.function(name)
            if not self._elementwise(maker):
                passed = (Run(f"{word} backward("), *self.term(gradient).text, Run(")"))
                return Term(passed)
            inner = (Run(f"{word}′("), *self.term(x).text, Run(")"))
            return Term((*_grouped(self.term(gradient), PRODUCT), Run(" ⊙ "), *inner), PRODUCT)
        return None

    def _elementwise(self, maker: int) -> bool:
        """Whether the function that ends in this op treats each element by itself."""
        return self.ops[maker].block not in self.mixed

    # ------------------------------------------------------------------ templates

    def _filled(self, template: str, binds: int, terms: dict[str, Any], settings: Any) -> Term:
        runs: list[Run] = []
        pieces = list(_pieces(template))
        if len(pieces) == 1 and pieces[0][1] in terms:
            return terms[pieces[0][1]]  # what only passes on binds as it did
        for i, (word, name, raised) in enumerate(pieces):
            if word:
                runs += _styled(word)
            elif name in terms:
                term = terms[name]
                need = LOOSE if raised or binds == ATOM else binds + (1 if i and binds else 0)
                inside = _bracketed(template, name)
                sums = i == len(pieces) - 1 and binds == PRODUCT and _prefixed(term.text)
                part = term.text if inside or raised or sums else _grouped(term, need)
                if pieces[i + 1 : i + 2] and pieces[i + 1][0].startswith("ᵀ"):
                    part = _grouped(term, ATOM)  # (W x)ᵀ, which W xᵀ is not
                    if part[-1:] == (TRANSPOSED,):
                        part, pieces[i + 1] = part[:-1], (pieces[i + 1][0][1:], "", False)
                if _runs_together(part, pieces[i + 1 : i + 2]):
                    part = (Run("("), *part, Run(")"))  # (a¹)², which a¹² is not
                runs += [Run(r.text, "sup") for r in part] if raised else part
            elif name in settings:
                runs.append(Run(str(settings[name])))
        return Term(tuple(runs), binds)


def _is_meeting(op: Op) -> bool:
    """Whether the op is no code's: the sum of gradients of a value that was used twice."""
    return op.phase == BACKWARD and not op.file and op.of is None


def _pieces(template: str) -> Iterator[tuple[str, str, bool]]:
    """(literal text, "", False) and ("", name, raised) for a template `"{x}^{y}"`."""
    for word, raised, name in re.findall(r"([^{}^]+)|(\^?)\{(\w+)\}", template):
        yield word, name, bool(raised)


def _bracketed(template: str, name: str) -> bool:
    return re.search(rf"[(,\[|√]\s*\{{{name}\}}\s*[),\]|]", template) is not None


def _runs_together(text: Text, following: list[tuple[str, str, bool]]) -> bool:
    """Whether a name that ends raised, as those of layers do, is raised to a power.

    The ᵀ of a transpose is told from `[1]` at a glance, and from Nielsen's `1` it is not.
    """
    if not text or text[-1].style != "sup":
        return False
    for word, _, raised in following:
        if raised or word[:1] in ("²", "³"):
            return True
        return word[:1] == "ᵀ" and text[-1].text.isdecimal()
    return False


TRANSPOSED = Run("T", "sup")


def _styled(word: str) -> list[Run]:
    parts = re.split(r"(ᵀ)", word)
    return [TRANSPOSED if part == "ᵀ" else Run(part) for part in parts if part]


def _grouped(term: Term, need: int) -> Text:
    return term.text if term.binds >= need else (Run("("), *term.text, Run(")"))


def _prefixed(text: Text) -> bool:
    """A sum of all elements at the end of a product needs no parentheses: 0.5 · Σ (a − y)²."""
    return bool(text) and text[0].text.startswith("Σ ")


def _joined(texts: list[Text]) -> Text:
    runs: list[Run] = []
    for i, text in enumerate(texts):
        runs += [Run(", ")] * bool(i) + list(text)
    return tuple(runs)


def _number(data: Any) -> str:
    if (
        isinstance(data, np.ndarray)
        and 0 < data.nbytes < ALWAYS_KEPT
        and np.all(data == data.flat[0])
    ):
        data = data.flat[0]  # np.zeros(…), np.full(…): what is the same everywhere is a number
    if np.ndim(data) or not isinstance(data, (int, float, np.number)):
        return "const"
    return f"{float(data):.4g}".replace("-", "−")


def _cut(text: Text, longest: int = LONGEST) -> Text:
    length = 0
    kept: list[Run] = []
    for run in text:
        length += len(run.text)
        if length > longest:
            keep = run.text[: max(0, len(run.text) - (length - longest))]
            return (*kept, *([Run(keep, run.style)] if keep else []), Run(" …"))
        kept.append(run)
    return tuple(kept)


def _small_calls(trace: Trace) -> dict[int, tuple[str, int]]:
    """Values that a small function of one array returned: `{value: (function, argument)}`."""
    found: dict[int, tuple[str, int]] = {}
    inside: dict[int, list[Op]] = {}
    for op in trace.ops:
        if op.phase != BACKWARD or trace.blocks[op.block].handwritten:
            inside.setdefault(op.block, []).append(op)
    parents = {block.parent for block in trace.blocks}
    leaves = trace.values
    for block in trace.blocks[1:]:
        ops = inside.get(block.id, [])
        if not ops or len(ops) > SMALL or block.id in parents or block.of is not None:
            continue
        made = {out for op in ops for out in op.outs}
        read = {i for op in ops for i in op.ins if i not in made}
        read = {i for i in read if leaves[i].op is not None or leaves[i].name}
        if len(read) == 1 and _writes_nothing(ops):
            found[ops[-1].outs[-1]] = (block.function, read.pop())
    return found


def _writes_nothing(ops: list[Op]) -> bool:
    return all(op.rule not in ("write", "add_at") for op in ops)
