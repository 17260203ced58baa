"""Scenes against rasterio: the same pixels, masks and georeferencing, read lazily and from any thread."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp

from geodl.scene import as_scene, describe, open_scene, physical, select_bands, valid_mask
from geodl.scene.reader import PixelReader

UTM = Affine(10, 0, 500000, 0, -10, 4500000)


def write(
    path, pixels, *, mask=None, colors=None, names=None, scales=None, offsets=None, tags=None, **profile
):
    """A GeoTIFF of `pixels` (bands, rows, columns)."""
    count, height, width = pixels.shape
    defaults = {"driver": "GTiff", "crs": "EPSG:32631", "transform": UTM}
    with rasterio.open(
        path, "w", count=count, height=height, width=width, dtype=pixels.dtype, **(defaults | profile)
    ) as target:
        target.write(pixels)
        if mask is not None:
            target.write_mask(mask)
        if colors:
            target.colorinterp = colors
        if names:
            target.descriptions = names
        if scales:
            target.scales, target.offsets = scales, offsets
        if tags:
            target.update_tags(**tags)
    return path


def numbers(*shape, dtype="uint16", seed=0):
    return np.random.default_rng(seed).integers(1, 200, shape).astype(dtype)


@pytest.fixture
def reads(monkeypatch):
    """The windows that are read from files."""
    seen = []
    inner = PixelReader.__getitem__

    def spy(self, key):
        seen.append(key)
        return inner(self, key)

    monkeypatch.setattr(PixelReader, "__getitem__", spy)
    return seen


# Pixels


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("tiled", [{"tiled": True, "blockxsize": 16, "blockysize": 32}, {"blockysize": 3}])
def test_windows_equal_rasterio(tmp_path, interleave, tiled):
    pixels = numbers(3, 53, 61)
    path = write(tmp_path / "a.tif", pixels, interleave=interleave, compress="deflate", **tiled)
    scene = open_scene(path)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.tuples(st.integers(0, 52), st.integers(0, 52)),
        st.tuples(st.integers(0, 60), st.integers(0, 60)),
        st.sampled_from([slice(None), slice(1, 3), [2, 0], 1]),
    )
    def check(rows, columns, bands):
        rows, columns = slice(min(rows), max(rows) + 1), slice(min(columns), max(columns) + 1)
        part = scene.isel(y=rows, x=columns).isel(band=bands)
        assert np.array_equal(part.values, pixels[:, rows, columns][bands])
        assert scene.isel(y=rows, x=columns).odc.geobox == scene.odc.geobox[rows, columns]

    check()
    assert scene.dtype == pixels.dtype
    assert dask.is_dask_collection(scene.data)
    assert np.array_equal(scene[:, ::-2, ::3].values, pixels[:, ::-2, ::3])


def test_a_window_reads_only_itself(tmp_path, reads):
    path = write(tmp_path / "a.tif", numbers(4, 300, 400), tiled=True, blockxsize=256, blockysize=256)
    part = open_scene(path).isel(y=slice(10, 50), x=slice(300, 310))
    part.compute(scheduler="synchronous")
    assert reads == [(slice(0, 4), slice(10, 50), slice(300, 310))]


def test_bands_selected_first_are_selected_in_the_reader(tmp_path, reads):
    pixels = numbers(4, 30, 40)
    scene = open_scene(write(tmp_path / "a.tif", pixels, nodata=7, names=("red", "green", "blue", "nir")))
    chosen = select_bands(as_scene(scene), ["nir", "red"])
    again = select_bands(chosen, ["red"])
    part = chosen.isel(y=slice(3, 9), x=slice(5, 8)).compute(scheduler="synchronous")
    assert reads == [(slice(0, 2), slice(3, 9), slice(5, 8))]
    assert np.array_equal(part.values, pixels[[3, 0], 3:9, 5:8])
    assert np.array_equal(again.values, pixels[[0]])
    assert chosen.odc.geobox == scene.odc.geobox


def test_selecting_bands_of_a_changed_scene(tmp_path):
    pixels = numbers(3, 10, 12)
    scene = open_scene(write(tmp_path / "a.tif", pixels, photometric="rgb"))
    doubled = (scene * 2).assign_coords(band=scene.band)
    assert np.array_equal(select_bands(doubled, ["blue"]).values, pixels[[2]] * 2)
    part = scene.isel(y=slice(2, 5))
    assert np.array_equal(select_bands(part, ["blue"]).values, pixels[[2], 2:5])


def test_threads_and_pickles_read_the_same(tmp_path):
    pixels = numbers(2, 200, 200)
    scene = open_scene(
        write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=64, blockysize=64, compress="lzw")
    )
    travelled = pickle.loads(pickle.dumps(scene))
    windows = [(slice(i, i + 37), slice(2 * i, 2 * i + 51)) for i in range(0, 70, 2)]

    def read(window):
        return travelled[:, window[0], window[1]].compute(scheduler="synchronous").values

    with ThreadPoolExecutor(8) as pool:
        for window, result in zip(windows, pool.map(read, windows), strict=True):
            assert np.array_equal(result, pixels[:, window[0], window[1]])


def test_the_same_file_gives_the_same_name(tmp_path):
    path = write(tmp_path / "a.tif", numbers(1, 5, 5))
    first, second = open_scene(path), open_scene(path)
    assert first.data.name == second.data.name
    write(path, numbers(1, 5, 5, seed=1))
    assert open_scene(path).data.name != first.data.name


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (13, 1)])
def test_tiny_rasters(tmp_path, shape):
    pixels = numbers(2, *shape)
    scene = open_scene(write(tmp_path / "łódź 東京.tif", pixels))
    assert np.array_equal(scene.values, pixels)
    assert scene.odc.geobox.affine == UTM
    assert valid_mask(scene).values.all()


# Georeferencing


@pytest.mark.parametrize(
    "transform",
    [
        Affine(30.000001, 0, 309255.123456, 0, -30.0000013, 4154085.77),
        Affine(1.5, -5, 1841001.75, -5, -1.5, 1144003.25),
        Affine(10, 0, 500000, 0, 10, 4500000),
    ],
    ids=["odd", "rotated", "south-up"],
)
def test_transform_and_crs_are_kept(tmp_path, transform):
    scene = open_scene(write(tmp_path / "a.tif", numbers(1, 6, 4), transform=transform, crs="EPSG:32611"))
    assert scene.odc.geobox.affine == transform
    assert scene.odc.crs.to_epsg() == 32611
    part = scene.isel(y=slice(2, 5)).odc.geobox.affine
    assert part[:6] == pytest.approx((transform @ Affine.translation(0, 2))[:6], rel=1e-9)


def test_jpeg_2000(tmp_path):
    pixels = numbers(3, 40, 50)
    options = {"driver": "JP2OpenJPEG", "REVERSIBLE": "YES", "QUALITY": "100"}
    path = write(tmp_path / "T31UFU_20180101T104441_B02_10m.jp2", pixels[:1], **options)
    scene = open_scene(path)
    assert list(scene.band.values) == ["blue"]
    assert scene.odc.geobox.affine == UTM
    assert np.array_equal(scene[:, 3:9, 7:30].values, pixels[:1, 3:9, 7:30])


def test_photos_have_pixel_coordinates(tmp_path):
    pixels = numbers(3, 20, 30, dtype="uint8")
    path = write(tmp_path / "a.png", pixels, driver="PNG", crs=None, transform=None)
    scene = open_scene(path)
    assert np.array_equal(scene.values, pixels)
    assert scene.odc.crs is None
    assert scene.y.values[0] == scene.x.values[0] == 0.5
    assert scene.attrs["notes"] == ("no georeferencing: pixel coordinates are used",)
    assert list(scene.band.values) == ["red", "green", "blue"]
    assert describe(path)["crs"] is None


def test_overrides(tmp_path):
    path = write(tmp_path / "a.tif", numbers(1, 4, 4), crs=None)
    assert open_scene(path, crs="EPSG:32633").odc.crs.to_epsg() == 32633
    assert open_scene(path, ungeoreferenced=True).odc.crs is None
    path = write(tmp_path / "b.tif", numbers(1, 4, 4))
    scene = open_scene(path, crs="EPSG:32633")
    assert scene.odc.crs.to_epsg() == 32633
    assert "EPSG:32631" in scene.attrs["notes"][0]


# Masks


def expected_mask(path):
    with rasterio.open(path) as dataset:
        return (dataset.read_masks() != 0).all(axis=0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
def test_nodata(tmp_path, dtype):
    pixels = numbers(2, 9, 11, dtype=dtype)
    pixels[0, :3] = 5
    pixels[1, 2:4] = 5
    path = write(tmp_path / "a.tif", pixels, nodata=5)
    scene = open_scene(path)
    assert scene.attrs["nodata"] == 5
    assert np.array_equal(valid_mask(scene).values, expected_mask(path))
    assert np.array_equal(valid_mask(scene.compute()).values, expected_mask(path))
    every = valid_mask(open_scene(path, mask="all")).values
    assert np.array_equal(every, ~(pixels == 5).all(axis=0))
    assert valid_mask(open_scene(path, mask="none")).values.all()


def test_nan_and_infinity_are_invalid_without_a_tag(tmp_path):
    pixels = numbers(2, 4, 4, dtype="float32")
    pixels[0, 0, 0], pixels[1, 0, 1], pixels[1, 0, 2] = np.nan, np.inf, -np.inf
    for nodata in (None, np.nan):
        scene = open_scene(
            write(tmp_path / "a.tif", pixels, nodata=nodata), mask="none" if nodata is None else "any"
        )
        valid = valid_mask(scene).values
        assert not valid[0, :3].any()
        assert valid[1:].all()


def test_nodata_that_the_dtype_cannot_hold(tmp_path):
    scene = open_scene(write(tmp_path / "a.tif", numbers(1, 4, 4, dtype="uint8"))).assign_attrs(nodata=-9999)
    assert valid_mask(scene).values.all()


def test_float_nodata_is_compared_as_stored(tmp_path):
    pixels = np.array([[[np.float32(-3.4e38), 1.0]]], dtype="float32")
    scene = open_scene(write(tmp_path / "a.tif", pixels, nodata=-3.4e38))
    assert valid_mask(scene).values.tolist() == [[False, True]]


def test_alpha(tmp_path):
    pixels = numbers(4, 8, 8, dtype="uint8")
    pixels[3, 2:4] = 0
    colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    path = write(tmp_path / "a.tif", pixels, colors=colors)
    scene = open_scene(path)
    assert list(scene.band.values) == ["red", "green", "blue"]
    assert np.array_equal(valid_mask(scene).values, pixels[3] != 0)
    assert "alpha" in scene.attrs["notes"][0]
    four = open_scene(path, bands="red,green,blue,nir")
    assert np.array_equal(four.values, pixels)
    assert valid_mask(four).values.all()
    assert open_scene(path, mask="none").sizes["band"] == 4


@pytest.mark.parametrize("internal", [True, False])
def test_internal_and_external_masks(tmp_path, internal):
    mask = np.ones((8, 9), dtype=bool)
    mask[:2] = False
    pixels = numbers(2, 8, 9)
    pixels[:, 7] = 3
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        path = write(tmp_path / "a.tif", pixels, mask=mask, nodata=3)
    assert (tmp_path / "a.tif.msk").exists() != internal
    scene = open_scene(path)
    mask[7] = False
    assert np.array_equal(valid_mask(scene).values, mask)
    assert np.array_equal(valid_mask(scene.isel(y=slice(1, 4))).values, mask[1:4])
    assert describe(path)["masks"] == ["mask in the file or beside it"]


def test_mask_file(tmp_path):
    mask = numbers(1, 8, 9, dtype="uint8", seed=3) % 2
    path = write(tmp_path / "a.tif", numbers(1, 8, 9))
    for keep in ({}, {"crs": None, "transform": None}):
        name = write(tmp_path / "mask.tif", mask, **keep)
        assert np.array_equal(valid_mask(open_scene(path, mask=str(name))).values, mask[0] != 0)


def test_arrays_made_elsewhere():
    data = xr.DataArray(np.array([[1, 0], [2, 3]]), dims=("y", "x"), attrs={"_FillValue": 0})
    assert valid_mask(data).values.tolist() == [[True, False], [True, True]]
    assert valid_mask(xr.DataArray([[1.0, np.nan]], dims=("y", "x"))).values.tolist() == [[True, False]]
    per_band = xr.DataArray(
        np.array([[[1, 2]], [[1, 2]]]), dims=("band", "y", "x"), attrs={"nodata": (1, None)}
    )
    assert valid_mask(per_band).values.tolist() == [[False, True]]
    assert valid_mask(data.chunk()).chunks is not None


def test_physical(tmp_path):
    pixels = np.array([[[0, 1000, 2000]], [[0, 1000, 2000]]], dtype="uint16")
    path = write(tmp_path / "a.tif", pixels, nodata=0, scales=(1e-4, 2e-4), offsets=(-0.1, 0.0))
    scene = open_scene(path)
    assert scene.attrs["units"] == "reflectance"
    values = physical(scene)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.values, [[[np.nan, 0, 0.1]], [[np.nan, 0.2, 0.4]]], atol=1e-6)
    assert valid_mask(values).values.tolist() == [[False, True, True]]
    assert physical(open_scene(path, scale="1e-4")).values[1, 0, 1] == np.float32(0.1)


# Several files


def band_files(folder, sizes=((40, 60), (40, 60), (20, 30))):
    """Sentinel-2 bands at 10 and 20 m over the same area."""
    paths = []
    for name, (height, width) in zip(("B03", "B04", "B11"), sizes, strict=True):
        pixels = numbers(1, height, width, seed=height) + 1000
        step = 600 / width
        transform = Affine(step, 0, 500000, 0, -step, 4500000)
        paths.append(
            write(folder / f"T31UFU_20180101T104441_{name}.tif", pixels, transform=transform, nodata=0)
        )
    return paths


def test_bands_of_one_acquisition_stack(tmp_path):
    paths = band_files(tmp_path)
    scene = open_scene(paths)
    assert scene.name == "T31UFU_20180101T104441"
    assert list(scene.band.values) == ["green", "red", "swir1"]
    assert scene.shape == (3, 40, 60)
    assert scene.odc.geobox.affine == UTM
    with rasterio.open(paths[1]) as dataset:
        assert np.array_equal(scene.sel(band="red").values, dataset.read(1))
    with rasterio.open(paths[2]) as dataset:
        coarse = dataset.read(1).astype(float)
    # Centres of 10 m pixels lie a quarter of a 20 m pixel off the coarse centres: weights 3/4 and 1/4.
    expected = (0.75 * coarse[3, 4] + 0.25 * coarse[3, 5]) * 0.75 + (
        0.75 * coarse[4, 4] + 0.25 * coarse[4, 5]
    ) * 0.25
    assert scene.sel(band="swir1").values[7, 9] == round(expected)


def test_coarse_bands_equal_the_warper_of_gdal(tmp_path):
    paths = band_files(tmp_path)
    ours = open_scene(paths).sel(band="swir1").values
    with (
        rasterio.open(paths[2]) as dataset,
        rasterio.vrt.WarpedVRT(
            dataset,
            crs=dataset.crs,
            transform=UTM,
            height=40,
            width=60,
            resampling=rasterio.enums.Resampling.bilinear,
        ) as warped,
    ):
        theirs = warped.read(1)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


@pytest.mark.parametrize("metres", [7, 10, 25, 43])
def test_resampling_does_not_depend_on_the_window(tmp_path, metres):
    pixels = numbers(2, 50, 70)
    pixels[0, 10:20, 10:20] = 0
    scene = open_scene(write(tmp_path / "a.tif", pixels, nodata=0), resample=metres)
    whole = scene.values
    assert scene.odc.geobox.resolution.x == pytest.approx(metres)
    assert abs(whole.shape[1] - 500 / metres) <= 1

    @settings(max_examples=20, deadline=None)
    @given(st.data())
    def check(data):
        row, column = (
            data.draw(st.integers(0, whole.shape[1] - 1)),
            data.draw(st.integers(0, whole.shape[2] - 1)),
        )
        rows, columns = slice(row, row + data.draw(st.integers(1, 40))), slice(column, column + 9)
        assert np.array_equal(scene[:, rows, columns].values, whole[:, rows, columns])

    check()
    if metres == 10:
        assert np.array_equal(whole, pixels)


@pytest.mark.parametrize("kind", ["nodata", "internal", "alpha", "nan"])
def test_resampled_values_ignore_what_is_masked(tmp_path, kind):
    """Contract 6: values under the mask change no valid output."""
    results = []
    for junk in (1, 199):
        pixels = numbers(2, 30, 30, dtype="float32" if kind == "nan" else "uint8")
        hidden = np.zeros((30, 30), dtype=bool)
        hidden[5:9, 5:9] = True
        options = {}
        if kind == "nodata":
            pixels[:, hidden], options["nodata"] = 0, 0
        elif kind == "nan":
            pixels[:, hidden] = np.nan
        else:
            pixels[:, hidden] = junk
        if kind == "alpha":
            pixels = np.concatenate([pixels, np.where(hidden, 0, 255)[None].astype("uint8")])
            options["colors"] = [ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha]
        if kind == "internal":
            options["mask"] = ~hidden
        scene = open_scene(write(tmp_path / f"{junk}.tif", pixels, **options), resample=4)
        valid = valid_mask(scene).values
        assert 0 < (~valid).sum() < valid.size / 4
        results.append(np.where(valid, scene.values, 0))
    assert np.array_equal(*results)


def test_resample_in_degrees_is_in_metres(tmp_path):
    transform = Affine(1e-4, 0, 10, 0, -1e-4, 60)
    path = write(tmp_path / "a.tif", numbers(1, 60, 120), crs="EPSG:4326", transform=transform)
    before = describe(path)["pixel_size_m"]
    assert before[0] == pytest.approx(5.57, rel=0.01)
    assert before[1] == pytest.approx(11.14, rel=0.01)
    assert describe(path, resample=20)["pixel_size_m"] == pytest.approx([20, 20], rel=1e-3)


def test_describe_is_json_on_one_screen(tmp_path):
    import json

    path = write(tmp_path / "a.tif", numbers(2, 8, 9, dtype="float32"), nodata=np.nan, names=("red", "nir"))
    description = describe(path)
    assert json.loads(json.dumps(description, allow_nan=False)) == description
    assert description["size"] == [9, 8]
    assert description["pixel_size_m"] == [10, 10]
    assert description["bounds"] == [500000, 4499920, 500090, 4500000]
    assert description["nodata"] == "nan"
    assert [band["name"] for band in description["bands"]] == ["red", "nir"]
    assert description["checked"] == "all pixels"


def test_large_scenes_open_without_reading(tmp_path, reads):
    path = tmp_path / "large.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=3,
        height=60000,
        width=60000,
        dtype="uint8",
        crs="EPSG:32631",
        transform=UTM,
        tiled=True,
        sparse_ok=True,
    ):
        pass
    scene = open_scene(path, allow_sparse=True)
    assert scene.shape == (3, 60000, 60000)
    assert not reads
    assert scene[:, 40000:40010, 5:9].values.max() == 0
