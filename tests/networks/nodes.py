"""Linked nodes, a small autograd over arrays: each node keeps the closure of its own backward."""

import numpy as np


def fitted(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return grad


class Node:
    def __init__(self, data, children=(), op=""):
        self.data = np.array(data, dtype=float)
        self.grad = np.zeros_like(self.data)
        self._backward = lambda: None
        self._prev = set(children)
        self._op = op

    def __add__(self, other):
        out = Node(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += fitted(out.grad, self.data.shape)
            other.grad += fitted(out.grad, other.data.shape)

        out._backward = _backward
        return out

    def __mul__(self, other):
        out = Node(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += fitted(other.data * out.grad, self.data.shape)
            other.grad += fitted(self.data * out.grad, other.data.shape)

        out._backward = _backward
        return out

    def __matmul__(self, other):
        out = Node(self.data @ other.data, (self, other), "@")

        def _backward():
            self.grad += out.grad @ other.data.T
            other.grad += self.data.T @ out.grad

        out._backward = _backward
        return out

    def relu(self):
        out = Node(np.where(self.data < 0, 0, self.data), (self,), "ReLU")

        def _backward():
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def mean(self):
        out = Node(self.data.mean(), (self,), "mean")

        def _backward():
            self.grad += np.ones_like(self.data) * out.grad / self.data.size

        out._backward = _backward
        return out

    def backward(self):
        order, visited = [], set()

        def build(node):
            if node not in visited:
                visited.add(node)
                for child in sorted(node._prev, key=lambda n: (n._op, n.data.shape)):
                    build(child)
                order.append(node)

        build(self)
        self.grad = np.ones_like(self.data)
        for node in reversed(order):
            node._backward()


def node_net(x, y, parameters):
    p = {name: Node(array) for name, array in parameters.items()}
    h = (Node(x) @ p["W1"] + p["b1"]).relu()
    out = h @ p["W2"] + p["b2"]
    error = out + Node(-y)
    loss = (error * error).mean()
    loss.backward()
    return loss.data, {name: node.grad for name, node in p.items()}


def node_net_example(seed=0):
    r = np.random.RandomState(seed)
    parameters = {
        "W1": r.randn(3, 4), "b1": r.randn(1, 4), "W2": r.randn(4, 2), "b2": r.randn(2),
    }  # fmt: skip
    return r.randn(5, 3), r.randn(5, 2), parameters
