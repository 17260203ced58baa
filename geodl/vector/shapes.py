"""Geometries from rings: points that simplification drops are left out, and rings become polygons."""

from dataclasses import replace

import numpy as np
import shapely
from affine import Affine

from geodl.vector.corners import DOWN, Corners
from geodl.vector.outline import Rings, holes_behind_their_exteriors


def draw(rings: Rings, *, multi: bool) -> Rings:
    """Bring rings into the order of geometries, and leave out what simplification drops.

    Parameters
    ----------
    rings : Rings
        Of complete regions, as `geodl.vector.outline.trace` gives them.
    multi : bool
        Regions may hold pixels that join only at corners.
    """
    return _thinned(holes_behind_their_exteriors(rings) if multi else rings)


def build_polygons(rings: Rings, transform: Affine, *, multi: bool) -> np.ndarray:
    """Make one geometry per region, in the order of region numbers.

    Parameters
    ----------
    rings : Rings
        As `draw` gives them.
    transform : affine.Affine
        From pixel coordinates to those of the geometries.
    multi : bool
        MultiPolygons instead of Polygons.

    Returns
    -------
    array of shapely geometries
        Valid, holes kept, exteriors counterclockwise.
    """
    x, y = rings.points[:, 0], rings.points[:, 1]
    a, b, c, d, e, f = transform[:6]
    points = np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
    exterior = np.flatnonzero(~rings.hole)
    offsets: tuple[np.ndarray, ...] = (rings.start, np.append(exterior, len(rings.hole)))
    kind = shapely.GeometryType.POLYGON
    if multi:
        kind = shapely.GeometryType.MULTIPOLYGON
        region = rings.region[exterior]
        offsets += (np.append(np.flatnonzero(np.diff(region, prepend=-1)), len(region)),)
    geometry = shapely.from_ragged_array(kind, points.astype(np.float64), offsets)
    return shapely.orient_polygons(geometry) if transform.determinant > 0 else geometry


def _thinned(rings: Rings) -> Rings:
    """Leave out the points that do not stay, and put the extra ones into the edges that they lie on."""
    if rings.stays is None or rings.extra is None:
        return rings
    is_last = np.zeros(len(rings.points), bool)  # the last point of a ring repeats its first
    is_last[rings.start[1:] - 1] = True
    ring = np.repeat(np.arange(len(rings.hole)), np.diff(rings.start))
    own = np.flatnonzero(rings.stays & ~is_last)
    edge, along = _edges_below(rings.extra, rings.points, rings.region[ring], is_last)
    after = np.concatenate([own, edge])  # the point of the exact ring at which each one's edge begins
    order = np.lexsort((np.concatenate([np.zeros(len(own), np.int64), along]), after))
    extra = np.stack([rings.extra.x, rings.extra.y], axis=1)
    points = np.concatenate([rings.points[own], extra])[order]
    length = np.bincount(ring[after], minlength=len(rings.hole))
    end = np.cumsum(length)
    points = np.insert(points, end, points[end - length], axis=0)
    start = np.concatenate([[0], np.cumsum(length + 1)])
    return replace(rings, points=points, start=start, stays=None, extra=None)


def _edges_below(extra: Corners, points: np.ndarray, region: np.ndarray, is_last: np.ndarray):
    """Find the edge that each extra point lies on, and how far along.

    Edges are named by the point at which they begin. A region has one edge at the most through a point that
    its boundary runs straight on through, so the edge is the last of its line that begins before.
    """
    edge, along = np.empty(len(extra), np.int64), np.empty(len(extra), np.int64)
    size = points.max(axis=0) + 1
    begin = np.flatnonzero(~is_last)
    down = extra.code & DOWN > 0
    for axis, chosen in ((0, ~down), (1, down)):  # edges along x, along y
        other = 1 - axis
        among = begin[points[begin, other] == points[begin + 1, other]]
        first = np.minimum(points[among, axis], points[among + 1, axis])
        key = (region[among] * size[other] + points[among, other]) * size[axis] + first
        order = np.argsort(key)
        place = (extra.x[chosen], extra.y[chosen])
        wanted = (extra.region[chosen] * size[other] + place[other]) * size[axis] + place[axis]
        edge[chosen] = among[order[np.searchsorted(key[order], wanted) - 1]]
        along[chosen] = np.abs(place[axis] - points[edge[chosen], axis])
    return edge, along
