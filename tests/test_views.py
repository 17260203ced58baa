"""Turned and mirrored views: their mean and their spread."""

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st

import geodl
from geodl.errors import OptionError
from geodl.job import RunOptions, connect, run_scene
from geodl.models.bundle import Model
from geodl.scene import open_scene
from geodl.views import VIEWS, Views, turn, turn_back

IMAGE = torch.arange(2 * 3 * 5).view(1, 2, 3, 5)


def test_the_views_are_the_eight_symmetries():
    square = torch.arange(9).view(1, 1, 3, 3)
    assert len({tuple(turn(square, view).flatten().tolist()) for view in range(VIEWS)}) == 8
    for view in range(VIEWS):
        assert torch.equal(turn_back(turn(IMAGE, view), view), IMAGE)


@given(st.integers(1, 9), st.integers(0, 99))
def test_mean_and_spread_are_those_of_numpy(count, seed):
    drawn = torch.rand(count, 2, 4, 3, 3, generator=torch.Generator().manual_seed(seed)).softmax(dim=2)
    views = Views()
    for probabilities in drawn:
        views.add(probabilities)
    np.testing.assert_allclose(views.mean, drawn.mean(dim=0), atol=1e-6)
    likeliest = drawn.mean(dim=0).argmax(dim=1, keepdim=True)
    expected = np.take_along_axis(drawn.double().numpy().std(axis=0), likeliest.numpy(), axis=1)[:, 0]
    np.testing.assert_allclose(views.spread(), expected, atol=1e-6)


def test_a_map_is_the_mean_of_the_maps_of_turned_scenes(scene_file, tiny_model):
    scene = open_scene(scene_file).isel(y=slice(0, 160), x=slice(0, 160)).load()
    found = geodl.predict(scene, tiny_model, probabilities=True, tta=True).compute()
    views = []
    for view in range(VIEWS):
        turned = scene.copy(data=turn(torch.from_numpy(scene.values.copy()), view).numpy())
        seen = geodl.predict(turned, tiny_model, probabilities=True)["probability"].values
        views.append(turn_back(torch.from_numpy(seen), view).numpy())
    mean, deviation = np.mean(views, axis=0), np.std(np.stack(views).astype(np.float64), axis=0)
    valid = np.isfinite(found["confidence"].values) & np.isfinite(mean).all(axis=0)
    assert valid.mean() > 0.5
    np.testing.assert_allclose(found["probability"].values[:, valid], mean[:, valid], atol=1e-5)
    spread = np.take_along_axis(deviation, mean.argmax(axis=0)[None], axis=0)[0]
    np.testing.assert_allclose(found["spread"].values[valid], spread[valid], atol=1e-4)
    assert found["spread"].values[valid].max() > 0.001


def test_the_result_does_not_depend_on_blocks(scene_file, tiny_model):
    scene = open_scene(scene_file)
    found = [
        geodl.predict(scene, tiny_model, tta=True, tile=96, block=block).compute() for block in (64, 999)
    ]
    assert found[0].identical(found[1])


def test_a_run_writes_the_spread(scene_file, tiny_model, tmp_path):
    with connect() as client:
        done = run_scene(open_scene(scene_file), tiny_model, tmp_path, RunOptions(tta=True), client=client)
    expected = geodl.predict(open_scene(scene_file), tiny_model, tta=True)["spread"].values
    with rasterio.open(done / "spread.tif") as file:
        valid = file.read_masks(1) > 0
        np.testing.assert_array_equal(valid, np.isfinite(expected))
        np.testing.assert_allclose(file.read(1)[valid] / 100, expected[valid], atol=0.0051)
    assert (done / "spread.qml").exists()


def test_blended_tiles_are_refused(scene_file, tiny_model):
    blended = tiny_model.spec.model_copy(update={"stitch": "blend"})
    with pytest.raises(OptionError, match=r"--tta: .*blended: leave it out"):
        geodl.predict(
            open_scene(scene_file), Model(spec=blended, folder=tiny_model.folder, hash="blend"), tta=True
        )
