"""The minimum mapping unit of a class raster of any size: read once to decide, changed as it is read again.

The first pass keeps a table of regions and of their borders, and for each strip which region its own ones are
part of; no raster is held. Memory grows with the number of regions, about 200 bytes for each.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from geodl.vector.absorb import RegionGraph, absorb
from geodl.vector.area import PixelAreas, measurable
from geodl.vector.regions import Sums, join, label_regions, measure, renumber
from geodl.vector.source import ClassRaster
from geodl.vector.strips import READ_ROWS, rows_per_strip

_UNIT = 1000  # border lengths are integers, which add up alike in any order: pixel sides in this unit


def merge_small(
    raster: ClassRaster, min_area: float, *, connectivity: int = 4, strip_rows: int | None = None
) -> ClassRaster:
    """Return a raster without regions below a minimum area: see `geodl.vector.absorb.absorb`.

    Parameters
    ----------
    raster : ClassRaster
        It is read once now, and again when the result is read.
    min_area : float
        Square metres; pixels where the raster has no place on the earth.
    connectivity : {4, 8}
        Whether pixels that share only a corner belong to one region.
    strip_rows : int, optional
        Rows per strip, for tests.

    Returns
    -------
    ClassRaster
        Small regions have the class of a neighbour, or nodata where there is none.
    """
    rows = strip_rows or rows_per_strip(raster.shape[1])
    table = _Table(raster, connectivity)
    for start, classes in _strips(raster, rows):
        table.add(start, classes)
    value, alone = absorb(table.graph(), min_area)
    value = np.where(alone, raster.nodata, value)[table.number]
    lookup = [np.append(raster.nodata, value[a:b]) for a, b in itertools.pairwise(table.begin)]

    def read(start: int, stop: int) -> np.ndarray:
        parts = []
        for index, first in enumerate(table.starts):
            last = min(first + rows, raster.shape[0])
            if first < stop and last > start:
                classes = raster.read(first, last)
                labels, _ = label_regions(classes, raster.nodata, connectivity)
                changed = lookup[index].astype(classes.dtype)[labels]
                parts.append(changed[max(0, start - first) : stop - first])
        return np.concatenate(parts)

    return replace(raster, read=read)


def _strips(raster: ClassRaster, rows: int) -> Iterator[tuple[int, np.ndarray]]:
    step = max(rows, READ_ROWS // rows * rows)
    for start in range(0, raster.shape[0], step):
        classes = raster.read(start, min(start + step, raster.shape[0]))
        for first in range(0, len(classes), rows):
            yield start + first, classes[first : first + rows]


@dataclass(frozen=True, kw_only=True)
class _Borders:
    pairs: np.ndarray
    length: np.ndarray


class _Table:
    """Regions of strips, numbered through from 0, and what they share with each other."""

    def __init__(self, raster: ClassRaster, connectivity: int) -> None:
        self.starts: list[int] = []
        self.begin = [0]
        self.number = np.empty(0, np.int64)
        self._raster, self._connectivity = raster, connectivity
        self._areas = None
        if raster.crs is not None and measurable(raster.crs):
            self._areas = PixelAreas(raster.crs, raster.transform, raster.shape)
        a, b, _, d, e, _ = raster.transform[:6]
        sides = np.hypot([a, b], [d, e])
        self._across, self._down = (round(side) for side in _UNIT * sides / sides.max())
        self._sums: list[Sums] = []
        self._first: list[np.ndarray] = []
        self._borders: list[_Borders] = []
        self._joined: list[np.ndarray] = []
        self._last = np.full(raster.shape[1], raster.nodata), np.zeros(raster.shape[1], np.int64)

    def add(self, start: int, classes: np.ndarray) -> None:
        """Take up the next strip."""
        nodata, before, width = self._raster.nodata, self.begin[-1], classes.shape[1]
        labels, count = label_regions(classes, nodata, self._connectivity)
        weights = None if self._areas is None else self._areas.rows(start, start + len(classes))
        self._sums.append(measure(classes, labels, count, None, weights))
        first = np.empty(count + 1, np.int64)
        first[labels.ravel()[::-1]] = (
            np.arange(labels.size)[::-1] + start * width
        )  # the first is written last
        self._first.append(first[1:])

        known = classes != nodata
        region = labels.astype(np.int64) + (before - 1)
        above, upper = self._last
        pairs = join(above, upper, classes[0], region[0], nodata, self._connectivity)
        self._joined.append(pairs)
        classes = np.vstack([above[None], classes])
        region = np.vstack([upper[None], region])
        known = np.vstack([(above != nodata)[None], known])
        self._borders.append(self._touching(region, known))
        self._last = classes[-1], region[-1]
        self.starts.append(start)
        self.begin.append(before + count)

    def _touching(self, region: np.ndarray, known: np.ndarray) -> _Borders:
        """Sum the borders between the regions of some rows."""
        views = [
            (slice(None, -1), slice(None), slice(1, None), slice(None), self._across),
            (slice(1, None), slice(None, -1), slice(1, None), slice(1, None), self._down),
        ]
        if self._connectivity == 8:
            views += [
                (slice(None, -1), slice(None, -1), slice(1, None), slice(1, None), 0),
                (slice(None, -1), slice(1, None), slice(1, None), slice(None, -1), 0),
            ]
        pairs, length = [], []
        for row, column, other_row, other_column, side in views:
            one, other = region[row, column], region[other_row, other_column]
            meet = (one != other) & known[row, column] & known[other_row, other_column]
            pairs.append(np.stack([one[meet], other[meet]]))
            length.append(np.full(pairs[-1].shape[1], side, np.int64))
        return _summed(np.concatenate(pairs, axis=1), np.concatenate(length))

    def graph(self) -> RegionGraph:
        """Join the regions over the borders of strips, which are numbered anew: see `number`."""
        self.number, total = renumber(np.concatenate(self._joined, axis=1), self.begin[-1])
        value, pixels, area = (
            np.concatenate([getattr(sums, name) for sums in self._sums])
            for name in ("value", "pixels", "area")
        )
        new_value, first = np.zeros(total, np.int64), np.full(total, np.iinfo(np.int64).max)
        new_value[self.number] = value
        np.minimum.at(first, self.number, np.concatenate(self._first))
        pairs = self.number[np.concatenate([borders.pairs for borders in self._borders], axis=1)]
        length = np.concatenate([borders.length for borders in self._borders])
        apart = pairs[0] != pairs[1]
        borders = _summed(pairs[:, apart], length[apart])
        return RegionGraph(
            value=new_value,
            pixels=np.bincount(self.number, pixels, total).astype(np.int64),
            area=np.bincount(self.number, area, total),
            first=first,
            pairs=borders.pairs,
            border=borders.length,
        )


def _summed(pairs: np.ndarray, length: np.ndarray) -> _Borders:
    """Add the lengths of equal pairs, whatever their order."""
    low, high = np.sort(pairs, axis=0)
    size = int(high.max(initial=0)) + 1
    key, place = np.unique(low * size + high, return_inverse=True)
    summed = np.bincount(place, length, len(key)).astype(np.int64)
    return _Borders(pairs=np.stack([key // size, key % size]), length=summed)
