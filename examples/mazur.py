"""Matt Mazur's step by step backpropagation example: two layers of two sigmoid neurons.

    tracenet render examples/mazur.py -o mazur.svg

https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/
"""

from pathlib import Path

from tracenet import numpy as np
from tracenet import tracer


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def layer(a_prev, W, b):
    z = W @ a_prev + b
    a = sigmoid(z)
    return a


def forward(x, y, parameters):
    a1 = layer(x, parameters["W1"], parameters["b1"])
    a2 = layer(a1, parameters["W2"], parameters["b2"])
    loss = 0.5 * np.sum((a2 - y) ** 2)
    return loss


x = np.array([[0.05], [0.10]])
y = np.array([[0.01], [0.99]])
parameters = {
    "W1": np.array([[0.15, 0.20], [0.25, 0.30]]),
    "b1": np.array([[0.35], [0.35]]),
    "W2": np.array([[0.40, 0.45], [0.50, 0.55]]),
    "b2": np.array([[0.60], [0.60]]),
}

trace = tracer.trace(forward, x, y, parameters)
trace.backward()
trace.update(learning_rate=0.5, parameters=["W1", "W2"])  # the example leaves the biases alone

if __name__ == "__main__":
    print(f"loss {trace.result:.9f}")
    print("dW1", trace.gradient("W1").tolist())
    print(trace.render(Path("mazur.svg")))
