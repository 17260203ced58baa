"""Perimeters of regions on the ground, and their areas in pixels, from their rings."""

import numpy as np

from geodl.vector.area import PixelAreas
from geodl.vector.outline import Rings

NEAR = 1000.0  # metres over which lengths change by less than 2e-4, on Mercator's map up to 60 degrees


def perimeters(rings: Rings, areas: PixelAreas | None, count: int) -> np.ndarray:
    """Lengths of all rings of the regions 0 to `count` - 1: float64, shape (count,).

    In metres on the ellipsoid; in pixels where `areas` is None. A small ring is measured with the scale at
    its centre, the edges of larger ones one by one, each with that at its ends and at its middle (Simpson's
    rule).
    """
    step, ring = _steps(rings)
    dx, dy = step[:, 0], step[:, 1]
    if areas is None:
        return np.bincount(rings.region[ring], np.hypot(dx, dy), minlength=count)
    low = np.minimum.reduceat(rings.points, rings.start[:-1], axis=0)
    high = np.maximum.reduceat(rings.points, rings.start[:-1], axis=0)
    scale = areas.metric(*((low + high) / 2).T)
    length = _length(scale[:, ring], dx, dy)
    far = ~(_length(scale, *(high - low).T) <= NEAR)[ring]  # also where the centre is off the earth
    if far.any():
        begin = np.delete(rings.points, rings.start[1:] - 1, axis=0)[far]
        dx, dy = dx[far], dy[far]
        one, middle, other = (
            _length(areas.metric(begin[:, 0] + t * dx, begin[:, 1] + t * dy), dx, dy) for t in (0, 0.5, 1)
        )
        length[far] = (one + 4 * middle + other) / 6
    return np.bincount(rings.region[ring], length, minlength=count)


def pixel_areas(rings: Rings, count: int) -> np.ndarray:
    """Areas of the regions 0 to `count` - 1 in pixels, holes left out: float64, shape (count,)."""
    step, ring = _steps(rings)
    begin = np.delete(rings.points, rings.start[1:] - 1, axis=0)
    twice = begin[:, 1] * step[:, 0] - begin[:, 0] * step[:, 1]
    return np.bincount(rings.region[ring], twice / 2, minlength=count)


def _steps(rings: Rings) -> tuple[np.ndarray, np.ndarray]:
    """Edges of all rings as steps (dx, dy), and the ring of each."""
    step = np.delete(np.diff(rings.points, axis=0), rings.start[1:-1] - 1, axis=0)
    return step, np.repeat(np.arange(len(rings.hole)), np.diff(rings.start) - 1)


def _length(metric: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return np.sqrt(metric[0] * dx**2 + 2 * metric[1] * dx * dy + metric[2] * dy**2)
