"""Standard scores within a scene: the same whatever the units, the blocks and the order of reading."""

from itertools import pairwise

import dask.array
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import geodl
from geodl.changes.choose import model_for
from geodl.errors import OptionError, RecipeError, SceneError
from geodl.models.spec import BandSpec
from geodl.scene import valid_mask
from geodl.standard import Moments, standardised
from geodl.training import load_recipe, train
from tests.conftest import make_model, make_spec, write_scene
from tests.test_training_change import make_places, recipe_file


def scores(scene: xr.DataArray) -> np.ndarray:
    scale, offset = (np.array(scene.attrs[name])[:, None, None] for name in ("scale", "offset"))
    return scene.values * scale + offset


@given(
    values=arrays.arrays(np.uint16, st.tuples(st.just(2), st.integers(1, 40), st.integers(1, 9))),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_moments_are_those_of_numpy_and_do_not_depend_on_the_parts(values, cuts):
    valid = values[0] != 3
    rows = [0, *sorted(cuts), values.shape[1]]
    whole, parts = Moments(2), Moments(2)
    whole.add(values, valid)
    for top, stop in reversed(list(pairwise(rows))):
        parts.add(values[:, top:stop], valid[top:stop])
    assert parts.count == whole.count == valid.sum()
    np.testing.assert_array_equal(parts.mean, whole.mean)
    np.testing.assert_array_equal(parts.std, whole.std)
    if valid.any():
        seen = values[:, valid].astype(np.float64)
        np.testing.assert_allclose(whole.mean, seen.mean(axis=1), atol=1e-9)
        spread = seen.std(axis=1)
        np.testing.assert_allclose(whole.std, np.where(spread > 0, spread, 1), rtol=1e-5)


@pytest.mark.parametrize("block", [7, 50, 512])
def test_scores_have_mean_0_and_deviation_1_whatever_the_blocks(scene_file, block):
    scene = standardised(geodl.open_scene(scene_file).chunk({"y": block, "x": block}))
    assert scene.attrs["units"] == "z_score"
    assert isinstance(scene.data, dask.array.Array)
    found = scores(scene)[:, valid_mask(scene).values]
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-9)
    whole = standardised(geodl.open_scene(scene_file))
    assert (scene.attrs["scale"], scene.attrs["offset"]) == (whole.attrs["scale"], whole.attrs["offset"])


def test_a_scene_without_data_is_refused(tmp_path):
    path = write_scene(tmp_path / "empty.tif", 70, 80)
    with rasterio.open(path, "r+") as file:
        file.write(np.zeros((3, 70, 80), np.uint16))
    with pytest.raises(SceneError, match=r"empty.*no valid pixel"):
        standardised(geodl.open_scene(path))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return make_places(tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    bands = [BandSpec(name=name, mean=0, std=1) for name in ("red", "green", "nir")]
    spec = make_spec(name="tiny-scores", units="z_score", bands=bands)
    return make_model(tmp_path_factory.mktemp("models") / "scores", spec)


def test_sun_haze_and_units_change_nothing(model, scene_file, tmp_path):
    with rasterio.open(scene_file) as file:
        pixels, profile = file.read(), file.profile
    hazy = tmp_path / "hazy.tif"
    with rasterio.open(hazy, "w", **{**profile, "dtype": "float32"}) as file:
        file.write(np.where(pixels > 0, pixels * np.float32(0.25) + 40, 0).astype(np.float32))
    names = ["red", "green", "nir"]
    clear, dim = (
        geodl.predict(geodl.open_scene(path, bands=names, scale=scale), model, probabilities=True)
        for path, scale in ((scene_file, None), (hazy, "none"))
    )
    np.testing.assert_allclose(dim["probability"], clear["probability"], atol=2e-5)
    assert 0.02 < float((clear["class"] == clear["class"][0, -1]).mean()) < 0.98


def test_prediction_feeds_a_network_what_it_learnt_from(places, tmp_path):
    """The figures of a place held out are those of its map."""
    sources = [
        {
            "scenes": f"place_{number}_2023.tif",
            "after": f"place_{number}_2024.tif",
            "labels": f"truth/place_{number}.tif",
            "role": role,
        }
        for number, role in enumerate(("train", "train", "validation"))
    ]
    recipe = recipe_file(places, units="z_score", sources=sources)
    made = train(load_recipe(recipe), tmp_path / "model", device="cpu", echo=lambda _: None)
    assert made.spec.units == "z_score"
    assert all(abs(band.mean) < 1e-3 and abs(band.std - 1) < 1e-3 for band in made.spec.bands)
    pair = geodl.open_pair(places / "place_2_2023.tif", places / "place_2_2024.tif")
    with rasterio.open(places / "truth" / "place_2.tif") as file:
        right = np.mean(geodl.predict(pair, made)["class"].values == file.read(1))
    assert made.spec.accuracy.overall == pytest.approx(right, abs=3e-3)  # in bfloat16 there
    assert made.spec.accuracy.iou["changed"] > 0.4


def test_series_and_features_have_no_scores(places, model, tmp_path):
    calendar = {"start": "01-01", "every": 30, "steps": 4}
    series = {"scenes": "place_*.tif", "series": True, "labels": "truth/place_0.tif"}
    changes = {
        "task": "landcover",
        "architecture": "ltae",
        "parameters": {},
        "bands": ["red", "nir"],
        "augment": {},
    }
    with pytest.raises(RecipeError, match="z_score"):
        load_recipe(recipe_file(places, units="z_score", calendar=calendar, sources=[series], **changes))
    pair = geodl.open_pair(places / "place_0_2023.tif", places / "place_0_2024.tif")
    with pytest.raises(OptionError, match="standard scores"):
        model_for(pair, str(model.folder))
