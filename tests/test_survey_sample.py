"""Drawing points from a map, and the file that interpreters get."""

import sqlite3
from xml.etree import ElementTree as Xml

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from pyproj import Geod
from scipy import stats

from geodl.assess.classmap import open_map
from geodl.cli import main
from geodl.errors import OptionError, ProductError, SceneError
from geodl.survey.draw import draw_random, draw_stratified, draw_systematic
from geodl.survey.form import form_style
from geodl.survey.sample import Plan, sample_map
from geodl.survey.strata import measure_strata

UTM = Affine(30, 0, 499_000, 0, -30, 5_201_000)
HOSTILE = "\" onload='x' &amp; ]]> <script>\x07"


def write(path, pixels, crs="EPSG:32632", transform=UTM, **profile):
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=pixels.shape[0], width=pixels.shape[1], dtype="uint8",
        crs=crs, transform=transform, **{"nodata": 255, **profile},
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    return path


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(6)
    found = rng.choice([1, 2, 7], (80, 110), p=[0.7, 0.27, 0.03]).astype(np.uint8)
    found[:10, :20] = 255
    return found


@pytest.fixture
def class_map(tmp_path, pixels):
    return write(tmp_path / "map.tif", pixels)


def read(path):
    return geopandas.read_file(path, layer="points"), pyogrio.read_dataframe(path, layer="drawn")


def test_points_lie_in_the_centres_of_pixels_of_their_class(class_map, pixels, tmp_path):
    out = tmp_path / "points.gpkg"
    found = sample_map(class_map, out, Plan(points=120, allocation="equal"))
    points, drawn = read(out)
    columns, rows = ~UTM @ (points.geometry.x.to_numpy(), points.geometry.y.to_numpy())
    np.testing.assert_allclose([columns % 1, rows % 1], 0.5)
    classes = pixels[rows.astype(int), columns.astype(int)]
    np.testing.assert_array_equal(drawn["stratum"], classes)
    assert found.points == (40, 40, 40)
    assert np.unique(classes, return_counts=True)[1].tolist() == [40, 40, 40]
    assert len({*zip(rows, columns, strict=True)}) == 120
    assert points.crs.to_epsg() == 32632


def test_the_interpreter_sees_neither_answer_nor_map(class_map, tmp_path):
    out = tmp_path / "points.gpkg"
    sample_map(class_map, out, Plan(points=120, allocation="equal"))
    points, drawn = read(out)
    assert set(points.columns) == {"id", "reference", "note", "geometry"}
    assert points["reference"].isna().all()
    assert points["id"].tolist() == list(range(1, 121))
    assert len(set(drawn["stratum"][:20])) == 3  # not class by class, nor from north to south
    assert abs(stats.spearmanr(points["id"], points.geometry.y).statistic) < 0.3


def test_strata_and_origin_are_in_the_file(class_map, pixels, tmp_path):
    out = tmp_path / "points.gpkg"
    sample_map(class_map, out, Plan(points=90, seed=5))
    strata = pyogrio.read_dataframe(out, layer="strata")
    assert strata["value"].tolist() == [1, 2, 7]
    assert strata["pixels"].tolist() == [(pixels == v).sum() for v in (1, 2, 7)]
    np.testing.assert_allclose(strata["area_m2"], 900 * strata["pixels"], rtol=1e-3)
    assert strata["points"].sum() == 90
    with sqlite3.connect(out) as file:
        (text,) = file.execute("SELECT metadata FROM gpkg_metadata").fetchone()
    assert '"seed": 5' in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize("design", ["stratified", "random", "systematic"])
def test_same_seed_same_points_however_the_map_is_read(class_map, tmp_path, monkeypatch, design):
    def draw(name, seed):
        sample_map(class_map, tmp_path / name, Plan(points=60, design=design, seed=seed))
        return geopandas.read_file(tmp_path / name, layer="points").geometry

    whole = draw("a.gpkg", 3)
    monkeypatch.setattr("geodl.survey.strata._PIXELS", 700)
    assert whole.geom_equals(draw("b.gpkg", 3)).all()
    assert {*whole.to_wkt()} != {*draw("c.gpkg", 4).to_wkt()}


def test_every_pixel_has_the_same_chance(tmp_path):
    path = write(tmp_path / "m.tif", np.repeat([1, 2], 50).reshape(10, 10).astype(np.uint8))
    with open_map(path) as mapped:
        hits = np.zeros((10, 10))
        for seed in range(300):
            drawn = draw_stratified(mapped, {1: 10, 2: 20}, seed)
            assert (drawn.values == 1).sum() == 10
            hits[drawn.rows, drawn.columns] += 1
    assert stats.chisquare(hits[:5].ravel()).pvalue > 0.01
    assert stats.chisquare(hits[5:].ravel()).pvalue > 0.01


def degrees(tmp_path):
    """A map from the equator to 80 degrees north, of one class."""
    return write(
        tmp_path / "deg.tif",
        np.ones((160, 40), np.uint8),
        crs="EPSG:4326",
        transform=Affine(0.5, 0, 0, 0, -0.5, 80),
    )


def test_areas_in_degrees_are_those_on_the_ellipsoid(tmp_path):
    with open_map(degrees(tmp_path)) as mapped:
        found = measure_strata(mapped)
    # Parallels as fine chains of points: the sides of a geodesic polygon are no parallels.
    x = np.linspace(0, 20, 2001)
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(
        np.concatenate([x, x[::-1]]), np.concatenate([np.zeros(2001), np.full(2001, 80.0)])
    )
    assert found.areas[0] == pytest.approx(abs(area), rel=1e-4)


@pytest.mark.parametrize("design", ["random", "systematic"])
def test_chances_in_degrees_go_with_the_area(tmp_path, design):
    with open_map(degrees(tmp_path)) as mapped:
        strata = measure_strata(mapped)
        rows = []
        for seed in range(40):
            if design == "random":
                rows.append(draw_random(mapped, 100, seed).rows)
            else:
                rows.append(draw_systematic(mapped, strata, 100, seed).rows)
    latitude = 80 - 0.5 * (np.concatenate(rows) + 0.5)
    # Of the area between the equator and 80 degrees, half lies below asin(sin(80) / 2) on a sphere.
    below = (latitude < np.degrees(np.arcsin(np.sin(np.radians(80)) / 2))).mean()
    assert below == pytest.approx(0.5, abs=0.03)
    assert len(latitude) == pytest.approx(4000, rel=0.05)


def test_a_systematic_sample_is_a_grid(class_map, pixels):
    with open_map(class_map) as mapped:
        drawn = draw_systematic(mapped, measure_strata(mapped), 150, 1)
    steps = np.diff(np.unique(drawn.rows))
    assert steps.max() - steps.min() <= 1
    assert len(drawn) == pytest.approx(150, rel=0.15)
    np.testing.assert_array_equal(pixels[drawn.rows, drawn.columns], drawn.values)


def test_the_form_lists_the_classes():
    names = {3: "water", 1: HOSTILE, 2: "forêt"}
    text = form_style(names)
    assert text.startswith("<!DOCTYPE qgis")
    root = Xml.fromstring(text)
    widgets = {
        f.get("name"): f.find("editWidget") for f in root.iter("field") if f.find("editWidget") is not None
    }
    assert widgets["reference"].get("type") == "ValueMap"
    entries = widgets["reference"].findall("config/Option/Option[@name='map']/Option/Option")
    *chosen, empty = [(entry.get("name"), entry.get("value")) for entry in entries]
    assert empty == ("(not interpreted)", "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}")  # takes an answer back
    assert chosen == [("water", "3"), (HOSTILE.replace("\x07", ""), "1"), ("forêt", "2")]
    editable = {f.get("name"): f.get("editable") for f in root.find("editable")}
    assert editable == {"fid": "0", "id": "0", "reference": "1", "note": "1"}
    categories = {c.get("value"): c.get("label") for c in root.iter("category")}
    assert categories == {"1": "to be interpreted", "0": "interpreted"}


def test_the_form_is_the_default_style_of_the_file(class_map, tmp_path):
    out = tmp_path / "points.gpkg"
    sample_map(class_map, out, Plan(points=30))
    with sqlite3.connect(out) as file:
        rows = file.execute("SELECT f_table_name, useAsDefault, styleQML FROM layer_styles").fetchall()
        kinds = dict(file.execute("SELECT table_name, data_type FROM gpkg_contents").fetchall())
    assert [row[:2] for row in rows] == [("points", 1)]
    assert "ValueMap" in rows[0][2]
    assert kinds == {
        "points": "features",
        "strata": "attributes",
        "drawn": "attributes",
        "layer_styles": "attributes",
    }


def test_answers_are_never_overwritten(class_map, tmp_path):
    out = tmp_path / "points.gpkg"
    sample_map(class_map, out, Plan(points=30))
    before = out.read_bytes()
    with pytest.raises(ProductError, match="may hold answers"):
        sample_map(class_map, out, Plan(points=30, seed=1))
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_maps_that_cannot_be_sampled(tmp_path):
    plan, out = Plan(points=10), tmp_path / "o.gpkg"
    with pytest.raises(SceneError, match="has no CRS"):
        sample_map(write(tmp_path / "n.tif", np.ones((9, 9), np.uint8), crs=None), out, plan)
    with pytest.raises(SceneError, match="no pixel has a class"):
        sample_map(write(tmp_path / "e.tif", np.full((9, 9), 255, np.uint8)), out, plan)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"points": 10**6}, "ask for fewer points"),
        ({"points": 10**6, "design": "random"}, "ask for fewer points"),
        ({"points": 9, "minimum": 5}, "smaller --min-per-class"),
        ({"points": 0}, "give 1 or more"),
        ({"standard_error": 0}, "is no share"),
        ({"expected": 1.5}, "no share of 0 to 1"),
        ({"expected": {"lava": 0.5}}, "has no class lava: it has 1, 2, 7"),
        ({"design": "clever"}, "use stratified, random, systematic"),
    ],
)
def test_plans_that_do_not_fit(class_map, tmp_path, options, match):
    with pytest.raises(OptionError, match=match):
        sample_map(class_map, tmp_path / "o.gpkg", Plan(**options))
    assert not (tmp_path / "o.gpkg").exists()


def test_another_format_is_refused(class_map, tmp_path):
    with pytest.raises(OptionError, match=r"end the name in \.gpkg"):
        sample_map(class_map, tmp_path / "o.shp", Plan(points=10))


def test_on_the_command_line(class_map, tmp_path):
    out = str(tmp_path / "points.gpkg")
    planned = CliRunner().invoke(main, ["sample", str(class_map), "--expected-accuracy", "1=0.95,7=0.6"])
    assert planned.exit_code == 0, planned.output
    assert "points would be drawn" in planned.output
    drawn = CliRunner().invoke(
        main, ["sample", str(class_map), "--n", "75", "--min-per-class", "20", "--out", out]
    )
    assert drawn.exit_code == 0, drawn.output
    assert f"{out}: 75 points" in drawn.output
    assert len(geopandas.read_file(out, layer="points")) == 75
    wrong = CliRunner().invoke(main, ["sample", str(class_map), "--expected-accuracy", "high"])
    assert wrong.exit_code == 2
    assert "write 0.9" in wrong.output
