"""The networks that the benchmarks run: each over any NumPy, and by hand, forward and backward.

`…_loss(np)` gives the loss as a function of `(X, Y, parameters)` over a namespace that has NumPy's
names: NumPy itself, the traced one, HIPS autograd's, MyGrad and torch. What is written by hand is
what a student writes, and returns the loss and a dict of gradients.
"""

from __future__ import annotations

import numpy

Parameters = dict[str, numpy.ndarray]

# ---------------------------------------------------------------------- dense layers of tanh


def dense_parameters(sizes: list[int], dtype: str = "float64") -> Parameters:
    rng = numpy.random.RandomState(0)
    made = {}
    for l in range(1, len(sizes)):
        W = rng.randn(sizes[l], sizes[l - 1]) / numpy.sqrt(sizes[l - 1])
        made[f"W{l}"] = W.astype(dtype)
        made[f"b{l}"] = numpy.zeros((sizes[l], 1), dtype)
    return made


def dense_loss(np):
    def loss(X, Y, parameters):
        a = X
        for l in range(1, len(parameters) // 2 + 1):
            a = np.tanh(np.matmul(parameters["W" + str(l)], a) + parameters["b" + str(l)])
        return 0.5 * np.sum((a - Y) ** 2) / Y.shape[1]

    return loss


def dense_by_hand(X, Y, parameters):
    np = numpy
    L = len(parameters) // 2
    a = {0: X}
    for l in range(1, L + 1):
        a[l] = np.tanh(np.matmul(parameters["W" + str(l)], a[l - 1]) + parameters["b" + str(l)])
    m = Y.shape[1]
    loss = 0.5 * np.sum((a[L] - Y) ** 2) / m
    grads = {}
    da = (a[L] - Y) / m
    for l in range(L, 0, -1):
        dz = da * (1 - a[l] ** 2)
        grads["W" + str(l)] = np.matmul(dz, a[l - 1].T)
        grads["b" + str(l)] = np.sum(dz, axis=1, keepdims=True)
        if l > 1:
            da = np.matmul(parameters["W" + str(l)].T, dz)
    return loss, grads


# ---------------------------------------------------------------------- a transformer block

WIDTH, HEADS, EPS = 64, 4, 1e-5


def block_parameters() -> Parameters:
    rng = numpy.random.RandomState(0)
    made = {k: rng.randn(WIDTH, WIDTH) / WIDTH**0.5 for k in ("Wq", "Wk", "Wv", "Wo")}
    made["W1"] = rng.randn(WIDTH, 4 * WIDTH) / WIDTH**0.5
    made["W2"] = rng.randn(4 * WIDTH, WIDTH) / (4 * WIDTH) ** 0.5
    made["b1"], made["b2"] = numpy.zeros(4 * WIDTH), numpy.zeros(WIDTH)
    for n in ("1", "2"):
        made["gamma" + n], made["beta" + n] = numpy.ones(WIDTH), numpy.zeros(WIDTH)
    return made


def block_loss(np):
    def norm(x, gamma, beta):
        mu = np.mean(x, axis=-1, keepdims=True)
        var = np.mean((x - mu) ** 2, axis=-1, keepdims=True)
        return (x - mu) / np.sqrt(var + EPS) * gamma + beta

    def heads(x, W):
        shape = (*x.shape[:2], HEADS, WIDTH // HEADS)
        return np.swapaxes(np.reshape(np.matmul(x, W), shape), 1, 2)

    def attention(x, Wq, Wk, Wv, Wo):
        q, k, v = heads(x, Wq), heads(x, Wk), heads(x, Wv)
        s = np.matmul(q, np.swapaxes(k, 2, 3)) / (WIDTH // HEADS) ** 0.5
        e = np.exp(s - np.amax(s, axis=-1, keepdims=True))
        p = e / np.sum(e, axis=-1, keepdims=True)
        o = np.reshape(np.swapaxes(np.matmul(p, v), 1, 2), x.shape)
        return np.matmul(o, Wo)

    def loss(X, Y, p):
        n = norm(X, p["gamma1"], p["beta1"])
        x = X + attention(n, p["Wq"], p["Wk"], p["Wv"], p["Wo"])
        n = norm(x, p["gamma2"], p["beta2"])
        h = np.tanh(np.matmul(n, p["W1"]) + p["b1"])
        y = x + np.matmul(h, p["W2"]) + p["b2"]
        return 0.5 * np.sum((y - Y) ** 2) / Y.shape[0]

    return loss


def block_by_hand(X, Y, p):
    np = numpy
    n1, cache1 = _norm(X, p["gamma1"], p["beta1"])
    att, cache_att = _attention(n1, p)
    x = X + att
    n2, cache2 = _norm(x, p["gamma2"], p["beta2"])
    h = np.tanh(np.matmul(n2, p["W1"]) + p["b1"])
    y = x + np.matmul(h, p["W2"]) + p["b2"]
    loss = 0.5 * np.sum((y - Y) ** 2) / Y.shape[0]

    dy = (y - Y) / Y.shape[0]
    g = {"b2": np.sum(dy, axis=(0, 1)), "W2": _weight(h, dy)}
    dz = np.matmul(dy, p["W2"].T) * (1 - h**2)
    g["b1"], g["W1"] = np.sum(dz, axis=(0, 1)), _weight(n2, dz)
    dn, g["gamma2"], g["beta2"] = _norm_reversed(np.matmul(dz, p["W1"].T), cache2)
    dx = dy + dn
    dn = _attention_reversed(dx, cache_att, p, g)
    _, g["gamma1"], g["beta1"] = _norm_reversed(dn, cache1)
    return loss, g


def _norm(x, gamma, beta):
    mu = numpy.mean(x, axis=-1, keepdims=True)
    var = numpy.mean((x - mu) ** 2, axis=-1, keepdims=True)
    sigma = numpy.sqrt(var + EPS)
    xhat = (x - mu) / sigma
    return xhat * gamma + beta, (xhat, sigma, gamma)


def _norm_reversed(dy, cache):
    xhat, sigma, gamma = cache
    d = dy * gamma
    mean, along = numpy.mean(d, -1, keepdims=True), numpy.mean(d * xhat, -1, keepdims=True)
    return (d - mean - xhat * along) / sigma, numpy.sum(dy * xhat, (0, 1)), numpy.sum(dy, (0, 1))


def _weight(x, dy):
    return numpy.matmul(x.reshape(-1, x.shape[-1]).T, dy.reshape(-1, dy.shape[-1]))


def _split(x):
    return numpy.swapaxes(x.reshape(*x.shape[:2], HEADS, WIDTH // HEADS), 1, 2)


def _merged(x):
    return numpy.swapaxes(x, 1, 2).reshape(x.shape[0], x.shape[2], WIDTH)


def _attention(x, p):
    np = numpy
    q, k, v = (_split(np.matmul(x, p[name])) for name in ("Wq", "Wk", "Wv"))
    s = np.matmul(q, np.swapaxes(k, 2, 3)) / (WIDTH // HEADS) ** 0.5
    e = np.exp(s - np.amax(s, axis=-1, keepdims=True))
    a = e / np.sum(e, axis=-1, keepdims=True)
    o = _merged(np.matmul(a, v))
    return np.matmul(o, p["Wo"]), (x, q, k, v, a, o)


def _attention_reversed(dy, cache, p, g):
    np = numpy
    x, q, k, v, a, o = cache
    g["Wo"] = _weight(o, dy)
    do = _split(np.matmul(dy, p["Wo"].T))
    da, dv = np.matmul(do, np.swapaxes(v, 2, 3)), np.matmul(np.swapaxes(a, 2, 3), do)
    ds = a * (da - np.sum(da * a, axis=-1, keepdims=True)) / (WIDTH // HEADS) ** 0.5
    dq, dk = np.matmul(ds, k), np.matmul(np.swapaxes(ds, 2, 3), q)
    dx = 0
    for name, d in (("Wq", dq), ("Wk", dk), ("Wv", dv)):
        d = _merged(d)
        g[name] = _weight(x, d)
        dx = dx + np.matmul(d, p[name].T)
    return dx
