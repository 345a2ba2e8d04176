"""The gates of a circuit: operations with their symbols, and which gradient each wire carries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .figures import number
from .formulas import Formulas
from .notation import FUNCTIONS, function
from .records import BACKWARD, FORWARD, Op
from .trace import Trace

MOST = 60
"""Gates of the largest circuit that is drawn."""

SYMBOLS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "matmul": "@", "dot": "·",
    "negative": "×(−1)", "maximum": "max", "minimum": "min", "sum": "Σ", "prod": "Π", "expit": "σ",
    "reciprocal": "1/x", "square": "x²", "sqrt": "√", "absolute": "|x|", "transpose": "T",
    "getitem": "[ ]", "power": "^", "log1p": "log(1+x)", "write": "[ ]=",
}  # fmt: skip
WITH_NUMBER = {
    "add": ("+{n}", "+{n}"), "subtract": ("−{n}", "{n}−x"), "multiply": ("×{n}", "×{n}"),
    "divide": ("÷{n}", "{n}/x"), "power": ("x^{n}", "{n}^x"), "maximum": ("max {n}", "max {n}"),
    "minimum": ("min {n}", "min {n}"),
}  # fmt: skip
"""Operations with a number that stands in the code, at the right and at the left."""
RAISED = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate. gradients: for each of `ins` the value that is the gradient on that wire."""

    name: str
    symbol: str
    ops: tuple[int, ...]
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    gradients: tuple[int | None, ...]

    @property
    def out(self) -> int:
        """The value that comes out."""
        return self.outs[-1]


def gates(trace: Trace) -> list[Gate]:
    """The gates of the forward pass, in the order in which they ran."""
    return list(_Gates(trace).found())


class _Gates:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.mirrors: dict[int, list[Op]] = {}
        for op in trace.ops:
            if op.phase == BACKWARD and op.of is not None:
                self.mirrors.setdefault(op.of, []).append(op)
        self.calls = dict(self._calls())

    def _calls(self) -> Iterator[tuple[int, tuple[str, int, int]]]:
        """By block: the well-known function that it is a call of, what it reads and returns."""
        for out, (name, read) in Formulas(self.trace).calls.items():
            if function(name) in FUNCTIONS.values():
                maker = self.trace.values[out].op
                if maker is not None:
                    yield self.trace.ops[maker].block, (name, read, out)

    def found(self) -> Iterator[Gate]:
        done: set[int] = set()
        for op in self.trace.ops:
            if op.phase != FORWARD:
                continue
            if op.block not in self.calls:
                yield self._single(op)
            elif op.block not in done:
                done.add(op.block)
                yield self._call(op.block)

    def _single(self, op: Op) -> Gate:
        places = [k for k, i in enumerate(op.ins) if not self._is_number(i)]
        ins = tuple(op.ins[k] for k in places)
        gradients = tuple(self._gradient(op, k) for k in places)
        return Gate(op.rule, self._symbol(op), (op.id,), ins, op.outs, gradients)

    def _call(self, block: int) -> Gate:
        name, read, out = self.calls[block]
        inside = [op for op in self.trace.ops if op.block == block and op.phase == FORWARD]
        reading = [(op, k) for op in inside for k, i in enumerate(op.ins) if i == read]
        gradient = self._gradient(*reading[0]) if len(reading) == 1 else None
        gradient = self.trace.gradient_of(read) if gradient is None else gradient
        ops = tuple(op.id for op in inside)
        return Gate(function(name), function(name), ops, (read,), (out,), (gradient,))

    def _gradient(self, op: Op, place: int) -> int | None:
        """The gradient on one wire: what the mirror of the gate gives back along it."""
        for mirror in self.mirrors.get(op.id, ()):
            for out, wanted in zip(mirror.outs, mirror.wants):
                if wanted == place:
                    return out
        return self.trace.gradient_of(op.ins[place]) if not self.mirrors.get(op.id) else None

    def _is_number(self, id: int) -> bool:
        """Whether a value is a number that stands in the code, and no input."""
        value = self.trace.values.get(id)
        return value is None or (value.op is None and not value.name and value.role != "random")

    def _symbol(self, op: Op) -> str:
        numbers = [(k, self.trace.found(i)) for k, i in enumerate(op.ins) if self._is_number(i)]
        if len(numbers) == 1 and op.rule in WITH_NUMBER and np.ndim(numbers[0][1]) == 0:
            place, data = numbers[0]
            return _with_number(op.rule, place, data)
        return SYMBOLS.get(op.rule, op.rule)


def _with_number(rule: str, place: int, data: Any) -> str:
    text = number(data, 4)
    if rule == "power" and place == 1 and text.lstrip("−").isdigit():
        return "x" + text.translate(RAISED)
    pattern = WITH_NUMBER[rule][1 - place]
    inner = f"({text})" if text.startswith("−") and pattern[0] in "×÷+−" else text
    return pattern.format(n=inner)
