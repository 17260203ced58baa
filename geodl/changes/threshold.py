"""Where a score of change begins to mean change: thresholds that follow from the histogram of a scene."""

from collections.abc import Callable

import numpy as np

from geodl.errors import OptionError, SceneError

_SHIFT = 13  # bits that are cut off a float32: 1024 bins for each power of two, a tenth of a percent wide
_BINS = 1 << (31 - _SHIFT)
_OUTLIERS = 1e-3  # of the pixels
_JOINED = 1000  # runs of bins between which two cuts are sought


class ScoreHistogram:
    """Counts of scores from 0 to any size, gathered piece by piece.

    Bins are as wide as a thousandth of the values in them: a few changed pixels with enormous scores take no
    room from the others, and nobody needs to know the largest score beforehand. The counts do not depend on
    how the scene was cut.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, scores: np.ndarray) -> None:
        """Count float32 scores of 0 and more; NaN, where there is no data, does not count."""
        known = np.ascontiguousarray(scores[np.isfinite(scores)], np.float32)
        bins = np.abs(known).view(np.uint32) >> _SHIFT
        self._counts += np.bincount(bins, minlength=_BINS)

    def filled(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bins that hold something: the values they stand for, and their counts."""
        found = np.flatnonzero(self._counts)
        return _edges(found), self._counts[found]


def _edges(bins: np.ndarray) -> np.ndarray:
    """Values in the middle of bins, float64; 0 for those of the first."""
    middle = (bins.astype(np.uint32) << _SHIFT) + (1 << (_SHIFT - 1))
    return np.where(bins == 0, 0.0, middle.astype(np.uint32).view(np.float32).astype(np.float64))


def otsu(values: np.ndarray, counts: np.ndarray) -> float:
    """Choose the value between two groups whose means lie apart the most.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 9, 1979, doi:10.1109/TSMC.1979.4310076.

    Parameters
    ----------
    values : numpy.ndarray
        Values of the bins, rising, shape (bins,).
    counts : numpy.ndarray
        How many pixels each holds, shape (bins,).

    >>> otsu(np.array([1.0, 2.0, 8.0, 9.0]), np.array([5, 5, 5, 5]))
    2.0
    """
    below, above, sums, total = _cumulated(values, counts)
    apart = sums / below - (total - sums) / above
    return float(values[np.argmax(below * above * apart**2)])


def otsu_of_most(values: np.ndarray, counts: np.ndarray) -> float:
    """Choose as `otsu` does, the largest thousandth of the pixels counting as much as the largest other one.

    A few glints and clouds whose scores are a hundred times those of all changes would else be a group of
    their own, and nothing else would be changed: of eight Onera cities that happens in two with IR-MAD.
    """
    return otsu(_without_outliers(values, counts), counts)


def _without_outliers(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    ranks = np.cumsum(counts)
    largest: float = values[np.searchsorted(ranks, (1 - _OUTLIERS) * ranks[-1])]
    return np.minimum(values, largest)


def otsu_of_three(values: np.ndarray, counts: np.ndarray) -> float:
    """Choose the higher of the two values between three groups whose means lie apart the most.

    Where crops and meadows differ between two dates, three groups say more than two: what is as usual, what
    differs with the season, and the rest. Of very many bins those with neighbouring values and as many
    pixels are taken together.

    >>> otsu_of_three(np.array([1.0, 2.0, 8.0, 9.0, 30.0, 31.0]), np.array([5, 5, 5, 5, 5, 5]))
    9.0
    """
    ends = _joined(counts)
    if len(ends) < 3:
        return otsu(values, counts)
    weights = np.cumsum(counts.astype(np.float64))[ends]
    sums = np.cumsum(counts * values)[ends]
    best, cut = -1.0, int(ends[1])
    for first in range(len(ends) - 2):
        below = sums[first] ** 2 / weights[first]
        middle = (sums[first + 1 : -1] - sums[first]) ** 2 / (weights[first + 1 : -1] - weights[first])
        above = (sums[-1] - sums[first + 1 : -1]) ** 2 / (weights[-1] - weights[first + 1 : -1])
        apart = below + middle + above
        place = int(np.argmax(apart))
        if apart[place] > best:
            best, cut = float(apart[place]), int(ends[first + 1 + place])
    return float(values[cut])


def otsu_of_three_of_most(values: np.ndarray, counts: np.ndarray) -> float:
    """Choose as `otsu_of_three` does, outliers counting as in `otsu_of_most`."""
    return otsu_of_three(_without_outliers(values, counts), counts)


def _joined(counts: np.ndarray) -> np.ndarray:
    """Return the last bin of each of at most `_JOINED` runs of bins with about as many pixels."""
    share = np.cumsum(counts) / counts.sum()
    number = np.minimum((share * _JOINED).astype(np.int64), _JOINED - 1)
    return np.flatnonzero(np.append(number[1:] != number[:-1], True))


def kittler_illingworth(values: np.ndarray, counts: np.ndarray) -> float:
    """Choose the value that cuts two normal distributions with the least error.

    J. Kittler and J. Illingworth, "Minimum error thresholding", Pattern Recognition 19, 1986,
    doi:10.1016/0031-3203(86)90030-0. Groups whose values are all equal have no distribution and do not count.

    >>> kittler_illingworth(np.arange(7.0), np.array([9, 90, 9, 0, 2, 4, 2]))
    2.0
    """
    below, above, sums, total = _cumulated(values, counts)
    squares = np.cumsum(counts * values**2)[:-1]
    whole = float((counts * values**2).sum())
    low = squares / below - (sums / below) ** 2
    high = (whole - squares) / above - ((total - sums) / above) ** 2
    possible = (low > 1e-12 * values[-1] ** 2) & (high > 1e-12 * values[-1] ** 2)
    if not possible.any():
        return otsu(values, counts)
    share = below / (below + above)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = share * np.log(low) + (1 - share) * np.log(high)
        cost -= 2 * (share * np.log(share) + (1 - share) * np.log1p(-share))
    return float(values[np.argmin(np.where(possible, cost, np.inf))])


def _cumulated(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Pixels up to and beyond each value but the last, the sums of the former, and of all."""
    weights = counts.astype(np.float64)
    below = np.cumsum(weights)[:-1]
    sums = np.cumsum(weights * values)
    return below, weights.sum() - below, sums[:-1], float(sums[-1])


THRESHOLDS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "otsu": otsu_of_most,
    "otsu3": otsu_of_three_of_most,
    "ki": kittler_illingworth,
}


def check_threshold(asked: str) -> None:
    """Refuse what is neither a row of `THRESHOLDS` nor a number.

    Raises
    ------
    OptionError
        It is neither.
    """
    if asked in THRESHOLDS:
        return
    try:
        number = float(asked)
    except ValueError:
        number = float("nan")
    if not 0 <= number < float("inf"):
        raise OptionError(
            f"--threshold {asked}", "is neither a method nor a score", f"use {', '.join(THRESHOLDS)}, or 2.5"
        )


def threshold_of(asked: str, histogram: ScoreHistogram) -> float:
    """Return the score beyond which pixels are changed: a number as it is, else what the method finds.

    Raises
    ------
    SceneError
        All pixels have one score: there are no two groups.
    """
    if asked not in THRESHOLDS:
        return float(asked)
    values, counts = histogram.filled()
    if len(values) < 2:
        raise SceneError(
            "the pair of dates",
            "differs alike everywhere: no threshold parts changed from unchanged",
            "check that the two files differ, or give a number: --threshold 3",
        )
    return THRESHOLDS[asked](values, counts)
