"""The legend: what is in this picture and nothing else, under it, in its colours, in every format."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tests.networks import recurrent, stepping
from tests.render.geometry import box, root, texts, words
from tests.render.test_views import circuit
from tracenet import tracer
from tracenet.diagram import Diagram, Edge, Node, Run, Shown
from tracenet.render import encode
from tracenet.render.legend import block, html
from tracenet.render.legend_keys import BOXES, keys
from tracenet.render.placing import placed
from tracenet.render.sheet import sheet

VIEWS = ("blocks", "network", "cache", "ops", "circuit")


@pytest.fixture(scope="module")
def step():
    return tracer.trace(stepping.train, *stepping.train_example())


def drawn(step, view):
    return circuit("neuron", legend=True) if view == "circuit" else step.diagram(view, legend=True)


def said(diagram):
    return {key.text for items in keys(diagram).values() for key in items}


@pytest.mark.parametrize("view", VIEWS)
def test_each_kind_of_box_is_explained_and_no_other(step, view):
    diagram = drawn(step, view)
    kinds = {node.kind for node in diagram.nodes}
    found = {key.sort for key in keys(diagram).get("Boxes", keys(diagram).get("Gates"))}
    same = {"parameter"} if "input" in kinds else set()
    expected = kinds & {"forward", "loss"} if view == "circuit" else kinds - same
    assert found == expected and expected <= set(BOXES)


def test_arrows_are_explained_as_they_are_drawn(step):
    arrows = lambda **chosen: {key.text for key in keys(step.diagram(**chosen))["Arrows"]}
    assert "gradients, backward" in arrows()
    assert arrows(backward=False) == {"what a block is given", "values, forward"}
    rng = np.random.RandomState(0)
    given = (rng.randn(2, 6, 3), rng.randn(2, 4), rng.randn(3, 4), rng.randn(4, 4), rng.randn(4))
    trace = tracer.trace(recurrent.loss, *given, rng.randn(2, 6, 4)).backward()
    handed = "what each hands to the next"
    assert handed in said(trace.diagram(fold="one")) and handed not in said(trace.diagram())
    assert "N equal blocks in one" in said(trace.diagram(fold="one"))


def test_states_of_values_are_told_apart():
    states = ("not computed", "constant", "random", "NaN", "infinite", "")
    for state in states:
        item = Shown((Run("x"),), "x", (1,), "float64", (("1",),), state=state)
        node = Node("n0", "forward", 1, 1, "f", (Run("f"),), shown=(item,))
        values = keys(Diagram("t", "blocks", (node,), ())).get("Values", [])
        assert len(values) == (state != "")
    looks = set()
    for state in states:
        item = Shown((Run("x"),), "x", (1,), "float64", (("1",),), state=state)
        node = Node("n0", "input", 1, 1, "f", (Run("f"),), shown=(item,))
        marks = sheet(Diagram("t", "blocks", (node,), ())).groups[0][1]
        looks.add(tuple((mark.text, mark.colour) for mark in marks if hasattr(mark, "text")))
    assert len(looks) == len(states)


def test_an_empty_picture_has_no_legend():
    empty = Diagram("t", "blocks", (), (), legend=True)
    assert keys(empty) == {} and block(empty, 400) is None and html(empty) == ""
    assert encode(empty, "dot")


@pytest.mark.parametrize("view", VIEWS)
def test_it_stands_under_the_picture_and_nothing_in_it_overlaps(step, view):
    diagram = drawn(step, view)
    placement = placed(diagram)
    ((left, top, legend),) = placement.blocks["legend"]
    bare = placed(replace(diagram, legend=False))
    assert placement.places == bare.places and top > bare.area.bottom
    whole = placement.area
    assert whole.left <= left and left + legend.width <= whole.right + 0.01
    assert top + legend.height <= whole.bottom + 0.01
    (group,) = [g for g in root(encode(diagram, "svg")).iter() if g.attrib.get("id") == "legend"]
    assert all(box(group).holds(text) for text in texts(group))
    for one, two in combinations(texts(group), 2):
        assert not one.overlaps(two)


def test_it_breaks_lines_where_the_picture_is_narrow(step):
    diagram = step.diagram(legend=True)
    wide, narrow = block(diagram, 2000), block(diagram, 380)
    assert narrow.width < wide.width and narrow.height > wide.height
    assert narrow.width <= 380 + 1


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("format", ["svg", "pdf", "tex", "html", "dot", "png"])
def test_every_view_in_every_format_has_it(step, view, format):
    diagram = drawn(step, view)
    small = {"dpi": 20} if format == "png" else {}
    data = encode(diagram, format, **small)
    bare = encode(replace(diagram, legend=False), format, **small)
    assert data != bare
    word = "value over the wire" if view == "circuit" else "gradients, backward"
    if format in ("svg", "tex", "html", "dot"):
        text = data.decode().replace("\u00a0", " ")
        assert word in text or word.split()[0] in text
        assert text.count(word) > bare.decode().count(word)
    if format == "png":
        size = lambda png: (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
        assert size(data)[1] > size(bare)[1]


def test_what_has_no_picture_is_the_same_with_it(step):
    diagram = step.diagram()
    with_legend = replace(diagram, legend=True)
    for format in ("json", "md"):
        assert encode(with_legend, format) == encode(diagram, format)
    assert json.loads(encode(diagram, "json"))["nodes"]


def test_it_is_in_the_colours_of_the_theme(step):
    diagram = step.diagram(legend=True)
    svg = encode(diagram, "svg", theme="mono", ground="dark")
    (group,) = [g for g in root(svg).iter() if g.attrib.get("id") == "legend"]
    plain = encode(diagram, "svg")
    (default,) = [g for g in root(plain).iter() if g.attrib.get("id") == "legend"]
    colours = lambda of: (
        {child.attrib.get("fill") for child in of} | {child.attrib.get("stroke") for child in of}
    )
    assert "#0072b2" in {str(c).lower() for c in colours(default)}
    assert "#0072b2" not in {str(c).lower() for c in colours(group)}
    assert words(group) == words(default)


def test_a_loop_to_itself_in_a_hand_made_diagram():
    node = Node("n0", "forward", 1, 1, "step", (Run("step"),))
    diagram = Diagram("t", "blocks", (node,), (Edge("e0", "n0", "n0", "data"),), legend=True)
    for format in ("svg", "pdf", "tex", "html", "md", "json", "dot"):
        assert encode(diagram, format)
