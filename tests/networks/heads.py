"""Attention and layer norm with backward functions by hand, around a residual connection."""

import numpy as np


def softmax_forward(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    p = e / np.sum(e, axis=-1, keepdims=True)
    return p, p


def softmax_backward(dp, p):
    return p * (dp - np.sum(dp * p, axis=-1, keepdims=True))


def attention_forward(x, Wq, Wk, Wv):
    Q, K, V = x @ Wq, x @ Wk, x @ Wv
    scale = 1 / np.sqrt(Q.shape[-1])
    mask = np.triu(np.full((x.shape[0], x.shape[0]), -1e9), 1)
    S = Q @ K.T * scale + mask
    P, softmax_cache = softmax_forward(S)
    out = P @ V
    return out, (x, Wq, Wk, Wv, Q, K, V, P, scale, softmax_cache)


def attention_backward(dout, cache):
    x, Wq, Wk, Wv, Q, K, V, P, scale, softmax_cache = cache
    dV = P.T @ dout
    dP = dout @ V.T
    dS = softmax_backward(dP, softmax_cache)
    dQ = dS @ K * scale
    dK = dS.T @ Q * scale
    dWq, dWk, dWv = x.T @ dQ, x.T @ dK, x.T @ dV
    dx = dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T
    return dx, dWq, dWk, dWv


def layernorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=-1, keepdims=True)
    xc = x - mu
    inv = 1 / np.sqrt((xc**2).mean(axis=-1, keepdims=True) + eps)
    xhat = xc * inv
    return gamma * xhat + beta, (xhat, inv, gamma)


def layernorm_backward(dy, cache):
    xhat, inv, gamma = cache
    D = xhat.shape[-1]
    dgamma = np.sum(dy * xhat, axis=0)
    dbeta = np.sum(dy, axis=0)
    dxhat = dy * gamma
    s1 = np.sum(dxhat, axis=-1, keepdims=True)
    s2 = np.sum(dxhat * xhat, axis=-1, keepdims=True)
    dx = inv * (dxhat - s1 / D - xhat * s2 / D)
    return dx, dgamma, dbeta


def block_forward(x, p):
    n, norm_cache = layernorm_forward(x, p["gamma"], p["beta"])
    a, attention_cache = attention_forward(n, p["Wq"], p["Wk"], p["Wv"])
    return x + a, (norm_cache, attention_cache)


def block_backward(dout, cache):
    norm_cache, attention_cache = cache
    grads = {}
    dn, grads["Wq"], grads["Wk"], grads["Wv"] = attention_backward(dout, attention_cache)
    dx, grads["gamma"], grads["beta"] = layernorm_backward(dn, norm_cache)
    dx = dx + dout
    return dx, grads


def head_net(x, p, target):
    y, cache = block_forward(x, p)
    loss = np.mean((y - target) ** 2)
    dy = 2 * (y - target) / y.size
    dx, grads = block_backward(dy, cache)
    return loss, grads


def head_net_example(seed=0):
    r = np.random.RandomState(seed)
    p = {
        "Wq": r.randn(6, 6), "Wk": r.randn(6, 6), "Wv": r.randn(6, 6),
        "gamma": 1 + 0.2 * r.randn(6), "beta": r.randn(6),
    }  # fmt: skip
    return r.randn(4, 6), p, r.randn(4, 6)
