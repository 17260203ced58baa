"""How much of a map each class covers: pixels, and true areas."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pyproj import CRS

from geodl.assess.classmap import ClassMap
from geodl.assess.confusion import IGNORE
from geodl.errors import SceneError
from geodl.scene.grid import Grid
from geodl.tiles import Window
from geodl.vector.area import PixelAreas, measurable

_PIXELS = 2**20
"""Pixels of a strip of rows, at most: about 50 MB of work."""


@dataclass(frozen=True, kw_only=True)
class Strata:
    """The classes of a map as strata of a sample.

    Parameters
    ----------
    values : tuple of int
        Classes that occur, in ascending order.
    names : tuple of str
        One name per class.
    pixels : tuple of int
        Pixels of each class.
    areas : tuple of float
        True area of each class, in m².
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    pixels: tuple[int, ...]
    areas: tuple[float, ...]

    @property
    def shares(self) -> list[float]:
        """Share of the area of each class."""
        total = math.fsum(self.areas)
        return [area / total for area in self.areas]


def measure_strata(mapped: ClassMap) -> Strata:
    """Count the pixels of each class and measure their area, strip by strip.

    Raises
    ------
    SceneError
        The map has no CRS, cannot be read, or holds no class.
    """
    pixels, areas = np.zeros(IGNORE + 1, np.int64), np.zeros(IGNORE + 1)
    ground = ground_of(mapped)
    for window in strips(mapped.grid):
        values = mapped.read(window)
        area = np.broadcast_to(ground.rows(window.row, window.row_stop), values.shape)
        pixels += np.bincount(values.ravel(), minlength=IGNORE + 1)
        areas += np.bincount(values.ravel(), area.ravel(), minlength=IGNORE + 1)
    occurring = [value for value in range(IGNORE) if pixels[value] and areas[value] > 0]
    if not occurring:
        raise SceneError(f"map {mapped.path}", "no pixel has a class", "give a map of classes 0 to 254")
    return Strata(
        values=tuple(occurring),
        names=tuple(mapped.name(value) for value in occurring),
        pixels=tuple(int(pixels[value]) for value in occurring),
        areas=tuple(float(areas[value]) for value in occurring),
    )


def strips(grid: Grid) -> Iterator[Window]:
    """Whole rows that cover a raster from top to bottom, a bounded number of pixels at a time."""
    rows = max(1, _PIXELS // grid.width)
    for row in range(0, grid.height, rows):
        yield Window(row, 0, min(rows, grid.height - row), grid.width)


class Ground:
    """True areas of the pixels of a raster.

    Parameters
    ----------
    grid : Grid
        With a CRS.
    """

    def __init__(self, grid: Grid) -> None:
        assert grid.crs is not None
        crs = CRS.from_wkt(grid.crs.to_wkt())
        upright = grid.transform.b == 0 and grid.transform.d == 0
        # Along a parallel all pixels are alike.
        width = 1 if crs.is_geographic and upright else grid.width
        self._measured = PixelAreas(crs, grid.transform, (grid.height, width)) if measurable(crs) else None
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        self._nominal = abs(grid.transform.determinant) * unit**2

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Areas in m², float64, shape ``(rows, width)`` or what broadcasts to it; 0 off the earth."""
        if self._measured is None:
            return np.full((stop - start, 1), self._nominal)
        return np.nan_to_num(self._measured.rows(start, stop), nan=0.0)


def ground_of(mapped: ClassMap) -> Ground:
    """Return the areas of a map's pixels.

    Raises
    ------
    SceneError
        The map has no CRS.
    """
    if mapped.grid.crs is None:
        raise SceneError(
            f"map {mapped.path}", "has no CRS, so that nothing has an area", "georeference it first"
        )
    return Ground(mapped.grid)
