"""Two layers in one forward and one backward function, with a dict as the cache between them."""

import numpy as np


def initialize(n_x, n_h, n_y):
    rng = np.random.default_rng(1)
    return {
        "W1": rng.normal(size=(n_h, n_x)),
        "b1": np.zeros((n_h, 1)),
        "W2": rng.normal(size=(n_y, n_h)),
        "b2": np.zeros((n_y, 1)),
    }


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(X, params):
    Z1 = np.dot(params["W1"], X) + params["b1"]
    A1 = np.tanh(Z1)
    Z2 = np.dot(params["W2"], A1) + params["b2"]
    A2 = sigmoid(Z2)
    return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def cost_of(A2, Y):
    m = Y.shape[1]
    return -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m


def backward(X, Y, params, cache):
    m = X.shape[1]
    A1, A2 = cache["A1"], cache["A2"]
    dZ2 = A2 - Y
    dW2 = np.dot(dZ2, A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dA1 = np.dot(params["W2"].T, dZ2)
    dZ1 = dA1 * (1 - A1**2)
    dW1 = np.dot(dZ1, X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


def step(X, Y, params, rate):
    A2, cache = forward(X, params)
    cost = cost_of(A2, Y)
    grads = backward(X, Y, params, cache)
    new = {name: params[name] - rate * grads["d" + name] for name in params}
    return cost, new


def step_example():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3, 5))
    return X, (X.sum(axis=0, keepdims=True) > 0) * 1.0, initialize(3, 4, 1), 0.5
