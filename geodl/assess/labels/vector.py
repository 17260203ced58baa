"""Polygons, lines and points rasterized on a grid; where they overlap the later one in the file wins."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.features import rasterize

from geodl.assess.labels.codes import IGNORE, Mapped, code_of
from geodl.assess.labels.shapes import widen
from geodl.errors import SceneError
from geodl.scene.grid import Grid, pixel_size_metres
from geodl.tiles import Window

if TYPE_CHECKING:
    import geopandas

Box = tuple[float, float, float, float]

VECTOR_SUFFIXES = {".gpkg", ".geojson", ".json", ".shp", ".fgb"}


class VectorLabels:
    """Features of a vector file on a grid; parameters as for `open_labels`."""

    def __init__(
        self,
        path: Path,
        grid: GeoBox,
        *,
        mapping: Mapped | None = None,
        attribute: str | None = None,
        background: int | None = None,
        width: float | str | None = None,
        radius: float | None = None,
    ) -> None:
        about = _about(path)
        if background is not None and "Point" in str(about["geometry_type"]):
            raise SceneError(
                f"labels {path}",
                "it holds points, which say nothing of the ground between them",
                "leave `background` out",
            )
        margin = _reach(path, about, width, radius)
        frame = read_features(path, attribute, box=_box_around(grid, about["crs"], margin))
        frame = on_grid(path, frame, grid, width=width, radius=radius)
        values = [1] * len(frame) if attribute is None else frame[attribute].tolist()
        self._codes = np.array([code_of(value, mapping) for value in values], dtype=np.uint8)
        self._shapes = frame.geometry
        self._grid = grid
        self._background = IGNORE if background is None else background

    def read(self, window: Window) -> np.ndarray:
        """Return uint8 codes of shape ``(height, width)``; 255 where nothing is known."""
        return self._rasterized(window, self._codes, self._background, "uint8")

    def features(self, window: Window) -> np.ndarray:
        """Return int32 numbers of the features of shape ``(height, width)``, from 1; 0 outside all."""
        return self._rasterized(window, np.arange(1, len(self._codes) + 1), 0, "int32")

    def _rasterized(self, window: Window, values: np.ndarray, fill: int, dtype: str) -> np.ndarray:
        part = self._grid[window.slices]
        extent = part.extent.geom  # also right for rotated grids
        near = np.sort(self._shapes.sindex.query(extent, predicate="intersects"))
        if not len(near):
            return np.full((window.height, window.width), fill, dtype=dtype)
        return rasterize(
            zip(self._shapes.iloc[near], values[near].tolist(), strict=True),
            out_shape=(window.height, window.width),
            fill=fill,
            transform=part.affine,
            dtype=dtype,
        )


def read_features(
    path: Path, attribute: str | None = None, *, box: Box | None = None
) -> "geopandas.GeoDataFrame":
    """Read the features of a vector file that have a geometry, each of one kind, in the order of the file.

    Parameters
    ----------
    path : Path
        The file.
    attribute : str, optional
        A column that must be there.
    box : tuple of float, optional
        Left, bottom, right and top in the CRS of the file: what does not touch it is left out.

    Raises
    ------
    SceneError
        It cannot be read, or has no such attribute.
    """
    import geopandas
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        frame = geopandas.read_file(path, engine="pyogrio", bbox=box, fid_as_index=True)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise SceneError(f"labels {path}", str(error), "give a readable vector file") from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise SceneError(f"labels {path}", "it is a table without geometries", "give the layer of features")
    if attribute is not None and attribute not in frame.columns:
        columns = ", ".join(str(c) for c in frame.columns if c != "geometry")
        raise SceneError(
            f"labels {path}", f"no attribute {attribute!r}; it has {columns}", "name one of these"
        )
    # A spatial index answers in its own order.
    frame = frame.sort_index()[lambda each: ~(each.geometry.is_empty | each.geometry.isna())]
    return frame.explode(ignore_index=True)


def _about(path: Path) -> dict[str, Any]:
    """Geometry type, CRS and columns of the first layer of a file."""
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        return pyogrio.read_info(path)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise SceneError(f"labels {path}", str(error), "give a readable vector file") from error


def _reach(path: Path, about: dict[str, Any], width: float | str | None, radius: float | None) -> float:
    """Metres by which a line or point can reach beyond where it lies."""
    import pandas
    import pyogrio

    if isinstance(width, str) and width in about["fields"]:
        column = pyogrio.read_dataframe(path, columns=[width], read_geometry=False)[width]
        widest = pandas.to_numeric(column, errors="coerce").max()
        width = 0.0 if pandas.isna(widest) else float(widest)
    return max(0.0 if width is None or isinstance(width, str) else width / 2, radius or 0.0)


def _box_around(grid: GeoBox, crs: str | None, margin: float) -> Box | None:
    """Bounds of a grid, `margin` metres wider, in the CRS of a file; None for everything there is."""
    if grid.crs is None or crs is None:
        return None
    affine, (height, width) = grid.affine, grid.shape
    size = pixel_size_metres(
        Grid(height=height, width=width, transform=affine, crs=CRS.from_wkt(grid.crs.to_wkt()))
    )
    # Two pixels more, for what rounding and the curvature between points may cost.
    pixels = 2 + (margin / min(size) if size else 0)
    wider = grid.pad(math.ceil(1.05 * pixels))
    to_file = Transformer.from_crs(grid.crs.to_wkt(), crs, always_xy=True)
    left, bottom, right, top = to_file.transform_bounds(*wider.boundingbox.bbox, densify_pts=101)
    # Not across the 180th meridian, nor beyond the edge of a projection.
    return (
        (left, bottom, right, top) if left < right and np.isfinite([left, bottom, right, top]).all() else None
    )


def on_grid(
    path: Path,
    frame: "geopandas.GeoDataFrame",
    grid: GeoBox,
    *,
    width: float | str | None,
    radius: float | None,
) -> "geopandas.GeoDataFrame":
    """Bring features to the CRS of a grid, lines and points as wide as they are on the ground.

    Raises
    ------
    SceneError
        Only one of file and grid has a CRS, or a width is missing.
    """
    if (frame.crs is None) != (grid.crs is None):
        without = "labels" if frame.crs is None else "scene"
        raise SceneError(f"labels {path}", f"the {without} has no CRS", "georeference both or neither")
    frame = widen(path, frame, grid, width=width, radius=radius)
    return frame if grid.crs is None else frame.to_crs(grid.crs.to_wkt())
