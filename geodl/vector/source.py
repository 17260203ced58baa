"""Class and confidence rasters as rows to read: from arrays, lazy or not, and from files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401 - registers the .odc accessor
import rasterio
import xarray as xr
from affine import Affine
from pydantic import TypeAdapter, ValidationError
from pyproj import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geodl.errors import OptionError, SceneError
from geodl.models.spec import NODATA_CLASS, ClassSpec, classes_of_attributes

CLASSES_TAG = "GEODL_CLASSES"


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


@dataclass(frozen=True, kw_only=True)
class ConfidenceRaster:
    """A raster of confidences that is read by rows."""

    shape: tuple[int, int]
    read: Callable[[int, int], np.ndarray]
    """``read(start, stop)``: float array of shape (stop - start, width), 0..1, NaN where unknown."""


def class_raster(source: "xr.DataArray | str | Path") -> ClassRaster:
    """Make a class raster of an array or a file.

    Raises
    ------
    SceneError
        The file is not a raster of one band of integers, or the array is not one of integers (y, x).
    """
    if not isinstance(source, xr.DataArray):
        return _class_file(Path(source))
    array = _plane(source, "class raster")
    shape = (array.sizes["y"], array.sizes["x"])
    nodata, restore = _nodata(array.dtype, _nodata_attribute(array), "class raster")
    return ClassRaster(
        shape=shape,
        crs=None if source.odc.crs is None else source.odc.crs.proj,
        transform=source.odc.geobox.affine if source.odc.geobox is not None else Affine.identity(),
        nodata=nodata,
        read=lambda start, stop: restore(array.isel(y=slice(start, stop)).to_numpy()),
        classes=classes_of_attributes(array.attrs),
    )


def confidence_raster(source: "xr.DataArray | str | Path") -> ConfidenceRaster:
    """Make a confidence raster of an array or a file: percent as integers, 255 unknown, or floats 0..1."""
    if not isinstance(source, xr.DataArray):
        path = Path(source)
        with _open(path) as dataset:
            shape, dtype = dataset.shape, np.dtype(dataset.dtypes[0])
        return ConfidenceRaster(
            shape=shape, read=lambda start, stop: fractions(_rows(path, start, stop), dtype)
        )
    array = _plane(source, "confidence raster")
    return ConfidenceRaster(
        shape=(array.sizes["y"], array.sizes["x"]),
        read=lambda start, stop: fractions(array.isel(y=slice(start, stop)).to_numpy(), array.dtype),
    )


def _plane(array: xr.DataArray, what: str) -> xr.DataArray:
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
        missing = np.iinfo(np.int64).min
        number = None if nodata is None or not np.isfinite(nodata) else int(nodata)

        def widen(rows: np.ndarray) -> np.ndarray:
            rows = rows.astype(np.int64)
            return rows if number is None else np.where(rows == number, missing, rows)

        return missing, widen
    if dtype.kind == "f":  # classes with NaN holes, as xarray's where() leaves them
        missing = np.iinfo(np.int64).min

        def whole(rows: np.ndarray) -> np.ndarray:
            known = np.isfinite(rows) & (rows != nodata)
            if not np.array_equal(rows[known], np.round(rows[known])):
                raise SceneError(what, "its values are not whole numbers", "give a raster of class values")
            return np.where(known, np.where(known, rows, 0).astype(np.int64), missing)

        return missing, whole
    raise SceneError(what, f"has the dtype {dtype}", "give a raster of integers of at most 32 bits")


def fractions(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return confidence as 0..1, NaN where there is none; whole numbers are percent, 255 no data."""
    if dtype.kind == "f":
        return rows
    return np.where(rows == NODATA_CLASS, np.nan, rows / 100.0)


def _class_file(path: Path) -> ClassRaster:
    with _open(path) as dataset:
        if dataset.count != 1:
            raise SceneError(str(path), f"has {dataset.count} bands", "give a raster of one band of classes")
        nodata, restore = _nodata(np.dtype(dataset.dtypes[0]), dataset.nodata, str(path))
        return ClassRaster(
            shape=dataset.shape,
            crs=None if dataset.crs is None else CRS.from_user_input(dataset.crs),
            transform=dataset.transform,
            nodata=nodata,
            read=lambda start, stop: restore(_rows(path, start, stop)),
            classes=_tagged_classes(path, dataset.tags().get(CLASSES_TAG)),
        )


def _tagged_classes(path: Path, text: str | None) -> tuple[ClassSpec, ...]:
    """Read the class table that `geodl.publish.write_cog` leaves in a tag."""
    if text is None:
        return ()
    try:
        return tuple(TypeAdapter(list[ClassSpec]).validate_python(json.loads(text)))
    except (ValidationError, json.JSONDecodeError) as error:
        raise SceneError(
            str(path), f"its tag {CLASSES_TAG} is damaged", "give the classes yourself"
        ) from error


def _open(path: Path) -> rasterio.DatasetReader:
    if not path.is_file():  # also keeps /vsi paths and addresses away from GDAL
        raise SceneError(str(path), "is not a file", "give the path of a GeoTIFF")
    try:
        return rasterio.open(path, driver="GTiff")  # no VRT or other driver that opens further files
    except RasterioError as error:
        raise SceneError(str(path), f"cannot be opened: {error}", "give the path of a GeoTIFF") from error


def _rows(path: Path, start: int, stop: int) -> np.ndarray:
    # Opened for each read: a handle is not safe to share between threads.
    with _open(path) as dataset:
        try:
            return dataset.read(1, window=Window(0, start, dataset.width, stop - start))
        except RasterioError as error:
            raise SceneError(
                str(path), f"cannot be read: {error}", "the file is damaged: make it again"
            ) from error
