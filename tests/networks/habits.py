"""Small networks in the habits of public code, each of which a careless check calls wrong.

All of them are right, or are right up to what the comment beside them says.
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / np.sum(e)


# --- sums over time in a dictionary that is handed on; dy is the gradient before the softmax


def cell_forward(parameters, a_prev, x):
    a = np.tanh(parameters["Wax"] @ x + parameters["Waa"] @ a_prev + parameters["b"])
    return a, softmax(parameters["Wya"] @ a + parameters["by"])


def cell_backward(dy, gradients, parameters, x, a, a_prev):
    gradients["dWya"] += dy @ a.T
    gradients["dby"] += dy
    da = parameters["Wya"].T @ dy + gradients["da_next"]
    dz = (1 - a * a) * da
    gradients["db"] += dz
    gradients["dWax"] += dz @ x.T
    gradients["dWaa"] += dz @ a_prev.T
    gradients["da_next"] = parameters["Waa"].T @ dz
    return gradients


def names_forward(X, Y, a0, parameters):
    a, x, y_hat, loss = {-1: a0}, {}, {}, 0
    for t in range(len(X)):
        x[t] = np.zeros((parameters["Wax"].shape[1], 1))
        x[t][X[t]] = 1
        a[t], y_hat[t] = cell_forward(parameters, a[t - 1], x[t])
        loss -= np.log(y_hat[t][Y[t], 0])
    return loss, (y_hat, a, x)


def names_backward(X, Y, parameters, cache):
    y_hat, a, x = cache
    gradients = {f"d{name}": np.zeros_like(W) for name, W in parameters.items()}
    gradients["da_next"] = np.zeros_like(a[0])
    for t in reversed(range(len(X))):
        dy = np.copy(y_hat[t])
        dy[Y[t]] -= 1
        gradients = cell_backward(dy, gradients, parameters, x[t], a[t], a[t - 1])
    return gradients


def names(X, Y, a0, parameters):
    loss, cache = names_forward(X, Y, a0, parameters)
    return loss, names_backward(X, Y, parameters, cache)


def names_example():
    draw = np.random.RandomState(1).randn
    shapes = {"Wax": (4, 3), "Waa": (4, 4), "Wya": (3, 4), "b": (4, 1), "by": (3, 1)}
    return [0, 2, 1], [2, 1, 0], np.zeros((4, 1)), {n: draw(*s) for n, s in shapes.items()}


# --- one step is given dh, and works out its own part of the loss; model and grads are dict(...)


class Gru:
    """A gate and a candidate; the gradients of all steps are added up by train_step."""

    def __init__(self):
        draw = np.random.RandomState(2).randn
        self.model = dict(Wz=draw(6, 4), Wh=draw(6, 4), Wy=draw(4, 3), by=np.zeros((1, 3)))

    def forward(self, x, h_old):
        m = self.model
        X = np.column_stack((h_old, x))
        z = sigmoid(X @ m["Wz"])
        hh = np.tanh(X @ m["Wh"])
        h = (1 - z) * h_old + z * hh
        y = h @ m["Wy"] + m["by"]
        return y, h, (X, z, hh, h, h_old)

    def backward(self, y, target, dh_next, cache):
        X, z, hh, h, h_old = cache
        m = self.model
        dy = y - target
        dh = dy @ m["Wy"].T + dh_next
        dz = (hh - h_old) * dh * z * (1 - z)
        dhh = z * dh * (1 - hh**2)
        dX = dz @ m["Wz"].T + dhh @ m["Wh"].T
        grad = dict(Wz=X.T @ dz, Wh=X.T @ dhh, Wy=h.T @ dy, by=dy)
        return grad, dX[:, :4] + (1 - z) * dh

    def train_step(self, xs, targets):
        h, caches, ys, loss = np.zeros((1, 4)), [], [], 0.0
        for x, target in zip(xs, targets):
            y, h, cache = self.forward(x, h)
            loss += 0.5 * np.sum((y - target) ** 2)
            ys.append(y)
            caches.append(cache)
        grads = {k: np.zeros_like(v) for k, v in self.model.items()}
        dh = np.zeros((1, 4))
        for y, target, cache in reversed(list(zip(ys, targets, caches))):
            grad, dh = self.backward(y, target, dh, cache)
            for k in grads:
                grads[k] += grad[k]
        for k in grads:
            grads[k] = np.clip(grads[k], -50, 50)
        return grads, loss


def gru(net, xs, targets):
    return net.train_step(xs, targets)


def gru_example():
    draw = np.random.RandomState(3).randn
    return Gru(), [draw(1, 2) for _ in range(3)], [draw(1, 3) for _ in range(3)]


# --- no loss at all: the error is where it begins


class Network:
    """Both passes in one method; with the cross-entropy, delta is the gradient of the last z."""

    def __init__(self, sizes, cross_entropy=False):
        draw = np.random.RandomState(4).randn
        self.cross_entropy = cross_entropy
        self.biases = [draw(n, 1) for n in sizes[1:]]
        self.weights = [draw(n, m) for m, n in zip(sizes, sizes[1:])]

    def cost_derivative(self, output, y):
        return output - y

    def backprop(self, x, y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation, activations, zs = x, [x], []
        for b, w in zip(self.biases, self.weights):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = self.cost_derivative(activations[-1], y)
        if not self.cross_entropy:
            delta = delta * sigmoid_prime(zs[-1])
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for l in range(2, len(self.weights) + 1):
            delta = np.dot(self.weights[-l + 1].transpose(), delta) * sigmoid_prime(zs[-l])
            nabla_b[-l] = delta
            nabla_w[-l] = np.dot(delta, activations[-l - 1].transpose())
        return nabla_b, nabla_w

    def update_mini_batch(self, batch, eta):
        for x, y in batch:
            nabla_b, nabla_w = self.backprop(x, y)
        self.weights = [w - eta * nw for w, nw in zip(self.weights, nabla_w)]
        self.biases = [b - eta * nb for b, nb in zip(self.biases, nabla_b)]


def digits(net, x, y):
    return net.backprop(x, y)


def digits_example(cross_entropy=False):
    draw = np.random.RandomState(5).randn
    return Network([4, 3, 2], cross_entropy), draw(4, 1), draw(2, 1)


def entropy(net, x, y):
    return net.backprop(x, y)


def entropy_example():
    return digits_example(cross_entropy=True)


def divided(X, Y, W1, W2):
    A1 = sigmoid(X @ W1)
    A2 = sigmoid(A1 @ W2)
    dA2 = -(np.divide(Y, A2) - np.divide(1 - Y, 1 - A2))
    dZ2 = dA2 * A2 * (1 - A2)
    dW2 = A1.T @ dZ2
    dZ1 = (dZ2 @ W2.T) * A1 * (1 - A1)
    dW1 = X.T @ dZ1
    return dW1, dW2


def divided_example():
    draw = np.random.RandomState(6).randn
    return draw(5, 3), (draw(5, 1) > 0).astype(float), draw(3, 4), draw(4, 1)


# --- the cost's regularisation is left to the update; a gradient under the next layer's name


def plain_cost(AL, Y, parameters, lambd=0.1):
    squares = np.sum(parameters["W1"] ** 2) + np.sum(parameters["W2"] ** 2)
    return 0.5 * np.sum((AL - Y) ** 2) + lambd / 2 * squares


def plain_forward(X, parameters):
    A1 = np.tanh(parameters["W1"] @ X)
    A2 = np.tanh(parameters["W2"] @ A1)
    return A2, (X, A1, A2)


def plain_backward(AL, Y, cache, parameters):
    X, A1, A2 = cache
    grads = {}
    dZ2 = (AL - Y) * (1 - A2**2)
    grads["dW2"] = dZ2 @ A1.T
    grads["dA2"] = parameters["W2"].T @ dZ2  # the gradient of A1
    dZ1 = grads["dA2"] * (1 - A1**2)
    grads["dW1"] = dZ1 @ X.T
    return grads


def plain(X, Y, parameters):
    AL, cache = plain_forward(X, parameters)
    cost = plain_cost(AL, Y, parameters)
    return cost, plain_backward(AL, Y, cache, parameters)


def plain_example():
    draw = np.random.RandomState(7).randn
    return draw(3, 5), draw(2, 5), {"W1": draw(4, 3), "W2": draw(2, 4)}


# --- the derivative of a loss is of what was predicted; a small number keeps the log from zero


def mse(y_true, y_pred):
    return np.mean(np.power(y_true - y_pred, 2))


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / np.size(y_true)


def entropy_loss(p, y):
    return -np.sum(y * np.log(p + 1e-8))


def entropy_loss_backward(p, y):
    return -y / p


def losses(X, Y, W):
    y_pred = sigmoid(X @ W)
    error = mse(Y, y_pred)
    p = softmax(X[0] @ W)
    return error, mse_prime(Y, y_pred), entropy_loss(p, Y[0]), entropy_loss_backward(p, Y[0])


def losses_example():
    draw = np.random.RandomState(8).randn
    return draw(4, 3), np.eye(2)[[0, 1, 1, 0]], draw(3, 2)


# --- one list of parameters, one of gradients; relu in place, and its gradient too


def inplace(image, label, params):
    [w3, w4, b3, b4] = params
    z = w3.dot(image) + b3
    z[z <= 0] = 0
    probs = softmax(w4.dot(z) + b4)
    loss = -np.sum(label * np.log(probs))
    dout = probs - label
    dw4 = dout.dot(z.T)
    db4 = np.sum(dout, axis=1).reshape(b4.shape)
    dz = w4.T.dot(dout)
    dz[z <= 0] = 0
    dw3 = dz.dot(image.T)
    db3 = np.sum(dz, axis=1).reshape(b3.shape)
    grads = [dw3, dw4, db3, db4]
    return grads, loss


def inplace_example():
    draw = np.random.RandomState(9).randn
    return draw(5, 1), np.eye(3)[:, :1], [draw(4, 5), draw(3, 4), draw(4, 1), draw(3, 1)]


# --- the same array as query, key and value


class Attention:
    def forward(self, query, key, value):
        self.q, self.k, self.v = query, key, value
        e = np.exp(query @ key.T - np.max(query @ key.T, axis=-1, keepdims=True))
        self.attention = e / np.sum(e, axis=-1, keepdims=True)
        return self.attention @ value

    def backward(self, error):
        dv = self.attention.T @ error
        da = error @ self.v.T
        ds = self.attention * (da - np.sum(da * self.attention, axis=-1, keepdims=True))
        return ds @ self.k, ds.T @ self.q, dv


class Encoder:
    def __init__(self):
        self.attention = Attention()

    def forward(self, src):
        return src + self.attention.forward(src, src, src)

    def backward(self, error):
        dq, dk, dv = self.attention.backward(error)
        return dq + dk + dv + error


def encoder(layer, src, error):
    out = layer.forward(src)
    return out, layer.backward(error)


def encoder_example():
    draw = np.random.RandomState(10).randn
    return Encoder(), draw(3, 4), draw(3, 4)


# --- several iterations in one function: each with weights of its own


class Dense:
    def __init__(self, n, m, draw):
        self.weights, self.bias = draw(n, m), draw(1, m)

    def forward(self, input):
        self.input = input
        return input @ self.weights + self.bias

    def backward(self, output_gradient, rate):
        weights_gradient = self.input.T @ output_gradient
        input_gradient = output_gradient @ self.weights.T
        self.weights = self.weights - rate * weights_gradient
        self.bias = self.bias - rate * output_gradient
        return input_gradient


def training(layers, X, Y):
    for _ in range(2):
        error = 0
        for x, y in zip(X, Y):
            output = x
            for layer in layers:
                output = layer.forward(output)
            error += mse(y, output)
            grad = mse_prime(y, output)
            for layer in reversed(layers):
                grad = layer.backward(grad, 0.1)
        error /= len(X)
    return error


def training_example():
    draw = np.random.RandomState(11).randn
    return [Dense(2, 3, draw), Dense(3, 1, draw)], draw(3, 1, 2), draw(3, 1, 1)


# --- another name for the same backward


def norm_forward(x, gamma):
    mean = np.mean(x, axis=0)
    std = np.sqrt(np.mean((x - mean) ** 2, axis=0) + 1e-5)
    return gamma * (x - mean) / std, (x, mean, std, gamma)


def norm_backward_alt(dout, cache):
    x, mean, std, gamma = cache
    xhat = (x - mean) / std
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    dx = (dxhat - np.mean(dxhat, axis=0) - xhat * np.mean(dxhat * xhat, axis=0)) / std
    return dx, dgamma


def undo_norm(dout, cache):
    return norm_backward_alt(dout, cache)


def variant(x, gamma, dout):
    out, cache = norm_forward(x, gamma)
    return out, norm_backward_alt(dout, cache)


def variant_example():
    draw = np.random.RandomState(12).randn
    return draw(6, 3), draw(3), draw(6, 3)


# --- the derivative of the activation written over the gradient, which keeps its name


def masked(X, T, P):
    h1 = np.maximum(0, X @ P["W1"] + P["b1"])
    h2 = np.tanh(h1 @ P["W2"] + P["b2"])
    h3 = np.maximum(0, h2 @ P["W3"] + P["b3"])
    s = h3 @ P["W4"]
    loss = 0.5 * np.sum((s - T) ** 2) / len(X)
    ds = (s - T) / len(X)
    dW4 = h3.T @ ds
    dh3 = ds @ P["W4"].T
    dh3[h3 <= 0] = 0
    dW3, db3 = h2.T @ dh3, dh3.sum(axis=0)
    dh2 = dh3 @ P["W3"].T
    dh2 *= 1 - h2**2
    dW2, db2 = h1.T @ dh2, dh2.sum(axis=0)
    dh1 = dh2 @ P["W2"].T
    dh1 = dh1 * (h1 > 0)
    dW1, db1 = X.T @ dh1, dh1.sum(axis=0)
    return loss, {
        "W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3, "W4": dW4,
    }  # fmt: skip


def masked_example():
    draw = np.random.RandomState(13).randn
    P = {f"W{l}": draw(*shape) for l, shape in ((1, (3, 4)), (2, (4, 5)), (3, (5, 4)), (4, (4, 2)))}
    return draw(6, 3), draw(6, 2), {**P, "b1": draw(4), "b2": draw(5), "b3": draw(4)}


# --- `d` for the gradient; the input handed on beside the output


def affine_forward(x, W, b):
    return x @ W + b, (x, W)


def affine_backward(d, cache):
    x, W = cache
    return d @ W.T, x.T @ d, d.sum(axis=0)


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(d, x):
    return d * (x > 0)


def chained(X, T, p):
    a, cache1 = affine_forward(X, p["W1"], p["b1"])
    h, cache2 = relu_forward(a)
    s, cache3 = affine_forward(h, p["W2"], p["b2"])
    loss = 0.5 * np.sum((s - T) ** 2)
    grads = {}
    d, grads["W2"], grads["b2"] = affine_backward(s - T, cache3)
    d = relu_backward(d, cache2)
    _, grads["W1"], grads["b1"] = affine_backward(d, cache1)
    return loss, grads


def chained_example():
    draw = np.random.RandomState(14).randn
    p = {"W1": draw(4, 5), "b1": draw(5), "W2": draw(5, 3), "b2": draw(3)}
    return draw(6, 4), draw(6, 3), p


# --- what an optimizer does, among the statements: clipping by the norm, a moving average


def clipped(X, T, p, v):
    o = X @ p["W1"] + p["b1"]
    loss = 0.5 * np.sum((o - T) ** 2)
    do = o - T
    dW1, db1 = X.T @ do, do.sum(axis=0)
    v["dW1"] = 0.9 * v["dW1"] + 0.1 * dW1
    norm = np.sqrt((dW1**2).sum() + (db1**2).sum())
    if norm > 1:
        dW1 = dW1 / norm
        db1 *= 1 / norm
    p["W1"] = p["W1"] - 0.1 * v["dW1"]
    p["b1"] = p["b1"] - 0.1 * db1
    return loss, dW1, db1


def clipped_example():
    draw = np.random.RandomState(15).randn
    return draw(6, 4), draw(6, 3), {"W1": draw(4, 3), "b1": draw(3)}, {"dW1": np.zeros((4, 3))}


# --- from the error on, and upwards: no loss, and no minus


def ascent(X, y, W0, W1):
    l1 = sigmoid(X @ W0)
    l2 = sigmoid(l1 @ W1)
    l2_error = y - l2
    l2_delta = l2_error * l2 * (1 - l2)
    l1_error = l2_delta @ W1.T
    l1_delta = l1_error * l1 * (1 - l1)
    W1 += l1.T @ l2_delta
    W0 += X.T @ l1_delta
    return l2


def ascent_example():
    draw = np.random.RandomState(16).randn
    return draw(5, 3), (draw(5, 1) > 0) * 1.0, draw(3, 4), draw(4, 1)


# --- a backward that is named after its caller; the cache is that of another function


def caller_layer(x, W):
    return np.tanh(x @ W), (x, W)


def caller_backward(dout, cache):
    x, W = cache
    o = np.tanh(x @ W)
    dz = dout * (1 - o**2)
    return dz @ W.T, x.T @ dz


def caller(X, T, W):
    out, cache = caller_layer(X, W)
    loss = 0.5 * np.sum((out - T) ** 2)
    return loss, caller_backward(out - T, cache)


def caller_example():
    draw = np.random.RandomState(17).randn
    return draw(5, 3), draw(5, 2), draw(3, 2)


# --- gradients without names of their own: returned, under the parameters' keys, only as steps


def returned(X, T, p):
    h = np.tanh(X @ p["W1"] + p["b1"])
    loss = 0.5 * np.sum((h - T) ** 2)
    e = (h - T) * (1 - h**2)
    return loss, X.T @ e, e.sum(axis=0)


def keyed(X, T, p):
    loss = 0.0
    sums = {name: np.zeros_like(x) for name, x in p.items()}
    for x, t in zip(X, T):
        h = np.tanh(x @ p["W1"] + p["b1"])
        loss += 0.5 * np.sum((h - t) ** 2)
        e = (h - t) * (1 - h**2)
        sums["W1"] += np.outer(x, e)
        sums["b1"] += e
    return loss, sums


def taken(X, T, p):
    h = np.tanh(X @ p["W1"] + p["b1"])
    loss = 0.5 * np.sum((h - T) ** 2)
    e = (h - T) * (1 - h**2)
    p["W1"] -= 0.1 * (X.T @ e)
    p["b1"] -= 0.1 * e.sum(axis=0)
    return loss


def leibniz(X, T, p):
    W, b = p["W1"], p["b1"]
    net = X @ W + b
    out = np.tanh(net)
    E = 0.5 * np.sum((T - out) ** 2)
    dE_dout = out - T
    dout_dnet = 1 - out**2
    dE_dW = X.T @ (dE_dout * dout_dnet)
    dE_db = (dE_dout * dout_dnet).sum(axis=0)
    return E, dE_dW, dE_db


def unjudged(X, T, p):
    h = np.tanh(X @ p["W1"])
    s = h @ p["W2"]
    loss = 0.5 * np.sum((s - T) ** 2)
    ds = s - T
    return loss, h.T @ ds


def returned_example():
    draw = np.random.RandomState(18).randn
    return draw(6, 4), draw(6, 3), {"W1": draw(4, 3), "b1": draw(3)}


keyed_example = taken_example = leibniz_example = returned_example


def unjudged_example():
    draw = np.random.RandomState(19).randn
    return draw(6, 4), draw(6, 3), {"W1": draw(4, 5), "W2": draw(5, 3)}
