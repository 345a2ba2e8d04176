"""One flat function, as in a blog post: numbered variables and nothing else."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def step(X, Y, W1, b1, W2, b2, learning_rate):
    m = X.shape[1]
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = sigmoid(Z2)
    logprobs = Y * np.log(A2) + (1 - Y) * np.log(1 - A2)
    cost = -np.sum(logprobs) / m
    dZ2 = A2 - Y
    dW2 = np.dot(dZ2, A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = np.dot(W2.T, dZ2) * (1 - np.power(A1, 2))
    dW1 = np.dot(dZ1, X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    W1 = W1 - learning_rate * dW1
    b1 = b1 - learning_rate * db1
    W2 = W2 - learning_rate * dW2
    b2 = b2 - learning_rate * db2
    return cost, W1, b1, W2, b2


def step_example(seed=0):
    rng = np.random.RandomState(seed)
    return (
        rng.randn(3, 7), (rng.rand(1, 7) > 0.5) * 1.0, rng.randn(4, 3), rng.randn(4, 1),
        rng.randn(1, 4), rng.randn(1, 1), 0.1,
    )  # fmt: skip
