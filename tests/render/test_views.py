"""The views: what stands in them, what is chosen of them, and that nothing in them overlaps."""

import json
import math
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.networks import course, dict_cache, stepping
from tests.render.geometry import box, groups, texts
from tests.render.test_place import labels, meet
from tests.truth import truth
from tracenet import tracer
from tracenet.commands import main
from tracenet.diagram import plain
from tracenet.errors import UsageError
from tracenet.render import encode
from tracenet.render.placing import placed

EXAMPLES = Path(__file__).parents[2] / "examples"


def neuron(w0, x0, w1, x1, w2):
    dot = w0 * x0 + w1 * x1 + w2
    f = 1.0 / (1.0 + math.exp(-dot))
    return f


def product(x, y, z):
    q = x + y
    return q * z


def shared(x, y):
    """CS231n's staged example: x and y are each used several times."""
    sigy = 1.0 / (1 + math.exp(-y))
    num = x + sigy
    sigx = 1.0 / (1 + math.exp(-x))
    return num / (sigx + (x + y) ** 2)


def squares(W, x):
    q = np.dot(W, x)
    return np.sum(q**2)


CIRCUITS = {
    "neuron": (neuron, (2.0, -1.0, -3.0, -2.0, -3.0)),
    "product": (product, (-2.0, 5.0, -4.0)),
    "shared": (shared, (3.0, -4.0)),
    "squares": (squares, (np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))),
    "maximum": (lambda x, y, z, w: (x * y + max(z, w)) * 2, (3.0, -4.0, 2.0, -1.0)),
}


def circuit(name, **options):
    function, given = CIRCUITS[name]
    return tracer.trace(function, *given).backward().diagram("circuit", **options)


@pytest.fixture(scope="module")
def step():
    return tracer.trace(stepping.train, *stepping.train_example())


# ---------------------------------------------------------------------- circuit


def test_the_wires_carry_the_published_values_and_gradients():
    """Stanford CS231n's sigmoid neuron: the notes' numbers, over and under each wire."""
    _, expected = truth("cs231n_sigmoid")
    diagram = circuit("neuron", digits=17)
    names = {node.id: node.name for node in diagram.nodes}
    number = lambda shown: float(shown.grid[0][0].replace("−", "-"))
    carried = {names[e.tail]: [number(s) for s in e.shown] for e in diagram.edges}
    for name in ("w0", "x0", "w1", "x1", "w2"):
        assert carried[name][1] == pytest.approx(expected[f"d{name}"], rel=1e-12)
    found = {round(value, 9): gradient for value, gradient in map(tuple, carried.values())}
    for name in ("neg", "exp", "plus1"):
        value, gradient = expected[name], expected[f"d{name}"]
        assert found[round(value, 9)] == pytest.approx(gradient, rel=1e-12)


def test_numbers_of_the_code_belong_to_their_gates():
    titles = [plain(n.title) for n in circuit("neuron").nodes if n.kind in ("forward", "loss")]
    assert titles == ["×", "×", "+", "+", "×(−1)", "exp", "+1", "1/x"]


@pytest.mark.parametrize("name", CIRCUITS)
def test_nothing_in_a_circuit_overlaps_and_wires_lead_to_the_right(name):
    diagram = circuit(name)
    placement = placed(diagram)
    areas = dict(placement.places)
    for edge in diagram.edges:
        areas |= {f"{edge.id} {i}": a for i, a in enumerate(labels(placement, edge.id))}
        assert placement.places[edge.tail].right < placement.places[edge.head].left
    for (one, a), (two, b) in combinations(areas.items(), 2):
        assert not meet(a, b), (one, two)


@pytest.mark.parametrize("name", CIRCUITS)
def test_symbols_stay_in_their_gates(name):
    svg = encode(circuit(name), "svg")
    for id, group in groups(svg, "node").items():
        if group.attrib["class"].split()[1] in ("forward", "loss"):
            assert all(box(group).holds(text) for text in texts(group)), id


def test_a_wire_for_each_use_of_a_value():
    diagram = circuit("shared")
    (x,) = [node.id for node in diagram.nodes if node.name == "x"]
    uses = [edge.shown for edge in diagram.edges if edge.tail == x]
    assert len(uses) == 3 and len({shown[0].grid for shown in uses}) == 1
    gradients = [float(shown[1].grid[0][0].replace("−", "-")) for shown in uses]
    function, given = CIRCUITS["shared"]
    whole = tracer.trace(function, *given).backward().gradient("x")
    assert sum(gradients) == pytest.approx(whole, abs=1e-3)


def test_forward_only_has_no_gradients():
    function, given = CIRCUITS["product"]
    trace = tracer.trace(function, *given)
    assert {len(e.shown) for e in trace.diagram("circuit").edges} == {1}
    trace.backward()
    assert {len(e.shown) for e in trace.diagram("circuit", backward=False).edges} == {1}


def test_a_circuit_too_large_to_read_is_refused():
    def long(x):
        for _ in range(100):
            x = x * 1.5
        return x

    with pytest.raises(UsageError, match="the circuit has 100 gates, more than 60: draw it with"):
        tracer.trace(long, 1.0).diagram("circuit")


# ---------------------------------------------------------------------- network, cache


def test_the_network_shows_parameters_and_their_number(step):
    boxes = [n for n in step.diagram("network").nodes if n.kind in ("forward", "loss")]
    assert [n.name for n in boxes] == ["Dense 1", "Rectifier", "Dense 2", "CrossEntropy"]
    assert [plain(line) for line in boxes[0].lines] == ["W[1]  5 × 4", "b[1]  5 × 1"]
    assert [n.remark for n in boxes] == ["25 parameters", "", "18 parameters", ""]


def test_the_cache_says_what_is_kept_and_never_read():
    trace = tracer.trace_call(
        tracer.load(EXAMPLES / "course_network.py"), "iteration(X, Y, parameters, 0.5)", noting=True
    )
    table = next(n for n in trace.diagram("cache").nodes if n.kind == "cache").table
    rows = {plain(row[0]): [plain(cell) for cell in row[1:4]] for row in table[1:]}
    assert [plain(cell) for cell in table[0]][1:4] == ["kept", "read", "never read"]
    assert rows["b[1]  4 × 1"] == ["✓", "", "✓"] and rows["Z[1]  4 × 4"] == ["✓", "✓", ""]


def test_the_cache_of_each_layer_has_what_a_whole_pass_never_reads():
    trace = tracer.noted(dict_cache.step, *dict_cache.step_example())
    tables = [n.table for n in trace.diagram("cache").nodes if n.kind == "cache"]
    never = [[plain(row[0]) for row in table[1:] if plain(row[3])] for table in tables]
    assert never == [["Z[1]  4 × 5"], ["Z[2]  1 × 5"]]


@pytest.mark.parametrize("view", ["network", "cache"])
def test_nothing_overlaps_in_rows(step, view):
    diagram = step.diagram(view)
    placement = placed(diagram)
    areas = dict(placement.places)
    for edge in diagram.edges:
        areas |= {f"{edge.id} {i}": a for i, a in enumerate(labels(placement, edge.id))}
    for (one, a), (two, b) in combinations(areas.items(), 2):
        assert not meet(a, b), (one, two)
    for id, group in groups(encode(diagram, "svg"), "node").items():
        assert all(box(group).holds(text) for text in texts(group)), id


# ---------------------------------------------------------------------- choosing


def deep(count):
    def loss(X, parameters):
        A = X
        for l in range(count):
            A, _ = course.linear_activation_forward(
                A, parameters[f"W{l}"], parameters[f"b{l}"], "relu"
            )
        return np.sum(A)

    rng = np.random.RandomState(0)
    parameters = {f"W{l}": rng.randn(3, 3) for l in range(count)}
    parameters |= {f"b{l}": np.zeros((3, 1)) for l in range(count)}
    return tracer.trace(loss, rng.randn(3, 2), parameters).backward()


def test_many_equal_blocks_fold_in_both_rows():
    trace = deep(20)
    for view in ("blocks", "network"):
        diagram = trace.diagram(view, values="none")
        for kind in ("forward", "backward"):
            titles = [plain(n.title) for n in diagram.nodes if n.kind == kind]
            assert sum(title.startswith("⋯ ×") for title in titles) == 1
        standing = next(n for n in diagram.nodes if plain(n.title).startswith("⋯ ×"))
        assert standing.name.startswith("linear_activation ") and "…" in standing.name
        assert len(diagram.nodes) < 25 < len(trace.diagram(view, values="none", fold=False).nodes)
    assert len(deep(5).diagram(fold=True).nodes) < len(deep(5).diagram().nodes)


def test_a_block_is_opened_closed_and_put_in_focus():
    trace = deep(5)
    names = lambda **chosen: [n.name for n in trace.diagram(**chosen).nodes if n.lane == 1]
    assert names(open=["linear_activation 2"])[2:4] == ["linear", "relu"]
    assert names(open=["linear_activation_forward"]).count("relu") == 5
    focus = names(focus=["linear_activation 3"])
    assert focus[1:4] == [f"linear_activation {k}" for k in (2, 3, 4)]
    assert [name for name in focus if "left out" in name]
    for chosen in ({"open": "layer"}, {"close": "layer"}, {"focus": "layer"}):
        with pytest.raises(UsageError, match="no block is called 'layer' in this trace; there are"):
            trace.diagram(**chosen)
    with pytest.raises(UsageError, match="the view 'ops' draws operations, and these choose block"):
        trace.diagram("ops", open="relu")


# ---------------------------------------------------------------------- the command


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command in a folder of its own: examples draw into the current one."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, ["render", *args])


@pytest.mark.parametrize("view", ["network", "cache", "circuit"])
@pytest.mark.parametrize("format", ["svg", "png", "pdf", "tex", "html", "md", "dot", "json"])
def test_every_view_in_every_format(view, format, run, tmp_path):
    file = tmp_path / f"neuron.{format}"
    result = run(str(EXAMPLES / "circuit.py"), "--view", view, "-o", str(file))
    assert result.exit_code == 0, result.output
    assert file.stat().st_size > 100


def test_choices_on_the_command_line(run, tmp_path):
    file = tmp_path / "net.json"
    call = ["--call", "iteration(X, Y, parameters, 0.5)", "-o", str(file)]
    target = str(EXAMPLES / "course_network.py")
    names = lambda: [n["name"] for n in json.loads(file.read_text())["nodes"] if n["lane"] == 1]
    assert run(target, *call, "--open", "linear_activation 1").exit_code == 0
    assert "linear" in names()[1]
    assert run(target, *call, "--focus", "linear_activation 3", "--view", "network").exit_code == 0
    assert any("left out" in name for name in names())
    wrong = run(target, *call, "--close", "layer 9")
    assert wrong.exit_code == 2 and "no block is called 'layer 9'" in wrong.output
    wrong = run(target, *call, "--view", "rows")
    assert wrong.exit_code == 2 and "choose one of 'blocks'" in wrong.output


def test_it_is_said_that_nothing_was_folded():
    for fold in (True, "one"):
        with pytest.warns(UserWarning, match="nothing was folded: no 4 blocks in sequence"):
            deep(2).diagram(fold=fold)


@pytest.mark.parametrize("view", ["blocks", "ops"])
@pytest.mark.parametrize(("ratio", "shape"), [("16:9", 16 / 9), ("1:2", 0.5), (1.25, 1.25)])
def test_a_picture_has_the_shape_of_a_slide(view, ratio, shape):
    trace = deep(2)
    plain, slide = (
        re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', encode(d, "svg").decode()).groups()
        for d in (trace.diagram(view), trace.diagram(view, ratio=ratio))
    )
    (w, h), (wide, high) = map(float, plain), map(float, slide)
    assert wide / high == pytest.approx(shape, rel=1e-3)
    assert wide >= w - 0.01 and high >= h - 0.01
    assert wide == pytest.approx(w, abs=0.02) or high == pytest.approx(h, abs=0.02)
    pdf = re.search(
        rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", encode(trace.diagram(view, ratio=ratio), "pdf")
    )
    assert float(pdf[1]) / float(pdf[2]) == pytest.approx(shape, rel=1e-3)


@pytest.mark.parametrize("ratio", ["wide", "16:0", "1:20", "nan", "16/9"])
def test_a_shape_that_is_none(ratio, run, tmp_path):
    done = run(str(EXAMPLES / "mazur.py"), "--ratio", ratio, "-o", "a.svg")
    assert done.exit_code == 2 and "as in 16:9" in done.stderr
    assert not (tmp_path / "a.svg").exists()
