"""Checking on ground that was learnt from is told: before the training, in the report, in the model."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, calculate_default_transform, reproject

from geodl.training import train
from geodl.training.plots import decode
from geodl.training.recipe import Recipe
from tests.test_training_division import CLASSES, SIZE, recipe_of, write_pair
from tests.test_training_fit import recipe_of as textures_of
from tests.test_training_fit import write_pair as write_textures
from tests.test_training_resume import FAST


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two dates of a place, a neighbour half of which overlaps, the place on another grid, another."""
    folder = tmp_path_factory.mktemp("shared")
    write_pair(folder, "home_2023", seed=1)
    write_pair(folder, "home_2024", seed=1)
    write_pair(folder, "next", seed=2, left=500000 + 10 * SIZE[1] // 2)
    write_pair(folder, "far", seed=3, left=540000)
    for name in ("", "labels/"):
        turned(folder / f"{name}home_2023.tif", folder / f"{name}turned.tif")
    return folder


def turned(before, after):
    """Write a raster in degrees."""
    with rasterio.open(before) as file:
        transform, width, height = calculate_default_transform(
            file.crs, "EPSG:4326", file.width, file.height, *file.bounds
        )
        size = {"width": width, "height": height}
        profile = {**file.profile, "crs": "EPSG:4326", "transform": transform, **size}
        with rasterio.open(after, "w", **profile) as out:
            for band in range(1, file.count + 1):
                reproject(rasterio.band(file, band), rasterio.band(out, band), resampling=Resampling.nearest)
            out.descriptions = file.descriptions


def roles(train_scenes, held_out, **changes):
    common = {"labels": "labels/{stem}.tif", **changes}
    return [
        {"scenes": train_scenes, "role": "train", **common},
        {"scenes": held_out, "role": "validation", **common},
    ]


def shares(folder, place, sources, **changes):
    plots = decode(recipe_of(folder, sources=sources, **changes), place, gap=0)
    return plots, [plot.shared for plot in plots]


def test_two_dates_in_different_roles_share_all_ground(folder, tmp_path):
    plots, found = shares(folder, tmp_path, roles("home_2023.tif", "home_2024.tif"))
    assert found == [0.0, 1.0]
    assert sum(plots[0].train) == sum(plots[1].validation)  # roles are left as they are


def test_the_share_is_that_of_labelled_pixels(folder, tmp_path):
    plots, found = shares(folder, tmp_path, roles("home_2023.tif", "next.tif"))
    learnt = np.asarray(plots[0].labels("train")) != 255
    held_out = np.asarray(plots[1].labels("validation")) != 255
    half = SIZE[1] // 2
    expected = (held_out[:, :half] & learnt[:, half:]).sum() / held_out.sum()
    assert found == [0.0, pytest.approx(expected, abs=0.01)]
    assert 0.4 < expected < 0.6


def test_grids_may_differ(folder, tmp_path):
    _, (_, found) = shares(folder, tmp_path, roles("home_2023.tif", "turned.tif"), pixel_size_range=[5, 20])
    assert found > 0.97


@pytest.mark.parametrize(
    "sources",
    [
        roles("home_*.tif", "far.tif"),
        [{"scenes": "*.tif", "labels": "labels/{stem}.tif"}],
        [
            {"scenes": "home_2023.tif", "labels": "labels/{stem}.tif", "role": role, "rows": rows}
            for role, rows in (("train", [0, 48]), ("validation", [48, 96]))
        ],
    ],
)
def test_nothing_is_shared_where_scenes_or_labels_lie_apart(folder, tmp_path, sources):
    changes = {"pixel_size_range": [5, 20], "split": {"block": 16, "gap": 2}}
    plots, found = shares(folder, tmp_path, sources, **changes)
    assert set(found) == {0.0}
    assert sum(sum(plot.validation) for plot in plots)


def test_a_photograph_shares_ground_with_itself_alone(folder, tmp_path):
    for stem in ("one", "other"):
        for name, count in ((f"{stem}.png", 3), (f"{stem}_mask.png", 1)):
            with rasterio.open(
                tmp_path / name, "w", driver="PNG", height=32, width=40, count=count, dtype="uint8"
            ) as file:
                file.write(np.full((count, 32, 40), 2, dtype=np.uint8))
    photographs = {"labels": "{stem}_mask.png", "ungeoreferenced": True, "bands": ["red", "nir", "blue"]}
    _, found = shares(tmp_path, tmp_path / "a", roles("one.png", "other.png", **photographs))
    assert found == [0.0, 0.0]
    sources = roles(["one.png", "other.png"], "other.png", **photographs)
    _, found = shares(tmp_path, tmp_path / "b", sources)
    assert found == [0.0, 0.0, 1.0]


def trained(folder, out, lines, **changes):
    recipe = textures_of(folder, optimisation={**FAST, "epochs": 1, "validation_every": 1}, **changes)
    train(recipe, out, device="cpu", echo=lines.append)
    properties = json.loads((out / "model.json").read_text())["properties"]
    return properties["geodl:accuracy"]["split"], (out / "report.html").read_text()


def test_a_training_warns_and_the_model_says_so(tmp_path):
    for stem, seed in (("train_a", 0), ("check", 2)):
        write_textures(tmp_path, stem, seed, size=(90, 110))
    lines = []
    split, report = trained(tmp_path, tmp_path / "shared", lines)
    (warning,) = [line for line in lines if line.startswith("warning")]
    assert "100% of the validation labels of check lie on ground that another scene learns from" in warning
    assert split == "scenes named in the recipe; 100% of the labels on ground that was learnt from"
    assert warning in report
    assert "scenes it did not learn from" not in report

    source = {"scenes": str(tmp_path / "train_?.tif"), "labels": "{folder}/{stem}_labels.tif"}
    lines = []
    split, report = trained(
        tmp_path, tmp_path / "apart", lines, sources=[source], split={"block": 32, "gap": 4, "folds": 3}
    )
    assert not any(line.startswith("warning") for line in lines)
    assert split == "spatial blocks of 32 pixels, 4 pixels apart, fold 0 of 3"
    assert split in report
    for file in ("model.json", "README.md", "report.html"):
        assert str(tmp_path.parent) not in (tmp_path / "apart" / file).read_text(), file


def test_a_recipe_that_divides_says_how(folder):
    from geodl.training.apart import how_apart

    def said(**changes):
        recipe = recipe_of(folder, classes=CLASSES, **changes)
        assert isinstance(recipe, Recipe)
        return how_apart(recipe, 12, [])

    assert said(split={"block": 64}) == "spatial blocks of 64 pixels, 12 pixels apart"
    assert said(split={"by": "scene", "folds": 3, "fold": 2}) == "whole scenes, fold 2 of 3"
    polygons = {"by": "polygons", "polygons": "/home/anna/areas.gpkg", "gap": 3}
    assert said(split=polygons) == "inside the polygons of areas.gpkg, 3 pixels apart"
    mixed = [*roles("a.tif", "b.tif"), {"scenes": "c.tif", "labels": "c.tif"}]
    assert said(sources=mixed, split={"gap": 0}).startswith("scenes named in the recipe; spatial blocks")
