"""Training of several turns in one call: parameters made on the way, objects, an optimizer."""

import numpy as np

# ------------------------------------------------------------------ a model that makes its parameters


def initialize(n_x, n_h, n_y, seed=3):
    draw = np.random.RandomState(seed)
    parameters = {}
    for l, (rows, columns) in enumerate([(n_h, n_x), (n_y, n_h)], 1):
        parameters["W" + str(l)] = draw.randn(rows, columns) * 0.5
        parameters["b" + str(l)] = np.zeros((rows, 1))
    return parameters


def affine_forward(A, W, b):
    Z = np.dot(W, A) + b
    return Z, (A, W, b)


def affine_backward(dZ, cache):
    A, W, b = cache
    m = A.shape[1]
    dW = np.dot(dZ, A.T) / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    return np.dot(W.T, dZ), dW, db


def squared_cost(A, Y):
    cost = np.sum((A - Y) ** 2) / (2 * Y.shape[1])
    return cost


def update(parameters, grads, rate):
    for name in ("W1", "b1", "W2", "b2"):
        parameters[name] = parameters[name] - rate * grads["d" + name]
    return parameters


def model(X, Y, turns, rate=0.3):
    parameters = initialize(X.shape[0], 4, Y.shape[0])
    grads = {}
    for _ in range(turns):
        Z1, cache1 = affine_forward(X, parameters["W1"], parameters["b1"])
        A1 = np.tanh(Z1)
        A2, cache2 = affine_forward(A1, parameters["W2"], parameters["b2"])
        cost = squared_cost(A2, Y)
        dA1, grads["dW2"], grads["db2"] = affine_backward(A2 - Y, cache2)
        dZ1 = dA1 * (1 - A1**2)
        _, grads["dW1"], grads["db1"] = affine_backward(dZ1, cache1)
        parameters = update(parameters, grads, rate)
    return cost, parameters


def model_example(turns=2):
    draw = np.random.RandomState(20).randn
    return draw(3, 7), draw(2, 7), turns


# ------------------------------------------------------------------ an object that fits


class Regression:
    def __init__(self, n, h, k):
        draw = np.random.RandomState(21).randn
        self.W1, self.b1 = draw(n, h), np.zeros((1, h))
        self.W2, self.b2 = draw(h, k), np.zeros((1, k))

    def forward(self, X):
        self.a1 = np.tanh(X @ self.W1 + self.b1)
        self.p = self.a1 @ self.W2 + self.b2
        return self.p

    def loss(self, Y):
        return np.sum((self.p - Y) ** 2) / (2 * len(Y))

    def backward(self, X, Y):
        e = (self.p - Y) / len(Y)
        self.dW2, self.db2 = self.a1.T @ e, e.sum(axis=0, keepdims=True)
        e = (e @ self.W2.T) * (1 - self.a1**2)
        self.dW1, self.db1 = X.T @ e, e.sum(axis=0, keepdims=True)

    def step(self, rate):
        for name in ("W1", "b1", "W2", "b2"):
            setattr(self, name, getattr(self, name) - rate * getattr(self, "d" + name))

    def fit(self, X, Y, turns, rate=0.3):
        for _ in range(turns):
            self.forward(X)
            cost = self.loss(Y)
            self.backward(X, Y)
            self.step(rate)
        return cost


def fitted(net, X, Y, turns):
    return net.fit(X, Y, turns)


def fitted_example(turns=3):
    draw = np.random.RandomState(22).randn
    return Regression(3, 4, 2), draw(7, 3), draw(7, 2), turns


# ------------------------------------------------------------------ layers, and Adam


class Scale:
    def __init__(self, n):
        self.gamma, self.beta = np.ones(n), np.zeros(n)

    def forward(self, x):
        self.x = x
        return self.gamma * x + self.beta

    def backward(self, dout):
        self.dgamma = (dout * self.x).sum(axis=0)
        self.dbeta = dout.sum(axis=0)
        return dout * self.gamma


class Adam:
    def __init__(self, layers, rate=0.01):
        self.layers, self.rate, self.m, self.v, self.t = layers, rate, {}, {}, 0

    def step(self):
        self.t += 1
        for i, layer in enumerate(self.layers):
            for name in ("gamma", "beta"):
                key, g = (i, name), getattr(layer, "d" + name)
                self.m[key] = 0.9 * self.m.get(key, 0) + 0.1 * g
                self.v[key] = 0.999 * self.v.get(key, 0) + 0.001 * g**2
                m, v = self.m[key] / (1 - 0.9**self.t), self.v[key] / (1 - 0.999**self.t)
                setattr(layer, name, getattr(layer, name) - self.rate * m / (np.sqrt(v) + 1e-8))


def adam(layers, optimizer, x, y):
    for layer in layers:
        x = layer.forward(x)
    loss = np.mean((x - y) ** 2)
    d = 2 * (x - y) / x.size
    for layer in reversed(layers):
        d = layer.backward(d)
    optimizer.step()
    return loss


def adam_example():
    draw = np.random.RandomState(23).randn
    layers = [Scale(4), Scale(4)]
    return layers, Adam(layers), draw(6, 4), draw(6, 4)


def whole(turns):
    """All of it: the data, the layers and their training."""
    draw = np.random.default_rng(24)
    x, y = draw.normal(size=(6, 4)), draw.normal(size=(6, 4))
    layers = [Scale(4), Scale(4)]
    optimizer = Adam(layers)
    for _ in range(turns):
        loss = adam(layers, optimizer, x, y)
    return loss


def whole_example(turns=2):
    return (turns,)


# ------------------------------------------------------------------ one neuron, whose b is a number


def neuron_pass(w, b, X, Y):
    m = X.shape[1]
    A = 1 / (1 + np.exp(-(np.dot(w.T, X) + b)))
    cost = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    dw = np.dot(X, (A - Y).T) / m
    db = np.sum(A - Y) / m
    return {"dw": dw, "db": db}, cost


def optimize(w, b, X, Y, turns, rate=0.1):
    costs = []
    for _ in range(turns):
        grads, cost = neuron_pass(w, b, X, Y)
        dw, db = grads["dw"], grads["db"]
        w = w - rate * dw
        b = b - rate * db
        costs.append(cost)
    return w, b, costs


def neuron(X, Y, turns):
    w, b = np.zeros((X.shape[0], 1)), 0.0
    w, b, costs = optimize(w, b, X, Y, turns)
    return {"w": w, "b": b, "costs": costs}


def neuron_example(turns=2):
    draw = np.random.RandomState(25)
    return draw.randn(3, 8), (draw.rand(1, 8) > 0.5) * 1.0, turns


# ------------------------------------------------------------------ a pass that first arranges Y


def whole_backward(A2, Y, caches):
    Y = Y.reshape(A2.shape)
    dA2 = A2 - Y
    dA1, dW2, db2 = affine_backward(dA2, caches[1])
    _, dW1, db1 = affine_backward(dA1, caches[0])
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


def arranged(X, Y):
    """Returns no loss: it was only printed."""
    parameters = initialize(X.shape[0], 4, 1)
    A1, first = affine_forward(X, parameters["W1"], parameters["b1"])
    A2, second = affine_forward(A1, parameters["W2"], parameters["b2"])
    cost = squared_cost(A2, Y)
    print("cost", cost)
    grads = whole_backward(A2, Y, [first, second])
    return update(parameters, grads, 0.1)


def arranged_cost():
    X, Y = arranged_example()
    p = initialize(X.shape[0], 4, 1)
    A1, _ = affine_forward(X, p["W1"], p["b1"])
    return squared_cost(affine_forward(A1, p["W2"], p["b2"])[0], Y)


def arranged_example():
    draw = np.random.RandomState(26).randn
    return draw(3, 6), draw(1, 6)
