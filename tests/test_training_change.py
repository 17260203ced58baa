"""Learning from pairs of dates: the later date of a recipe, folders as scenes, augmentation of two dates."""

import numpy as np
import pytest
import rasterio
import torch
import yaml
from affine import Affine

import geodl
from geodl.errors import RecipeError
from geodl.training import load_recipe, train
from geodl.training.augment import augment
from geodl.training.plots.pairs import find_pairs
from geodl.training.recipe import Augment

SIDE = 96
PLACE = Affine(10, 0, 6e5, 0, -10, 5.2e6)


def write(path, bands, *, descriptions=None, crs="EPSG:32632", transform=PLACE):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = np.atleast_3d(bands.T).T
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=len(bands),
        dtype=bands.dtype, crs=crs, transform=transform,
    ) as file:  # fmt: skip
        file.write(bands)
        if descriptions:
            file.descriptions = descriptions
    return path


def make_place(folder, number):
    """Two dates of two bands: the ground differs in its light everywhere, in squares it has changed."""
    random = np.random.default_rng(number)
    ground = 90 + 30 * random.standard_normal((2, SIDE, SIDE)).cumsum(1).cumsum(2) / SIDE
    changed = np.zeros((SIDE, SIDE), np.uint8)
    for row, column in random.integers(0, SIDE - 16, (4, 2)):
        changed[row : row + 16, column : column + 16] = 1
    place = Affine(10, 0, 6e5 + 10_000 * number, 0, -10, 5.2e6)
    after = np.where(changed, ground + np.array([60, -40])[:, None, None], ground + 8)
    for year, image in ((2023, ground), (2024, after)):
        pixels = (image + random.normal(0, 2, image.shape)).clip(1, 255).astype(np.uint8)
        write(folder / f"place_{number}_{year}.tif", pixels, descriptions=("red", "nir"), transform=place)
    write(folder / "truth" / f"place_{number}.tif", changed, transform=place)


def recipe_file(folder, **changes):
    recipe = {
        "name": "change-test",
        "task": "change",
        "architecture": "siamese_unet",
        "parameters": {"widths": [8, 16], "blocks": 1, "date_blocks": 1},
        "bands": ["before.red", "before.nir", "after.red", "after.nir"],
        "units": "digital_number",
        "classes": [
            {"value": 0, "name": "unchanged", "color": "#ffffff"},
            {"value": 1, "name": "changed", "color": "#ff0000"},
        ],
        "sources": [
            {
                "scenes": "place_*_2023.tif",
                "after": "place_{*}_2024.tif",
                "labels": "{folder}/truth/place_{*}.tif",
            }
        ],
        "split": {"by": "scene", "validation": 0.34},
        "optimisation": {"epochs": 12, "samples_per_epoch": 32, "patch": 48, "batch": 8},
        "augment": {"swap_dates": 0.5},
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def make_places(folder):
    for number in range(3):
        make_place(folder, number)
    return folder


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return make_places(tmp_path_factory.mktemp("places"))


def test_a_model_of_change_is_learnt_and_maps_a_pair(places, tmp_path):
    model = train(load_recipe(recipe_file(places)), tmp_path / "model", device="cpu", echo=lambda _: None)
    assert model.spec.band_names == ["before.red", "before.nir", "after.red", "after.nir"]
    assert model.spec.accuracy.iou["changed"] > 0.6
    pair = geodl.open_pair(places / "place_0_2023.tif", places / "place_0_2024.tif")
    found = geodl.predict(pair, model)["class"].values
    truth = rasterio.open(places / "truth" / "place_0.tif").read(1)
    assert np.mean(found == truth) > 0.9


def test_a_folder_is_the_scene_of_its_files(tmp_path):
    grey = np.full((SIDE, SIDE), 100, np.uint8)
    for city in ("bern", "graz"):
        for date in ("imgs_1", "imgs_2"):
            for band in ("B04", "B08"):
                write(tmp_path / city / date / f"{band}.tif", grey)
        write(tmp_path / city / "cm" / f"{city}-cm.tif", grey // 100)
    source = {"scenes": "*/imgs_1", "after": "{folder}/imgs_2", "labels": "{*}/cm/{*}-cm.tif"}
    pairs = find_pairs(load_recipe(recipe_file(tmp_path, sources=[source])))
    assert [pair.labels.relative_to(tmp_path).as_posix() for pair in pairs] == [
        "bern/cm/bern-cm.tif", "graz/cm/graz-cm.tif"
    ]  # fmt: skip
    assert [path.name for path in pairs[1].after] == ["B04.tif", "B08.tif"]
    assert pairs[1].after[0].parent == tmp_path / "graz" / "imgs_2"


def test_the_later_date_must_be_there_and_be_asked_for(places):
    source = {"scenes": "place_*_2023.tif", "labels": "{folder}/truth/place_{*}.tif"}
    with pytest.raises(RecipeError, match="no `after`"):
        load_recipe(recipe_file(places, sources=[source]))
    with pytest.raises(RecipeError, match=r"place_0_2025\.tif does not exist"):
        find_pairs(load_recipe(recipe_file(places, sources=[{**source, "after": "place_{*}_2025.tif"}])))
    with pytest.raises(RecipeError, match="needs two dates"):
        load_recipe(recipe_file(places, task="landcover", sources=[source], bands=["red", "nir"]))


def test_dates_are_turned_alike_and_lit_each_for_itself():
    image = torch.arange(4 * 16 * 16, dtype=torch.float32).reshape(4, 16, 16) / 100
    image[2:] = image[:2]
    labels = torch.arange(256).reshape(16, 16)
    still = Augment(brightness=0, contrast=0, channels=0, noise=0)
    for seed in range(8):
        turned, moved = augment(image, labels, still, torch.Generator().manual_seed(seed), dates=2)
        assert torch.equal(turned[:2], turned[2:])
        assert torch.equal((turned[0] * 100).round().to(torch.int64), moved)
    lit, _ = augment(image, labels, Augment(), torch.Generator().manual_seed(0), dates=2)
    assert not torch.allclose(lit[:2], lit[2:], atol=1e-3)


def test_dates_change_places():
    image = torch.cat([torch.zeros(2, 8, 8), torch.ones(2, 8, 8)])
    labels = torch.zeros(8, 8, dtype=torch.int64)
    amounts = Augment(brightness=0, contrast=0, channels=0, noise=0, swap_dates=0.5)
    swapped = [
        bool(augment(image, labels, amounts, torch.Generator().manual_seed(seed), dates=2)[0][0, 0, 0])
        for seed in range(60)
    ]
    assert 15 < sum(swapped) < 45
