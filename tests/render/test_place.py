"""tracenet's own placement: rows, columns, and arrows that touch nothing but their boxes."""

from __future__ import annotations

import re
import runpy
from collections import defaultdict
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from tests import test_networks as networks
from tests.networks import flat
from tracenet import tracer
from tracenet.diagram import BACKWARD_LANE, FORWARD_LANE, Diagram, Edge, Node
from tracenet.records import BACKWARD
from tracenet.render import encode, engine, frames, place, placing, tracks
from tracenet.render.placement import Block, Box, Shape, Words

from . import pictures, sample
from .lines import labels, line_of, marks, meet, on_border, over

EXAMPLES = Path(__file__).parents[2] / "examples"


def network(case) -> Diagram:
    function, args, _ = case()
    return tracer.trace(function, *args).backward().diagram()


def example(name: str, monkeypatch, tmp_path) -> Diagram:
    monkeypatch.chdir(tmp_path)
    file = EXAMPLES / f"{name}.py"
    calls = re.findall("--call '(.+?)'", file.read_text())
    if not calls:
        return runpy.run_path(str(file))["trace"].diagram()
    trace = tracer.trace_call(tracer.load(file), calls[0])
    if not any(op.phase == BACKWARD for op in trace.ops):
        trace.backward()
    return trace.diagram()


def by_hand() -> Diagram:
    return tracer.trace(flat.step, *by_hand_data()).diagram()


def by_hand_data() -> list[np.ndarray | float]:
    rng = np.random.RandomState(6)
    shapes = [(2, 5), (1, 5), (3, 2), (3, 1), (1, 3), (1, 1)]
    return [*(rng.rand(*shape) for shape in shapes), 0.1]


def layer(x, W):
    return np.tanh(W @ x)


def shared(count: int = 12) -> Diagram:
    def loss(x, W):
        for _ in range(count):
            x = layer(x, W)
        return np.sum(x**2)

    return tracer.trace(loss, np.ones((3, 1)), np.full((3, 3), 0.1)).backward().diagram()


def dense() -> Diagram:
    """Each layer reads the results of all layers before it."""

    def loss(x, weights):
        for W in weights:
            x = x + layer(x, W)
        return np.sum(x**2)

    weights = [np.full((3, 3), i / 10) for i in range(5)]
    return tracer.trace(loss, np.ones((3, 1)), weights).backward().diagram()


def awkward() -> Diagram:
    """What traces seldom give: full cells, arrows past lanes and columns, both ways, with labels."""
    cells = [(0, 1), (0, 1), (1, 0), (1, 0), (1, 1), (1, 2), (1, 2), (1, 4), (2, 1), (2, 1), (2, 2)]
    cells += [(3, 0), (3, 1), (3, 1), (3, 2), (3, 4), (4, 1), (4, 1), (4, 4), (5, 1), (5, 2)]
    nodes = [
        Node(f"n{i}", "value", lane, column, f"box {i}" * (1 + i % 3))
        for i, (lane, column) in enumerate(cells)
    ]
    pairs = [(0, 4), (1, 4), (2, 4), (3, 4), (3, 7), (2, 5), (4, 5), (4, 6), (4, 7), (5, 7), (7, 4)]
    pairs += [(4, 8), (4, 9), (4, 13), (8, 13), (9, 12), (15, 12), (15, 11), (14, 12), (13, 12)]
    pairs += [(12, 16), (13, 17), (4, 19), (0, 15), (5, 14), (7, 20), (20, 0), (18, 1), (8, 10)]
    carried = (sample.array("a", 1, sample.A[1]),)
    edges = [
        Edge(
            f"e{i}",
            f"n{a}",
            f"n{b}",
            "gradient" if b < a else "data",
            carried if i % 3 and cells[a][0] == cells[b][0] else (),
        )
        for i, (a, b) in enumerate(pairs)
    ]
    return Diagram("awkward", "blocks", tuple(nodes), tuple(edges))


def ops_of(name: str) -> Diagram:
    """The operations of an example, as it calls itself."""
    file = EXAMPLES / f"{name}.py"
    (call, *_) = re.findall("--call '(.+?)'", file.read_text())
    trace = tracer.trace_call(tracer.load(file), call)
    if not any(op.phase == BACKWARD for op in trace.ops):
        trace.backward()
    return trace.diagram("ops", values="summary")


def by_turns() -> Diagram:
    """Two blocks whose operations alternate in the run."""

    def one(x):
        for _ in range(3):
            x = np.tanh(x) * 2
            yield x

    def loss(x):
        return np.sum(sum(a + b for a, b in zip(one(x), one(x + 1))))

    return tracer.trace(loss, np.ones(2)).backward().diagram("ops")


OPS = {
    "operations": sample.operations,
    "ops of rnn": lambda: pictures.rnn(4).diagram("ops"),
    "ops of rnn by hand": lambda: pictures.rnn_by_hand(4).diagram("ops"),
    "ops of flat code": lambda: pictures.flat(4).diagram("ops"),
    "ops by hand": lambda: tracer.trace(flat.step, *by_hand_data()).diagram("ops"),
    "ops of transformer": lambda: ops_of("transformer"),
    "ops of cnn": lambda: ops_of("cnn"),
    "ops of lstm": lambda: ops_of("lstm"),
    "ops by turns": by_turns,
}

MADE = {case.__name__: lambda case=case: network(case) for case in networks.CASES}
MADE |= {"by hand": by_hand, "shared": shared, "dense": dense, "awkward": awkward}
MADE |= pictures.CHOSEN
MADE |= OPS
MADE |= {name: make for name, make in sample.ALL.items() if make().view == "blocks"}
HERE = [path.stem for path in sorted(EXAMPLES.glob("*.py"))]


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module", params=[*MADE, *HERE])
def placed(request, patch, tmp_path_factory):
    name = request.param
    diagram = MADE[name]() if name in MADE else example(name, patch, tmp_path_factory.mktemp("x"))
    return diagram, place.placed(diagram)


def test_rows_and_columns_are_in_order(placed):
    diagram, placement = placed
    for a, b in combinations(diagram.nodes, 2):
        one, two = placement.places[a.id], placement.places[b.id]
        if a.column < b.column:
            assert one.left + one.right < two.left + two.right, (a.id, b.id)
        if a.lane < b.lane:
            assert one.bottom < two.top, (a.id, b.id)


def test_both_passes_are_straight_rows(placed):
    diagram, placement = placed
    for lane in (FORWARD_LANE, BACKWARD_LANE):
        places = [placement.places[n.id] for n in diagram.nodes if n.lane == lane]
        assert len({round(place.top + place.bottom, 3) for place in places}) <= 1


def test_nothing_overlaps(placed):
    diagram, placement = placed
    areas = dict(placement.places)
    for edge in diagram.edges:
        areas |= {f"{edge.id} {i}": area for i, area in enumerate(labels(placement, edge.id))}
    for (one, a), (two, b) in combinations(areas.items(), 2):
        assert not meet(a, b), (one, two)


def test_texts_stay_in_their_boxes(placed):
    diagram, placement = placed
    for node in diagram.nodes:
        place = placement.places[node.id]
        for x, y, mark in marks(placement.blocks[node.id]):
            if isinstance(mark, Words):
                left, base = x + mark.x, y + mark.y
                assert place.left <= left and left + mark.width <= place.right + 0.01
                assert place.top <= base - 0.7 * mark.size and base <= place.bottom
            if isinstance(mark, Box):
                assert x + mark.x + mark.width <= place.right + 0.01


def test_arrows_end_at_their_boxes(placed):
    diagram, placement = placed
    for edge in diagram.edges:
        path = line_of(placement, edge.id)
        assert on_border(path[0], placement.places[edge.tail]), edge
        assert on_border(path[-1], placement.places[edge.head]), edge


def test_no_arrow_lies_over_a_box_or_an_array(placed):
    diagram, placement = placed
    written = [area for edge in diagram.edges for area in labels(placement, edge.id)]
    for edge in diagram.edges:
        path = line_of(placement, edge.id)
        for node in diagram.nodes:
            assert not over(path, placement.places[node.id]), (edge.id, node.id)
        for area in written:
            assert not over(path, area), edge.id


def test_arrows_share_a_line_only_where_they_share_a_box(placed):
    diagram, placement = placed
    pieces = defaultdict(list)
    for edge in diagram.edges:
        path = line_of(placement, edge.id)
        for (a, b), (c, d) in pairwise(path):
            if b == d and abs(a - c) > 2:
                pieces[round(b, 2)].append((min(a, c), max(a, c), edge))
    for found in pieces.values():
        for (a, b, one), (c, d, two) in combinations(found, 2):
            if min(b, d) - max(a, c) > 1:
                assert one.tail == two.tail or one.head == two.head, (one.id, two.id)


def test_everything_is_on_the_paper(placed):
    diagram, placement = placed
    paper = placement.area
    for edge in diagram.edges:
        for x, y in line_of(placement, edge.id):
            assert paper.left <= x <= paper.right and paper.top <= y <= paper.bottom
        for area in labels(placement, edge.id):
            assert paper.around(area) == paper
    assert all(paper.around(place) == paper for place in placement.places.values())


def test_what_is_written_is_what_graphviz_writes(placed, monkeypatch):
    diagram, placement = placed
    if diagram.title == "awkward" or not diagram.nodes:
        return
    monkeypatch.setenv(engine.CHOICE, "pygraphviz")
    theirs = placing.placed(diagram)
    for node in diagram.nodes:
        assert text(placement, node.id) == text(theirs, node.id)


def text(placement, id) -> list[str]:
    found = [mark.text for _, _, mark in marks(placement.blocks[id]) if isinstance(mark, Words)]
    return sorted("".join(found).replace("\u00a0", "").replace(" ", ""))


def test_frames_hold_their_boxes_and_nothing_else(placed):
    diagram, placement = placed
    found = frames.boxes(diagram, placement)
    for one, two in combinations(found, 2):
        assert not meet(one.area, two.area), (one.name, two.name)
    held = set()
    for fence in found:
        for node in diagram.nodes:
            place = placement.places[node.id]
            inside = fence.area.around(place) == fence.area
            assert inside or not meet(fence.area, place), (fence.name, node.id)
            held |= {node.id} if inside else set()
    assert held >= {id for frame in diagram.frames for id in frame.nodes}


def test_wide_boxes_reach_under_free_space():
    """A cache wider than its block takes no more room than it needs in its own row."""
    diagram = sample.mazur()
    places = place.placed(diagram).places
    assert places["c1"].right - places["c1"].left > places["f1"].right - places["f1"].left
    gap = places["f2"].left - places["f1"].right
    assert gap < places["c2"].left - places["c1"].right + 120


def test_a_track_leaves_a_box_beside_the_arrows_that_come_from_above():
    cells = {"W": (0, 1), "x": (0, 1), "a": (1, 1), "b": (1, 2), "c": (1, 3)}
    nodes = [Node(id, "value", *cell, f"box {id}") for id, cell in cells.items()]
    pairs = ["Wa", "xa", "ab", "bc", "ac"]
    edges = [Edge(pair, pair[0], pair[1], "data") for pair in pairs]
    placement = place.placed(Diagram("ports", "ops", tuple(nodes), tuple(edges)))
    leaves = line_of(placement, "ac")[0][0]
    comes = max(line_of(placement, id)[-1][0] for id in ("Wa", "xa"))
    assert comes + tracks.ROOM <= leaves <= placement.places["a"].right - tracks.ROOM


def test_one_weight_is_drawn_at_each_use():
    diagram = shared()
    uses = [node for node in diagram.nodes if node.kind == "parameter"]
    assert len(uses) == 12
    assert all(len([e for e in diagram.edges if e.tail == node.id]) == 1 for node in uses)


def test_the_engine_can_be_forced(monkeypatch):
    own = encode(sample.mazur(), "svg")
    monkeypatch.setenv(engine.CHOICE, "pygraphviz")
    assert encode(sample.mazur(), "svg") != own


def test_arrows_are_lines_with_a_head(placed):
    diagram, placement = placed
    for edge in diagram.edges:
        (_, _, block), *_ = placement.blocks[edge.id]
        assert isinstance(block, Block) and all(isinstance(m, Shape) for m in block.marks)
        assert block.marks[1].code == "MLLZ"
