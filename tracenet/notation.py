"""How names are written: `W1` as W with a raised [1], `dW1` as its gradient, `w0` with an index.

- `ng`, that of Andrew Ng's courses: a layer's number in square brackets, raised, and an upright d
  for "the gradient of the loss with respect to".
- `nielsen`, that of Michael Nielsen's book: the number raised without brackets, δ for the gradient
  of z, ∇ for every other.
- `partial`: gradients as the derivatives that they are, ∂J/∂W.
- `code`: names as they stand in the code.

A diagram is made in one notation, which is set while it is made (`written_in`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral
from typing import Any

from .diagram import Run, Text
from .errors import unknown
from .words import FORWARD_METHODS

NOTATIONS = ("ng", "nielsen", "partial", "code")
_notation: ContextVar[str] = ContextVar("notation", default="ng")
_layers: ContextVar[bool] = ContextVar("layers", default=False)


@contextmanager
def written_in(notation: str, layers: bool = False) -> Iterator[None]:
    """Within it, names are written in a notation. Raises UsageError if there is none so called.

    layers: whether the number of a `w1` is that of a layer, as it is where that is a matrix.
    """
    check(notation)
    tokens = _notation.set(notation), _layers.set(layers)
    try:
        yield
    finally:
        _notation.reset(tokens[0])
        _layers.reset(tokens[1])


is_w = re.compile(r"w_?\d*").fullmatch
"""Whether a name is that of a w, with a number or without."""


def check(notation: str) -> None:
    """Raises UsageError for a notation that does not exist."""
    if notation not in NOTATIONS:
        raise unknown("notation", notation, NOTATIONS)


def is_quotient(text: Text) -> bool:
    """Whether a name is written as a quotient, which wants parentheses after another factor."""
    return text[: len(PARTIAL)] == PARTIAL


GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε",
    "theta": "θ", "lambda": "λ", "lambd": "λ", "mu": "μ", "sigma": "σ", "phi": "φ", "rho": "ρ",
    "eta": "η", "tau": "τ", "omega": "ω", "pi": "π", "learning_rate": "α", "lr": "α",
}  # fmt: skip

FUNCTIONS = {"sigmoid": "σ", "logistic": "σ", "sigma": "σ", "sigm": "σ", "relu": "ReLU"}
"""How well-known functions are written; others by their own names."""

LAYERED = re.compile(r"(W|b|Z|A|z|a|h|H|gamma|beta|mu|var|AL|V|U)\d+")
"""Names whose number is that of a layer; another number is an index, as in w0 x0 + w1 x1, unless that
w1 is a matrix (`written_in`)."""


def text(name: str, gradient: bool = False) -> Text:
    """A name as it is written. gradient: it is known to be one, whatever it looks like.

    >>> from .diagram import plain
    >>> [plain(text(n)) for n in ("W1", "dW2", "w0", "A_prev", "hidden", "dgamma1")]
    ['W[1]', 'dW[2]', 'w0', 'Aprev', 'hidden', 'dγ[1]']
    """
    chosen = _notation.get()
    if chosen == "code":
        return (Run(name),)
    base, seen = split_gradient(name)
    if gradient and not seen and chosen != "ng" and name[:1] == "d" and len(name) > 1:
        base, seen = name[1:], True  # dcost: a word, which may be any other word
    if not seen:
        return _symbol(base)
    if chosen == "partial":
        return (*PARTIAL, *_symbol(base))
    if chosen == "nielsen":
        summed = re.fullmatch(r"[zZ](_?\d+)?", base)
        return (Run("δ", "i"), *_symbol(base)[1:]) if summed else (Run("∇"), *_symbol(base))
    return (Run("d"), *_symbol(base))


PARTIAL = (Run("∂"), Run("J", "i"), Run("/∂"))
"""J is the loss, whatever its name in the code is."""


def split_gradient(name: str) -> tuple[str, bool]:
    """What a name is the gradient of: `dW1` is W1's, `data` is nobody's.

    >>> split_gradient("dW1"), split_gradient("da_prev"), split_gradient("data")
    (('W1', True), ('a_prev', True), ('data', False))
    """
    rest = name[1:]
    if name[:1] != "d" or not rest or rest[0] in "_0123456789":
        return name, False
    word = re.match(r"[A-Za-z]+", rest)
    if word is None:
        return name, False
    known = word.group() in GREEK or re.fullmatch(r"[a-zA-Z]|[bw][a-z]|out|next", word.group())
    return (rest, True) if known or not rest[0].islower() else (name, False)


def _symbol(name: str) -> Text:
    if name in GREEK:
        return (Run(GREEK[name], "i"),)
    found = re.fullmatch(r"([^\W\d_]+?)(?:_?(\d+))?(?:_([^\W\d]+))?(\d+)?", name)
    letter, number, index, last = found.groups() if found is not None else (name, "", "", "")
    if found is None or (index and len(letter) > 2 and letter not in GREEK):
        return (Run(name),)
    number = number or last
    symbol = GREEK.get(letter, letter)
    style = "i" if len(symbol) <= 2 else ""
    runs = [Run(symbol, style)]
    if index:
        runs.append(Run(GREEK.get(index, index), "sub"))
    if number:
        layered = LAYERED.fullmatch(letter + number) or (letter == "w" and _layers.get())
        raised = number if _notation.get() == "nielsen" else f"[{number}]"
        runs.append(Run(raised, "sup") if layered else Run(number, "sub"))
    return tuple(runs)


def function(name: str) -> str:
    """How a function is written in a formula; the forward method of a class by the class's name."""
    owner, _, last = name.rpartition(".")
    if owner and last.strip("_") in FORWARD_METHODS:
        last = owner.rpartition(".")[2]
    if _notation.get() == "code":
        return last
    short = re.sub(r"(^forward_|_forward$)", "", last)
    return FUNCTIONS.get(short.lower(), short)


INDEX = 12
"""Letters of the longest index that is written out."""


def index(index: Any) -> str:
    """What stands in the brackets: numbers and slices as in the code, `…` for arrays and the long.

    >>> index((slice(None), 3, slice(None)))
    ':, 3'
    >>> index((slice(None, -1), None)), index(([0, 1], [2, 2]))
    (':−1, None', '…')
    """
    words = [_place(item) for item in (index if isinstance(index, tuple) else (index,))]
    while len(words) > 1 and words[-1] == ":":
        words.pop()
    text = ", ".join(words)
    return text if "?" not in text and len(text) <= INDEX else "…"


def _place(item: Any) -> str:
    """One place of an index; `?` for what is neither number nor slice."""
    if isinstance(item, slice):
        ends = [_place(end) if end is not None else "" for end in (item.start, item.stop)]
        return ":".join([*ends, *([_place(item.step)] if item.step is not None else [])])
    if item is ...:
        return "…"
    if item is None:
        return "None"
    whole = isinstance(item, Integral) and not isinstance(item, bool)
    return str(item).replace("-", "−") if whole else "?"
