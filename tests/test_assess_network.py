"""Lines against lines."""

import json
from pathlib import Path

import geopandas
import networkx
import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiLineString, Point, box

from geodl.assess.vectors import NetworkOptions, apls, assess_vectors, relaxed
from geodl.assess.vectors.apls import PathOptions, control_points, path_similarity
from geodl.assess.vectors.network import network_of
from geodl.assess.vectors.relaxed import near_share
from geodl.cli import main
from geodl.errors import OptionError, SceneError

TRUTH = Path(__file__).parents[1] / "sample_scenes/truth"
EAST, NORTH = 500_000.0, 5_300_000.0  # on the central meridian, where UTM is locally a plane in metres
NODES_ONLY = PathOptions(spacing=1e6)


def layer(path, lines, crs="EPSG:32632", to=None, name=None):
    moved = [shapely.affinity.translate(line, EAST, NORTH) for line in lines]
    frame = geopandas.GeoDataFrame(geometry=moved, crs=crs)
    if to is not None:
        frame = frame.to_crs(to)
    frame.to_file(path, **({} if name is None else {"layer": name}))
    return path


def net(*lines, junctions="crossings"):
    return network_of(np.array([LineString(line) for line in lines], dtype=object), junctions)


def streets(seed, wobble=0.0, missing=0.0):
    """A crooked grid of streets, drawn with some error, some missing."""
    places = np.random.default_rng(seed).uniform(-12, 12, (5, 4, 2)) + 60 * np.stack(
        np.meshgrid(np.arange(4), np.arange(5)), axis=2
    )
    random = np.random.default_rng(seed + 1)
    drawn = places + random.normal(0, wobble, places.shape)
    lines = []
    for row, column in np.ndindex(5, 4):
        for down, right in ((1, 0), (0, 1)):
            if row + down < 5 and column + right < 4 and random.random() >= missing:
                ends = drawn[row, column], drawn[row + down, column + right]
                middle = (ends[0] + ends[1]) / 2 + random.normal(0, 3 + wobble, 2)
                lines.append(LineString([ends[0], middle, ends[1]]))
    return np.array(lines, dtype=object)


class Slow:
    """The same measure written down plainly: real points put into real lines, one way after another."""

    def __init__(self, network):
        self.graph = networkx.MultiGraph()
        for (u, v), line in zip(network.ends.tolist(), network.edges, strict=True):
            self.graph.add_edge(u, v, line=line, length=line.length)
        self.points = {u: Point(xy) for u, xy in enumerate(network.nodes)}

    def inserted(self, points, snap):
        """Graph with points put on the nearest edge, named ("p", number)."""
        graph = self.graph.copy()
        for number, point in enumerate(points):
            nearest = min(graph.edges(keys=True, data=True), key=lambda e: e[3]["line"].distance(point))
            u, v, key, data = nearest
            line = data["line"]
            if line.distance(point) > snap:
                continue
            at, name = line.project(point), ("p", number)
            start = Point(line.coords[0])
            first, last = (u, v) if self._where(u).distance(start) < 1e-6 else (v, u)
            self.points[name] = line.interpolate(at)
            graph.remove_edge(u, v, key)
            for one, other, low, high in ((first, name, 0, at), (name, last, at, line.length)):
                part = shapely.ops.substring(line, low, high)
                if isinstance(part, Point):
                    part = LineString([part, part])
                graph.add_edge(one, other, line=part, length=high - low)
        return graph

    def _where(self, node):
        return self.points[node]

    def controls(self, spacing):
        found = [self.points[u] for u in sorted(self.graph.nodes)]
        for _, _, data in self.graph.edges(data=True):
            count = int(np.ceil(data["length"] / spacing))
            found += [data["line"].interpolate(k / count, normalized=True) for k in range(1, count)]
        return found


def slow_similarity(own, other, spacing, snap, shortest):
    controls = Slow(own).controls(spacing)
    graph, theirs = Slow(own).inserted(controls, 1.0), Slow(other).inserted(controls, snap)
    costs = []
    for i in range(len(controls)):
        for j in range(i):
            try:
                length = networkx.shortest_path_length(graph, ("p", i), ("p", j), weight="length")
            except networkx.NetworkXNoPath:
                continue
            if length < shortest:
                continue
            try:
                found = networkx.shortest_path_length(theirs, ("p", i), ("p", j), weight="length")
                costs.append(min(1.0, abs(length - found) / length))
            except (networkx.NetworkXNoPath, networkx.NodeNotFound):
                costs.append(1.0)
    return 1 - np.mean(costs), 2 * len(costs)


@pytest.mark.parametrize("file", sorted(TRUTH.glob("*_roads.gpkg")), ids=lambda file: file.stem)
@pytest.mark.parametrize("junctions", ["crossings", "vertices"])
def test_a_network_equals_itself(file, junctions):
    found = assess_vectors(file, file, network=NetworkOptions(buffers=(0.1, 3.0), junctions=junctions))
    for each in found.relaxed:
        assert (each.precision, each.recall, each.f1) == (1, 1, 1)
    assert found.paths.apls == pytest.approx(1, abs=1e-6)
    assert found.map_size == found.reference_size
    assert found.map_size.metres == pytest.approx(
        shapely.union_all(geopandas.read_file(file).geometry).length, rel=2e-3
    )


def test_a_detour_costs_its_length():
    """30 + 40 instead of 50 metres: worked out by hand."""
    straight, around = net([(0, 0), (50, 0)]), net([(0, 0), (18, 24), (50, 0)])
    found = path_similarity(around, straight, NODES_ONLY)
    assert found.reference_to_map == pytest.approx(1 - 20 / 50, abs=1e-3)
    assert found.map_to_reference == pytest.approx(1 - 20 / 70, abs=1e-3)
    assert found.apls == pytest.approx(2 / (1 / 0.6 + 7 / 5), abs=1e-3)
    assert found.ways == (2, 2)


def test_a_gap_costs_the_ways_across_it():
    whole = net([(0, 0), (100, 0), (200, 0)])
    cut = net([(0, 0), (95, 0)], [(105, 0), (200, 0)])
    found = path_similarity(cut, whole, NODES_ONLY)
    assert found.reference_to_map == pytest.approx(0, abs=1e-6)  # the only way of the whole leads across
    assert found.map_to_reference == pytest.approx(1, abs=1e-6)  # both pieces are as long as they should be
    assert found.apls == pytest.approx(0, abs=1e-6)
    # With points every 50 m: of the ways between 0, 50, 100, 150 and 200, those across the gap are lost,
    # and 100 m itself has no place within 4 m.
    found = path_similarity(cut, whole, PathOptions(spacing=50))
    assert found.reference_to_map == pytest.approx(2 / 10, abs=1e-6)


def test_snapping_has_a_limit():
    road, aside = net([(0, 0), (100, 0)]), net([(0, 5), (100, 5)])
    assert path_similarity(aside, road, PathOptions(snap=4)).apls == 0
    assert path_similarity(aside, road, PathOptions(snap=5)).apls == pytest.approx(1)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_path_similarity_is_that_of_a_slow_program(seed):
    own = network_of(streets(seed))
    other = network_of(streets(seed, wobble=1.0, missing=0.15))
    found = path_similarity(other, own, PathOptions(spacing=40))
    expected = slow_similarity(own, other, 40, 4, 10)
    back = slow_similarity(other, own, 40, 4, 10)
    assert found.ways == (expected[1], back[1])
    assert found.reference_to_map == pytest.approx(expected[0], abs=1e-6)
    assert found.map_to_reference == pytest.approx(back[0], abs=1e-6)
    assert found.apls == pytest.approx(2 / (1 / expected[0] + 1 / back[0]), abs=1e-6)


def test_loops_and_double_roads_have_their_own_lengths():
    """A ring, and two roads between the same places: the way is the shorter one."""
    loop = [(300 + 30 * np.cos(a), 30 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 33)]
    network = net([(0, 0), (100, 40), (200, 0)], [(0, 0), (100, -10), (200, 0)], [(200, 0), (270, 0)], loop)
    own = slow_similarity(network, network, 35, 4, 10)
    found = path_similarity(network, network, PathOptions(spacing=35))
    assert found.ways[0] == own[1]
    assert found.apls == pytest.approx(1, abs=1e-6)
    alone = network_of(np.array([LineString(loop)]))
    assert len(control_points(alone, 50)) == 4
    assert path_similarity(alone, network, PathOptions(spacing=50)).map_to_reference == pytest.approx(
        1, abs=1e-3
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_how_lines_are_stored_changes_nothing(seed):
    lines = streets(seed, missing=0.2)
    random = np.random.default_rng(seed)
    pieces = []
    for line in random.permutation(lines):
        middle = shapely.get_coordinates(line)
        parts = [middle[:2], middle[1:]] if random.random() < 0.5 else [middle]
        pieces += [LineString(part if random.random() < 0.5 else part[::-1]) for part in parts]
    for junctions in ("crossings", "vertices"):
        one, other = network_of(lines, junctions), network_of(np.array(pieces), junctions)
        assert one.length == pytest.approx(other.length)
        assert (len(one.nodes), len(one.edges), one.parts) == (
            len(other.nodes),
            len(other.edges),
            other.parts,
        )
        found = path_similarity(one, other, PathOptions())
        assert found.apls == pytest.approx(1, abs=1e-6)


def test_no_more_ways_are_kept_than_fit(monkeypatch):
    own, other = network_of(streets(1)), network_of(streets(1, wobble=1, missing=0.1))
    expected = path_similarity(other, own, PathOptions())
    monkeypatch.setattr(apls, "_TOGETHER", 500)
    monkeypatch.setattr(relaxed, "_PIECES", 50)
    found = path_similarity(other, own, PathOptions())
    assert found.reference_to_map == pytest.approx(expected.reference_to_map, rel=1e-12)
    some = path_similarity(other, own, PathOptions(starts=30))
    assert some.ways[0] < found.ways[0]
    assert some.reference_to_map == pytest.approx(expected.reference_to_map, abs=0.1)
    assert some == path_similarity(other, own, PathOptions(starts=30))


def test_lines_meet_where_they_should():
    cross = [(0, 50), (100, 50)], [(50, 0), (50, 100)]
    assert (len(net(*cross).edges), net(*cross).parts) == (4, 1)
    assert (len(net(*cross, junctions="vertices").edges), net(*cross, junctions="vertices").parts) == (2, 2)
    joined = [(0, 50), (50, 50), (100, 50)], [(50, 0), (50, 50), (50, 100)]
    assert len(net(*joined, junctions="vertices").edges) == 4
    # An end that rounding left two centimetres before the road, and one that stops a metre before it.
    assert net([(0, 0), (100, 13)], [(50, 6.52), (50, 60)]).parts == 1
    assert net([(0, 0), (100, 13)], [(50, 7.5), (50, 60)]).parts == 2
    # Drawn twice, a road is one road.
    twice = net([(0, 0), (100, 0)], [(100, 0), (40, 0), (0, 0)], junctions="vertices")
    assert net([(0, 0), (100, 0)], [(100, 0), (40, 0), (0, 0)]).length == pytest.approx(100)
    assert twice.parts == 1
    with pytest.raises(OptionError, match="crossings or vertices"):
        net(*cross, junctions="bridges")


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), wobble=st.floats(0.5, 4))
def test_near_lengths_are_those_of_buffers(seed, wobble):
    lines, others = streets(seed), streets(seed, wobble=wobble, missing=0.2)
    buffers = np.array([1.0, 3.0, 7.5])
    whole = shapely.union_all(others)
    expected = [
        shapely.length(shapely.intersection(lines, whole.buffer(b, quad_segs=64))).sum() for b in buffers
    ]
    expected = np.array(expected) / shapely.length(lines).sum()
    np.testing.assert_allclose(near_share(lines, others, buffers), expected, atol=0.01)


def test_a_buffer_includes_its_border():
    road, aside = np.array([LineString([(0, 0), (90, 0)])]), np.array([LineString([(-9, 3), (99, 3)])])
    assert near_share(road, aside, np.array([2.99, 3.0])).tolist() == [0, 1]
    assert near_share(road, aside[:0], np.array([3.0])).tolist() == [0]
    assert np.isnan(near_share(aside[:0], road, np.array([3.0])))


def test_files_in_degrees_and_in_metres_are_the_same(tmp_path):
    lines, drawn = streets(4), streets(4, wobble=1.5, missing=0.1)
    reference = layer(tmp_path / "r.gpkg", lines)
    expected = assess_vectors(layer(tmp_path / "m.gpkg", drawn), reference)
    found = assess_vectors(layer(tmp_path / "m.geojson", drawn, to="EPSG:4326"), reference)
    assert found.paths.apls == pytest.approx(expected.paths.apls, abs=2e-3)
    assert found.relaxed[0].f1 == pytest.approx(expected.relaxed[0].f1, abs=2e-3)
    many = tmp_path / "many.geojson"
    layer(many, [MultiLineString(list(drawn))], to="EPSG:4326")
    assert assess_vectors(many, reference).paths.apls == pytest.approx(found.paths.apls, abs=1e-6)


def test_the_area_of_interest_cuts_lines(tmp_path):
    road, more = LineString([(0, 0), (100, 0)]), LineString([(100, 0), (400, 0)])
    area = layer(tmp_path / "a.gpkg", [box(-5, -5, 100, 5)])
    found = assess_vectors(
        layer(tmp_path / "m.gpkg", [road, more]), layer(tmp_path / "r.gpkg", [road]), area_of_interest=area
    )
    assert found.map_size.metres == pytest.approx(100, rel=1e-3)
    assert found.relaxed[0].precision == 1
    assert found.paths.apls == pytest.approx(1, abs=1e-3)


def test_edges_are_found_among_the_layers_of_a_product(tmp_path):
    lines = streets(2)
    file = layer(tmp_path / "roads.gpkg", lines, name="edges")
    layer(file, [Point(0, 0)], name="nodes")
    layer(file, lines[:3], name="motorways")
    reference = layer(tmp_path / "r.gpkg", lines)
    assert assess_vectors(file, reference).paths.apls == pytest.approx(1, abs=1e-6)
    assert assess_vectors(file, reference, layer="motorways").relaxed[0].recall < 0.3
    with pytest.raises(OptionError, match=r"nodes .*does not exist, or holds no.*edges, motorways"):
        assess_vectors(file, reference, layer="nodes")
    geopandas.read_file(file, layer="edges").to_file(tmp_path / "two.gpkg", layer="old")
    geopandas.read_file(file, layer="edges").to_file(tmp_path / "two.gpkg", layer="new")
    with pytest.raises(SceneError, match=r"2 layers .*--reference-layer"):
        assess_vectors(file, tmp_path / "two.gpkg")


def test_a_map_without_roads_finds_none(tmp_path):
    geopandas.GeoDataFrame(geometry=[], crs="EPSG:32632").to_file(
        tmp_path / "m.gpkg", geometry_type="LineString"
    )
    told = assess_vectors(tmp_path / "m.gpkg", layer(tmp_path / "r.gpkg", streets(1))).to_dict()
    assert told["relaxed"] == [{"buffer_metres": 3.0, "precision": None, "recall": 0.0, "f1": 0.0}]
    assert told["apls"] == 0
    assert told["map_network"]["metres"] == 0


def test_the_command_tells_and_writes_the_figures(tmp_path):
    files = layer(tmp_path / "m.gpkg", streets(3, wobble=1)), layer(tmp_path / "r.gpkg", streets(3))
    options = "--buffer", "3m", "--buffer", "4px", "--pixel-size", 0.5, "--json", tmp_path / "a.json"
    arguments = "assess", files[0], "--reference", files[1], *options, "--junctions", "vertices"
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "a.json").read_text())
    assert [each["buffer_metres"] for each in told["relaxed"]] == [3, 2]
    assert told["relaxed"][0]["f1"] > told["relaxed"][1]["f1"] > 0.5
    assert "within 2 m" in done.output
    assert f"{told['apls']:.1%}"[:-1] in done.output
    for option, value in (("--buffer", "-3m"), ("--iou", "0.5"), ("--min-area", "20"), ("--boundary", "1m")):
        done = CliRunner().invoke(main, [*map(str, arguments[:4]), option, value])
        assert done.exit_code == 2
        assert option in done.output
