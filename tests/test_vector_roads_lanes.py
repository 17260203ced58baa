"""Lanes that touch run past each other; roads that cross have one crossing."""

import numpy as np
import pytest
from shapely import LineString, Point, box, union_all

from geodl.vector.roads.lanes import part_lanes
from geodl.vector.roads.network import Network, Road
from geodl.vector.source import ConfidenceRaster
from tests.test_vector_roads import check_layers_fit, degrees, drawn, layers_of

UPPER, LOWER = [(-9, 93), (230, 93)], [(-9, 107), (230, 107)]  # 5 pixels between lanes of 9


def touching(start, stop):
    """Two lanes that the mask joins between two columns."""
    return drawn([UPPER, LOWER, ([((start + stop) / 2, 93), ((start + stop) / 2, 107)], stop - start)])


@pytest.mark.parametrize("length", [5, 12, 20])
def test_lanes_that_touch_stay_straight(length):
    edges, nodes = layers_of(touching(100 - length // 2, 100 + length // 2))
    assert degrees(nodes) == [1, 1, 1, 1, 3, 3]
    check_layers_fit(edges, nodes)
    lanes = union_all(edges.geometry[edges["length_px"] > 50])
    drawn_lanes = union_all([LineString(lane) for lane in (UPPER, LOWER)]) & box(0, 0, 200, 200)
    assert lanes.hausdorff_distance(drawn_lanes) < 2
    link = edges.geometry[edges["length_px"] < 50].iloc[0]
    assert link.length == pytest.approx(14, abs=2)
    assert link.centroid.x == pytest.approx(100, abs=3)


def test_lanes_that_bend_towards_each_other_are_parted():
    bent = [[(-9, y), (70, y), (100, 100 + (y - 100) * 0.6), (130, y), (230, y)] for y in (92, 108)]
    edges, nodes = layers_of(drawn(bent))
    assert degrees(nodes) == [1, 1, 1, 1, 3, 3]
    check_layers_fit(edges, nodes)


@pytest.mark.parametrize("angle", [14, 18, 25, 40, 90])
def test_roads_that_cross_have_one_crossing(angle):
    half = np.radians(angle / 2)
    ends = 130 * np.array([np.cos(half), np.sin(half)])
    roads = [[(100 - s * ends[0], 100 - ends[1]), (100 + s * ends[0], 100 + ends[1])] for s in (1, -1)]
    edges, nodes = layers_of(drawn(roads))
    assert degrees(nodes) == [1, 1, 1, 1, 4]
    check_layers_fit(edges, nodes)
    crossing = nodes.geometry[nodes["degree"] == 4].iloc[0]
    assert crossing.distance(Point(100, 100)) < 4.5
    truth = union_all([LineString(road) for road in roads]) & box(0, 0, 200, 200)
    assert union_all(edges.geometry).hausdorff_distance(truth) < 4.5  # half a road


def test_the_link_is_known_as_well_as_the_lanes():
    classes = touching(94, 106)
    certain = np.full(classes.shape, 0.5)
    certain[100:] = 0.75
    confidence = ConfidenceRaster(shape=classes.shape, read=lambda start, stop: certain[start:stop])
    edges, _ = layers_of(classes, confidence=confidence)
    link = edges[edges["length_px"] < 50]
    assert link["confidence"].tolist() == pytest.approx([0.625], abs=0.05)


def cross(*arms):
    """A node of four roads, each of points after the origin."""
    network = Network()
    network.place(0, np.zeros(2), 8.0)
    for end, arm in enumerate(arms, 1):
        points = np.array([(0, 0), *arm], np.float64)
        network.place(end, points[-1], 4.0)
        network.add(Road(u=0, v=end, points=points, width=8.0))
    return network


def test_lanes_need_room_between_them():
    apart, together = (
        cross(*[[(s * 8, t * gap), (s * 90, t * gap)] for s in (-1, 1) for t in (-1, 1)]) for gap in (6, 1.5)
    )
    for network in (apart, together):
        part_lanes(network)
    assert sorted(map(apart.degree, apart.at)) == [1, 1, 1, 1, 3, 3]
    assert sorted(map(together.degree, together.at)) == [1, 1, 1, 1, 4]


def test_a_loop_at_a_node_is_no_lane():
    network = cross([(-8, -6), (-90, -6)], [(-8, 6), (-90, 6)])
    loop = [(0, 0), (8, -6), (60, -6), (90, 0), (60, 6), (8, 6), (0, 0)]
    network.add(Road(u=0, v=0, points=np.array(loop, np.float64), width=8.0))
    part_lanes(network)
    assert sorted(map(network.degree, network.at)) == [1, 1, 4]


@pytest.mark.parametrize(("rows", "columns"), [(19, 64), (33, 31)])
def test_touching_lanes_do_not_depend_on_strips(rows, columns):
    classes = touching(60, 70) | touching(130, 144)
    classes |= classes.T
    whole = layers_of(classes)
    assert degrees(whole[1])[:10] == [1] * 8 + [3] * 2
    for one, other in zip(whole, layers_of(classes, strip_rows=rows, window_columns=columns), strict=True):
        assert one.equals(other)
