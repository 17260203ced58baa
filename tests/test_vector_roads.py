"""Road networks from drawn roads: exact topology, true lengths and widths, the same from any strips."""

import geopandas
import networkx
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.features import rasterize
from shapely import LineString, Point

import geodl
from geodl.cli import main
from geodl.errors import OptionError, SceneError
from geodl.models.spec import ClassSpec
from geodl.vector import VECTORIZERS, VectorOptions, vectorize, vectorize_layers
from geodl.vector.roads import road_network
from geodl.vector.source import ClassRaster, ConfidenceRaster

UTM = CRS.from_epsg(32633)
HALF_METRE = Affine(0.5, 0, 400_000, 0, -0.5, 5_300_000)


def drawn(roads, shape=(200, 200)):
    """Rasterize lines in pixels; `roads` are (line, width) or lines of 9 pixels."""
    pairs = [road if isinstance(road, tuple) else (road, 9) for road in roads]
    shapes = [(LineString(line).buffer(width / 2), 1) for line, width in pairs]
    return rasterize(shapes, shape, dtype=np.uint8) if shapes else np.zeros(shape, np.uint8)


def class_raster(classes, crs=None, transform=None, nodata=255):
    return ClassRaster(
        shape=classes.shape,
        crs=crs,
        transform=transform or Affine.identity(),
        nodata=nodata,
        read=lambda start, stop: classes[start:stop],
    )


def layers_of(classes, *, crs=None, transform=None, **options):
    raster = class_raster(classes, crs, transform)
    edges, nodes = road_network(raster, **options)
    assert (edges.layer, nodes.layer) == ("edges", "nodes")
    return tuple(geopandas.GeoDataFrame(b.columns, geometry=b.geometry, crs=crs) for b in (edges, nodes))


def degrees(nodes):
    return sorted(nodes["degree"].tolist())


def check_layers_fit(edges, nodes):
    """Edges start and end at the very points of their nodes, and degrees count edge ends."""
    points = nodes.set_index("id").geometry
    for end, place in (("u", 0), ("v", -1)):
        at = [Point(line.coords[place]) for line in edges.geometry]
        assert all(a.equals(b) for a, b in zip(at, points.loc[edges[end]], strict=True))
    counted = np.bincount(np.concatenate([edges["u"], edges["v"]]), minlength=len(nodes) + 1)[1:]
    assert counted.tolist() == nodes["degree"].tolist()
    assert edges["id"].tolist() == list(range(1, len(edges) + 1))
    assert not edges.duplicated(["u", "v", "key"]).any()
    assert (edges["u"] <= edges["v"]).all()
    assert edges.geometry.is_valid.all()


CENTRE = (100, 100)
TOPOLOGIES = {
    "straight": ([[(20, 90), (180, 110)]], [1, 1]),
    "bend": ([[(20, 30), (120, 40), (150, 180)]], [1, 1]),
    "T": ([[(20, 80), (180, 100)], [(100, 90), (90, 180)]], [1, 1, 1, 3]),
    "Y": ([[CENTRE, (20, 20)], [CENTRE, (180, 20)], [CENTRE, (100, 180)]], [1, 1, 1, 3]),
    "X": ([[(20, 60), (180, 130)], [(60, 180), (130, 20)]], [1, 1, 1, 1, 4]),
    "oblique X": ([[(20, 70), (180, 130)], [(20, 130), (180, 70)]], [1, 1, 1, 1, 4]),
    "star of five": (
        [[CENTRE, (100 + 80 * np.cos(a), 100 + 80 * np.sin(a))] for a in np.arange(5) * 0.4 * np.pi],
        [1, 1, 1, 1, 1, 5],
    ),
    "wide and narrow": ([([(20, 100), (180, 100)], 21), ([(100, 100), (110, 180)], 5)], [1, 1, 1, 3]),
    "parallel lanes": ([[(20, 90), (180, 90)], [(20, 104), (180, 104)]], [1, 1, 1, 1]),
    "staggered": (
        [[(100, 10), (100, 190)], [(100, 60), (20, 60)], [(100, 120), (180, 120)]],
        [1, 1, 1, 1, 3, 3],
    ),
    "square": ([[(40, 40), (160, 50), (150, 160), (50, 150), (40, 40)]], [2]),
    "roundabout": (
        [Point(CENTRE).buffer(40).exterior.coords, [(20, 100), (60, 100)], [(140, 105), (190, 110)]],
        [1, 1, 3, 3],
    ),
    "leaves the raster": ([[(-20, 50), (220, 150)]], [1, 1]),
    "nothing": ([], []),
}  # fmt: skip


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topology_of_drawn_roads(name):
    roads, expected = TOPOLOGIES[name]
    edges, nodes = layers_of(drawn(roads))
    assert degrees(nodes) == expected
    check_layers_fit(edges, nodes)
    truth = shapely.union_all([LineString(road[0] if isinstance(road, tuple) else road) for road in roads])
    truth = truth.intersection(shapely.box(0.5, 0.5, 199.5, 199.5))
    if roads:
        assert shapely.union_all(edges.geometry).hausdorff_distance(truth) < 4.5  # half a road
        assert edges["length_px"].sum() == pytest.approx(
            truth.length, rel=0.04
        )  # sharp corners come out round


@pytest.mark.parametrize("turn", range(0, 90, 15))
@pytest.mark.parametrize("width", [3, 8, 15])
def test_crossings_have_one_node_where_the_roads_cross(turn, width):
    angle = np.radians(turn)
    arms = [np.array([np.cos(angle + a), np.sin(angle + a)]) * 85 for a in (0, np.pi / 2)]
    roads = [([np.array(CENTRE) - arm, np.array(CENTRE) + arm], width) for arm in arms]
    _, nodes = layers_of(drawn(roads))
    assert degrees(nodes) == [1, 1, 1, 1, 4]
    crossing = nodes.geometry[nodes["degree"] == 4].iloc[0]
    assert crossing.distance(Point(CENTRE)) < 1.5


def test_a_side_road_does_not_bend_the_road_it_leaves():
    edges, nodes = layers_of(drawn([[(20, 100), (180, 100)], ([(100, 100), (100, 190)], 12)]))
    assert degrees(nodes) == [1, 1, 1, 3]
    through = shapely.union_all(edges.geometry).intersection(shapely.box(0, 0, 200, 103))
    assert np.abs(shapely.get_coordinates(through)[:, 1] - 100)[:-1].max() < 3.1
    junction = nodes.geometry[nodes["degree"] == 3].iloc[0]
    assert abs(junction.y - 100) < 1.1


@settings(deadline=None, max_examples=25)
@given(data=st.data(), rows=st.integers(5, 60), columns=st.integers(30, 130))
def test_strips_do_not_change_the_network(data, rows, columns):
    point = st.tuples(st.integers(-10, 130), st.integers(-10, 130))
    line = st.lists(point, min_size=2, max_size=4, unique=True)
    roads = data.draw(st.lists(st.tuples(line, st.sampled_from([2, 5, 9, 14])), max_size=6))
    classes = drawn(roads, (120, 125))
    percent = np.random.default_rng(0).random(classes.shape)
    confidence = ConfidenceRaster(shape=classes.shape, read=lambda start, stop: percent[start:stop])
    whole = layers_of(classes, confidence=confidence)
    cut = layers_of(classes, confidence=confidence, strip_rows=rows, window_columns=columns)
    check_layers_fit(*whole)
    for one, other in zip(whole, cut, strict=True):
        assert one.equals(other)


def test_small_gaps_are_bridged_along_the_road():
    classes = drawn([[(20, 60), (180, 100)]])
    classes[:, 95:107] = 0
    edges, nodes = layers_of(classes)
    assert degrees(nodes) == [1, 1]
    assert edges.geometry[0].hausdorff_distance(LineString([(20, 60), (180, 100)])) < 2


@pytest.mark.parametrize(
    ("roads", "why"),
    [
        ([[(20, 100), (80, 100)], [(125, 100), (190, 100)]], "the gap is wide"),
        ([[(20, 100), (95, 100)], [(110, 100), (110, 190)]], "the other road comes from the side"),
        ([[(20, 100), (95, 100)], [(20, 114), (95, 114)]], "both end on the same side"),
        ([[(20, 100), (90, 100)], [(105, 118), (190, 118)]], "the other goes on beside it"),
    ],
)
def test_ends_that_do_not_belong_together_stay_apart(roads, why):
    _, nodes = layers_of(drawn(roads))
    assert degrees(nodes) == [1] * (2 * len(roads)), why


def test_spurs_go_and_side_roads_stay():
    road, stub = [(20, 100), (180, 100)], ([(60, 100), (60, 109)], 5)
    side = ([(120, 100), (120, 125)], 5)
    _, nodes = layers_of(drawn([road, stub, side]))
    assert degrees(nodes) == [1, 1, 1, 3]


def test_short_roads_out_of_the_raster_stay():
    _, nodes = layers_of(drawn([([(12, 20), (12, 180)], 15), ([(12, 100), (-40, 100)], 11)]))
    assert degrees(nodes) == [1, 1, 1, 3]
    assert nodes.geometry.x.min() == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_ragged_edges_grow_no_branches(seed):
    classes = drawn([([(20, 60), (180, 130)], 11)])
    noise = np.random.default_rng(seed).random(classes.shape)
    edge = drawn([([(20, 60), (180, 130)], 14)]) > drawn([([(20, 60), (180, 130)], 8)])
    ragged = np.where(edge & (noise < 0.2), 1 - classes, classes)
    edges, nodes = layers_of(ragged)
    assert degrees(nodes) == [1, 1]
    assert edges.geometry[0].hausdorff_distance(LineString([(20, 60), (180, 130)])) < 6


def test_a_dent_hardly_bends_a_wide_road():
    classes = drawn([([(20, 100), (180, 100)], 21)])
    classes[:96, 96:104] = 0
    edges, nodes = layers_of(classes)
    assert degrees(nodes) == [1, 1]
    aside = np.abs(shapely.get_coordinates(edges.geometry[0])[:, 1] - 100)
    assert aside.max() < 2.5  # the axis of what is left there lies more than 3 pixels aside


@pytest.mark.parametrize("width", [4, 7, 12, 20])
def test_widths(width):
    edges, _ = layers_of(drawn([([(30, 40), (170, 90)], width)]))
    assert edges["width_px"].tolist() == pytest.approx([width], abs=1)


def test_confidence_is_the_mean_along_the_line():
    classes = drawn([[(20, 50), (180, 50)], [(20, 150), (180, 150)]])
    values = np.full(classes.shape, 0.75)
    values[100:] = np.nan
    confidence = ConfidenceRaster(shape=classes.shape, read=lambda start, stop: values[start:stop])
    edges, _ = layers_of(classes, confidence=confidence)
    assert edges["confidence"].tolist() == pytest.approx([0.75, np.nan], nan_ok=True)


def test_specks_are_left_out_by_their_surface():
    classes = drawn([[(20, 50), (180, 50)], ([(50, 150), (70, 150)], 6)])
    assert len(layers_of(classes, options=VectorOptions(min_area=0))[0]) == 2
    assert len(layers_of(classes, options=VectorOptions(min_area=200))[0]) == 1
    assert len(layers_of(classes, options=VectorOptions(min_area=1e5))[0]) == 0


def test_simplify_bounds_the_distance_to_the_smooth_line():
    arc = [(100 + 80 * np.cos(a), 20 + 150 * np.sin(a)) for a in np.linspace(0.2, 2.9, 60)]
    fine, coarse = (
        layers_of(drawn([arc]), options=VectorOptions(simplify=tolerance))[0].geometry[0]
        for tolerance in (0, 3)
    )
    assert len(coarse.coords) < len(fine.coords) / 2
    assert fine.hausdorff_distance(coarse) <= 3


def test_metres_in_a_projected_raster():
    edges, nodes = layers_of(drawn([[(20, 60), (180, 60)]]), crs=UTM, transform=HALF_METRE)
    scale = UTM.get_geod().inv(
        *_degrees(edges.geometry[0].coords[0]), *_degrees(edges.geometry[0].coords[-1])
    )
    assert edges["length_m"].tolist() == pytest.approx([scale[2]], rel=1e-6)
    assert edges["length_m"].tolist() == pytest.approx([80], abs=1)
    assert edges["width_m"].tolist() == pytest.approx([4.5], abs=0.3)
    assert nodes.geometry.y.tolist() == pytest.approx([5_300_000 - 30] * 2, abs=0.5)


def _degrees(point):
    from pyproj import Transformer

    return Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(*point)


def test_metres_in_a_raster_in_degrees():
    """At 60 degrees north a pixel is half as wide as high; a ring must come out round and of one width."""
    step = 1e-5
    transform = Affine(step, 0, 20, 0, -step, 60)
    across, down = (
        CRS.from_epsg(4326).get_geod().inv(20, 60, 20 + dx, 60 + dy)[2] for dx, dy in ((step, 0), (0, step))
    )
    ring = shapely.affinity.scale(Point(100, 100).buffer(40), 1, across / down)
    mask = ring.buffer(0).difference(shapely.affinity.scale(Point(100, 100).buffer(40 - 8), 1, across / down))
    edges, _ = layers_of(
        rasterize([(mask, 1)], (200, 200), dtype=np.uint8), crs=CRS.from_epsg(4326), transform=transform
    )
    assert edges["length_m"].tolist() == pytest.approx([2 * np.pi * 36 * across], rel=0.03)
    assert edges["width_m"].tolist() == pytest.approx([8 * across], abs=across)


@pytest.mark.parametrize(
    ("values", "names", "options", "found"),
    [
        ((3, 1), {1: "forest", 3: "Road"}, {}, 3),
        ((3, 1), {1: "forest", 3: "track"}, {"object_class": "track"}, 3),
        ((3, 1), {}, {"object_class": 3}, 3),
        ((1, 3), {}, {}, 1),
        ((200, 100), {}, {}, None),
    ],
)
def test_which_class_is_road(values, names, options, found):
    first = drawn([[(20, 50), (180, 50)]])
    second = drawn([[(20, 150), (180, 150)]])
    classes = (first * values[0] + second * values[1]).astype(np.uint8)
    edges, _ = layers_of(classes, names=names, options=VectorOptions(**options))
    assert len(edges) == (2 if found is None else 1)
    assert abs(edges.geometry[0].centroid.y - 50) < 2
    assert edges["name"][0] == names.get(found, "road")


def test_an_empty_network_has_the_columns_of_any_other():
    roads = drawn([[(20, 50), (180, 50)]])
    networks = (road_network(class_raster(classes, UTM, HALF_METRE)) for classes in (roads, roads * 0))
    for full, empty in zip(*networks, strict=True):
        assert len(full) > len(empty) == 0
        types = ({name: values.dtype for name, values in b.columns.items()} for b in (full, empty))
        assert next(types) == next(types)


def test_nodata_is_no_road():
    classes = drawn([[(20, 50), (180, 50)]]) * 200
    classes[100:] = 255
    assert len(layers_of(classes)[0]) == 1


@pytest.mark.parametrize("options", [{"connectivity": 8}, {"regularize": "strict"}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(OptionError, match="means nothing for the task roads: leave it out"):
        layers_of(drawn([]), options=VectorOptions(**options))


def test_a_raster_that_lies_nowhere_is_refused():
    nowhere = Affine(1, 0, 1e12, 0, -1, 1e12)
    with pytest.raises(SceneError, match="no place on the earth: check its CRS"):
        layers_of(drawn([]), crs=UTM, transform=nowhere)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (7, 13)])
def test_tiny_rasters(shape):
    for classes in (np.zeros(shape, np.uint8), np.ones(shape, np.uint8)):
        check_layers_fit(*layers_of(classes, options=VectorOptions(min_area=0)))


@pytest.fixture
def town(tmp_path):
    """A file of classes with a network of a ring road, a crossing and a branch."""
    roads = [
        [(40, 40), (160, 40), (160, 160), (40, 160), (40, 40)],
        [(100, 40), (100, 190)],
        [(40, 90), (5, 90)],
    ]
    path = tmp_path / "town.tif"
    profile = {"driver": "GTiff", "height": 200, "width": 200, "count": 1, "dtype": "uint8", "nodata": 255}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=HALF_METRE, **profile) as dataset:
        dataset.write(drawn(roads), 1)
    return path


def test_the_file_makes_a_graph_to_route_on(town, tmp_path):
    out = tmp_path / "roads.gpkg"
    main(["vectorize", str(town), "--task", "roads", "--out", str(out)], standalone_mode=False)
    edges, nodes = (geopandas.read_file(out, layer=layer) for layer in ("edges", "nodes"))
    check_layers_fit(edges, nodes)
    graph = networkx.MultiGraph()
    graph.add_nodes_from(nodes["id"])
    for edge in edges.itertuples():
        graph.add_edge(edge.u, edge.v, edge.key, length=edge.length_m)
    assert dict(graph.degree()) == dict(zip(nodes["id"], nodes["degree"], strict=True))
    assert networkx.is_connected(graph)
    ends = nodes.set_index("id").geometry
    west, south = ends.x.idxmin(), ends.y.idxmin()
    # From (5, 90) to (40, 90), around the lower left corner to (100, 160), on to (100, 190): half metres.
    by_hand = (35 + 70 + 60 + 30) / 2
    assert networkx.shortest_path_length(graph, west, south, weight="length") == pytest.approx(
        by_hand, rel=0.03
    )


def test_the_layers_have_styles_of_their_kind(town, tmp_path):
    import sqlite3

    out = tmp_path / "roads.gpkg"
    main(["vectorize", str(town), "--task", "roads", "--out", str(out)], standalone_mode=False)
    with sqlite3.connect(out) as connection:
        rows = connection.execute(
            "SELECT f_table_name, styleQML, useAsDefault FROM layer_styles ORDER BY id"
        ).fetchall()
        counted = connection.execute(
            "SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = 'layer_styles'"
        ).fetchone()
    assert [(name, default) for name, _, default in rows] == [("edges", 1), ("nodes", 1)]
    assert "SimpleLine" in rows[0][1]
    assert "SimpleMarker" in rows[1][1]
    assert counted == (2,)


def test_other_formats_have_a_file_for_the_nodes(town, tmp_path):
    out = tmp_path / "roads.parquet"
    main(["vectorize", str(town), "--task", "roads", "--out", str(out)], standalone_mode=False)
    check_layers_fit(geopandas.read_parquet(out), geopandas.read_parquet(tmp_path / "roads_nodes.parquet"))


def test_roads_from_python(town):
    layers = vectorize_layers(town, "roads")
    assert list(layers) == ["edges", "nodes"]
    assert layers["edges"].crs == UTM
    assert list(layers["edges"]) == ["id", "u", "v", "key", "name", "length_m", "width_m", "geometry"]
    assert list(layers["nodes"]) == ["id", "degree", "geometry"]
    assert geodl.vectorize(str(town), task="roads").equals(layers["edges"])
    classes = [ClassSpec(value=1, name="street", color="#000000")]
    assert set(vectorize(town, "roads", classes=classes)["name"]) == {"street"}
    assert VECTORIZERS["roads"] is road_network
