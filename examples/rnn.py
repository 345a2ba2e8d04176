"""A character-level recurrent network, 20 steps, backpropagated through time by hand.

tracenet render examples/rnn.py --call 'loss(inputs, targets, h0, parameters)' -o rnn.svg
tracenet render examples/rnn.py --call 'loss(inputs, targets, h0, parameters)' --unfold -o rnn_unrolled.svg

It learns to write "to be or not to be…": at each step it reads a character and guesses the next.
It knows nothing of tracenet.
"""

import numpy as np

TEXT = "to be or not to be, that"[:21]
CHARACTERS = sorted(set(TEXT))
HIDDEN = 6


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    h = np.tanh(Wx @ x + Wh @ h_prev + b)
    cache = (x, h_prev, h, Wx, Wh)
    return h, cache


def rnn_step_backward(dh, dh_next, cache, grads):
    """The hidden state is read twice: by the guess, and by the next step."""
    x, h_prev, h, Wx, Wh = cache
    dz = (dh + dh_next) * (1 - h**2)
    grads["Wx"] += dz @ x.T
    grads["Wh"] += dz @ h_prev.T
    grads["b"] += dz
    dh_prev = Wh.T @ dz
    return dh_prev


def guess_forward(h, target, Wy, by):
    """The cross-entropy of the guessed next character."""
    scores = Wy @ h + by
    e = np.exp(scores - np.max(scores))
    p = e / np.sum(e)
    loss = -np.sum(target * np.log(p))
    cache = (h, target, p, Wy)
    return loss, cache


def guess_backward(cache, grads):
    h, target, p, Wy = cache
    dscores = p - target
    grads["Wy"] += dscores @ h.T
    grads["by"] += dscores
    dh = Wy.T @ dscores
    return dh


def loss(inputs, targets, h0, parameters):
    """The loss over all steps, and its gradients: those of shared weights add up."""
    Wx, Wh, b, Wy, by = (parameters[k] for k in ("Wx", "Wh", "b", "Wy", "by"))
    h, loss, caches = h0, 0.0, []
    for x, target in zip(inputs, targets):
        h, step_cache = rnn_step_forward(x, h, Wx, Wh, b)
        step_loss, guess_cache = guess_forward(h, target, Wy, by)
        loss = loss + step_loss
        caches.append((step_cache, guess_cache))

    grads = {name: np.zeros_like(parameters[name]) for name in parameters}
    dh_next = np.zeros_like(h0)
    for step_cache, guess_cache in reversed(caches):
        dh = guess_backward(guess_cache, grads)
        dh_next = rnn_step_backward(dh, dh_next, step_cache, grads)
    return loss, grads


def one_hot(character):
    return np.array([[float(character == c)] for c in CHARACTERS])


rng = np.random.RandomState(0)
V = len(CHARACTERS)
inputs = [one_hot(c) for c in TEXT[:-1]]
targets = [one_hot(c) for c in TEXT[1:]]
h0 = np.zeros((HIDDEN, 1))
parameters = {
    "Wx": rng.randn(HIDDEN, V) * 0.5, "Wh": rng.randn(HIDDEN, HIDDEN) * 0.5, "b": np.zeros((HIDDEN, 1)),
    "Wy": rng.randn(V, HIDDEN) * 0.5, "by": np.zeros((V, 1)),
}  # fmt: skip

if __name__ == "__main__":
    for turn in range(201):
        value, grads = loss(inputs, targets, h0, parameters)
        for name in parameters:
            parameters[name] -= 0.05 * np.clip(grads[name], -1, 1)
        if turn % 50 == 0:
            print(f"loss after {turn} steps: {value:.4f}")
