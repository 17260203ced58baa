"""The ground cut into squares, so that only the objects of one of them are in memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely

from geodl.assess.vectors.layer import Box

FEATURES_PER_CELL = 5_000
"""How many objects a square holds where they are spread evenly."""


@dataclass(frozen=True)
class Cell:
    """A rectangle in metres; its left and lower sides belong to it, the others to its neighbours."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def box(self) -> Box:
        """Left, bottom, right, top."""
        return self.left, self.bottom, self.right, self.top

    def owns(self, geometry: np.ndarray) -> np.ndarray:
        """Whether the representative point of each geometry lies in the cell; bool, shape (n,)."""
        points = shapely.point_on_surface(geometry)
        x, y = shapely.get_x(points), shapely.get_y(points)
        return (x >= self.left) & (x < self.right) & (y >= self.bottom) & (y < self.top)

    def cut(self, geometry: np.ndarray) -> np.ndarray:
        """Return the parts of polygons that lie in the cell."""
        square = shapely.box(*self.box)
        shapely.prepare(square)
        inside = shapely.covers(square, geometry)
        near = ~inside & shapely.intersects(square, geometry)
        return np.concatenate([geometry[inside], shapely.intersection(geometry[near], square)])


def cells(bounds: Box, count: int, side: float | None = None) -> Iterator[Cell]:
    """Cut a rectangle into squares, row by row.

    Parameters
    ----------
    bounds : tuple of float
        Left, bottom, right, top in metres.
    count : int
        Number of objects in it.
    side : float, optional
        Of a square in metres; by default so that it holds `FEATURES_PER_CELL`.

    >>> [cell.box for cell in cells((0, 0, 3, 2), 1, side=2)]
    [(0, 0, 2, 2), (2, 0, 4, 2)]
    """
    left, bottom, right, top = bounds
    width, height = right - left, top - bottom
    if side is None:
        side = max(
            math.sqrt(width * height * FEATURES_PER_CELL / max(count, FEATURES_PER_CELL)), 1e-3 * width
        )
        if count <= FEATURES_PER_CELL:
            side = max(width, height)
    for row in range(math.ceil(height / side)):
        for column in range(math.ceil(width / side)):
            x, y = left + column * side, bottom + row * side
            yield Cell(x, y, left + (column + 1) * side, bottom + (row + 1) * side)
