"""Settings and arrays as a file holds them: everything comes back as it was."""

import json
import math
import zipfile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.sameness import same
from tracenet.store.arrays import Entries, Pools
from tracenet.store.coding import Decoder, Encoder
from tracenet.strides import dense


class Kept:
    """Pools that are read without a file between."""

    def __init__(self):
        self.arrays = []

    def add(self, array):
        self.arrays.append(array.copy())
        return len(self.arrays) - 1


def through(x):
    kept = Kept()
    return Decoder(kept.arrays)(json.loads(json.dumps(Encoder(kept.add)(x), allow_nan=False)))


DTYPES = hnp.scalar_dtypes() | hnp.byte_string_dtypes(min_len=1)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text()
    | st.binary() | st.just(...) | st.just(np._NoValue) | DTYPES | ARRAYS
    | st.sampled_from([float, int, np.float32, np.int64, np.bool_, np.transpose, np.swapaxes])
    | hnp.from_dtype(np.dtype("f4")) | st.integers(2**70, 2**90)
    | st.builds(slice, *[st.none() | st.integers(-9, 9)] * 3)
)  # fmt: skip
KEYS = st.text(max_size=5) | st.integers() | st.none() | st.tuples(st.integers(), st.text())
SETTINGS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(SETTINGS)
def test_settings_come_back(settings):
    assert same(through(settings), settings)


@given(hnp.arrays(object, hnp.array_shapes(), elements=st.integers() | st.text() | st.none()))
def test_arrays_of_objects_come_back(array):
    assert same(through(array), array)


def test_what_has_no_form_keeps_its_text():
    class Odd:
        def __repr__(self):
            return "odd <repr>"

        def __str__(self):
            return "odd"

    back = through({"a": Odd(), "b": [math.sin]})
    assert (repr(back["a"]), str(back["a"])) == ("odd <repr>", "odd")
    assert repr(back["b"][0]) == repr(math.sin)
    assert same(repr(through(back)), repr(back))


VIEWS = st.sampled_from([
    lambda x: x, lambda x: x.T, lambda x: x[::-1], lambda x: x[:, 1:], lambda x: x[..., None],
    lambda x: np.broadcast_to(x[None], (5, *x.shape)), lambda x: x[:0],
    lambda x: np.moveaxis(x, 0, -1), lambda x: np.asfortranarray(x),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
])  # fmt: skip


@given(hnp.arrays(DTYPES, st.tuples(*[st.integers(3, 5)] * 3)), st.lists(VIEWS, min_size=1))
def test_arrays_of_every_layout_come_back(tmp_path_factory, base, views):
    pools = Pools()
    arrays = [view(base) for view in views] + [views[0](views[-1](base))]
    numbers = [pools.add(array) for array in arrays]
    path = tmp_path_factory.getbasetemp() / "arrays.zip"
    with zipfile.ZipFile(path, "w") as file:
        pools.write(lambda name: file.open(name, "w"))
    with zipfile.ZipFile(path) as file:
        entries = Entries(json.loads(json.dumps(pools.entries)), file)
    for number, array in zip(numbers, arrays):
        assert same(entries[number], array)
        assert same(dense(array), array)
        lengths = np.array(array.shape) > 1
        steps, own = (np.array(a.strides)[lengths] for a in (entries[number], dense(array)))
        assert array.size == 0 or steps.tolist() == own.tolist()
