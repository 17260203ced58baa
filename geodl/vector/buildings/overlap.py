"""How much ground polygons share, quickly where one of them is a rectangle or both have few corners."""

from dataclasses import dataclass

import numpy as np
import shapely

FEW = 1500
"""Pairs of edges up to which the integrals over all of them are quicker than to look for the crossings."""

AT_ONCE = 2**18
"""Pairs of edges that are in memory at once; a pair of polygons is never divided."""


def common_area(polygons: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Area of the intersections of pairs of valid polygons, float64, shape (n,).

    A rectangle cuts the plane where coordinates along its sides are 0 and 1. By Green's theorem the area of
    what a polygon has inside it is the integral of x dy along the polygon's border, with both coordinates
    clamped to 0..1: some products for each edge, where a general intersection must find all crossings.

    Of other polygons with few corners, the edges that bound them from above count +1 and those that bound
    them from below -1. The area that two polygons share is the sum, over all pairs of edges of the one and
    the other, of the products of these signs with the integral over x of the lower one of both edges where
    both are: at every x the terms of an edge add up to the length of the other polygon that lies below it.
    """
    result = np.empty(len(polygons))
    box = _rectangles(shapes)
    few = shapely.get_num_coordinates(polygons) * shapely.get_num_coordinates(shapes) <= FEW
    for which, shared in ((box, _inside), (~box & few, _over_edges), (~box & ~few, _general)):
        if which.any():
            result[which] = shared(polygons[which], shapes[which])
    return result


def _general(polygons: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    return shapely.area(shapely.intersection(polygons, shapes))


@dataclass(frozen=True)
class _Edges:
    """Edges of polygons that are not vertical, from left to right; every array has shape (edges,)."""

    x: np.ndarray
    u: np.ndarray
    y: np.ndarray
    """At `x`; the edge ends at (`u`, ...)."""
    slope: np.ndarray
    sign: np.ndarray
    """1 where the polygon lies below the edge, -1 where above."""
    start: np.ndarray
    """First edge of each polygon, and the number of edges: shape (polygons + 1,)."""

    @classmethod
    def of(cls, polygons: np.ndarray, origin: np.ndarray) -> "_Edges":
        rings, owner = shapely.get_rings(polygons, return_index=True)
        points, ring = shapely.get_coordinates(rings, return_index=True)
        points = points - origin[owner[ring]]
        edge = np.flatnonzero(np.diff(ring) == 0)
        (x, y), (u, v) = points[edge].T, points[edge + 1].T
        ring = ring[edge]
        # Twice the area is positive where the ring runs counterclockwise: its edges to the left lie above.
        turn = np.bincount(ring, x * v - u * y, len(rings)) > 0
        hole = np.diff(owner, prepend=-1) == 0
        sign = np.where(turn[ring] ^ hole[ring] ^ (u > x), 1.0, -1.0)
        keep = u != x
        x, y, u, v, sign = (values[keep] for values in (x, y, u, v, sign))
        left = x < u
        owner = owner[ring[keep]]
        slope = (v - y) / (u - x)
        return cls(
            x=np.where(left, x, u),
            u=np.where(left, u, x),
            y=np.where(left, y, v),
            slope=slope,
            sign=sign,
            start=np.searchsorted(owner, np.arange(len(polygons) + 1)),
        )


def _over_edges(polygons: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    origin = shapely.bounds(shapes)[:, :2]  # small numbers are exact ones
    one, other = _Edges.of(polygons, origin), _Edges.of(shapes, origin)
    before = np.concatenate([[0], np.cumsum(np.diff(one.start) * np.diff(other.start))])
    parts, first = [], 0
    while first < len(polygons):
        last = max(first + 1, int(np.searchsorted(before, before[first] + AT_ONCE, side="right")) - 1)
        parts.append(_of_pairs(one, other, first, last))
        first = last
    return np.concatenate(parts)


def _of_pairs(one: _Edges, other: _Edges, first: int, last: int) -> np.ndarray:
    """Sum over the pairs of edges of the pairs of polygons from `first` to before `last`."""
    edge = np.arange(one.start[first], one.start[last])
    polygon = np.searchsorted(one.start, edge, side="right") - 1
    many = np.diff(other.start)[polygon]
    i = np.repeat(edge, many)
    j = np.arange(len(i)) - np.repeat(np.cumsum(many) - many - other.start[polygon], many)
    polygon = np.repeat(polygon, many) - first
    low, high = np.maximum(one.x[i], other.x[j]), np.minimum(one.u[i], other.u[j])
    meet = np.flatnonzero(low < high)
    i, j, low, high, polygon = (values[meet] for values in (i, j, low, high, polygon))
    line = [other.y[j] + other.slope[j] * (x - other.x[j]) for x in (low, high)]
    above = [one.y[i] + one.slope[i] * (x - one.x[i]) - y for x, y in zip((low, high), line, strict=True)]
    least, most = np.minimum(*above), np.maximum(*above)
    # The mean of what lies below 0 of a line from `least` to `most`.
    below = np.where(most <= 0, (least + most) / 2, 0.0)
    crosses = (least < 0) & (most > 0)
    below[crosses] = -(least[crosses] ** 2) / (2 * (most[crosses] - least[crosses]))
    integral = (high - low) * ((line[0] + line[1]) / 2 + below)
    return np.bincount(polygon, one.sign[i] * other.sign[j] * integral, last - first)


def _rectangles(shapes: np.ndarray) -> np.ndarray:
    """Whether each has four corners whose opposite sides are equal vectors, and no hole: bool, shape (n,)."""
    four = (shapely.get_num_coordinates(shapes) == 5) & (shapely.get_num_interior_rings(shapes) == 0)
    a, b, c, d = _corners(shapes[four])
    size = np.abs(c - a).max(axis=1, initial=0)
    four[four] = np.abs(a - b + c - d).max(axis=1, initial=0) <= 1e-5 * size
    return four


def _corners(shapes: np.ndarray) -> np.ndarray:
    """Corners of polygons that have four: shape (4, n, 2)."""
    return shapely.get_coordinates(shapes).reshape(-1, 5, 2)[:, :4].transpose(1, 0, 2)


def _inside(polygons: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
    origin, first, _, last = _corners(rectangles)
    sides = np.stack([first - origin, last - origin], axis=2)
    rings, owner = shapely.get_rings(polygons, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    owner = owner[ring]
    unit = np.einsum("nij,nj->ni", np.linalg.inv(sides)[owner], points - origin[owner])
    edge = np.flatnonzero(np.diff(ring) == 0)
    (x, y), (u, v) = unit[edge].T, unit[edge + 1].T
    low, high = np.clip(y, 0, 1), np.clip(v, 0, 1)
    # The part of the edge between y = 0 and y = 1.
    slope = np.divide(u - x, v - y, out=np.zeros_like(x), where=v != y)
    one, other = x + slope * (low - y), x + slope * (high - y)
    signed = np.bincount(owner[edge], (high - low) * _mean_clamped(one, other), len(polygons))
    return np.abs(signed) * np.abs(np.linalg.det(sides))


def _mean_clamped(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean of x clamped to 0..1 from `one` to `other`."""

    def integral(x: np.ndarray) -> np.ndarray:
        inside = np.clip(x, 0, 1)
        return inside**2 / 2 + np.maximum(x - 1, 0)

    wide = np.abs(other - one) > 1e-9
    middle = np.clip((one + other) / 2, 0, 1)
    return np.divide(integral(other) - integral(one), other - one, out=middle, where=wide)
