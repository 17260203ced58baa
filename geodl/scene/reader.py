"""Windows of pixels out of files: what Dask calls when a piece of a scene is computed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geodl.errors import SceneError
from geodl.scene.safety import gdal_reason, gdal_watched, open_raster, refuse_damage


@dataclass(frozen=True, kw_only=True)
class Target:
    """The grid that a file is resampled onto; same CRS as the file, other pixels.

    `crs` is WKT. Plain values, so that readers travel to Dask workers.
    """

    height: int
    width: int
    transform: tuple[float, float, float, float, float, float]
    crs: str


@dataclass(frozen=True, kw_only=True)
class FileBands:
    """Some bands of one file, and how to get them onto the grid of the scene."""

    path: str
    driver: str
    indexes: tuple[int, ...]
    bytes: int
    mtime_ns: int
    target: Target | None = None
    nodata: tuple[float | None, ...] = ()
    transform: tuple[float, float, float, float, float, float] | None = None
    """Where the file lies; with `target` only."""

    @contextmanager
    def opened(self, rows: slice, columns: slice) -> Iterator[DatasetReader]:
        """The dataset, for one thread; errors name the file and the window.

        A handle is never shared: eight threads on one handle were seen to return wrong pixels.
        """
        what = f"scene {self.path}"
        where = f"rows {rows.start}-{rows.stop}, columns {columns.start}-{columns.stop}"
        self._refuse_changed()
        with gdal_watched() as warnings, open_raster(self.path, self.driver) as dataset:
            try:
                yield dataset
            except RasterioError as error:
                cause = f"its pixels cannot be read at {where} ({gdal_reason(error, self.path)})"
                raise SceneError(what, cause, "get the file again") from error
            refuse_damage(self.path, warnings)

    def _refuse_changed(self) -> None:
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise SceneError(
                f"scene {self.path}", f"cannot be read ({error.strerror})", "put the file back"
            ) from error
        if (status.st_size, status.st_mtime_ns) != (self.bytes, self.mtime_ns):
            raise SceneError(f"scene {self.path}", "was changed after it was opened", "open it again")

    def read(self, indexes: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        """(len(indexes), rows, columns) in the dtype of the file; `indexes` are GDAL's."""
        window = Window.from_slices(rows, columns)  # type: ignore[no-untyped-call]
        with self.opened(rows, columns) as dataset:
            if self.target is None:
                return dataset.read(list(indexes), window=window)
            return np.stack([self._warped(dataset, index, window) for index in indexes])

    def _warped(self, dataset: DatasetReader, index: int, window: Window) -> np.ndarray:
        assert self.target is not None
        nodata = self.nodata[index - 1] if self.nodata else None
        if nodata is None and np.dtype(dataset.dtypes[index - 1]).kind == "f":
            nodata = float("nan")
        crs = CRS.from_wkt(self.target.crs)
        with WarpedVRT(
            dataset,
            src_crs=crs,
            crs=crs,
            transform=Affine(*self.target.transform),
            width=self.target.width,
            height=self.target.height,
            resampling=Resampling.bilinear,
            src_nodata=nodata,
            nodata=nodata,
            tolerance=1e-6,
            UNIFIED_SRC_NODATA="NO",
        ) as warped:
            return warped.read(index, window=window)


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
        (bands, rows, columns), squeezed = _slices(key, self.shape)
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
    dtype: np.dtype = np.dtype(bool)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.height, self.width

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        (rows, columns), squeezed = _slices(key, self.shape)
        valid = np.ones((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        for file, kind in self.masks:
            if valid.size:
                valid &= _read_mask(file, kind, rows, columns)
        return valid[squeezed]


def _read_mask(file: FileBands, kind: str, rows: slice, columns: slice) -> np.ndarray:
    with file.opened(rows, columns) as dataset:
        take_rows, take_columns = np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
        row_at, column_at = _nearest(file, take_rows[:, None], take_columns[None, :])
        row_at, column_at = np.clip(row_at, 0, dataset.height - 1), np.clip(column_at, 0, dataset.width - 1)
        row0, column0 = int(row_at.min()), int(column_at.min())
        window = Window.from_slices(  # type: ignore[no-untyped-call]
            slice(row0, int(row_at.max()) + 1), slice(column0, int(column_at.max()) + 1)
        )
        if kind == "band":
            seen = dataset.read(file.indexes[0], window=window) != 0
        else:
            seen = (dataset.read_masks(list(file.indexes), window=window) != 0).all(axis=0)
        return seen[row_at - row0, column_at - column0]


def _nearest(file: FileBands, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel of the file under the centre of each pixel of the scene."""
    if file.target is None or file.transform is None:
        return rows, columns
    across = ~Affine(*file.transform) * Affine(*file.target.transform)
    x, y = across * (columns + 0.5, rows + 0.5)
    return np.floor(y).astype(int), np.floor(x).astype(int)


def _slices(
    key: tuple[slice | int, ...], shape: tuple[int, ...]
) -> tuple[list[slice], tuple[slice | int, ...]]:
    """Plain slices for each dimension, and the index that drops those asked for by number.

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
