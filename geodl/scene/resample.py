"""Other pixels in the same CRS: bilinear values, nearest masks, the same for every window.

GDAL's warper could do this, but lets values under a mask into their valid neighbours where a file has
both a mask and a nodata value. Here every pixel is computed from its own row and column alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Where the pixel centres of an output axis fall on a source axis of `length` pixels.

    ``source = (output + 0.5) * step + start - 0.5``, both in pixel indexes.
    """

    step: float
    start: float
    length: int

    def centres(self, outputs: slice) -> np.ndarray:
        """Source coordinate (pixel index, fractional) of each output pixel."""
        return (np.arange(outputs.start, outputs.stop) + 0.5) * self.step + self.start - 0.5

    def nearest(self, outputs: slice) -> np.ndarray:
        """Index of the source pixel under the centre of each output pixel."""
        return np.clip(np.floor(self.centres(outputs) + 0.5).astype(int), 0, self.length - 1)

    def taps(self, outputs: slice) -> tuple[np.ndarray, np.ndarray]:
        """Source indexes and weights (taps, outputs) of a triangle filter.

        Between source pixels it is linear interpolation; where output pixels are larger it widens
        with them, so that every source pixel counts. Taps beyond the edge have weight 0.
        """
        centres = self.centres(outputs)
        radius = max(1.0, self.step)
        indexes = np.floor(centres - radius).astype(int) + 1 + np.arange(int(np.ceil(2 * radius)))[:, None]
        weights = np.maximum(0.0, 1 - np.abs(indexes - centres) / radius)
        weights[(indexes < 0) | (indexes >= self.length)] = 0
        return np.clip(indexes, 0, self.length - 1), weights

    def needed(self, outputs: slice) -> slice:
        """Source pixels that `outputs` depend on."""
        indexes, _ = self.taps(outputs)
        return slice(int(indexes.min()), int(indexes.max()) + 1)


def bilinear(
    values: np.ndarray,
    valid: np.ndarray,
    rows: tuple[Axis, slice],
    columns: tuple[Axis, slice],
    *,
    fill: float,
    reserved: bool,
) -> np.ndarray:
    """Resample one band; invalid pixels count for nothing.

    Parameters
    ----------
    values, valid : numpy.ndarray
        The source pixels ``rows[0].needed(rows[1])`` x ``columns[0].needed(columns[1])``, and where
        they hold data.
    rows, columns : (Axis, slice)
        The output pixels.
    fill : float
        Value where the nearest source pixel is invalid.
    reserved : bool
        `fill` is the nodata value: a valid pixel that rounds to it gets the next integer.

    Returns
    -------
    numpy.ndarray
        The output pixels in the dtype of `values`; integers are rounded.
    """
    weighted = _along(np.where(valid, values, 0).astype("float64"), rows, columns)
    weights = _along(valid.astype("float64"), rows, columns)
    row_at = rows[0].nearest(rows[1]) - rows[0].needed(rows[1]).start
    column_at = columns[0].nearest(columns[1]) - columns[0].needed(columns[1]).start
    seen = valid[np.ix_(row_at, column_at)]
    result = np.divide(weighted, weights, out=np.zeros_like(weighted), where=weights > 0)
    return _stored(result, seen, values.dtype, fill=fill, reserved=reserved)


def scattered(
    values: np.ndarray,
    valid: np.ndarray,
    origin: tuple[int, int],
    at: tuple[np.ndarray, np.ndarray],
    grown: tuple[float, float],
    seen: np.ndarray,
    *,
    fill: float,
    reserved: bool,
) -> np.ndarray:
    """Resample bands at any coordinates with the triangle filter of `Axis.taps`; invalid pixels count not.

    Parameters
    ----------
    values : numpy.ndarray
        Source pixels, shape (bands, height, width).
    valid : numpy.ndarray
        bool, shape (height, width).
    origin : (row, column)
        Source pixel at which `values` begin. Weights are made of whole coordinates: of shifted ones they
        would be rounded differently in each window.
    at : (row, column)
        Source coordinates of the output pixels, fractional pixel indexes, shape (rows, columns).
    grown : (down, across)
        Source pixels that an output pixel is long, at least 1: the filter's radius.
    seen : numpy.ndarray
        bool, shape (rows, columns): where the nearest source pixel holds data; `fill` goes elsewhere.
    fill, reserved
        As for `bilinear`.
    """
    total = np.zeros((len(values), *seen.shape))
    weights = np.zeros(seen.shape)
    for row, row_weight in _taps_at(at[0], grown[0], origin[0], valid.shape[0]):
        for column, column_weight in _taps_at(at[1], grown[1], origin[1], valid.shape[1]):
            weight = row_weight * column_weight * valid[row, column]
            weights += weight
            # A pixel without data may be NaN, which no weight takes out.
            total += np.where(weight > 0, values[:, row, column], 0) * weight
    result = np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
    return _stored(result, seen, values.dtype, fill=fill, reserved=reserved)


def _taps_at(
    centres: np.ndarray, radius: float, start: int, length: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield position in the pixels from `start` on and weight of each tap; beyond them the weight is 0."""
    first = np.floor(centres - radius).astype(int) + 1
    for tap in range(int(np.ceil(2 * radius))):
        index = first + tap
        weight = np.maximum(0.0, 1 - np.abs(index - centres) / radius)
        inside = (index >= start) & (index < start + length)
        yield np.clip(index - start, 0, length - 1), np.where(inside, weight, 0)


def _stored(
    result: np.ndarray, seen: np.ndarray, dtype: np.dtype, *, fill: float, reserved: bool
) -> np.ndarray:
    """Round to the dtype of the source, keep the value for no data free, and set it where nothing is seen."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
        if reserved:
            result[seen & (result == fill)] += 1 if fill < limits.max else -1
    return np.where(seen, result, fill).astype(dtype)


def _along(values: np.ndarray, rows: tuple[Axis, slice], columns: tuple[Axis, slice]) -> np.ndarray:
    for axis, (source, outputs) in enumerate((rows, columns)):
        indexes, weights = source.taps(outputs)
        indexes = indexes - source.needed(outputs).start
        values = np.moveaxis(values, axis, 0)
        # One tap after the other: the sum of a pixel does not depend on the window around it.
        total = np.zeros((len(indexes[0]), values.shape[1]))
        for index, weight in zip(indexes, weights, strict=True):
            total += values[index] * weight[:, None]
        values = np.moveaxis(total, 0, axis)
    return values
