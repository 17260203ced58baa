"""Answers at points against the map they were drawn from: areas, accuracies and what is told about gaps."""

import json
import math
import sqlite3

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner

from geodl.cli import main
from geodl.errors import SceneError
from geodl.survey.measure import assess_area
from geodl.survey.sample import Plan, sample_map
from tests.test_assess_estimate import COUNTS, PIXELS

UTM = Affine(30, 0, 499_000, 0, -30, 5_201_000)
NAMES = {1: "water", 2: "forest", 3: "town"}


def write(path, pixels, crs="EPSG:32632", transform=UTM):
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=pixels.shape[0], width=pixels.shape[1], dtype="uint8",
        crs=crs, transform=transform, nodata=255,
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    return path


def truth_and_map(shape=(90, 120), seed=1):
    rng = np.random.default_rng(seed)
    truth = rng.choice([1, 2, 3], shape, p=[0.1, 0.6, 0.3]).astype(np.uint8)
    mapped = np.where(rng.random(shape) < 0.85, truth, rng.choice([1, 2, 3], shape)).astype(np.uint8)
    return truth, mapped


def answer(path, truth, transform=UTM, keep=None):
    """Fill in the truth at the points of a sample, as an interpreter in QGIS would, in place."""
    points = geopandas.read_file(path, layer="points")
    columns, rows = ~transform @ (points.geometry.x.to_numpy(), points.geometry.y.to_numpy())
    seen = truth[np.floor(rows).astype(int), np.floor(columns).astype(int)]
    with sqlite3.connect(path) as file:
        # Triggers of the spatial index call functions that only GDAL and QGIS bring along.
        for (trigger,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f'DROP TRIGGER "{trigger}"')
        for number, value in zip(points["id"].tolist(), seen.tolist(), strict=True):
            if keep is None or keep(number, value):
                file.execute("UPDATE points SET reference = ? WHERE id = ?", (value, number))


def foreign(path, truth, places, crs="EPSG:32632", transform=UTM, **columns):
    """A layer of points from elsewhere: no tables about a design."""
    rows, cols = np.array(places).T
    x, y = transform @ (cols + 0.5, rows + 0.5)
    data = {"reference": [int(truth[r, c]) for r, c in places], **columns}
    frame = geopandas.GeoDataFrame(data, geometry=shapely.points(x, y), crs="EPSG:32632")
    frame.to_crs(crs).to_file(path)
    return path


@pytest.fixture
def answered(tmp_path):
    truth, mapped = truth_and_map()
    map_path, points = write(tmp_path / "map.tif", mapped), tmp_path / "points.gpkg"
    sample_map(map_path, points, Plan(points=600))
    answer(points, truth)
    return map_path, points, truth, mapped


def test_the_published_example_as_files(tmp_path):
    """The map and the points of Olofsson et al. (2014) at a thousandth of their area."""
    classes = np.repeat(list(PIXELS), [count // 1000 for count in PIXELS.values()]).astype(np.uint8)
    equal_area = Affine(30, 0, 4_321_000, 0, -30, 3_210_000)
    map_path = write(tmp_path / "map.tif", classes.reshape(100, 100), "EPSG:3035", equal_area)
    places, seen = [], []
    for value, row in zip(PIXELS, COUNTS, strict=True):
        spots = np.flatnonzero(classes == value)[: row.sum()]
        places += [divmod(int(spot), 100) for spot in spots]
        seen += np.repeat(list(PIXELS), row).tolist()
    rows, columns = np.array(places).T
    x, y = equal_area @ (columns + 0.5, rows + 0.5)
    points = geopandas.GeoDataFrame({"reference": seen}, geometry=shapely.points(x, y), crs="EPSG:3035")
    points.to_file(tmp_path / "points.gpkg")

    found = assess_area(map_path, tmp_path / "points.gpkg")
    areas = [c["area_ha"] for c in found.to_dict()["classes"]]
    expected = [(21.158, 6.158), (11.686, 3.756), (285.770, 15.510), (581.386, 16.282)]
    got = [(a["value"], 1.96 * a["standard_error"]) for a in areas]
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-3)
    assert found.estimate.overall.value == pytest.approx(0.947, abs=5e-4)
    assert found.notes == ()


def test_intervals_hold_the_truth(answered):
    map_path, points, truth, mapped = answered
    found = assess_area(map_path, points, names=NAMES)
    assert found.names == ("water", "forest", "town")
    assert found.notes == ()
    right = truth == mapped
    for k, value in enumerate((1, 2, 3)):
        for estimated, actual in (
            (found.estimate.shares[k], (truth == value).mean()),
            (found.estimate.users[k], right[mapped == value].mean()),
            (found.estimate.producers[k], right[truth == value].mean()),
        ):
            assert abs(estimated.value - actual) <= 3 * estimated.standard_error + 1e-9
    assert found.mapped[0] / 1e4 == pytest.approx(0.09 * (mapped == 1).sum(), rel=1e-3)


def test_all_pixels_interpreted_give_the_truth_itself(tmp_path):
    truth, mapped = truth_and_map((12, 15))
    map_path, points = write(tmp_path / "map.tif", mapped), tmp_path / "points.gpkg"
    sample_map(map_path, points, Plan(points=180, design="random"))
    answer(points, truth)
    found = assess_area(map_path, points)
    expected = [0.09 * (truth == value).sum() for value in (1, 2, 3)]
    np.testing.assert_allclose(
        [s.value * found.area / 1e4 for s in found.estimate.shares], expected, rtol=1e-3
    )
    assert found.estimate.overall.value == pytest.approx((truth == mapped).mean(), rel=1e-3)


def test_unanswered_points_are_told_and_left_out(tmp_path):
    truth, mapped = truth_and_map()
    map_path, points = write(tmp_path / "map.tif", mapped), tmp_path / "points.gpkg"
    sample_map(map_path, points, Plan(points=200))
    answer(points, truth, keep=lambda number, value: number % 4)
    found = assess_area(map_path, points)
    assert found.unanswered == 50
    assert found.to_dict()["answered"] == 150
    assert "50 of 200 points are not answered" in found.notes[0]


def test_a_class_without_answers_is_named_and_the_rest_estimated(answered):
    map_path, points, _, mapped = answered
    with sqlite3.connect(points) as file:
        for (trigger,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f'DROP TRIGGER "{trigger}"')
        file.execute(
            "UPDATE points SET reference = NULL WHERE id IN (SELECT id FROM drawn WHERE stratum = 1)"
        )
    found = assess_area(map_path, points, names=NAMES)
    assert any(note.startswith("water (") and "no answered point" in note for note in found.notes)
    rest = 0.09 * (mapped != 1).sum()
    assert found.area / 1e4 == pytest.approx(rest, rel=1e-3)
    assert "-" in found.to_text()
    assert not math.isnan(found.estimate.overall.standard_error)


def test_points_in_another_crs_and_off_the_map(tmp_path):
    truth, mapped = truth_and_map()
    mapped[0] = 255
    map_path = write(tmp_path / "map.tif", mapped)
    rng = np.random.default_rng(0)
    places = [
        (int(r), int(c)) for r, c in zip(rng.integers(1, 90, 150), rng.integers(0, 120, 150), strict=True)
    ]
    here = assess_area(map_path, foreign(tmp_path / "utm.gpkg", truth, places))
    there = assess_area(map_path, foreign(tmp_path / "deg.geojson", truth, places, crs="EPSG:4326"))
    np.testing.assert_array_equal(here.estimate.counts, there.estimate.counts)
    assert here.to_dict()["classes"] == there.to_dict()["classes"]

    far = foreign(tmp_path / "far.gpkg", np.ones((500, 500), np.uint8), [*places, (400, 3), (0, 5)])
    assert any("2 points lie where the map has no class" in note for note in assess_area(map_path, far).notes)


def test_a_map_in_degrees(tmp_path):
    truth = np.where(np.arange(120)[:, None] < 60, 1, 2).repeat(60, axis=1).astype(np.uint8)
    transform = Affine(0.5, 0, 0, 0, -0.5, 60)
    map_path, points = write(tmp_path / "m.tif", truth, "EPSG:4326", transform), tmp_path / "p.gpkg"
    sample_map(map_path, points, Plan(points=400, design="random"))
    answer(points, truth, transform)
    found = assess_area(map_path, points)
    shares = [s.value for s in found.estimate.shares]
    # North of 30 degrees lie (sin 60 - sin 30) / sin 60 of a sphere's area up to 60 degrees.
    assert shares[0] == pytest.approx(1 - 0.5 / math.sin(math.radians(60)), abs=2e-3)
    assert found.estimate.overall.value == 1


def test_answers_in_words(tmp_path):
    truth, mapped = truth_and_map()
    map_path = write(tmp_path / "map.tif", mapped)
    places = [(r, c) for r in range(0, 90, 6) for c in range(0, 120, 6)]
    words = [{1: "Water", 2: " forest", 3: "buildings"}[int(truth[r, c])] for r, c in places]
    words[0] = ""
    points = foreign(tmp_path / "p.geojson", truth, places, seen=words)
    by_value = assess_area(map_path, points, names=NAMES)
    with pytest.raises(SceneError, match=r"buildings mean no class.*water, forest, town: .*--mapping"):
        assess_area(map_path, points, attribute="seen", names=NAMES)
    found = assess_area(map_path, points, attribute="seen", names=NAMES, mapping={"buildings": 3})
    assert found.unanswered == 1
    assert found.estimate.counts.sum() == by_value.estimate.counts.sum() - 1


def test_a_class_seen_but_not_mapped_gets_an_area(answered):
    map_path, points, truth, _ = answered
    other = truth.copy()
    other[:, :40] = 9
    answer(points, other)
    found = assess_area(map_path, points, names=NAMES)
    assert found.names == ("water", "forest", "town", "9")
    share = found.estimate.shares[3]
    assert abs(share.value - 1 / 3) < 3 * share.standard_error
    assert found.mapped[3] == 0


def test_another_map_with_the_strata_of_the_first(answered, tmp_path):
    _, points, truth, _ = answered
    _, better = truth_and_map(seed=1)
    better[:45] = truth[:45]
    found = assess_area(write(tmp_path / "better.tif", better), points)
    assert any("classes of another map" in note for note in found.notes)
    overall = found.estimate.overall
    assert abs(overall.value - (better == truth).mean()) < 3 * overall.standard_error


def test_a_sample_of_another_place_is_refused(answered, tmp_path):
    _, points, *_, mapped = answered
    half = write(tmp_path / "half.tif", mapped[:45])
    with pytest.raises(SceneError, match=r"sample of another map: .*geodl sample"):
        assess_area(half, points)


def test_points_added_by_hand_do_not_count(answered):
    map_path, points, *_ = answered
    before = assess_area(map_path, points)
    frame = geopandas.read_file(points, layer="points")
    extra = frame.iloc[:3].assign(id=[9001, 9002, 9003], reference=1)
    extra.to_file(points, layer="points", mode="a")
    after = assess_area(map_path, points)
    assert after.estimate.overall == before.estimate.overall
    assert after.notes == ("3 points were not drawn but added, and are left out",)


def test_points_that_were_moved_do_not_count(answered):
    map_path, points, _, mapped = answered
    frame = geopandas.read_file(points, layer="points")
    frame.geometry = frame.geometry.translate(30, 0).where(frame["id"] < 100, frame.geometry)
    columns, rows = ~UTM @ (frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    rows, columns = np.floor(rows).astype(int), np.floor(columns).astype(int)
    off = columns == mapped.shape[1]
    frame.loc[off, "geometry"] = frame.geometry[off].translate(-60, 0)
    columns[off] -= 2
    stratum = geopandas.read_file(points, layer="drawn")["stratum"].to_numpy()
    moved = int((mapped[rows, columns] != stratum).sum())
    frame.to_file(points, layer="points")
    found = assess_area(map_path, points)
    assert found.notes == (f"{moved} points were moved to another class since, and are left out",)
    assert found.estimate.counts.sum() == 600 - moved


def test_unusable_points(answered, tmp_path):
    map_path, points, *_ = answered
    empty = tmp_path / "empty.gpkg"
    sample_map(map_path, empty, Plan(points=30))
    with pytest.raises(SceneError, match="none is answered"):
        assess_area(map_path, empty)
    with pytest.raises(SceneError, match="no attribute 'kind'; it has id, reference, note"):
        assess_area(map_path, points, attribute="kind")
    with pytest.raises(SceneError, match="is no vector file"):
        assess_area(map_path, map_path)
    disguised = tmp_path / "disguised.geojson"
    disguised.write_text(
        f"<OGRVRTDataSource><OGRVRTLayer name='points'><SrcDataSource>{points}</SrcDataSource>"
    )
    with pytest.raises(SceneError, match=r"does not begin as a \.geojson file"):
        assess_area(map_path, disguised)
    square = geopandas.GeoDataFrame({"reference": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32632")
    square.to_file(tmp_path / "square.gpkg")
    with pytest.raises(SceneError, match=r"holds Polygon: .*without --area"):
        assess_area(map_path, tmp_path / "square.gpkg")
    with sqlite3.connect(points) as file:
        file.execute("UPDATE strata SET area_m2 = -1")
    with pytest.raises(SceneError, match="does not fit its points"):
        assess_area(map_path, points)


def test_on_the_command_line(answered, tmp_path):
    map_path, points, *_ = answered
    report, picture = tmp_path / "area.json", tmp_path / "area.png"
    done = CliRunner().invoke(
        main,
        ["assess", str(map_path), "--reference", str(points), "--area",
         "--json", str(report), "--png", str(picture)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "estimated area" in done.output
    assert "±" in done.output
    content = json.loads(report.read_text())
    low, high = (content["overall_accuracy"][end] for end in ("low", "high"))
    assert 0 <= low < content["overall_accuracy"]["value"] < high <= 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    wrong = CliRunner().invoke(
        main, ["assess", str(map_path), "--reference", str(points), "--area", "--boundary", "3px"]
    )
    assert wrong.exit_code == 2


def test_an_interval_of_nothing_is_not_certainty(tmp_path):
    truth, mapped = truth_and_map()
    mapped[truth == 1] = 2
    mapped[:4] = truth[:4] = 1
    map_path, points = write(tmp_path / "map.tif", mapped), tmp_path / "points.gpkg"
    sample_map(map_path, points, Plan(points=150, allocation="equal"))
    answer(points, np.where(mapped == 1, 1, truth))
    found = assess_area(map_path, points, names=NAMES)
    assert found.estimate.users[0].standard_error == 0
    count = int(found.estimate.counts[0].sum())
    # The rule of three: of what is not seen among n, about 3 / n may be there.
    (note,) = (note for note in found.notes if "on water of the map agree" in note)
    assert f"up to {3 / count:.0%}" in note or f"up to {3 / count - 0.002:.0%}" in note
