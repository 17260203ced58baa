"""Series of many dates: opened as one array, brought to the steps of a calendar, gaps and clouds included."""

from datetime import date, timedelta

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import geodl
from geodl.calendars import Calendar
from geodl.errors import OptionError, SceneError
from geodl.scene import select_bands
from geodl.scene.series import at_steps, on_calendar

PLACE = Affine(10, 0, 500000, 0, -10, 5200000)
MONTHS = Calendar(start="01-15", every=30, steps=6)


def write(path, values, *, transform=PLACE, crs="EPSG:32633", nodata=-1, names=("ndvi",), **profile):
    values = np.asarray(values, np.float32).reshape(len(names), *np.shape(values)[-2:])
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[1], width=values.shape[2], count=len(names), crs=crs,
        dtype="float32", transform=transform, nodata=nodata, **profile,
    ) as file:  # fmt: skip
        file.write(values)
        file.descriptions = names
    return str(path)


def days_of(count, *, first=date(2019, 1, 5), every=20):
    return [first + timedelta(days=every * number) for number in range(count)]


@pytest.fixture
def stack(tmp_path):
    """Nine dates of 12 x 17 pixels with clouds (-1): paths, days and values with NaN."""
    rng, days = np.random.default_rng(3), days_of(9)
    values = rng.uniform(0.1, 0.9, (9, 12, 17)).astype(np.float32)
    values[rng.random(values.shape) < 0.4] = np.nan
    values[:, 4, 5] = np.nan  # hidden on every date
    paths = [
        write(tmp_path / f"ndvi_{day}.tif", np.where(np.isnan(plane), -1, plane), tiled=True, blockxsize=16,
              blockysize=16)
        for day, plane in zip(days, values, strict=True)
    ]  # fmt: skip
    return paths, days, values


def interpolated(days, values, steps):
    """Numpy's own interpolation over the valid observations of one pixel, and days to the nearest one."""
    seen = np.isfinite(values)
    if not seen.any():
        return np.full(len(steps), np.nan), np.full(len(steps), np.nan)
    at = np.array([day.toordinal() for day in days])[seen]
    when = np.array([day.toordinal() for day in steps])
    return np.interp(when, at, values[seen]), np.abs(when[:, None] - at).min(axis=1)


def test_a_series_holds_each_date_and_is_lazy(stack, tmp_path):
    paths, days, values = stack
    series = geodl.open_series([paths[4], *paths[:4], *paths[5:]], scale=1)  # whatever their order
    assert series.dims == ("time", "band", "y", "x")
    assert series.chunks is not None
    assert list(series.coords["time"].values.astype("datetime64[D]").astype(str)) == [str(d) for d in days]
    np.testing.assert_array_equal(np.where(series == -1, np.nan, series)[:, 0], values)
    assert geodl.open_series(str(tmp_path / "ndvi_*.tif")).shape == series.shape
    assert geodl.open_series(tmp_path).shape == series.shape


def test_steps_are_numpys_interpolation_of_what_is_seen(stack):
    paths, days, values = stack
    scene = on_calendar(geodl.open_series(paths, scale=1), MONTHS)
    steps = MONTHS.days(date(2019, 1, 15))
    assert list(scene.coords["band"].values[:3]) == ["01.ndvi", "01.gap", "02.ndvi"]
    assert scene.attrs["calendar"]["first"] == "2019-01-15"
    found = scene.values
    for row, column in np.ndindex(12, 17):
        ndvi, gap = interpolated(days, values[:, row, column], steps)
        np.testing.assert_allclose(found[::2, row, column], ndvi, atol=1e-6)
        np.testing.assert_array_equal(found[1::2, row, column], gap)
    assert not geodl.valid_mask(scene).values[4, 5]
    assert geodl.valid_mask(scene).values.sum() == 12 * 17 - 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(-1, 1, width=32) | st.none()), min_size=1, max_size=12,
             unique_by=lambda one: one[0]),
    st.lists(st.integers(-50, 450), min_size=1, max_size=8),
)  # fmt: skip
def test_any_pixel_at_any_steps(observations, steps):
    first = date(2019, 1, 1)
    observations = sorted(observations, key=lambda one: one[0])
    days = [first + timedelta(days=day) for day, _ in observations]
    values = np.array([np.nan if value is None else value for _, value in observations], np.float32)
    when = [first + timedelta(days=step) for step in steps]
    found, gaps = at_steps(
        values[:, None, None],
        np.array([day.toordinal() for day in days]),
        np.array([day.toordinal() for day in when]),
    )
    expected, distance = interpolated(days, values, when)
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-5)
    np.testing.assert_array_equal(gaps[:, 0], distance)


def test_windows_and_bands_are_those_of_the_whole(stack):
    scene = on_calendar(geodl.open_series(stack[0], scale=1), MONTHS)
    whole = scene.values
    for rows, columns in (
        (slice(3, 4), slice(0, 17)),
        (slice(0, 12), slice(5, 6)),
        (slice(2, 9), slice(3, 16)),
    ):
        np.testing.assert_array_equal(scene.isel(y=rows, x=columns).values, whole[:, rows, columns])
    some = select_bands(scene, ["05.ndvi", "01.gap"])
    np.testing.assert_array_equal(some.isel(y=slice(1, 5)).values, whole[[8, 1], 1:5])


def test_arrays_made_elsewhere_are_series_too(stack):
    paths, _, _ = stack
    series = geodl.open_series(paths, scale=1)
    plain = series.compute().isel(time=slice(None, None, -1))  # in memory, the last date first
    np.testing.assert_array_equal(on_calendar(plain, MONTHS).values, on_calendar(series, MONTHS).values)
    with pytest.raises(SceneError, match=r"days of its dates are not known.*--dates"):
        on_calendar(plain.assign_coords(time=np.arange(9)), MONTHS)


def test_masks_hide_dates(stack, tmp_path):
    paths, days, values = stack
    (tmp_path / "clear").mkdir()
    hidden = np.random.default_rng(5).random(values.shape) < 0.3
    masks = [
        write(tmp_path / "clear" / f"clear_{day}.tif", ~cloud, nodata=None)
        for day, cloud in zip(days, hidden, strict=True)
    ]
    both = on_calendar(geodl.open_series(paths, masks=masks, scale=1), MONTHS).values
    steps = MONTHS.days(date(2019, 1, 15))
    seen = np.where(hidden, np.nan, values)
    for row, column in ((0, 0), (3, 9), (11, 16)):
        ndvi, gap = interpolated(days, seen[:, row, column], steps)
        np.testing.assert_allclose(both[::2, row, column], ndvi, atol=1e-6)
        np.testing.assert_array_equal(both[1::2, row, column], gap)
    with pytest.raises(OptionError, match=r"--masks: 8 for 9 dates"):
        geodl.open_series(paths, masks=masks[:-1])


def test_dates_on_other_grids_are_aligned(tmp_path):
    days = days_of(4, every=40)
    level = [0.2, 0.4, 0.6, 0.8]
    paths = []
    for number, (day, value) in enumerate(zip(days, level, strict=True)):
        moved = Affine(20, 0, 499900, 0, -20, 5200100) if number == 2 else PLACE  # coarser, and larger
        paths.append(write(tmp_path / f"{day}.tif", np.full((20, 20), value), transform=moved))
    series = geodl.open_series(paths)
    assert series.shape == (4, 1, 20, 20)
    np.testing.assert_allclose(series.isel(band=0, y=10, x=10), level, atol=1e-6)


def test_the_files_of_a_day_are_its_bands(tmp_path):
    for number, day in enumerate(days_of(3)):
        for band in ("B04", "B08"):
            write(tmp_path / f"{day}_{band}.tif", np.full((4, 4), number + (band == "B08") / 2), names=("",))
    with pytest.raises(SceneError, match=r"is of 2019-01-05, as .* is: keep one.*--stack"):
        geodl.open_series(tmp_path)
    series = geodl.open_series(tmp_path, stack=True)
    assert list(series.coords["band"].values) == ["B4", "B8"]
    np.testing.assert_array_equal(series.isel(y=0, x=0), [[0, 0.5], [1, 1.5], [2, 2.5]])
    with pytest.raises(OptionError, match=r"--dates with --stack.*folder of its own"):
        geodl.open_series(tmp_path, stack=True, dates=["2019-01-01"] * 6)


def test_dates_that_nobody_knows_are_asked_for(tmp_path):
    paths = [write(tmp_path / f"{name}.tif", np.ones((3, 3))) for name in "ab"]
    with pytest.raises(SceneError, match=r"scene a: neither its tags nor its name tell its date: .*--dates"):
        geodl.open_series(paths)
    with pytest.raises(SceneError, match=r"2019 is no single day"):
        geodl.open_series(paths, dates=["2019", "2020"])
    with pytest.raises(OptionError, match=r"--dates: 3 for 2 dates"):
        geodl.open_series(paths, dates=["2019-01-01"] * 3)
    series = geodl.open_series(paths, dates=["2019-05-01", "2019-02-01"])
    assert [told["name"] for told in series.attrs["dates"]] == ["b", "a"]


def test_names_of_composites_tell_when_they_begin(tmp_path):
    for day in days_of(3, every=16):
        write(tmp_path / f"NDVI_{day}_{day + timedelta(days=15)}.tif", np.ones((3, 3)))
    series = geodl.open_series(tmp_path)
    assert [told["date"] for told in series.attrs["dates"]] == ["2019-01-05", "2019-01-21", "2019-02-06"]


def test_too_little_for_a_series_is_refused(stack, tmp_path):
    paths, _, _ = stack
    with pytest.raises(OptionError, match=r"1 date: a series has two or more"):
        geodl.open_series(paths[:1])
    with pytest.raises(OptionError, match=r"nothing_\*.tif: matches no file"):
        geodl.open_series(str(tmp_path / "nothing_*.tif"))
    with pytest.raises(SceneError, match=r"1 of its 2 dates lie in the calendar.*2019-01-15.*it takes 2"):
        on_calendar(
            geodl.open_series(paths[1:3], dates=["2018-06-01", "2019-03-01"]),
            Calendar(start="2019-01-15", every=30, steps=6),
        )


def test_a_calendar_finds_its_year():
    season = Calendar(start="09-01", every=16, steps=23)
    assert season.first_day([date(2019, 2, 1), date(2019, 7, 1)]) == date(2018, 9, 1)
    assert season.first_day([date(2019, 10, 1)]) == date(2019, 9, 1)
    years = Calendar(start="07-11", every=30, steps=30)
    assert years.first_day([date(2015, 7, 11), date(2016, 8, 1), date(2017, 12, 1)]) == date(2015, 7, 11)
    for wrong in ("2018", "02-29", "13-01", "9-1"):
        with pytest.raises(ValidationError, match=r"is no day"):
            Calendar(start=wrong, every=16, steps=23)


def test_a_band_may_not_be_called_gap():
    times = np.array(["2019-01-15", "2019-02-15", "2019-03-15"], "datetime64[ns]")
    series = xr.DataArray(
        np.ones((3, 1, 2, 2)), dims=("time", "band", "y", "x"), coords={"time": times, "band": ["gap"]}
    )
    with pytest.raises(SceneError, match=r"a band is called gap: .*--bands"):
        on_calendar(series, MONTHS)
