"""Convolution and cross-correlation, of NumPy and of `scipy.signal`, which is never imported here.

All are pieces of one: the *full* convolution of x and y, `out[i] = Σ x[a] y[i − a]`. A mode cuts its
result out of that; cross-correlation turns y round first. So the gradient of the full convolution
is the given one with zeros around it, and `dx[a] = Σ dfull[i] y[i − a]`, and the same for y.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NoRuleError
from .table import BY_NAME, FOREIGN, PRODUCT, rule


def _turned(x: Any) -> Any:
    """x with every axis reversed."""
    return x[(slice(None, None, -1),) * np.ndim(x)]


def _valid(x: Any, y: Any) -> Any:
    """Σ x[i + a] y[a], at each i at which y lies wholly in x."""
    windows = np.lib.stride_tricks.sliding_window_view(x, y.shape)
    return np.tensordot(windows, y, y.ndim)


def _full(x: Any, y: Any) -> Any:
    """The full convolution: in each axis of n and m elements n + m − 1."""
    return _valid(np.pad(x, [(n - 1, n - 1) for n in y.shape]), _turned(y))


def _cut(x: Any, y: Any, mode: str, name: str) -> tuple[slice, ...]:
    """Where in the full convolution the result of a mode lies.

    `same` is as large as the first operand, in NumPy as the longer one. Of its two middles where
    the other operand is even, two functions take the later one.
    """
    found = []
    for n, m in zip(np.shape(x), np.shape(y)):
        late = name == "scipy.signal.correlate2d" or (name == "correlate" and n < m)
        if mode == "same" and name in ("convolve", "correlate"):
            n, m = max(n, m), min(n, m)
        start, length = {
            "full": (0, n + m - 1),
            "same": (m // 2 if late else (m - 1) // 2, n),
            "valid": (min(n, m) - 1, max(n, m) - min(n, m) + 1),
        }[mode]
        found.append(slice(start, start + length))
    return tuple(found)


def _plain_edges(boundary: Any = "fill", fillvalue: Any = 0, **settings: Any) -> None:
    if boundary not in ("fill", 0) or fillvalue != 0:
        raise NoRuleError(
            f"convolution with boundary={boundary!r}, fillvalue={fillvalue!r} has no backward rule: "
            "pad the array with np.pad, which has one, and convolve that"
        )


def _entered(name: str, turned: bool, default: str, shape: Any = (), **more: Any) -> None:
    """One function of the family. turned: whether it correlates. shape: of the examples."""

    def forward(x: Any, y: Any, mode: str = default, **settings: Any) -> Any:
        _plain_edges(**settings)
        x, y = np.asarray(x), np.asarray(y)
        return _full(x, _turned(y) if turned else y)[_cut(x, y, mode, name)].copy()

    def whole(g: Any, x: Any, y: Any, mode: str, settings: Any) -> Any:
        _plain_edges(**settings)
        made = np.zeros([n + m - 1 for n, m in zip(np.shape(x), np.shape(y))], g.dtype)
        made[_cut(x, y, mode, name)] = g
        return made

    def of_x(g: Any, out: Any, x: Any, y: Any, mode: str = default, **settings: Any) -> Any:
        return _valid(whole(g, x, y, mode, settings), _turned(y) if turned else y)

    def of_y(g: Any, out: Any, x: Any, y: Any, mode: str = default, **settings: Any) -> Any:
        made = _valid(whole(g, x, y, mode, settings), x)
        return _turned(made) if turned else made

    forward.__name__ = name.rpartition(".")[2]
    sign = "⋆" if turned else "∗"
    wide, narrow = shape
    rule(
        name, forward, "x y", backward=(of_x, of_y), saves=("y", "x"), binds=PRODUCT,
        formula="{x} " + sign + " {y}",
        mirrors=("{g} " + ("∗" if turned else "⋆") + " {y}", "{g} ⋆ {x}"),
        examples=[
            *((wide, narrow, {"mode": mode}) for mode in ("full", "same", "valid")),
            (narrow, wide, {"mode": "full"}), (narrow, wide, {"mode": "valid"}), (wide, wide),
        ], **more,
    )  # fmt: skip


LINE, PLANE = ((6,), (3,)), ((5, 6), (2, 3))
_entered("convolve", False, "full", LINE, settings=("mode",), aliases=(np.convolve,))
_entered("correlate", True, "valid", LINE, settings=("mode",), aliases=(np.correlate,))

SETTINGS = {
    "convolve2d": ("mode", "boundary", "fillvalue"),
    "correlate2d": ("mode", "boundary", "fillvalue"),
    "convolve": ("mode", "method"),
    "correlate": ("mode", "method"),
    "fftconvolve": ("mode", "axes"),
    "oaconvolve": ("mode", "axes"),
}
for _name, _settings in SETTINGS.items():
    _own = f"scipy.signal.{_name}"
    _entered(_own, _name.startswith("correlate"), "full", PLANE, settings=_settings)
    FOREIGN[_own] = BY_NAME[_own]
