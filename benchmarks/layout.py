"""What tracenet's own placement takes to make an SVG of two rows and of operations, and what `dot`
takes to place the same picture, in one run; then, what a long run takes from its tape to a file.

python benchmarks/layout.py [blocks …]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tracenet import tracer
from tracenet.diagram import Diagram, Edge, Node, Run, Shown
from tracenet.render import dot, encode
from tracenet.trace import Trace

BLOCKS = (10, 100, 1_000, 5_000, 20_000)
OPS = (1_000, 4_000, 16_000)
STEPS = (200, 800)
RNN = Path(__file__).parents[1] / "examples" / "rnn.py"
TIMEOUT = 20
"""Seconds that dot may take."""


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or BLOCKS
    encode(chain(2), "svg")  # fonts are read once
    for count in counts:
        report(f"{count} blocks", chain(count))
    for count in (10, 100):
        report(f"one weight {count} times", shared(count))
    for count in OPS:
        report(f"{count} operations", operations(count))
    for count in STEPS:
        report_run(f"{count} time steps", unrolled(count))


def report(name: str, diagram: Diagram) -> None:
    start, busy = time.perf_counter(), time.process_time()
    size = len(encode(diagram, "svg"))
    own, busy = time.perf_counter() - start, time.process_time() - busy
    print(
        f"{name:22} {len(diagram.nodes):6} boxes {len(diagram.edges):6} arrows"
        f"  own {own:7.3f} s, {busy:.3f} of the processor ({size / 1e6:.1f} MB)  dot {by_dot(diagram)}",
        flush=True,
    )


def report_run(name: str, trace: Trace) -> None:
    """The time from the tape to the records and a diagram, and from that to each format."""
    start = time.process_time()
    diagram = trace.diagram(fold=False)
    took = [f"records and diagram {time.process_time() - start:.2f} s"]
    for format in ("json", "svg"):
        start = time.process_time()
        encode(diagram, format)
        took.append(f"{format} {time.process_time() - start:.2f} s")
    print(
        f"{name:22} {len(diagram.nodes):6} boxes {len(diagram.edges):6} arrows ", *took, flush=True
    )


def unrolled(count: int) -> Trace:
    """The recurrent network of the examples over so many steps, its backward pass by hand."""
    net = tracer.load(RNN)
    times = count // len(net.inputs)
    return tracer.trace(net.loss, net.inputs * times, net.targets * times, net.h0, net.parameters)


def by_dot(diagram: Diagram) -> str:
    """The time of plain `dot`, which places and writes SVG."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            ["dot", "-Tsvg"], input=dot.encode(diagram), capture_output=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return f"more than {TIMEOUT} s"
    except FileNotFoundError:
        return "not installed"
    took = f"{time.perf_counter() - start:.3f} s"
    return took if not done.returncode else f"gave up after {took}"


def chain(count: int) -> Diagram:
    """Equal layers with all that a block can have: parameters, cache, both passes, gradients."""
    nodes, edges = [], []
    for n in range(1, count + 1):
        nodes += layer(n)
        pairs = [(f"p{n}", f"f{n}", "data"), (f"f{n}", f"c{n}", "cache")]
        pairs += [(f"c{n}", f"b{n}", "cache"), (f"b{n}", f"g{n}", "gradient")]
        edges += [Edge(f"e{n}_{i}", *pair) for i, pair in enumerate(pairs)]
        if n > 1:
            edges.append(Edge(f"a{n}", f"f{n - 1}", f"f{n}", "data", (array("a", n - 1),)))
            edges.append(Edge(f"d{n}", f"b{n}", f"b{n - 1}", "gradient", (array("da", n - 1),)))
        if n > 2 and n % 2:
            edges.append(Edge(f"s{n}", f"f{n - 2}", f"f{n}", "data", (array("a", n - 2),)))
    return Diagram(f"{count} blocks", "blocks", tuple(nodes), tuple(edges))


def layer(n: int) -> list[Node]:
    name = (Run(f"layer {n}", "b"),)
    formula = (Run("a", "i"), Run(f"[{n}]", "sup"), Run(" = σ("), Run("W", "i"), Run(")"))
    return [
        Node(f"p{n}", "parameter", 0, n, f"W{n}", shown=(array("W", n),)),
        Node(f"f{n}", "forward", 1, n, f"layer {n}", name, (formula,)),
        Node(f"c{n}", "cache", 2, n, "cache", (Run("cache"),), shown=(array("a", n),)),
        Node(f"b{n}", "backward", 3, n, f"layer {n} backward", name, (formula,)),
        Node(f"g{n}", "gradient", 4, n, f"dW{n}", shown=(array("dW", n),)),
    ]


def array(letter: str, n: int) -> Shown:
    name = (Run(letter, "i"), Run(f"[{n}]", "sup"))
    return Shown(name, f"{letter}{n}", (30, 40), "float64", summary=("30 × 40 float64",))


def shared(count: int) -> Diagram:
    """A trace in which one weight is used again and again."""

    def layer(x, W):
        return np.tanh(W @ x)

    def loss(x, W):
        for _ in range(count):
            x = layer(x, W)
        return np.sum(x**2)

    weight = np.full((3, 3), 0.1)
    return (
        tracer.trace(loss, np.ones((3, 1)), weight).backward().diagram(values="shapes", fold=False)
    )


def operations(count: int) -> Diagram:
    """The op-level view of a recurrent network whose backward pass is replayed, in about so many
    boxes: operations, their mirrors, weights and gradients."""

    def step(x, h, W, U, b):
        return np.tanh(W @ x + U @ h + b)

    def loss(xs, h, W, U, b):
        for x in xs:
            h = step(x, h, W, U, b)
        return np.sum(h**2)

    rng = np.random.RandomState(0)
    weights = rng.randn(4, 3), 0.5 * rng.randn(4, 4), np.zeros((4, 1))
    data = [rng.randn(3, 1) for _ in range(count // 16)]
    return tracer.trace(loss, data, np.zeros((4, 1)), *weights).backward().diagram("ops")


if __name__ == "__main__":
    main()
