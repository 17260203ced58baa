"""Outlines of many buildings as flat arrays of pixel corners, and what can be summed along them.

Coordinates are whole numbers (x right, y down, in pixels), so the running sums are exact: what is measured
between two corners does not depend on the buildings that happen to be in the same batch.
"""

from dataclasses import dataclass

import numpy as np
import shapely

COLUMNS = {"dx": 0, "dy": 1, "length": 2, "x": 3, "y": 4, "xx": 5, "xy": 6, "yy": 7}
CROSS = 8  # first of the four columns of the integral of the outer product of step and point


@dataclass(frozen=True, kw_only=True)
class Outlines:
    """Closed rings, one after the other, without repeating first points."""

    points: np.ndarray
    """Pixel corners relative to the first one of their ring: int64, shape (corners, 2)."""

    origin: np.ndarray
    """First corner of each ring: shape (rings, 2)."""

    start: np.ndarray
    """First corner of each ring, and the number of corners: shape (rings + 1,)."""

    building: np.ndarray
    """Building of each ring, exteriors before holes: shape (rings,)."""

    hole: np.ndarray
    """Whether the ring is a hole: bool, shape (rings,)."""

    sums: np.ndarray
    """Running sums over the edges, starting at 0: int64, shape (corners + 1, 12)."""

    def between(self, ring: np.ndarray, first: np.ndarray, last: np.ndarray) -> "Paths":
        """Measure the parts of rings from corner `first` on to corner `last`, all of shape (n,).

        The numbers of corners count over all rings; parts may run over the start of their ring, and from
        a corner to itself they run all around.
        """
        start, end = self.start[ring], self.start[ring + 1]
        around = last <= first
        total = self.sums[last] - self.sums[first]
        total[around] += (self.sums[end] - self.sums[start])[around]
        return Paths(total)


class Paths:
    """Integrals along parts of rings, in pixels relative to the first corner of their ring."""

    def __init__(self, sums: np.ndarray) -> None:
        self.step = sums[:, :2].astype(np.float64)
        """From the first to the last point: shape (n, 2)."""

        length = np.maximum(sums[:, 2].astype(np.float64), 1)
        self.mean = sums[:, 3:5] / length[:, None] / 2
        """Mean point: shape (n, 2)."""

        xx, xy, yy = sums[:, 5] / length / 3, sums[:, 6] / length / 6, sums[:, 7] / length / 3
        spread = np.stack([xx, xy, xy, yy], axis=1).reshape(-1, 2, 2)
        self.spread = spread - self.mean[:, :, None] * self.mean[:, None, :]
        """Covariance of the points: shape (n, 2, 2)."""

        self.cross = sums[:, CROSS:].reshape(-1, 2, 2) / 2
        """Integral of the outer product of step and point, rows for the step: shape (n, 2, 2)."""


def outlines_of(polygons: np.ndarray) -> Outlines:
    """Take polygons in pixel coordinates apart.

    Each ring begins at the corner farthest from the middle of its corners: that one is a corner of the
    building, and simplification keeps the first point.
    """
    _, coordinates, (ring_start, polygon_start) = shapely.to_ragged_array(polygons)
    coordinates = np.rint(coordinates[:, :2]).astype(np.int64)
    rings = len(ring_start) - 1
    keep = np.ones(len(coordinates), bool)
    keep[ring_start[1:] - 1] = False  # first points repeated
    points = coordinates[keep]
    start = ring_start - np.arange(rings + 1)
    length = np.diff(start)
    ring = np.repeat(np.arange(rings), length)
    middle = np.add.reduceat(points, start[:-1], axis=0) / length[:, None]
    far = ((points - middle[ring]) ** 2).sum(axis=1)
    farthest = np.flatnonzero(far == np.maximum.reduceat(far, start[:-1])[ring])
    shift = farthest[np.searchsorted(farthest, start[:-1])] - start[:-1]
    position = np.arange(len(points)) - start[ring]
    points = points[start[ring] + (position + shift[ring]) % length[ring]]
    origin = points[start[:-1]]
    points = points - origin[ring]
    hole = np.ones(rings, bool)
    hole[polygon_start[:-1]] = False
    return Outlines(
        points=points,
        origin=origin,
        start=start,
        building=np.repeat(np.arange(len(polygons)), np.diff(polygon_start)),
        hole=hole,
        sums=_sums(points, start),
    )


def _sums(points: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Integrals along the edges, times 2 for points and 3 or 6 for their products, so that all are whole."""
    following = np.arange(1, len(points) + 1)
    following[start[1:] - 1] = start[:-1]
    x, y = points.T
    u, v = points[following].T
    dx, dy = u - x, v - y
    length = np.abs(dx) + np.abs(dy)  # edges run along rows or columns
    columns = (
        dx,
        dy,
        length,
        length * (x + u),
        length * (y + v),
        length * (x * x + x * u + u * u),
        length * (2 * x * y + x * v + u * y + 2 * u * v),
        length * (y * y + y * v + v * v),
        dx * (x + u),
        dx * (y + v),
        dy * (x + u),
        dy * (y + v),
    )
    return np.concatenate([np.zeros((1, 12), np.int64), np.cumsum(np.stack(columns, axis=1), axis=0)])


def corners_of(outlines: Outlines, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Choose the corners that matter, by the method of Douglas and Peucker (doi:10.3138/FM57-6770-U75U-7727).

    Parameters
    ----------
    outlines : Outlines
    tolerance : float
        Pixels that a corner left out may lie beside the outline.

    Returns
    -------
    ring, corner : int array, shape (n,)
        The rings, and the corners by their number among all rings; every ring has at least its first.
    """
    rings = len(outlines.start) - 1
    length = np.diff(outlines.start)
    ring = np.repeat(np.arange(rings), length)
    closed = np.insert(outlines.points, outlines.start[1:], outlines.points[outlines.start[:-1]], axis=0)
    lines = shapely.linestrings(closed.astype(np.float64), indices=np.repeat(np.arange(rings), length + 1))
    simple, owner = shapely.get_coordinates(
        shapely.simplify(lines, tolerance, preserve_topology=False), return_index=True
    )
    simple = np.rint(simple).astype(np.int64)
    low = outlines.points.min(axis=0)
    size = outlines.points.max(axis=0) - low + 1

    def key(of_ring: np.ndarray, points: np.ndarray) -> np.ndarray:
        x, y = (points - low).T
        return (of_ring * size[0] + x) * size[1] + y

    kept = np.isin(key(ring, outlines.points), key(owner, simple))
    return ring[kept], np.flatnonzero(kept)
