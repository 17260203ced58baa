"""Footprints against footprints."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from geodl.assess.vectors import SUFFIXES, ObjectOptions, assess_vectors, cells
from geodl.assess.vectors import layer as layers
from geodl.assess.vectors.covered import apart, covered_areas
from geodl.assess.vectors.layer import Layer
from geodl.assess.vectors.outlines import vertices
from geodl.assess.vectors.turning import turning_angle_error
from geodl.cli import main
from geodl.cli.assess_vectors import VECTOR_SUFFIXES
from geodl.errors import OptionError, SceneError

TRUTH = Path(__file__).parents[1] / "sample_scenes/truth"
EAST, NORTH = 500_000.0, 5_300_000.0  # on the central meridian, where UTM is locally a plane in metres


def layer(path, geometries, crs="EPSG:32632", to=None, **columns):
    """Write shapes given in metres from one corner."""
    moved = [None if g is None else shapely.affinity.translate(g, EAST, NORTH) for g in geometries]
    frame = geopandas.GeoDataFrame(columns, geometry=moved, crs=crs)
    if to is not None:
        frame = frame.to_crs(to)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return path


def compared(tmp_path, mapped, reference, *, name="gpkg", **how):
    options = {key: how.pop(key) for key in ("iou", "boundary", "side") if key in how}
    return assess_vectors(
        layer(tmp_path / f"m.{name}", mapped), layer(tmp_path / f"r.{name}", reference),
        objects=ObjectOptions(**options), **how,
    )  # fmt: skip


def town(seed, count=8, spread=2.0):
    """Rectangles that do not overlap, and the same drawn by someone else: moved, turned, some missing."""
    random = np.random.default_rng(seed)
    reference, mapped = [], []
    for x, y in np.ndindex(count, count):
        width, height = random.uniform(5, 12, 2)
        house = box(x * 20, y * 20, x * 20 + width, y * 20 + height)
        reference.append(house)
        if random.random() < 0.8:
            moved = shapely.affinity.translate(house, *random.normal(0, spread, 2))
            mapped.append(shapely.affinity.rotate(moved, random.normal(0, 8)))
    order = random.permutation(len(mapped))
    return [mapped[number] for number in order], reference


def spacenet(mapped, reference, least):
    """Matches by the rule of SpaceNet, written down plainly: proposals choose in the order of the file."""
    left, matches = list(reference), 0
    for proposal in mapped:
        scores = [p.intersection(proposal).area / p.union(proposal).area for p in left]
        if scores and max(scores) > least:
            left.pop(int(np.argmax(scores)))
            matches += 1
    return matches


@pytest.mark.parametrize("file", sorted(TRUTH.glob("*_buildings.gpkg")), ids=lambda file: file.stem)
def test_a_layer_equals_itself(file):
    found = assess_vectors(file, file, objects=ObjectOptions(iou=(0.5, 0.99)))
    for each in found.accuracies:
        assert (each.precision, each.recall, each.f1) == (1, 1, 1)
        assert each.mean_iou == pytest.approx(1)
    assert found.area_iou == pytest.approx(1)
    assert found.boundary_iou == pytest.approx(1)
    assert found.turning_angle_error == pytest.approx(0, abs=1e-4)
    assert found.map_objects.count == len(geopandas.read_file(file))


def test_a_shift_costs_what_geometry_says(tmp_path):
    houses = [box(x, 0, x + 10, 10) for x in (0, 30, 60, 90)]
    shifts = [0, 2, 4, 40]  # the last is nowhere near
    moved = [shapely.affinity.translate(h, s) for h, s in zip(houses, shifts, strict=True)]
    found = compared(tmp_path, moved, houses, iou=(0.4, 0.5, 0.7), boundary=1.0)
    assert [each.matches for each in found.accuracies] == [3, 2, 1]
    assert [each.recall for each in found.accuracies] == [0.75, 0.5, 0.25]
    assert found.accuracy(0.5).mean_iou == pytest.approx((1 + 80 / 120) / 2, rel=1e-5)
    assert found.area_iou == pytest.approx((100 + 80 + 60) / (100 + 120 + 140 + 200), rel=1e-5)
    # Frames of 1 m have 36 m²; those 2 m apart share 16 m², those 4 m apart 12 m².
    assert found.boundary_iou == pytest.approx((36 + 16 + 12) / (36 + 56 + 60 + 72), rel=1e-4)
    assert found.map_objects.vertices_per_object == 4


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), least=st.sampled_from([0.5, 0.7]), side=st.sampled_from([None, 33.0]))
def test_matches_are_those_of_spacenet(tmp_path_factory, seed, least, side):
    mapped, reference = town(seed, count=5)
    found = compared(tmp_path_factory.mktemp("town"), mapped, reference, iou=(least,), side=side)
    matches = spacenet(mapped, reference, least)
    assert found.accuracies[0].matches == matches
    assert found.accuracies[0].precision == pytest.approx(matches / len(mapped))
    assert found.accuracies[0].f1 == pytest.approx(2 * matches / (len(mapped) + len(reference)))


def test_an_object_is_found_once_by_the_better_one(tmp_path):
    reference = [box(0, 0, 10, 10)]
    mapped = [box(0, 0, 10, 8), box(0, 0, 10, 9)]
    found = compared(tmp_path, mapped, reference)
    assert (found.accuracies[0].matches, found.accuracies[0].precision, found.accuracies[0].recall) == (
        1,
        0.5,
        1,
    )
    assert found.match_iou == pytest.approx([0.9], rel=1e-5)
    assert compared(tmp_path, mapped[::-1], reference).match_iou == pytest.approx(found.match_iou)


def test_exactly_the_threshold_is_no_match(tmp_path):
    found = compared(tmp_path, [box(0, 0, 10, 4.9999)], [box(0, 0, 10, 10)])
    assert found.accuracies[0].matches == 0
    assert compared(tmp_path, [box(0, 0, 10, 5.0001)], [box(0, 0, 10, 10)]).accuracies[0].matches == 1


@pytest.mark.parametrize("clipped", [False, True])
def test_squares_of_reading_change_nothing(tmp_path, clipped):
    mapped, reference = town(3)
    big = box(-30, 50, 170, 58).difference(box(20, 52, 25, 55))  # over many squares, over houses, with a hole
    mapped, reference = [*mapped, big], [*reference, shapely.affinity.translate(big, 0, 1)]
    how = {"area_of_interest": layer(tmp_path / "a.gpkg", [box(5, 5, 130, 88)])} if clipped else {}
    whole = compared(tmp_path, mapped, reference, **how)
    for side in (15.0, 40.7, 1000.0):
        parts = compared(tmp_path, mapped, reference, side=side, **how)
        np.testing.assert_array_equal(parts.match_iou, whole.match_iou)
        np.testing.assert_array_equal(parts.match_turning, whole.match_turning)
        assert parts.map_objects == whole.map_objects
        assert parts.reference_objects == whole.reference_objects
        assert parts.area_iou == pytest.approx(whole.area_iou, rel=1e-9)
        assert parts.boundary_iou == pytest.approx(whole.boundary_iou, rel=1e-9)


def test_only_one_square_is_read_at_a_time(tmp_path, monkeypatch):
    mapped, reference = town(5, count=12)
    monkeypatch.setattr(cells, "FEATURES_PER_CELL", 20)
    monkeypatch.setattr(layers, "_HELD", 0)
    sizes = []
    read = Layer.read

    def watched(self, bounds=None):
        found = read(self, bounds)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(Layer, "read", watched)
    found = compared(tmp_path, mapped, reference)
    assert found.reference_objects.count == 144
    assert max(sizes) < 80
    monkeypatch.undo()
    assert compared(tmp_path, mapped, reference).to_dict() == found.to_dict()


@pytest.mark.parametrize("name", ["geojson", "fgb", "shp", "parquet"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32633"])
def test_format_and_crs_change_nothing(tmp_path, name, crs):
    mapped, reference = town(7, count=4)
    expected = compared(tmp_path, mapped, reference).to_dict()
    other = layer(tmp_path / f"other.{name}", mapped, to=crs)
    found = assess_vectors(other, tmp_path / "r.gpkg").to_dict()
    for key in ("map", "thresholds"):
        mean = [found.pop(key), expected.pop(key)]
    assert mean[0][0]["matches"] == mean[1][0]["matches"]
    assert found == {**expected, **{k: pytest.approx(expected[k], rel=2e-4, abs=1e-3) for k in (
        "area_iou", "boundary_iou", "turning_angle_error")}}  # fmt: skip


def test_the_area_of_interest_clips_both_sides(tmp_path):
    houses = [box(0, 0, 10, 10), box(20, 0, 30, 10), box(50, 0, 60, 10)]
    # Right beyond x = 25 nothing counts: half of the second house, and all that is wrong there.
    mapped = [houses[0], box(20, 0, 60, 10)]
    area = layer(tmp_path / "area.gpkg", [box(-5, -5, 15, 15), box(15, -5, 25, 15)])
    found = compared(tmp_path, mapped, houses, area_of_interest=area)
    assert (found.map_objects.count, found.reference_objects.count) == (2, 2)
    assert found.accuracies[0].f1 == 1
    assert found.area_iou == pytest.approx(1)
    # The border is no outline: of the clipped house, the sides count and not the cut.
    assert found.boundary_iou == pytest.approx(1, rel=1e-5)
    assert np.isnan(found.match_turning).sum() == 1
    outside = layer(tmp_path / "outside.gpkg", [box(12, 0, 18, 10)])
    with pytest.raises(SceneError, match="nothing left"):
        compared(tmp_path, mapped, houses, area_of_interest=outside)
    with pytest.raises(SceneError, match="does not touch"):
        compared(tmp_path, mapped, houses, area_of_interest=layer(tmp_path / "x.gpkg", [box(900, 0, 950, 9)]))


def test_small_objects_are_left_out_after_clipping(tmp_path):
    houses = [box(0, 0, 10, 10), box(20, 0, 23, 3), box(40, 0, 50, 10)]
    area = layer(tmp_path / "area.gpkg", [box(-5, -5, 41, 15)])
    found = compared(tmp_path, houses, houses, min_area=20, area_of_interest=area)
    assert found.reference_objects.count == found.map_objects.count == 1
    assert compared(tmp_path, houses, houses, min_area=8).reference_objects.count == 3


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_ground_is_what_fine_pixels_say(seed):
    random = np.random.default_rng(seed)

    def blobs():
        angles = np.sort(random.uniform(0, 2 * np.pi, (4, 9)), axis=1)
        radii = random.uniform(3, 10, (4, 9))
        centres = random.uniform(12, 28, (4, 1, 2))
        points = centres + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=2)
        return shapely.make_valid(np.array([Polygon(p) for p in points]), method="structure")

    def pixels(shapes):
        # (y, x) pixels of 5 cm
        return rasterize(list(shapes), (800, 800), transform=Affine.scale(0.05)).astype(bool)

    one, other = blobs(), blobs()
    a, b = pixels(one), pixels(other)
    expected = np.array([a.sum(), b.sum(), (a & b).sum()]) * 0.05**2
    np.testing.assert_allclose(covered_areas(one, other), expected, atol=1.5)
    assert shapely.area(apart(one)).sum() == pytest.approx(shapely.union_all(one).area)


def test_boundary_iou_is_that_of_fine_pixels(tmp_path):
    mapped, reference = town(11, count=2, spread=0.7)
    found = compared(tmp_path, mapped, reference, boundary=1.5)

    def band(shapes):
        whole = np.zeros((800, 800), dtype=bool)  # pixels of 5 cm
        for shape in shapes:
            inside = rasterize([shape], whole.shape, transform=Affine(0.05, 0, -5, 0, 0.05, -5)).astype(bool)
            whole |= inside & (ndimage.distance_transform_edt(inside) <= 1.5 / 0.05)
        return whole

    a, b = band(mapped), band(reference)
    assert found.boundary_iou == pytest.approx((a & b).sum() / (a | b).sum(), abs=0.01)


@pytest.mark.parametrize("degrees", [0, 5, 20, 45, 60, 90])
def test_turning_angle_of_turned_squares(degrees):
    square = box(0, 0, 20, 20)
    expected = min(degrees, 90 - degrees)  # a square turned by 60 degrees is one turned by -30
    for size, shift in ((1.0, 0.0), (1.3, 7.0)):
        turned = shapely.affinity.rotate(square, degrees)
        turned = shapely.affinity.translate(shapely.affinity.scale(turned, size, size), shift, -shift)
        for start in range(4):
            ring = np.roll(shapely.get_coordinates(turned)[:-1], start, axis=0)
            assert turning_angle_error(Polygon(ring), square) == pytest.approx(expected, abs=1e-6)
            assert turning_angle_error(square, Polygon(ring[::-1])) == pytest.approx(expected, abs=1e-6)


def test_vertices_within_walls_do_not_turn_them():
    house = Polygon([(0, 0), (17, 0), (17, 6), (9, 6), (9, 11), (0, 11)])
    assert turning_angle_error(shapely.segmentize(house, 0.37), house) == pytest.approx(0, abs=1e-6)
    assert turning_angle_error(shapely.affinity.rotate(house, 12), house) == pytest.approx(12, abs=1e-6)


def test_a_staircase_is_no_wall():
    wall = Polygon([(0, 0), (20, 0), (20, 20), (0, 20)])
    slope = shapely.affinity.rotate(wall, 30)
    stairs = shapely.union_all(  # what pixels of half a metre make of it
        [
            box(x, y, x + 0.5, y + 0.5)
            for x in np.arange(-10, 30, 0.5)
            for y in np.arange(-10, 30, 0.5)
            if slope.contains(Point(x + 0.25, y + 0.25))
        ]
    )
    runs, rises = np.cos(np.radians(30)), np.sin(np.radians(30))
    expected = (runs * 30 + rises * 60) / (runs + rises)
    assert turning_angle_error(stairs, slope) == pytest.approx(expected, abs=2)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_start_is_better_than_the_one_found(seed):
    random = np.random.default_rng(seed)

    def walk(polygon, places):
        """Direction at places along an outline, by points on it."""
        ring = polygon.exterior
        ahead = shapely.get_coordinates(ring.interpolate(places % 1 + 1e-7, normalized=True))
        here = shapely.get_coordinates(ring.interpolate(places % 1, normalized=True))
        return np.degrees(np.arctan2(*(ahead - here).T[::-1]))

    def house():
        plan = box(0, 0, *random.uniform(8, 20, 2)).union(box(0, 0, *random.uniform(3, 25, 2)))
        return shapely.orient_polygons(shapely.affinity.rotate(plan, random.uniform(0, 360)))

    one, other = house(), house()
    places = (np.arange(300) + 0.5) / 300
    tried = [
        np.abs((walk(other, places + start) - walk(one, places) + 180) % 360 - 180).mean()
        for start in np.arange(0, 1, 0.02)
    ]
    found = turning_angle_error(one, other)
    assert found <= min(tried) + 2
    assert found == pytest.approx(turning_angle_error(other, one), abs=1e-6)
    assert found >= min(tried) - 0.01 * 8 * 180  # between two starts tried, at most so much


def test_vertices_of_holes_and_parts():
    ring = box(0, 0, 10, 10).difference(box(2, 2, 4, 4))
    triangle = Polygon([(0, 0), (1, 0), (0, 1)])
    shapes = np.array([triangle, ring, MultiPolygon([triangle, box(5, 5, 6, 6)])])
    assert vertices(shapes).tolist() == [3, 8, 7]


def test_damaged_shapes_are_mended_and_missing_ones_skipped(tmp_path):
    bow = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    found = compared(tmp_path, [bow, None, Polygon()], [bow], name="gpkg")
    assert (found.map_objects.count, found.accuracies[0].matches) == (1, 1)


def test_an_empty_map_finds_nothing(tmp_path):
    reference = layer(tmp_path / "r.gpkg", [box(0, 0, 9, 9)])
    empty = geopandas.GeoDataFrame(geometry=[], crs="EPSG:32632")
    for name in ("gpkg", "parquet"):
        file = tmp_path / f"empty.{name}"
        empty.to_parquet(file) if name == "parquet" else empty.to_file(file, geometry_type="Polygon")
        told = assess_vectors(file, reference).to_dict()
        assert told["thresholds"][0] == {
            "iou": 0.5, "matches": 0, "precision": None, "recall": 0.0, "f1": 0.0, "mean_iou": None,
        }  # fmt: skip
        assert told["area_iou"] == 0
    assert "-" in assess_vectors(file, reference).to_text()


HOUSE = [box(0, 0, 9, 9)]


@pytest.mark.parametrize(
    ("mapped", "reference", "message"),
    [
        ([*HOUSE, LineString([(0, 0), (9, 9)])], HOUSE, "polygons and lines.*--layer"),
        (HOUSE, [LineString([(0, 0), (9, 9)])], "holds polygons, the reference .* lines"),
        ([Point(0, 0)], HOUSE, "neither polygons nor lines"),
        ([shapely.affinity.translate(HOUSE[0], 5000)], HOUSE, "lies around longitude .*CRS"),
        (HOUSE, [None], "no features|neither"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, mapped, reference, message):
    with pytest.raises(SceneError, match=message):
        compared(tmp_path, mapped, reference)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_files_that_are_not_what_they_seem_are_refused(tmp_path):
    good = layer(tmp_path / "good.gpkg", HOUSE)
    nowhere = layer(tmp_path / "nowhere.gpkg", HOUSE, crs=None)
    with pytest.raises(SceneError, match=r"has no CRS.*-a_srs"):
        assess_vectors(nowhere, good)
    for name in ("virtual.gpkg", "virtual.geojson", "virtual.parquet"):
        (tmp_path / name).write_text(
            f"<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>{good}"
            "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
        )
        with pytest.raises(SceneError, match="by its content"):
            assess_vectors(tmp_path / name, good)
    (tmp_path / "cut.gpkg").write_bytes(good.read_bytes()[:3000])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1nothing")
    for name in ("cut.gpkg", "cut.parquet", "missing.gpkg", "notes.txt"):
        with pytest.raises(SceneError, match=name):
            assess_vectors(tmp_path / name, good)
    geopandas.read_file(good).to_file(good, layer="second")
    with pytest.raises(SceneError, match=r"2 layers.*--layer.*good, second"):
        assess_vectors(good, good)
    with pytest.raises(OptionError, match="does not exist"):
        assess_vectors(good, good, layer="third", reference_layer="good")
    assert assess_vectors(good, good, layer="good", reference_layer="second").accuracies[0].f1 == 1


@pytest.mark.parametrize(
    "options", [{"iou": ()}, {"iou": (1.0,)}, {"boundary": 0.0}, {"boundary": float("nan")}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError):
        ObjectOptions(**options)


def geodl(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_the_command_tells_and_writes_the_figures(tmp_path):
    mapped, reference = town(2, count=3)
    files = layer(tmp_path / "m.gpkg", mapped), "--reference", layer(tmp_path / "r.geojson", reference)
    options = "--iou", 0.75, "--iou", 0.5, "--boundary", "2px", "--pixel-size", 0.5, "--min-area", 1
    done = geodl("assess", *files, *options, "--json", tmp_path / "a.json")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "a.json").read_text())
    assert [each["iou"] for each in told["thresholds"]] == [0.5, 0.75]
    assert told["thresholds"][0]["matches"] == spacenet(mapped, reference, 0.5)
    assert told["boundary_metres"] == 1
    assert "boundary IoU (1 m)" in done.output
    assert f"{told['area_iou']:.1%}"[:-1] in done.output
    done = geodl("assess", *files, "--json", "-")
    assert json.loads(done.output)["thresholds"][0]["matches"] == told["thresholds"][0]["matches"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--boundary", "2px"], "--pixel-size"),
        (["--boundary", "wide"], "no distance"),
        (["--background", "0"], "--background"),
        (["--area"], "--area"),
        (["--png", "x.png"], "--png"),
        (["--iou", "1.5"], "--iou"),
        (["--buffer", "3m"], "--buffer"),
        (["--junctions", "vertices"], "--junctions"),
        (["--min-area", "-1"], "--min-area"),
    ],
)
def test_the_command_refuses_options_without_meaning(tmp_path, options, message):
    file = layer(tmp_path / "m.gpkg", HOUSE)
    done = geodl("assess", file, "--reference", file, *options)
    assert done.exit_code == 2, done.output
    assert message in done.output


def test_rasters_and_vectors_are_told_apart(tmp_path):
    file = layer(tmp_path / "m.gpkg", HOUSE)
    done = geodl("assess", file, "--reference", tmp_path / "labels.tif")
    assert done.exit_code == 2
    assert "no vector file" in done.output
    done = geodl("assess", tmp_path / "map.tif", "--reference", file, "--iou", "0.5")
    assert done.exit_code == 2
    assert "--iou" in done.output
    assert set(VECTOR_SUFFIXES) == SUFFIXES
