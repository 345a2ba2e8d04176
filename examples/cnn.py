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
    out = np.einsum("nchwij,fcij->nfhw", windows(x, W.shape[-1]), W) + b[:, None, None]
    cache = (x, W)
    return out, cache


def conv_backward(dout, cache):
    x, W = cache
    k = W.shape[-1]
    dW = np.einsum("nchwij,nfhw->fcij", windows(x, k), dout)
    db = np.sum(dout, axis=(0, 2, 3))
    padded = np.pad(dout, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
    dx = np.einsum("nfhwij,fcij->nchw", windows(padded, k), W[:, :, ::-1, ::-1])
    return dx, dW, db


def relu_forward(x):
    out = np.maximum(0, x)
    return out, x


def relu_backward(dout, cache):
    x = cache
    dx = dout * (x > 0)
    return dx


def pool_forward(x):
    """The largest of each 2 by 2 square."""
    N, C, H, W = x.shape
    squares = x.reshape(N, C, H // 2, 2, W // 2, 2)
    out = squares.max(axis=(3, 5))
    cache = (squares, out)
    return out, cache


def pool_backward(dout, cache):
    squares, out = cache
    mask = squares == out[:, :, :, None, :, None]
    dsquares = mask * dout[:, :, :, None, :, None]
    N, C, H, _, W, _ = squares.shape
    dx = dsquares.reshape(N, C, 2 * H, 2 * W)
    return dx


def dense_forward(x, W, b):
    flat = x.reshape(x.shape[0], -1)
    scores = flat @ W + b
    cache = (x, flat, W)
    return scores, cache


def dense_backward(dout, cache):
    x, flat, W = cache
    dx = (dout @ W.T).reshape(x.shape)
    dW = flat.T @ dout
    db = np.sum(dout, axis=0)
    return dx, dW, db


def softmax_loss(scores, y):
    """The mean cross-entropy."""
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    loss = -np.mean(np.sum(y * np.log(p), axis=1))
    return loss, p


def softmax_loss_backward(p, y):
    dscores = (p - y) / len(y)
    return dscores


def step(X, y, parameters, learning_rate):
    """One step of gradient descent: the loss, the gradients, the new parameters."""
    W1, b1, W2, b2 = (parameters[k] for k in ("W1", "b1", "W2", "b2"))
    z1, conv_cache = conv_forward(X, W1, b1)
    a1, relu_cache = relu_forward(z1)
    p1, pool_cache = pool_forward(a1)
    scores, dense_cache = dense_forward(p1, W2, b2)
    loss, p = softmax_loss(scores, y)

    grads = {}
    dscores = softmax_loss_backward(p, y)
    dp1, grads["W2"], grads["b2"] = dense_backward(dscores, dense_cache)
    da1 = pool_backward(dp1, pool_cache)
    dz1 = relu_backward(da1, relu_cache)
    dX, grads["W1"], grads["b1"] = conv_backward(dz1, conv_cache)
    new = {k: parameters[k] - learning_rate * grads[k] for k in parameters}
    return loss, grads, new


def draw_shape(kind, rng):
    """A cross or a circle, 8 by 8, with a little noise."""
    r, c = np.mgrid[-3.5:4:1, -3.5:4:1]
    if kind == 0:
        shape = np.minimum(abs(r - c), abs(r + c)) < 0.9
    else:
        shape = abs(np.hypot(r, c) - 2.6) < 0.7
    return shape + 0.1 * rng.randn(8, 8)


rng = np.random.RandomState(0)
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
