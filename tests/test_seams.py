"""No seams: maps equal that of the network run once over the whole scene, and each other byte by byte."""

import hashlib

import dask
import numpy as np
import odc.geo.xr  # noqa: F401
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

import geodl
from geodl.block import process_block
from geodl.demo import sample_scenes
from geodl.models.bundle import save_model
from geodl.models.table import build_network, tiling_of
from geodl.predict import make_job
from geodl.scene import open_scene, valid_mask
from geodl.tiles import reflect
from tests.conftest import make_spec, whole_scene_probabilities

VALLEY, TOWN = (sample_scenes() / f"{name}.tif" for name in ("s2_valley_2023", "aerial_town_2023"))


def mirrored(scene, height, width, top=0, left=0):
    """A scene in memory, from a row and column of another on, continued by reflection."""
    rows = reflect(top, top + height, scene.sizes["y"])[:, None]
    columns = reflect(left, left + width, scene.sizes["x"])
    part = scene.compute()
    geobox = GeoBox((height, width), scene.odc.geobox.affine, scene.odc.geobox.crs)
    made = xr.DataArray(part.values[:, rows, columns], dims=("band", "y", "x"), coords=xr_coords(geobox))
    valid = valid_mask(part).values[rows, columns]
    made = made.assign_coords(band=scene.coords["band"].values, valid=(("y", "x"), valid))
    made.attrs = {**scene.attrs, "source": ()}
    return made.rename("mirrored")


@pytest.fixture(scope="module")
def unet_resnet18(tmp_path_factory):
    """Random weights and batch norm statistics: nearly every tile border would flip classes."""
    parameters = {"encoder": "resnet18"}
    tiling = tiling_of("unet", parameters)
    fields = {"tile": tiling.tile, "halo": tiling.halo, "stride": tiling.stride, "stitch": tiling.stitch}
    spec = make_spec(name="unet-resnet18", architecture="unet", parameters=parameters, **fields)
    assert spec.stitch == "crop"
    torch.manual_seed(0)
    network = build_network(spec).eval()
    with torch.inference_mode():
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.2, 0.2)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        # Scores of all classes vary alike around zero: every class occurs, and ties are everywhere.
        *_, weight, bias = network.parameters()
        scores = network(torch.randn(1, 3, 256, 256))
        spread = scores.std(dim=(0, 2, 3))
        weight.div_(spread.view(-1, 1, 1, 1))
        bias.sub_(scores.mean(dim=(0, 2, 3))).div_(spread)
    folder = tmp_path_factory.mktemp("models") / "unet"
    save_model(folder, spec, network)
    return geodl.load_model(folder)


def assert_seamless(scene, model, tiles):
    """Stream and tiles: at least 99.99 % of the classes, probabilities to 1e-3."""
    expected, valid = whole_scene_probabilities(scene, model)
    classes = np.array(model.spec.class_values)[expected.argmax(0)]
    shares = np.unique(classes[valid], return_counts=True)[1] / valid.sum()
    assert len(shares) > 1
    assert shares.max() < 0.99
    for tile in tiles:
        job = make_job(scene, model, tile=tile)
        assert (job.strip is None) == (tile is not None)
        assert job.lattice.shape[1] > 1, "one tile has no borders"
        result = geodl.predict(scene, model, probabilities=True, tile=tile).compute()
        difference = np.abs(result["probability"].values - expected)[:, valid].max()
        same = (result["class"].values == classes)[valid].mean()
        print(f"{model.spec.name} tile {tile}: max |dp| {difference:.2e}, {100 * (1 - same):.5f} % flips")
        assert difference <= 1e-3
        assert same >= 0.9999


@pytest.fixture
def panels(monkeypatch):
    """Set the width of the panels of streams: left to themselves, small scenes have no borders to be seen."""

    def narrow(columns, strip=32):
        monkeypatch.setattr("geodl.block.stream.choose_panel", lambda *_: (strip, columns))

    return narrow


class TestAgainstTheWholeScene:
    def test_landcover_s2(self, panels):
        panels(264)
        assert_seamless(open_scene(VALLEY), geodl.load_model("landcover-s2"), (None, 432))

    def test_landcover_vhr(self, panels):
        panels(176)
        scene = mirrored(open_scene(TOWN), 512, 512, top=200, left=200)
        assert_seamless(scene, geodl.load_model("landcover-vhr"), (None, 544))

    def test_unet_resnet18(self, unet_resnet18, panels):
        panels(128)
        scene = mirrored(open_scene(VALLEY), 150, 200, top=200, left=200)
        assert_seamless(scene, unet_resnet18, (None, 640))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["landcover-s2", "landcover-vhr"])
    def test_bundled_models_at_full_size(self, name, panels):
        panels(800, strip=64)
        scene = mirrored(open_scene(VALLEY if name == "landcover-s2" else TOWN), 2048, 2048)
        assert_seamless(scene, geodl.load_model(name), (None, 1024))

    @pytest.mark.slow
    def test_unet_resnet18_at_full_size(self, unet_resnet18, panels):
        panels(1024, strip=64)
        assert_seamless(mirrored(open_scene(VALLEY), 2048, 2048), unet_resnet18, (None, 1280))


@given(rows=st.integers(0, 30), columns=st.integers(0, 30), tile=st.sampled_from([None, 96]))
@settings(max_examples=8, deadline=None)
def test_shifting_the_cells_changes_nothing(tiny_model, scene_file, rows, columns, tile):
    scene = mirrored(open_scene(scene_file), 100, 120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geodl.block.stream.choose_panel", lambda *_: (16, 40))
        patch.setattr("geodl.tiles.CHUNK", 40)
        maps = []
        for phase in ((0, 0), (4 * rows, 4 * columns)):
            job = make_job(scene, tiny_model, tile=tile, phase=phase)
            confidence = np.full((job.lattice.height, job.lattice.width), -1, np.float32)
            for piece in process_block(job, job.lattice.everything):
                confidence[piece.chunk.window.slices] = piece.layers["confidence"]
            maps.append(confidence)
    np.testing.assert_allclose(*maps, atol=1e-5)


def product_hashes(result, folder, **compute):
    """Compute a lazy result, and hash the files that are written from it."""
    computed = result.compute(**compute)
    hashes = []
    for name in ("class", "confidence"):
        path = geodl.write_cog(computed[name], folder / f"{name}.tif")
        hashes.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return hashes


def schedulers(*counts):
    return [{"scheduler": "threads", "num_workers": count} for count in counts]


@pytest.mark.parametrize("tile", [None, 336])
def test_products_are_the_same_bytes(tile, panels, monkeypatch, tmp_path):
    monkeypatch.setattr("geodl.tiles.CHUNK", 64)
    panels(168)
    scene = mirrored(open_scene(VALLEY), 210, 330)
    runs = zip((4096, 64, 128, 97), schedulers(1, 1, 2, 4), strict=True)
    found = [
        product_hashes(geodl.predict(scene, "landcover-s2", tile=tile, block=block), tmp_path, **scheduler)
        for block, scheduler in runs
    ]
    assert found == [found[0]] * len(found)
    assert min(make_job(scene, "landcover-s2", tile=tile).lattice.shape) > 1


@pytest.mark.slow
@pytest.mark.parametrize("tile", [None, 688])
def test_products_are_the_same_bytes_at_full_size(tile, panels, tmp_path):
    panels(656, strip=64)
    scene = mirrored(open_scene(VALLEY), 1500, 1300)
    processes = {"scheduler": "processes", "num_workers": 2}
    runs = [
        (512, schedulers(1)[0]), (1024, schedulers(2)[0]), (2048, schedulers(1)[0]), (777, schedulers(4)[0]),
        (333, processes),
    ]  # fmt: skip
    found = [
        product_hashes(geodl.predict(scene, "landcover-s2", tile=tile, block=block), tmp_path, **scheduler)
        for block, scheduler in runs
    ]
    assert found == [found[0]] * len(found)


@pytest.mark.slow
@pytest.mark.parametrize("tile", [None, 96])
def test_processes_give_the_same_bytes_as_threads(scene_file, tiny_model, tile, small_chunks):
    result = geodl.predict(open_scene(scene_file), tiny_model, tile=tile, block=100)
    assert result["class"].data.npartitions > 1
    with dask.config.set(scheduler="threads"):
        here = result.compute()
    there = result.compute(scheduler="processes", num_workers=2)
    for name in here:
        assert here[name].values.tobytes() == there[name].values.tobytes()
