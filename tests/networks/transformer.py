"""One transformer block with nested dicts of parameters, heads in a comprehension, causal mask."""

import numpy as np


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def layer_norm(x, g, b, eps=1e-5):
    mean = np.mean(x, axis=-1, keepdims=True)
    variance = np.var(x, axis=-1, keepdims=True)
    return g * (x - mean) / np.sqrt(variance + eps) + b


def linear(x, w, b):
    return x @ w + b


def attention(q, k, v, mask):
    return softmax(q @ k.T / np.sqrt(q.shape[-1]) + mask) @ v


def mha(x, c_attn, c_proj, n_head):
    x = linear(x, **c_attn)
    qkv = np.split(x, 3, axis=-1)
    heads = [np.split(part, n_head, axis=-1) for part in qkv]
    mask = (1 - np.tri(x.shape[0], dtype=x.dtype)) * -1e10
    out = [attention(q, k, v, mask) for q, k, v in zip(*heads)]
    return linear(np.hstack(out), **c_proj)


def block(x, mlp, attn, ln_1, ln_2, n_head):
    x = x + mha(layer_norm(x, **ln_1), **attn, n_head=n_head)
    h = gelu(linear(layer_norm(x, **ln_2), **mlp["c_fc"]))
    return x + linear(h, **mlp["c_proj"])


def make_parameters(d=8, seed=0):
    rng = np.random.RandomState(seed)
    dense = lambda n, m: {"w": rng.randn(n, m) * 0.3, "b": rng.randn(m) * 0.1}  # noqa: E731
    norm = lambda: {"g": 1 + 0.1 * rng.randn(d), "b": 0.1 * rng.randn(d)}  # noqa: E731
    return {
        "mlp": {"c_fc": dense(d, 2 * d), "c_proj": dense(2 * d, d)},
        "attn": {"c_attn": dense(d, 3 * d), "c_proj": dense(d, d)},
        "ln_1": norm(),
        "ln_2": norm(),
    }


def loss(x, params, n_head):
    out = block(x, **params, n_head=n_head)
    return np.mean(out**2)
