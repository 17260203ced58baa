import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.pixels import RowReader, slab_rows
from geodl.scene import open_scene, valid_mask
from geodl.scene.reader import FileBands
from geodl.tiles import Window, reflect
from tests.conftest import write_scene

LAYOUTS = {
    "tiled": {},
    "striped": {"tiled": False, "blockysize": 8, "blockxsize": 310},
    "one strip": {"tiled": False, "blockysize": 230, "blockxsize": 310},
    "band-interleaved": {"interleave": "band"},
    "band-interleaved strips": {
        "interleave": "band", "tiled": False, "blockysize": 8, "blockxsize": 310
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=LAYOUTS, ids=str)
def scene(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("layout") / "scene.tif"
    return open_scene(write_scene(path, compress="deflate", **LAYOUTS[request.param]))


@pytest.fixture(autouse=True, scope="module")
def low_slabs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geodl.pixels.SLAB", 16)
        yield


@given(
    first=st.integers(-300, 310),
    width=st.integers(1, 400),
    steps=st.lists(st.tuples(st.integers(-40, 90), st.integers(1, 120)), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=25)
def test_rows_are_those_of_the_scene_continued_by_reflection(scene, first, width, steps):
    pixels, mask = scene.values, valid_mask(scene).values
    reader = RowReader(scene, first, first + width)
    columns = reflect(first, first + width, 310)
    row = -30
    for step, height in steps:
        row += step
        reader.load(row - 3, row + height + 5)
        values, valid = reader.cut(Window(row, first, height, width))
        rows = reflect(row, row + height, 230)
        np.testing.assert_array_equal(values, pixels[:, rows[:, None], columns])
        np.testing.assert_array_equal(valid, mask[rows[:, None], columns])


def test_rows_asked_for_in_order_are_read_once(scene, monkeypatch):
    read = np.zeros(230, int)
    real = FileBands.read

    def counts(self, indexes, rows, columns):
        read[rows] += 1
        return real(self, indexes, rows, columns)

    monkeypatch.setattr(FileBands, "read", counts)
    reader = RowReader(scene, -20, 330)
    for row in range(-20, 240, 40):
        reader.load(row - 16, row + 56)
    calls = len(scene.chunks[0]) * len(scene.chunks[2])  # of one row: per chunk of bands and of columns
    assert read.max() <= calls
    assert 16 <= slab_rows(scene) <= 230
