"""Side roads that stop just short of the road that they leave."""

import numpy as np
import pytest
from shapely import LineString, Point

from geodl.vector import VectorOptions
from geodl.vector.source import ConfidenceRaster
from tests.test_vector_roads import check_layers_fit, degrees, drawn, layers_of

STREET = [(20, 60), (180, 60)]
NAMES = {1: "road", 2: "building"}


def test_a_side_road_runs_on_into_the_street():
    edges, nodes = layers_of(drawn([STREET, [(100, 75), (90, 180)]]))
    assert degrees(nodes) == [1, 1, 1, 3]
    check_layers_fit(edges, nodes)
    mouth = nodes.geometry[nodes["degree"] == 3].iloc[0]
    assert mouth.distance(Point(101.4, 60)) < 2  # where the line of the side road meets that of the street
    assert edges["length_px"].sum() == pytest.approx(
        160 + LineString([(101.4, 60), (90, 180)]).length, rel=0.03
    )
    assert edges["width_px"].tolist() == pytest.approx([9, 9, 9], abs=1)


def test_side_roads_from_both_sides_make_one_crossing():
    edges, nodes = layers_of(drawn([STREET, [(100, 75), (100, 180)], [(102, 45), (102, 8)]]))
    assert degrees(nodes) == [1, 1, 1, 1, 4]
    check_layers_fit(edges, nodes)


def test_several_side_roads_cut_a_street_in_order():
    sides = [[(x, 75), (x, 180)] for x in (50, 100, 150)]
    edges, nodes = layers_of(drawn([STREET, *sides]))
    assert degrees(nodes) == [1, 1, 1, 1, 1, 3, 3, 3]
    check_layers_fit(edges, nodes)
    along = edges.geometry.centroid.x[edges.geometry.centroid.y < 65].sort_values()
    assert np.diff(along) == pytest.approx([40, 50, 40], abs=4)


def test_a_mouth_beside_a_junction_takes_its_node():
    edges, nodes = layers_of(drawn([STREET, [(100, 60), (100, 8)], [(102, 76), (102, 180)]]))
    assert degrees(nodes) == [1, 1, 1, 1, 4]
    check_layers_fit(edges, nodes)


@pytest.mark.parametrize(
    ("roads", "why"),
    [
        ([STREET, [(100, 95), (100, 180)]], "the gap is wide"),
        ([STREET, [(100, 77), (100, 100)]], "it is too short to tell where it leads"),
        ([(STREET, 3), ([(70, 66), (180, 106)], 3)], "it runs along the street rather than towards it"),
        ([[(20, 60), (90, 60)], [(94, 74), (94, 180)]], "it runs past the end of the street"),
    ],
)
def test_ends_that_lead_to_no_street_stay(roads, why):
    _, nodes = layers_of(drawn(roads))
    assert degrees(nodes) == [1, 1, 1, 1], why


@pytest.mark.parametrize(("value", "joined"), [(0, True), (2, False), (255, False), (3, True)])
def test_no_road_goes_through_a_building_or_through_nothing(value, joined):
    classes = drawn([STREET, [(100, 78), (90, 180)]])
    classes[66:72, 80:120] = value
    _, nodes = layers_of(classes, names=NAMES)
    assert degrees(nodes) == ([1, 1, 1, 3] if joined else [1, 1, 1, 1])


@pytest.mark.parametrize(("value", "joined"), [(0, True), (2, False), (255, False)])
def test_no_gap_is_bridged_through_a_building_or_through_nothing(value, joined):
    classes = drawn([[(20, 60), (180, 100)]])
    classes[:, 95:107] = 0
    classes[:, 99:102] = value
    _, nodes = layers_of(classes, names=NAMES)
    assert degrees(nodes) == ([1, 1] if joined else [1, 1, 1, 1])


def test_a_road_may_come_back_to_itself_after_a_while():
    course = [(60, 30), (60, 170), (150, 170), (150, 100), (76, 100)]
    edges, nodes = layers_of(drawn([course]))
    assert degrees(nodes) == [1, 3]
    check_layers_fit(edges, nodes)
    assert (edges["u"] == edges["v"]).sum() == 1


def test_the_parts_of_a_street_keep_what_was_known_of_it():
    classes = drawn([STREET, [(100, 75), (100, 180)]])
    certain = np.full(classes.shape, 0.5)
    certain[:68] = 0.75
    confidence = ConfidenceRaster(shape=classes.shape, read=lambda start, stop: certain[start:stop])
    edges, _ = layers_of(classes, confidence=confidence)
    assert sorted(edges["confidence"].tolist()) == pytest.approx([0.5, 0.75, 0.75])


@pytest.mark.parametrize(("rows", "columns"), [(7, 64), (33, 31), (61, 200)])
def test_mouths_do_not_depend_on_strips(rows, columns):
    classes = drawn([STREET, ([(5, 130), (195, 140)], 5), *[[(x, 76), (x, 118)] for x in (30, 70, 110, 150)]])
    classes[70:72, 60:80] = 2
    options = {"names": NAMES, "options": VectorOptions(min_area=0)}
    whole = layers_of(classes, **options)
    assert degrees(whole[1]) == [1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3]
    for one, other in zip(
        whole, layers_of(classes, strip_rows=rows, window_columns=columns, **options), strict=True
    ):
        assert one.equals(other)
