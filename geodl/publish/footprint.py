"""Where a raster lies on the globe: its outline in longitude and latitude, and its box.

As RFC 7946 (https://www.rfc-editor.org/rfc/rfc7946, section 5.2) asks, the western side of a box that crosses
the antimeridian is the larger one.
"""

from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from geodl.publish.antimeridian import split_at_antimeridian
from geodl.publish.cog import RasterGrid

SIDE = 20  # pieces of a side: straight lines of a projection are none on the globe
DIGITS = 7  # of a degree: a centimetre
FLAT = 1e-3  # of the smaller side: points that bend the outline less are left out


def footprint(grid: RasterGrid) -> tuple[dict[str, Any] | None, list[float] | None]:
    """Return the outline of a raster as GeoJSON, and its box.

    Parameters
    ----------
    grid : RasterGrid
        Where the pixels lie.

    Returns
    -------
    geometry : dict or None
        Polygon or MultiPolygon, longitude and latitude in degrees (WGS84); None where the raster has no
        place on the earth.
    bbox : list of float or None
        (west, south, east, north) in degrees; west is larger than east across the antimeridian.
    """
    if grid.crs is None:
        return None, None
    steps = np.linspace(0, 1, SIDE + 1)[:-1]
    ones = np.ones(SIDE)
    columns = np.concatenate([steps, ones, 1 - steps, 0 * ones]) * grid.width
    rows = np.concatenate([0 * ones, steps, ones, 1 - steps]) * grid.height
    corners = np.array([grid.transform @ pixel for pixel in zip(columns, rows, strict=True)])
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), "OGC:CRS84", always_xy=True)
    points = np.stack(to_degrees.transform(corners[:, 0], corners[:, 1]), axis=1)
    if not np.isfinite(points).all():
        return None, None
    outline = split_at_antimeridian(Polygon(points))
    west, south, east, north = outline.bounds
    outline = outline.simplify(FLAT * min(east - west, north - south))
    outline = shapely.set_precision(shapely.orient_polygons(outline), 10.0**-DIGITS, mode="pointwise")
    return shapely.geometry.mapping(outline), box_of(outline)


def box_of(geometry: BaseGeometry) -> list[float]:
    """Return the smallest box round the globe of a geometry that is broken at the antimeridian.

    (west, south, east, north) in degrees; west is larger than east where it crosses.
    """
    sides = sorted((west, east) for west, _, east, _ in shapely.bounds(shapely.get_parts(geometry)))
    west, south, east, north = geometry.bounds
    widest, reached = west + 360 - east, sides[0][1]  # the gap that the box leaves out
    for begin, end in sides:
        if begin - reached > widest:
            widest, west, east = begin - reached, begin, reached
        reached = max(reached, end)
    return [round(float(value), DIGITS) for value in (west, south, east, north)]
