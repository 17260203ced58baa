"""Class values, or colours, of a raster warped to a grid by nearest neighbour."""

from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from geodl.assess.labels.codes import IGNORE, Mapped, lookup, recode
from geodl.errors import SceneError
from geodl.tiles import Window


class RasterPlane:
    """A label raster on a grid as one number per pixel: a value, or a colour packed into 24 bits.

    Parameters
    ----------
    path : Path
        For messages.
    source : rasterio.DatasetReader
        The open raster.
    grid : odc.geo.geobox.GeoBox
        Where the labels are wanted.
    coloured : bool
        Read colours rather than values: of three bands, or of a palette.
    """

    def __init__(self, path: Path, source: Any, grid: GeoBox, *, coloured: bool) -> None:
        self._path = path
        self._warped = _on_grid(path, source, grid)
        self._palette = palette_of(path, source) if coloured and source.count < 3 else None
        self._bands = [1, 2, 3] if coloured and source.count >= 3 else [1]

    def read(self, window: Window) -> np.ndarray:
        """Return float64 of shape ``(height, width)``; NaN where the raster holds nothing."""
        area = RasterWindow(window.col, window.row, window.width, window.height)
        try:
            values = self._warped.read(self._bands, window=area).astype(np.float64)  # (1 or 3, y, x)
        except RasterioError as error:
            raise SceneError(f"labels {self._path}", str(error), "the file is damaged") from error
        plane = values[0]
        if len(self._bands) == 3:
            plane = values[0] * 65536 + values[1] * 256 + values[2]
        if self._palette is not None:
            inside = np.isfinite(plane) & (plane >= 0) & (plane <= 255)
            plane = np.where(inside, self._palette[np.where(inside, plane, 0).astype(np.intp)], np.nan)
        return plane


class RasterLabels:
    """Class codes of a raster on a grid."""

    def __init__(self, path: Path, source: Any, grid: GeoBox, mapping: Mapped | None) -> None:
        coloured = mapping is not None and any(isinstance(key, str) for key in mapping)
        self._plane = RasterPlane(path, source, grid, coloured=coloured)
        if not coloured and source.count >= 3:
            raise SceneError(
                f"labels {path}",
                f"it has {source.count} bands: classes seem to be given as colours",
                "say which colour is which class (`from` in a recipe, --mapping '#3c1098=1,...')",
            )
        self._table = None if mapping is None else lookup(mapping)

    def read(self, window: Window) -> np.ndarray:
        """Return uint8 codes of shape ``(height, width)``; 255 where nothing is known."""
        plane = self._plane.read(window)
        if self._table is None:
            known = np.isfinite(plane) & (plane >= 0) & (plane < IGNORE) & (plane == np.floor(plane))
            return np.where(known, plane, IGNORE).astype(np.uint8)
        return recode(plane, *self._table)

    def features(self, window: Window) -> np.ndarray:
        """Return zeros, int32: a raster does not tell apart what touches."""
        return np.zeros((window.height, window.width), dtype=np.int32)


def _on_grid(path: Path, source: Any, grid: GeoBox) -> Any:
    """`source` itself where it lies pixel on pixel, otherwise a view of it warped to the grid."""
    if source.crs is None:
        if source.shape != tuple(grid.shape):
            raise SceneError(
                f"labels {path}",
                f"it has no CRS and {source.height} x {source.width} pixels, the scene has "
                f"{grid.shape[0]} x {grid.shape[1]}",
                "give labels that are georeferenced or have the scene's size",
            )
        return source
    if grid.crs is None:
        raise SceneError(
            f"labels {path}", "they have a CRS but the scene has none", "georeference the scene first"
        )
    # NaN marks what lies outside; the whole view is float64, which holds every label value exactly.
    # Zero tolerance is not understood by WarpedVRT; 0.01 pixels moves a border by less than a hundredth.
    return WarpedVRT(
        source,
        crs=grid.crs.to_wkt(),
        transform=grid.affine,
        width=grid.shape[1],
        height=grid.shape[0],
        resampling=Resampling.nearest,
        src_nodata=source.nodata,
        nodata=np.nan,
        dtype="float64",
        tolerance=0.01,
    )


def palette_of(path: Path, source: Any) -> np.ndarray:
    """Packed colour of each value of a palette image; float64, shape ``(256,)``, NaN where none."""
    try:
        table = source.colormap(1)
    except ValueError as error:
        raise SceneError(
            f"labels {path}",
            "classes are given as colours, but it has one band and no palette",
            "give class values instead of colours in `from`",
        ) from error
    packed = np.full(256, np.nan)
    for value, (red, green, blue, *_) in table.items():
        packed[value] = red * 65536 + green * 256 + blue
    return packed
