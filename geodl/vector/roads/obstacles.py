"""Where a road that nobody sees may be: not through buildings, and not where nothing is known."""

from collections.abc import Mapping

import numpy as np

from geodl.vector.buildings.roles import BUILDING, BUILDING_EDGE
from geodl.vector.roads.bridge import Passable
from geodl.vector.roads.ground import Ground
from geodl.vector.source import ClassRaster

OBSTACLES = (BUILDING, BUILDING_EDGE)
"""Names of classes that no road goes through. Water is none: there are bridges, and trees hide roads."""

READ_ROWS = 256
"""Rows that are read at once, where some line is."""


def passable_ground(raster: ClassRaster, ground: Ground, names: Mapping[int, str]) -> Passable:
    """Return a function that looks at the pixels under straight lines.

    Parameters
    ----------
    raster : ClassRaster
        Read again where lines are, in the order of its rows.
    ground : Ground
        Of the raster.
    names : mapping of int to str
        Class names.
    """
    closed = [value for value, name in names.items() if name.casefold() in OBSTACLES] + [raster.nodata]

    def passable(lines: np.ndarray) -> np.ndarray:
        pixel, line = _pixels(lines, ground, raster.shape)
        result = np.ones(len(lines), bool)
        for start in np.unique(pixel[:, 1] // READ_ROWS) * READ_ROWS:
            here = pixel[:, 1] // READ_ROWS * READ_ROWS == start
            classes = raster.read(int(start), min(int(start) + READ_ROWS, raster.shape[0]))
            column, row = pixel[here].T
            result[line[here][np.isin(classes[row - start, column], closed)]] = False
        return result

    return passable


def _pixels(lines: np.ndarray, ground: Ground, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (column, row) under lines, two steps a pixel, and the numbers of the lines."""
    ends = lines / np.array(ground.scale)
    steps = np.ceil(2 * np.abs(ends[:, 1] - ends[:, 0]).max(axis=1, initial=0)).astype(np.int64) + 1
    line = np.repeat(np.arange(len(lines)), steps)
    step = np.arange(len(line)) - np.repeat(np.cumsum(steps) - steps, steps)
    share = (step / np.maximum(steps - 1, 1)[line])[:, None]
    place = np.rint(ends[line, 0] * (1 - share) + ends[line, 1] * share).astype(np.int64)
    return np.clip(place, 0, np.array([shape[1], shape[0]]) - 1), line
