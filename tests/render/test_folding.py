"""Networks over time and deep ones: what a box is, and how equal ones are folded on both rows."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.networks import recurrent
from tests.render.pictures import (
    STEPS,
    deep,
    deep_by_statements,
    flat,
    lstm,
    over_time,
    rnn,
    rnn_by_hand,
)  # fmt: skip
from tracenet import tracer
from tracenet.commands import main
from tracenet.diagram import BACKWARD_LANE, FORWARD_LANE, plain
from tracenet.errors import UsageError

OVER_TIME = {"rnn": rnn, "rnn by hand": rnn_by_hand, "lstm": lstm}


def lane(diagram, number):
    return [node for node in diagram.nodes if node.lane == number and node.column > 0]


def titles(diagram, number):
    return [plain(node.title) for node in lane(diagram, number)]


def loops(diagram):
    return [edge for edge in diagram.edges if edge.tail == edge.head]


def of_kind(diagram, kind):
    return [node for node in diagram.nodes if node.kind == kind]


# ---------------------------------------------------------------------- unrolled


@pytest.mark.parametrize("made", OVER_TIME.values(), ids=OVER_TIME)
def test_a_time_step_is_one_box_with_what_the_loop_slices_and_writes(made):
    diagram = made().diagram(fold=False)
    steps = [title for title in titles(diagram, FORWARD_LANE) if "_step" in title]
    assert [int(title.split()[-1]) for title in steps] == list(range(1, STEPS + 1))
    assert len(lane(diagram, FORWARD_LANE)) <= STEPS + 2  # the loss, and the stacked states
    back = [title for title in titles(diagram, BACKWARD_LANE) if "_step" in title]
    assert len(back) == STEPS and all(title.endswith("backward") for title in back)


def test_each_step_is_given_its_slice_of_the_data():
    x = over_time()[0]
    given = [node for node in of_kind(rnn().diagram(fold=False), "input") if "[" in node.name]
    assert [node.name for node in given] == [f"x[:, {t}]" for t in range(STEPS)]
    for t, node in enumerate(given):
        assert np.array_equal(node.shown[0].data, x[:, t])


@pytest.mark.parametrize("made", OVER_TIME.values(), ids=OVER_TIME)
def test_weights_are_drawn_at_each_use(made):
    diagram = made().diagram(fold=False)
    weights = of_kind(diagram, "parameter")
    assert len(weights) == STEPS
    for node in weights:
        assert sum(edge.tail == node.id for edge in diagram.edges) == 1


def test_what_computes_something_stays_a_box():
    names = [node.name for node in lane(deep_by_statements().diagram(fold=False), FORWARD_LANE)]
    assert names == ["x", *["f", "x"] * 50, "loss"]

    def sliced(x, W):
        half = x[:, :2]
        return np.sum(np.tanh(half @ W))

    trace = tracer.trace(sliced, np.ones((2, 3)), np.ones((2, 2)))
    assert "half" in [node.name for node in lane(trace.diagram(open="half"), FORWARD_LANE)]


# ---------------------------------------------------------------------- to the ends


def test_the_first_and_the_last_stay_and_the_others_are_counted():
    for fold in (None, True, "ends"):
        diagram = rnn().diagram(fold=fold)
        assert titles(diagram, FORWARD_LANE) == ["rnn_step 1", "⋯ ×18", "rnn_step 20", "loss"]
        back = ["rnn_step 1 backward", "⋯ ×18", "rnn_step 20 backward", "loss backward"]
        assert titles(diagram, BACKWARD_LANE) == back
        assert not loops(diagram)


def test_data_and_weights_of_the_folded_are_ranges():
    diagram = rnn().diagram()
    standing = next(n for n in lane(diagram, FORWARD_LANE) if plain(n.title).startswith("⋯"))
    above = [n for n in diagram.nodes if n.lane == 0 and n.column == standing.column]
    names = [plain(shown.name) for node in above for shown in node.shown]
    assert names == ["Wx", "Wh", "b", "x[:, 1] … x[:, 18]"]


# ---------------------------------------------------------------------- to one


@pytest.mark.parametrize("made", OVER_TIME.values(), ids=OVER_TIME)
def test_time_steps_fold_to_one_with_a_loop_on_both_rows(made):
    diagram = made().diagram(fold="one")
    for number in (FORWARD_LANE, BACKWARD_LANE):
        folded = [node for node in lane(diagram, number) if plain(node.title).endswith("×20")]
        assert len(folded) == 1 and "_step t" in plain(folded[0].title)
        mine = [edge for edge in loops(diagram) if edge.tail == folded[0].id]
        assert len(mine) == 1
        assert mine[0].kind == ("data" if number == FORWARD_LANE else "gradient")
    (forward,) = [edge for edge in loops(diagram) if edge.kind == "data"]
    assert plain(forward.shown[0].name) == "next_ht" and not forward.shown[0].grid


@pytest.mark.parametrize("made", OVER_TIME.values(), ids=OVER_TIME)
def test_shared_weights_keep_their_numbers_and_their_summed_gradient(made):
    trace = made()
    diagram = trace.diagram(fold="one")
    (weights,) = of_kind(diagram, "parameter")
    given = dict(zip(("x", "h0", "Wx", "Wh", "b"), over_time(4 if made is lstm else 1)))
    for shown in weights.shown:
        assert np.array_equal(shown.data, given[shown.key])
    summed = {
        plain(shown.name): shown.data
        for node in of_kind(diagram, "gradient")
        if node.column == weights.column
        for shown in node.shown
    }
    for name in ("Wx", "Wh", "b"):
        returned = trace.gradient(name) if made is rnn else trace.result[1][name]
        np.testing.assert_allclose(summed[f"d{name}"], returned, rtol=1e-12)


def test_what_differs_from_step_to_step_has_an_index_and_a_shape():
    diagram = rnn().diagram(fold="one")
    (step,) = [node for node in of_kind(diagram, "forward") if "×20" in plain(node.title)]
    assert plain(step.lines[0]) == "next_ht = tanh(x[:, t−1] Wx + next_ht−1 Wh + b)"
    assert step.name == "rnn_step 1 … rnn_step 20"
    (data,) = [n for n in of_kind(diagram, "input") if n.column == step.column and n.lane == 0][:1]
    assert plain(data.shown[0].name) == "x[:, t−1]"
    assert data.shown[0].data is None and data.shown[0].summary == ("2 × 3",)


def test_layers_with_weights_of_their_own_have_no_loop():
    diagram = deep().diagram(fold="one")
    assert not loops(diagram)
    for number in (FORWARD_LANE, BACKWARD_LANE):
        assert sum("×24" in title for title in titles(diagram, number)) == 1
    (layer,) = [node for node in of_kind(diagram, "forward") if "×24" in plain(node.title)]
    assert plain(layer.title).startswith("residual l ")
    (weights,) = [n for n in of_kind(diagram, "parameter") if n.column == layer.column]
    assert all(shown.data is None for shown in weights.shown)


def test_a_repeat_of_two_columns_folds_to_two_boxes():
    diagram = deep_by_statements().diagram(fold="one")
    assert titles(diagram, FORWARD_LANE) == ["x", "f  ×50", "x  ×50", "loss"]
    assert titles(diagram, BACKWARD_LANE) == ["f backward  ×50", "x backward  ×50", "loss backward"]
    (weights,) = [n for n in of_kind(diagram, "parameter") if "weights" in n.name]
    assert plain(weights.shown[0].name) == "weights[l−1]"


def test_a_loop_of_statements_folds_to_its_statements():
    diagram = flat().diagram(fold="one")
    assert titles(diagram, FORWARD_LANE) == ["h  ×20", "p  ×20", "loss  ×20"]
    (loss,) = of_kind(diagram, "loss")
    assert loss.shown[0].data == flat().result
    back = ["h backward  ×20", "p backward  ×20", "loss backward  ×20"]
    assert titles(diagram, BACKWARD_LANE) == back
    names = {node.id: node.name for node in diagram.nodes}
    expected = {"h", "loss", "h backward", "p backward", "loss backward"}
    assert {names[edge.tail] for edge in loops(diagram)} == expected
    ends = flat().diagram()
    assert titles(ends, FORWARD_LANE) == ["h", "p", "loss", "⋯ ×18", "h", "p", "loss"]


@pytest.mark.parametrize("steps", [5, 20])
def test_a_loop_of_one_statement_has_a_box_for_each_turn(steps):
    rng = np.random.RandomState(0)
    shapes = (steps, 2, 3), (2, 4), (3, 4), (4, 4), (4,)
    trace = tracer.trace(recurrent.last_state, *(0.5 * rng.randn(*shape) for shape in shapes))
    assert titles(trace.diagram(fold=False), FORWARD_LANE) == ["h"] * steps + ["loss"]
    folded = trace.backward().diagram(fold="one")
    assert titles(folded, FORWARD_LANE) == [f"h  ×{steps}", "loss"] and len(loops(folded)) == 2


def test_a_loop_that_fills_an_array_is_one_box():
    def filled(x):
        out = np.zeros(6)
        for i in range(6):
            out[i] = x[i] * 2
        return np.sum(out)

    names = [n.name for n in lane(tracer.trace(filled, np.ones(6)).diagram(), FORWARD_LANE)]
    assert names == ["out ×6", "output"]


def test_few_blocks_are_not_folded_unless_that_is_asked_for():
    assert not any("×" in title for title in titles(rnn(6).diagram(), FORWARD_LANE))
    assert any("×6" in title for title in titles(rnn(6).diagram(fold="one"), FORWARD_LANE))


def test_every_arrow_has_both_ends_and_no_two_have_the_same():
    for made in (*OVER_TIME.values(), deep, deep_by_statements):
        for view in ("blocks", "network", "cache"):
            for fold in (True, "one"):
                diagram = made().diagram(view, fold=fold)
                ids = {node.id for node in diagram.nodes}
                assert all({edge.tail, edge.head} <= ids for edge in diagram.edges)
                assert all(node.of is None or node.of in ids for node in diagram.nodes)
                ends = [(edge.tail, edge.head, edge.kind) for edge in diagram.edges]
                assert len(ends) == len(set(ends))


# ---------------------------------------------------------------------- how it is asked for


def test_a_way_to_fold_that_does_not_exist():
    with pytest.raises(UsageError, match="'two'.*'ends'.*'one'"):
        rnn(6).diagram(fold="two")


NET = """
import numpy as np

def step(x, h, W):
    return np.tanh(x + h @ W)

def loss(xs, h, W):
    for t in range(6):
        h = step(xs[t], h, W)
    return np.sum(h ** 2)

xs, h, W = np.ones((6, 1, 2)), np.zeros((1, 2)), np.full((2, 2), 0.1)
"""


def test_on_the_command_line(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    file = tmp_path / "net.json"
    call = [str(tmp_path / "net.py"), "--call", "loss(xs, h, W)", "-o", str(file)]
    run = lambda *options: CliRunner().invoke(main, ["render", *call, *options])
    names = lambda: [n["name"] for n in json.loads(file.read_text())["nodes"] if n["lane"] == 1]
    assert run("--fold-to", "one").exit_code == 0
    assert "step 1 … step 6" in names()
    edges = json.loads(file.read_text())["edges"]
    assert {edge["kind"] for edge in edges if edge["tail"] == edge["head"]} == {"data", "gradient"}
    assert run("--unfold").exit_code == 0 and "step 6" in names()
    both = run("--unfold", "--fold-to", "one")
    assert both.exit_code == 2 and "give one" in both.output
    wrong = run("--fold-to", "half")
    assert wrong.exit_code == 2 and "'ends', 'one'" in wrong.output
