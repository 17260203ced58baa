"""Registration: known shifts are found and mended, noise is refused, windows do not matter."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_zeros
from scipy.ndimage import map_coordinates

from geodl.alignment import register, suppress_shift, tolerant_distance
from geodl.alignment.field import Field
from geodl.alignment.warp import Move
from geodl.alignment.window import remade
from geodl.errors import OptionError, SceneError
from geodl.scene import open_pair, open_scene, valid_mask

SAMPLES = Path(__file__).resolve().parent.parent / "sample_scenes"
FULL = (slice(100, 356), slice(100, 356))


def scene_of(values, *, nodata=0, chunks=None, transform=None):
    """A scene of uint16 digital numbers (bands, rows, columns) at 10 m."""
    values = np.asarray(values)
    box = GeoBox(values.shape[1:], transform or Affine(10, 0, 600000, 0, -10, 5200000), "EPSG:32632")
    coords = xr_zeros(box, dtype="uint8").coords
    names = [f"b{i}" for i in range(len(values))]
    scene = xr.DataArray(
        values,
        dims=("band", "y", "x"),
        coords={"band": names, **coords},
        attrs={"nodata": nodata, "units": "digital_number"},
        name="made",
    )
    return scene if chunks is None else scene.chunk(dict(zip(("band", "y", "x"), chunks, strict=True)))


def fourier_moved(scene, dy, dx):
    """The scene with its content moved down and to the right, by the shift theorem."""
    spectrum = np.fft.fft2(scene.values.astype(float))
    down, across = np.fft.fftfreq(scene.shape[1])[:, None], np.fft.fftfreq(scene.shape[2])
    values = np.fft.ifft2(spectrum * np.exp(-2j * np.pi * (down * dy + across * dx))).real
    limits = np.iinfo(scene.dtype)
    return scene.copy(data=np.clip(np.rint(values), 1, limits.max).astype(scene.dtype))


@pytest.fixture(scope="module")
def valley():
    """Two years of the same place, in memory; they lie on each other exactly."""
    rows, columns = FULL
    years = (open_scene(SAMPLES / f"s2_valley_{year}.tif") for year in (2023, 2024))
    return [year.isel(y=rows, x=columns).compute() for year in years]


@pytest.fixture(scope="module")
def noise():
    return scene_of(np.random.default_rng(1).integers(1, 5000, (2, 200, 210)).astype("uint16"))


@pytest.mark.parametrize("shift", [(0.37, -1.62), (2.25, 3.4), (-5.5, 0.5)])
@pytest.mark.parametrize("year", [0, 1], ids=["same date", "a year later"])
def test_known_shifts_are_found(valley, shift, year):
    found = register(valley[0], fourier_moved(valley[year], *shift))
    assert np.abs(np.subtract(found.shift, shift)).max() < 0.1
    report = found.report()
    assert report["used"] >= 0.7 * report["blocks"]
    assert report["shift_metres"] == pytest.approx([10 * part for part in report["shift"]], abs=0.01)


def test_aerial_years_lie_on_each_other():
    years = [open_scene(SAMPLES / f"aerial_town_{y}.tif").isel(y=slice(300, 620), x=slice(300, 620)).compute()
             for y in (2023, 2024)]  # fmt: skip
    moved = fourier_moved(years[1], 1.5, -0.75)
    assert register(*years).shift == pytest.approx((0, 0), abs=0.1)
    assert register(years[0], moved).shift == pytest.approx((1.5, -0.75), abs=0.1)


@pytest.mark.parametrize("city", ["rennes", "nantes"])
def test_shifts_of_real_scenes(real_data, city):
    dates = [sorted((real_data / "change" / "oscd" / city / f"imgs_{i}").glob("*B0[48].tif")) for i in (1, 2)]
    pair = open_pair(*dates).isel(y=slice(40, 296), x=slice(100, 420)).compute()
    before, after = pair.isel(time=0), pair.isel(time=1)
    moved = fourier_moved(after, 0.63, -1.28)
    assert register(after, moved).shift == pytest.approx((0.63, -1.28), abs=0.1)
    # What lies between the dates is not known, but the known part of it must be found again.
    between = register(before, after).shift
    assert register(before, moved).shift == pytest.approx((between[0] + 0.63, between[1] - 1.28), abs=0.1)
    left = register(before, register(before, after).apply(after)).shift
    assert left == pytest.approx((0, 0), abs=0.1)


def test_change_and_cloud_fall_out(valley):
    values = fourier_moved(valley[1], 1.4, -0.6).values.copy()
    values[:, :110] = np.random.default_rng(0).integers(1, 9000, values[:, :110].shape)
    values[:, 200:, :60] = 8000
    values[:, 120:180, 220:] = 0  # no data
    found = register(valley[0], valley[1].copy(data=values))
    assert found.shift == pytest.approx((1.4, -0.6), abs=0.1)
    assert not found.used.all()
    assert float(found.quality[20, 128]) < 0.6 * float(found.quality[200, 150])


def test_light_and_season_do_not_matter(valley):
    dark = valley[0].copy(data=(valley[0].values // 3 + 700).astype("uint16"))
    found = register(valley[0], fourier_moved(dark, 0.8, 0.8))
    assert found.shift == pytest.approx((0.8, 0.8), abs=0.1)


def bent(scene):
    """The scene warped by a smooth field, and what that field is (dy, dx): by scipy's splines."""
    rows, columns = np.mgrid[: scene.shape[1], : scene.shape[2]].astype(float)
    dy = 0.9 + 0.5 * np.sin(columns / 70)
    dx = -0.4 + 0.8 * rows / scene.shape[1]
    values = [map_coordinates(band.astype(float), (rows - dy, columns - dx), order=5, mode="reflect")
              for band in scene.values]  # fmt: skip
    return scene.copy(data=np.clip(np.rint(values), 1, 65535).astype(scene.dtype)), dy, dx


def test_a_field_follows_what_one_shift_cannot(valley):
    scene = open_scene(SAMPLES / "s2_valley_2023.tif").isel(band=[2, 3], y=slice(60, 444), x=slice(70, 454))
    scene = scene.compute()
    moved, dy, dx = bent(scene)
    found = register(scene, moved, "field")
    at = found.field.at(slice(0, 384), slice(0, 384))
    inner = (slice(40, -40), slice(40, -40))
    # `bent` gives the shift at the place after, the field that at the place before: they differ by its slope.
    assert np.abs(at[0] - dy)[inner].mean() < 0.1
    assert np.abs(at[1] - dx)[inner].mean() < 0.1
    one = register(scene, moved)
    off = [np.abs(r.apply(moved).values.astype(float) - scene.values)[:, 40:-40, 40:-40].mean()
           for r in (found, one)]  # fmt: skip
    assert off[0] < 0.6 * off[1]
    table = found.table
    assert table.dx.sizes == {"y": len(found.blocks.rows), "x": len(found.blocks.columns)}
    assert table.dx_metres.values == pytest.approx(10 * table.dx.values)


def test_a_field_is_bounded(valley):
    found = register(valley[0], bent(valley[0])[0], "field", bend=0.2)
    middle = np.array(found.shift)[:, None, None]
    assert np.abs(found.field.array - middle).max() <= 0.2 + 1e-9


def test_applying_mends(valley):
    moved = fourier_moved(valley[0], 1.5, -0.5)
    found = register(valley[0], moved)
    mended = found.apply(moved)
    inner = (slice(None), slice(8, -8), slice(8, -8))
    off = [np.abs(s.values.astype(float) - valley[0].values)[inner].mean() for s in (moved, mended)]
    assert off[1] < 0.2 * off[0]
    assert (mended.dtype, mended.attrs["units"]) == (moved.dtype, moved.attrs["units"])
    assert mended.odc.geobox == moved.odc.geobox
    assert register(valley[0], mended).shift == pytest.approx((0, 0), abs=0.05)
    # What came from beyond the scene is no data: two columns on the left, a row and a half below.
    valid = valid_mask(mended).values
    assert valid[:-2, 1:].all()
    assert not valid[-1].any()


def constant(dy, dx):
    return Field.of([0.0], [0.0], np.array([[[dy]], [[dx]]]))


def test_whole_shifts_change_no_value():
    values = np.random.default_rng(0).integers(1, 60000, (2, 40, 50)).astype("uint16")
    moved = remade(scene_of(values), Move(field=constant(3.0, -2.0), fill=0)).values
    assert (moved[:, :-3, 2:] == values[:, 3:, :-2]).all()
    assert (moved[:, -3:] == 0).all()
    assert (moved[:, :, :2] == 0).all()


def test_interpolation_of_a_known_wave():
    rows, columns = np.mgrid[:60, :60].astype(float)

    def wave(r, c):
        return (np.sin(r / 2) + np.cos(c / 3 + r / 9))[None]

    scene = scene_of(wave(rows, columns), nodata=None)
    moved = remade(scene, Move(field=constant(0.3, -0.45), fill=None)).values
    off = np.abs(moved - wave(rows + 0.3, columns - 0.45))[:, 4:-4, 4:-4]
    assert off.max() < 0.02


def test_nodata_stays_and_tints_nothing():
    values = np.full((1, 40, 40), 1000, "uint16")
    values[:, 15:20, 15:20] = 0
    for hidden in (0, 65535):  # the value under the mask is of no matter
        scene = scene_of(np.where(values == 0, hidden, values).astype("uint16"), nodata=hidden)
        moved = remade(scene, Move(field=constant(0.4, 0.4), fill=hidden))
        valid = valid_mask(moved).values
        assert (moved.values[:, valid] == 1000).all()
        assert (~valid).sum() == 25
        assert not valid[15:20, 15:20].any()


def test_a_scene_without_nodata_value_gets_a_mask():
    values = np.random.default_rng(0).integers(0, 255, (2, 40, 50)).astype("uint8")
    moved = remade(scene_of(values, nodata=None), Move(field=constant(0.0, 2.5), fill=None))
    assert moved.attrs["nodata"] is None
    valid = valid_mask(moved).values
    assert valid[:, :-3].all()
    assert not valid[:, -2:].any()
    # Chosen bands are read alone, and are the same.
    from geodl.scene import select_bands

    assert (select_bands(moved, ["b1"]).values == moved.values[1:]).all()


@pytest.fixture(scope="module")
def aligned():
    """The lazy result of a field, and all of it computed."""
    scene = open_scene(SAMPLES / "s2_valley_2023.tif")
    rng = np.random.default_rng(3)
    nodes = [np.linspace(30.0, 450, 5), np.linspace(40.0, 480, 6)]
    field = Field.of(*nodes, rng.uniform(-3, 3, (2, 5, 6)))
    lazy = remade(scene, Move(field=field, fill=0))
    return lazy, lazy.compute()


@settings(max_examples=15, deadline=None)
@given(
    top=st.integers(0, 480), left=st.integers(0, 515), height=st.integers(1, 120), width=st.integers(1, 120)
)
def test_windows_do_not_matter(aligned, top, left, height, width):
    lazy, whole = aligned
    window = {"y": slice(top, top + height), "x": slice(left, left + width)}
    assert (lazy.isel(window).values == whole.isel(window).values).all()


def test_readers_travel(aligned):
    lazy, whole = aligned
    again = pickle.loads(pickle.dumps(lazy.isel(y=slice(200, 220))))
    assert (again.values == whole.isel(y=slice(200, 220)).values).all()


def test_chunks_do_not_matter(valley):
    moved = fourier_moved(valley[1], 0.7, 0.2)
    plain = register(valley[0], moved, "field")
    cut = [scene.chunk({"band": 2, "y": 77, "x": 101}) for scene in (valley[0], moved)]
    other = register(*cut, "field")
    assert other.field == plain.field
    assert (other.apply(cut[1]).values == plain.apply(moved).values).all()
    assert (other.quality.isel(y=slice(3, 50)).values == plain.quality.values[3:50]).all()


def test_no_shift_is_made_of_noise(valley, noise):
    part = valley[0].isel(band=[0, 1], y=slice(0, 200), x=slice(0, 210))
    with pytest.raises(SceneError, match="--coregister off"):
        register(part, part.copy(data=noise.values))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"transform": Affine(10, 0, 600005, 0, -10, 5200000)}, "open both dates on one grid"),
        ({"transform": Affine(20, 0, 600000, 0, -20, 5200000)}, "open both dates on one grid"),
    ],
)
def test_other_grids_are_refused(noise, change, match):
    with pytest.raises(SceneError, match=match):
        register(noise, scene_of(noise.values, **change))


def test_bad_options_and_scenes_are_refused(noise):
    with pytest.raises(OptionError, match="use shift or field"):
        register(noise, noise, "warp")
    with pytest.raises(OptionError, match="2 to 16"):
        register(noise, noise, reach=40)
    with pytest.raises(SceneError, match="too few to measure"):
        register(noise.isel(y=slice(0, 20)), noise.isel(y=slice(0, 20)))
    with pytest.raises(SceneError, match="larger reach"):
        register(noise, fourier_moved(noise, 3.2, 0), reach=2)
    with pytest.raises(SceneError, match="do not both have"):
        register(noise, noise, bands=["nir"])
    plain = scene_of(np.full((1, 200, 200), 7, "uint16"))
    with pytest.raises(SceneError, match="no block"):
        register(plain, plain)


def edges():
    """Fields of a few values, and a building that comes up in one of them."""
    rows, columns = np.mgrid[:80, :80]
    field = (1000 + 1500 * ((rows // 16 + columns // 16) % 3)).astype(float)
    field += np.random.default_rng(0).normal(0, 20, field.shape)
    built = field.copy()
    built[35:45, 35:45] = 8000
    return field, built


def test_shifted_edges_are_no_change_and_buildings_are():
    field, built = edges()
    before = scene_of(field[None].astype("uint16"))
    after = scene_of(np.roll(built, 1, axis=(0, 1))[None].astype("uint16"))
    changed = before.isel(band=0, drop=True).astype("uint8")
    changed.values[:] = np.abs(after.values[0].astype(float) - before.values[0]) > 200
    assert changed.values.sum() > 600
    changed.values[60:70, 3:6] = 254
    left = suppress_shift(changed, before, after, 1, tolerance=8).values
    assert (left[36:46, 36:46] == 1).all()
    assert (left[60:70, 3:6] == 254).all()
    left[36:46, 36:46] = 0
    assert (left[2:-2, 2:-2] == 1).mean() < 0.01


def test_tolerant_distance_by_hand():
    """Against the definition, pixel by pixel."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, (2, 2, 12, 11)).astype("float32")
    one[:, 4, 5] = np.nan
    found = tolerant_distance(scene_of(one), scene_of(other), 1, scale=(1, 2)).values

    def nearest(still, moved, y, x):
        near = moved[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].reshape(2, -1)
        near = near[:, np.isfinite(near).all(axis=0)]
        return np.sqrt(((near - still[:, y, x, None]) ** 2 / np.array([[1], [4]])).mean(axis=0)).min()

    for y, x in np.ndindex(12, 11):
        if (y, x) == (4, 5):
            assert np.isnan(found[y, x])
        else:
            assert found[y, x] == pytest.approx(
                max(nearest(one, other, y, x), nearest(other, one, y, x)), rel=1e-5
            )


def test_suppression_does_not_depend_on_windows(valley):
    distance = tolerant_distance(*valley, 2)
    part = distance.isel(y=slice(11, 40), x=slice(90, 130)).values
    assert (part == distance.values[11:40, 90:130]).all()


@pytest.mark.parametrize("k", [0, 9])
def test_unusable_tolerance_is_refused(valley, k):
    changed = valley[0].isel(band=0, drop=True).astype("uint8")
    with pytest.raises(OptionError, match="pixels"):
        suppress_shift(changed, *valley, k)
