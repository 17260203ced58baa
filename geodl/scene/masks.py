"""Which pixels of a scene are valid, and their values in physical units. Pure xarray: lazy stays lazy."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from geodl.scene.nodata import as_pixel, holds


def valid_mask(scene: xr.DataArray) -> xr.DataArray:
    """Find the pixels that hold data.

    A pixel is invalid where the coordinate `valid` says so (alpha, internal and external masks, mask
    files), or one that begins with ``valid_`` (that of one date of several), where any band is NaN or
    infinite, and where any band (all bands, if the attribute `mask` is ``"all"``) holds the nodata value.

    Parameters
    ----------
    scene : xarray.DataArray
        From `open_scene`, or any array with a `band` dimension (or none) whose attributes or encoding
        give `nodata` or `_FillValue`; lazy or in memory.

    Returns
    -------
    xarray.DataArray
        bool, the dims of `scene` without `band`; True = valid. Lazy if `scene` is lazy.
    """
    explicit = [
        str(name)
        for name, mask in scene.coords.items()
        if name == "valid" or (str(name).startswith("valid_") and mask.dtype == bool)
    ]
    bands = scene.drop_vars(explicit)
    if "band" not in bands.dims:
        bands = bands.expand_dims("band")
    valid = xr.ones_like(bands.isel(band=0, drop=True), dtype=bool)
    nodata = nodata_of(scene)
    if nodata is not None:
        missing = _equals(bands, nodata)
        valid = ~(missing.all(dim="band") if scene.attrs.get("mask") == "all" else missing.any(dim="band"))
    if bands.dtype.kind == "f":
        valid = valid & (abs(bands) < np.inf).all(dim="band")  # NaN is not less either
    for name in explicit:
        valid = valid & scene.coords[name].drop_vars(explicit, errors="ignore")
    valid.attrs = {}
    return valid.rename("valid")


def physical(scene: xr.DataArray) -> xr.DataArray:
    """Convert values to the units of the scene: ``value * scale + offset`` as float32, NaN where invalid."""
    scale, offset = (
        _per_band(scene.attrs.get(key, start)) for key, start in (("scale", 1.0), ("offset", 0.0))
    )
    # float64 before the sum: 16-bit digital numbers times 1e-4 lose nothing then.
    values = (scene.astype("float64") * scale + offset).astype("float32").where(valid_mask(scene))
    attrs = {**scene.attrs, "scale": 1.0, "offset": 0.0, "nodata": float("nan")}
    return values.assign_attrs(attrs).rename(scene.name)


def nodata_of(scene: xr.DataArray) -> float | int | tuple[float | None, ...] | None:
    """Find the nodata value(s) of a scene or of an array made elsewhere; None if none."""
    for where in (scene.attrs, scene.encoding):
        for key in ("nodata", "_FillValue", "missing_value"):
            if (value := where.get(key)) is not None:
                return tuple(value) if isinstance(value, list | tuple | np.ndarray) else value
    return None


def _per_band(value: float | Sequence[float]) -> float | xr.DataArray:
    if isinstance(value, int | float):
        return value
    return xr.DataArray(np.asarray(value, dtype=float), dims="band")


def _equals(bands: xr.DataArray, nodata: float | int | tuple[float | None, ...]) -> xr.DataArray:
    if isinstance(nodata, tuple):
        each = [
            _equals(bands.isel(band=[i]), value) if value is not None else _never(bands.isel(band=[i]))
            for i, value in enumerate(nodata)
        ]
        return xr.concat(each, dim="band", coords="minimal", compat="override", join="override")
    if not holds(bands.dtype, nodata):
        return _never(bands)
    return bands.isnull() if np.isnan(nodata) else bands == as_pixel(bands.dtype, nodata)


def _never(bands: xr.DataArray) -> xr.DataArray:
    return xr.zeros_like(bands, dtype=bool)
