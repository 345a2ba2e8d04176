"""Runs that are not whole, and names and values that are not usual: in every format, and in words."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.render import geometry
from tests.render.test_more_formats import compiled
from tracenet import tracer
from tracenet.diagram import plain
from tracenet.render import encode

FORMATS = ("svg", "png", "pdf", "tex", "html", "md", "dot", "json")
NAMES = (
    "σβ", "权重", "وزن", "😀", "<b>", "&amp;", '"q"', "a'b", "W" * 300, "\\frac{x}$%#_^~",
    "</svg>", "]]>", "", " ", "שלום", "\n", "\u202e", "|x|", "`code`",
)  # fmt: skip
X = np.array([[1.5], [-2.0], [0.25]])
W = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])


def forward_only(x, W):
    h = np.tanh(W @ x)
    return h


def several(x, W):
    a = np.tanh(W @ x)
    b = a.sum()
    return a, b, {"c": a * 2}


def unused(x, extra, W, W9):
    return np.sum((W @ x) ** 2)


def fails(x, W):
    h = np.tanh(W @ x)
    return h @ np.ones((7, 2))


def total(x):
    return np.sum(x * 2)


def failed(function, *arguments):
    with pytest.raises(ValueError) as caught:
        tracer.trace(function, *arguments)
    return caught.value.tracenet_trace


def fails_at_once(x):
    raise ValueError("no <b> & none")


def named(p):
    t = 0.0
    for key in p:
        t = t + np.sum(p[key] * 2)
    return t


def blocks(x):
    for name in NAMES:
        if name.strip():
            with tracer.block(name):
                x = np.tanh(x * 2)
    return x.sum()


def mixed(x, s, flag, n, z):
    y = x * (2 if flag else 1)
    k = z * 2
    return np.sum(y) + n + k.real


RUNS = {
    "forward only": lambda: tracer.trace(forward_only, X, W),
    "several": lambda: tracer.trace(several, X, W),
    "unused": lambda: tracer.trace(unused, X, np.ones((4, 4)), W, np.ones((2, 2))).backward(),
    "failed": lambda: failed(fails, X, W),
    "failed at once": lambda: failed(fails_at_once, X),
    "one box": lambda: tracer.trace(total, 2.0),
    "nothing": lambda: tracer.trace(lambda: 3),
    "as it came": lambda: tracer.trace(lambda x: x, X),
    "empty array": lambda: tracer.trace(total, np.zeros((0, 3))).backward(),
    "no axes": lambda: tracer.trace(total, np.array(2.5)).backward(),
    "not finite": lambda: tracer.trace(total, np.array([np.nan, np.inf, -np.inf, 0])).backward(),
    "NaN in many": lambda: tracer.trace(total, np.r_[np.nan, np.ones(99)].reshape(10, 10)),
    "bool": lambda: tracer.trace(total, np.array([True, False])),
    "int": lambda: tracer.trace(total, np.array([1, -(2**62)])),
    "complex": lambda: tracer.trace(total, np.array([1 + 2j, -1j])),
    "mixed": lambda: tracer.trace(mixed, X, "hello <b>", True, 3, 2 + 1j),
    "names": lambda: tracer.trace(named, {name: np.ones(2) for name in NAMES}).backward(),
    "blocks": lambda: tracer.trace(blocks, X).backward(),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    return request.param, RUNS[request.param]()


def written(run, format):
    return encode(run.diagram(), format)


def test_all_formats_are_written(run):
    _, trace = run
    assert {format for format in FORMATS if len(written(trace, format)) > 40} == set(FORMATS)
    json.loads(written(trace, "json"))
    assert written(trace, "png")[1:4] == b"PNG" and written(trace, "pdf").startswith(b"%PDF")


def test_texts_stay_in_their_boxes(run):
    name, trace = run
    for id, group in geometry.groups(written(trace, "svg"), "node").items():
        if not any("H" in path.attrib["d"] for path in group.findall(f"{geometry.NS}path")):
            box = geometry.box(group)
            assert all(box.holds(text) for text in geometry.texts(group)), (name, id)


def test_every_view_is_drawn_and_told(run):
    _, trace = run
    for view in ("blocks", "network", "cache", "ops", "circuit"):
        geometry.root(encode(trace.diagram(view), "svg"))
        assert trace.describe(view=view).isprintable() is False  # lines, and nothing but lines
        assert not set(trace.describe(view=view)) & {"\x00", "\r", "\x0b", "\x1b"}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)


def test_names_are_never_markup():
    trace = RUNS["names"]()
    tags = Tags()
    tags.feed(written(trace, "html").decode())
    assert "b" not in tags.seen and "svg" in tags.seen
    assert "<b>" not in written(trace, "svg").decode()
    assert "\\<b\\>" in written(trace, "md").decode()
    assert "<b>" in trace.describe()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
@pytest.mark.parametrize("name", ["names", "blocks", "not finite", "unused", "failed at once"])
def test_tex_compiles(name, tmp_path):
    compiled(tmp_path, "picture.tex", written(RUNS[name](), "tex").decode())


def test_what_is_in_no_operation_is_grey_and_said():
    trace = RUNS["unused"]()
    cells = {s.key: s for node in trace.diagram().nodes for s in node.shown}
    assert {key for key, s in cells.items() if s.state == "unused"} == {"extra", "W9"}
    assert not cells["extra"].grid and cells["x"].grid
    assert "in no operation" in " ".join(
        geometry.words(g) for g in geometry.groups(written(trace, "svg"), "node").values()
    )
    assert "In no operation: extra, W[9]." in trace.describe()
    assert "in no operation" in written(trace, "dot").decode()


def test_inputs_of_usual_runs_are_in_operations():
    for name in ("forward only", "several", "not finite"):
        assert "unused" not in {s.state for n in RUNS[name]().diagram().nodes for s in n.shown}


def test_place_of_a_failure_is_marked_and_said():
    trace = RUNS["failed"]()
    box = next(node for node in trace.diagram().nodes if node.mark == "wrong")
    assert plain(box.title).startswith("failed here, line ") and "mismatch" in box.remark
    assert any(edge.head == box.id for edge in trace.diagram().edges)
    assert "ValueError: matmul" in trace.describe()


def test_several_outputs_are_all_given():
    lines = [line for line in RUNS["several"]().describe().splitlines() if "gives" in line]
    assert [line.split()[1] for line in lines] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["nothing", "as it came"])
def test_an_empty_trace_is_not_an_empty_picture(name):
    assert "nothing was recorded" in RUNS[name]().describe()
    assert "nothing was recorded" in written(RUNS[name](), "md").decode()
