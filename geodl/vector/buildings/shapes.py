"""From pixel outlines to the shapes of buildings, each by itself."""

from dataclasses import dataclass

import numpy as np
import shapely

from geodl.vector.buildings.frames import apply, turned
from geodl.vector.buildings.outlines import Outlines, outlines_of
from geodl.vector.buildings.overlap import common_area
from geodl.vector.buildings.walls import Limits, build_walls, corners_between, limits_of

LEAST_AGREEMENT = 0.85
"""Intersection over union with the pixel outline that a shape must reach."""

FAITHFUL = 0.9
"""What an outline that is only simplified must keep where it is simplified more than usual."""

FARTHEST = 2.5
"""Corners may move by so many times the step that is too small for a wall (`Limits.step`)."""

SCALES = (1.0, 2.0, 3.0)
"""An outline is tried with limits so many times as large, for ragged outlines."""

FINE, FEW = 0.3, 6
"""Mean distance in pixels from the outline, and number of corners, up to which nothing coarser is tried."""

WORTH = 0.12
"""Pixels that the border may move farther on the mean for a shape with fewer corners."""

GRID = 2.0**-20
"""Pixels between the places where corners may be: fine enough not to be seen, and coarse enough for polygons
to stay valid when their coordinates are rounded on the map."""

ROUND_CORNERS = 32
ROUND_RADIUS = 4.5  # pixels: smaller ones cannot be told from squares


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Shapes of buildings in pixel coordinates; every array has shape (n,)."""

    polygon: np.ndarray
    regular: np.ndarray
    """Whether straight walls were found; otherwise the polygon is the exact outline."""

    round: np.ndarray
    """Whether it is a disc."""

    agreement: np.ndarray
    """Intersection over union with the exact outline."""


def regular_shapes(
    polygons: np.ndarray, matrices: np.ndarray, angle: np.ndarray, *, tolerance: float, strict: bool
) -> Shapes:
    """Give buildings straight walls.

    Parameters
    ----------
    polygons : array of Polygon, shape (n,)
        Exact outlines in pixel coordinates.
    matrices : array, shape (n, 2, 2)
        Frames of the buildings.
    angle : array, shape (n,)
        Directions of their walls in radians.
    tolerance : float
        Of the first simplification, in pixels.
    strict : bool
        Whether right angles are the only ones.
    """
    count = len(polygons)
    shapes = Shapes(
        polygon=polygons.copy(),
        regular=np.zeros(count, bool),
        round=np.zeros(count, bool),
        agreement=np.ones(count),
    )
    least = np.full(count, np.inf)  # mean distance of the shapes so far from the outlines, in pixels
    area = shapely.area(polygons)
    open_ = np.arange(count)
    for scale in SCALES:
        if not len(open_):
            break
        chosen = polygons[open_], matrices[open_], angle[open_]
        found, is_round = _at_scale(*chosen, tolerance, scale, strict=strict)
        good = shapely.is_valid(found)  # not where there is none
        at, found, is_round = open_[good], found[good], is_round[good]
        common = common_area(polygons[at], found)
        union = area[at] + shapely.area(found) - common
        apart = (union - common) / shapely.length(found)
        better = (common >= LEAST_AGREEMENT * union) & (apart <= least[at] + WORTH)
        better &= ~shapes.regular[at] | (corner_count(found) < corner_count(shapes.polygon[at]))
        at, found, is_round = at[better], found[better], is_round[better]
        shapes.polygon[at], shapes.regular[at], shapes.round[at] = found, True, is_round
        shapes.agreement[at] = (common / union)[better]
        least[at] = np.minimum(least[at], apart[better])
        corners = corner_count(shapes.polygon[open_])
        simple = shapes.round[open_] | (corners <= 4) | ((corners <= FEW) & (least[open_] <= FINE))
        open_ = open_[~(shapes.regular[open_] & simple)]
    return shapes


def _at_scale(
    polygons: np.ndarray,
    matrices: np.ndarray,
    angle: np.ndarray,
    tolerance: float,
    scale: float,
    *,
    strict: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Build the walls; return the shapes, None where there is none, and which are round."""
    outlines = outlines_of(polygons)
    frames = turned(matrices, angle)
    limits = limits_of(np.sqrt(np.abs(np.linalg.det(matrices))), strict=strict, scale=scale)
    ring, points, fails = _rings(outlines, frames, limits, tolerance * scale)
    if strict:
        is_round = np.zeros(len(outlines.hole), bool)
    else:
        is_round, discs = _round(outlines, matrices)
        ring, points = _exchange(ring, points, is_round, discs)
        fails &= ~is_round
    fails |= np.bincount(ring, minlength=len(fails)) < 4
    failed = np.bincount(outlines.building, fails, len(polygons)) > 0
    shape = _polygons(ring, points, outlines, ~failed)
    return shape, is_round[~outlines.hole]


def corner_count(polygons: np.ndarray) -> np.ndarray:
    """Corners of all rings, shape (n,)."""
    return shapely.get_num_coordinates(polygons) - shapely.get_num_interior_rings(polygons) - 1


def farthest(pixel: float) -> float:
    """How far in metres a corner may lie from the outline, for pixels of the size `pixel` in metres."""
    return float(FARTHEST * limits_of(np.array([pixel]), strict=False, scale=max(SCALES)).step[0])


def simplified(polygons: np.ndarray, tolerance: float) -> np.ndarray:
    """Simplify outlines one by one, or keep those that would change too much."""
    if tolerance == 0:
        return polygons
    simple = shapely.simplify(polygons, tolerance)
    worse = ~shapely.is_valid(simple) | shapely.is_empty(simple)
    worse[~worse] = agreement(polygons[~worse], simple[~worse]) < LEAST_AGREEMENT
    return np.where(worse, polygons, simple)


def generalised(polygons: np.ndarray, tolerance: float) -> np.ndarray:
    """Simplify ragged outlines one by one with a few times the tolerance, as far as they keep their shape."""
    result = simplified(polygons, tolerance)
    for scale in SCALES[1:]:
        coarse = shapely.simplify(polygons, scale * tolerance)
        good = shapely.is_valid(coarse) & ~shapely.is_empty(coarse)
        good[good] = agreement(polygons[good], coarse[good]) >= FAITHFUL
        result = np.where(good, coarse, result)
    return result


def agreement(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of pairs of polygons, shape (n,)."""
    common = common_area(one, other)
    return common / (shapely.area(one) + shapely.area(other) - common)


def _rings(outlines: Outlines, frames: np.ndarray, limits: Limits, tolerance: float):
    """Corners of the regular rings, and which rings have none (bool, shape (rings,))."""
    walls = build_walls(outlines, frames, limits, tolerance)
    ring, points, moved = corners_between(walls, outlines, frames)
    too_far = ~(moved <= FARTHEST * limits.step[outlines.building[ring]])
    return ring, points, np.bincount(ring, too_far, len(outlines.hole)) > 0


def _round(outlines: Outlines, matrices: np.ndarray):
    """Tell discs by the distances of corners and edges from the middle; return which are, and the discs.

    The distances of a square differ by 0.11 of their mean (root mean square), those of a disc by the
    raster's 0.3 to 0.4 pixels.
    """
    rings = len(outlines.hole)
    start = outlines.start[:-1]
    ring = np.repeat(np.arange(rings), np.diff(outlines.start))
    around = outlines.between(np.arange(rings), start, start)
    own = matrices[outlines.building]
    pixel = np.sqrt(np.abs(np.linalg.det(own)))
    following = np.arange(1, len(ring) + 1)
    following[outlines.start[1:] - 1] = start
    far = [
        np.linalg.norm(apply(own[ring], points - around.mean[ring]), axis=1)
        for points in (outlines.points, (outlines.points + outlines.points[following]) / 2)
    ]
    count = 2 * np.diff(outlines.start)
    mean = np.add.reduceat(far[0] + far[1], start) / count
    square = np.add.reduceat(far[0] ** 2 + far[1] ** 2, start) / count
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    area = np.abs(around.cross[:, 0, 1] - around.cross[:, 1, 0]) / 2 * pixel**2
    is_round = (mean >= ROUND_RADIUS * pixel) & (deviation <= np.minimum(0.075 * mean, 0.7 * pixel))
    turn = 2 * np.pi / ROUND_CORNERS * np.arange(ROUND_CORNERS)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    radius = np.sqrt(area / (ROUND_CORNERS / 2 * np.sin(2 * np.pi / ROUND_CORNERS)))
    centre = (around.mean + outlines.origin)[is_round, None]
    back = np.linalg.inv(own[is_round])
    discs = np.einsum("nij,nkj->nki", back, circle * radius[is_round, None, None]) + centre
    return is_round, discs


def _exchange(ring: np.ndarray, points: np.ndarray, is_round: np.ndarray, discs: np.ndarray):
    """Put discs in the place of rings that are round."""
    keep = ~is_round[ring]
    number = np.concatenate([ring[keep], np.repeat(np.flatnonzero(is_round), ROUND_CORNERS)])
    order = np.argsort(number, kind="stable")
    return number[order], np.concatenate([points[keep], discs.reshape(-1, 2)])[order]


def _polygons(ring: np.ndarray, points: np.ndarray, outlines: Outlines, wanted: np.ndarray) -> np.ndarray:
    """Make the polygons of the buildings that are wanted; the others stay None."""
    result = np.full(len(wanted), None, object)
    keep = wanted[outlines.building[ring]]
    ring, points = ring[keep], points[keep]
    if not len(ring):
        return result
    begin = np.flatnonzero(np.diff(ring, prepend=-1))
    closed = np.insert(points, np.append(begin[1:], len(ring)), points[begin], axis=0)
    ring_start = np.append(begin, len(ring)) + np.arange(len(begin) + 1)
    exterior = np.flatnonzero(~outlines.hole[ring[begin]])
    polygon_start = np.append(exterior, len(begin))
    result[wanted] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, np.rint(closed / GRID) * GRID, (ring_start, polygon_start)
    )
    return result
