"""Geometries in longitude and latitude that break at the antimeridian.

As RFC 7946 (https://www.rfc-editor.org/rfc/rfc7946, section 3.1.9) asks: no geometry crosses 180 degrees,
and what lies on both sides has several parts.
"""

from typing import Any

import numpy as np
import shapely
import shapely.affinity
from shapely import MultiLineString, MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry


def split_at_antimeridian(geometry: BaseGeometry) -> BaseGeometry:
    """Break a geometry whose points were moved to degrees one by one, where it crosses 180 degrees.

    Two points that follow each other are taken to be joined the short way round. A ring that goes round a
    pole holds it.

    Parameters
    ----------
    geometry : shapely geometry
        (Multi)Polygon or (Multi)LineString; longitude and latitude in degrees.

    Returns
    -------
    shapely geometry
        Within -180 to 180 degrees, of the same area on the globe.

    Examples
    --------
    >>> split_at_antimeridian(shapely.LineString([(179, 10), (-179, 10)])).wkt
    'MULTILINESTRING ((179 10, 180 10), (-180 10, -179 10))'
    """
    parts = shapely.get_parts(geometry)
    if geometry.geom_type.endswith("Polygon"):
        return cut_at_antimeridian(MultiPolygon([piece for part in parts for piece in _unrolled(part)]))
    if geometry.geom_type.endswith("LineString"):
        return cut_at_antimeridian(MultiLineString([_smooth(part.coords) for part in parts]))
    return geometry


def cut_at_antimeridian(geometry: BaseGeometry) -> BaseGeometry:
    """Cut a geometry with longitudes beyond 180 degrees there, and bring the pieces into -180 to 180.

    What lies beyond a pole is left out; points, and what lies within already, come back as they are.
    """
    if geometry.is_empty or geometry.geom_type.endswith("Point"):
        return geometry
    west, _, east, _ = geometry.bounds
    kind = geometry.geom_type.removeprefix("Multi")
    pieces: list[BaseGeometry] = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.ceil((east - 180) / 360)) + 1):
        inside = geometry.intersection(box(360 * turn - 180, -90, 360 * turn + 180, 90))
        home = shapely.affinity.translate(inside, -360 * turn)
        pieces += [part for part in shapely.get_parts(home) if part.geom_type == kind and not part.is_empty]
    return shapely.union_all(pieces)  # round a pole, pieces of two turns share a border


def _smooth(points: Any) -> np.ndarray:
    """Continue longitudes beyond 180 degrees instead of jumping."""
    points = np.asarray(points)
    return np.stack([np.unwrap(points[:, 0], period=360), points[:, 1]], axis=1)


def _unrolled(polygon: Polygon) -> list[Polygon]:
    shell, *holes = (_smooth(ring.coords) for ring in (polygon.exterior, *polygon.interiors))
    if abs(shell[-1, 0] - shell[0, 0]) > 180:  # once round a pole: down to it, and back along it
        pole = np.copysign(90, shell[:, 1].mean())
        shell = np.concatenate([shell, [[shell[-1, 0], pole], [shell[0, 0], pole]]])
    middle = shell[:, 0].mean()
    near = [ring - [360 * np.round((ring[:, 0].mean() - middle) / 360), 0] for ring in holes]
    mended = shapely.make_valid(Polygon(shell, near))
    return [part for part in shapely.get_parts(mended) if part.geom_type == "Polygon"]
