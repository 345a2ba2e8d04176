"""CS231n's sigmoid neuron, in plain Python floats: f = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2))).

    tracenet render examples/circuit.py --view circuit -o circuit.svg

https://cs231n.github.io/optimization-2/
"""

import math
from pathlib import Path

from tracenet import tracer


def neuron(w0, x0, w1, x1, w2):
    dot = w0 * x0 + w1 * x1 + w2
    f = 1.0 / (1.0 + math.exp(-dot))
    return f


trace = tracer.trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0)
trace.backward()

if __name__ == "__main__":
    print(f"f = {trace.result:.2f}")
    for name in ("w0", "x0", "w1", "x1", "w2"):
        print(f"d{name} = {trace.gradient(name):.2f}")
    print(trace.render(Path("circuit.svg"), view="circuit", digits=2))
