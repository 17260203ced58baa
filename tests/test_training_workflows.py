"""The recipes in workflows/, on the real imagery where it is there."""

import platform
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geodl.heap import keep_heap
from geodl.training.description import make_spec
from geodl.training.plots import decode, find_pairs
from geodl.training.recipe import load_recipe

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("landcover-*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_valid(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert make_spec(recipe).band_names == recipe.bands


def test_labels_of_another_crs_and_grid_equal_rasterio_warp(real_data, monkeypatch, tmp_path):
    monkeypatch.setenv("GEODL_REAL_DATA", str(real_data))
    recipe = load_recipe(WORKFLOWS / "landcover-zion.yaml")
    (plot,) = decode(recipe, tmp_path, gap=0)
    folder = real_data / "landcover" / "zion_landsat8_nlcd"
    expected = np.full((plot.height, plot.width), 255, dtype=np.uint8)
    with rasterio.open(folder / "nlcd.tif") as labels, rasterio.open(folder / "landsat_b2.tif") as scene:
        reproject(
            rasterio.band(labels, 1), expected, dst_crs=scene.crs, dst_transform=scene.transform,
            dst_nodata=255, resampling=Resampling.nearest, tolerance=0.01,
        )  # fmt: skip
        expected[scene.read(1) == scene.nodata] = 255
    train, held_out = np.asarray(plot.labels("train")), np.asarray(plot.labels("validation"))
    assert not ((train != 255) & (held_out != 255)).any()
    for part in (train, held_out):
        known = part != 255
        np.testing.assert_array_equal(part[known] + 1, expected[known])
    assert 0.2 < sum(plot.validation) / (expected != 255).sum() < 0.3
    assert all(plot.train)
    assert all(plot.validation)


def test_colour_masks_beside_photographs(real_data, monkeypatch, tmp_path):
    monkeypatch.setenv("GEODL_REAL_DATA", str(real_data))
    recipe = load_recipe(WORKFLOWS / "landcover-vhr.yaml")
    pairs = find_pairs(recipe)
    assert len(pairs) == 45
    sources = [
        source.model_copy(update={"scenes": f"landcover/dubai_vhr/{tile}/images/image_part_001.jpg"})
        for source, tile in zip(recipe.sources, ("tile_2", "tile_3"), strict=True)
    ]
    plot = decode(recipe.model_copy(update={"sources": sources}), tmp_path, gap=0)[0]
    with rasterio.open(real_data / "landcover/dubai_vhr/tile_2/masks/image_part_001.png") as mask:
        colours = mask.read()
    water = (colours == np.array([226, 169, 41], dtype=np.uint8)[:, None, None]).all(axis=0)
    np.testing.assert_array_equal(np.asarray(plot.labels("train")) == 4, water)
    assert plot.image.dtype == np.uint8
    assert plot.scale == (1, 1, 1)


def test_the_heap_is_kept_where_glibc_allows():
    assert keep_heap() == (platform.libc_ver()[0] == "glibc")
