"""Metres on the ground around each building, whatever the CRS measures in."""

import numpy as np
from affine import Affine

from geodl.vector.area import PixelAreas

RIGHT_ANGLE = np.pi / 2


def frames(areas: PixelAreas | None, transform: Affine, middle: np.ndarray) -> np.ndarray:
    """Return the matrices from pixels to metres along and across the grid's east.

    Parameters
    ----------
    areas : PixelAreas, optional
        Knows the raster's scale on the ellipsoid. Without it, a pixel counts as a square metre.
    transform : affine.Affine
        From pixel coordinates to those of the map.
    middle : array, shape (n, 2)
        Pixel coordinates of the buildings.

    Returns
    -------
    array, shape (n, 2, 2)
    """
    a, b, _, d, e, _ = transform[:6]
    grid = np.array([[a, b], [d, e]]) / np.sqrt(abs(transform.determinant))
    result = np.broadcast_to(grid, (len(middle), 2, 2)).copy()
    if areas is None:
        return result
    along, mixed, down = areas.metric(*middle.T)
    back = np.linalg.inv(grid)
    metric = back.T @ np.stack([along, mixed, mixed, down], axis=1).reshape(-1, 2, 2) @ back
    # The root that leaves the x axis of the map where it is.
    with np.errstate(invalid="ignore"):
        east = np.sqrt(metric[:, 0, 0])
        skew = metric[:, 0, 1] / east
        root = np.stack([east, skew, np.zeros_like(east), np.sqrt(metric[:, 1, 1] - skew**2)], axis=1)
    known = np.isfinite(root).all(axis=1)  # not outside the domain of the projection
    result[known] = root[known].reshape(-1, 2, 2) @ grid
    return result


def moved(points: np.ndarray, transform: Affine) -> np.ndarray:
    """Apply a transform to points of shape (n, 2)."""
    a, b, c, d, e, f = transform[:6]
    x, y = points.T
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def turned(matrices: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Turn frames so that their first axis has the direction `angle` (radians, shape (n,))."""
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([cosine, sine, -sine, cosine], axis=1).reshape(-1, 2, 2)
    return rotation @ matrices


def apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Multiply each of n matrices by its vector, shape (n, 2)."""
    return np.einsum("nij,nj->ni", matrices, vectors)


def folded(angle: np.ndarray, period: float = RIGHT_ANGLE) -> np.ndarray:
    """Return angles as their difference from the nearest multiple of `period`.

    >>> np.degrees(folded(np.radians([10, 80, 135]))).round(6)
    array([ 10., -10.,  45.])
    """
    return angle - period * np.ceil(angle / period - 0.5)
