"""Pixels of a scene from top to bottom: each row decoded once, the scene continued by reflection."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import xarray as xr

from geodl.scene import valid_mask
from geodl.tiles import Window, reflect

SLAB = 256  # rows read at a time, at least
_TALLEST = 2048  # rows; files whose strips are taller are decoded again for every slab


class RowReader:
    """Cuts windows out of some columns of a scene; asked from top to bottom, it decodes no row twice.

    Whole slabs are read, of the height of the file's tiles or strips, and kept for as long as the rows
    that are loaded touch them.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x).
    first, stop : int
        Columns; they may lie beyond the scene, which is then continued by reflection.
    """

    def __init__(self, scene: xr.DataArray, first: int, stop: int) -> None:
        self._columns = reflect(first, stop, scene.sizes["x"])
        self._first, self._scene, self._step = first, scene, slab_rows(scene)
        self._height = scene.sizes["y"]
        self._slabs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def load(self, first: int, stop: int) -> None:
        """Read rows ``first..stop``, which may lie beyond the scene, and forget the others."""
        rows = reflect(first, stop, self._height)
        numbers = range(rows.min() // self._step, rows.max() // self._step + 1)
        kept = {number: self._slabs[number] for number in numbers if number in self._slabs}
        self._slabs = kept  # before more is read: the memory of the others is free by then
        for number in numbers:
            if number not in kept:
                kept[number] = self._read(number)

    def cut(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return a window within the rows that are loaded: a view, where it lies in a single slab.

        Returns
        -------
        values : numpy.ndarray
            Digital numbers, shape (bands, height, width).
        valid : numpy.ndarray
            bool, shape (height, width).
        """
        rows = reflect(window.row, window.row_stop, self._height)
        across = slice(window.col - self._first, window.col_stop - self._first)
        values, masks = [], []
        for number, down in _runs(rows, self._step):
            slab, mask = self._slabs[number]
            values.append(slab[:, down, across])
            masks.append(mask[down, across])
        if len(values) == 1 and values[0].strides[1] > 0:
            return values[0], masks[0]
        return np.concatenate(values, axis=1), np.concatenate(masks)

    def _read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        top = number * self._step
        left, right = int(self._columns.min()), int(self._columns.max()) + 1
        rows = slice(top, min(top + self._step, self._height))
        part = self._scene.isel(y=rows, x=slice(left, right))
        # In this thread: the block is the unit of parallelism, and a nested scheduler would oversubscribe
        # the machine. The mask is taken from the pixels read: asked for lazily, both would be read twice.
        part = part.compute(scheduler="synchronous")
        columns = self._columns - left
        return _gathered(part.values, columns), _gathered(valid_mask(part).values, columns)


def _gathered(array: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Take columns, which run forward but for reflections at either end."""
    if len(columns) == array.shape[-1] and columns[0] == 0:
        return array
    out = np.empty((*array.shape[:-1], len(columns)), array.dtype)
    for at, (_, run) in zip(_starts(columns), _runs(columns, array.shape[-1]), strict=True):
        part = array[..., run]
        out[..., at : at + part.shape[-1]] = part
    return out


def _runs(index: np.ndarray, step: int) -> Iterator[tuple[int, slice]]:
    """Yield the pieces of `index` that run forward or backward within a slab of `step`: slab, and slice."""
    starts = _starts(index, step)
    for start, stop in pairwise([*starts, len(index)]):
        number = int(index[start]) // step
        first, last = int(index[start]) - number * step, int(index[stop - 1]) - number * step
        if first <= last:
            yield number, slice(first, last + 1)
        else:
            yield number, slice(first, last - 1 if last else None, -1)


def _starts(index: np.ndarray, step: int | None = None) -> list[int]:
    """Positions at which a piece begins that runs forward or backward, by one, within a slab of `step`."""
    moves = np.diff(index)
    breaks = np.abs(moves) != 1
    breaks[1:] |= moves[1:] != moves[:-1]
    if step is not None:
        breaks |= np.diff(index // step) != 0
    return [0, *(np.flatnonzero(breaks) + 1).tolist()]


def slab_rows(scene: xr.DataArray) -> int:
    """Rows that are read together: whole tiles or strips of the file, at least `SLAB`."""
    rows = min(scene.encoding.get("block_rows") or SLAB, _TALLEST)
    return rows if rows > SLAB else rows * (SLAB // rows)
