"""Windows of pixels out of files: what Dask calls when a piece of a scene is computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geodl.errors import SceneError
from geodl.scene.nodata import empty_value, equals_nodata, holds
from geodl.scene.resample import Axis, bilinear
from geodl.scene.safety import GDAL_ERRORS, gdal_reason, gdal_watched, open_raster, refuse_damage


@dataclass(frozen=True, kw_only=True)
class FileBands:
    """Some bands of one file, and how to get them onto the grid of the scene.

    Plain values only, so that readers travel to Dask workers.
    """

    path: str
    driver: str
    indexes: tuple[int, ...]
    """GDAL's, from 1."""
    bytes: int
    mtime_ns: int
    axes: tuple[Axis, Axis] | None = None
    """Rows and columns of the scene on those of the file, where its pixels differ."""
    nodata: tuple[float | None, ...] = ()
    """Of every band of the file; used with `axes`."""
    masks: tuple[tuple[tuple[int, ...], str], ...] = ()
    """(band indexes, kind as for `MaskReader`); used with `axes`."""

    @contextmanager
    def opened(self, rows: slice, columns: slice) -> Iterator[DatasetReader]:
        """Open the dataset for one thread; errors name the file and the window.

        A handle is never shared: eight threads on one handle were seen to return wrong pixels.
        """
        what = f"scene {self.path}"
        where = f"rows {rows.start}-{rows.stop}, columns {columns.start}-{columns.stop}"
        self._refuse_changed()
        with gdal_watched() as warnings, open_raster(self.path, self.driver) as dataset:
            try:
                yield dataset
            except GDAL_ERRORS as error:
                cause = f"its pixels cannot be read at {where} ({gdal_reason(error, self.path)})"
                raise SceneError(what, cause, "get the file again") from error
            refuse_damage(self.path, warnings)

    def _refuse_changed(self) -> None:
        try:
            status = Path(self.path).stat()
        except OSError as error:
            raise SceneError(
                f"scene {self.path}", f"cannot be read ({error.strerror})", "put the file back"
            ) from error
        if (status.st_size, status.st_mtime_ns) != (self.bytes, self.mtime_ns):
            raise SceneError(f"scene {self.path}", "was changed after it was opened", "open it again")

    def read(self, indexes: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        """(len(indexes), rows, columns) in the dtype of the file; `indexes` are GDAL's."""
        with self.opened(rows, columns) as dataset:
            if self.axes is None:
                return dataset.read(list(indexes), window=_window(rows, columns))
            return np.stack([self._resampled(dataset, index, rows, columns) for index in indexes])

    def _resampled(self, dataset: DatasetReader, index: int, rows: slice, columns: slice) -> np.ndarray:
        assert self.axes is not None
        down, across = self.axes
        window = _window(down.needed(rows), across.needed(columns))
        values = dataset.read(index, window=window)
        valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
        for bands, kind in self.masks:
            valid &= mask_in(dataset, bands, kind, window)
        nodata = self.nodata[index - 1]
        if nodata is not None:
            valid &= ~equals_nodata(values, nodata)
        reserved = nodata is not None and holds(values.dtype, nodata)
        fill = nodata if nodata is not None and reserved else empty_value(values.dtype)
        return bilinear(values, valid, (down, rows), (across, columns), fill=fill, reserved=reserved)


@dataclass(frozen=True, kw_only=True)
class PixelReader:
    """Array-like (band, y, x) over the bands of one or several files on one grid."""

    files: tuple[FileBands, ...]
    height: int
    width: int
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, rows, columns)."""
        return sum(len(file.indexes) for file in self.files), self.height, self.width

    @property
    def ndim(self) -> int:
        """Three."""
        return 3

    @property
    def together(self) -> tuple[int, ...]:
        """Numbers of bands that are read together: those of each file."""
        return tuple(len(file.indexes) for file in self.files)

    def select(self, positions: list[int]) -> "PixelReader":
        """Return a reader of the bands at `positions`, in that order."""
        every = [(file, index) for file in self.files for index in file.indexes]
        runs: list[FileBands] = []
        for file, index in (every[position] for position in positions):
            one = replace(file, indexes=(index,))
            if runs and replace(runs[-1], indexes=(index,)) == one:
                one = replace(file, indexes=(*runs.pop().indexes, index))
            runs.append(one)
        return replace(self, files=tuple(runs))

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        (bands, rows, columns), squeezed = windows_of(key, self.shape)
        out = np.empty(
            (bands.stop - bands.start, rows.stop - rows.start, columns.stop - columns.start), self.dtype
        )
        start = 0
        for file in self.files:
            first, last = max(bands.start, start), min(bands.stop, start + len(file.indexes))
            if first < last and out.size:
                indexes = file.indexes[first - start : last - start]
                out[first - bands.start : last - bands.start] = file.read(indexes, rows, columns)
            start += len(file.indexes)
        return out[squeezed]


@dataclass(frozen=True, kw_only=True)
class MaskReader:
    """Array-like (y, x) of bool: the explicit masks of some files, all of which must call a pixel valid.

    Each mask is ``(file, kind)``; kinds are ``"mask"`` (internal or .msk) and ``"band"`` (an alpha
    band or the band of a mask file: valid where it is not 0).
    """

    masks: tuple[tuple[FileBands, str], ...]
    height: int
    width: int
    dtype: np.dtype = field(default_factory=lambda: np.dtype(bool))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.height, self.width

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        (rows, columns), squeezed = windows_of(key, self.shape)
        valid = np.ones((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        for file, kind in self.masks:
            if valid.size:
                valid &= _read_mask(file, kind, rows, columns)
        return valid[squeezed]


def _read_mask(file: FileBands, kind: str, rows: slice, columns: slice) -> np.ndarray:
    with file.opened(rows, columns) as dataset:
        if file.axes is None:
            return mask_in(dataset, file.indexes, kind, _window(rows, columns))
        row_at, column_at = file.axes[0].nearest(rows), file.axes[1].nearest(columns)
        top, left = int(row_at.min()), int(column_at.min())
        window = _window(slice(top, int(row_at.max()) + 1), slice(left, int(column_at.max()) + 1))
        return mask_in(dataset, file.indexes, kind, window)[np.ix_(row_at - top, column_at - left)]


def mask_in(dataset: DatasetReader, indexes: tuple[int, ...], kind: str, window: Window) -> np.ndarray:
    """Read an explicit mask (rows, columns): True = valid; kinds as for `MaskReader`."""
    if kind == "band":
        return dataset.read(indexes[0], window=window) != 0
    return (dataset.read_masks(list(indexes), window=window) != 0).all(axis=0)


def _window(rows: slice, columns: slice) -> Window:
    return Window.from_slices(rows, columns)  # type: ignore[no-untyped-call]


def windows_of(
    key: tuple[slice | int, ...], shape: tuple[int, ...]
) -> tuple[list[slice], tuple[slice | int, ...]]:
    """Return plain slices for each dimension, and the index that drops those asked for by number.

    Dask asks with slices of step 1 and, where it pushes a selection down, with integers.
    """
    key = key if isinstance(key, tuple) else (key,)
    key = key + (slice(None),) * (len(shape) - len(key))
    slices: list[slice] = []
    squeezed: list[slice | int] = []
    for item, length in zip(key, shape, strict=True):
        if isinstance(item, slice):
            start, stop, step = item.indices(length)
            if step < 0:
                first, last = (stop + 1, start + 1) if start > stop else (start, start)
                slices.append(slice(first, last))
                squeezed.append(slice(None, None, step))
            else:
                slices.append(slice(start, max(start, stop)))
                squeezed.append(slice(None, None, step))
        else:
            at = int(item) + (length if item < 0 else 0)
            slices.append(slice(at, at + 1))
            squeezed.append(0)
    return slices, tuple(squeezed)
