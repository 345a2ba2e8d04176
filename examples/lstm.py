"""One LSTM cell, forward and backward by hand. It knows nothing of tracenet.

tracenet render examples/lstm.py --call 'step(x, h_prev, c_prev, target, parameters)' -o lstm.svg

Each gate is a block: forget, input, candidate, output; then the cell state and the hidden state.
Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9 (1997), with the forget
gate of Gers, Schmidhuber and Cummins (2000).
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def stack(h_prev, x):
    v = np.concatenate([h_prev, x])
    return v, len(h_prev)


def stack_backward(dv, cache):
    dh_prev = dv[:cache]
    dx = dv[cache:]
    return dh_prev, dx


def forget_gate(v, W_f, b_f):
    f = sigmoid(W_f @ v + b_f)
    return f, (v, f, W_f)


def forget_gate_backward(df, cache):
    v, f, W_f = cache
    dz_f = df * f * (1 - f)
    dv = W_f.T @ dz_f
    dW_f = dz_f @ v.T
    db_f = np.sum(dz_f, axis=1, keepdims=True)
    return dv, dW_f, db_f


def input_gate(v, W_i, b_i):
    i = sigmoid(W_i @ v + b_i)
    return i, (v, i, W_i)


def input_gate_backward(di, cache):
    v, i, W_i = cache
    dz_i = di * i * (1 - i)
    dv = W_i.T @ dz_i
    dW_i = dz_i @ v.T
    db_i = np.sum(dz_i, axis=1, keepdims=True)
    return dv, dW_i, db_i


def candidate(v, W_g, b_g):
    g = np.tanh(W_g @ v + b_g)
    return g, (v, g, W_g)


def candidate_backward(dg, cache):
    v, g, W_g = cache
    dz_g = dg * (1 - g**2)
    dv = W_g.T @ dz_g
    dW_g = dz_g @ v.T
    db_g = np.sum(dz_g, axis=1, keepdims=True)
    return dv, dW_g, db_g


def output_gate(v, W_o, b_o):
    o = sigmoid(W_o @ v + b_o)
    return o, (v, o, W_o)


def output_gate_backward(do, cache):
    v, o, W_o = cache
    dz_o = do * o * (1 - o)
    dv = W_o.T @ dz_o
    dW_o = dz_o @ v.T
    db_o = np.sum(dz_o, axis=1, keepdims=True)
    return dv, dW_o, db_o


def cell_state(f, c_prev, i, g):
    c = f * c_prev + i * g
    return c, (f, c_prev, i, g)


def cell_state_backward(dc, cache):
    f, c_prev, i, g = cache
    df = dc * c_prev
    dc_prev = dc * f
    di = dc * g
    dg = dc * i
    return df, dc_prev, di, dg


def hidden_state(o, c):
    t = np.tanh(c)
    h = o * t
    return h, (o, t)


def hidden_state_backward(dh, cache):
    o, t = cache
    do = dh * t
    dc = dh * o * (1 - t**2)
    return do, dc


def step(x, h_prev, c_prev, target, parameters):
    """One step: the loss ½ Σ (h - target)², and the gradients of everything."""
    p = parameters
    v, stack_cache = stack(h_prev, x)
    f, forget_cache = forget_gate(v, p["W_f"], p["b_f"])
    i, input_cache = input_gate(v, p["W_i"], p["b_i"])
    g, candidate_cache = candidate(v, p["W_g"], p["b_g"])
    c, cell_cache = cell_state(f, c_prev, i, g)
    o, output_cache = output_gate(v, p["W_o"], p["b_o"])
    h, hidden_cache = hidden_state(o, c)
    loss = 0.5 * np.sum((h - target) ** 2)

    grads = {}
    dh = h - target
    do, dc = hidden_state_backward(dh, hidden_cache)
    dv_o, grads["W_o"], grads["b_o"] = output_gate_backward(do, output_cache)
    df, dc_prev, di, dg = cell_state_backward(dc, cell_cache)
    dv_g, grads["W_g"], grads["b_g"] = candidate_backward(dg, candidate_cache)
    dv_i, grads["W_i"], grads["b_i"] = input_gate_backward(di, input_cache)
    dv_f, grads["W_f"], grads["b_f"] = forget_gate_backward(df, forget_cache)
    dv = dv_f + dv_i + dv_g + dv_o
    dh_prev, dx = stack_backward(dv, stack_cache)
    return loss, grads, (dx, dh_prev, dc_prev)


rng = np.random.RandomState(0)
x = rng.randn(2, 1)
h_prev = rng.randn(2, 1)
c_prev = rng.randn(2, 1)
target = np.array([[0.5], [-0.5]])
parameters = {}
for gate in "figo":
    parameters["W_" + gate] = rng.randn(2, 4) / 2
    parameters["b_" + gate] = np.ones((2, 1)) if gate == "f" else np.zeros((2, 1))

if __name__ == "__main__":
    print(f"loss {step(x, h_prev, c_prev, target, parameters)[0]:.6f}")
