"""A recurrent network over time: states in a dict by time step, arrays filled in place."""

import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dz = dnext_h * (1 - next_h**2)
    return dz.dot(Wx.T), dz.dot(Wh.T), x.T.dot(dz), prev_h.T.dot(dz), dz.sum(axis=0)


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, _ = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    hs = {-1: h0}
    for t in range(T):
        hs[t], _ = rnn_step_forward(x[:, t, :], hs[t - 1], Wx, Wh, b)
        h[:, t, :] = hs[t]
    return h


def loss(x, h0, Wx, Wh, b, target):
    h = rnn_forward(x, h0, Wx, Wh, b)
    return 0.5 * np.sum((h - target) ** 2)


def softmax_loss(scores, y):
    N = scores.shape[0]
    shifted = scores - scores.max(axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= probs.sum(axis=1, keepdims=True)
    loss = -np.log(probs[range(N), y]).mean()
    dscores = probs
    dscores[range(N), y] -= 1
    dscores /= N
    return loss, dscores


def loss_by_statements(x, y, h, Wx, Wh, b, Wy):
    """The same network without functions: three statements in each turn of the loop."""
    loss = 0
    for t in range(x.shape[0]):
        h = np.tanh(x[t] @ Wx + h @ Wh + b)
        p = h @ Wy
        loss = loss + np.sum((p - y[t]) ** 2)
    return loss


def last_state(x, h, Wx, Wh, b):
    """A loop of a single statement."""
    for t in range(x.shape[0]):
        h = np.tanh(x[t] @ Wx + h @ Wh + b)
    return np.sum(h**2)
