"""Pictures of networks over time and of deep ones: unrolled, folded, opened, in focus, every view."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.networks import recurrent, residual, sequence, stepping
from tracenet import tracer
from tracenet.trace import Trace

STEPS = 20


def over_time(gates: int = 1, steps: int = STEPS) -> tuple[np.ndarray, ...]:
    """Data, first state, weights and target of a network over time."""
    rng = np.random.RandomState(0)
    shapes = (2, steps, 3), (2, 4), (3, 4 * gates), (4, 4 * gates), (4 * gates,), (2, steps, 4)
    return tuple(0.5 * rng.randn(*shape) for shape in shapes)


@cache
def rnn(steps: int = STEPS) -> Trace:
    """Its backward pass is replayed."""
    return tracer.trace(recurrent.loss, *over_time(steps=steps)).backward()


@cache
def rnn_by_hand(steps: int = STEPS) -> Trace:
    """Its backward pass is in the code."""
    return tracer.trace(sequence.rnn_net, *over_time(steps=steps))


@cache
def lstm(steps: int = STEPS) -> Trace:
    return tracer.trace(sequence.lstm_net, *over_time(4, steps))


@cache
def flat(steps: int = STEPS) -> Trace:
    """Its loop is of statements."""
    rng = np.random.RandomState(0)
    shapes = (steps, 2, 3), (steps, 2, 2), (2, 4), (3, 4), (4, 4), (4,), (4, 2)
    given = (0.5 * rng.randn(*shape) for shape in shapes)
    return tracer.trace(recurrent.loss_by_statements, *given).backward()


@cache
def deep() -> Trace:
    """Fifty layers in 24 residual blocks, between a first and a last layer."""
    return tracer.trace(residual.network, *residual.example())


@cache
def deep_by_statements() -> Trace:
    given = residual.example_by_statements()
    return tracer.trace(residual.network_by_statements, *given).backward()


@cache
def step() -> Trace:
    return tracer.trace(stepping.train, *stepping.train_example())


def _of(trace, *given, **options):
    return lambda: trace(*given).diagram(**options)


CHOSEN = {
    "rnn unrolled": _of(rnn, 6, fold=False),
    "rnn by hand unrolled": _of(rnn_by_hand, 6, fold=False),
    "lstm unrolled": _of(lstm, 4, fold=False),
    "rnn to ends": _of(rnn, fold=True),
    "rnn to one": _of(rnn, fold="one"),
    "rnn by hand to one": _of(rnn_by_hand, fold="one"),
    "lstm to one": _of(lstm, fold="one"),
    "lstm to ends": _of(lstm),
    "lstm in shapes": _of(lstm, fold="one", values="shapes"),
    "lstm network": _of(lstm, view="network", fold="one"),
    "lstm cache": _of(lstm, view="cache", fold="one"),
    "flat to one": _of(flat, fold="one"),
    "flat to ends": _of(flat),
    "deep": _of(deep),
    "deep to one": _of(deep, fold="one"),
    "deep network": _of(deep, view="network", fold="one"),
    "deep cache": _of(deep, view="cache"),
    "statements": _of(deep_by_statements),
    "statements to one": _of(deep_by_statements, fold="one"),
    "in focus": _of(deep, fold=False, focus="residual 3"),
    "opened": _of(deep, fold=False, focus="residual 2", open="residual 3"),
    "network": _of(step, view="network"),
    "cache": _of(step, view="cache"),
}
"""Functions that make a picture, by its name."""
