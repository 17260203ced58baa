"""The sample scenes: truth agrees with itself and with the pictures, and one seed gives one landscape."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a folder of scripts beside the package, not installed with it

import pyogrio  # noqa: E402

from sample_scenes import generate  # noqa: E402
from sample_scenes.generate import COMMITTED, Order  # noqa: E402
from sample_scenes.light import Sun, shadows, slope_light  # noqa: E402
from sample_scenes.materials import CLASSES, NODATA  # noqa: E402
from sample_scenes.noise import fractal_noise, stream  # noqa: E402
from sample_scenes.picture import change  # noqa: E402
from sample_scenes.sensor import majority, swath  # noqa: E402
from sample_scenes.terrain import accumulate, drain  # noqa: E402

FOLDER = ROOT / "sample_scenes"
PLACES = {
    "valley": Order(
        name="v", style="valley", seed=5, shape=(150, 171), epsg=32632, corner=(600_000, 5_200_000)
    ),
    "coast": Order(
        name="c", style="coast", seed=6, shape=(133, 160), epsg=32632, corner=(600_000, 5_200_000)
    ),
    "town": Order(name="t", style="town", seed=2, shape=(467, 430), epsg=32632, corner=(600_000, 5_200_000)),
}
SCENES = [(order, year) for order in COMMITTED for year in order.years]
NAMES = [f"{order.name}_{year}" for order, year in SCENES]


@pytest.fixture(scope="module")
def pictures():
    return {style: generate.render(order) for style, order in PLACES.items()}


@pytest.mark.parametrize("style", PLACES)
def test_every_class_covers_a_useful_share(pictures, style):
    for picture in pictures[style].values():
        shares = np.bincount(picture.landcover[picture.valid], minlength=256) / picture.valid.sum()
        assert set(np.flatnonzero(shares)) == set(CLASSES)
        assert min(shares[value] for value in CLASSES) > 0.005


@pytest.mark.parametrize("style", PLACES)
def test_scene_and_truth_have_the_same_corners(pictures, style):
    for picture in pictures[style].values():
        assert 0.02 < 1 - picture.valid.mean() < 0.3
        assert not picture.valid[0, 0] or not picture.valid[0, -1]
        np.testing.assert_array_equal(picture.landcover == NODATA, ~picture.valid)
        assert (picture.values[:, picture.valid] > 0).all()
        assert (picture.values[:, ~picture.valid] == 0).all()


def test_buildings_are_built_up_at_the_pixels_they_cover(pictures):
    for picture in pictures["town"].values():
        covered = rasterize(picture.buildings.geometry, picture.valid.shape, transform=picture.transform) == 1
        assert covered.sum() > 500
        assert (picture.landcover[covered & picture.valid] == 5).all()
        np.testing.assert_array_equal(covered & picture.valid, picture.built)


def test_vectors_are_valid_and_lie_inside_the_swath(pictures):
    picture = pictures["town"][2023]
    assert picture.buildings.is_valid.all()
    assert picture.roads.is_valid.all()
    assert picture.buildings.crs.to_epsg() == picture.roads.crs.to_epsg() == 32632
    assert (picture.roads["width_m"] > 2).all()
    rows, columns = picture.valid.shape
    left, bottom, right, top = picture.buildings.total_bounds
    assert picture.transform.c <= left
    assert right <= picture.transform.c + columns * 0.5
    assert top <= picture.transform.f
    assert picture.transform.f - rows * 0.5 <= bottom


def test_open_road_centrelines_run_over_built_up_ground(pictures):
    picture = pictures["town"][2023]
    lines = rasterize(picture.roads.geometry, picture.valid.shape, transform=picture.transform) == 1
    under = picture.landcover[lines & picture.valid]
    # Crowns at the kerb reach over a street here and there.
    assert np.mean(under == 5) > 0.93
    assert set(np.unique(under)) <= {2, 5}


@pytest.mark.parametrize("style", PLACES)
def test_change_is_where_landcover_or_buildings_differ_and_nowhere_else(pictures, style):
    before, after = pictures[style][2023], pictures[style][2024]
    truth = change(before, after)
    seen = before.valid & after.valid
    np.testing.assert_array_equal(truth == NODATA, ~seen)
    same = (before.landcover == after.landcover) & (before.built == after.built)
    assert (truth[seen & same] == 0).all()
    assert (truth[seen & ~same] == 1).all()
    assert 0.002 < np.mean(truth[seen]) < 0.4


def test_another_crop_is_not_a_change(pictures):
    before, after = pictures["valley"][2023], pictures["valley"][2024]
    fields = (change(before, after) == 0) & (before.landcover == 4)
    nir = [picture.values[3][fields].astype(float) / 10_000 for picture in (before, after)]
    assert np.mean(np.abs(nir[0] - nir[1]) > 0.1) > 0.3


def test_pixels_look_like_their_class(pictures):
    picture = pictures["valley"][2023]
    green, red, nir, swir = picture.values[1:5].astype(float)
    middle = {
        value: [np.median(band[picture.landcover == value]) for band in (green, red, nir, swir)]
        for value in CLASSES
    }
    greenness = {value: (nir - red) / (nir + red) for value, (_, red, nir, _) in middle.items()}
    assert middle[1][2] < 500, "water is dark in the near infrared"
    assert greenness[2] > 0.6
    assert greenness[3] > 0.3
    assert max(greenness[5], greenness[6]) < greenness[3]
    assert middle[2][1] < middle[3][1], "forest is darker than grass"


def files_of(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_one_seed_gives_the_same_bytes_again(tmp_path, pictures):
    for style in ("valley", "town"):
        generate.write(PLACES[style], pictures[style], tmp_path / "once")
        generate.write(PLACES[style], generate.render(PLACES[style]), tmp_path / "again")
    once, again = files_of(tmp_path / "once"), files_of(tmp_path / "again")
    assert len(once) == 4 + 2 + 4 + 4 + 6  # the last: names of classes beside each truth raster
    assert once == again


def test_another_seed_gives_another_landscape(pictures):
    other = generate.render(replace(PLACES["valley"], seed=6, years=(2023,)))[2023]
    assert np.mean(other.landcover != pictures["valley"][2023].landcover) > 0.3


def test_command_line_makes_new_places(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            FOLDER / "generate.py",
            "--out",
            tmp_path,
            "--count",
            "1",
            "--size",
            "96",
            "--seed",
            "7",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    names = ["s2_0007_2023", "s2_0007_2024", "aerial_0007_2023", "aerial_0007_2024"]
    assert [Path(line).stem for line in done.stdout.split()] == names
    for name in names:
        with (
            rasterio.open(tmp_path / f"{name}.tif") as scene,
            rasterio.open(tmp_path / "truth" / f"{name}_landcover.tif") as truth,
        ):
            assert scene.shape == truth.shape == (96, 96)
            assert scene.transform == truth.transform


def test_too_small_a_scene_is_refused():
    with pytest.raises(ValueError, match="no room for a landscape: use --size 96"):
        generate.render(replace(PLACES["valley"], shape=(95, 200)))


@pytest.mark.parametrize(("order", "year"), SCENES, ids=NAMES)
def test_committed_scenes_are_as_the_generator_describes_them(order, year):
    name = f"{order.name}_{year}"
    with (
        rasterio.open(FOLDER / f"{name}.tif") as scene,
        rasterio.open(FOLDER / "truth" / f"{name}_landcover.tif") as truth,
    ):
        assert scene.shape == truth.shape == order.shape
        assert scene.transform == truth.transform
        assert scene.crs == truth.crs == f"EPSG:{order.epsg}"
        valid = scene.dataset_mask() > 0
        np.testing.assert_array_equal(truth.read(1) != 255, valid)
        assert truth.colormap(1)[1] == (0x2B, 0x6C, 0xB0, 255)
        if order.aerial:
            assert scene.descriptions == ("red", "green", "blue", "nir")
            assert scene.dtypes[0] == "uint8"
            assert scene.nodata == (None if year == 2023 else 0)
        else:
            assert scene.descriptions == ("blue", "green", "red", "nir", "swir1", "swir2")
            assert scene.dtypes[0] == "uint16"
            assert scene.scales == (0.0001,) * 6
            assert scene.nodata == 0
            assert np.all((scene.read()[:, valid] > 0) & (scene.read()[:, valid] < 12_000))


def test_committed_files_are_complete_and_small():
    files = [path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 12e6
    assert sorted(path.stem for path in FOLDER.glob("*.tif")) == sorted(NAMES)
    assert {path.stem for path in (FOLDER / "truth").glob("*_change.tif")} == {
        "s2_valley_change",
        "aerial_town_change",
    }
    for path in (FOLDER / "truth").glob("*.gpkg"):
        assert pyogrio.read_info(path)["features"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("order", COMMITTED, ids=lambda order: order.name)
def test_committed_scenes_are_made_again(order):
    for year, picture in generate.render(order).items():
        with rasterio.open(FOLDER / f"{order.name}_{year}.tif") as scene:
            # Other versions of the libraries may round a few pixels otherwise.
            assert np.mean(scene.read() != picture.values) < 0.01


def test_noise_has_no_mean_unit_spread_and_the_asked_roughness():
    def step(beta):
        field = fractal_noise((120, 90), 10.0, stream(1, "n"), largest=500, beta=beta)
        assert abs(field.mean()) < 1e-4
        assert field.std() == pytest.approx(1, abs=1e-4)
        return np.abs(np.diff(field)).mean()

    assert step(1.0) > step(2.0) > step(3.5)


def test_water_runs_out_of_a_pit_to_the_outlet():
    ground = np.full((5, 5), 10, dtype=np.float32)
    ground[2, 2] = 1  # a pit
    outlets = np.zeros((5, 5), dtype=bool)
    outlets[4, 4] = True
    filled, downstream, order = drain(ground, outlets)
    flow = accumulate(downstream, order, np.ones((5, 5), dtype=np.float32))
    assert filled[2, 2] > 10
    assert flow[24] == 25, "all rain leaves by the outlet"
    assert len(order) == 25


def test_shadow_falls_away_from_the_sun_as_long_as_the_height_tells():
    surface = np.zeros((41, 41), dtype=np.float32)
    surface[20, 20] = 10
    shadow = shadows(surface, 1.0, Sun(azimuth=180, elevation=45), reach=30)  # sun in the south
    rows, columns = np.nonzero(shadow)
    assert set(columns) == {20}
    assert (rows.min(), rows.max()) == (11, 19)


def test_a_slope_towards_the_sun_is_brighter():
    x = np.broadcast_to(np.arange(20, dtype=np.float32), (20, 20))
    east = Sun(azimuth=90, elevation=40)
    assert slope_light(-0.3 * x, 1.0, east).mean() > 1 > slope_light(0.3 * x, 1.0, east).mean()
    assert slope_light(0 * x, 1.0, east) == pytest.approx(1)


def test_majority_takes_the_class_with_most_pixels_and_the_lowest_in_a_tie():
    classes = np.array([[3, 3, 2, 2], [3, 1, 5, 5]], dtype=np.uint8)
    np.testing.assert_array_equal(majority(classes, 2, range(1, 7)), [[3, 2]])


def test_swath_cuts_corners_off():
    whole = 200 * 300
    assert swath((200, 300), 0.0, keep=1.0).area == pytest.approx(whole)
    assert 0.8 * whole < swath((200, 300), 8.0).area < 0.99 * whole
