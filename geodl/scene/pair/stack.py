"""Dates as an array (time, band, y, x), and as one scene whose bands are those of all dates.

To a network two dates are one image: ``before.red, before.nir, after.red, after.nir``. So whatever holds
for one scene - tiles, streams, memory, restarts - holds for two.
"""

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
import odc.geo.xr
import xarray as xr

from geodl.scene.adopt import PER_BAND
from geodl.scene.grid import Grid
from geodl.scene.lazy import array_name, lazy_array
from geodl.scene.masks import valid_mask
from geodl.scene.pair.date import DateReader
from geodl.scene.pair.reader import SeriesReader, StackReader, ValidReader

_CHUNK = 1024  # rows and columns of what one task reads when a whole series is computed


def labels_of(dates: int) -> tuple[str, ...]:
    """Return what the dates are called in band names.

    >>> labels_of(2), labels_of(3)
    (('before', 'after'), ('t0', 't1', 't2'))
    """
    return ("before", "after") if dates == 2 else tuple(f"t{number}" for number in range(dates))


def series_of(
    readers: Sequence[DateReader], grid: Grid, *, bands: list[str], attributes: dict[str, Any], times: Any
) -> xr.DataArray:
    """Wrap the readers of dates as a lazy array (time, band, y, x) on `grid`."""
    reader = SeriesReader(dates=tuple(readers))
    rows, columns = min(_CHUNK, grid.height), min(_CHUNK, grid.width)
    data = lazy_array(reader, (1, reader.shape[1], rows, columns))
    coords: dict[str, Any] = {"time": times, "band": bands, **_place(grid)}
    if any(date.fill is None for date in readers):
        explicit = ValidReader(dates=tuple(readers))
        coords["valid"] = (("time", "y", "x"), lazy_array(explicit, (1, rows, columns)))
    series = xr.DataArray(data, dims=("time", "band", "y", "x"), coords=coords, attrs=attributes)
    if grid.crs is not None:
        series.encoding["grid_mapping"] = "spatial_ref"
    series.encoding["reader"] = reader
    return series


def _place(grid: Grid) -> dict[str, Any]:
    if grid.crs is None:
        return {"y": np.arange(grid.height) + 0.5, "x": np.arange(grid.width) + 0.5}
    empty = odc.geo.xr.xr_zeros(grid.geobox, dtype="uint8", chunks=(grid.height, grid.width))
    names = dict(zip(empty.dims, ("y", "x"), strict=True))
    return {str(name): coord for name, coord in empty.rename(names).coords.items()}


def stack_dates(series: xr.DataArray) -> xr.DataArray:
    """Make one scene of a series: dims (band, y, x), bands named by date.

    Parameters
    ----------
    series : xarray.DataArray
        Dims (time, band, y, x), with the attributes of a scene, lazy or in memory.

    Returns
    -------
    xarray.DataArray
        Bands ``before.*`` and ``after.*``, ``t0.*``, ``t1.*``, ... for more than two dates; where the
        series has the coordinate `valid`, each date's stands beside as ``valid_before``.
    """
    series = series.transpose("time", "band", "y", "x")
    labels = labels_of(series.sizes["time"])
    names = [f"{label}.{name}" for label in labels for name in series.coords["band"].values]
    coords = {
        name: coord
        for name, coord in series.coords.items()
        if not {"time", "band"} & {name, *coord.dims} and name != "valid"
    }
    for number, label in enumerate(labels):
        if "valid" in series.coords:
            coords[f"valid_{label}"] = series.coords["valid"].isel(time=number).variable
    attributes = dict(series.attrs)
    for key in PER_BAND:
        if isinstance(attributes.get(key), (tuple, list)):
            attributes[key] = tuple(attributes[key]) * len(labels)
    told = attributes.get("dates", ())
    if len(told) != len(labels):
        told = [{"date": time} for time in _times(series)]
    attributes["dates"] = tuple({**date, "label": label} for date, label in zip(told, labels, strict=True))
    data, reader = _stacked(series)
    scene = xr.DataArray(
        data, dims=("band", "y", "x"), coords={"band": names, **coords}, attrs=attributes, name=series.name
    )
    scene.encoding = {
        key: value for key, value in series.encoding.items() if key in ("block_rows", "grid_mapping")
    }
    if reader is not None:
        scene.encoding["reader"] = reader
    return scene


def _stacked(series: xr.DataArray) -> tuple[Any, StackReader | None]:
    reader = series.encoding.get("reader")
    if series.chunks is None:
        return series.values.reshape(-1, *series.shape[2:]), None
    if isinstance(reader, SeriesReader) and series.data.name == array_name(reader):
        # Not a concatenation: Dask would read whole chunks of it for each window.
        stack = StackReader(dates=reader.dates)
        return lazy_array(stack, (stack.together, *series.chunks[2:])), stack
    return da.concatenate(list(series.data)), None


def _times(series: xr.DataArray) -> list[str | None]:
    times = series.coords["time"].values if "time" in series.coords else np.arange(series.sizes["time"])
    if not np.issubdtype(times.dtype, np.datetime64):
        return [None] * len(times)
    return [str(time.astype("datetime64[D]")) for time in times]


def valid_dates(scene: xr.DataArray) -> dict[str, np.ndarray]:
    """Find where each date of a stacked scene holds data.

    Parameters
    ----------
    scene : xarray.DataArray
        From `stack_dates`, or a window of it, with all its bands or some of each date.

    Returns
    -------
    dict
        By label, bool of shape (y, x).
    """
    names = [str(name) for name in scene.coords["band"].values]
    found = {}
    for date in scene.attrs["dates"]:
        label = date["label"]
        own = [i for i, name in enumerate(names) if name.startswith(f"{label}.")]
        others = [f"valid_{other['label']}" for other in scene.attrs["dates"] if other is not date]
        part = scene.isel(band=own).drop_vars(others, errors="ignore")
        for key in PER_BAND:
            if isinstance(scene.attrs.get(key), tuple):
                part.attrs[key] = tuple(scene.attrs[key][i] for i in own)
        found[label] = valid_mask(part).values
    return found
