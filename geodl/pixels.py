"""Pixels of a scene from top to bottom: each row decoded once, the scene continued by reflection."""

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
        columns = reflect(first, stop, scene.sizes["x"])
        self._left, self._right = int(columns.min()), int(columns.max()) + 1
        self._scene, self._step = scene, slab_rows(scene)
        self._height, self._width = scene.sizes["y"], scene.sizes["x"]
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
        """Copy a window within the rows that are loaded.

        Returns
        -------
        values : numpy.ndarray
            Digital numbers, shape (bands, height, width).
        valid : numpy.ndarray
            bool, shape (height, width).
        """
        rows = reflect(window.row, window.row_stop, self._height)
        columns = reflect(window.col, window.col_stop, self._width) - self._left
        values = np.empty((self._scene.sizes["band"], len(rows), len(columns)), self._scene.dtype)
        valid = np.empty((len(rows), len(columns)), dtype=bool)
        for number in np.unique(rows // self._step):
            slab, mask = self._slabs[number]
            to = np.flatnonzero(rows // self._step == number)
            at = rows[to] - number * self._step
            if all(i[-1] - i[0] == len(i) - 1 for i in (to, at, columns)):  # not reflected
                down, across = slice(at[0], at[-1] + 1), slice(columns[0], columns[-1] + 1)
                values[:, to[0] : to[-1] + 1] = slab[:, down, across]
                valid[to[0] : to[-1] + 1] = mask[down, across]
            else:
                values[:, to] = slab[:, at[:, None], columns]
                valid[to] = mask[at[:, None], columns]
        return values, valid

    def _read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        top = number * self._step
        rows = slice(top, min(top + self._step, self._height))
        part = self._scene.isel(y=rows, x=slice(self._left, self._right))
        # In this thread: the block is the unit of parallelism, and a nested scheduler would oversubscribe
        # the machine. The mask is taken from the pixels read: asked for lazily, both would be read twice.
        part = part.compute(scheduler="synchronous")
        return part.values, valid_mask(part).values


def slab_rows(scene: xr.DataArray) -> int:
    """Rows that are read together: whole tiles or strips of the file, at least `SLAB`."""
    rows = min(scene.encoding.get("block_rows") or SLAB, _TALLEST)
    return rows if rows > SLAB else rows * (SLAB // rows)
