"""Exact outlines of pixel regions, in pixel coordinates (x right, y down, integers at pixel corners).

The boundary of a region turns only at corners where the four pixels around decide it, so corners are
found locally and any raster can be cut anywhere without a trace in the result. Along each row and along
each column the turning corners of one region come in pairs that an edge joins (the classic reading of
rectilinear polygons); following the pairs gives the rings. No geometry is ever unioned.
"""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine

# How the boundary leaves a corner: its horizontal edge to the RIGHT or left, its vertical edge DOWN or up,
# and whether the quadrant between them is outside the region (CONCAVE) or inside.
RIGHT, DOWN, CONCAVE = 1, 2, 4


@dataclass(frozen=True, kw_only=True)
class Corners:
    """Turning corners of regions; every array has shape (n,)."""

    region: np.ndarray
    """Number of the region that turns here: integers >= 0."""

    x: np.ndarray
    y: np.ndarray
    code: np.ndarray
    """Sum of `RIGHT`, `DOWN` and `CONCAVE`: uint8."""

    def __len__(self) -> int:
        return len(self.region)

    def take(self, index: np.ndarray) -> "Corners":
        """Return those at `index`, which is a mask or holds positions."""
        return Corners(region=self.region[index], x=self.x[index], y=self.y[index], code=self.code[index])


def find_corners(classes: np.ndarray, regions: np.ndarray, nodata: int, first_row: int) -> Corners:
    """Find the turning corners between the rows of a strip.

    Parameters
    ----------
    classes : array, shape (rows + 1, columns)
        Class values; neighbours of equal class belong to one region.
    regions : int array, shape (rows + 1, columns)
        Region of each pixel; not read where `classes` is `nodata`.
    nodata : int
        Class value of pixels that belong to no region.
    first_row : int
        The y of the corners between the first two rows.

    Returns
    -------
    Corners
        Those of the `rows` corner rows that have pixels on both sides, in no particular order.
    """
    sides = ((0, 0), (1, 1))
    classes = np.pad(classes, sides, constant_values=nodata)
    regions = np.pad(regions, sides)
    above, below = classes[:-1], classes[1:]
    differs_across = above != below
    differs_along = classes[:, :-1] != classes[:, 1:]
    turns = (differs_across[:, :-1] | differs_across[:, 1:]) & (differs_along[:-1] | differs_along[1:])
    row, column = np.divmod(np.flatnonzero(turns), turns.shape[1])

    parts = []
    for code in range(4):
        right, down = code & RIGHT, code // DOWN
        at = (row + down, column + right)
        diagonal = (row + 1 - down, column + 1 - right)
        here, across = classes[at], classes[row + 1 - down, column + right]
        along, opposite = classes[row + down, column + 1 - right], classes[diagonal]
        # Two diagonal pixels of one region are two convex corners: the region never joins at a point.
        convex = (here != nodata) & (here != across) & (here != along)
        concave = (opposite != nodata) & (here != opposite) & (across == opposite) & (along == opposite)
        for mask, (r, c), kind in ((convex, at, code), (concave, diagonal, code | CONCAVE)):
            kinds = np.full(np.count_nonzero(mask), kind, np.uint8)
            parts.append((regions[r[mask], c[mask]], column[mask], row[mask] + first_row, kinds))
    region, x, y, codes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Corners(region=region, x=x.astype(np.int32), y=y.astype(np.int32), code=codes)


@dataclass(frozen=True, kw_only=True)
class Rings:
    """Simple closed rings with the region on their left (seen with y down), exteriors before their holes."""

    points: np.ndarray
    """Corner coordinates, the first of each ring repeated as its last: int64, shape (points, 2)."""

    start: np.ndarray
    """First point of each ring, and the number of points: shape (rings + 1,)."""

    region: np.ndarray
    """Region of each ring: shape (rings,)."""

    hole: np.ndarray
    """Whether the ring is a hole: bool, shape (rings,)."""


def trace(corners: Corners) -> Rings:
    """Join all turning corners of some complete regions to rings.

    A region whose pixels are joined by their edges has exactly one ring that is not a hole. Rings are
    ordered by region, exteriors before holes, then by their first corner from the top left.
    """
    corners = corners.take(_order(corners.region, corners.y, corners.x, corners.code & RIGHT))
    along = np.arange(len(corners)) ^ 1
    order = _order(corners.region, corners.x, corners.y, corners.code & DOWN)
    across = np.empty_like(order)
    across[order[0::2]], across[order[1::2]] = order[1::2], order[0::2]
    # With the region on the left, the ring leaves its convex upper left and lower right corners
    # by the vertical edge and the others by the horizontal one; concave corners are the reverse.
    diagonal = (corners.code & 3 == 0) | (corners.code & 3 == RIGHT | DOWN)
    following = np.where(diagonal ^ (corners.code & CONCAVE > 0), across, along)
    index, length = _walk(following.tolist(), _twins(corners).tolist())
    return _close(corners, np.array(index, np.int64), np.array(length, np.int64))


def _order(region: np.ndarray, major: np.ndarray, minor: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Order by the four keys, none negative; one sort of one number where the four fit into it."""
    sizes = [int(key.max(initial=0)) + 1 for key in (region, major, minor, last)]
    if math.prod(sizes) > np.iinfo(np.int64).max:
        return np.lexsort((last, minor, major, region))
    number = region.astype(np.int64)
    for key, size in zip((major, minor, last), sizes[1:], strict=True):
        number = number * size + key
    return np.argsort(number, kind="stable")


def _twins(corners: Corners) -> np.ndarray:
    """Position of the other corner of the same region at the same point, or -1; corners are sorted."""
    twin = np.full(len(corners), -1)
    same = np.flatnonzero(
        (np.diff(corners.region) == 0) & (np.diff(corners.y) == 0) & (np.diff(corners.x) == 0)
    )
    twin[same], twin[same + 1] = same + 1, same
    return twin


def _walk(following: list[int], twin: list[int]) -> tuple[list[int], list[int]]:
    """Follow the corners around; a ring that comes back to a point is cut there into simple rings.

    Returns the corners of all rings one after the other, and the number of corners of each ring. Plain
    lists: a Python loop over them is faster than NumPy's pointer jumping.
    """
    index: list[int] = []
    length: list[int] = []
    seen = bytearray(len(following))
    place: dict[int, int] = {}  # of the corners of `path` that have a twin
    for start in range(len(following)):
        if seen[start]:
            continue
        path: list[int] = []
        place.clear()
        at = start
        while not seen[at]:
            seen[at] = 1
            if twin[at] >= 0:
                cut = place.get(twin[at])
                if cut is not None:
                    loop = path[cut:]
                    del path[cut:]
                    for corner in loop:
                        place.pop(corner, None)
                    index += loop
                    length.append(len(loop))
                place[at] = len(path)
            path.append(at)
            at = following[at]
        index += path
        length.append(len(path))
    return index, length


def _close(corners: Corners, index: np.ndarray, length: np.ndarray) -> Rings:
    """Repeat first points, tell holes by their orientation, and sort the rings."""
    end = np.cumsum(length)
    region = corners.region[index[end - length]] if len(end) else corners.region[:0]
    points = np.stack([corners.x[index], corners.y[index]], axis=1).astype(np.int64)  # (corners, 2)
    points = np.insert(points, end, points[end - length], axis=0)
    start = np.concatenate([[0], np.cumsum(length + 1)])
    # Twice the signed area by the shoelace formula. The step from one ring's last point to the next ring's
    # first point is no edge, so it counts nothing.
    step = np.diff(points, axis=0, append=points[:1])
    step[start[1:] - 1] = 0
    area = (
        np.add.reduceat(points[:, 0] * step[:, 1] - points[:, 1] * step[:, 0], start[:-1])
        if len(end)
        else end
    )
    hole = area > 0  # y points down: exteriors, counterclockwise on a map, have a negative area
    return _take_rings(
        Rings(points=points, start=start, region=region, hole=hole), np.lexsort((hole, region))
    )


def _take_rings(rings: Rings, order: np.ndarray) -> Rings:
    length = np.diff(rings.start)[order]
    start = np.concatenate([[0], np.cumsum(length)])
    index = np.arange(start[-1]) + np.repeat(rings.start[:-1][order] - start[:-1], length)
    return Rings(points=rings.points[index], start=start, region=rings.region[order], hole=rings.hole[order])


def build_polygons(rings: Rings, transform: Affine, *, multi: bool) -> np.ndarray:
    """Make one geometry per region, in the order of region numbers.

    Parameters
    ----------
    rings : Rings
    transform : affine.Affine
        From pixel coordinates to those of the geometries.
    multi : bool
        Regions may hold pixels that join only at corners: MultiPolygons instead of Polygons.

    Returns
    -------
    array of shapely geometries
        Valid, holes kept, exteriors counterclockwise.
    """
    if multi:
        rings = _holes_behind_their_exteriors(rings)
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


def _holes_behind_their_exteriors(rings: Rings) -> Rings:
    """Sort the rings so that each exterior is followed by its own holes, where regions have several.

    The pixel to the upper right of a hole's first corner lies above the hole's upper edge, so it belongs to
    the part around the hole: its exterior is the smallest one of the region that contains its centre.
    """
    exterior, hole = np.flatnonzero(~rings.hole), np.flatnonzero(rings.hole)
    owner = np.empty(len(rings.hole), np.int64)
    owner[exterior] = exterior
    corner = np.stack([_first_corner(rings, ring) for ring in hole]) if len(hole) else np.empty((0, 2))
    offsets = (rings.start, np.arange(len(rings.hole) + 1))
    discs = shapely.from_ragged_array(shapely.GeometryType.POLYGON, rings.points.astype(np.float64), offsets)
    point, disc = shapely.STRtree(discs[exterior]).query(
        shapely.points(corner + np.array([0.5, -0.5])), predicate="within"
    )
    own = rings.region[hole[point]] == rings.region[exterior[disc]]
    point, disc = point[own], disc[own]
    by_size = np.argsort(-shapely.area(discs[exterior[disc]]), kind="stable")
    owner[hole[point[by_size]]] = exterior[disc[by_size]]  # the smallest is written last
    return _take_rings(rings, np.lexsort((rings.hole, owner)))


def _first_corner(rings: Rings, ring: np.integer) -> np.ndarray:
    points = rings.points[rings.start[ring] : rings.start[ring + 1]]
    return points[np.lexsort((points[:, 0], points[:, 1]))[0]]
