"""Where outlines of pixel regions turn, in pixel coordinates (x right, y down, integers at pixel corners).

The boundary of a region turns only at corners where the four pixels around decide it, so corners are
found locally and any raster can be cut anywhere without a trace in the result.
"""

from dataclasses import dataclass

import numpy as np

from geodl.vector.coverage import DROPPED, KEPT

# How the boundary leaves a corner: its horizontal edge to the RIGHT or left, its vertical edge DOWN or up,
# and whether the quadrant between them is outside the region (CONCAVE) or inside. Where outlines are
# simplified, also whether the corner goes (LEFT_OUT), and points that stay although the boundary runs
# straight on through them (STRAIGHT).
RIGHT, DOWN, CONCAVE, STRAIGHT, LEFT_OUT = 1, 2, 4, 8, 16


@dataclass(frozen=True, kw_only=True)
class Corners:
    """Turning corners of regions; every array has shape (n,)."""

    region: np.ndarray
    """Number of the region that turns here: integers >= 0."""

    x: np.ndarray
    y: np.ndarray
    code: np.ndarray
    """Sum of `RIGHT`, `DOWN`, `CONCAVE`, `STRAIGHT` and `LEFT_OUT`: uint8."""

    def __len__(self) -> int:
        return len(self.region)

    def take(self, index: np.ndarray) -> "Corners":
        """Return those at `index`, which is a mask or holds positions."""
        return Corners(region=self.region[index], x=self.x[index], y=self.y[index], code=self.code[index])


def find_corners(
    classes: np.ndarray,
    regions: np.ndarray,
    nodata: int,
    first_row: int,
    marks: np.ndarray | None = None,
) -> Corners:
    """Find the turning corners between the rows of a strip.

    Parameters
    ----------
    classes : array, shape (rows + 1, columns)
        Class values; neighbours of equal class belong to one region.
    regions : int array, shape (rows + 1, columns)
        Region of each pixel; not read where `classes` is `nodata`.
    nodata : int
        Class value of pixels that belong to no region.
    first_row : int
        The y of the corners between the first two rows.
    marks : uint8 array, shape (rows, columns + 1), optional
        What `geodl.vector.coverage.mark_vertices` says of the grid points of these corner rows, where
        outlines are simplified.

    Returns
    -------
    Corners
        Those of the `rows` corner rows that have pixels on both sides, in no particular order.
    """
    sides = ((0, 0), (1, 1))
    classes = np.pad(classes, sides, constant_values=nodata)
    regions = np.pad(regions, sides)
    above, below = classes[:-1], classes[1:]
    differs_across = above != below
    differs_along = classes[:, :-1] != classes[:, 1:]
    turns = (differs_across[:, :-1] | differs_across[:, 1:]) & (differs_along[:-1] | differs_along[1:])
    row, column = np.divmod(np.flatnonzero(turns), turns.shape[1])

    parts = []
    for code in range(4):
        right, down = code & RIGHT, code // DOWN
        at = (row + down, column + right)
        diagonal = (row + 1 - down, column + 1 - right)
        here, across = classes[at], classes[row + 1 - down, column + right]
        along, opposite = classes[row + down, column + 1 - right], classes[diagonal]
        # Two diagonal pixels of one region are two convex corners: the region never joins at a point.
        convex = (here != nodata) & (here != across) & (here != along)
        concave = (opposite != nodata) & (here != opposite) & (across == opposite) & (along == opposite)
        for mask, (r, c), kind in ((convex, at, code), (concave, diagonal, code | CONCAVE)):
            kinds = np.full(np.count_nonzero(mask), kind, np.uint8)
            if marks is not None:
                kinds[marks[row[mask], column[mask]] == DROPPED] |= LEFT_OUT
            parts.append((regions[r[mask], c[mask]], column[mask], row[mask] + first_row, kinds))
    if marks is not None:
        parts += _straight_points(classes, regions, nodata, first_row, marks)
    region, x, y, codes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Corners(region=region, x=x.astype(np.int32), y=y.astype(np.int32), code=codes)


def _straight_points(classes, regions, nodata: int, first_row: int, marks: np.ndarray) -> list[tuple]:
    """Find the kept points at which the boundary of a region runs straight on: pixels are padded by columns.

    Their code is `STRAIGHT`, with `DOWN` where the boundary runs along a column.
    """
    row, column = np.divmod(np.flatnonzero(marks == KEPT), marks.shape[1])
    upper_left, upper_right = (row, column), (row, column + 1)
    lower_left, lower_right = (row + 1, column), (row + 1, column + 1)
    parts = []
    for one, other, beyond, code in (
        (upper_left, upper_right, (lower_left, lower_right), STRAIGHT),
        (lower_left, lower_right, (upper_left, upper_right), STRAIGHT),
        (upper_left, lower_left, (upper_right, lower_right), STRAIGHT | DOWN),
        (upper_right, lower_right, (upper_left, lower_left), STRAIGHT | DOWN),
    ):
        here = classes[one]
        on = (here != nodata) & (here == classes[other])
        on &= (classes[beyond[0]] != here) & (classes[beyond[1]] != here)
        codes = np.full(np.count_nonzero(on), code, np.uint8)
        parts.append((regions[one][on], column[on], row[on] + first_row, codes))
    return parts
