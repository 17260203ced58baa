"""The direction of a building's walls, alone and with its neighbours.

Walls at right angles have one direction modulo 90 degrees. Each building votes with the directions of its
walls, weighted by how well these are known: a straight line through a path of length L that strays from it
by r (root mean square), independently after a length l, has a direction of variance 12 l r^2 / L^3. Then a
building moves towards its neighbours that differ by a few degrees, the more the less its own direction is
known.
"""

from dataclasses import dataclass

import numpy as np
import shapely

from geodl.vector.buildings.frames import RIGHT_ANGLE, apply, folded
from geodl.vector.buildings.outlines import Outlines, corners_of

BINS = 90
SPREAD = 6  # bins to each side that vote with a bin
NEAR_PEAK = np.radians(12)
COARSE = 2.4
"""Directions are read off a simpler outline: its tolerance over that of the walls."""

INDEPENDENT = 3.0  # pixels between errors of an outline that know nothing of each other
LEAST_ERROR = 0.25  # pixels by which even perfect outlines stray, being made of pixels

ALIKE = np.radians(6)
"""Neighbours that differ by more have directions of their own, unless this one's is hardly known."""

MOST = np.radians(15)

BETWEEN_NEIGHBOURS = np.radians(2)
"""By how much neighbours along one street really differ."""

ROUNDS = 2
NEIGHBOURHOOD = 30.0
"""Metres between the middles of neighbours."""


@dataclass(frozen=True, kw_only=True)
class Directions:
    """Directions of buildings; every array has shape (n,)."""

    angle: np.ndarray
    """Radians counterclockwise from grid east, modulo 90 degrees."""

    precision: np.ndarray
    """One over the variance of the angle in radians; 0 where there is no wall."""


def own_directions(outlines: Outlines, matrices: np.ndarray, tolerance: float) -> Directions:
    """Find the direction of each building.

    Parameters
    ----------
    outlines : Outlines
        Of n buildings, numbered from 0.
    matrices : array, shape (n, 2, 2)
        Frames of the buildings.
    tolerance : float
        Of the first simplification, in pixels.
    """
    count = len(matrices)
    pixel = np.sqrt(np.abs(np.linalg.det(matrices)))
    ring, first = corners_of(outlines, tolerance * COARSE)
    last = np.roll(first, -1)
    last[np.flatnonzero(np.diff(ring, append=-1))] = outlines.start[:-1]
    building = outlines.building[ring]
    angle, length, error = wall_directions(outlines, ring, first, last, matrices[building])
    angle = angle % RIGHT_ANGLE
    place = np.minimum((angle / RIGHT_ANGLE * BINS).astype(np.int64), BINS - 1)
    votes = np.bincount(building * BINS + place, length**2, count * BINS).reshape(count, BINS)
    shifts = range(-SPREAD, SPREAD + 1)
    smooth = sum((SPREAD + 1 - abs(s)) * np.roll(votes, s, axis=1) for s in shifts)
    peak = (np.argmax(smooth, axis=1) + 0.5) * RIGHT_ANGLE / BINS
    difference = folded(angle - peak[building])
    variance = 12 * INDEPENDENT * pixel[building] * (error**2 + (LEAST_ERROR * pixel[building]) ** 2)
    precision = np.where(np.abs(difference) <= NEAR_PEAK, length**3 / variance, 0)
    total = np.bincount(building, precision, count)
    mean = np.bincount(building, precision * difference, count) / np.maximum(total, 1e-12)
    return Directions(angle=(peak + mean) % RIGHT_ANGLE, precision=total)


def wall_directions(outlines: Outlines, ring, first, last, matrices: np.ndarray):
    """Fit lines to parts of outlines by least squares of the distance.

    Returns
    -------
    angle, length, error : array, shape (n,)
        Radians modulo 180 degrees; metres from the first to the last point; root mean square of the
        distances from the line in metres.
    """
    paths = outlines.between(ring, first, last)
    spread = matrices @ paths.spread @ matrices.transpose(0, 2, 1)
    angle = np.arctan2(2 * spread[:, 0, 1], spread[:, 0, 0] - spread[:, 1, 1]) / 2
    half = (spread[:, 0, 0] + spread[:, 1, 1]) / 2
    root = np.hypot((spread[:, 0, 0] - spread[:, 1, 1]) / 2, spread[:, 0, 1])
    length = np.linalg.norm(apply(matrices, paths.step), axis=1)
    return angle, length, np.sqrt(np.maximum(half - root, 0))


def shared_directions(own: Directions, middle: np.ndarray, radius: float) -> np.ndarray:
    """Move buildings to the directions of their neighbours.

    Parameters
    ----------
    own : Directions
    middle : array, shape (n, 2)
        Pixel coordinates.
    radius : float
        Pixels; what lies farther than `ROUNDS` times this has no influence.

    Returns
    -------
    array, shape (n,)
        Angles as in `Directions`. They depend on the order of the buildings in no way but rounding.
    """
    points = np.asarray(shapely.points(middle))
    one, other = shapely.STRtree(points).query(points, predicate="dwithin", distance=radius)
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    others = one != other
    one, other = one[others], other[others]
    known = own.precision
    trusted = known / (1 + known * BETWEEN_NEIGHBOURS**2)  # as a statement about a neighbour
    alike = np.minimum(ALIKE + 2 / np.sqrt(np.maximum(known, 1e-12)), MOST)[one]
    angle = own.angle
    for _ in range(ROUNDS):
        difference = folded(angle[other] - own.angle[one])
        vote = trusted[other] * np.maximum(1 - np.abs(difference) / alike, 0)
        total = known + np.bincount(one, vote, len(angle))
        angle = own.angle + np.bincount(one, vote * difference, len(angle)) / np.maximum(total, 1e-12)
    return angle % RIGHT_ANGLE
