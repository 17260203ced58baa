"""Probabilities of change counted by truth: everything that a threshold can make of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

BINS = 100
"""Percents of probability."""
HALF = BINS // 2


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a map says where the truth is known.

    Parameters
    ----------
    right, false, missed : int
        Changed pixels that are found, unchanged ones that are called changed, changed ones that are not.
    """

    right: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of what is called changed that is; 0 where nothing is."""
        return self.right / max(1, self.right + self.false)

    @property
    def recall(self) -> float:
        """Share of what has changed that is found; 0 where nothing has."""
        return self.right / max(1, self.right + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(1, 2 * self.right + self.false + self.missed)

    @property
    def iou(self) -> float:
        """Intersection over union of what has changed and what is called so."""
        return self.right / max(1, self.right + self.false + self.missed)


def tally(percent: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count pixels by truth and probability.

    Parameters
    ----------
    percent : numpy.ndarray
        Probabilities of change, 0 to `BINS` - 1, any shape.
    truth : numpy.ndarray
        0 unchanged, 1 changed, others are not counted; the same shape.

    Returns
    -------
    numpy.ndarray
        int64, shape (2, `BINS`).
    """
    known = truth < 2
    flat = truth[known].astype(np.int64) * BINS + percent[known]
    return np.bincount(flat, minlength=2 * BINS).reshape(2, BINS)


def found_at(counts: ArrayLike, threshold: int = HALF) -> Found:
    """Call pixels of `threshold` percent and more changed.

    >>> counts = np.zeros((2, BINS), int)
    >>> counts[0, [10, 80]], counts[1, [40, 90]] = [6, 1], [1, 2]
    >>> found_at(counts), found_at(counts, 30).f1
    (Found(right=2, false=1, missed=1), 0.8571428571428571)
    """
    unchanged, changed = np.asarray(counts)
    right = int(changed[threshold:].sum())
    return Found(right=right, false=int(unchanged[threshold:].sum()), missed=int(changed.sum()) - right)


def best_threshold(counts: np.ndarray) -> int:
    """Return the percentage of the highest F1; `HALF` where none finds anything."""
    values = [found_at(counts, threshold).f1 for threshold in range(1, BINS)]
    return int(np.argmax(values)) + 1 if max(values) > 0 else HALF
