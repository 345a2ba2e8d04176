"""Products of matrices and tensors.

All of them are sums of products, so the gradient of one factor is the same kind of product of the
incoming gradient with the other factor.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .table import ADAPT, PRODUCT, rule, unbroadcast


def _swap(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _rows(x: Any) -> Any:
    """A stack of matrices as one: a product with it is one product, and not one for each."""
    return x.reshape(prod(x.shape[:-1]), x.shape[-1])  # -1 would not do for no columns


def _product(x: Any, y: Any, size: int) -> Any:
    """A product of matrices of `size` elements: `dot` is quicker to begin, but writes zeros first."""
    return x.dot(y) if size < 8192 else x @ y


def _matmul_left(g: Any, out: Any, x: Any, y: Any) -> Any:
    if y.ndim == 1:
        return np.outer(g, y) if x.ndim == 2 else np.expand_dims(g, -1) * y
    if x.ndim == 2 and y.ndim == 2:
        return _product(g, y.T, x.size)
    if y.ndim == 2 and x.ndim > 2:
        return _product(_rows(g), y.T, x.size).reshape(x.shape)
    full = np.expand_dims(g, -2) if x.ndim == 1 else g
    made = full @ _swap(y)
    return unbroadcast(made[..., 0, :] if x.ndim == 1 else made, x.shape)


def _matmul_right(g: Any, out: Any, x: Any, y: Any) -> Any:
    if x.ndim == 2 and y.ndim == 2:
        return _product(x.T, g, y.size)
    if x.ndim == 1 and y.ndim == 1:
        return g * x
    if y.ndim == 2 and x.ndim > 2:
        return _product(_rows(x).T, _rows(g), y.size)
    left = np.expand_dims(x, -2) if x.ndim == 1 else x
    full = np.expand_dims(g, -1) if y.ndim == 1 else g
    if x.ndim == 1:
        full = np.expand_dims(full, -2)
    made = _swap(left) @ full
    return unbroadcast(made[..., 0] if y.ndim == 1 else made, y.shape)


MATRIX = {
    "formula": "{x} {y}",
    "mirrors": ("{g} {y}ᵀ", "{x}ᵀ {g}"),
    "saves": ("y", "x"),
    "binds": PRODUCT,
}
rule(
    "matmul", np.matmul, "x y", backward=(_matmul_left, _matmul_right), **MATRIX,
    examples=[
        ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 2)), ((2, 5, 2, 3), (3, 4)),
    ],
)  # fmt: skip


def _dot_left(g: Any, out: Any, x: Any, y: Any) -> Any:
    if type(x) is type(y) is np.ndarray and x.ndim == y.ndim == 2:
        return _product(g, y.T, x.size)
    dims, other = np.ndim(x), np.ndim(y)
    if not dims or not other:
        return g * y
    if other == 1:
        return np.expand_dims(g, -1) * y
    return np.tensordot(g, np.moveaxis(y, -2, 0), (range(dims - 1, np.ndim(g)), range(1, other)))


def _dot_right(g: Any, out: Any, x: Any, y: Any) -> Any:
    if type(x) is type(y) is np.ndarray and x.ndim == y.ndim == 2:
        return _product(x.T, g, y.size)
    dims, other = np.ndim(x), np.ndim(y)
    if not dims or not other:
        return g * x
    made = np.tensordot(x, g, (range(dims - 1), range(dims - 1)))  # (shared, the rest of y)
    return made if other == 1 else np.moveaxis(made, 0, -2)


rule(
    "dot", np.dot, "x y", backward=(_dot_left, _dot_right), **MATRIX, methods=("dot",),
    examples=[
        ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (6, 3, 4)), ((2, 3), (5, 3, 4)), ((), (2, 3)), ((2, 3), 1.5), (0.5, 0.7),
        ((5, 2, 3), (3,)),
    ],
)  # fmt: skip
rule(
    "outer", np.outer, "x y",
    backward=(
        lambda g, out, x, y: np.reshape(np.dot(g, np.ravel(y)), np.shape(x)),
        lambda g, out, x, y: np.reshape(np.dot(np.ravel(x), g), np.shape(y)),
    ),
    saves=("y", "x"), formula="{x} {y}ᵀ", mirrors=("{g} {y}", "{g}ᵀ {x}"), binds=PRODUCT,
    examples=[((3,), (4,)), ((2, 2), (3,)), ((), (3,))],
)  # fmt: skip


def _inner_left(g: Any, out: Any, x: Any, y: Any) -> Any:
    if not np.ndim(x) or not np.ndim(y):
        return g * y
    return np.tensordot(g, y, (range(np.ndim(x) - 1, np.ndim(g)), range(np.ndim(y) - 1)))


def _inner_right(g: Any, out: Any, x: Any, y: Any) -> Any:
    if not np.ndim(x) or not np.ndim(y):
        return g * x
    return np.tensordot(g, x, (range(np.ndim(x) - 1), range(np.ndim(x) - 1)))


rule(
    "inner", np.inner, "x y", backward=(_inner_left, _inner_right), saves=("y", "x"),
    formula="⟨{x}, {y}⟩", mirrors=("{g} {y}", "{g}ᵀ {x}"),
    examples=[((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((3,), (4, 3)), ((), (2, 3))],
)  # fmt: skip


def _axes(axes: Any, x: Any, y: Any) -> tuple[list[int], list[int]]:
    if isinstance(axes, int):
        return list(range(np.ndim(x) - axes, np.ndim(x))), list(range(axes))
    left, right = axes
    left = [left] if isinstance(left, int) else list(left)
    right = [right] if isinstance(right, int) else list(right)
    return [a % np.ndim(x) for a in left], [a % np.ndim(y) for a in right]


def _tensordot_left(g: Any, out: Any, x: Any, y: Any, axes: Any = 2) -> Any:
    left, right = _axes(axes, x, y)
    kept = [a for a in range(np.ndim(x)) if a not in left]
    free = [a for a in range(np.ndim(y)) if a not in right]
    made = np.tensordot(g, y, (range(len(kept), np.ndim(g)), free))
    order = sorted(range(len(right)), key=lambda i: right[i])
    return np.transpose(made, np.argsort(kept + [left[i] for i in order]))


def _tensordot_right(g: Any, out: Any, x: Any, y: Any, axes: Any = 2) -> Any:
    left, right = _axes(axes, x, y)
    kept = [a for a in range(np.ndim(x)) if a not in left]
    free = [a for a in range(np.ndim(y)) if a not in right]
    made = np.tensordot(x, g, (kept, range(len(kept))))
    order = sorted(range(len(left)), key=lambda i: left[i])
    return np.transpose(made, np.argsort([right[i] for i in order] + free))


rule(
    "tensordot", np.tensordot, "x y", backward=(_tensordot_left, _tensordot_right),
    saves=("y", "x"), settings=("axes",), formula="{x} · {y}", mirrors=("{g} · {y}", "{x} · {g}"),
    binds=PRODUCT,
    examples=[
        ((2, 3, 4), (3, 4, 5)), ((2, 3), (3, 4), {"axes": 1}),
        ((2, 3, 4), (4, 5, 3), {"axes": ([1, 2], [2, 0])}), ((2, 3), (2, 5), {"axes": (0, 0)}),
        ((2,), (3,), {"axes": 0}),
    ],
)  # fmt: skip


# ---------------------------------------------------------------------- einsum


def einsum(*operands: Any, subscripts: str) -> Any:
    """np.einsum with the arrays first."""
    return np.einsum(subscripts, *operands)


def _explicit(subscripts: str, operands: Any) -> tuple[list[str], str]:
    """The labels of each operand and of the output, without ellipsis or implied output."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    dots = [np.ndim(x) - len(t.replace("...", "")) for t, x in zip(terms, operands) if "..." in t]
    whole = "".join(spare[: max(dots, default=0)])
    fill = lambda t, n: t.replace("...", whole[len(whole) - n :])
    filled = [fill(t, np.ndim(x) - len(t.replace("...", ""))) for t, x in zip(terms, operands)]
    if arrow:
        return filled, fill(right, len(whole))
    labels = "".join(terms).replace("...", "")
    return filled, whole + "".join(sorted(c for c in set(labels) if labels.count(c) == 1))


def _einsum_backward(i: int, g: Any, out: Any, *operands: Any, subscripts: str) -> Any:
    """The einsum of the gradient with the other operands, for the labels of operand i."""
    terms, result = _explicit(subscripts, operands)
    mine, x = terms[i], operands[i]
    others = [(t, y) for j, (t, y) in enumerate(zip(terms, operands)) if j != i]
    known = set(result).union(*(t for t, _ in others)) if others else set(result)
    sizes = dict(zip(mine, np.shape(x)))
    unique = "".join(dict.fromkeys(mine))
    summed = "".join(c for c in unique if c not in known)  # labels that only this operand has
    ones = [np.ones([sizes[c] for c in summed], dtype=np.asarray(x).dtype)] if summed else []
    names = [result, *(t for t, _ in others), *([summed] if summed else [])]
    arrays = [g, *(y for _, y in others), *ones]
    made = np.einsum(",".join(names) + "->" + unique, *arrays)
    made = np.broadcast_to(made, [sizes[c] for c in unique])
    if len(unique) == len(mine):
        return made
    full = np.zeros(np.shape(x), dtype=made.dtype)
    np.einsum(f"{mine}->{unique}", full)[...] = made  # a view of the diagonal
    return full


rule(
    "einsum", einsum, "*operands", backward=_einsum_backward, saves=("operands",),
    settings=("subscripts",), formula="einsum({operands})", mirrors=("einsum({g}, …)",),
    examples=[
        ((2, 3), (3, 4), {"subscripts": "ij,jk->ik"}), ((2, 3), (3, 4), {"subscripts": "ij,jk"}),
        ((3, 4), {"subscripts": "ij->j"}), ((3, 4), {"subscripts": "ij->"}),
        ((3, 4), {"subscripts": "ij->ji"}), ((3, 3), {"subscripts": "ii->i"}),
        ((3, 3), {"subscripts": "ii"}), ((2, 3, 4), (2, 4, 5), {"subscripts": "bij,bjk->bik"}),
        ((3,), (4,), {"subscripts": "i,j->ij"}), ((2, 3), (2, 3), {"subscripts": "ij,ij->i"}),
        ((2, 3), (3, 4), (4, 2), {"subscripts": "ij,jk,kl->il"}),
        ((5, 2, 3), (5, 3, 4), {"subscripts": "...ij,...jk->...ik"}),
        ((2, 3, 4), {"subscripts": "i...->..."}), ((2, 3, 4), (2, 4), {"subscripts": "i...j,ij->i..."}),
        ((5, 2, 3), (3, 4), {"subscripts": "...ij,jk->...ik"}), ((2, 3, 4), {"subscripts": "...j->j..."}),
    ],
)  # fmt: skip


def _adapt_einsum(args: Any, kwargs: Any) -> Any:
    from .table import BY_NAME

    if isinstance(args[0], str):
        return BY_NAME["einsum"], list(args[1:]), {"subscripts": args[0]}
    letters = lambda labels: "".join("..." if i is ... else chr(ord("a") + int(i)) for i in labels)
    count = len(args) // 2  # np.einsum(x, [0, 1], y, [1, 2], [0, 2])
    text = ",".join(letters(labels) for labels in args[1 : 2 * count : 2])
    text += "->" + letters(args[-1]) if len(args) % 2 else ""
    return BY_NAME["einsum"], list(args[0 : 2 * count : 2]), {"subscripts": text}


ADAPT[np.einsum] = _adapt_einsum


# ---------------------------------------------------------------------- matrices


def _norm_backward(
    g: Any, out: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """x / |x| for the 2-norm, 0 at 0; the sign for the 1-norm; ties of the largest share.

    Of a matrix the norms of sums (1, inf) and of singular values (2, "nuc") too.
    """
    if axis is not None and not keepdims:
        g, out = np.expand_dims(g, axis), np.expand_dims(out, axis)
    flat = np.ndim(x) == 1 or (axis is not None and np.ndim(axis) == 0)
    if ord is None or ord == "fro" or (ord == 2 and flat):
        return g * (x / np.where(out == 0, 1, out))
    if flat:
        return g * _vector_norm(out, x, ord, axis)
    if np.ndim(x) == 2 and axis is None:
        return g * _matrix_norm(out, x, ord)
    from ..errors import NoRuleError

    raise NoRuleError(
        f"np.linalg.norm with ord={ord!r} along axis={axis!r} has no backward rule: take the norm "
        "of one matrix, or write it out with sums"
    )


def _vector_norm(out: Any, x: Any, ord: Any, axis: Any) -> Any:
    if ord == 0:
        return np.zeros_like(x)
    if ord in (np.inf, -np.inf):
        chosen = np.abs(x) == out
        return np.sign(x) * chosen / chosen.sum(axis=axis, keepdims=True)
    return np.sign(x) * (np.abs(x) / np.where(out == 0, 1, out)) ** (ord - 1)


def _matrix_norm(out: Any, x: Any, ord: Any) -> Any:
    if ord in (1, -1, np.inf, -np.inf):  # the largest or the smallest sum of a column, or row
        sums = np.abs(x).sum(axis=0 if abs(ord) == 1 else 1, keepdims=True)
        chosen = sums == out
        return np.sign(x) * chosen / chosen.sum()
    u, _, v = np.linalg.svd(x, full_matrices=False)
    return (
        u @ v if ord == "nuc" else np.outer(*((u[:, 0], v[0]) if ord == 2 else (u[:, -1], v[-1])))
    )


rule(
    "norm", np.linalg.norm, "x", backward=(_norm_backward,), saves=("x out",),
    settings=("ord", "axis", "keepdims"), formula="‖{x}‖", mirrors=("{g} ⊙ {x} / {out}",),
    examples=[
        ((3, 4),), ((4,),), ((3, 4), {"axis": 1}), ((3, 4), {"axis": 0, "keepdims": True}),
        ((4,), {"ord": 1}), ((4,), {"ord": 2}), ((4,), {"ord": np.inf}), ((3, 4), {"ord": "fro"}),
        ((3, 4), {"axis": (0, 1)}), ((2, 3, 4), {"axis": (1, 2), "keepdims": True}),
        ((4,), {"ord": -np.inf}), ((3, 4), {"ord": 3, "axis": 0}), ((4,), {"ord": 2.5}),
        *(((3, 4), {"ord": ord}) for ord in (1, -1, np.inf, -np.inf, 2, -2, "nuc")),
    ],
)  # fmt: skip
rule(
    "det", np.linalg.det, "x",
    backward=(lambda g, out, x: (g * out)[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2),),
    saves=("x out",), formula="det({x})", mirrors=("{g} {out} ({x}⁻¹)ᵀ",),
    examples=[(np.array([[2.0, 0.3], [0.1, 1.5]]),), (np.array([[[2.0, 0.3], [0.1, 1.5]]] * 2),)],
)  # fmt: skip
rule(
    "trace", np.trace, "x", backward=(lambda g, out, x: g * np.eye(*x.shape, dtype=x.dtype),),
    saves=("",), formula="tr({x})", mirrors=("{g} I",), methods=("trace",), examples=[((3, 3),), ((2, 4),)],
)  # fmt: skip


def _diag_backward(g: Any, out: Any, x: Any, k: int = 0) -> Any:
    if np.ndim(x) == 1:
        return np.diagonal(g, k)
    full = np.zeros(x.shape, dtype=x.dtype)
    rows = np.arange(len(g)) + max(-k, 0)
    full[rows, rows + k] = g
    return full


def _of_diagonal(g: Any, out: Any, x: Any, **where: Any) -> Any:
    places = np.diagonal(np.arange(x.size).reshape(x.shape), **where)
    full = np.zeros(x.size, dtype=x.dtype)
    full[places.ravel()] = g.ravel()
    return full.reshape(x.shape)


rule(
    "diag", np.diag, "x", backward=(_diag_backward,), saves=("",), settings=("k",), view=True,
    formula="diag({x})", mirrors=("diag({g})",),
    examples=[((3,),), ((3, 3),), ((3, 4), {"k": 1}), ((4, 3), {"k": -1}), ((3,), {"k": 1})],
)  # fmt: skip
rule(
    "diagonal", np.diagonal, "x", backward=(_of_diagonal,), saves=("",),
    settings=("offset", "axis1", "axis2"), view=True, methods=("diagonal",), formula="diag({x})",
    mirrors=("diag({g})",), examples=[((3, 3),), ((3, 4), {"offset": 1}), ((2, 3, 4), {"axis1": 1, "axis2": 2})],
)  # fmt: skip
rule(
    "diagflat", np.diagflat, "x",
    backward=(lambda g, out, x, k=0: np.reshape(np.diagonal(g, k), np.shape(x)),), saves=("",),
    settings=("k",), formula="diag({x})", mirrors=("diag({g})",), examples=[((3,),), ((2, 2),)],
)  # fmt: skip
for _name, _part in (("triu", np.triu), ("tril", np.tril)):
    rule(
        _name, _part, "x",
        backward=(lambda g, out, x, k=0, f=_part: f(g, k),), saves=("",),
        settings=("k",), formula=_name + "({x})", mirrors=(_name + "({g})",),
        examples=[((3, 3),), ((2, 3, 4), {"k": 1})],
    )  # fmt: skip
rule(
    "inv", np.linalg.inv, "x",
    backward=(lambda g, out, x: -np.swapaxes(out, -1, -2) @ g @ np.swapaxes(out, -1, -2),),
    saves=("out",), formula="{x}⁻¹", mirrors=("−{out}ᵀ {g} {out}ᵀ",),
    examples=[(np.array([[2.0, 0.3], [0.1, 1.5]]),)],
)  # fmt: skip
