"""The story of a run in words: whole, in the pictures, and of runs that are not as they should be."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.test_picture import mazur
from tracenet import tracer
from tracenet.commands import main
from tracenet.render import encode
from tracenet.render.story import short, told

STORIES = Path(__file__).parent / "stories"
ROOT = Path(__file__).parent.parent
COURSE = ("examples/course_network.py", "--call", "iteration(X, Y, parameters, 0.5)")


def described(*arguments):
    done = CliRunner().invoke(main, ["describe", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def deep(layers, width=3):
    def layer(a, W, b):
        z = W @ a + b
        a = np.tanh(z)
        return a

    def network(x, y, parameters):
        a = x
        for l in range(1, layers + 1):
            a = layer(a, parameters["W" + str(l)], parameters["b" + str(l)])
        return np.sum((a - y) ** 2)

    rng = np.random.RandomState(0)
    parameters = {}
    for l in range(1, layers + 1):
        parameters["W" + str(l)] = rng.randn(width, width)
        parameters["b" + str(l)] = np.zeros((width, 1))
    return tracer.trace(network, rng.randn(width, 1), rng.randn(width, 1), parameters).backward()


def test_mazur_is_told_as_it_was():
    assert mazur().describe() == (STORIES / "mazur.txt").read_text("utf-8")


def test_course_network_is_told_as_it_was(monkeypatch):
    monkeypatch.chdir(ROOT)
    told = described(*COURSE, "--values", "shapes")
    assert told == (STORIES / "course_network.txt").read_text("utf-8")


def test_numbers_are_told_once():
    story = mazur().describe()
    assert story.count("= [[0.15, 0.2], [0.25, 0.3]]") == 1


def test_equal_blocks_are_told_once():
    story = deep(6).describe()
    assert "layer 3 to layer 6: the same as layer 2" in story
    assert "layer 5 backward to layer 2 backward: the same as layer 6 backward" in story
    assert story.count("tanh(") == 2
    for l in range(1, 7):
        assert f"W[{l}] (3 × 3) = " in story and f"dW[{l}] (3 × 3) = " in story


def test_blocks_that_are_drawn_as_one_say_how_many_they_are():
    trace = deep(20)
    assert "layer 2 … layer 19, 18 equal blocks drawn as one" in trace.describe(fold=True)
    story = trace.describe()
    assert "layer 3 to layer 20: the same as layer 2, each with its own arrays" in story
    assert "… and 7 more" in story and "layer 20: reads W[20]" in story


def test_story_is_short_whatever_the_network():
    assert "layer 1 to layer 40" in told(deep(40).diagram(fold=False))
    assert len(told(deep(40).diagram(fold=False))) < 900


@pytest.mark.parametrize("view", ["blocks", "network", "cache", "ops", "circuit"])
def test_every_view_has_a_story(view):
    story = mazur().describe(view=view)
    assert "loss" in story and "matmul" in story if view in ("ops", "circuit") else "dW[2]" in story
    assert story == mazur().describe(view=view)


def test_story_is_in_every_format_that_can_hold_it():
    diagram = mazur().diagram()
    root = ET.fromstring(encode(diagram, "svg"))
    assert "layer 2 backward, layer 1 backward" in root[1].text
    page = encode(diagram, "html").decode()
    assert "<details>\n<summary>The run in words</summary>" in page
    assert "z[2] = W[2] a[1] + b[2]" in page
    assert "Backward: loss backward, layer 2 backward" in encode(diagram, "md").decode()


def test_forward_only_tells_no_backward_pass(monkeypatch):
    monkeypatch.chdir(ROOT)
    story = described(*COURSE, "--forward-only")
    assert "Forward" in story and "backward:" not in story


def test_unknown_options_are_said_in_one_line():
    done = CliRunner().invoke(main, ["describe", "examples/mazur.py", "--view", "rows"])
    assert done.exit_code == 2 and "unknown view 'rows'" in done.output


def test_saved_trace_is_told_as_the_run_was(tmp_path):
    trace = mazur()
    trace.save(tmp_path / "run.trace")
    assert described(str(tmp_path / "run.trace")) == trace.describe()
    assert short(trace.diagram()) == trace.describe().partition("\n")[0]
