"""Modular layers that return `(out, cache)` and take `(dout, cache)`, as in a vision course."""

import numpy as np


def affine_forward(x, w, b):
    N = x.shape[0]
    out = x.reshape(N, -1).dot(w) + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    x = cache
    dx = dout * (x > 0)
    return dx


def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    D = x.shape[1]
    running_mean = bn_param.get("running_mean", np.zeros(D))
    running_var = bn_param.get("running_var", np.zeros(D))
    mu = x.mean(axis=0)
    xmu = x - mu
    var = np.mean(xmu**2, axis=0)
    std = np.sqrt(var + eps)
    xhat = xmu / std
    out = gamma * xhat + beta
    bn_param["running_mean"] = momentum * running_mean + (1 - momentum) * mu
    bn_param["running_var"] = momentum * running_var + (1 - momentum) * var
    return out, (xhat, gamma, xmu, std)


def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, std = cache
    N = dout.shape[0]
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    dstd = -np.sum(dxhat * xmu, axis=0) / std**2
    dvar = 0.5 * dstd / std
    dxmu = dxhat / std + 2 / N * xmu * dvar
    dmu = -np.sum(dxmu, axis=0)
    dx = dxmu + dmu / N
    return dx, dgamma, dbeta


def dropout_forward(x, keep_prob):
    mask = (np.random.rand(*x.shape) < keep_prob) / keep_prob
    return x * mask, mask


def dropout_backward(dout, mask):
    return dout * mask


def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    H_out = 1 + (H + 2 * pad - HH) // stride
    W_out = 1 + (W + 2 * pad - WW) // stride
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    hs, ws = i * stride, j * stride
                    window = x_pad[n, :, hs : hs + HH, ws : ws + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (x, w, b, conv_param)


def conv_backward(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    _, _, H_out, W_out = dout.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    dx_pad = np.zeros_like(x_pad)
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    hs, ws = i * stride, j * stride
                    g = dout[n, f, i, j]
                    db[f] += g
                    dw[f] += x_pad[n, :, hs : hs + HH, ws : ws + WW] * g
                    dx_pad[n, :, hs : hs + HH, ws : ws + WW] += w[f] * g
    dx = dx_pad[:, :, pad : pad + H, pad : pad + W]
    return dx, dw, db


def max_pool_forward(x, pool_param):
    size, stride = pool_param["size"], pool_param["stride"]
    N, C, H, W = x.shape
    H_out, W_out = 1 + (H - size) // stride, 1 + (W - size) // stride
    out = np.zeros((N, C, H_out, W_out))
    for i in range(H_out):
        for j in range(W_out):
            hs, ws = i * stride, j * stride
            out[:, :, i, j] = np.max(x[:, :, hs : hs + size, ws : ws + size], axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward(dout, cache):
    x, pool_param = cache
    size, stride = pool_param["size"], pool_param["stride"]
    N, C, H_out, W_out = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(H_out):
                for j in range(W_out):
                    hs, ws = i * stride, j * stride
                    window = x[n, c, hs : hs + size, ws : ws + size]
                    mask = window == np.max(window)
                    dx[n, c, hs : hs + size, ws : ws + size] += mask * dout[n, c, i, j]
    return dx


def softmax_loss(scores, y):
    N = scores.shape[0]
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= np.sum(probs, axis=1, keepdims=True)
    loss = -np.sum(np.log(probs[np.arange(N), y])) / N
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N
    return loss, dscores


def norm_net(x, y, params, reg):
    """affine, batch norm, relu, dropout, affine, softmax; with weight decay."""
    h1, fc1 = affine_forward(x, params["W1"], params["b1"])
    n1, bn1 = batchnorm_forward(h1, params["gamma"], params["beta"], params["bn"])
    a1, relu1 = relu_forward(n1)
    d1, drop1 = dropout_forward(a1, 0.8)
    scores, fc2 = affine_forward(d1, params["W2"], params["b2"])
    data_loss, dscores = softmax_loss(scores, y)
    loss = data_loss + 0.5 * reg * (np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2))
    grads = {}
    dd1, grads["W2"], grads["b2"] = affine_backward(dscores, fc2)
    da1 = dropout_backward(dd1, drop1)
    dn1 = relu_backward(da1, relu1)
    dh1, grads["gamma"], grads["beta"] = batchnorm_backward(dn1, bn1)
    dx, grads["W1"], grads["b1"] = affine_backward(dh1, fc1)
    grads["W1"] += reg * params["W1"]
    grads["W2"] += reg * params["W2"]
    return loss, grads


def norm_net_example(seed=0):
    rng = np.random.RandomState(seed)
    np.random.seed(seed)
    params = {
        "W1": rng.randn(6, 5), "b1": rng.randn(5), "gamma": 1 + 0.3 * rng.randn(5),
        "beta": rng.randn(5), "W2": rng.randn(5, 3), "b2": rng.randn(3), "bn": {},
    }  # fmt: skip
    return rng.randn(7, 2, 3), rng.randint(3, size=7), params, 0.1


def conv_net(x, y, params):
    """conv, relu, max pool, affine, softmax."""
    c1, conv1 = conv_forward(x, params["W1"], params["b1"], {"stride": 2, "pad": 1})
    a1, relu1 = relu_forward(c1)
    p1, pool1 = max_pool_forward(a1, {"size": 2, "stride": 1})
    scores, fc = affine_forward(p1, params["W2"], params["b2"])
    loss, dscores = softmax_loss(scores, y)
    grads = {}
    dp1, grads["W2"], grads["b2"] = affine_backward(dscores, fc)
    da1 = max_pool_backward(dp1, pool1)
    dc1 = relu_backward(da1, relu1)
    dx, grads["W1"], grads["b1"] = conv_backward(dc1, conv1)
    return loss, grads


def conv_net_example(seed=0):
    rng = np.random.RandomState(seed)
    params = {
        "W1": rng.randn(2, 2, 3, 2), "b1": rng.randn(2),
        "W2": rng.randn(4, 4), "b2": rng.randn(4),
    }  # fmt: skip
    return rng.randn(3, 2, 4, 5), rng.randint(4, size=3), params
