"""Rings from the corners of pixel regions.

Along each row and along each column the turning corners of one region come in pairs that an edge joins (the
classic reading of rectilinear polygons); following the pairs gives the rings. No geometry is ever unioned.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import shapely

from geodl.vector.corners import CONCAVE, DOWN, LEFT_OUT, RIGHT, STRAIGHT, Corners


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

    stays: np.ndarray | None = None
    """Whether a point is among those of the simplified ring: bool, shape (points,); None for all."""

    extra: Corners | None = None
    """Points to hold although the rings run straight on through them."""

    def take(self, order: np.ndarray) -> "Rings":
        """Return the rings at `order`, which holds positions."""
        length = np.diff(self.start)[order]
        start = np.concatenate([[0], np.cumsum(length)])
        index = np.arange(start[-1]) + np.repeat(self.start[:-1][order] - start[:-1], length)
        stays = None if self.stays is None else self.stays[index]
        return replace(
            self,
            points=self.points[index],
            start=start,
            region=self.region[order],
            hole=self.hole[order],
            stays=stays,
        )


def trace(corners: Corners) -> Rings:
    """Join all turning corners of some complete regions to rings.

    A region whose pixels are joined by their edges has exactly one ring that is not a hole. Rings are
    ordered by region, exteriors before holes, then by their first corner from the top left.
    """
    straight = corners.code & STRAIGHT > 0
    extra = corners.take(straight)
    if len(extra):
        corners = corners.take(~straight)
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
    return _close(corners, extra, np.array(index, np.int64), np.array(length, np.int64))


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


def _close(corners: Corners, extra: Corners, index: np.ndarray, length: np.ndarray) -> Rings:
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
    rings = Rings(points=points, start=start, region=region, hole=hole)
    stays = corners.code[index] & LEFT_OUT == 0
    if len(extra) or not stays.all():
        rings = replace(rings, stays=np.insert(stays, end, stays[end - length]), extra=extra)
    return rings.take(np.lexsort((hole, region)))


def holes_behind_their_exteriors(rings: Rings) -> Rings:
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
    return rings.take(np.lexsort((rings.hole, owner)))


def _first_corner(rings: Rings, ring: np.integer) -> np.ndarray:
    points = rings.points[rings.start[ring] : rings.start[ring + 1]]
    return points[np.lexsort((points[:, 0], points[:, 1]))[0]]
