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


def forget_gate(v, Wf, bf):
    f = sigmoid(Wf @ v + bf)
    return f, (v, f, Wf)


def forget_gate_backward(df, cache):
    v, f, Wf = cache
    dzf = df * f * (1 - f)
    dv = Wf.T @ dzf
    dWf = dzf @ v.T
    dbf = np.sum(dzf, axis=1, keepdims=True)
    return dv, dWf, dbf


def input_gate(v, Wi, bi):
    i = sigmoid(Wi @ v + bi)
    return i, (v, i, Wi)


def input_gate_backward(di, cache):
    v, i, Wi = cache
    dzi = di * i * (1 - i)
    dv = Wi.T @ dzi
    dWi = dzi @ v.T
    dbi = np.sum(dzi, axis=1, keepdims=True)
    return dv, dWi, dbi


def candidate(v, Wg, bg):
    g = np.tanh(Wg @ v + bg)
    return g, (v, g, Wg)


def candidate_backward(dg, cache):
    v, g, Wg = cache
    dzg = dg * (1 - g**2)
    dv = Wg.T @ dzg
    dWg = dzg @ v.T
    dbg = np.sum(dzg, axis=1, keepdims=True)
    return dv, dWg, dbg


def output_gate(v, Wo, bo):
    o = sigmoid(Wo @ v + bo)
    return o, (v, o, Wo)


def output_gate_backward(do, cache):
    v, o, Wo = cache
    dzo = do * o * (1 - o)
    dv = Wo.T @ dzo
    dWo = dzo @ v.T
    dbo = np.sum(dzo, axis=1, keepdims=True)
    return dv, dWo, dbo


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
    f, forget_cache = forget_gate(v, p["Wf"], p["bf"])
    i, input_cache = input_gate(v, p["Wi"], p["bi"])
    g, candidate_cache = candidate(v, p["Wg"], p["bg"])
    c, cell_cache = cell_state(f, c_prev, i, g)
    o, output_cache = output_gate(v, p["Wo"], p["bo"])
    h, hidden_cache = hidden_state(o, c)
    loss = 0.5 * np.sum((h - target) ** 2)

    grads = {}
    dh = h - target
    do, dc = hidden_state_backward(dh, hidden_cache)
    dv_o, grads["Wo"], grads["bo"] = output_gate_backward(do, output_cache)
    df, dc_prev, di, dg = cell_state_backward(dc, cell_cache)
    dv_g, grads["Wg"], grads["bg"] = candidate_backward(dg, candidate_cache)
    dv_i, grads["Wi"], grads["bi"] = input_gate_backward(di, input_cache)
    dv_f, grads["Wf"], grads["bf"] = forget_gate_backward(df, forget_cache)
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
    parameters["W" + gate] = rng.randn(2, 4) / 2
    parameters["b" + gate] = np.ones((2, 1)) if gate == "f" else np.zeros((2, 1))

if __name__ == "__main__":
    print(f"loss {step(x, h_prev, c_prev, target, parameters)[0]:.6f}")
