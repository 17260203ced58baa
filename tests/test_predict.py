from functools import partial

import dask
import numpy as np
import odc.geo.xr  # noqa: F401
import pytest
import rasterio
import torch
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

import geodl
from geodl.block import process_block
from geodl.errors import GeodlError, MismatchError, OptionError
from geodl.forward import Forward, Tiles, forward_for
from geodl.match import Scaling
from geodl.predict import make_job
from geodl.scene import open_scene
from geodl.scene.adopt import as_scene
from tests.conftest import make_model, make_spec, whole_scene_probabilities, write_scene

TILES = [None, 96]
"""A local network runs as a stream of rows, or over tiles where their size is given."""


@pytest.mark.parametrize("tile", TILES)
def test_crop_equals_the_whole_scene(scene_file, tiny_model, tile, small_chunks):
    scene = open_scene(scene_file)
    result = geodl.predict(scene, tiny_model, probabilities=True, block=100, tile=tile).compute()
    expected, valid = whole_scene_probabilities(scene, tiny_model)
    np.testing.assert_allclose(result["probability"].values[:, valid], expected[:, valid], atol=1e-5)
    classes = np.array(tiny_model.spec.class_values)[expected.argmax(0)]
    assert (result["class"].values[valid] == classes[valid]).mean() > 0.9999
    assert len(np.unique(classes[valid])) > 1
    assert (result["class"].values[~valid] == 255).all()
    assert np.isnan(result["confidence"].values[~valid]).all()
    np.testing.assert_allclose(result["confidence"].values[valid], expected.max(0)[valid], atol=1e-5)


@pytest.mark.parametrize(("kind", "tile"), [("tiny_model", None), ("tiny_model", 96), ("blend_model", None)])
def test_result_does_not_depend_on_blocks_batches_or_order(scene_file, kind, tile, request, monkeypatch):
    monkeypatch.setattr("geodl.block.stream.STRIPS", (16,))
    monkeypatch.setattr("geodl.block.stream.MEMORY", 6 * 10**5)  # several panels
    model = request.getfixturevalue(kind)
    scene = open_scene(scene_file)
    predict = partial(geodl.predict, scene, model, probabilities=True, tile=tile)
    for chunk in (30, 70):
        monkeypatch.setattr("geodl.tiles.CHUNK", chunk)
        reference = predict(block=10**6).compute()
        for options in ({"block": 1}, {"block": 97}, {"block": 150, "batch": 3}):
            other = predict(**options).compute()
            for name in reference:
                assert other[name].values.tobytes() == reference[name].values.tobytes(), (options, name)
    job = make_job(scene, model, tile=tile)
    assert min(job.lattice.shape) > 1
    for block in reversed(job.lattice.blocks(100)):
        for piece in process_block(job, block):
            expected = reference["class"].values[piece.chunk.window.slices]
            np.testing.assert_array_equal(piece.layers["class"], expected)


@given(height=st.integers(1, 130), width=st.integers(1, 130), side=st.integers(1, 200))
@settings(max_examples=12, deadline=None)
def test_any_size_gives_the_scene_grid(tiny_model, height, width, side):
    rng = np.random.default_rng(height)
    scene = in_memory(rng.integers(1, 5000, (3, height, width)).astype("uint16"))
    whole = geodl.predict(scene, tiny_model, block=10**6).compute()
    parts = geodl.predict(scene, tiny_model, block=side).compute()
    assert whole["class"].shape == (height, width)
    assert whole["class"].values.tobytes() == parts["class"].values.tobytes()
    assert set(np.unique(whole["class"])) <= {1, 2, 3, 7}


def in_memory(pixels, **attrs):
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_coords

    geobox = GeoBox(pixels.shape[1:], Affine(10, 0, 600000, 0, -10, 5200000), "EPSG:32632")
    scene = xr.DataArray(pixels, dims=("band", "y", "x"), coords=xr_coords(geobox), name="memory")
    scene = scene.assign_coords(band=["red", "green", "nir"])
    scene.attrs = {"units": "reflectance", "scale": 0.0001, **attrs}
    return scene


def test_result_is_lazy_and_georeferenced(scene_file, tiny_model):
    scene = open_scene(scene_file)
    with dask.config.set(scheduler=lambda *_, **__: pytest.fail("computed")):
        result = geodl.predict(scene, tiny_model)
    assert set(result.data_vars) == {"class", "confidence"}
    assert dask.is_dask_collection(result)
    assert result["class"].odc.geobox == scene.odc.geobox
    assert result["class"].dtype == np.uint8
    assert result["class"].attrs["flag_meanings"] == "water forest grassland built-up"
    assert list(result["class"].attrs["flag_values"]) == [1, 2, 3, 7]


@pytest.mark.parametrize("tile", TILES)
def test_values_under_nodata_change_nothing(tiny_model, tile):
    rng = np.random.default_rng(5)
    pixels = rng.integers(500, 4000, (3, 120, 140)).astype("float32")
    hole = np.zeros((120, 140), bool)
    hole[30:60, 50:90] = True
    results = []
    for filler in (np.nan, 0.0, 1e30):
        scene = in_memory(np.where(hole, np.float32(filler), pixels))
        scene = scene.assign_coords(valid=(("y", "x"), ~hole))
        results.append(geodl.predict(scene, tiny_model, tile=tile).compute())
    for other in results[1:]:
        for name in other:
            assert other[name].values.tobytes() == results[0][name].values.tobytes()
    assert (results[0]["class"].values[hole] == 255).all()


@pytest.mark.parametrize("tile", TILES)
def test_scene_without_valid_pixels_is_nodata_and_never_reaches_the_network(tiny_model, monkeypatch, tile):
    monkeypatch.setattr(Forward, "on_device", lambda *_: pytest.fail("ran the network"))
    scene = in_memory(np.zeros((3, 50, 60), "uint16"), nodata=0)
    result = geodl.predict(scene, tiny_model, tile=tile).compute()
    assert (result["class"] == 255).all()


def test_constant_scene_has_no_nan(tiny_model):
    result = geodl.predict(in_memory(np.full((3, 50, 60), 1500, "uint16")), tiny_model).compute()
    assert np.isfinite(result["confidence"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"band": ["red", "green", "blue"]}, r"lacks nir .*--bands"),
        ({"units": "unknown"}, r"needs reflectance.*--scale"),
        ({"units": "digital_number"}, r"needs reflectance, the scene holds digital numbers.*--scale"),
        ({"transform": 30}, r"reads pixels of 8 to 12.5 m, those of the scene are 30 x 30 m.*--resample 10"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cure(tiny_model, change, message):
    scene = in_memory(np.ones((3, 20, 20), "uint16"))
    if "band" in change:
        scene = scene.assign_coords(band=change["band"])
    if "units" in change:
        scene.attrs["units"] = change["units"]
    if "transform" in change:
        from odc.geo.geobox import GeoBox
        from odc.geo.xr import xr_coords

        scene = scene.drop_vars(["y", "x", "spatial_ref"])
        scene = scene.assign_coords(
            xr_coords(GeoBox((20, 20), Affine(30, 0, 6e5, 0, -30, 5.2e6), "EPSG:32632"))
        )
    with pytest.raises(MismatchError, match=message):
        geodl.predict(scene, tiny_model)


def test_dtype_of_digital_numbers_is_checked(tmp_path):
    model = make_model(tmp_path / "m", make_spec(units="digital_number", dtype="uint8", pixel_size=None))
    with pytest.raises(MismatchError, match="trained on uint8 digital numbers, the scene holds uint16"):
        geodl.predict(in_memory(np.ones((3, 20, 20), "uint16"), units="digital_number"), model)


def test_bands_are_taken_by_name_with_their_own_scale(tiny_model):
    rng = np.random.default_rng(3)
    pixels = rng.integers(500, 4000, (3, 60, 60)).astype("uint16")
    expected = geodl.predict(in_memory(pixels), tiny_model).compute()
    shuffled = in_memory(np.stack([pixels[2], pixels[0], pixels[1] * 2]), scale=(0.0001, 0.0001, 0.00005))
    shuffled = shuffled.assign_coords(band=["nir", "red", "green"])
    result = geodl.predict(shuffled, tiny_model).compute()
    np.testing.assert_allclose(result["confidence"], expected["confidence"], atol=1e-4)


def test_rioxarray_manners_are_understood(tiny_model):
    scene = in_memory(np.full((3, 20, 20), 7, "int16"))
    scene = scene.assign_coords(band=[1, 2, 3])
    scene.attrs = {
        "_FillValue": 7,
        "scale_factor": 0.0001,
        "long_name": ("red", "green", "nir"),
        "units": "reflectance",
    }
    adopted = as_scene(scene)
    assert list(adopted.band.values) == ["red", "green", "nir"]
    assert (geodl.predict(adopted, tiny_model)["class"].compute() == 255).all()


def test_series_of_dates_is_refused(tiny_model):
    with pytest.raises(GeodlError, match=r"maps a single date, the scene holds 2.*isel\(time=0\)"):
        geodl.predict(xr.DataArray(np.zeros((2, 3, 4, 4)), dims=("time", "band", "y", "x")), tiny_model)


def test_unknown_device_and_batch_fail(tiny_model):
    scene = in_memory(np.ones((3, 20, 20), "uint16"))
    for device in ("nonsense", "meta"):
        with pytest.raises(OptionError, match=f"--device {device}"):
            geodl.predict(scene, tiny_model, device=device)
    with pytest.raises(OptionError, match="batch 0"):
        geodl.predict(scene, tiny_model, batch=0)


class TestOutOfMemory:
    def test_batch_is_halved_and_the_result_unchanged(self, scene_file, tiny_model, monkeypatch):
        job = make_job(open_scene(scene_file), tiny_model, batch=8, tile=96)
        monkeypatch.setattr("geodl.tiles.CHUNK", 160)
        block = job.lattice.everything
        expected, *_ = process_block(job, block)
        real, seen = Forward._output, []

        def scarce(self, tiles):
            seen.append(len(tiles.pixels))
            if len(tiles.pixels) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(self, tiles)

        monkeypatch.setattr(Forward, "_output", scarce)
        monkeypatch.setattr(forward_for(tiny_model, "cpu"), "_singly", False)
        result, *_ = process_block(job, block)
        assert max(seen) > 2
        np.testing.assert_array_equal(result.layers["class"], expected.layers["class"])

    def test_a_single_tile_too_many_names_the_tile(self, scene_file, tiny_model, monkeypatch):
        def exhausted(self, tiles):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(Forward, "_output", exhausted)
        job = make_job(open_scene(scene_file), tiny_model, tile=96)
        with pytest.raises(GeodlError, match=r"scene valley, tile at row 0, column 0.*memory.*--tile"):
            list(process_block(job, job.lattice.blocks(1)[0]))

    def test_a_panel_too_wide_names_its_rows(self, scene_file, tiny_model, monkeypatch):
        def exhausted(self, strip):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr("geodl.stream.Stream.push", exhausted)
        job = make_job(open_scene(scene_file), tiny_model)
        with pytest.raises(GeodlError, match=r"scene valley, rows from -28.*memory.*--tile"):
            list(process_block(job, job.lattice.blocks(1)[0]))


@given(
    bands=st.lists(st.tuples(st.booleans(), st.integers(1, 90)), min_size=1, max_size=8),
    block=st.integers(1, 300),
    seed=st.integers(0, 9),
)
@settings(max_examples=12, deadline=None)
def test_stretches_without_data_change_nothing_elsewhere(tiny_model, bands, block, seed):
    """Whole rows without data are left out of the stream; tiles see the same."""
    rows = np.repeat([filled for filled, _ in bands], [height for _, height in bands])
    pixels = np.random.default_rng(seed).integers(500, 4000, (3, len(rows), 70)).astype("uint16")
    pixels[:, ~rows] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geodl.tiles.CHUNK", 24)
        patch.setattr("geodl.block.stream.STRIPS", (8,))
        scene = in_memory(pixels, nodata=0)
        whole = geodl.predict(scene, tiny_model, block=10**6).compute()
        parts = geodl.predict(scene, tiny_model, block=block).compute()
        tiles = geodl.predict(scene, tiny_model, tile=96).compute()
    assert (whole["class"].values[~rows] == 255).all()
    assert (whole["class"].values[rows] != 255).all()
    assert whole["confidence"].values.tobytes() == parts["confidence"].values.tobytes()
    np.testing.assert_allclose(whole["confidence"], tiles["confidence"], atol=1e-4)


def test_network_is_loaded_once_per_process(tiny_model):
    assert forward_for(tiny_model, "cpu") is forward_for(tiny_model, "cpu")


def test_uint16_beyond_int16_reaches_the_network_unharmed(tiny_model):
    forward = forward_for(tiny_model, "cpu")
    scaling = Scaling(gain=(1e-5,) * 3, bias=(0.0,) * 3)
    high = np.full((1, 3, 96, 96), 60000, "uint16")
    scores = [
        forward.shares(Tiles(pixels=p, valid=np.ones((1, 96, 96), bool), scaling=scaling))
        for p in (high, high.astype("float32"))
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("tile", [None, 96])
def test_scores_that_are_not_finite_are_an_error(tmp_path, tile):
    model = make_model(tmp_path / "broken", make_spec(), scale=1e38)
    with pytest.raises(GeodlError, match=r"not finite.*--precision fp32"):
        geodl.predict(in_memory(np.full((3, 50, 60), 60000, "uint16")), model, tile=tile).compute()


def test_tile_changes_nothing_but_speed_where_the_network_is_local(scene_file, tiny_model):
    scene = open_scene(scene_file)
    small, large = (
        geodl.predict(scene, tiny_model, probabilities=True, tile=tile).compute() for tile in (84, 256)
    )
    np.testing.assert_allclose(small["probability"], large["probability"], atol=1e-5)
    assert (small["class"] == large["class"]).mean() > 0.9999


@pytest.mark.parametrize(("tile", "nearest"), [(56, 60), (59, 60), (98, 96)])
def test_a_tile_that_does_not_fit_the_stride_is_refused(tiny_model, tile, nearest):
    scene = in_memory(np.ones((3, 20, 20), "uint16"))
    with pytest.raises(OptionError, match=f"--tile {tile}.*use --tile {nearest}"):
        geodl.predict(scene, tiny_model, tile=tile)


def test_bf16_is_taken_only_where_asked_for_or_measured_to_agree(tmp_path, monkeypatch):
    scene = in_memory(np.ones((3, 20, 20), "uint16"))
    monkeypatch.setattr("geodl.device.multiplies_bf16", lambda device: True)
    for agreement, chosen in ((None, "fp32"), (0.99, "fp32"), (0.9995, "bf16")):
        model = make_model(tmp_path / str(agreement), make_spec(bf16_agreement=agreement))
        assert make_job(scene, model).precision == chosen
        assert make_job(scene, model, precision="bf16").precision == "bf16"
        assert make_job(scene, model, precision="fp32").precision == "fp32"
    with pytest.raises(OptionError, match="--precision half"):
        make_job(scene, model, precision="half")


def test_bf16_gives_nearly_the_same_map(scene_file, tiny_model):
    scene = open_scene(scene_file)
    full, half = (
        geodl.predict(scene, tiny_model, precision=precision).compute() for precision in ("fp32", "bf16")
    )
    assert (full["class"] == half["class"]).mean() > 0.97
    np.testing.assert_allclose(full["confidence"], half["confidence"], atol=0.1)
    assert not np.array_equal(full["confidence"], half["confidence"], equal_nan=True)


def test_rotated_grid_is_kept(tmp_path, tiny_model):
    transform = Affine.translation(600000, 5200000) * Affine.rotation(30) * Affine.scale(10, -10)
    scene = open_scene(write_scene(tmp_path / "rotated.tif", 70, 80, transform=transform))
    result = geodl.predict(scene, tiny_model)
    assert result["class"].odc.geobox.transform.almost_equals(transform, 1e-6)


def test_library_results_go_straight_into_files_and_layers(scene_file, tiny_model, tmp_path):
    result = geodl.predict(open_scene(scene_file), tiny_model)
    path = geodl.write_cog(result["class"], tmp_path / "landcover.tif")
    layer = geodl.vectorize(result["class"], task="landcover", confidence=result["confidence"])
    with rasterio.open(path) as file:
        classes = file.read(1)
        assert file.colormap(1)[1][:3] == (0x2B, 0x6C, 0xB0)
        assert file.nodata == 255
    np.testing.assert_array_equal(classes, result["class"])
    assert set(layer["class"]) == set(np.unique(classes)) - {255}
    assert set(layer["name"]) <= {"water", "forest", "grassland", "built-up"}
    assert layer.crs == result.odc.crs
    result.to_zarr(tmp_path / "result.zarr")
    again = xr.open_zarr(tmp_path / "result.zarr")
    np.testing.assert_array_equal(again["class"], classes)
    assert again["class"].attrs["flag_meanings"] == "water forest grassland built-up"
