"""The models that come with geodl: what they claim, and that it holds."""

import json

import numpy as np
import pytest
import rasterio
from scipy import ndimage
from sklearn.metrics import f1_score

import geodl
from geodl.alignment import align_pair
from geodl.assess.confusion import accuracy, confusion_matrix
from geodl.assess.labels import open_labels
from geodl.assess.vectors import assess_vectors
from geodl.demo import sample_scenes
from geodl.models.bundle import BUNDLED, bundled_models
from geodl.scene import open_scene
from geodl.tiles import Window
from tests.conftest import whole_scene_probabilities

SAMPLES = sample_scenes()
DUBAI = {"#3c1098": 1, "#8429f6": 2, "#6ec1e4": 3, "#fedd3a": 4, "#e2a929": 5}


def test_the_promised_models_are_there():
    assert {spec.name for spec in bundled_models()} >= {
        "buildings", "change-s2", "landcover-s2", "landcover-vhr", "roads",
    }  # fmt: skip


@pytest.mark.parametrize("spec", bundled_models(), ids=lambda spec: spec.name)
def test_a_bundled_model_says_what_it_is_worth_and_stays_small(spec):
    assert spec.title
    assert spec.licence
    assert spec.training.data
    assert spec.training.recipe
    assert spec.accuracy.pixels > 100_000
    assert 0 < spec.accuracy.mean_iou <= spec.accuracy.overall <= 1
    assert set(spec.accuracy.iou) == {c.name for c in spec.classes}
    geodl.load_model(spec.name).check()
    folder = BUNDLED / spec.name
    files = {path.name for path in folder.iterdir()}
    assert files == {"model.json", "weights.safetensors", "familiar.safetensors"}
    assert (folder / "weights.safetensors").stat().st_size <= 8e6
    assert "/" not in json.dumps(spec.training.recipe.get("data_root", ""))


@pytest.mark.parametrize("name", ["s2_coast_2023", "s2_valley_2024"])
def test_sample_scenes_are_mapped_well(name):
    result = geodl.predict(open_scene(SAMPLES / f"{name}.tif"), "landcover-s2")["class"].to_numpy()
    with rasterio.open(SAMPLES / "truth" / f"{name}_landcover.tif") as file:
        truth = file.read(1)
    np.testing.assert_array_equal(result == 255, truth == 255)
    seen = accuracy(confusion_matrix(truth, result, 255)[1:7, 1:7], ["a", "b", "c", "d", "e", "f"])
    assert seen.overall > 0.9
    assert seen.mean_iou > 0.75


def test_no_seams_with_a_bundled_model():
    scene, model = open_scene(SAMPLES / "s2_valley_2023.tif"), geodl.load_model("landcover-s2")
    small = model.spec.model_copy(update={"tile": 2 * model.spec.halo + 5 * model.spec.stride})
    tiled = geodl.predict(
        scene, type(model)(spec=small, folder=model.folder, hash="small-tiles"), probabilities=True
    )
    tiled = tiled.compute()
    expected, valid = whole_scene_probabilities(scene, model)
    assert np.abs(tiled["probability"].values[:, valid] - expected[:, valid]).max() <= 1e-3
    classes = np.array(model.spec.class_values)[expected.argmax(0)]
    assert (tiled["class"].values == classes)[valid].mean() >= 0.9999


def test_the_roads_of_the_sample_town_are_a_network(tmp_path):
    """Places of the same world were learnt from, this one was not; docs/accuracy.md has real ones."""
    mapped = geodl.predict(open_scene(SAMPLES / "aerial_town_2023.tif"), "roads")["class"]
    network = geodl.vectorize(mapped, task="roads")
    network.to_file(tmp_path / "roads.gpkg", layer="edges")
    truth = SAMPLES / "truth" / "aerial_town_2023_roads.gpkg"
    found = assess_vectors(tmp_path / "roads.gpkg", truth)
    assert found.paths.apls >= 0.8
    assert found.relaxed[0].precision > 0.9
    assert found.relaxed[0].recall > 0.9
    grid = mapped.odc.geobox
    with open_labels(truth, grid, background=0, width="width_m") as labels:
        true = labels.read(Window(0, 0, *grid.shape))
    seen = mapped.to_numpy() != 255
    road, is_road = (mapped.to_numpy() == 1) & seen, (true == 1) & seen
    assert (road & is_road).sum() / (road | is_road).sum() > 0.8


def move(path, pixels, out):
    """Write a scene that lies so many pixels off, down and to the left; interpolated by cubic splines."""
    with rasterio.open(path) as file:
        bands, profile, meaning = file.read(), file.profile, (file.descriptions, file.scales, file.units)
    hidden = (bands == 0).all(axis=0)
    offset = (pixels, -pixels)
    moved = np.stack([ndimage.shift(band.astype(float), offset, order=3, mode="nearest") for band in bands])
    moved = moved.round().clip(1, 65535).astype(bands.dtype)
    moved[:, ndimage.shift(hidden.astype(float), offset, order=1, mode="nearest") > 0] = 0
    with rasterio.open(out, "w", **profile) as file:
        file.write(moved)
        file.descriptions, file.scales, file.units = meaning
    return out


def test_changes_of_the_sample_valley_are_found_also_where_the_dates_lie_1_5_pixels_apart(tmp_path):
    before, after = (SAMPLES / f"s2_valley_{year}.tif" for year in (2023, 2024))
    with rasterio.open(SAMPLES / "truth" / "s2_valley_change.tif") as file:
        truth = file.read(1)
    off = geodl.open_pair(before, move(after, 1.5, tmp_path / "s2_valley_2024.tif"))
    for pair in (geodl.open_pair(before, after), align_pair(off, coregister="shift")):
        found = geodl.predict(pair, "change-s2")["class"].values
        known = (found <= 1) & (truth <= 1)
        assert f1_score(truth[known], found[known]) >= 0.9


def test_most_houses_of_the_sample_town_are_found(tmp_path):
    """Places of the same world were learnt from, this one was not; docs/accuracy-objects.md has real ones."""
    mapped = geodl.predict(open_scene(SAMPLES / "aerial_town_2023.tif"), "buildings")["class"]
    geodl.vectorize(mapped, task="buildings").to_file(tmp_path / "houses.gpkg", layer="buildings")
    found = assess_vectors(tmp_path / "houses.gpkg", SAMPLES / "truth" / "aerial_town_2023_buildings.gpkg")
    assert found.accuracy(0.5).f1 > 0.8


def test_a_real_photograph_is_mapped_better_than_pixel_by_pixel(real_data, tmp_path):
    """Part 1 of tile 3, which took no part in the fit; docs/accuracy.md has the whole figures."""
    folder = real_data / "landcover" / "dubai_vhr" / "tile_3"
    scene = open_scene(folder / "images" / "image_part_001.jpg")
    result = geodl.predict(scene, "landcover-vhr")
    geodl.write_cog(result["class"], tmp_path / "map.tif")
    found = geodl.assess(tmp_path / "map.tif", folder / "masks" / "image_part_001.png", mapping=DUBAI)
    assert found.to_dict()["overall_accuracy"] > 0.6
