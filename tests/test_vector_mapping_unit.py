"""The minimum mapping unit by strips against the whole array, painted and labelled anew at each step."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label

from geodl.vector.mapping_unit import merge_small
from tests.test_vector_coverage import smooth_map
from tests.test_vector_polygons import NODATA, class_raster


def merged(classes, min_area, *, rows=None, connectivity=4, transform=None):
    raster = class_raster(classes)
    if transform is not None:
        raster = replace(raster, transform=transform)
    return merge_small(raster, min_area, connectivity=connectivity, strip_rows=rows)


def whole_array(classes, min_area, connectivity):
    """One region after the other, by its definition."""
    classes = classes.copy()
    while True:
        labels = label(classes, background=NODATA, connectivity=1 if connectivity == 4 else 2)
        flat = labels.ravel()
        sizes = {n: int((flat == n).sum()) for n in np.unique(flat) if n}
        small = [(size, int(np.argmax(flat == n)), n) for n, size in sizes.items() if size < min_area]
        if not small:
            return classes
        region = labels == min(small)[-1]
        borders = {}
        for axis in (0, 1):
            for step in (1, -1):
                other = np.roll(labels, step, axis)
                other[
                    (0, slice(None))[:: 1 - 2 * axis] if step == 1 else (-1, slice(None))[:: 1 - 2 * axis]
                ] = 0
                for n in other[region & (other != labels) & (other > 0)].tolist():
                    borders[n] = borders.get(n, 0) + 1
        if not borders:
            classes[region] = NODATA
            continue
        best = max(borders, key=lambda n: (borders[n], sizes[n], -int(np.argmax(flat == n))))
        classes[region] = classes[labels == best][0]


@settings(deadline=None, max_examples=80)
@given(
    classes=hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, NODATA])
    ),
    rows=st.integers(1, 6),
    min_area=st.integers(1, 12),
    connectivity=st.sampled_from([4, 8]),
)
def test_strips_give_the_map_of_the_whole_array(classes, rows, min_area, connectivity):
    raster = merged(classes, min_area, rows=rows, connectivity=connectivity)
    assert np.array_equal(raster.read(0, len(classes)), whole_array(classes, min_area, connectivity))


def test_a_real_size_is_read_by_any_rows():
    classes = smooth_map(300, 120, sigma=1.5)
    classes[40:60, 30:50] = NODATA
    whole = merged(classes, 30).read(0, 300)
    raster = merged(classes, 30, rows=32)
    pieces = [raster.read(start, min(start + 50, 300)) for start in range(0, 300, 50)]
    assert np.array_equal(np.concatenate(pieces), whole)
    labels = label(whole, background=NODATA, connectivity=1)
    assert np.bincount(labels.ravel())[1:].min() >= 30
    assert np.array_equal(whole == NODATA, classes == NODATA)


def test_borders_are_measured_in_metres_where_pixels_are_not_square():
    row = np.repeat([1, 4, 2], [6, 2, 6]).astype(np.uint8)
    classes = np.stack([row, row, np.full(14, 3, np.uint8)])
    wide, tall = Affine(10, 0, 0, 0, -1, 0), Affine(1, 0, 0, 0, -10, 0)
    for transform, neighbour in ((wide, 3), (tall, 1)):
        got = merged(classes, 5, transform=transform).read(0, 3)
        assert (got[:2, 6:8] == neighbour).all()


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_small_island_in_nodata_is_left_out(connectivity):
    classes = np.full((8, 8), NODATA, np.uint8)
    classes[1:3, 1:3] = 1
    classes[4:8, 4:8] = 2
    got = merged(classes, 5, connectivity=connectivity).read(0, 8)
    assert set(np.unique(got)) == {2, NODATA}
