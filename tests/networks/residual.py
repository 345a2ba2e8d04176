"""A residual network of fifty layers: 24 blocks of two, each added to what it was given."""

import numpy as np


def affine_forward(x, W, b):
    return x @ W + b, (x, W)


def affine_backward(dout, cache):
    x, W = cache
    return dout @ W.T, x.T @ dout, dout.sum(axis=0)


def residual_forward(x, p):
    z, first = affine_forward(x, p["W1"], p["b1"])
    a = np.maximum(z, 0)
    f, second = affine_forward(a, p["W2"], p["b2"])
    out = x + f
    return out, (first, z, second)


def residual_backward(dout, cache):
    first, z, second = cache
    da, dW2, db2 = affine_backward(dout, second)
    dz = da * (z > 0)
    dx, dW1, db1 = affine_backward(dz, first)
    return dout + dx, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def network(X, y, W_in, b_in, blocks, W_out, b_out):
    x, cache_in = affine_forward(X, W_in, b_in)
    caches = []
    for p in blocks:
        x, cache = residual_forward(x, p)
        caches.append(cache)
    scores, cache_out = affine_forward(x, W_out, b_out)
    loss = 0.5 * np.sum((scores - y) ** 2)
    dscores = scores - y
    dx, dW_out, db_out = affine_backward(dscores, cache_out)
    grads = [None] * len(blocks)
    for l in reversed(range(len(blocks))):
        dx, grads[l] = residual_backward(dx, caches[l])
    dX, dW_in, db_in = affine_backward(dx, cache_in)
    return loss, dX, dW_in, db_in, grads, dW_out, db_out


def network_by_statements(X, y, W_in, weights, W_out):
    """The same idea without functions: a layer and an addition in each turn of the loop."""
    x = np.tanh(X @ W_in)
    for W in weights:
        f = np.tanh(x @ W)
        x = x + f
    return 0.5 * np.sum((x @ W_out - y) ** 2)


def example(seed=0, count=24, width=4):
    r = np.random.RandomState(seed)
    blocks = [
        {"W1": 0.3 * r.randn(width, width), "b1": np.zeros(width),
         "W2": 0.3 * r.randn(width, width), "b2": np.zeros(width)}
        for _ in range(count)
    ]  # fmt: skip
    return (
        r.randn(3, 2), r.randn(3, 2), r.randn(2, width), np.zeros(width), blocks,
        r.randn(width, 2), np.zeros(2),
    )  # fmt: skip


def example_by_statements(seed=0, count=50, width=4):
    r = np.random.RandomState(seed)
    weights = [0.1 * r.randn(width, width) for _ in range(count)]
    return r.randn(3, 2), r.randn(3, 2), r.randn(2, width), weights, r.randn(width, 2)
