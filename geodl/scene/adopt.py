"""Arrays made elsewhere (rioxarray, odc-stac, stackstac, plain xarray) become scenes."""

from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401 - registers the .odc accessor
import xarray as xr

from geodl.errors import SceneError
from geodl.scene.lazy import selected_array

PER_BAND = ("scale", "offset", "nodata")


def as_scene(data: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Return `data` with the names and attributes that geodl relies on; scenes pass unchanged.

    Understands a Dataset with one variable per band, a missing or numbered band dimension with
    ``long_name`` (rioxarray), and the attributes ``_FillValue``, ``scale_factor``, ``add_offset``.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        Dims (band, y, x) or (y, x); a series (time, band, y, x), whose dates become bands ``before.red``,
        ``after.red``, see `geodl.scene.pair.stack_dates`.

    Raises
    ------
    SceneError
        If the array has no y and x dimensions, or others than band, or no pixels.
    """
    if isinstance(data, xr.Dataset):
        data = data.to_dataarray("band")
    what = f"scene {data.name or '(unnamed array)'}"
    if "band" not in data.dims:
        data = data.expand_dims("band")
    if "time" in data.dims:
        return _stacked(data)
    if set(data.dims) != {"band", "y", "x"}:
        raise SceneError(
            what,
            f"its dimensions are {tuple(data.dims)}",
            "give an array (band, y, x), or (time, band, y, x)",
        )
    if 0 in data.shape:
        raise SceneError(what, f"it has no pixels: {dict(data.sizes)}", "check the selection that made it")
    data = data.transpose("band", "y", "x")
    attributes = dict(data.attrs)
    attributes.setdefault("nodata", attributes.get("_FillValue", data.encoding.get("_FillValue")))
    attributes.setdefault("scale", attributes.get("scale_factor", 1.0))
    attributes.setdefault("offset", attributes.get("add_offset", 0.0))
    if attributes.get("units") not in ("reflectance", "digital_number", "unknown"):
        attributes["units"] = "digital_number" if data.dtype == np.uint8 else "unknown"
    attributes.setdefault("mask", "any")
    attributes.setdefault("source", ())
    data = data.assign_coords(band=_band_names(data))
    data.attrs = attributes
    return data.rename(data.name or "scene")


def _stacked(series: xr.DataArray) -> xr.DataArray:
    from geodl.scene.pair.stack import stack_dates  # a pair is made of scenes

    first = as_scene(series.isel(time=0, drop=True).drop_vars("valid", errors="ignore"))
    named = series.assign_coords(band=first.coords["band"].values).assign_attrs(first.attrs)
    named.encoding = series.encoding
    return stack_dates(named.rename(series.name or "series"))


def _band_names(data: xr.DataArray) -> list[str]:
    names = data.coords["band"].values if "band" in data.coords else np.arange(1, data.sizes["band"] + 1)
    long_names = data.attrs.get("long_name", ())
    if not np.issubdtype(np.asarray(names).dtype, np.integer):
        return [str(name) for name in names]
    if isinstance(long_names, (tuple, list)) and len(long_names) == len(names):
        return [str(name) for name in long_names]
    return [f"band_{name}" for name in names]


def per_band(scene: xr.DataArray, attribute: str) -> tuple[Any, ...]:
    """Return a scene attribute (``scale``, ``offset``, ``nodata``) with one entry per band."""
    value = scene.attrs.get(attribute)
    bands = scene.sizes["band"]
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * bands


def select_bands(scene: xr.DataArray, names: list[str]) -> xr.DataArray:
    """Select bands by name, with the attributes that have one entry per band."""
    position = {str(name): i for i, name in enumerate(scene.coords["band"].values)}
    chosen = [position[name] for name in names]
    data = selected_array(scene, chosen)
    if data is None:
        selected = scene.isel(band=chosen)
    else:
        selected = scene.isel(band=chosen).copy(data=data)
        selected.encoding["reader"] = scene.encoding["reader"].select(chosen)
    selected.encoding["block_rows"] = scene.encoding.get("block_rows")
    for attribute in PER_BAND:
        if isinstance(scene.attrs.get(attribute), (tuple, list)):
            values = per_band(scene, attribute)
            selected.attrs[attribute] = tuple(values[i] for i in chosen)
    return selected
