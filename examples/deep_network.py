"""One iteration of gradient descent of an L-layer classifier on Fisher's iris measurements.

    tracenet render examples/deep_network.py -o deep_network.svg

Four measurements in, three species out, two hidden layers: a network that really learns. It is
trained for a while by plain calls of the same functions; then one iteration is recorded and drawn.
"""

import csv
from pathlib import Path

from tracenet import numpy as np
from tracenet import tracer

SIZES = [4, 5, 4, 3]
SPECIES = ["setosa", "versicolor", "virginica"]
HERE = Path(__file__).parent


def read_iris(path):
    """Standardised measurements, (4, 150), and one-hot species, (3, 150)."""
    with open(path) as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))[1:]
    X = np.array([[float(cell) for cell in row[:4]] for row in rows]).T
    Y = np.array([[float(row[4] == name) for row in rows] for name in SPECIES])
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True), Y


def initialize(sizes, seed=1):
    rng = np.random.RandomState(seed)
    parameters = {}
    for l in range(1, len(sizes)):
        parameters[f"W{l}"] = rng.randn(sizes[l], sizes[l - 1]) * np.sqrt(1 / sizes[l - 1])
        parameters[f"b{l}"] = np.zeros((sizes[l], 1))
    return parameters


def softmax(z):
    e = np.exp(z - np.max(z, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


def layer(a_prev, W, b, activation):
    z = np.dot(W, a_prev) + b
    a = activation(z)
    return a


def cross_entropy(a, Y):
    m = Y.shape[1]
    cost = -np.sum(Y * np.log(a)) / m
    return cost


def forward(X, Y, parameters):
    L = len(parameters) // 2
    a = X
    for l in range(1, L + 1):
        activation = np.tanh if l < L else softmax
        a = layer(a, parameters[f"W{l}"], parameters[f"b{l}"], activation)
    return cross_entropy(a, Y)


def iteration(X, Y, parameters, learning_rate):
    """Records one iteration; returns its trace and the new parameters."""
    trace = tracer.trace(forward, X, Y, parameters)
    trace.backward()
    return trace, trace.update(learning_rate)


X, Y = read_iris(HERE / "data" / "iris.csv")
parameters = initialize(SIZES)
trace, new = iteration(X, Y, parameters, learning_rate=0.5)

if __name__ == "__main__":
    print(f"cost before the iteration {forward(X, Y, parameters):.6f}")
    print(f"cost after the iteration  {forward(X, Y, new):.6f}")
    print(trace.render(Path("deep_network.svg")))
