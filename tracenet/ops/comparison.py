"""Comparisons and logic: recorded, since a backward block may read them, without a gradient."""

from __future__ import annotations

import numpy as np

from .table import LOOSE, rule

PAIRS = [((3, 4), (3, 4)), ((3, 4), 0.5)]
SIGNS = {
    "less": "<", "less_equal": "≤", "greater": ">", "greater_equal": "≥", "equal": "==",
    "not_equal": "≠", "logical_and": "and", "logical_or": "or", "logical_xor": "xor",
}  # fmt: skip

for _name, _sign in SIGNS.items():
    rule(
        _name, getattr(np, _name), "x y", differentiable=False, binds=LOOSE,
        formula="{x} " + _sign + " {y}", examples=PAIRS,
    )  # fmt: skip
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    rule(_name, getattr(np, _name), "x y", differentiable=False, binds=LOOSE,
         formula="{x} " + _name[8:] + " {y}",
         examples=[(np.array([True, False]), np.array([True, True]))])  # fmt: skip
for _name in ("isnan", "isfinite", "isinf", "signbit", "logical_not"):
    rule(_name, getattr(np, _name), "x", differentiable=False, formula=_name + "({x})",
         examples=[((3, 4),)])  # fmt: skip
rule("heaviside", np.heaviside, "x y", differentiable=False, formula="heaviside({x}, {y})",
     examples=PAIRS)  # fmt: skip
rule("digitize", np.digitize, "x", differentiable=False, settings=("bins",),
     formula="digitize({x})", examples=[((5,), {"bins": [0.0, 1.0]})])  # fmt: skip
rule("searchsorted", np.searchsorted, "x v", differentiable=False, settings=("side",),
     formula="searchsorted({x}, {v})", examples=[((5,), 0.5)])  # fmt: skip
rule("invert", np.invert, "x", differentiable=False, formula="not {x}",
     examples=[(np.array([True, False]),)])  # fmt: skip
rule("isclose", np.isclose, "x y", differentiable=False, settings=("rtol", "atol"), binds=LOOSE,
     formula="{x} ≈ {y}", examples=PAIRS)  # fmt: skip
for _name, _settings in {
    "argmax": ("axis",), "argmin": ("axis",), "argsort": ("axis",), "all": ("axis", "out", "keepdims"),
    "any": ("axis", "out", "keepdims"), "count_nonzero": ("axis",),
}.items():  # fmt: skip
    rule(_name, getattr(np, _name), "x", differentiable=False, settings=_settings,
         formula=_name + "({x})", methods=() if _name == "count_nonzero" else (_name,),
         examples=[((3, 4), {"axis": 0})])  # fmt: skip
