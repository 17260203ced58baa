"""Which pixels are road, read by rows and continued beyond the raster as if mirrored."""

from collections.abc import Mapping

import numpy as np

from geodl.vector.options import VectorOptions
from geodl.vector.source import ClassRaster

ROAD_NAMES = ("road", "roads")
READ_PIXELS = 2**23  # per read, of up to eight bytes each


def road_value(raster: ClassRaster, names: Mapping[int, str], options: VectorOptions) -> int | None:
    """Return the value of road pixels; None where every value but 0 is road.

    It is the class that `options` name, else the one called road, else 1 where that occurs.
    """
    asked = options.class_value(names)
    if asked is not None:
        return asked
    for value, name in names.items():
        if name.casefold() in ROAD_NAMES:
            return value
    return 1 if any((rows == 1).any() for rows in _all_rows(raster)) else None


class RoadRows:
    """Rows of road pixels; rows that windows have in common are read once.

    Beyond its first and last row the raster goes on mirrored at the middle of that row, so that a road
    that leaves the raster does so without an end of its own.
    """

    def __init__(self, raster: ClassRaster, value: int | None) -> None:
        self._raster, self._value = raster, value
        self._start, self._kept = 0, np.zeros((0, raster.shape[1]), bool)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Road pixels, bool of shape (stop - start, width); rows may lie beyond the raster."""
        wanted = mirrored(np.arange(start, stop), self._raster.shape[0])
        self._keep(int(wanted.min()), int(wanted.max()) + 1)
        return self._kept[wanted - self._start]

    def _keep(self, start: int, stop: int) -> None:
        kept_stop = self._start + len(self._kept)
        if not self._start <= start <= kept_stop <= stop:
            self._start, self._kept, kept_stop = start, self._kept[:0], start
        step = max(1, READ_PIXELS // self._raster.shape[1])
        more = [
            self._is_road(self._raster.read(row, min(row + step, stop)))
            for row in range(kept_stop, stop, step)
        ]
        self._start, self._kept = start, np.concatenate([self._kept[start - self._start :], *more])

    def _is_road(self, classes: np.ndarray) -> np.ndarray:
        if self._value is not None:
            return classes == self._value
        return (classes != 0) & (classes != self._raster.nodata)


def mirrored(index: np.ndarray, size: int) -> np.ndarray:
    """Return indices into `size` pixels that are mirrored at the middle of the outermost ones.

    >>> mirrored(np.arange(-2, 6), 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    if size == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * (size - 1))
    return np.where(index < size, index, 2 * (size - 1) - index)


def _all_rows(raster: ClassRaster):
    step = max(1, READ_PIXELS // raster.shape[1])
    for start in range(0, raster.shape[0], step):
        yield raster.read(start, min(start + step, raster.shape[0]))
