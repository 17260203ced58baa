"""Lines and points as areas: as wide as they are on the ground, in metres.

Distances are measured in Lambert's azimuthal equal-area projection around the middle of the grid
(Snyder 1987, "Map projections: a working manual", doi:10.3133/pp1395, chapter 24), whatever the CRS of
the file: degrees are no metres, and those of web maps are longer than real ones away from the equator.
Within 100 km of the middle its distances are right to one in ten thousand.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geodl.errors import SceneError

if TYPE_CHECKING:
    import geopandas

_LINES = ("LineString", "LinearRing")


def widen(
    path: Path,
    frame: "geopandas.GeoDataFrame",
    grid: GeoBox,
    *,
    width: float | str | None,
    radius: float | None,
) -> "geopandas.GeoDataFrame":
    """Turn lines into bands and points into discs; polygons stay as they are.

    Parameters
    ----------
    path : Path
        For messages.
    frame : geopandas.GeoDataFrame
        Simple features with a CRS, unless the grid has none.
    grid : odc.geo.geobox.GeoBox
        Metres are measured around its middle.
    width : float or str, optional
        Width of a line from side to side in metres, or the column that holds it.
    radius : float, optional
        Of the disc around a point in metres; without it points stay points. The pixel that a point lies
        in belongs to it however small the disc.

    Raises
    ------
    SceneError
        There are lines without a width, or metres are asked for where the grid has no CRS.
    """
    lines, points = frame.geom_type.isin(_LINES), frame.geom_type == "Point"
    wide = lines if radius is None else lines | points
    if not wide.any():
        return frame
    distances = np.full(len(frame), np.nan if radius is None else radius)
    if lines.any():
        distances[lines] = _widths(path, frame[lines], width) / 2
    if grid.crs is None:
        raise SceneError(
            f"labels {path}",
            "lines and discs are as wide as metres on the ground, but the scene has no CRS",
            "georeference the scene, or draw polygons",
        )
    metric = frame.geometry[wide].to_crs(_around(grid))
    areas = metric.buffer(distances[wide.to_numpy()])
    geometry = frame.geometry.copy()
    geometry[wide] = areas.to_crs(frame.crs)
    widened = frame.set_geometry(geometry)
    if radius is None or not points.any():
        return widened
    # A disc smaller than a pixel may hold no pixel's centre: the point itself marks the pixel it lies in.
    return _interleaved(widened, frame[points])


def _interleaved(
    widened: "geopandas.GeoDataFrame", points: "geopandas.GeoDataFrame"
) -> "geopandas.GeoDataFrame":
    """Each point right after its disc, so that the order of the file still decides."""
    import pandas

    both = pandas.concat([widened, points]).sort_index(kind="stable")
    return both.reset_index(drop=True)


def _widths(path: Path, lines: "geopandas.GeoDataFrame", width: float | str | None) -> np.ndarray:
    """Width of each line in metres."""
    if width is None:
        raise SceneError(
            f"labels {path}",
            f"it holds {len(lines)} lines, and a line covers no ground",
            "say how wide they are in metres (`width` of the source in a recipe: a number or a column)",
        )
    if not isinstance(width, str):
        return np.full(len(lines), float(width))
    if width not in lines.columns:
        columns = ", ".join(str(c) for c in lines.columns if c != "geometry")
        raise SceneError(f"labels {path}", f"no attribute {width!r}; it has {columns}", "name one of these")
    import pandas

    widths = pandas.to_numeric(lines[width], errors="coerce").to_numpy(dtype=float)
    wrong = int(np.count_nonzero(~(widths > 0)))
    if wrong:
        raise SceneError(
            f"labels {path}",
            f"{wrong} of {len(lines)} lines have no width above 0 in {width!r}",
            "fill them in, or give one width in metres for all",
        )
    return widths


def _around(grid: GeoBox) -> str:
    """Equal-area projection in metres around the middle of a grid."""
    assert grid.crs is not None
    middle = grid.affine @ (grid.shape[1] / 2, grid.shape[0] / 2)
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(*middle)
    return f"+proj=laea +lon_0={longitude:.6f} +lat_0={latitude:.6f} +datum=WGS84 +units=m +no_defs"
