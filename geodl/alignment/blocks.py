"""Shifts of many small blocks of a scene."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from geodl.alignment.correlation import chance_coherence, shift_between
from geodl.alignment.dates import Dates
from geodl.errors import SceneError
from geodl.tiles import Window

_SIDES = (
    128,
    64,
    32,
)  # pixels of a block: the largest of which two fit along the shorter side, half over each other
_TOGETHER = 1024  # pixels along each side that are read together, about
MOST = 40
"""Blocks along a side; larger scenes have gaps between them."""


@dataclass(frozen=True, kw_only=True)
class BlockShifts:
    """What the blocks of a scene say; arrays (block rows, block columns), NaN where a block says nothing."""

    rows: np.ndarray
    """Row of the middle of each row of blocks, in pixels from the upper edge of the scene."""
    columns: np.ndarray
    """Column of the middle of each column of blocks."""
    dy: np.ndarray
    dx: np.ndarray
    coherence: np.ndarray
    """0 where a block says nothing."""
    side: int
    """Pixels of a block along each side."""

    @property
    def reliable(self) -> np.ndarray:
        """Blocks whose images have more in common than chance would give."""
        return self.coherence > chance_coherence(self.side)


def measure_blocks(dates: Dates, reach: int, most: int = MOST) -> BlockShifts:
    """Measure the shift of each block, some in memory at a time; where they lie depends on the size alone.

    Raises
    ------
    SceneError
        The scene is smaller than a block.
    """
    height, width = dates.grid.height, dates.grid.width
    side = _side(min(height, width))
    if side > min(height, width):
        raise SceneError(
            f"scene {dates.before.name}",
            f"its {height} x {width} pixels are too few to measure a shift, {side} x {side} are needed",
            "give a larger scene, or leave registration out",
        )
    tops, lefts = _starts(height, side, most), _starts(width, side, most)
    found = np.full((3, len(tops), len(lefts)), np.nan)
    found[2] = 0
    for some_tops in _groups(tops, side):
        for some_lefts in _groups(lefts, side):
            window = Window(
                tops[some_tops[0]] - reach,
                lefts[some_lefts[0]] - reach,
                tops[some_tops[-1]] - tops[some_tops[0]] + side + 2 * reach,
                lefts[some_lefts[-1]] - lefts[some_lefts[0]] + side + 2 * reach,
            )
            before, after = dates.read(window)
            for i, j in product(some_tops, some_lefts):
                top, left = tops[i] - window.row, lefts[j] - window.col
                inner = before[:, top : top + side, left : left + side]
                outer = after[:, top - reach : top + side + reach, left - reach : left + side + reach]
                shift = shift_between(inner, outer, reach)
                if shift is not None:
                    found[:, i, j] = shift.dy, shift.dx, shift.coherence
    return BlockShifts(
        rows=np.array(tops) + side / 2,
        columns=np.array(lefts) + side / 2,
        dy=found[0],
        dx=found[1],
        coherence=found[2],
        side=side,
    )


def _side(shorter: int) -> int:
    return next((side for side in _SIDES if 2 * shorter >= 3 * side), _SIDES[-1])


def _starts(length: int, side: int, most: int) -> list[int]:
    """First pixels of blocks that overlap by half, or are spread evenly where those would be too many."""
    count = min(most, -(-(length - side) // (side // 2)) + 1)
    return np.rint(np.linspace(0, length - side, count)).astype(int).tolist()


def _groups(starts: list[int], side: int) -> list[list[int]]:
    """Numbers of blocks that are read together: neighbours that overlap, over not too many pixels."""
    groups = [[0]]
    for number in range(1, len(starts)):
        first, last = groups[-1][0], groups[-1][-1]
        apart = starts[number] - starts[last] > side
        if apart or starts[number] + side - starts[first] > _TOGETHER:
            groups.append([number])
        else:
            groups[-1].append(number)
    return groups
