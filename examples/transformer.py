"""A transformer block: causal self-attention in two heads, layer norm, an MLP, residual sums.

tracenet render examples/transformer.py --call 'loss(x, target, parameters)' -o transformer.svg

Only the forward pass is written; the backward pass that is drawn is derived and replayed.
The block is that of GPT-2, which normalises before attention and before the MLP. It knows nothing
of tracenet.
"""

import numpy as np

HEADS = 2


def layer_norm(x, g, b):
    c = x - np.mean(x, axis=-1, keepdims=True)
    s = np.sqrt(np.mean(c**2, axis=-1, keepdims=True) + 1e-5)
    n = g * (c / s) + b
    return n


def softmax(s):
    e = np.exp(s - np.max(s, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def split_heads(x):
    """(T, D) as (heads, T, D / heads)."""
    T, D = x.shape
    return x.reshape(T, HEADS, D // HEADS).transpose(1, 0, 2)


def self_attention(n, Wq, Wk, Wv, Wo):
    """Each position looks at itself and at those before it."""
    T, D = n.shape
    q = split_heads(n @ Wq)
    k = split_heads(n @ Wk)
    v = split_heads(n @ Wv)
    future = np.triu(np.full((T, T), -1e9), k=1)
    A = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(D // HEADS) + future)
    heads = A @ v
    y = heads.transpose(1, 0, 2).reshape(T, D) @ Wo
    return y


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def mlp(n, W1, b1, W2, b2):
    u = gelu(n @ W1 + b1)
    m = u @ W2 + b2
    return m


def residual(x, y):
    r = x + y
    return r


def transformer_block(x, p):
    n = layer_norm(x, p["g1"], p["beta1"])
    y = self_attention(n, p["Wq"], p["Wk"], p["Wv"], p["Wo"])
    r = residual(x, y)
    n = layer_norm(r, p["g2"], p["beta2"])
    m = mlp(n, p["W1"], p["b1"], p["W2"], p["b2"])
    out = residual(r, m)
    return out


def mean_squared_error(out, target):
    J = np.mean((out - target) ** 2)
    return J


def loss(x, target, parameters):
    out = transformer_block(x, parameters)
    return mean_squared_error(out, target)


rng = np.random.RandomState(0)
T, D = 5, 8
x = rng.randn(T, D)
target = rng.randn(T, D)
parameters = {name: rng.randn(D, D) / np.sqrt(D) for name in ("Wq", "Wk", "Wv", "Wo")}
parameters |= {"W1": rng.randn(D, 4 * D) / np.sqrt(D), "b1": np.zeros(4 * D)}
parameters |= {"W2": rng.randn(4 * D, D) / np.sqrt(4 * D), "b2": np.zeros(D)}
for l in ("1", "2"):
    parameters |= {"g" + l: np.ones(D), "beta" + l: np.zeros(D)}

if __name__ == "__main__":
    print(f"loss {loss(x, target, parameters):.6f}")
