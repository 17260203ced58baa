"""Class and confidence rasters as rows to read: from arrays, lazy or not, and from files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401 - registers the .odc accessor
import xarray as xr
from affine import Affine
from pyproj import CRS

from geodl.errors import OptionError, SceneError
from geodl.models.spec import NODATA_CLASS, ClassSpec, classes_of_attributes
from geodl.vector.files import band_number, is_masked, open_raster, read_rows
from geodl.vector.legend import read_legend

CURE = "give a raster of class values, or turn probabilities into classes with --threshold"


@dataclass(frozen=True, kw_only=True)
class ClassRaster:
    """A raster of class values that is read by rows."""

    shape: tuple[int, int]
    """(height, width)"""
    crs: CRS | None
    transform: Affine
    """From pixel coordinates (column, row) to (x, y) of the CRS."""
    nodata: int
    """Value of pixels without a class, among the values that `read` returns."""
    read: Callable[[int, int], np.ndarray]
    """``read(start, stop)``: integer array of shape (stop - start, width)."""
    classes: tuple[ClassSpec, ...] = ()
    """Names and colours where the raster carries them."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Further names, of values that `classes` cannot hold."""
    source: str = ""
    """What the raster is called, for the attribute of that name; empty for no such attribute."""


@dataclass(frozen=True, kw_only=True)
class ConfidenceRaster:
    """A raster of confidences that is read by rows."""

    shape: tuple[int, int]
    read: Callable[[int, int], np.ndarray]
    """``read(start, stop)``: float array of shape (stop - start, width), 0..1, NaN where unknown."""


def class_raster(source: xr.DataArray | str | Path, *, band: int | str | None = None) -> ClassRaster:
    """Make a class raster of an array or a file, whose band may be named by its number or description.

    Raises
    ------
    OptionError
        The file has no such band, or the array does not have the dims (y, x).
    SceneError
        The file is no raster, or the values are not whole numbers.
    """
    if not isinstance(source, xr.DataArray):
        return _class_file(Path(source), band)
    array = plane(source, "class raster")
    nodata, restore = _nodata(array.dtype, _nodata_attribute(array), "class raster")
    return replace(
        grid_of_array(source, array),
        nodata=nodata,
        read=lambda start, stop: restore(array.isel(y=slice(start, stop)).to_numpy()),
        classes=classes_of_attributes(array.attrs),
    )


def grid_of_array(source: xr.DataArray, array: xr.DataArray) -> ClassRaster:
    """Describe the grid of `array`, which is `source` as (y, x): a class raster that holds nothing yet."""
    return ClassRaster(
        shape=(array.sizes["y"], array.sizes["x"]),
        crs=None if source.odc.crs is None else source.odc.crs.proj,
        transform=source.odc.geobox.affine if source.odc.geobox is not None else Affine.identity(),
        nodata=NODATA_CLASS,
        read=_nothing,
    )


def grid_of_file(path: Path) -> ClassRaster:
    """Describe the grid of a file: a class raster that holds nothing yet."""
    with open_raster(path) as dataset:
        return ClassRaster(
            shape=dataset.shape,
            crs=None if dataset.crs is None else CRS.from_user_input(dataset.crs),
            transform=dataset.transform,
            nodata=NODATA_CLASS,
            read=_nothing,
            source=path.stem,
        )


def _nothing(start: int, stop: int) -> np.ndarray:
    raise NotImplementedError(f"rows {start} to {stop} of a grid without values")


def confidence_raster(source: "xr.DataArray | str | Path") -> ConfidenceRaster:
    """Make a confidence raster of an array or a file: percent as integers, 255 unknown, or floats 0..1."""
    if not isinstance(source, xr.DataArray):
        path = Path(source)
        with open_raster(path) as dataset:
            shape, dtype = dataset.shape, np.dtype(dataset.dtypes[0])
        return ConfidenceRaster(
            shape=shape, read=lambda start, stop: fractions(read_rows(path, 1, start, stop), dtype)
        )
    array = plane(source, "confidence raster")
    return ConfidenceRaster(
        shape=(array.sizes["y"], array.sizes["x"]),
        read=lambda start, stop: fractions(array.isel(y=slice(start, stop)).to_numpy(), array.dtype),
    )


def plane(array: xr.DataArray, what: str) -> xr.DataArray:
    """Return the array as (y, x), whatever its spatial dims are called."""
    array = array.squeeze([dim for dim in array.dims if dim in ("band", "time") and array.sizes[dim] == 1])
    if array.ndim != 2:
        raise OptionError(what, f"has the dims {array.dims}", "give one band with the dims (y, x)")
    return array.rename(dict(zip(array.dims, ("y", "x"), strict=True)))


def _nodata_attribute(array: xr.DataArray) -> float | None:
    for name in ("nodata", "_FillValue"):
        if array.attrs.get(name) is not None:
            return float(array.attrs[name])
    return float(array.encoding["_FillValue"]) if "_FillValue" in array.encoding else float(NODATA_CLASS)


def _nodata(dtype: np.dtype, nodata: float | None, what: str):
    """Return the value of nodata in rows as `read` gives them, and the function that makes it so."""
    if dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize <= 4):
        if nodata is not None and np.isfinite(nodata) and dtype == np.uint8 and 0 <= nodata <= 255:
            return int(nodata), np.asarray
        wide = np.int32 if dtype.itemsize <= 2 else np.int64
        missing = np.iinfo(wide).min
        number = None if nodata is None or not np.isfinite(nodata) else int(nodata)

        def widen(rows: np.ndarray) -> np.ndarray:
            rows = rows.astype(wide)
            return rows if number is None else np.where(rows == number, missing, rows)

        return missing, widen
    if dtype.kind == "f":  # classes with NaN holes, as xarray's where() leaves them
        missing = np.iinfo(np.int64).min

        def whole(rows: np.ndarray) -> np.ndarray:
            known = np.isfinite(rows) & (rows != nodata)
            if not np.array_equal(rows[known], np.round(rows[known])):
                raise SceneError(what, "its values are not whole numbers", CURE)
            return np.where(known, np.where(known, rows, 0).astype(np.int64), missing)

        return missing, whole
    raise SceneError(what, f"has the dtype {dtype}", "give a raster of integers of at most 32 bits")


def fractions(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return confidence as 0..1, NaN where there is none; whole numbers are percent, 255 no data."""
    if dtype.kind == "f":
        return rows
    return np.where(rows == NODATA_CLASS, np.nan, rows / 100.0)


def _class_file(path: Path, band: int | str | None) -> ClassRaster:
    with open_raster(path) as dataset:
        number = band_number(dataset, band)
        masked = is_masked(dataset, number)
        dtype = np.dtype(dataset.dtypes[number - 1])
        nodata, restore = _nodata(dtype, dataset.nodatavals[number - 1], str(path))
        classes, names = read_legend(dataset, number)

    def read(start: int, stop: int) -> np.ndarray:
        rows = restore(read_rows(path, number, start, stop))
        if masked:
            rows[read_rows(path, number, start, stop, mask=True) == 0] = nodata
        return rows

    return replace(grid_of_file(path), nodata=nodata, read=read, classes=classes, names=names)
