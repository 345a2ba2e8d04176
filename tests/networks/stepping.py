"""A library of layers in small: caches in `self`, a loss that begins the backward pass, a step."""

import numpy as np


class Dense:
    def __init__(self, n_in, n_out, rng):
        self.W = rng.randn(n_out, n_in) * 0.5
        self.b = np.zeros((n_out, 1))

    def forward(self, x):
        self.x = x
        return self.W @ x + self.b

    def backward(self, g):
        self.dW = g @ self.x.T
        self.db = g.sum(axis=1, keepdims=True)
        return self.W.T @ g

    def step(self, rate):
        self.W -= rate * self.dW
        self.b -= rate * self.db


class Rectifier:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, g):
        return g * self.mask


class CrossEntropy:
    def forward(self, x, y):
        e = np.exp(x - x.max(axis=0))
        self.p = e / e.sum(axis=0)
        self.y = y
        return -np.sum(y * np.log(self.p)) / x.shape[1]

    def backward(self):
        return (self.p - self.y) / self.y.shape[1]


def train(layers, head, x, y, rate=0.1):
    a = x
    for layer in layers:
        a = layer.forward(a)
    loss = head.forward(a, y)
    g = head.backward()
    for layer in reversed(layers):
        g = layer.backward(g)
    for layer in layers:
        if hasattr(layer, "step"):
            layer.step(rate)
    return loss


def train_example(seed=0):
    rng = np.random.RandomState(seed)
    layers = [Dense(4, 5, rng), Rectifier(), Dense(5, 3, rng)]
    return layers, CrossEntropy(), rng.randn(4, 6), np.eye(3)[:, rng.randint(3, size=6)]
