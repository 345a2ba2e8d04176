"""NumPy under another name, chosen at import, and names imported out of it."""

try:
    import cupy_that_nobody_has as xp
except ImportError:
    import numpy as xp

import numpy.linalg as la
from numpy import array, dot, exp, zeros
from numpy import random as rnd

from .activations import sigmoid, sigmoid_prime


def switch_net(x, y, w, W2, gamma):
    h = xp.maximum(xp.dot(w, x), 0.1 * dot(w, x))
    rows = zeros((W2.shape[0],))
    for i in range(len(rows)):
        rows[i] = dot(W2[i], h) + 0.0 * rnd.randn()
    p = exp(rows - xp.max(rows))
    p = p / xp.sum(p, keepdims=True)
    gate = sigmoid(gamma) * array([1.0, 2.0])
    slope = sigmoid_prime(gamma)
    loss = -xp.log(p[y]) + la.norm(w) ** 2 / 10 + gate.sum() * slope
    print(xp.round(p, 3), xp.__name__)
    return loss


def switch_net_example(seed=0):
    r = rnd.RandomState(seed)
    return r.randn(3), 1, r.randn(4, 3), r.randn(2, 4), array(0.3)
