"""A class map on disk, read window by window as class values on its own grid."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags

from geodl.assess.confusion import IGNORE
from geodl.errors import SceneError
from geodl.scene.grid import Grid
from geodl.scene.header import read_header
from geodl.scene.safety import GDAL_ERRORS, driver_of, gdal_reason, gdal_watched, local_file, open_raster
from geodl.sidecar import read_sidecar
from geodl.tiles import Window


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """An open class map; for one thread.

    Parameters
    ----------
    path : str
        The file.
    grid : Grid
        Where its pixels lie; without a CRS in pixel coordinates.
    names : mapping of int to str
        Class names by value.
    source : rasterio.io.DatasetReader
        The open file.
    gaps : tuple of int
        Values that mean no data besides the file's nodata value: those whose names say so.
    """

    path: str
    grid: Grid
    names: Mapping[int, str]
    source: Any
    gaps: tuple[int, ...] = ()

    @property
    def geobox(self) -> GeoBox:
        """The grid as labels are read on it."""
        crs = None if self.grid.crs is None else self.grid.crs.to_wkt()
        return GeoBox((self.grid.height, self.grid.width), self.grid.transform, crs)

    def name(self, value: int) -> str:
        """Name of a class, its value where the map carries no names."""
        return self.names.get(value, str(value))

    def read(self, window: Window) -> np.ndarray:
        """Return uint8 values of shape ``(height, width)``; 255 where there is no class.

        Raises
        ------
        SceneError
            The pixels cannot be decoded.
        """
        rows, columns = window.slices
        area = ((rows.start, rows.stop), (columns.start, columns.stop))
        try:
            values = self.source.read(1, window=area)
            known = (values >= 0) & (values < IGNORE) & ~np.isin(values, self.gaps)
            if self.source.nodata is not None:
                known &= values != self.source.nodata
            elif MaskFlags.all_valid not in self.source.mask_flag_enums[0]:
                known &= self.source.read_masks(1, window=area) > 0
        except GDAL_ERRORS as error:
            raise SceneError(
                f"map {self.path}", gdal_reason(error, self.path), "the file is damaged: get it again"
            ) from error
        return np.where(known, values, IGNORE).astype(np.uint8)


@contextmanager
def open_map(
    path: str | Path, names: Mapping[int, str] | None = None, *, allow_sparse: bool = False
) -> Iterator[ClassMap]:
    """Open a raster of one band of class values 0..254; its nodata value, masked pixels and 255 are no class.

    Nor are values named "no data ...": a change map says so where one of its dates is missing.

    Parameters
    ----------
    path : str or Path
        A raster of whole numbers.
    names : mapping, optional
        Class names by value; by default those of the file beside the map, `geodl.sidecar`.
    allow_sparse : bool
        Accept files with missing blocks, which hold no class or 0.

    Raises
    ------
    SceneError
        The file cannot be read, is damaged or incomplete, does not hold whole numbers, or has several bands,
        as images have.
    """
    file = local_file(path)
    read_header(file, allow_sparse=allow_sparse)  # refuses what a writer left unfinished
    named = read_sidecar(file).names if names is None else dict(names)
    with gdal_watched(), open_raster(file, driver_of(file)) as source:
        if np.dtype(source.dtypes[0]).kind not in "iu":
            raise SceneError(f"map {path}", f"holds {source.dtypes[0]} values", "give a map of classes")
        if source.count > 1:
            cause = f"holds {source.count} bands, like an image"
            raise SceneError(f"map {path}", cause, "give a map of classes, which has one band")
        transform = Affine.identity() if source.crs is None else source.transform
        grid = Grid(height=source.height, width=source.width, transform=transform, crs=source.crs)
        gaps = tuple(value for value, name in named.items() if name.lower().startswith("no data"))
        classes = {value: name for value, name in named.items() if value not in gaps}
        yield ClassMap(path=str(path), grid=grid, names=classes, source=source, gaps=gaps)


def windows(height: int, width: int, side: int) -> Iterator[Window]:
    """Squares of at most `side` pixels that cover a raster, row by row.

    >>> [(w.row, w.col, w.height, w.width) for w in windows(3, 5, side=4)]
    [(0, 0, 3, 4), (0, 4, 3, 1)]
    """
    for row in range(0, height, side):
        for column in range(0, width, side):
            yield Window(row, column, min(side, height - row), min(side, width - column))
