"""Pixel paths to smooth lines of few points on the ground."""

from dataclasses import dataclass

import numpy as np
import shapely

from geodl.vector.roads.ground import Ground
from geodl.vector.roads.trace import PixelPath

SIGMA = 2.0  # pixels along the path: the period of the steps of a sloping line is about as long
WINDOW = 6  # pixels to each side
DEVIATION = 1.0  # pixels: no point moves further
KEPT = 0.25  # pixels: points that the line does without are dropped


@dataclass(frozen=True, kw_only=True)
class Line:
    """A piece of road between two pixels that are nodes."""

    order: tuple[int, int, int]
    """Numbers of the first, the last and the second pixel of its path."""
    points: np.ndarray
    """Ground coordinates, shape (points, 2)."""
    width: float
    """Median along the line, in the unit of the ground."""
    end_widths: tuple[float, float]
    confidence: float
    """Mean of the pixels that have one, else NaN."""
    known: int
    """Number of pixels with a confidence."""


def smooth_lines(paths: list[PixelPath], width: int, ground: Ground) -> list[Line]:
    """Make lines of paths through a raster of this width; the ends stay where they are."""
    if not paths:
        return []
    pixel = np.concatenate([path.pixel for path in paths])
    points = np.stack([pixel % width, pixel // width], axis=1).astype(np.float64)
    length = np.array([len(path.pixel) for path in paths])
    ring = np.array([path.ring for path in paths])
    smooth = ground.of_pixels(smoothed(points, length, ring))
    drawn = shapely.linestrings(smooth, indices=np.repeat(np.arange(len(paths)), length))
    kept, owner = shapely.get_coordinates(shapely.simplify(drawn, KEPT * ground.pixel), return_index=True)
    parts = np.split(kept, np.flatnonzero(np.diff(owner)) + 1)
    return [_line(path, points) for path, points in zip(paths, parts, strict=True)]


def smoothed(
    points: np.ndarray, length: np.ndarray, ring: np.ndarray, deviation: float | np.ndarray = DEVIATION
) -> np.ndarray:
    """Average lines along themselves with Gaussian weights, moving no point by more than `deviation`.

    Parameters
    ----------
    points : array of shape (n, 2)
        Pixel coordinates of the lines, one after the other.
    length : int array of shape (lines,)
        Points of each line.
    ring : bool array of shape (lines,)
        Lines that go on at their start after their end, which is the same point.
    deviation : float or array of shape (n,)
        Pixels.

    Returns
    -------
    array of shape (n, 2)
        Ends that are not those of rings do not move: beyond an end a line goes on as turned about it.
    """
    last = np.cumsum(length) - 1
    first, last = np.repeat(last - length + 1, length), np.repeat(last, length)
    place, round_trip = np.arange(len(points)), np.repeat(ring, length)
    total, weights = np.zeros_like(points), 0.0
    for step in range(-WINDOW, WINDOW + 1):
        weight = np.exp(-0.5 * (step / SIGMA) ** 2)
        wanted = place + step
        wrapped = first + (wanted - first) % np.maximum(last - first, 1)
        turned = np.clip(np.where(wanted < first, 2 * first - wanted, 2 * last - wanted), first, last)
        end = np.where(wanted < first, first, last)
        beyond = ((wanted < first) | (wanted > last)) & ~round_trip
        source = np.where(round_trip, wrapped, np.clip(wanted, first, last))
        value = np.where(beyond[:, None], 2 * points[end] - points[turned], points[source])
        total, weights = total + weight * value, weights + weight
    moved = total / weights - points
    far = np.maximum(np.hypot(*moved.T) / deviation, 1.0)
    fixed = ((place == first) | (place == last)) & ~round_trip
    return np.where(fixed[:, None], points, points + moved / far[:, None])


def _line(path: PixelPath, points: np.ndarray) -> Line:
    known = np.isfinite(path.confidence)
    return Line(
        order=path.order,
        points=points,
        width=2 * float(np.median(path.half_width)),
        end_widths=(2 * float(path.half_width[0]), 2 * float(path.half_width[-1])),
        confidence=float(path.confidence[known].mean()) if known.any() else float("nan"),
        known=int(np.count_nonzero(known)),
    )
