"""Squares of a pair of dates, spread over the scene: what networks are fitted to."""

from dataclasses import dataclass

import numpy as np

from geodl.alignment.dates import Dates
from geodl.errors import SceneError
from geodl.tiles import Window

SIDE = 64  # pixels of a square
_SEEN = 0.5  # share of the pixels of a square inside the scene that must hold data at both dates
_GOLDEN = 0.6180339887498949  # steps of this share of a range leave no gaps and repeat nothing


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Squares at both dates, in physical units, NaN without data and beyond the scene."""

    before: np.ndarray
    """float32 (patches, bands, side, side)."""
    after: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Where both dates hold data: bool (patches, side, side)."""
        return np.isfinite(self.before).all(axis=1) & np.isfinite(self.after).all(axis=1)


def take_patches(dates: Dates, *, most: int, around: int = 0) -> Patches:
    """Read squares that are spread evenly over the scene; of small scenes all, side by side.

    Which squares are read depends on the size of the scene alone. Those that hold little data are left out.

    Parameters
    ----------
    dates : Dates
    most : int
        Number of squares, at most.
    around : int
        Pixels by which each square of `SIDE` pixels is larger on every side.

    Raises
    ------
    SceneError
        No square holds enough data.
    """
    rows, columns = (-(-length // SIDE) for length in (dates.grid.height, dates.grid.width))
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    inner = slice(around, around + SIDE)
    for number in _spread(rows * columns, most):
        row, column = (index * SIDE for index in divmod(number, columns))
        side = SIDE + 2 * around
        pair = dates.read(Window(row - around, column - around, side, side))
        known = np.isfinite(np.concatenate(pair)[:, inner, inner]).all(axis=0)
        inside = min(SIDE, dates.grid.height - row) * min(SIDE, dates.grid.width - column)
        if known.sum() >= _SEEN * inside:
            for part, date in zip(found, pair, strict=True):
                part.append(date)
    if not found[0]:
        raise SceneError(
            f"scenes {dates.before.name} and {dates.after.name}",
            "hold too little data in common to learn from",
            "give scenes that overlap more, or use --method cva",
        )
    return Patches(before=np.stack(found[0]), after=np.stack(found[1]))


def _spread(count: int, most: int) -> list[int]:
    """Choose among so many squares in equal steps, each moved by a share of a step: no column is preferred.

    >>> _spread(4, 9), _spread(100, 4)
    ([0, 1, 2, 3], [0, 40, 55, 96])
    """
    if count <= most:
        return list(range(count))
    step = count / most
    return sorted({int((number + number * _GOLDEN % 1) * step) for number in range(most)})
