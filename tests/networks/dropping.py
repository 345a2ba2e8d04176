"""A course network with dropout: caches in nested tuples, masks from `np.random` in the forward."""

import numpy as np


def linear_forward(A, W, b):
    Z = np.dot(W, A) + b
    return Z, (A, W, b)


def dropout_forward(A, keep_prob):
    D = np.random.rand(A.shape[0], A.shape[1])
    D = (D < keep_prob).astype(int)
    A = np.multiply(A, D)
    A = A / keep_prob
    return A, (D, keep_prob)


def layer_forward(A_prev, W, b, keep_prob):
    Z, linear_cache = linear_forward(A_prev, W, b)
    A = np.tanh(Z)
    activation_cache = A
    A, dropout_cache = dropout_forward(A, keep_prob)
    return A, ((linear_cache, activation_cache), dropout_cache)


def layer_backward(dA, cache):
    ((A_prev, W, b), A), (D, keep_prob) = cache
    dA = dA * D
    dA /= keep_prob
    dZ = np.multiply(dA, 1 - np.power(A, 2))
    dW = np.dot(dZ, A_prev.T)
    db = np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


def model_forward(X, parameters, keep_prob):
    caches, A = [], X
    L = len(parameters) // 2
    for l in range(1, L + 1):
        W, b = parameters["W" + str(l)], parameters["b" + str(l)]
        A, cache = layer_forward(A, W, b, keep_prob if l < L else 1.0)
        caches.append(cache)
    return A, caches


def dropout_net(X, Y, parameters, keep_prob, lambd):
    AL, caches = model_forward(X, parameters, keep_prob)
    penalty = lambd / 2 * sum(np.sum(np.square(parameters[f"W{l}"])) for l in (1, 2, 3))
    cost = np.squeeze(np.sum((AL - Y) ** 2) / 2 + penalty)
    assert cost.shape == ()
    print("Cost after iteration {}: {}".format(0, cost))
    grads = {}
    dA = AL - Y
    for l in reversed(range(len(caches))):
        dA, dW, grads["db" + str(l + 1)] = layer_backward(dA, caches[l])
        grads["dW" + str(l + 1)] = dW + lambd * parameters["W" + str(l + 1)]
    return cost, grads


def dropout_net_example(seed=0):
    r = np.random.RandomState(seed)
    sizes, parameters = [3, 5, 4, 2], {}
    for l in range(1, 4):
        parameters["W" + str(l)] = r.randn(sizes[l], sizes[l - 1]) / np.sqrt(sizes[l - 1])
        parameters["b" + str(l)] = r.randn(sizes[l], 1)
    return r.randn(3, 6), r.randn(2, 6), parameters, 0.8, 0.1
