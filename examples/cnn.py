"""A small convolutional network with its backward pass by hand. It knows nothing of tracenet.

tracenet render examples/cnn.py --call 'step(X, y, parameters, 0.1)' -o cnn.svg

Crosses and circles of 8 by 8 pixels: a convolution of four 3 by 3 filters, ReLU, max pooling,
a dense layer, softmax. Arrays are (N, C, H, W), as in CS231n's assignments.
"""

import numpy as np


def windows(x, size):
    """Every size by size window of x (N, C, H, W): (N, C, H', W', size, size), without copying."""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))


def conv_forward(x, W, b):
    z = np.einsum("nchwij,fcij->nfhw", windows(x, W.shape[-1]), W) + b[:, None, None]
    cache = (x, W)
    return z, cache


def conv_backward(dz, cache):
    x, W = cache
    k = W.shape[-1]
    dW = np.einsum("nchwij,nfhw->fcij", windows(x, k), dz)
    db = np.sum(dz, axis=(0, 2, 3))
    padded = np.pad(dz, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
    dx = np.einsum("nfhwij,fcij->nchw", windows(padded, k), W[:, :, ::-1, ::-1])
    return dx, dW, db


def relu_forward(z):
    a = np.maximum(0, z)
    return a, z


def relu_backward(da, cache):
    z = cache
    dz = da * (z > 0)
    return dz


def pool_forward(a):
    """The largest of each 2 by 2 square."""
    N, C, H, W = a.shape
    squares = a.reshape(N, C, H // 2, 2, W // 2, 2)
    p = squares.max(axis=(3, 5))
    cache = (a, p)
    return p, cache


def pool_backward(dp, cache):
    a, p = cache
    largest = a == upsample(p)
    da = upsample(dp) * largest
    return da


def upsample(p):
    """Each element as a 2 by 2 square."""
    return p.repeat(2, axis=2).repeat(2, axis=3)


def dense_forward(p, W, b):
    flat = p.reshape(len(p), -1)
    scores = flat @ W + b
    cache = (p.shape, flat, W)
    return scores, cache


def dense_backward(dscores, cache):
    shape, flat, W = cache
    dp = (dscores @ W.T).reshape(shape)
    dW = flat.T @ dscores
    db = np.sum(dscores, axis=0)
    return dp, dW, db


def softmax_loss(scores, y):
    """The mean cross-entropy."""
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    q = e / np.sum(e, axis=1, keepdims=True)
    loss = -np.mean(np.sum(y * np.log(q), axis=1))
    return loss, q


def softmax_loss_backward(q, y):
    dscores = (q - y) / len(y)
    return dscores


def update(parameters, grads, learning_rate):
    return {name: parameters[name] - learning_rate * grads[name] for name in parameters}


def step(X, y, parameters, learning_rate):
    """One step of gradient descent: the loss, the gradients, the new parameters."""
    W1, b1, W2, b2 = (parameters[k] for k in ("W1", "b1", "W2", "b2"))
    z1, conv_cache = conv_forward(X, W1, b1)
    a1, relu_cache = relu_forward(z1)
    p1, pool_cache = pool_forward(a1)
    scores, dense_cache = dense_forward(p1, W2, b2)
    loss, q = softmax_loss(scores, y)

    grads = {}
    dscores = softmax_loss_backward(q, y)
    dp1, grads["W2"], grads["b2"] = dense_backward(dscores, dense_cache)
    da1 = pool_backward(dp1, pool_cache)
    dz1 = relu_backward(da1, relu_cache)
    dX, grads["W1"], grads["b1"] = conv_backward(dz1, conv_cache)
    return loss, grads, update(parameters, grads, learning_rate)


def draw_shape(kind, rng):
    """A cross or a circle, 8 by 8, with a little noise."""
    r, c = np.mgrid[-3.5:4:1, -3.5:4:1]
    if kind == 0:
        shape = np.minimum(abs(r - c), abs(r + c)) < 0.9
    else:
        shape = abs(np.hypot(r, c) - 2.6) < 0.7
    return shape + 0.1 * rng.randn(8, 8)


rng = np.random.RandomState(3)
labels = np.array([0, 1, 0, 1])
X = np.array([[draw_shape(kind, rng)] for kind in labels])
y = np.eye(2)[labels]
parameters = {
    "W1": rng.randn(4, 1, 3, 3) / 3, "b1": np.zeros(4),
    "W2": rng.randn(36, 2) / 6, "b2": np.zeros(2),
}  # fmt: skip

if __name__ == "__main__":
    for turn in range(20):
        loss, _, parameters = step(X, y, parameters, 0.1)
        if turn % 5 == 0:
            print(f"loss after {turn} steps: {loss:.6f}")
