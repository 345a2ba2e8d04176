"""How numbers and arrays are written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tracenet.diagram import Diagram, Edge, Node
from tracenet.figures import HEAT, ROW, SIDE, number, shown
from tracenet.heatmaps import together

DTYPES = st.one_of(
    arrays.floating_dtypes(endianness="="), arrays.integer_dtypes(endianness="="),
    arrays.unsigned_integer_dtypes(endianness="="), arrays.boolean_dtypes(),
    arrays.complex_number_dtypes(endianness="="),
)  # fmt: skip
ARRAYS = arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=12))


@given(ARRAYS, st.integers(1, 17), st.sampled_from(["full", "summary", "shapes", "none"]))
def test_any_array_is_shown_in_little_room(array, digits, values):
    found = shown((), "x", array, values=values, digits=digits)
    assert len(found.grid) <= max(SIDE, 1) and all(len(row) <= ROW for row in found.grid)
    assert len(found.heat) <= HEAT[0] and all(len(row) <= HEAT[1] for row in found.heat)
    assert all(x is None or -1 <= x <= 1 for row in found.heat for x in row)
    assert len(found.summary) <= 6
    written = [*(text for row in found.grid for text in row), *found.summary]
    assert all(len(text) <= 80 and "-0" not in text for text in written)
    assert "−0" not in {text for row in found.grid for text in row}
    assert found.grid or found.summary or values == "none"


@given(st.floats(-1e300, 1e300), st.integers(1, 17))
def test_a_number_is_as_near_as_its_digits_allow(x, digits):
    written = float(number(x, digits).replace("−", "-"))
    assert written == pytest.approx(x, rel=0.51 * 10 ** (1 - digits), abs=5e-324)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.15, "0.15"), (-0.0, "0"), (8.77135e-06, "8.771e−06"), (0.00877135, "0.008771"),
        (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞"), (-7, "−7"), (10**400, "1.000e+400"),
        (np.float32(0.15), "0.15"), (np.float16(0.1), "0.1"), (1 - 2j, "1−2j"), (12345.678, "12350"),
        (np.int8(-128), "−128"), (np.bool_(True), "True"), (0.1 + 0.2, "0.3"), (9.99996e-5, "0.0001"),
    ],
)  # fmt: skip
def test_numbers(x, text):
    assert number(x) == text


def test_seventeen_digits_bring_no_noise():
    assert [number(x, 17) for x in (0.15, np.float32(0.15))] == ["0.15", "0.15"]


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.0, "float"),
        (1, "int"),
        (True, "bool"),
        (np.float32(1), "float32"),
        (np.eye(2), "float64"),
    ],
)
def test_dtypes(data, dtype):
    assert shown((), "x", data).dtype == dtype


def test_modes():
    array = np.eye(2)
    assert shown((), "x", array).grid == (("1", "0"), ("0", "1"))
    assert not shown((), "x", array, values="summary").grid
    assert shown((), "x", array, values="shapes").summary == ("2 × 2 float64",)
    assert shown((), "x", array, values="none").shape == ()
    assert shown((), "x", 0.5, values="summary").grid == (("0.5",),)
    assert shown((), "x", None, state="not computed").data is None


def test_states():
    assert shown((), "x", np.array([1, np.nan, np.inf])).state == "NaN"
    assert shown((), "x", np.array([1, -np.inf]), state="random").state == "infinite"
    assert shown((), "x", np.ones(3), state="random").state == "random"


def test_a_summary_counts_what_is_not_a_number():
    array = np.ones((20, 20))
    array[0, :5], array[1, 0] = np.nan, np.inf
    lines = shown((), "x", array).summary
    assert lines == ("20 × 20 float64", "min 1", "mean 1", "max 1", "NaN 1%", "∞ <1%")


def test_heat_keeps_zero_and_scales_by_the_largest():
    array = np.zeros((100, 160))
    array[:10, :10], array[90:, 150:] = -4, 2
    heat = shown((), "x", array).heat
    assert (heat[0][0], heat[9][15], heat[5][5]) == (-1, 0.5, 0)
    assert (len(heat), len(heat[0])) == HEAT


def test_heat_of_more_axes_is_that_of_the_first_matrix():
    cross = np.eye(6)
    images = np.stack([cross, np.ones((6, 6))])[:, None]  # (N, C, H, W)
    item = shown((), "x", images)
    assert item.heat == shown((), "x", cross).heat and item.summary[-1] == "drawn [0, 0, :, :]"
    behind = shown((), "x", np.stack([cross, 0 * cross, 0 * cross], axis=-1)[None])
    assert behind.heat == item.heat and behind.summary[-1] == "drawn [0, :, :, 0]"
    alone = shown((), "x", cross[None, :, :, None])
    assert alone.heat == item.heat and "drawn" not in " ".join(alone.summary)


def test_an_array_beyond_all_others_leaves_them_their_colours():
    arrays = [np.linspace(-1, 1, 40), np.linspace(-4, 4, 40), np.linspace(-1e9, 0, 40)]
    edges = tuple(
        Edge(f"e{i}", "n0", "n1", "data", (shown((), f"v{i}", array),))
        for i, array in enumerate(arrays)
    )
    one, two, mask = (e.shown[0] for e in together(Diagram("", "blocks", (), edges)).edges)
    assert one.scale == two.scale < 5 and max(map(abs, two.heat[0])) == 1
    assert mask.scale > 1e8 and max(map(abs, mask.heat[0])) == 1


def test_heatmaps_of_a_kind_share_a_scale():
    small, large = np.linspace(-1, 1, 40), np.linspace(-4, 4, 40)
    nodes = [
        Node(f"n{i}", kind, 0, i, "", shown=(shown((), key, array),))
        for i, (kind, key, array) in enumerate(
            [
                ("parameter", "W1", small),
                ("parameter", "W2", large),
                ("parameter", "b", 0 * large),
                ("cache", "W1", small),
                ("input", "x", small),
            ]
        )
    ]
    found = together(Diagram("", "blocks", tuple(nodes), ())).nodes
    first, second, zeros, kept, other = (node.shown[0] for node in found)
    assert max(map(abs, second.heat[0])) == 1 and second.scale == first.scale == kept.scale
    assert (
        max(map(abs, first.heat[0])) == pytest.approx(1 / 4, abs=0.01) and kept.heat == first.heat
    )
    assert not any(zeros.heat[0])
    assert max(map(abs, other.heat[0])) == 1, "an input is no parameter"
