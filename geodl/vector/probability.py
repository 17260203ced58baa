"""Probability rasters, also of other software, as classes: the object where it is likely enough."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401 - registers the .odc accessor
import xarray as xr

from geodl.errors import OptionError, SceneError
from geodl.vector.files import band_number, is_masked, open_raster, read_rows
from geodl.vector.source import ClassRaster, ConfidenceRaster, grid_of_array, grid_of_file, plane

OBJECT, REST, UNKNOWN = 1, 0, 255


def threshold_raster(
    source: xr.DataArray | str | Path, threshold: float, *, band: int | str | None = None
) -> tuple[ClassRaster, ConfidenceRaster]:
    """Make classes and confidences of the probabilities of an object.

    Parameters
    ----------
    source : DataArray (y, x) or path
        Floats 0..1, or integers that a scale other than 1 makes such, as 0.01 does with percent.
    threshold : float
        Least probability of an object, above 0 and not above 1.
    band : int or str, optional
        Number or description of the band of a file; not needed for a single one.

    Returns
    -------
    classes : ClassRaster
        1 the object, 0 the rest, 255 nodata.
    confidence : ConfidenceRaster
        Probability of that class.

    Raises
    ------
    OptionError
        The threshold or the band is not possible.
    SceneError
        The raster cannot be read; while it is read, also where a value is no probability.
    """
    if not 0 < threshold <= 1:
        raise OptionError(f"--threshold {threshold:g}", "it is no probability", "give one above 0, up to 1")
    if isinstance(source, xr.DataArray):
        array = plane(source, "probability raster")
        grid, what = grid_of_array(source, array), "probability raster"
        scaling = _Scaling(
            scale=float(array.attrs.get("scale_factor", 1)),
            offset=float(array.attrs.get("add_offset", 0)),
            nodata=array.attrs.get("nodata", array.attrs.get("_FillValue")),
        )
        read = lambda start, stop: scaling.probabilities(  # noqa: E731 - one expression, used twice
            array.isel(y=slice(start, stop)).to_numpy(), what
        )
        dtype = array.dtype
    else:
        path = Path(source)
        grid, what = grid_of_file(path), str(path)
        read, dtype, scaling = _file(path, band)
    if dtype.kind not in "fiu" or (dtype.kind != "f" and scaling.scale == 1):
        raise SceneError(
            what,
            f"holds {dtype} without a scale, which are no probabilities",
            "give floats 0..1, or set the scale (percent: 0.01); leave --threshold out for classes",
        )
    return _split(grid, read, threshold)


@dataclass(frozen=True, kw_only=True)
class _Scaling:
    scale: float
    offset: float
    nodata: float | None

    def probabilities(self, rows: np.ndarray, what: str) -> np.ndarray:
        """Return 0..1, NaN where there is no value."""
        missing = ~np.isfinite(rows) if self.nodata is None else ~np.isfinite(rows) | (rows == self.nodata)
        values = np.where(missing, np.nan, rows * self.scale + self.offset)
        low, high = np.nanmin(values, initial=0), np.nanmax(values, initial=1)
        if low < 0 or high > 1 + 1e-6:
            wrong = low if low < 0 else high
            raise SceneError(what, f"holds {wrong:g}, which is no probability", "scale it to 0..1")
        return np.minimum(values, 1)


def _file(path: Path, band: int | str | None):
    with open_raster(path) as dataset:
        number = band_number(dataset, band)
        masked = is_masked(dataset, number)
        dtype = np.dtype(dataset.dtypes[number - 1])
        scaling = _Scaling(
            scale=dataset.scales[number - 1],
            offset=dataset.offsets[number - 1],
            nodata=dataset.nodatavals[number - 1],
        )

    def read(start: int, stop: int) -> np.ndarray:
        values = scaling.probabilities(read_rows(path, number, start, stop), str(path))
        if masked:
            values[read_rows(path, number, start, stop, mask=True) == 0] = np.nan
        return values

    return read, dtype, scaling


def _split(
    grid: ClassRaster, read: Callable[[int, int], np.ndarray], threshold: float
) -> tuple[ClassRaster, ConfidenceRaster]:
    def classes(start: int, stop: int) -> np.ndarray:
        values = read(start, stop)
        found = np.where(values >= threshold, np.uint8(OBJECT), np.uint8(REST))
        found[np.isnan(values)] = UNKNOWN
        return found

    def confidence(start: int, stop: int) -> np.ndarray:
        values = read(start, stop)
        return np.where(values >= threshold, values, 1 - values)

    return replace(grid, nodata=UNKNOWN, read=classes), ConfidenceRaster(shape=grid.shape, read=confidence)
