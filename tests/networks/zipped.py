"""Lists of weights and biases walked with `zip` and negative indices, as in a book of 2013."""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


class Network:
    def __init__(self, sizes, rng):
        self.sizes = sizes
        self.num_layers = len(sizes)
        self.biases = [rng.randn(y, 1) for y in sizes[1:]]
        self.weights = [rng.randn(y, x) for x, y in zip(sizes[:-1], sizes[1:])]

    def backprop(self, x, y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation = x
        activations = [x]
        zs = []
        for b, w in zip(self.biases, self.weights):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        cost = 0.5 * np.linalg.norm(activations[-1] - y) ** 2
        delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for l in range(2, self.num_layers):
            z = zs[-l]
            sp = sigmoid_prime(z)
            delta = np.dot(self.weights[-l + 1].transpose(), delta) * sp
            nabla_b[-l] = delta
            nabla_w[-l] = np.dot(delta, activations[-l - 1].transpose())
        return cost, nabla_b, nabla_w


def zipped_net(network, x, y):
    cost, nabla_b, nabla_w = network.backprop(x, y)
    grads = {f"biases[{i}]": g for i, g in enumerate(nabla_b)}
    grads.update({f"weights[{i}]": g for i, g in enumerate(nabla_w)})
    return cost, grads


def zipped_net_example(seed=0):
    r = np.random.RandomState(seed)
    return Network([3, 4, 4, 2], r), r.randn(3, 1), r.randn(2, 1)
