"""Plain Python floats and `math.exp`, once with named weights and once with neuron objects."""

import math


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def named_net(i1, i2, o1, w1, w2, w3, w4, w5, w6, b1, b2, learning_rate):
    h1 = sigmoid(w1 * i1 + w2 * i2 + b1)
    h2 = sigmoid(w3 * i1 + w4 * i2 + b1)
    out = sigmoid(w5 * h1 + w6 * h2 + b2)
    error = 0.5 * (o1 - out) ** 2
    print(f"out {out:.6f} error {error}")
    delta_out = (out - o1) * out * (1 - out)
    delta_h1 = delta_out * w5 * h1 * (1 - h1)
    delta_h2 = delta_out * w6 * h2 * (1 - h2)
    dw5, dw6, db2 = delta_out * h1, delta_out * h2, delta_out
    dw1, dw2 = delta_h1 * i1, delta_h1 * i2
    dw3, dw4, db1 = delta_h2 * i1, delta_h2 * i2, delta_h1 + delta_h2
    w5 = w5 - learning_rate * dw5
    return error, {
        "w1": dw1, "w2": dw2, "w3": dw3, "w4": dw4, "w5": dw5, "w6": dw6, "b1": db1, "b2": db2,
    }, w5  # fmt: skip


def named_net_example(seed=0):
    return 0.05, 0.1, 0.99, 0.15, 0.2, 0.25, 0.3, 0.4, -0.45, 0.35, 0.6, 0.5


class Neuron:
    def __init__(self, weights, bias):
        self.weights = weights
        self.bias = bias

    def output(self, inputs):
        self.inputs = inputs
        total = self.bias
        for i in range(len(inputs)):
            total += inputs[i] * self.weights[i]
        self.out = self.squash(total)
        return self.out

    def squash(self, total):
        return math.tanh(total)


class NeuronLayer:
    def __init__(self, rows, biases):
        self.neurons = [Neuron(row, bias) for row, bias in zip(rows, biases)]

    def feed_forward(self, inputs):
        return [neuron.output(inputs) for neuron in self.neurons]


def neuron_net(hidden, last, inputs, targets):
    outputs = last.feed_forward(hidden.feed_forward(inputs))
    total = 0
    for target, output in zip(targets, outputs):
        total += 0.5 * (target - output) ** 2
    return total


def neuron_net_example(seed=0):
    hidden = NeuronLayer([[0.15, 0.2], [0.25, 0.3]], [0.35, -0.35])
    last = NeuronLayer([[0.4, -0.45], [0.5, 0.55]], [0.6, 0.1])
    return hidden, last, [0.05, 0.1], [0.01, 0.99]
