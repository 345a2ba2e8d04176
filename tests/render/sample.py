"""Diagrams made by hand, of every kind that the writers must draw."""

from __future__ import annotations

import numpy as np

from tracenet.diagram import Diagram, Edge, Frame, Node, Run, Shown, Text
from tracenet.figures import shown

X, Y = [[0.05], [0.1]], [[0.01], [0.99]]
W = {1: [[0.15, 0.2], [0.25, 0.3]], 2: [[0.4, 0.45], [0.5, 0.55]]}
B = {1: [[0.35], [0.35]], 2: [[0.6], [0.6]]}
A = {
    0: X,
    1: [[0.5932699921071872], [0.596884378259767]],
    2: [[0.7513650695523157], [0.7729284653214625]],
}
LOSS = 0.2983711087600027
DA = {
    1: [[0.03635030639314466], [0.0413703226487447]],
    2: [[0.7413650695523157], [-0.2170715346785375]],
}
DW = {
    1: [
        [0.0004385677344743465, 0.000877135468948693],
        [0.0004977127352608599, 0.0009954254705217198],
    ],
    2: [[0.08216704056423077, 0.08266762784753325], [-0.02260254047747507, -0.022740242215978222]],
}
DB = {
    1: [[0.00877135468948693], [0.009954254705217196]],
    2: [[0.13849856162855695], [-0.038098236516556236]],
}


def symbol(letter: str, number: int) -> Text:
    return (Run(letter, "i"), Run(f"[{number}]", "sup"))


def gradient(letter: str, number: int) -> Text:
    return (Run("d"), *symbol(letter, number))


def array(letter: str, number: int, data: object) -> Shown:
    return shown(symbol(letter, number), f"{letter}{number}", np.array(data))


def d_array(letter: str, number: int, data: object) -> Shown:
    return shown(gradient(letter, number), f"d{letter}{number}", np.array(data))


def bold(text: str) -> Text:
    return (Run(text, "b"),)


def layer_lines(n: int) -> tuple[Text, ...]:
    z, w, a, b = symbol("z", n), symbol("W", n), symbol("a", n - 1), symbol("b", n)
    first = (*z, Run(" = "), *w, Run(" "), *a, Run(" + "), *b)
    return first, (*symbol("a", n), Run(" = σ("), *z, Run(")"))


def backward_lines(n: int) -> tuple[Text, ...]:
    dz, da, z = gradient("z", n), gradient("a", n), symbol("z", n)
    first = (*dz, Run(" = "), *da, Run(" ⊙ σ′("), *z, Run(")"))
    transposed = (*symbol("a", n - 1), Run("T", "sup"))
    return first, (*gradient("W", n), Run(" = "), *dz, Run(" "), *transposed)


def mazur(backward: bool = True) -> Diagram:
    """Matt Mazur's network, 2-2-2 with sigmoids, as in the flagship picture."""
    nodes = [Node("n0", "input", 1, 0, "x", shown=(array("a", 0, X),))]
    edges = []
    if backward:
        struck = Shown(name=gradient("a", 0), key="da0", state="not computed")
        nodes.append(Node("n1", "gradient", 3, 0, "da0", shown=(struck,)))
    for n in (1, 2):
        nodes += _layer(n, backward)
        edges += _layer_edges(n, backward)
    nodes += _loss(backward)
    edges += _loss_edges(backward)
    return Diagram("Matt Mazur's network", "blocks", tuple(nodes), tuple(edges))


def _layer(n: int, backward: bool) -> list[Node]:
    name = f"layer {n}"
    parameters = (array("W", n, W[n]), array("b", n, B[n]))
    found = [
        Node(f"p{n}", "parameter", 0, n, f"W{n}, b{n}", shown=parameters),
        Node(f"f{n}", "forward", 1, n, name, bold(name), layer_lines(n), block=f"forward/{name}"),
    ]
    if not backward:
        return found
    kept = (array("a", n - 1, A[n - 1]), array("W", n, W[n]), array("a", n, A[n]))
    gradients = (d_array("W", n, DW[n]), d_array("b", n, DB[n]))
    title = f"{name} backward"
    return [
        *found,
        Node(f"c{n}", "cache", 2, n, f"cache of {name}", (Run("cache"),), shown=kept, of=f"f{n}"),
        Node(f"b{n}", "backward", 3, n, title, bold(title), backward_lines(n), of=f"f{n}"),
        Node(f"g{n}", "gradient", 4, n, f"dW{n}, db{n}", shown=gradients, of=f"f{n}"),
    ]


def _layer_edges(n: int, backward: bool) -> list[Edge]:
    before = "n0" if n == 1 else f"f{n - 1}"
    carried = () if n == 1 else (array("a", n - 1, A[n - 1]),)
    found = [
        Edge(f"ep{n}", f"p{n}", f"f{n}", "data"),
        Edge(f"ea{n}", before, f"f{n}", "data", carried),
    ]
    if not backward:
        return found
    flowing = () if n == 1 else (d_array("a", n - 1, DA[n - 1]),)
    return [
        *found,
        Edge(f"ec{n}", f"f{n}", f"c{n}", "cache"),
        Edge(f"er{n}", f"c{n}", f"b{n}", "cache"),
        Edge(f"eg{n}", f"b{n}", f"g{n}", "gradient"),
        Edge(f"ed{n}", f"b{n}", "n1" if n == 1 else f"b{n - 1}", "gradient", flowing),
    ]


def _loss(backward: bool) -> list[Node]:
    squares = (Run("½ Σ ("), *symbol("a", 2), Run(" − "), Run("y", "i"), Run(")²"))
    value = shown((Run("L", "i"),), "L", LOSS, digits=9)
    target = shown((Run("y", "i"),), "y", np.array(Y))
    found = [
        Node("ny", "input", 0, 3, "y", shown=(target,)),
        Node("nl", "loss", 1, 3, "loss", bold("loss"), (squares,), (value,)),
    ]
    if backward:
        one = ((Run("∂L/∂L = 1"),),)
        found.append(Node("nb", "backward", 3, 3, "loss backward", bold("loss backward"), one))
    return found


def _loss_edges(backward: bool) -> list[Edge]:
    found = [
        Edge("ey", "ny", "nl", "data"),
        Edge("el", "f2", "nl", "data", (array("a", 2, A[2]),)),
    ]
    if backward:
        found.append(Edge("elb", "nl", "nb", "cache"))
        found.append(Edge("edl", "nb", "b2", "gradient", (d_array("a", 2, DA[2]),)))
    return found


def skip() -> Diagram:
    """Five layers; the first one's result also jumps two, and so does its gradient back."""
    a = np.random.default_rng(1).normal(size=(4, 150))
    nodes, edges = [Node("n0", "input", 1, 0, "x", shown=(shown(symbol("x", 0), "x", a),))], []
    for n in range(1, 6):
        nodes += [
            Node(f"p{n}", "parameter", 0, n, f"W{n}", shown=(array("W", n, a[:3, :n]),)),
            Node(f"f{n}", "forward", 1, n, f"layer {n}", bold(f"layer {n}"), layer_lines(n)[: 1 + n % 2]),
            Node(f"c{n}", "cache", 2, n, "cache", (Run("cache"),), shown=(array("a", n, a[:, :n]),)),
            Node(f"b{n}", "backward", 3, n, f"layer {n} backward", bold(f"layer {n} backward"), backward_lines(n)),
            Node(f"g{n}", "gradient", 4, n, f"dW{n}", shown=(d_array("W", n, a[:3, :n] / 1e4),)),
            Node(f"u{n}", "update", 5, n, f"update of W{n}", bold("update"), shown=(array("W", n, a[:3, :n]),)),
        ]  # fmt: skip
        edges += [
            Edge(f"e{n}a", f"p{n}", f"f{n}", "data"),
            Edge(f"e{n}b", f"f{n}", f"c{n}", "cache"),
            Edge(f"e{n}c", f"c{n}", f"b{n}", "cache"),
            Edge(f"e{n}d", f"b{n}", f"g{n}", "gradient"),
            Edge(f"e{n}e", f"g{n}", f"u{n}", "gradient"),
            Edge(f"e{n}f", f"f{n - 1}" if n > 1 else "n0", f"f{n}", "data", (array("a", n, a),)),
        ]
        if n > 1:
            edges.append(Edge(f"e{n}g", f"b{n}", f"b{n - 1}", "gradient", (d_array("a", n, a),)))
    edges.append(Edge("skip", "f1", "f4", "data", (array("a", 1, a),)))
    edges.append(Edge("back", "b4", "b1", "gradient", (d_array("a", 1, a),)))
    return Diagram("skip connection", "blocks", tuple(nodes), tuple(edges))


def one() -> Diagram:
    """A single box."""
    return Diagram("one", "blocks", (Node("n0", "forward", 1, 1, "f", bold("f")),), ())


HOSTILE = (
    "<lambda>", "a|b", "{x}", "&amp;", 'say "hi"', "it's", "back\\slash \\N \\G", "two\nlines\ttab",
    "\x00\x07\x1b control", "-->", "]]>", "日本語", "עברית", "हिन्दी", "naïve σ", "😀", "\ud800", "",
    " ", "</TD></TR></TABLE>", "%s {0}", "x" * 5000, "\u202eabc", "subgraph",
)  # fmt: skip


def hostile() -> Diagram:
    """Names of the kinds that end strings, markup and escapes."""
    nodes = [
        Node(f"n{i}", "forward", 1, i, name, (Run(name, "b i"),), ((Run(name, "sup"),),),
             (shown((Run(name),), name, np.eye(2)),), remark=name)
        for i, name in enumerate(HOSTILE)
    ]  # fmt: skip
    edges = [
        Edge(f"e{i}", f"n{i}", f"n{i + 1}", "data", (shown((Run(name, "sub"),), name, i),))
        for i, name in enumerate(HOSTILE[:-1])
    ]
    frames = tuple(Frame(f"f{i}", name, (f"n{i}",)) for i, name in enumerate(HOSTILE))
    return Diagram("<&\"'\\\n\x00>", "ops", tuple(nodes), tuple(edges), frames)


def figures() -> Diagram:
    """Every way in which arrays are shown."""
    noisy = np.random.default_rng(0).normal(size=(30, 40))
    noisy[3, 5] = np.nan
    data = {
        "nan": np.array([[1.0, np.nan], [np.inf, -2.5]]),
        "large": np.random.default_rng(2).normal(size=(64, 100)),
        "broken": noisy,
        "column": np.array([[1.0], [-0.25], [1e-7], [3e9]]),
        "row": np.arange(8),
        "mask": np.array([[True, False]]),
        "images": np.ones((8, 28, 28, 3)),
        "empty": np.zeros((0, 3)),
        "complex": np.array([1 + 2j, -1j]),
    }
    nodes = [
        Node(f"n{i}", "value", 1, i, name, shown=(shown((Run(name),), name, array),))
        for i, (name, array) in enumerate(data.items())
    ]
    numbers = tuple(
        shown((Run("w", "i"), Run(str(i), "sub")), f"w{i}", 0.15 + i / 20) for i in range(6)
    )
    nodes.append(Node("n9", "parameter", 0, 1, "weights", shown=numbers))
    nodes.append(Node("n10", "update", 0, 2, "one", shown=(shown(symbol("b", 1), "b", -0.5),)))
    state = shown((Run("mask"),), "m", np.eye(3), state="random")
    nodes.append(Node("n11", "cache", 0, 3, "random", bold("cache"), shown=(state,), remark="kept"))
    mixed = ("column", "mask", "large", "row", "nan")
    uneven = tuple(shown((Run(name, "i"),), name, data[name]) for name in mixed)
    nodes.append(Node("n12", "cache", 2, 5, "mixed", bold("cache"), shown=(*uneven, *numbers[:5])))
    edges = tuple(Edge(f"e{i}", f"n{i}", f"n{i + 1}", "data") for i in range(8))
    return Diagram("figures", "blocks", tuple(nodes), edges)


def operations() -> Diagram:
    """The op-level view: two parameters above one op, mirrors below, frames around blocks."""
    names = ["@", "+", "σ", "@", "+", "−", "^", "Σ"]
    nodes, edges = [], []
    for n, name in enumerate(names, 1):
        value = array("t", n, DA[1])
        nodes.append(Node(f"f{n}", "forward", 1, n, name, bold(name), shown=(value,)))
        nodes.append(Node(f"b{n}", "backward", 3, n, f"{name} backward", bold(name), of=f"f{n}",
                          shown=(d_array("t", n, DA[1]),)))  # fmt: skip
        edges.append(Edge(f"c{n}", f"f{n}", f"b{n}", "cache"))
        if n > 1:
            edges.append(Edge(f"e{n}", f"f{n - 1}", f"f{n}", "data"))
            edges.append(Edge(f"d{n}", f"b{n}", f"b{n - 1}", "gradient"))
    for id, column, letter in (
        ("p1", 1, "W"),
        ("p2", 1, "x"),
        ("p3", 2, "b"),
        ("p4", 4, "W"),
        ("p5", 6, "y"),
    ):
        nodes.append(Node(id, "parameter", 0, column, letter, shown=(array(letter, 1, W[1]),)))
        edges.append(Edge(f"q{id}", id, f"f{column}", "data"))
    for id, column in (("g1", 1), ("g2", 1), ("g3", 4)):
        nodes.append(Node(id, "gradient", 4, column, "dW", shown=(d_array("W", 1, DW[1]),)))
        edges.append(Edge(f"h{id}", f"b{column}", id, "gradient"))
    edges.append(Edge("jump", "f3", "f6", "data"))
    frames = (
        Frame("k1", "layer 1", ("f1", "f2", "f3", "b1", "b2", "b3")),
        Frame("k2", "layer 2", ("f4", "f5", "b4", "b5")),
    )
    return Diagram("operations", "ops", tuple(nodes), tuple(edges), frames)


ALL = {
    "mazur": mazur, "forward": lambda: mazur(backward=False), "skip": skip, "one": one,
    "hostile": hostile, "figures": figures, "operations": operations,
    "nothing": lambda: Diagram("nothing", "blocks", (), ()),
}  # fmt: skip
