"""Straight walls in place of pixel outlines.

An outline is parted at the corners that matter; each part becomes a straight wall whose direction snaps to
the building's own where the outline supports it, and whose place leaves the area on both sides as it was.
Walls that are too short are dropped, parallel neighbours with nearly the same place become one, and the
corners are where walls meet. All buildings of a batch are worked on at once; a wall knows the part of the
outline it stands for, so that two walls become one by joining their parts.
"""

from dataclasses import dataclass, replace

import numpy as np

from geodl.vector.buildings.directions import wall_directions
from geodl.vector.buildings.frames import RIGHT_ANGLE, apply, folded
from geodl.vector.buildings.outlines import Outlines, corners_of

DIAGONAL = RIGHT_ANGLE / 2
SNAP = np.radians(16)
"""Walls nearer to one of the building's two directions take it."""

SNAP_DIAGONAL = np.radians(12)
PARALLEL = np.sin(np.radians(20))
"""Walls that differ by less in their direction cannot make a corner."""

FEW = 8
"""Rings of at most so many walls lose one at a time."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is too small to be a wall; every array has shape (buildings,), in metres."""

    step: np.ndarray
    """Shorter walls go, and so do steps between parallel walls that are less deep."""

    diagonal: np.ndarray
    """From this length on a wall at 45 degrees stays one."""

    free: np.ndarray
    """From this length on a wall keeps a direction of its own."""


def limits_of(pixel: np.ndarray, *, strict: bool, scale: float = 1.0) -> Limits:
    """Choose the limits for pixels of the size `pixel` in metres, shape (buildings,).

    Outlines are uncertain by about a pixel; below about a metre detail is of no use on a map.
    """
    never = np.full(len(pixel), np.inf)
    return Limits(
        step=np.maximum(1.0, 2.2 * pixel) * scale,
        diagonal=never if strict else np.maximum(2.5, 6 * pixel) * scale,
        free=never if strict else np.maximum(6.0, 14 * pixel) * scale,
    )


@dataclass(frozen=True, kw_only=True)
class Walls:
    """Walls in the order of their rings; every array has shape (walls,)."""

    ring: np.ndarray
    first: np.ndarray
    """Corner of the outline where the wall's part of it begins."""

    last: np.ndarray
    """Corner of the outline where it ends."""

    angle: np.ndarray
    """Direction in the building's turned frame, radians modulo 180 degrees."""

    def take(self, index: np.ndarray) -> "Walls":
        """Return those at `index`, which is a mask or holds positions."""
        return Walls(
            ring=self.ring[index], first=self.first[index], last=self.last[index], angle=self.angle[index]
        )


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The lines on which walls stand, in the turned frame of their building."""

    offset: np.ndarray
    """Place along the normal (-sin, cos), in metres."""

    length: np.ndarray
    """Metres of outline that the wall stands for, along its direction."""


def build_walls(outlines: Outlines, matrices: np.ndarray, limits: Limits, tolerance: float) -> Walls:
    """Find the walls of all outlines.

    Parameters
    ----------
    outlines : Outlines
    matrices : array, shape (buildings, 2, 2)
        Frames turned to the directions of the buildings.
    limits : Limits
    tolerance : float
        Of the first simplification, in pixels.
    """
    walls = _classified(outlines, matrices, limits, tolerance)
    step = limits.step[outlines.building]
    for _ in range(1000):  # each round takes a wall from at least one ring
        before = len(walls.ring)
        walls = _joined(walls, outlines, matrices, step)
        walls = _without_short(walls, outlines, matrices, step)
        if len(walls.ring) == before:
            break
    return walls


def _classified(outlines: Outlines, matrices: np.ndarray, limits: Limits, tolerance: float) -> Walls:
    ring, first = corners_of(outlines, tolerance)
    _, following = _around(ring)
    last = first[following]
    building = outlines.building[ring]
    angle, length, _ = wall_directions(outlines, ring, first, last, matrices[building])
    square = folded(angle)
    diagonal = folded(angle - DIAGONAL)
    snapped = angle - square
    stays_diagonal = (np.abs(diagonal) <= SNAP_DIAGONAL) & (length >= limits.diagonal[building])
    stays_free = (np.abs(square) > SNAP) & (length >= limits.free[building])
    angle = np.where(stays_diagonal, angle - diagonal, np.where(stays_free, angle, snapped))
    return Walls(ring=ring, first=first, last=last, angle=angle)


def _around(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position before and after each wall on its ring."""
    count = len(ring)
    begin = np.flatnonzero(np.diff(ring, prepend=-1))
    end = np.append(begin[1:], count) - 1
    before, after = np.arange(count) - 1, np.arange(count) + 1
    before[begin], after[end] = end, begin
    return before, after


def lines_of(walls: Walls, outlines: Outlines, matrices: np.ndarray) -> Lines:
    """Place the walls so that each leaves as much area on its one side as it takes on the other."""
    own = matrices[outlines.building[walls.ring]]
    paths = outlines.between(walls.ring, walls.first, walls.last)
    cross = own @ paths.cross @ own.transpose(0, 2, 1)
    step = apply(own, paths.step)
    along = np.stack([np.cos(walls.angle), np.sin(walls.angle)], axis=1)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    length = (step * along).sum(axis=1)
    moment = np.einsum("ni,nij,nj->n", along, cross, normal)
    mean = (apply(own, paths.mean) * normal).sum(axis=1)
    # A part that runs back and forth has no such place: its mean point stands for it.
    steady = np.abs(length) > 0.5 * np.linalg.norm(step, axis=1)
    offset = np.where(steady, moment / np.where(steady, length, 1), mean)
    return Lines(offset=offset, length=np.abs(length))


def _parallel(walls: Walls, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(np.sin(walls.angle[one] - walls.angle[other])) < PARALLEL


def _apart(walls: Walls, lines: Lines, one, other) -> np.ndarray:
    """Distance between walls that are parallel; their lines may count their normals in opposite senses."""
    same = np.where(np.cos(walls.angle[one] - walls.angle[other]) > 0, 1.0, -1.0)
    return np.abs(lines.offset[one] - same * lines.offset[other])


def _joined(walls: Walls, outlines: Outlines, matrices: np.ndarray, step: np.ndarray) -> Walls:
    """Join neighbours that are parallel and nearly in one line, the nearest first."""
    lines = lines_of(walls, outlines, matrices)
    before, after = _around(walls.ring)
    here = np.arange(len(walls.ring))
    cost = np.where(_parallel(walls, here, after), _apart(walls, lines, here, after), np.inf)
    cost = np.where(cost < step[walls.ring], cost, np.inf)  # of the joint behind each wall
    join = _least(cost, before, after) & (before != after)
    if not join.any():
        return walls
    # The longer wall's direction wins; the joined wall begins with `here` and ends with `after`.
    longer = np.where(lines.length[after] > lines.length[here], walls.angle[after], walls.angle[here])
    angle = np.where(join, longer, walls.angle)
    last = np.where(join, walls.last[after], walls.last)
    keep = np.ones(len(here), bool)
    keep[after[join]] = False
    return replace(walls, angle=angle, last=last).take(keep)


def _least(cost: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether a finite cost is below those of both neighbours; of equal ones the first counts."""
    here = np.arange(len(cost))

    def beats(other: np.ndarray) -> np.ndarray:
        return (cost < cost[other]) | ((cost == cost[other]) & (here < other)) | (here == other)

    return np.isfinite(cost) & beats(before) & beats(after)


def _without_short(walls: Walls, outlines: Outlines, matrices: np.ndarray, step: np.ndarray) -> Walls:
    """Drop walls that are too short, unless they part two parallel walls that lie apart."""
    lines = lines_of(walls, outlines, matrices)
    before, after = _around(walls.ring)
    limit = step[walls.ring]
    parts = _parallel(walls, before, after) & (_apart(walls, lines, before, after) >= limit)
    cost = np.where((lines.length < limit) & ~parts, lines.length, np.inf)
    drop = _least(cost, before, after)
    count = np.bincount(walls.ring, minlength=len(outlines.start) - 1)
    shortest = np.full(len(count), np.inf)
    np.minimum.at(shortest, walls.ring, cost)
    few = count[walls.ring] <= FEW
    drop &= ~few | (cost == shortest[walls.ring])
    drop &= count[walls.ring] > 4  # a rectangle is the least that a building is
    return walls.take(~drop)


def corners_between(walls: Walls, outlines: Outlines, matrices: np.ndarray):
    """Let neighbouring walls meet; between parallel ones a wall at right angles is put in.

    Returns
    -------
    ring : int array, shape (corners,)
    points : array, shape (corners, 2)
        Pixel coordinates, in the order of the rings.
    moved : array, shape (corners,)
        Metres from the corners of the outline for which they stand.
    """
    lines = lines_of(walls, outlines, matrices)
    _, after = _around(walls.ring)
    here = np.arange(len(after))
    ends = np.stack([outlines.points[walls.last], outlines.points[walls.first[after]]], axis=1)
    own = matrices[outlines.building[walls.ring]]
    corner = np.einsum("nij,nkj->nki", own, ends.astype(np.float64))  # (walls, 2, 2) metres
    between = corner.mean(axis=1)
    split = _parallel(walls, here, after)
    across = walls.angle + RIGHT_ANGLE
    place = -np.sin(across) * between[:, 0] + np.cos(across) * between[:, 1]
    angle_after, offset_after = walls.angle[after], lines.offset[after]
    one = _meet(
        walls.angle,
        lines.offset,
        np.where(split, across, angle_after),
        np.where(split, place, offset_after),
    )
    two = _meet(across[split], place[split], angle_after[split], offset_after[split])
    position = np.concatenate([2 * here, 2 * here[split] + 1])
    order = np.argsort(position)
    wall = np.concatenate([here, here[split]])[order]
    metres = np.concatenate([one, two])[order]
    moved = np.linalg.norm(metres[:, None] - corner[wall], axis=2).min(axis=1)
    points = apply(np.linalg.inv(own[wall]), metres) + outlines.origin[walls.ring[wall]]
    return walls.ring[wall], points, moved


def _meet(angle, offset, other_angle, other_offset) -> np.ndarray:
    """Intersections of lines, shape (n, 2)."""
    determinant = np.sin(other_angle - angle)
    x = offset * np.cos(other_angle) - other_offset * np.cos(angle)
    y = offset * np.sin(other_angle) - other_offset * np.sin(angle)
    return np.stack([x, y], axis=1) / determinant[:, None]
