"""Shared exponents, arrays that are pictures, and gradients that there cannot be."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tracenet import tracer
from tracenet.bars import BARS, histogram
from tracenet.diagram import plain
from tracenet.figures import exponent, shown, statistics
from tracenet.images import LEAST, MOST, image, is_image
from tracenet.render import encode, palette
from tracenet.render.label import BAR_HEIGHT
from tracenet.render.palette import QUIET
from tracenet.render.placement import Box
from tracenet.render.sheet import sheet
from tracenet.render.theme import ROLES, levels

SMALL = st.floats(-1e-2, 1e-2, allow_subnormal=False)
DISC = np.hypot(*np.mgrid[-14:14, -14:14]) / 20
COLOURS = np.stack([DISC, DISC.T[::-1], 1 - DISC], axis=2)


# ---------------------------------------------------------------------- exponents


@pytest.mark.parametrize(
    ("array", "power", "first"),
    [
        ([1.2e-5, 9.9e-5], -5, "1.2"), ([1.2e-5, 0, -9.9e-4], -4, "0.12"), ([3e7, 2.5e8], 8, "0.3"),
        ([1.0, 2.0], 0, "1"), ([1e-5, 1.0], 0, "1e−05"), ([0.0, 0.0], 0, "0"), ([1e-5], 0, "1e−05"),
        ([9.99996e-5, 9.99996e-5], 0, "0.0001"), ([1e-5, np.nan], 0, "1e−05"), ([0, 10**9], 0, "0"),
    ],
)  # fmt: skip
def test_numbers_share_an_exponent_where_they_read_better_with_one(array, power, first):
    found = shown((), "x", np.array(array))
    assert found.exponent == power and found.grid[0][0] == first


@given(arrays.arrays(float, (2, 3), elements=SMALL), st.integers(1, 17))
def test_a_shared_exponent_changes_no_number(array, digits):
    found = shown((), "x", array, digits=digits)
    for text, x in zip((t for row in found.grid for t in row), array.ravel()):
        written = Decimal(text.replace("−", "-")).scaleb(found.exponent)
        assert float(written) == pytest.approx(x, rel=0.51 * 10 ** (1 - digits), abs=1e-300)
        assert text != "−0" and (not found.exponent or "e" not in text)


def test_a_number_by_itself_has_no_exponent_beside_it():
    assert exponent(np.array(1e-9)) == 0


@pytest.mark.parametrize("format", ["svg", "tex", "dot"])
def test_the_exponent_is_written_beside_the_numbers(format):
    def f(x, W):
        return np.sum(1e-5 * (x @ W))

    trace = tracer.trace(f, np.ones((2, 2)), np.array([[1.5], [2.5]])).backward()
    (gradient,) = [n for n in trace.diagram().nodes if n.kind == "gradient" and n.shown[0].grid]
    assert gradient.shown[0].grid == (("2",), ("2",)) and gradient.shown[0].exponent == -5
    text = encode(trace.diagram(), format).decode()
    assert {"svg": ">× 10<", "dot": "× 10<SUP>", "tex": r"{$\times 10^{-5}$}"}[format] in text


# ---------------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("array", "is_one"),
    [
        (DISC, True), (DISC[:, :, None], True), (COLOURS, True), (np.uint8(255 * DISC), True),
        (DISC - 0.5, False), (DISC * 3, False), (DISC[:7], False), (np.eye(28), False),
        (np.ones((28, 28)), False), (DISC[:, :9], False), (DISC.ravel(), False),
        (COLOURS[:, :, :2], False), (np.where(DISC > 0.5, np.nan, DISC), False),
        (np.int64(DISC * 9), False),
    ],
)  # fmt: skip
def test_what_is_taken_for_a_picture(array, is_one):
    assert is_image(array) == is_one


@given(st.integers(LEAST, 100), st.integers(LEAST, 100), st.sampled_from([0, 1, 3]))
def test_a_picture_of_any_size_is_drawn_in_few_squares(height, width, channels):
    shape = (height, width, channels) if channels else (height, width)
    array = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    rows = image(array)
    assert len(rows) == min(height, MOST) and {len(row) for row in rows} == {min(width, MOST)}


def test_black_stays_black_and_white_white():
    half = np.zeros((16, 16), np.uint8)
    half[:, 8:] = 255
    assert image(half)[0] == ("#000000",) * 8 + ("#ffffff",) * 8
    red = np.zeros((16, 16, 3))
    red[:, :8, 0] = 1
    assert image(red)[0] == ("#ff0000",) * 8 + ("#000000",) * 8


def test_no_colour_of_a_picture_is_one_of_a_theme():
    ours = {*ROLES.values(), *levels().values()}
    for colour in (*ours, "#000000", "#808080"):
        near = palette.pictured(colour)
        assert near not in ours
        pairs = zip(palette.channels(near), palette.channels(colour))
        assert max(abs(a - b) for a, b in pairs) <= 3
    assert palette.pictured("#808080") == "#808080"


def test_an_input_that_is_a_picture_is_drawn_as_one():
    def f(x, W):
        return np.sum(x.reshape(1, -1) @ W)

    trace = tracer.trace(f, DISC, np.ones((DISC.size, 1)))
    found = {node.kind: node for node in trace.diagram().nodes}
    (x,) = found["input"].shown
    assert len(x.image) == 28 and not x.heat
    assert not any(s.image for n in trace.diagram().nodes if n.kind != "input" for s in n.shown)
    for ground in ("light", "dark"):
        text = encode(trace.diagram(), "svg", ground=ground).decode()
        greys = {palette.pictured(colour) for row in x.image for colour in row}
        assert all(f'fill="{grey}"' in text for grey in greys)
    for format in ("dot", "tex", "pdf", "html"):
        assert encode(trace.diagram(legend=True), format)


# ---------------------------------------------------------------------- no gradient


def test_whole_numbers_are_not_differentiable_and_say_so():
    def f(x, k, W):
        return np.sum(x[k] @ W)

    def where(kind):
        trace = tracer.trace(f, np.ones((3, 2)), kind, np.ones((2, 1))).backward()
        left = [n for n in trace.diagram().nodes if n.kind == "gradient" and n.column == 0]
        return {plain(s.name): s.state for n in left for s in n.shown}

    assert where(np.array([0, 2])) == {"dx": "not computed", "dk": "not differentiable"}


# ---------------------------------------------------------------------- thumbnails


@given(arrays.arrays(float, st.integers(1, 40), elements=st.floats()))
def test_a_histogram_counts_every_finite_element(array):
    bars = histogram(array)
    finite = array[np.isfinite(array)]
    assert len(bars) == (BARS if finite.size else 0)
    if finite.size:
        assert max(bars) == 1 and min(bars) >= 0
    if finite.size and finite.min() == finite.max():
        assert sorted(bars)[-2] == 0


def test_a_histogram_has_the_counts_of_numpy():
    array = np.random.RandomState(0).randn(500)
    counts, _ = np.histogram(array, bins=BARS)
    assert histogram(array) == pytest.approx(counts / counts.max(), abs=1e-4)


def test_thumbnails_stand_where_numbers_would():
    small = np.arange(4.0).reshape(2, 2)
    drawn = shown((), "x", small, values="histogram")
    assert drawn.bars and drawn.summary[1:] and not drawn.grid and not drawn.heat
    drawn = shown((), "x", small, values="heatmap")
    assert len(drawn.heat) == 2 and drawn.summary == ("2 × 2 float64",) and not drawn.bars
    assert shown((), "x", 3.0, values="histogram").grid == (("3",),)


@pytest.mark.parametrize("values", ["heatmap", "histogram"])
def test_thumbnails_in_every_format(values):
    trace = tracer.trace(lambda x, W: np.sum(np.tanh(x @ W)), np.ones((2, 3)), np.eye(3)).backward()
    diagram = trace.diagram(values=values, legend=True)
    for format in ("svg", "pdf", "tex", "html", "dot", "json", "md"):
        assert encode(diagram, format)
    marks = [mark for _, group in sheet(diagram).groups for mark in group]
    tallest = {mark.height for mark in marks if isinstance(mark, Box) and mark.fill == QUIET}
    assert (BAR_HEIGHT in tallest) == (values == "histogram")


def test_a_mean_that_is_rounding_noise_is_zero():
    assert statistics(np.array([0.1, 0.2, -0.3]))["mean"] == 0  # 1.85e-17 by NumPy
    assert statistics(np.array([1.0, -1.0 + 1e-9]))["mean"] == pytest.approx(5e-10)
    assert statistics(np.array([-128, 127], dtype=np.int8))["mean"] == -0.5
