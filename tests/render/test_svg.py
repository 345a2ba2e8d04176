"""The SVG of each sample: complete, valid, and with everything in its place."""

from __future__ import annotations

from itertools import combinations

import pytest

from tracenet.diagram import BACKWARD_LANE, FORWARD_LANE, Diagram
from tracenet.render import encode

from . import geometry, sample


@pytest.fixture(scope="module", params=sample.ALL)
def drawn(request: pytest.FixtureRequest) -> tuple[Diagram, bytes]:
    diagram = sample.ALL[request.param]()
    return diagram, encode(diagram, "svg")


def test_every_node_and_edge_has_its_group(drawn):
    diagram, svg = drawn
    nodes, edges = geometry.groups(svg, "node"), geometry.groups(svg, "edge")
    assert set(nodes) == {node.id for node in diagram.nodes}
    assert list(edges) == [edge.id for edge in diagram.edges]
    for node in diagram.nodes:
        assert nodes[node.id].attrib["class"] == f"node {node.kind}"
    for edge in diagram.edges:
        assert edges[edge.id].attrib["class"] == f"edge {edge.kind}"
        assert edges[edge.id].findall(f"{geometry.NS}path"), "an arrow that is not drawn"


def test_titles(drawn):
    _, svg = drawn
    root = geometry.root(svg)
    assert root.attrib["role"] == "img"
    assert [child.tag.removeprefix(geometry.NS) for child in root[:2]] == ["title", "desc"]
    assert root.attrib["aria-labelledby"].split() == [child.attrib["id"] for child in root[:2]]
    for group in root.findall(f".//{geometry.NS}g"):
        assert group[0].tag == f"{geometry.NS}title"


def test_boxes_are_read_in_the_order_of_the_run(drawn):
    diagram, svg = drawn
    by_id = {node.id: node for node in diagram.nodes}
    read = [by_id[id] for id in geometry.groups(svg, "node")]
    forward = [node.column for node in read if node.kind in ("forward", "loss")]
    backward = [node.column for node in read if node.kind == "backward"]
    assert forward == sorted(forward) and backward == sorted(backward, reverse=True)
    kinds = [node.kind for node in read if node.kind in ("forward", "loss", "backward", "update")]
    passes = [
        ("backward", "update").index(k) + 1 if k in ("backward", "update") else 0 for k in kinds
    ]
    assert passes == sorted(passes)


def test_texts_stay_in_their_boxes(drawn):
    _, svg = drawn
    for id, group in geometry.groups(svg, "node").items():
        if any("H" in path.attrib["d"] for path in group.findall(f"{geometry.NS}path")):
            continue  # struck out, and without a box
        box = geometry.box(group)
        for text in geometry.texts(group):
            assert box.holds(text), (id, geometry.words(group))


def boxes(diagram: Diagram, svg: bytes) -> dict[str, geometry.Box]:
    groups = geometry.groups(svg, "node")
    struck = {n.id for n in diagram.nodes for s in n.shown if s.state == "not computed"}
    return {id: geometry.box(group) for id, group in groups.items() if id not in struck}


def test_boxes_do_not_overlap(drawn):
    found = boxes(*drawn)
    for (one, a), (other, b) in combinations(found.items(), 2):
        assert not a.overlaps(b), (one, other)


def test_columns_and_lanes_are_in_order(drawn):
    diagram, svg = drawn
    found = boxes(diagram, svg)
    nodes = [node for node in diagram.nodes if node.id in found]
    for a, b in combinations(nodes, 2):
        if a.column != b.column:
            first, second = sorted((a, b), key=lambda n: n.column)
            assert found[first.id].middle[0] < found[second.id].middle[0]
        elif a.lane != b.lane:
            upper, lower = sorted((a, b), key=lambda n: n.lane)
            assert found[upper.id].middle[1] < found[lower.id].middle[1]


@pytest.mark.parametrize("lane", [FORWARD_LANE, BACKWARD_LANE])
def test_both_passes_are_straight_lines(drawn, lane):
    diagram, svg = drawn
    found = boxes(diagram, svg)
    heights = [found[n.id].middle[1] for n in diagram.nodes if n.lane == lane and n.id in found]
    assert not heights or max(heights) - min(heights) < 1


def test_everything_is_on_the_paper(drawn):
    diagram, svg = drawn
    _, _, width, height = map(float, geometry.root(svg).attrib["viewBox"].split())
    paper = geometry.Box(0, 0, width, height)
    assert all(paper.holds(box) for box in boxes(diagram, svg).values())


def test_hostile_names_are_what_they_were():
    svg = encode(sample.hostile(), "svg")
    groups = geometry.groups(svg, "node")
    for number, name in enumerate(sample.HOSTILE):
        shown = geometry.words(groups[f"n{number}"]).replace("\u00a0", " ")
        if len(name) < 60 and name.isprintable() and name.strip():
            assert shown.count(name) >= 3, name


def test_what_was_not_computed_is_struck_out():
    group = geometry.groups(encode(sample.mazur(), "svg"), "node")["n1"]
    assert geometry.words(group).strip("\u00a0") == "da[0]"
    lines = [p for p in group.findall(f"{geometry.NS}path") if "H" in p.attrib["d"]]
    assert lines, "no line through it"
    assert "0" not in geometry.words(group).replace("[0]", "")


def test_raised_text_is_shifted_and_smaller():
    group = geometry.groups(encode(sample.mazur(), "svg"), "node")["p1"]
    letter, number = group.findall(f"{geometry.NS}text")[:2]
    assert (letter.text, number.text) == ("W", "[1]")
    assert float(number.attrib["y"]) < float(letter.attrib["y"])
    assert float(number.attrib["font-size"]) < float(letter.attrib["font-size"])
    assert "baseline-shift" not in encode(sample.mazur(), "svg").decode()


def test_frames_hold_their_nodes():
    diagram = sample.operations()
    svg = encode(diagram, "svg")
    found = boxes(diagram, svg)
    for frame in diagram.frames:
        rect = geometry.groups(svg, "frame")[frame.id].find(f"{geometry.NS}rect")
        x, y, w, h = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        around = geometry.Box(x, y, x + w, y + h)
        columns = {n.column for n in diagram.nodes if n.id in frame.nodes}
        for node in diagram.nodes:
            assert around.holds(found[node.id]) == (node.column in columns)


def test_cache_is_dashed_and_gradients_run_left():
    svg = encode(sample.mazur(), "svg")
    assert geometry.groups(svg, "node")["c1"].findall(f"{geometry.NS}path[@stroke-dasharray]")
    edge = geometry.groups(svg, "edge")["ed2"]
    line, arrow = edge.findall(f"{geometry.NS}path")[:2]
    start = float(line.attrib["d"].removeprefix("M").split()[0])
    tips = [float(point.split()[0]) for point in arrow.attrib["d"][1:-1].split("L")]
    assert min(tips) < start
