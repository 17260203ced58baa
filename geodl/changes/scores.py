"""Scores of change of a window, and what is known where there is none."""

import numpy as np

from geodl.alignment.dates import Dates
from geodl.changes.measures import Measure
from geodl.models.spec import NODATA_CLASS
from geodl.task import NO_AFTER, NO_BEFORE, UNCHANGED
from geodl.tiles import Window


def score_window(dates: Dates, measure: Measure, window: Window, smooth: int) -> np.ndarray:
    """Return by how many times the usual difference the pixels of a window differ.

    Parameters
    ----------
    dates : Dates
    measure : Measure
    window : Window
        Inside the scene.
    smooth : int
        Side in pixels, odd, of the square around each pixel over whose valid pixels squared differences are
        averaged; 1 for each pixel alone.

    Returns
    -------
    numpy.ndarray
        float32 (rows, columns), NaN where a date holds no data.
    """
    reach = smooth // 2
    wide = Window(window.row - reach, window.col - reach, window.height + 2 * reach, window.width + 2 * reach)
    seen = _seen(wide, measure)
    before, after = (date.astype(np.float64) for date in dates.read(seen))
    inside = wide.relative_to(seen).slices
    squares = measure.squares(before, after)[inside]
    known = np.isfinite(np.concatenate([before, after])).all(axis=0)[inside]
    total = _summed(np.where(known, squares, 0), smooth)
    count = _summed(known.astype(np.float64), smooth)
    inner = known[reach : reach + window.height, reach : reach + window.width]
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=inner)
    return np.sqrt(mean).astype(np.float32)


def _seen(window: Window, measure: Measure) -> Window:
    """Return what must be read for a window: the halo around it, in whole strides from the origin."""
    spans = []
    for start, length in ((window.row, window.height), (window.col, window.width)):
        first = (start - measure.halo) // measure.stride * measure.stride
        last = -(-(start + length + measure.halo) // measure.stride) * measure.stride
        spans.append((first, last - first))
    (row, height), (col, width) = spans
    return Window(row, col, height, width)


def _summed(values: np.ndarray, side: int) -> np.ndarray:
    """Add up squares of `side` pixels; only whole ones are returned.

    Term by term: a running sum would remember where the window began.
    """
    for axis in (0, 1):
        length = values.shape[axis] - side + 1
        parts = [np.take(values, range(first, first + length), axis=axis) for first in range(side)]
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        values = total
    return values


def gap_codes(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return which date lacks data: uint8 (rows, columns), 0 where none does; dates are (bands, ...), NaN."""
    first, second = (np.isfinite(date).all(axis=0) for date in (before, after))
    codes = np.select([first & second, second, first], [UNCHANGED, NO_BEFORE, NO_AFTER], NODATA_CLASS)
    return codes.astype(np.uint8)
