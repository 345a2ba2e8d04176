"""Layer objects that keep their caches in `self`, and a network that chains them."""

import numpy as np


class Linear:
    def __init__(self, n_in, n_out, rng):
        self.W = rng.randn(n_in, n_out) * 0.5
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.dW = self.x.T @ grad
        self.db = grad.sum(axis=0)
        return grad @ self.W.T


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, grad):
        return grad * (1 - self.out**2)


class Network:
    def __init__(self, sizes, seed=0):
        rng = np.random.RandomState(seed)
        self.layers = []
        for n_in, n_out in zip(sizes, sizes[1:]):
            self.layers += [Linear(n_in, n_out, rng), Tanh()]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad):
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    def loss(self, x, y):
        diff = self.forward(x) - y
        return 0.5 * np.mean(diff**2)


def layer_net(network, x, y):
    out = network.forward(x)
    loss = 0.5 * np.mean((out - y) ** 2)
    network.backward((out - y) / out.size)
    return loss


def layer_net_example(seed=0):
    rng = np.random.RandomState(seed)
    return Network([4, 3, 3, 2], seed), rng.randn(5, 4), rng.randn(5, 2)
