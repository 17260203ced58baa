"""Other pixels in the same CRS: bilinear values, nearest masks, the same for every window.

GDAL's warper could do this, but lets values under a mask into their valid neighbours where a file has
both a mask and a nodata value. Here every pixel is computed from its own row and column alone.
"""

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
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
        if reserved:
            result[seen & (result == fill)] += 1 if fill < limits.max else -1
    return np.where(seen, result, fill).astype(values.dtype)


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
