"""Two small circuits of the CS231n notes, in plain Python floats. It knows nothing of tracenet.

tracenet render examples/circuits.py --call 'product(-2.0, 5.0, -4.0)' --view circuit -o product.svg
tracenet render examples/circuits.py --call 'switch(3.0, -4.0, 2.0, -1.0)' --view circuit -o max.svg

A product gate switches its inputs, a sum gate hands its gradient to both, and a max gate to the
larger one alone. The third circuit, the sigmoid neuron, is circuit.py.
https://cs231n.github.io/optimization-2/
"""


def product(x, y, z):
    q = x + y
    f = q * z
    return f


def switch(x, y, z, w):
    f = 2.0 * (x * y + max(z, w))
    return f
