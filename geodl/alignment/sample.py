"""A sample of the pixels of two dates, gathered in one pass from top to bottom."""

from dataclasses import dataclass

import numpy as np

from geodl.alignment.dates import Dates
from geodl.errors import SceneError
from geodl.tiles import Window

PIXELS = 500_000  # about as many pixels a sample holds, at most
_LEAST = 50  # pixels for each band


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Pixels that hold data at both dates, in physical units."""

    before: np.ndarray
    """float64 (pixels, bands)."""
    after: np.ndarray
    step: int
    """Side in pixels of the cells of the scene, of each of which one pixel was taken."""


def sample_pixels(dates: Dates, pixels: int = PIXELS) -> Sample:
    """Take one pixel of each of many equal cells of the scene; of small scenes every pixel.

    The place in a cell changes from cell to cell, so that neither rows of a field nor stripes of a sensor can
    fall in step with it; it depends on the place of the cell alone. Pixels without data at either date are
    left out.

    Raises
    ------
    SceneError
        Too few pixels hold data at both dates, or a band has one value only.
    """
    step = max(1, int(np.ceil(np.sqrt(dates.grid.height * dates.grid.width / pixels))))
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for window in dates.windows():
        rows, columns = _chosen(window, step)
        if not len(rows):
            continue
        before, after = (date[:, rows - window.row, columns - window.col] for date in dates.read(window))
        known = np.isfinite(before).all(axis=0) & np.isfinite(after).all(axis=0)
        for part, date in zip(found, (before, after), strict=True):
            part.append(date[:, known].T.astype(np.float64))
    sample = Sample(before=np.concatenate(found[0]), after=np.concatenate(found[1]), step=step)
    _refuse_poor(sample, dates)
    return sample


def _chosen(window: Window, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the chosen pixels that lie in a window."""
    cell_rows = np.arange(window.row // step, (window.row_stop - 1) // step + 1, dtype=np.uint64)
    cell_columns = np.arange(window.col // step, (window.col_stop - 1) // step + 1, dtype=np.uint64)
    place = _mixed(cell_rows[:, None] * np.uint64(0x9E3779B97F4A7C15) + _mixed(cell_columns))
    side = np.uint64(step)
    rows = cell_rows[:, None] * side + place % side
    columns = cell_columns * side + place // side % side
    rows, columns = rows.astype(np.int64), columns.astype(np.int64)
    inside = (rows >= window.row) & (rows < window.row_stop)
    inside &= (columns >= window.col) & (columns < window.col_stop)
    return rows[inside], columns[inside]


def _mixed(number: np.ndarray) -> np.ndarray:
    """Scatter numbers over 64 bits: the last steps of SplitMix64 (doi:10.1145/2714064.2660195)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def _refuse_poor(sample: Sample, dates: Dates) -> None:
    what = f"scenes {dates.before.name} and {dates.after.name}"
    least = _LEAST * len(dates.names)
    if len(sample.before) < least:
        raise SceneError(
            what,
            f"share {len(sample.before)} pixels with data, {least} are needed to compare their values",
            "give scenes that overlap more, or leave normalisation out",
        )
    for values in (sample.before, sample.after):
        flat = [name for name, one in zip(dates.names, np.ptp(values, axis=0), strict=True) if one == 0]
        if flat:
            raise SceneError(
                what, f"band {flat[0]} has one value only", "leave that band out, or normalisation"
            )
