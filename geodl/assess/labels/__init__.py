"""Labels from any raster or vector file, as class codes on a given grid, window by window.

Rasters hold class values or colours that mean classes; vector files hold polygons, lines or points with
an attribute. Whatever their CRS and pixel size, `open_labels` reads them on the grid of a scene or a
map: rasters by nearest neighbour, polygons where they cover the pixel's centre, lines and points made
as wide as they are on the ground.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from odc.geo.geobox import GeoBox

from geodl.assess.labels.codes import IGNORE, FeatureLabels, Labels, Mapped
from geodl.assess.labels.edges import EdgedLabels
from geodl.assess.labels.raster import RasterLabels
from geodl.assess.labels.vector import VECTOR_SUFFIXES, VectorLabels
from geodl.scene.safety import driver_of, gdal_watched, local_file, open_raster

__all__ = [
    "IGNORE",
    "VECTOR_SUFFIXES",
    "EdgedLabels",
    "FeatureLabels",
    "Labels",
    "Mapped",
    "VectorLabels",
    "open_labels",
]


@contextmanager
def open_labels(
    path: str | Path,
    grid: GeoBox,
    *,
    mapping: Mapped | None = None,
    attribute: str | None = None,
    background: int | None = None,
    width: float | str | None = None,
    radius: float | None = None,
) -> Iterator[FeatureLabels]:
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
        Class code of pixels outside all polygons and lines; by default 255, unknown.
    width : float or str, optional
        Width of lines in metres, or the column that holds it; needed where there are lines.
    radius : float, optional
        Metres around a point that share its class; by default only the pixel that it lies in.

    Raises
    ------
    SceneError
        If the file cannot be read or does not fit the grid.
    """
    path = Path(path)
    if path.suffix.lower() in VECTOR_SUFFIXES:
        yield VectorLabels(
            path,
            grid,
            mapping=mapping,
            attribute=attribute,
            background=background,
            width=width,
            radius=radius,
        )
        return
    name = local_file(path)
    with gdal_watched(), open_raster(name, driver_of(name)) as source:
        yield RasterLabels(path, source, grid, mapping)
