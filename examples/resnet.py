"""A residual network of 50 layers: 24 blocks of two layers each, between a first and a last layer.

tracenet render examples/resnet.py --call 'loss(X, Y, parameters)' -o resnet.svg

Equal blocks in sequence fold into one; the sum beside each block is what lets the gradient pass all
24 (He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015). It knows nothing of
tracenet.
"""

import numpy as np

BLOCKS = 24
WIDTH = 4


def relu(z):
    return np.maximum(0, z)


def first_layer(X, W, b):
    a = relu(W @ X + b)
    return a


def residual_block(a_prev, U, V):
    h = relu(U @ a_prev)
    a = a_prev + V @ h
    return a


def last_layer(a, W, b):
    z = W @ a + b
    return z


def mean_squared_error(z, Y):
    J = np.mean((z - Y) ** 2)
    return J


def loss(X, Y, parameters):
    a = first_layer(X, parameters["Wx"], parameters["bx"])
    for l in range(1, BLOCKS + 1):
        a = residual_block(a, parameters[f"U{l}"], parameters[f"V{l}"])
    z = last_layer(a, parameters["Wy"], parameters["by"])
    return mean_squared_error(z, Y)


rng = np.random.RandomState(0)
X = rng.randn(3, 10)
Y = np.sin(np.sum(X, axis=0, keepdims=True))
parameters = {"Wx": rng.randn(WIDTH, 3), "bx": np.zeros((WIDTH, 1))}
for l in range(1, BLOCKS + 1):
    parameters[f"U{l}"] = rng.randn(WIDTH, WIDTH) / 4
    parameters[f"V{l}"] = rng.randn(WIDTH, WIDTH) / 4
parameters |= {"Wy": rng.randn(1, WIDTH) / 2, "by": np.zeros((1, 1))}

if __name__ == "__main__":
    print(f"loss {loss(X, Y, parameters):.6f}")
