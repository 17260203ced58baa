"""How much ground polygons share, quickly where one of them is a rectangle."""

import numpy as np
import shapely


def common_area(polygons: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Area of the intersections of pairs of valid polygons, float64, shape (n,).

    A rectangle cuts the plane where coordinates along its sides are 0 and 1. By Green's theorem the area of
    what a polygon has inside it is the integral of x dy along the polygon's border, with both coordinates
    clamped to 0..1: some products for each edge, where a general intersection must find all crossings.
    """
    result = np.empty(len(polygons))
    box = _rectangles(shapes)
    result[~box] = shapely.area(shapely.intersection(polygons[~box], shapes[~box]))
    if box.any():
        result[box] = _inside(polygons[box], shapes[box])
    return result


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
