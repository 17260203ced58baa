"""Two dates of one place, however different their files are, on one grid; rasterio's warper is the oracle."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

import geodl
from geodl.errors import OptionError, SceneError
from geodl.scene import as_scene, select_bands, valid_mask
from geodl.scene.pair import stack_dates, valid_dates
from tests.conftest import write_scene

HERE = Affine(10, 0, 600000, 0, -10, 5200000)
ZONE_33 = Affine(10, 0, 143200, 0, -10, 5210000)  # about the same place in the next zone
UTM = "EPSG:32632"


def smooth(path, height, width, transform, crs, **changes):
    """A scene of waves that are long against a pixel, drawn in metres of UTM 32: one ground for any grid."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = transform @ (columns, rows)
    if crs != UTM:
        x, y = (np.reshape(v, columns.shape) for v in rasterio.warp.transform(crs, UTM, x.ravel(), y.ravel()))
    bands = [3000 + 1500 * np.sin(x / (300 + 50 * b)) * np.cos(y / (250 + 30 * b)) for b in range(3)]
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint16", "nodata": 0, **changes}
    with rasterio.open(
        path, "w", height=height, width=width, transform=transform, crs=crs, **profile
    ) as file:
        file.write(np.stack(bands).round().astype(profile["dtype"]))
        file.descriptions = ("red", "green", "nir")
        file.scales = (0.0001,) * 3
        for band in (1, 2, 3):
            file.set_band_unit(band, "reflectance")
    return path


@pytest.fixture
def before(tmp_path):
    return smooth(tmp_path / "place_2023.tif", 90, 120, HERE, UTM)


def values(pair):
    return pair.compute(scheduler="synchronous")


def warped(path, grid, resampling, **scales):
    """Band 1 to 3 of a file on the grid of a pair, by GDAL; 0 beyond the file."""
    with rasterio.open(path) as file:
        out = np.zeros((3, *grid.shape), "uint16")
        rasterio.warp.reproject(
            file.read(), out, src_transform=file.transform, src_crs=file.crs, src_nodata=0, dst_nodata=0,
            dst_transform=grid.affine, dst_crs=str(grid.crs), resampling=resampling, tolerance=0, **scales,
        )  # fmt: skip
    return out


def test_files_on_one_grid_are_not_changed(before, tmp_path):
    after = write_scene(tmp_path / "place_2024.tif", 90, 120, seed=3)
    pair = geodl.open_pair(before, after)
    assert pair.dims == ("time", "band", "y", "x")
    assert pair.dtype == "uint16"
    assert list(pair.time.values) == [np.datetime64("2023-01-01"), np.datetime64("2024-01-01")]
    assert pair.odc.geobox == geodl.open_scene(before).odc.geobox
    for number, path in enumerate((before, after)):
        np.testing.assert_array_equal(values(pair)[number], geodl.open_scene(path).compute())
    assert np.array_equal(valid_mask(pair)[1], valid_mask(geodl.open_scene(after)))
    assert (pair.attrs["units"], pair.attrs["scale"], pair.attrs["nodata"]) == ("reflectance", 0.0001, 0)
    assert pair.name == "place_2023_2024"


def test_only_the_common_area_remains(before, tmp_path):
    shifted = HERE @ Affine.translation(30, -20)  # 30 columns to the right, 20 rows up
    after = smooth(tmp_path / "place_2024.tif", 100, 200, shifted, UTM)
    pair = geodl.open_pair(before, after)
    assert pair.shape == (2, 3, 80, 90)
    assert pair.odc.geobox.affine == HERE @ Affine.translation(30, 0)
    np.testing.assert_array_equal(values(pair)[0], geodl.open_scene(before).values[:, :80, 30:])
    np.testing.assert_array_equal(values(pair)[1], geodl.open_scene(after).values[:, 20:, :90])


@pytest.mark.parametrize("resampling", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("transform", "crs", "shape"),
    [
        (HERE @ Affine.translation(3.3, -2.4), UTM, (100, 130)),
        (HERE @ Affine.scale(1.6), UTM, (60, 80)),
        (HERE @ Affine.rotation(20), UTM, (150, 150)),
        (ZONE_33, "EPSG:32633", (140, 160)),
        (Affine(0.00013, 0, 10.31, 0, -0.00009, 46.95), "EPSG:4326", (110, 130)),
    ],
    ids=["shifted", "coarser", "turned", "next zone", "degrees"],
)
def test_another_grid_equals_what_gdal_makes_of_it(before, tmp_path, transform, crs, shape, resampling):
    after = smooth(tmp_path / "place_2024.tif", *shape, transform, crs)
    pair = geodl.open_pair(before, after, resampling=resampling)
    # GDAL takes turned pixels for smaller ones, unless it is told that they are not.
    scales = {"XSCALE": 1, "YSCALE": 1} if transform.b or crs == "EPSG:32633" else {}
    oracle = warped(after, pair.odc.geobox, Resampling[resampling], **scales)
    found = values(pair)[1].values
    inside = (found != 0).all(axis=0) & (oracle != 0).all(axis=0)
    assert inside.mean() > 0.3
    inner = inside[2:-2, 2:-2] & inside[:-4, 2:-2] & inside[4:, 2:-2] & inside[2:-2, :-4] & inside[2:-2, 4:]
    difference = np.abs(found.astype(int) - oracle)[:, 2:-2, 2:-2][:, inner]
    if resampling == "bilinear":
        assert (difference <= 2).mean() > 0.999
    else:  # where two source pixels are about equally near, either may be taken
        assert (difference == 0).mean() > 0.98
    assert ((found != 0) == (oracle != 0)).mean() > 0.97


def test_larger_pixels_are_averages(before, tmp_path):
    coarse = smooth(tmp_path / "place_2024.tif", 30, 40, HERE @ Affine.scale(3), UTM)
    pair = geodl.open_pair(before, coarse, grid="after")
    assert pair.shape[2:] == (30, 40)
    truth = geodl.open_scene(before).values.reshape(3, 30, 3, 40, 3).mean(axis=(2, 4))
    assert np.abs(values(pair)[0].values[:, 1:-1, 1:-1] - truth[:, 1:-1, 1:-1]).max() < 20


@pytest.mark.parametrize(("grid", "size"), [("before", 10), ("after", 5), ("finer", 5)])
def test_the_grid_is_a_choice(before, tmp_path, grid, size):
    after = smooth(tmp_path / "place_2024.tif", 180, 240, HERE @ Affine.scale(0.5), UTM)
    assert geodl.open_pair(before, after, grid=grid).odc.geobox.resolution.x == size


def test_a_given_grid_stays_whole_and_tells_what_lies_beyond(before, tmp_path):
    after = smooth(tmp_path / "place_2024.tif", 90, 120, HERE @ Affine.translation(40, 0), UTM)
    wide = GeoBox((100, 200), HERE @ Affine.translation(-10, -5), UTM)
    pair = geodl.open_pair(before, after, grid=wide)
    assert pair.odc.geobox == wide
    valid = valid_dates(values(as_scene(pair)))
    assert list(valid) == ["before", "after"]
    columns = np.flatnonzero(valid["before"].any(axis=0)), np.flatnonzero(valid["after"].any(axis=0))
    assert [(c[0], c[-1] + 1) for c in columns] == [(10, 130), (50, 170)]


def test_values_that_count_differently_become_physical_ones(before, tmp_path):
    same = smooth(tmp_path / "place_2024.tif", 90, 120, HERE, UTM, dtype="int16", nodata=-1)
    pair = geodl.open_pair(before, same)
    assert (pair.dtype, pair.attrs["scale"]) == ("float32", 1.0)
    np.testing.assert_allclose(pair[0], pair[1], atol=1e-6)
    np.testing.assert_allclose(pair[0], geodl.physical(geodl.open_scene(before)), atol=1e-7)
    lifted = geodl.open_pair(before, same, after_reading={"scale": 0.0002})
    np.testing.assert_allclose(2 * values(lifted)[0], values(lifted)[1], atol=1e-6)


def test_bands_that_only_one_date_has_are_left_out(tmp_path, before):
    with rasterio.open(before) as file:
        pixels, profile = file.read(), file.profile
    other = tmp_path / "place_2024.tif"
    with rasterio.open(other, "w", **{**profile, "count": 2}) as file:
        file.write(pixels[[2, 0]])
        file.descriptions = ("nir", "red")
    pair = geodl.open_pair(before, other, scale=0.0001)
    assert list(pair.band.values) == ["red", "nir"]
    np.testing.assert_array_equal(pair[0], pair[1])
    with pytest.raises(SceneError, match=r"share no band.*--after-bands"):
        geodl.open_pair(before, other, after_reading={"bands": "a,b"})


@pytest.mark.parametrize("nodata", [0, None])
def test_windows_do_not_depend_on_each_other(tmp_path, before, nodata):
    after = smooth(tmp_path / "place_2024.tif", 140, 160, ZONE_33, "EPSG:32633", nodata=nodata)
    stack = as_scene(geodl.open_pair(before, after))
    whole = values(stack)
    mask = valid_mask(whole)
    for rows, columns in (
        (slice(0, 1), slice(0, 120)),
        (slice(37, 61), slice(5, 77)),
        (slice(88, 90), slice(119, 120)),
    ):
        part = values(stack.isel(y=rows, x=columns))
        np.testing.assert_array_equal(part, whole[:, rows, columns])
        np.testing.assert_array_equal(valid_mask(part), mask[rows, columns])


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_window_of_any_placement_is_the_same(tmp_path_factory, data):
    number = st.floats(-3, 3).map(lambda value: round(value, 3))
    folder = tmp_path_factory.mktemp("pair")
    first = smooth(folder / "a.tif", 30, 40, HERE, UTM)
    placed = HERE @ Affine.translation(data.draw(number), data.draw(number))
    placed = (
        placed
        @ Affine.rotation(data.draw(st.sampled_from([0, 7, -20])))
        @ Affine.scale(data.draw(st.floats(0.4, 2)))
    )
    second = smooth(folder / "b.tif", 44, 50, placed, UTM, nodata=data.draw(st.sampled_from([0, None])))
    # Moved and turned by little against their size, they always overlap.
    stack = as_scene(geodl.open_pair(first, second))
    whole = values(stack)
    rows = sorted(data.draw(st.tuples(*[st.integers(0, stack.sizes["y"])] * 2)))
    columns = sorted(data.draw(st.tuples(*[st.integers(0, stack.sizes["x"])] * 2)))
    window = {"y": slice(*rows), "x": slice(*columns)}
    xr.testing.assert_identical(values(stack.isel(window)).drop_attrs(), whole.isel(window).drop_attrs())


def test_only_the_window_is_read(before, tmp_path, monkeypatch):
    after = smooth(tmp_path / "place_2024.tif", 100, 130, HERE @ Affine.translation(3.3, -2.4), UTM)
    stack = select_bands(as_scene(geodl.open_pair(before, after)), ["after.nir", "before.red"])
    read = []
    monkeypatch.setattr("geodl.scene.reader.FileBands.read", _counting(read))
    part = values(stack.isel(y=slice(10, 20), x=slice(30, 45)))
    assert part.shape == (2, 10, 15)
    assert sorted(read) == [((1,), 150), ((3,), 11 * 16)]


def _counting(read):
    from geodl.scene.reader import FileBands

    original = FileBands.read

    def counted(self, indexes, rows, columns):
        read.append((tuple(indexes), (rows.stop - rows.start) * (columns.stop - columns.start)))
        return original(self, indexes, rows, columns)

    return counted


def test_a_pair_travels_to_other_processes(before, tmp_path):
    after = smooth(tmp_path / "place_2024.tif", 140, 160, ZONE_33, "EPSG:32633")
    stack = as_scene(geodl.open_pair(before, after))
    np.testing.assert_array_equal(values(pickle.loads(pickle.dumps(stack))), values(stack))
    again = as_scene(geodl.open_pair(before, after))
    assert again.data.name == stack.data.name
    assert as_scene(geodl.open_pair(before, after, resampling="nearest")).data.name != stack.data.name


def test_a_masked_pixel_is_missing_at_its_own_date_only(before, tmp_path):
    with rasterio.open(before) as file:
        pixels, profile = file.read(), file.profile
    holes = [tmp_path / "hole_2023.tif", tmp_path / "hole_2024.tif"]
    for number, path in enumerate(holes):
        changed = pixels.copy()
        changed[:, 10:20, 10 + 5 * number : 20 + 5 * number] = 0
        with rasterio.open(path, "w", **profile) as file:
            file.write(changed)
    valid = valid_dates(values(as_scene(geodl.open_pair(*holes, bands="red,green,nir", scale=0.0001))))
    for number, mask in enumerate(valid.values()):
        truth = np.ones(mask.shape, bool)
        truth[10:20, 10 + 5 * number : 20 + 5 * number] = False
        np.testing.assert_array_equal(mask, truth)


def test_arrays_from_elsewhere_stack_as_well():
    pixels = np.arange(2 * 2 * 4 * 5, dtype="float32").reshape(2, 2, 4, 5)
    pixels[1, :, 0, 0] = np.nan
    cube = xr.DataArray(
        pixels, dims=("time", "band", "y", "x"),
        coords={"band": ["red", "nir"], "time": np.array(["2020-05-01", "2021-06-02"], "datetime64[ns]")},
        attrs={"units": "reflectance"},
    )  # fmt: skip
    for series in (cube, cube.chunk(x=2)):
        scene = as_scene(series)
        assert list(scene.band.values) == ["before.red", "before.nir", "after.red", "after.nir"]
        np.testing.assert_array_equal(scene, pixels.reshape(4, 4, 5))
        assert [date["date"] for date in scene.attrs["dates"]] == ["2020-05-01", "2021-06-02"]
    three = stack_dates(as_dated(cube))
    assert list(three.band.values)[-1] == "t2.nir"


def as_dated(cube):
    return xr.concat([cube, cube.isel(time=[1])], dim="time")


def test_disjoint_swapped_and_equal_dates_are_refused(before, tmp_path):
    far = smooth(tmp_path / "far_2024.tif", 50, 50, HERE @ Affine.translation(5000, 0), UTM)
    with pytest.raises(SceneError, match=r"do not overlap: x 600000 to 601200.*the other x 650000"):
        geodl.open_pair(before, far)
    after = smooth(tmp_path / "place_2024.tif", 90, 120, HERE, UTM)
    with pytest.raises(SceneError, match=r"is of 2023, earlier than place_2024 of 2024.*earlier scene first"):
        geodl.open_pair(after, before)
    assert geodl.open_pair(after, before, dates=("2021", "2021-05")).attrs["dates"][1]["date"] == "2021-05"
    for twice in ((before, before), (geodl.open_scene(before), str(before))):
        with pytest.raises(SceneError, match="is given as both dates"):
            geodl.open_pair(*twice)


def test_options_that_cannot_be_are_refused(before, tmp_path):
    after = smooth(tmp_path / "place_2024.tif", 90, 120, HERE, UTM)
    for wrong, message in (
        ({"grid": "best"}, "use before, after, finer"),
        ({"resampling": "cubic"}, "use bilinear or nearest"),
        ({"dates": ("2023-13", "2024")}, "write it like 2023-07-14"),
        ({"dates": "2023"}, "is not two dates"),
    ):
        with pytest.raises(OptionError, match=message):
            geodl.open_pair(before, after, **wrong)
    bare = geodl.open_scene(write_scene(tmp_path / "bare_2024.tif", 90, 120), ungeoreferenced=True)
    with pytest.raises(SceneError, match=r"no CRS and the other has one.*--crs"):
        geodl.open_pair(before, bare)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SceneError, match="holds no raster"):
        geodl.open_pair(before, tmp_path / "empty")


def test_scenes_without_a_place_are_compared_pixel_by_pixel(tmp_path):
    files = [tmp_path / "plan_1.tif", tmp_path / "plan_2.tif"]
    for seed, path in enumerate(files):
        write_scene(path, 40 + seed, 50, seed=seed, crs=None, hole=False)
    pair = geodl.open_pair(*files, ungeoreferenced=True)
    assert pair.shape[2:] == (40, 50)
    assert list(pair.time.values) == [0, 1]
    assert pair.odc.crs is None
    np.testing.assert_array_equal(pair[1], geodl.open_scene(files[1], ungeoreferenced=True)[:, :40])


@pytest.mark.parametrize("city", ["paris", "saclay_e", "abudhabi", "bercy"])
def test_onera_scenes_open_as_they_are(real_data, city):
    folder = real_data / "change" / "oscd" / city
    pair = geodl.open_pair(folder / "imgs_1", sorted((folder / "imgs_2").glob("*.tif")), scale=0.0001)
    assert {"blue", "green", "red", "nir", "swir1", "swir2"} <= set(pair.band.values)
    with rasterio.open(folder / "cm" / f"{city}-cm.tif") as labels:
        assert pair.shape[2:] == labels.shape
    red = values(pair.sel(band="red")).values.astype(float)
    assert np.corrcoef(red[0].ravel(), red[1].ravel())[0, 1] > 0.3


def test_the_sample_pair_opens(tmp_path):
    folder = Path(__file__).parent.parent / "sample_scenes"
    pair = geodl.open_pair(folder / "s2_valley_2023.tif", folder / "s2_valley_2024.tif")
    with rasterio.open(folder / "truth" / "s2_valley_change.tif") as truth:
        assert pair.shape[2:] == truth.shape
