"""A two-layer network whose backward function holds a mistake. Which one? It knows nothing of tracenet.

tracenet check examples/wrong_gradient.py --call 'iteration(x, y, parameters)'
tracenet render examples/wrong_gradient.py --call 'iteration(x, y, parameters)' --check
"""

import numpy as np

rng = np.random.RandomState(3)
x = rng.randn(5, 4)
y = rng.randn(5, 2)
parameters = {
    "W1": rng.randn(4, 3), "b1": np.zeros(3), "W2": rng.randn(3, 2), "b2": np.zeros(2),
}  # fmt: skip


def affine_forward(x, W, b):
    return x @ W + b, (x, W, b)


def affine_backward(dout, cache):
    x, W, b = cache
    dx = dout @ W.T
    dW = x.T @ dout
    db = np.sum(dout, axis=0)
    return dx, dW, db


def tanh_forward(x):
    out = np.tanh(x)
    return out, out


def tanh_backward(dout, cache):
    out = cache
    dx = dout * (1 - out)
    return dx


def iteration(x, y, parameters):
    z1, affine1 = affine_forward(x, parameters["W1"], parameters["b1"])
    a1, tanh1 = tanh_forward(z1)
    z2, affine2 = affine_forward(a1, parameters["W2"], parameters["b2"])
    loss = np.mean((z2 - y) ** 2)
    grads = {}
    dz2 = 2 * (z2 - y) / z2.size
    da1, grads["W2"], grads["b2"] = affine_backward(dz2, affine2)
    dz1 = tanh_backward(da1, tanh1)
    dx, grads["W1"], grads["b1"] = affine_backward(dz1, affine1)
    return loss, grads
