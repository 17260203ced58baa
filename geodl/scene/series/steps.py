"""Values at the steps of a calendar, from observations at other times. Pure numpy: each pixel by itself."""

import numpy as np


def at_steps(values: np.ndarray, observed: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate observations linearly in time.

    Before the first and after the last valid observation of a pixel the nearest one counts.

    Parameters
    ----------
    values : numpy.ndarray
        float32, shape ``(dates, bands, ...)``; an observation of which any band is NaN is not valid.
    observed : numpy.ndarray
        When they were made, in days of any epoch, ascending, shape ``(dates,)``.
    steps : numpy.ndarray
        When values are wanted, in days of the same epoch, shape ``(steps,)``.

    Returns
    -------
    values : numpy.ndarray
        float32, shape ``(steps, bands, ...)``; NaN where a pixel has no valid observation.
    gaps : numpy.ndarray
        Days from the step to the nearest valid observation, float32, shape ``(steps, ...)``; NaN likewise.

    Examples
    --------
    >>> ndvi = np.array([[[0.2]], [[np.nan]], [[0.8]]], np.float32)  # one band, one pixel
    >>> found, gaps = at_steps(ndvi, np.array([0, 10, 30]), np.array([0, 10, 20, 40]))
    >>> np.round(found.ravel().astype(float), 3).tolist(), gaps.ravel().tolist()
    ([0.2, 0.4, 0.6, 0.8], [0.0, 10.0, 10.0, 10.0])
    """
    valid = np.isfinite(values).all(axis=1)  # (dates, ...)
    earlier, later = _nearest_valid(valid)
    shape = (len(steps), *values.shape[1:])
    found = np.empty(shape, np.float32)
    gaps = np.empty((shape[0], *shape[2:]), np.float32)
    for number, day in enumerate(steps):
        upto = int(np.searchsorted(observed, day, side="right"))
        before, after = earlier[upto], later[upto]
        before, after = np.where(before < 0, after, before), np.where(after < 0, before, after)
        nothing = before < 0
        since, until = np.abs(day - observed[before]), np.abs(observed[after] - day)
        # The nearest alone where both are the same one; 0 / 0 is not asked for.
        share = np.where(before == after, 0.0, since / np.maximum(since + until, 1)).astype(np.float32)
        first, second = _taken(values, before), _taken(values, after)
        found[number] = np.where(nothing, np.float32(np.nan), first + (second - first) * share)
        gaps[number] = np.where(nothing, np.float32(np.nan), np.minimum(since, until))
    return found, gaps


def _nearest_valid(valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each position between dates the last valid one before it, and the first from it on.

    Shapes ``(dates + 1, ...)``; -1 where there is none.
    """
    dates = len(valid)
    numbers = np.arange(dates).reshape(-1, *[1] * (valid.ndim - 1))
    none = np.full((1, *valid.shape[1:]), -1)
    before = np.concatenate([none, np.maximum.accumulate(np.where(valid, numbers, -1), axis=0)])
    ahead = np.minimum.accumulate(np.where(valid, numbers, dates)[::-1], axis=0)[::-1]
    after = np.concatenate([np.where(ahead == dates, -1, ahead), none])
    return before, after


def _taken(values: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """Take for each pixel the observation of its date: ``(dates, bands, ...)`` to ``(bands, ...)``."""
    return np.take_along_axis(values, dates[None, None], axis=0)[0]
