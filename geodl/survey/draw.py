"""Points drawn at random from a map, in one pass over its rows.

Each pixel gets an exponential random number divided by its area, and the smallest of a stratum are its
points: a sample without replacement whose chances go with the area (Efraimidis and Spirakis, *Weighted
random sampling with a reservoir*, Information Processing Letters 97, 2006, doi:10.1016/j.ipl.2005.11.003).
So every point stands for the same area, also where the pixels of a map differ in size. The random
numbers follow the order of the pixels: the same seed draws the same points, however the map is read.
"""

import math
from dataclasses import dataclass

import numpy as np

from geodl.assess.classmap import ClassMap
from geodl.assess.confusion import IGNORE
from geodl.errors import OptionError
from geodl.scene.grid import pixel_size_metres
from geodl.survey.strata import Strata, ground_of, strips

DESIGNS = ("stratified", "random", "systematic")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Pixels that were drawn, in the order of their visit.

    Parameters
    ----------
    rows, columns : numpy.ndarray of int64, shape (n,)
        Where they are.
    values : numpy.ndarray of uint8, shape (n,)
        Their class in the map.
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def draw_stratified(mapped: ClassMap, points: dict[int, int], seed: int) -> Drawn:
    """Draw so many points of each class; they come in random order.

    Parameters
    ----------
    mapped : ClassMap
        Read once.
    points : dict of int to int
        Points by class value, no more than the class has pixels.
    seed : int
        Of the random numbers.
    """
    group = np.full(IGNORE + 1, -1)
    group[list(points)] = np.arange(len(points))
    return _draw(mapped, group, list(points.values()), seed)


def draw_random(mapped: ClassMap, points: int, seed: int) -> Drawn:
    """Draw points of the whole map, whatever their class; they come in random order."""
    group = np.zeros(IGNORE + 1, dtype=np.int64)
    group[IGNORE] = -1
    return _draw(mapped, group, [points], seed)


def _draw(mapped: ClassMap, group: np.ndarray, points: list[int], seed: int) -> Drawn:
    rng = np.random.default_rng(seed)
    ground = ground_of(mapped)
    # The largest key that is still of use in each group; for the last, no group at all, none is.
    limits = np.array([math.inf] * len(points) + [-math.inf])
    kept = [_Kept(count) for count in points]
    for window in strips(mapped.grid):
        values = mapped.read(window)
        keys = rng.standard_exponential(values.shape)
        with np.errstate(divide="ignore"):
            keys /= ground.rows(window.row, window.row_stop)  # off the earth: infinite, never drawn
        groups = group[values]
        rows, columns = np.nonzero(keys < limits[groups])
        for number, best in enumerate(kept):
            mine = groups[rows, columns] == number
            y, x = rows[mine], columns[mine]
            limits[number] = best.add(keys[y, x], y + window.row, x, values[y, x])
    found = [np.concatenate([getattr(best, name) for best in kept]) for name in ("rows", "columns", "values")]
    order = rng.permutation(len(found[0]))
    rows, columns, classes = (part[order] for part in found)
    return Drawn(rows=rows, columns=columns, values=classes)


class _Kept:
    """The pixels with the smallest keys so far."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._keys = np.zeros(0)
        self.rows, self.columns = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.values = np.zeros(0, np.uint8)

    def add(self, keys: np.ndarray, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> float:
        """Take what is small enough; returns the largest key that still is."""
        self._keys = np.concatenate([self._keys, keys])
        smallest = np.argsort(self._keys, kind="stable")[: self._count]
        self._keys = self._keys[smallest]
        self.rows = np.concatenate([self.rows, rows])[smallest]
        self.columns = np.concatenate([self.columns, columns])[smallest]
        self.values = np.concatenate([self.values, values])[smallest]
        if self._count == 0:
            return -math.inf
        return float(self._keys[-1]) if len(self._keys) == self._count else math.inf


def draw_systematic(mapped: ClassMap, strata: Strata, points: int, seed: int) -> Drawn:
    """Draw about so many points on a regular grid with a random start; they come row by row.

    The grid is square on the ground in the middle of the map. Where pixels differ in area from row to
    row, as in degrees, the columns are spaced so that each point stands for the same area.

    Raises
    ------
    OptionError
        No point of the grid falls on a pixel with a class.
    """
    start_row, start_column = np.random.default_rng(seed).random(2)
    size = pixel_size_metres(mapped.grid)
    assert size is not None
    cell = math.fsum(strata.areas) / points
    step = max(1.0, math.sqrt(cell) / size[1])
    wanted = np.unique((np.arange(start_row * step, mapped.grid.height, step)).astype(np.int64))
    ground = ground_of(mapped)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for window in strips(mapped.grid):
        inside = wanted[(wanted >= window.row) & (wanted < window.row_stop)]
        if not len(inside):
            continue
        values = mapped.read(window)
        for row in inside.tolist():
            area = float(ground.rows(row, row + 1).mean())
            if area <= 0:
                continue
            along = max(1.0, cell / (step * area))
            columns = np.unique(np.arange(start_column * along, mapped.grid.width, along).astype(np.int64))
            classes = values[row - window.row, columns]
            known = classes != IGNORE
            parts.append((np.full(int(known.sum()), row), columns[known], classes[known]))
    if not any(len(part[0]) for part in parts):
        raise OptionError(
            f"--n {points}", "no point of the grid falls on a class", "ask for more points or another --seed"
        )
    rows, columns, classes = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return Drawn(rows=rows, columns=columns, values=classes)
