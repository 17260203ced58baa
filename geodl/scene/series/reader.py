"""A series as one scene whose bands are its values at the steps of a calendar."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from geodl.calendars import GAP, Calendar
from geodl.errors import SceneError
from geodl.scene.adopt import PER_BAND, as_scene
from geodl.scene.lazy import lazy_array
from geodl.scene.masks import physical
from geodl.scene.pair.reader import Key
from geodl.scene.reader import windows_of
from geodl.scene.series.steps import at_steps

_SIDE = 512  # rows and columns of what one task reads when a whole scene is computed
_AT_ONCE = 2**20  # observations of all dates that are interpolated together


@dataclass(frozen=True, kw_only=True)
class CalendarReader:
    """Array-like (band, y, x): for each step the values of a date, and days to the nearest observation.

    Plain values and a lazy series, so that readers travel to Dask workers.
    """

    source: xr.DataArray = field(repr=False)
    """Dims (time, band, y, x)."""
    token: str
    """Stands for the content of `source`."""
    observed: tuple[int, ...]
    """Days of the dates, ascending."""
    steps: tuple[int, ...]
    """Days of the steps, of the same epoch."""
    chosen: tuple[int, ...]
    """Positions of the bands among those of all steps."""

    @property
    def sources(self) -> tuple[xr.DataArray]:
        """What is read."""
        return (self.source,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, rows, columns)."""
        return len(self.chosen), self.source.sizes["y"], self.source.sizes["x"]

    @property
    def ndim(self) -> int:
        """Three."""
        return 3

    @property
    def dtype(self) -> np.dtype:
        """float32: values in units of the scenes, NaN without data."""
        return np.dtype(np.float32)

    @property
    def together(self) -> tuple[int, ...]:
        """All bands are read together."""
        return (len(self.chosen),)

    def select(self, positions: list[int]) -> "CalendarReader":
        """Return a reader of the bands at `positions`, in that order."""
        return replace(self, chosen=tuple(self.chosen[position] for position in positions))

    def __getitem__(self, key: Key) -> np.ndarray:
        (bands, rows, columns), kept = windows_of(key, self.shape)
        chosen = self.chosen[bands]
        out = np.empty((len(chosen), rows.stop - rows.start, columns.stop - columns.start), np.float32)
        if not out.size:
            return out[kept]
        values = self._observations(rows, columns)
        step = max(1, _AT_ONCE // (len(values) * out.shape[2]))
        for top in range(0, out.shape[1], step):
            down = slice(top, top + step)
            found, gaps = at_steps(values[:, :, down], np.array(self.observed), np.array(self.steps))
            every = np.concatenate([found, gaps[:, None]], axis=1)  # (steps, bands of a date and gap, y, x)
            out[:, down] = every.reshape(-1, *every.shape[2:])[list(chosen)]
        return out[kept]

    def _observations(self, rows: slice, columns: slice) -> np.ndarray:
        """Read a window of all dates: (dates, bands, rows, columns) in units, NaN where there is no data."""
        dates, bands = self.source.sizes["time"], self.source.sizes["band"]
        shape = (dates, bands, rows.stop - rows.start, columns.stop - columns.start)
        values = np.empty(shape, np.float32)
        for number in range(dates):
            part = self.source.isel(time=number, y=rows, x=columns).compute(scheduler="synchronous")
            values[number] = physical(part).transpose("band", "y", "x").values
        return values


def on_calendar(series: xr.DataArray, calendar: Calendar) -> xr.DataArray:
    """Bring a series to the steps of a calendar, lazily.

    Values between two valid observations of a pixel are interpolated linearly in time; outside them the
    nearest counts. Observations that are no data, hidden by a mask or not finite do not count.

    Parameters
    ----------
    series : xarray.DataArray
        Dims (time, band, y, x) with days as `time`, from `geodl.open_series` or made elsewhere.
    calendar : Calendar
        The steps.

    Returns
    -------
    xarray.DataArray
        dims (band, y, x), float32, bands as `Calendar.bands` names them: values in the units of the series,
        days for the band ``gap``; NaN where a pixel has no observation at all. Attributes as those of
        a scene, and `calendar`: its first day and steps, the days and files of what was observed, and how
        it is read.

    Raises
    ------
    SceneError
        The days are not known, or too few of them lie in the calendar.
    """
    what = f"series {series.name or '(unnamed array)'}"
    days = _days_of(series, what)
    order = np.argsort(days, kind="stable")
    if not np.array_equal(order, np.arange(len(order))):
        series, days = series.isel(time=order), days[order]
    first = as_scene(series.isel(time=0, drop=True).drop_vars("valid", errors="ignore"))
    names = [str(name) for name in first.coords["band"].values]
    if GAP in names:
        raise SceneError(what, f"a band is called {GAP}", "call it otherwise with --bands")
    observed = [date.fromordinal(day) for day in days.tolist()]
    begin = calendar.first_day(observed)
    calendar.check_covered(observed, begin, what=what)
    bands = calendar.bands(names)
    reader = CalendarReader(
        source=_bare(series, names, first.attrs),
        token=_token(series, first.attrs),
        observed=tuple(days.tolist()),
        steps=tuple(day.toordinal() for day in calendar.days(begin)),
        chosen=tuple(range(len(bands))),
    )
    told = {"first": begin.isoformat(), **calendar.model_dump(), **_told(series, order, observed)}
    attributes = {
        **{key: value for key, value in first.attrs.items() if key != "dates"},
        "scale": 1.0, "offset": 0.0, "nodata": float("nan"), "mask": "any", "date": None, "calendar": told,
    }  # fmt: skip
    return _wrapped(series, reader, bands, attributes)


def _told(series: xr.DataArray, order: np.ndarray, observed: list[date]) -> dict[str, Any]:
    """Say when each observation was made and how it is read: what is alike in all of them once."""
    known = series.attrs.get("dates", ())
    rows = [known[number] for number in order] if len(known) == len(order) else [{}] * len(order)
    alike = {
        key: value for key, value in rows[0].items() if all(repr(row.get(key)) == repr(value) for row in rows)
    }
    unsaid = {"label", *alike}
    own = [{key: value for key, value in row.items() if key not in unsaid} for row in rows]
    days = [day.isoformat() for day in observed]
    return {
        "observed": tuple({**row, "date": day} for row, day in zip(own, days, strict=True)),
        "reading": alike,
    }


def _days_of(series: xr.DataArray, what: str) -> np.ndarray:
    times = series.coords["time"].values if "time" in series.coords else np.arange(series.sizes["time"])
    if not np.issubdtype(times.dtype, np.datetime64):
        raise SceneError(
            what, "the days of its dates are not known", "say them with --dates, or as the coordinate `time`"
        )
    since_1970 = times.astype("datetime64[D]").astype(np.int64)
    return since_1970 + date(1970, 1, 1).toordinal()


def _bare(series: xr.DataArray, names: list[str], attributes: dict[str, Any]) -> xr.DataArray:
    """Leave out coordinates that are as long as the scene, which no window needs."""
    unused = [name for name in series.coords if name not in ("band", "valid")]
    bare = series.transpose("time", "band", "y", "x").drop_vars(unused)
    bare = bare.assign_coords(band=names).assign_attrs(attributes)
    bare.encoding = series.encoding
    return bare


def _token(series: xr.DataArray, attributes: dict[str, Any]) -> str:
    mask = series.coords["valid"].data if "valid" in series.coords else None
    return tokenize(series.data, mask, [attributes.get(key) for key in (*PER_BAND, "mask")])


def _wrapped(
    series: xr.DataArray, reader: CalendarReader, bands: list[str], attributes: dict[str, Any]
) -> xr.DataArray:
    _, height, width = reader.shape
    data = lazy_array(reader, (reader.together, min(_SIDE, height), min(_SIDE, width)))
    coords = {
        name: coord
        for name, coord in series.coords.items()
        if not {"time", "band"} & {name, *coord.dims} and name != "valid"
    }
    scene = xr.DataArray(
        data, dims=("band", "y", "x"), coords={"band": bands, **coords}, attrs=attributes, name=series.name
    )
    scene.encoding = {
        key: value for key, value in series.encoding.items() if key in ("block_rows", "grid_mapping")
    }
    scene.encoding["reader"] = reader
    return scene.rename(series.name or "series")
