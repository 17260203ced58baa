"""Single buildings: numbered alike whatever the strips, never two insides in one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from geodl.vector.buildings.instances import REACH, find_instances
from geodl.vector.buildings.roles import EDGE, INSIDE, Roles, find_roles
from geodl.vector.source import ClassRaster

role_arrays = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 10)), elements=st.sampled_from([0, 1, 2])
)


def numbered(roles, strip_rows, *, edges=True, pieces=None):
    found = find_instances(
        lambda start, stop: roles[start:stop], roles.shape, edges=edges, strip_rows=strip_rows
    )
    height, pieces = len(roles), pieces or len(roles)
    parts = [found.read(row, min(row + pieces, height)) for row in range(0, height, pieces)]
    return np.concatenate(parts), found.top


def class_raster(classes, nodata=255):
    return ClassRaster(
        shape=classes.shape, crs=None, transform=None, nodata=nodata, read=lambda a, b: classes[a:b]
    )


@settings(deadline=None, max_examples=60)
@given(roles=role_arrays, strip=st.integers(1, 30), pieces=st.integers(1, 30), edges=st.booleans())
def test_strips_give_what_the_whole_raster_gives(roles, strip, pieces, edges):
    whole, top = numbered(roles, len(roles), edges=edges)
    parts, other_top = numbered(roles, strip, edges=edges, pieces=pieces)
    assert np.array_equal(whole, parts)
    assert np.array_equal(top, other_top)


@settings(deadline=None, max_examples=60)
@given(roles=role_arrays)
def test_a_building_is_one_piece_and_holds_one_inside_at_most(roles):
    numbers, top = numbered(roles, 7)
    assert set(np.unique(numbers)) - {0} == set(range(1, len(top) + 1))
    assert np.array_equal(numbers > 0, roles > 0)
    inside, count = ndimage.label(roles == INSIDE)
    for component in range(1, count + 1):
        assert len(np.unique(numbers[inside == component])) == 1
    for number in range(1, len(top) + 1):
        assert ndimage.label(numbers == number)[1] == 1
        assert len(np.unique(inside[(numbers == number) & (inside > 0)])) <= 1
        assert top[number - 1] <= np.flatnonzero((numbers == number).any(axis=1))[0]
    assert (np.diff(top) >= 0).all()


@settings(deadline=None, max_examples=60)
@given(roles=role_arrays)
def test_without_edges_buildings_are_components(roles):
    numbers, _ = numbered(roles, 5, edges=False)
    expected, _ = ndimage.label(roles == INSIDE)
    assert np.array_equal(numbers, expected)  # scipy numbers by the first pixel too


def test_a_row_of_houses_is_parted_in_the_middle_of_its_walls():
    roles = np.full((12, 40), EDGE, np.uint8)
    for left in range(0, 40, 10):
        roles[2:10, left + 2 : left + 8] = INSIDE
    numbers, _ = numbered(roles, 4)
    assert np.array_equal(numbers, np.broadcast_to(np.arange(40) // 10 + 1, (12, 40)))


def test_edges_out_of_reach_are_buildings_of_their_own():
    roles = np.zeros((3, 3 + REACH + 4), np.uint8)
    roles[1, 1:] = EDGE
    roles[1, 1] = INSIDE
    numbers, _ = numbered(roles, 2)
    assert np.array_equal(numbers[1], [0] + [1] * (REACH + 1) + [2] * (roles.shape[1] - REACH - 2))


@pytest.mark.parametrize(
    ("values", "names", "chosen", "roles"),
    [
        ([0, 1, 2, 255], {1: "building", 2: "building edge"}, None, [0, 1, 2, 0]),
        ([0, 1, 2, 255], {1: "Road", 2: "Building"}, None, [0, 0, 1, 0]),
        ([0, 1, 2, 255], {}, None, [0, 1, 0, 0]),
        ([0, 3, 2, 255], {}, None, [0, 1, 1, 0]),
        ([0, 1, 2, 255], {1: "building", 2: "building edge"}, 2, [0, 0, 1, 0]),
    ],
)
def test_which_classes_are_buildings(values, names, chosen, roles):
    classes = np.array([values], np.uint8)
    assert find_roles(class_raster(classes), names, chosen).of(classes)[0].tolist() == roles


def test_nodata_is_never_a_building():
    assert Roles(value=None, edge=None, nodata=-1).of(np.array([-1, 0, 7])).tolist() == [0, 0, 1]
