"""Labels from any raster or vector file, as class codes on a given grid, window by window.

Three kinds of file hold labels: rasters of class values, images whose colours mean classes, and
polygons with an attribute. Whatever their CRS and pixel size, `open_labels` reads them on the grid
of a scene or a map: rasters by nearest neighbour, polygons where they cover the pixel's centre.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from geodl.errors import SceneError
from geodl.scene.safety import driver_of, gdal_watched, local_file, open_raster
from geodl.tiles import Window

if TYPE_CHECKING:
    import geopandas

IGNORE = 255

VECTOR_SUFFIXES = {".gpkg", ".geojson", ".json", ".shp", ".fgb"}

Mapped = Mapping[int | str, int]
"""What a label file holds (a value, a colour ``#rrggbb``, an attribute) -> class code 0..254."""


class Labels(Protocol):
    """Something that reads class codes on a grid; not to be shared between threads."""

    def read(self, window: Window) -> np.ndarray:
        """Return uint8 codes of shape ``(height, width)``; 255 where nothing is known."""
        ...


@contextmanager
def open_labels(
    path: str | Path,
    grid: GeoBox,
    *,
    mapping: Mapped | None = None,
    attribute: str | None = None,
    background: int | None = None,
) -> Iterator[Labels]:
    """Open a label file for reading on `grid`.

    Parameters
    ----------
    path : str or Path
        A raster, or a vector file (``.gpkg``, ``.geojson``, ``.json``, ``.shp``, ``.fgb``).
    grid : odc.geo.geobox.GeoBox
        Where the labels are wanted. Without a CRS (photographs), a raster must have its size and no
        CRS either, and polygons must be in pixel coordinates.
    mapping : mapping, optional
        From what the file holds to class codes; everything else becomes 255. By default the values
        0..254 are the codes.
    attribute : str, optional
        Column of a vector file that holds the class. Without it every feature has the value 1.
    background : int, optional
        Class code of pixels outside all polygons; by default 255, unknown.

    Raises
    ------
    SceneError
        If the file cannot be read or does not fit the grid.
    """
    path = Path(path)
    if path.suffix.lower() in VECTOR_SUFFIXES:
        yield _VectorLabels(path, grid, mapping, attribute, IGNORE if background is None else background)
        return
    name = local_file(path)
    with gdal_watched(), open_raster(name, driver_of(name)) as source:
        yield _RasterLabels(path, source, grid, mapping)


class _RasterLabels:
    """Class values, or colours, of a raster warped to the grid by nearest neighbour."""

    def __init__(self, path: Path, source: Any, grid: GeoBox, mapping: Mapped | None) -> None:
        self._path = path
        self._warped = _on_grid(path, source, grid)
        self._palette: np.ndarray | None = None
        coloured = mapping is not None and any(isinstance(key, str) for key in mapping)
        self._bands = [1]
        if coloured and source.count >= 3:
            self._bands = [1, 2, 3]
        elif coloured:
            self._palette = _palette(path, source)
        elif source.count >= 3:
            raise SceneError(
                f"labels {path}",
                f"it has {source.count} bands: classes seem to be given as colours",
                "say which colour is which class (`from` in a recipe, --mapping '#3c1098=1,...')",
            )
        self._table = None if mapping is None else _lookup(mapping)

    def read(self, window: Window) -> np.ndarray:
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
        if self._table is None:
            known = np.isfinite(plane) & (plane >= 0) & (plane < IGNORE) & (plane == np.floor(plane))
            return np.where(known, plane, IGNORE).astype(np.uint8)
        return _recode(plane, *self._table)


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


def _palette(path: Path, source: Any) -> np.ndarray:
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


def _lookup(mapping: Mapped) -> tuple[np.ndarray, np.ndarray]:
    """Sorted keys (colours packed into 24 bits) and their codes."""
    numbers = {
        float(int(key[1:], 16)) if isinstance(key, str) else float(key): code
        for key, code in mapping.items()
        if not isinstance(key, str) or key.startswith("#")
    }
    keys = sorted(numbers)
    return np.array(keys), np.array([numbers[key] for key in keys], dtype=np.uint8)


def _recode(values: np.ndarray, keys: np.ndarray, codes: np.ndarray) -> np.ndarray:
    if not len(keys):
        return np.full(values.shape, IGNORE, dtype=np.uint8)
    place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[place] == values, codes[place], np.uint8(IGNORE))


class _VectorLabels:
    """Polygons rasterized on the grid; where they overlap the later one in the file wins."""

    def __init__(
        self, path: Path, grid: GeoBox, mapping: Mapped | None, attribute: str | None, background: int
    ) -> None:
        frame = _read_polygons(path, grid, attribute)
        values = [1] * len(frame) if attribute is None else frame[attribute].tolist()
        self._codes = np.array([_code(value, mapping) for value in values], dtype=np.uint8)
        self._shapes = frame.geometry
        self._grid = grid
        self._background = background

    def read(self, window: Window) -> np.ndarray:
        part = self._grid[window.slices]
        extent = part.extent.geom  # also right for rotated grids
        near = np.sort(self._shapes.sindex.query(extent, predicate="intersects"))
        if not len(near):
            return np.full((window.height, window.width), self._background, dtype=np.uint8)
        return rasterize(
            zip(self._shapes.iloc[near], self._codes[near].tolist(), strict=True),
            out_shape=(window.height, window.width),
            fill=self._background,
            transform=part.affine,
            dtype="uint8",
        )


def _read_polygons(path: Path, grid: GeoBox, attribute: str | None) -> "geopandas.GeoDataFrame":
    import geopandas
    from pyogrio.errors import DataSourceError

    try:
        frame = geopandas.read_file(path, engine="pyogrio")
    except (DataSourceError, ValueError) as error:
        raise SceneError(f"labels {path}", str(error), "give a readable vector file") from error
    if attribute is not None and attribute not in frame.columns:
        columns = ", ".join(str(c) for c in frame.columns if c != "geometry")
        raise SceneError(
            f"labels {path}", f"no attribute {attribute!r}; it has {columns}", "name one of these"
        )
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())]
    if (frame.crs is None) != (grid.crs is None):
        without = "labels" if frame.crs is None else "scene"
        raise SceneError(f"labels {path}", f"the {without} has no CRS", "georeference both or neither")
    return frame if grid.crs is None else frame.to_crs(grid.crs.to_wkt())


def _code(value: Any, mapping: Mapped | None) -> int:
    """Class code of an attribute value; numbers match whatever their type (3, 3.0, "3")."""
    if (isinstance(value, str) and value.strip().lstrip("-").isdigit()) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if mapping is not None:
        return mapping.get(value, mapping.get(str(value), IGNORE))
    return value if isinstance(value, int) and 0 <= value < IGNORE else IGNORE
