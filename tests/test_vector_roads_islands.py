"""Islands within roads: slits between lanes go, roundabouts and blocks of houses stay."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Point

from geodl.vector.roads.ground import Ground
from geodl.vector.roads.islands import without_islands
from tests.test_vector_roads import HALF_METRE, UTM, check_layers_fit, degrees, drawn, layers_of
from tests.test_vector_roads_skeleton import blobs, masks, skeleton_of

REACH = {"smallest": 4, "longest": 30, "reach": 20}


def filled(mask, scale=(1.0, 1.0), **reach):
    return without_islands(mask, scale, **REACH | reach)


def road_with(*islands, shape=(40, 60), road=slice(5, 35)):
    """A road of 30 rows with rectangular islands of (rows, columns)."""
    mask = np.zeros(shape, bool)
    mask[road] = True
    for rows, columns in islands:
        mask[slice(*rows), slice(*columns)] = False
    return mask


@pytest.mark.parametrize(
    ("rows", "columns", "goes"),
    [
        ((6, 8), (30, 32), True),  # small, although at the edge of the road
        ((19, 22), (20, 45), True),  # a slit between lanes of 14 and 13 pixels
        ((15, 25), (20, 45), False),  # lanes of 10 pixels beside an island as wide
        ((8, 11), (20, 45), False),  # a lane of 3 pixels beside it
        ((19, 22), (10, 45), False),  # longer than is looked at
        ((17, 22), (30, 35), True),  # a refuge
        ((14, 26), (24, 36), False),  # the middle of a roundabout
    ],
)
def test_islands_go_where_both_lanes_are_twice_as_wide(rows, columns, goes):
    mask = road_with((rows, columns))
    assert np.array_equal(filled(mask), mask | goes & road_with())


def test_islands_are_measured_on_the_ground():
    across, along = road_with(((19, 22), (20, 45))), road_with(((15, 25), (20, 45)))
    assert not filled(across, (1.0, 1.0), reach=4)[20, 30]  # its lanes are out of reach
    assert filled(across, (4.0, 1.0))[20, 30]
    assert filled(along, (0.1, 1.0), reach=100)[20, 30]  # 2.5 wide, with 10 on both sides


def test_each_island_is_judged_with_the_others_in_place():
    """Two slits side by side part the lane between them whichever comes first."""
    mask = road_with(((12, 16), (20, 45)), ((20, 24), (20, 45)))
    assert np.array_equal(filled(mask), mask)


@settings(deadline=None, max_examples=60)
@given(
    mask=masks, smallest=st.integers(0, 6), longest=st.integers(1, 9), reach=st.integers(1, 6), data=st.data()
)
def test_no_pixel_depends_on_others_far_away(mask, smallest, longest, reach, data):
    halo = smallest + longest + reach
    steps = {"smallest": smallest, "longest": longest, "reach": reach}
    whole = filled(mask, **steps)
    top, left = (data.draw(st.integers(0, size - 1)) for size in mask.shape)
    first, start = max(0, top - halo), max(0, left - halo)
    part = filled(mask[first : top + 8 + halo, start : left + 8 + halo], **steps)
    core = whole[top : top + 8, left : left + 8]
    own = slice(top - first, top - first + core.shape[0]), slice(left - start, left - start + core.shape[1])
    assert np.array_equal(part[own], core)


def lanes(gap, rungs, width=9):
    """Two lanes of a road with `gap` pixels between them, which touch at columns `rungs`."""
    upper, lower = 60, 60 + width + gap
    road = [([(-9, y), (230, y)], width) for y in (upper, lower)]
    return drawn([*road, *[([(x, upper), (x, lower)], 6) for x in rungs]])


def test_lanes_that_touch_now_and_then_are_one_road():
    edges, nodes = layers_of(lanes(3, range(3, 200, 24)))
    assert degrees(nodes) == [1, 1]
    assert edges.geometry[0].hausdorff_distance(LineString([(0.5, 66), (199.5, 66)])) < 1.5
    assert edges["width_px"].tolist() == pytest.approx([21], abs=1)


def test_lanes_apart_stay_two_roads_with_links():
    edges, nodes = layers_of(lanes(12, range(40, 200, 40)))
    assert degrees(nodes) == [1] * 4 + [3] * 8
    check_layers_fit(edges, nodes)


@pytest.mark.parametrize(
    ("roads", "expected"),
    [
        ([(Point(100, 100).buffer(9).exterior.coords, 6), ([(20, 100), (90, 100)], 6)], [1, 3]),
        ([([(100, 190), (100, 120), (85, 105), (100, 90), (115, 105), (100, 120)], 8)], [1, 3]),
        ([([(60, 60), (140, 60), (140, 75), (60, 75), (60, 60)], 7), ([(20, 60), (60, 60)], 7)], [1, 3]),
    ],
    ids=["roundabout", "cul-de-sac", "block of houses"],
)
def test_real_loops_stay(roads, expected):
    _, nodes = layers_of(drawn(roads))
    assert degrees(nodes) == expected


def test_what_a_slit_is_does_not_depend_on_the_pixel():
    """Lanes of 9 pixels with 3 pixels between them, as pixels of half a metre and of one."""
    fine = np.kron(lanes(3, range(3, 200, 24)), np.ones((2, 2), np.uint8))
    edges, nodes = layers_of(fine, crs=UTM, transform=HALF_METRE)
    assert degrees(nodes) == [1, 1]
    assert edges["width_m"].tolist() == pytest.approx([21], abs=1)


@pytest.mark.parametrize(("rows", "columns"), [(64, 50), (37, 300), (200, 33)])
def test_slits_do_not_depend_on_windows(rows, columns):
    """With windows smaller than the slits."""
    ground = Ground(scale=(4.0, 4.0), unit="m", transform=Affine.identity(), crs=None)
    mask = blobs(5, (300, 300), 5, 0.6) & ~blobs(6, (300, 300), 1.2, 0.05)
    assert filled(mask, longest=12, reach=8).sum() > filled(mask, longest=0).sum() > mask.sum()
    whole, width = skeleton_of(mask, ground)
    cut, cut_width = skeleton_of(mask, ground, strip_rows=rows, window_columns=columns)
    assert np.array_equal(whole, cut)
    assert np.array_equal(width, cut_width)
