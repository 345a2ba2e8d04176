"""Other shapes of the same numbers: the gradient takes the way back.

Most of these give views; which ones did is seen from the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import ATOM, rule, unbroadcast


def _reshaped(g: Any, out: Any, x: Any, *args: Any, **settings: Any) -> Any:
    if type(x) is not np.ndarray:
        return float(np.reshape(g, ())) if type(x) is float else np.reshape(g, ())[()]
    return np.reshape(g, x.shape)


def _unordered(g: Any, out: Any, x: Any, order: str = "C", **settings: Any) -> Any:
    return np.reshape(g, np.shape(x), order="F" if order == "F" else "C")


def reshape(x: Any, shape: Any = (), order: str = "C") -> Any:
    """np.reshape, whatever its argument is called in this NumPy."""
    return np.reshape(x, shape, order)  # type: ignore[call-overload]


SAME = {
    "saves": ("",),
    "formula": "{x}",
    "mirrors": ("{g}",),
    "binds": ATOM,
    "mirror_binds": ATOM,
    "view": True,
}
rule(
    "reshape", reshape, "x", backward=(_unordered,), settings=("shape", "order"), **SAME,
    methods=("reshape",), aliases=(np.reshape,),
    examples=[((3, 4), {"shape": (2, 6)}), ((3, 4), {"shape": -1}), ((1,), {"shape": ()}),
              ((3, 4), {"shape": (4, 3), "order": "F"})],
)  # fmt: skip
rule("ravel", np.ravel, "x", backward=(_unordered,), settings=("order",), **SAME,
     methods=("ravel",), examples=[((3, 4),), ((),), ((3, 4), {"order": "F"})])  # fmt: skip


def flatten(x: Any, order: str = "C") -> Any:
    """The method of that name: always a copy."""
    return x.flatten(order)


rule("flatten", flatten, "x", backward=(_unordered,), settings=("order",), **SAME,
     methods=("flatten",), examples=[((3, 4),), ((3, 4), {"order": "F"})])  # fmt: skip
rule("squeeze", np.squeeze, "x", backward=(_reshaped,), settings=("axis",), **SAME,
     methods=("squeeze",), examples=[((1, 3, 1),), ((1, 3, 1), {"axis": 0}), ((1, 1),), ((),)])  # fmt: skip
rule("expand_dims", np.expand_dims, "x", backward=(_reshaped,), settings=("axis",), **SAME,
     examples=[((3, 4), {"axis": 1}), ((3,), {"axis": (0, 2)})])  # fmt: skip
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    rule(_name, getattr(np, _name), "x", backward=(_reshaped,), **SAME, examples=[((3,),), ((),)])


def _transposed(g: Any, out: Any, x: Any, axes: Any = None) -> Any:
    return (
        np.transpose(g) if axes is None else np.transpose(g, np.argsort([a % x.ndim for a in axes]))
    )


rule(
    "transpose", np.transpose, "x", backward=(_transposed,), saves=("",), settings=("axes",),
    formula="{x}ᵀ", mirrors=("{g}ᵀ",), mirror_binds=ATOM, view=True, methods=("transpose",),
    examples=[((3, 4),), ((2, 3, 4), {"axes": (2, 0, 1)}), ((2, 3, 4), {"axes": (-1, 0, 1)})],
)  # fmt: skip
_function: Any
_kin: Any = (
    ("swapaxes", ("axis1", "axis2"), [((2, 3, 4), {"axis1": 0, "axis2": -1})]),
    ("moveaxis", ("source", "destination"), [
        ((2, 3, 4), {"source": 0, "destination": -1}),
        ((2, 3, 4), {"source": (0, 1), "destination": (2, 0)}),
    ]),
)  # fmt: skip
for _name, _settings, _cases in _kin:
    _function = getattr(np, _name)
    rule(
        _name, _function, "x",
        backward=(lambda g, out, x, f=_function, **s: f(g, *reversed(s.values())),),
        settings=_settings, **SAME, methods=("swapaxes",) if _name == "swapaxes" else (),
        examples=_cases,
    )  # fmt: skip
rule(
    "rollaxis", np.rollaxis, "x",
    backward=(lambda g, out, x, axis, start=0: np.moveaxis(
        g, (start if start <= axis % x.ndim else start - 1), axis % x.ndim),),
    settings=("axis", "start"), **SAME,
    examples=[((2, 3, 4), {"axis": 2}), ((2, 3, 4), {"axis": 1, "start": 3})],
)  # fmt: skip
rule(
    "broadcast_to", np.broadcast_to, "x",
    backward=(lambda g, out, x, shape=None, **s: unbroadcast(g, np.shape(x)),),
    settings=("shape",), **SAME,
    examples=[((3,), {"shape": (2, 3)}), ((3, 1), {"shape": (3, 4)}), ((), {"shape": (2, 2)})],
)  # fmt: skip
for _name, _cases in {
    "flip": [((3, 4),), ((3, 4), {"axis": 0}), ((3, 4), {"axis": (0, 1)})],
    "fliplr": [((3, 4),)],
    "flipud": [((3, 4),)],
}.items():  # fmt: skip
    _function = getattr(np, _name)
    rule(
        _name, _function, "x",
        backward=(lambda g, out, x, f=_function, **s: f(g, **s),), saves=("",),
        settings=("axis",) if _name == "flip" else (), formula=_name + "({x})",
        mirrors=(_name + "({g})",), view=True, examples=_cases,
    )  # fmt: skip
rule(
    "rot90", np.rot90, "x",
    backward=(lambda g, out, x, k=1, axes=(0, 1): np.rot90(g, -k, axes),), saves=("",),
    settings=("k", "axes"), formula="rot90({x})", mirrors=("rot270({g})",), view=True,
    examples=[((3, 4),), ((3, 4), {"k": 2}), ((2, 3, 4), {"k": 3, "axes": (1, 2)})],
)  # fmt: skip


def _rolled(g: Any, out: Any, x: Any, shift: Any = 0, axis: Any = None) -> Any:
    back = tuple(-s for s in shift) if isinstance(shift, tuple) else -shift
    return np.roll(g, back, axis)


rule(
    "roll", np.roll, "x", backward=(_rolled,), saves=("",), settings=("shift", "axis"),
    formula="roll({x})", mirrors=("roll back({g})",),
    examples=[((3, 4), {"shift": 2}), ((3, 4), {"shift": 1, "axis": 0})],
)  # fmt: skip


def _repeated(g: Any, out: Any, x: Any, repeats: Any = 1, axis: Any = None) -> Any:
    """Each element's gradient is the sum over its copies."""
    along = 0 if axis is None else axis
    source = np.size(x) if axis is None else np.shape(x)[axis]
    counts = np.broadcast_to(np.asarray(repeats), (source,))
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    kept = counts > 0
    made = np.zeros([source if i == along % g.ndim else n for i, n in enumerate(g.shape)], g.dtype)
    index: list[Any] = [slice(None)] * g.ndim
    index[along] = np.flatnonzero(kept)
    if kept.any():
        made[tuple(index)] = np.add.reduceat(g, starts[kept], axis=along)
    return made.reshape(np.shape(x))


rule(
    "repeat", np.repeat, "x", backward=(_repeated,), saves=("",), settings=("repeats", "axis"),
    formula="repeat({x})", mirrors=("Σ of the copies of {g}",), methods=("repeat",),
    examples=[((3, 4), {"repeats": 2}), ((3, 4), {"repeats": 3, "axis": 1}),
              ((3,), {"repeats": [1, 0, 2]}), ((3, 4), {"repeats": 2, "axis": -2})],
)  # fmt: skip


def _tiled(g: Any, out: Any, x: Any, reps: Any = 1) -> Any:
    many = (reps,) if np.ndim(reps) == 0 else tuple(reps)
    dims = max(len(many), np.ndim(x))
    many = (1,) * (dims - len(many)) + many
    shape = (1,) * (dims - np.ndim(x)) + np.shape(x)
    split = [n for pair in zip(many, shape) for n in pair]
    return g.reshape(split).sum(axis=tuple(range(0, 2 * dims, 2))).reshape(np.shape(x))


rule(
    "tile", np.tile, "x", backward=(_tiled,), saves=("",), settings=("reps",), formula="tile({x})",
    mirrors=("Σ of the tiles of {g}",),
    examples=[((3,), {"reps": 2}), ((2, 3), {"reps": (2, 1)}), ((3,), {"reps": (2, 2)}),
              ((2, 3), {"reps": (2, 1, 2)})],
)  # fmt: skip


def _padded(
    g: Any, out: Any, x: Any, pad_width: Any = 0, mode: str = "constant", **settings: Any
) -> Any:
    """The inner part; for the modes that copy elements, their copies' gradients are added."""
    widths = np.broadcast_to(np.asarray(pad_width), (np.ndim(x), 2))
    if mode in ("constant", "empty"):
        inner = tuple(slice(int(a), int(a) + n) for (a, _), n in zip(widths, np.shape(x)))
        return g[inner]
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        from ..errors import NoRuleError

        raise NoRuleError(
            f"np.pad with mode={mode!r} has no backward rule: 'constant', 'edge', 'reflect', "
            "'symmetric' and 'wrap' have"
        )
    places = np.pad(np.arange(np.size(x)).reshape(np.shape(x)), pad_width, mode=mode, **settings)  # type: ignore[call-overload]
    made = np.bincount(places.ravel(), weights=g.ravel(), minlength=np.size(x))
    return made.reshape(np.shape(x)).astype(g.dtype)


rule(
    "pad", np.pad, "x", backward=(_padded,), saves=("",),
    settings=("pad_width", "mode", "constant_values", "reflect_type"), formula="pad({x})",
    mirrors=("inside of {g}",),
    examples=[
        ((3, 4), {"pad_width": 1, "mode": "constant"}), ((3,), {"pad_width": (1, 2)}),
        ((2, 3, 3), {"pad_width": ((0, 0), (1, 1), (2, 0)), "mode": "constant"}),
        ((3, 4), {"pad_width": 2, "mode": "edge"}), ((3, 4), {"pad_width": 2, "mode": "reflect"}),
        ((3, 4), {"pad_width": 2, "mode": "symmetric"}), ((3, 4), {"pad_width": 2, "mode": "wrap"}),
    ],
)  # fmt: skip


def _windows(
    g: Any, out: Any, x: Any, window_shape: Any = 1, axis: Any = None, **settings: Any
) -> Any:
    view = np.lib.stride_tricks.sliding_window_view
    places = view(np.arange(np.size(x)).reshape(np.shape(x)), window_shape, axis)
    made = np.bincount(places.ravel(), weights=g.ravel(), minlength=np.size(x))
    return made.reshape(np.shape(x)).astype(g.dtype)


rule(
    "sliding_window_view", np.lib.stride_tricks.sliding_window_view, "x", backward=(_windows,),
    saves=("",), settings=("window_shape", "axis"), formula="windows({x})",
    mirrors=("Σ of the windows of {g}",),
    examples=[((5,), {"window_shape": 3}), ((4, 5), {"window_shape": (2, 3)}),
              ((4, 5), {"window_shape": 2, "axis": 1})],
)  # fmt: skip


def strided(x: Any, shape: Any = (), steps: Any = ()) -> Any:
    """np.lib.stride_tricks.as_strided of an array without gaps; steps: its strides in elements."""
    strides = [step * x.itemsize for step in steps]
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def _strided(g: Any, out: Any, x: Any, shape: Any = (), steps: Any = ()) -> Any:
    places = strided(np.arange(x.size), shape, steps)
    made = np.bincount(places.ravel(), weights=g.ravel(), minlength=x.size)
    return made.reshape(x.shape).astype(g.dtype)


rule(
    "as_strided", strided, "x", backward=(_strided,), saves=("",), settings=("shape", "steps"),
    aliases=(np.lib.stride_tricks.as_strided,), formula="windows({x})", view=True,
    mirrors=("Σ of the windows of {g}",),
    examples=[((4, 5), {"shape": (3, 4, 2, 2), "steps": (5, 1, 5, 1)}),
              ((6,), {"shape": (2, 2), "steps": (1, 2)})],
)  # fmt: skip
