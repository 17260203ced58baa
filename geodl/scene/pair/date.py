"""One date on the grid of its pair: windows are read and resampled when they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from geodl.scene.adopt import select_bands
from geodl.scene.masks import physical, valid_mask
from geodl.scene.nodata import empty_value
from geodl.scene.pair.place import Across, AlongAxes, Place
from geodl.scene.resample import Axis, bilinear, scattered

_SIDE = 512  # pixels of a window that is read at once where the grids are turned against each other


@dataclass(frozen=True, kw_only=True)
class DateReader:
    """The pixels of one date on the grid of the pair; windows do not depend on each other.

    Plain values and a lazy scene, so that readers travel to Dask workers.
    """

    source: xr.DataArray = field(repr=False)
    """Lazy, dims (band, y, x), on its own grid."""
    token: str
    """Stands for the content of `source`."""
    place: Place
    height: int
    width: int
    dtype: np.dtype
    lifted: bool
    """Values become physical ones (``value * scale + offset``), NaN where invalid."""
    fill: float | None
    """Value of invalid pixels; None where no value is free to say so, and they are 0."""
    resampling: str

    @property
    def bands(self) -> int:
        """Number of bands."""
        return int(self.source.sizes["band"])

    def select(self, positions: list[int]) -> "DateReader":
        """Return a reader of the bands at `positions`."""
        names = [str(name) for name in self.source.coords["band"].values]
        return replace(
            self,
            source=select_bands(self.source, [names[i] for i in positions]),
            token=f"{self.token}[{','.join(map(str, positions))}]",
        )

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Read a window: (bands, rows, columns), the fill value where the date holds no data."""
        out = np.full((self.bands, rows.stop - rows.start, columns.stop - columns.start), self._empty)
        for down, across, taken in self._windows(rows, columns):
            part = self.source.isel(y=taken[0], x=taken[1]).compute(scheduler="synchronous")
            valid = valid_mask(part).values
            values = physical(part).values if self.lifted else part.values
            inside = (slice(None), _within(down, rows), _within(across, columns))
            out[inside] = self._resampled(values, valid, (down, taken[0]), (across, taken[1]))
        return out

    def valid(self, rows: slice, columns: slice) -> np.ndarray:
        """Read where the date holds data, bool (rows, columns); pixels only where their values decide."""
        out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        for down, across, taken in self._windows(rows, columns):
            part = valid_mask(self.source.isel(y=taken[0], x=taken[1]))
            valid = part.compute(scheduler="synchronous").values
            row, column, inside = self._nearest(down, across)
            seen = inside & valid[_from(row, taken[0]), _from(column, taken[1])]
            out[_within(down, rows), _within(across, columns)] = seen
        return out

    @property
    def _empty(self) -> np.generic:
        return self.dtype.type(empty_value(self.dtype) if self.fill is None else self.fill)

    def _windows(self, rows: slice, columns: slice) -> Iterator[tuple[slice, slice, tuple[slice, slice]]]:
        """Yield windows of the output that hold data, and what each needs of the source."""
        if rows.start == rows.stop or columns.start == columns.stop:
            return
        if isinstance(self.place, AlongAxes):
            near = self._takes_nearest
            taken = _taken(self.place.rows, rows, near=near), _taken(self.place.columns, columns, near=near)
            yield rows, columns, taken
            return
        for top in range(rows.start, rows.stop, _SIDE):
            for left in range(columns.start, columns.stop, _SIDE):
                down = slice(top, min(top + _SIDE, rows.stop))
                across = slice(left, min(left + _SIDE, columns.stop))
                needed = _needed(self.place, down, across)
                if needed is not None:
                    yield down, across, needed

    @property
    def _takes_nearest(self) -> bool:
        return self.resampling == "nearest" or (isinstance(self.place, AlongAxes) and self.place.whole)

    def _nearest(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Source row and column under the centre of each pixel of a window, and whether it lies inside.

        Arrays that broadcast to (rows, columns).
        """
        if isinstance(self.place, AlongAxes):
            down, across = self.place.rows, self.place.columns
            inside = _inside(down, rows)[:, None] & _inside(across, columns)
            return down.nearest(rows)[:, None], across.nearest(columns)[None], inside
        row, column = (np.floor(centres + 0.5) for centres in self.place.at(rows, columns))
        height, width = self.place.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return row.astype(int), column.astype(int), inside

    def _resampled(
        self, values: np.ndarray, valid: np.ndarray, rows: tuple[slice, slice], columns: tuple[slice, slice]
    ) -> np.ndarray:
        """Put source pixels (bands, rows, columns), of the window of the second slices, onto the output."""
        down, across = rows[0], columns[0]
        row, column, inside = self._nearest(down, across)
        row, column = _from(row, rows[1]), _from(column, columns[1])
        seen = inside & valid[row, column]
        how: dict[str, Any] = {"fill": self._empty.item(), "reserved": self.fill is not None}
        if self._takes_nearest:
            return np.where(seen, values[:, row, column], self._empty)
        if isinstance(self.place, AlongAxes):
            axes = (self.place.rows, down), (self.place.columns, across)
            planes = [bilinear(plane, valid, *axes, **how) for plane in values]
            return np.where(seen, np.stack(planes), self._empty)
        at, origin = self.place.at(down, across), (rows[1].start, columns[1].start)
        return scattered(values, valid, origin, at, self.place.grown, seen, **how)


def _taken(axis: Axis, outputs: slice, *, near: bool) -> slice:
    """Source pixels that outputs depend on: the nearest alone, or all that count."""
    if not near:
        return axis.needed(outputs)
    index = axis.nearest(outputs)
    return slice(int(index.min()), int(index.max()) + 1)


def _needed(place: Across, rows: slice, columns: slice) -> tuple[slice, slice] | None:
    """Source pixels that a window depends on; None where it lies beyond the source."""
    centres = place.at(rows, columns)
    near = np.ones(centres[0].shape, bool)
    for at, length, grown in zip(centres, place.shape, place.grown, strict=True):
        near &= (at > -1 - grown) & (at < length + grown)
    if not near.any():
        return None
    found = []
    for at, length, grown in zip(centres, place.shape, place.grown, strict=True):
        first = int(np.clip(np.floor(at[near].min() - grown), 0, length - 1))
        last = int(np.clip(np.ceil(at[near].max() + grown), 0, length - 1))
        found.append(slice(first, last + 1))
    return found[0], found[1]


def _inside(axis: Axis, outputs: slice) -> np.ndarray:
    at = np.floor(axis.centres(outputs) + 0.5)
    return (at >= 0) & (at < axis.length)


def _from(index: np.ndarray, taken: slice) -> np.ndarray:
    """Positions in a window of the source; those beyond it, which are not inside, are clipped."""
    return np.clip(index - taken.start, 0, taken.stop - taken.start - 1)


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)
