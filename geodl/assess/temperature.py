"""Temperature scaling: one number that makes the probabilities of a network honest.

Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural Networks* (ICML 2017,
https://arxiv.org/abs/1706.04599), section 4.2: the scores are divided by the temperature that makes the
labels of a validation set most likely. Classes stay what they were; only confidences change.
"""

from collections.abc import Iterable

import numpy as np
from scipy import optimize, special

from geodl.assess.confusion import IGNORE
from geodl.assess.pixel_sample import PixelSample

LIMIT = 500_000
"""Pixels kept: the standard error of the temperature is then far below a hundredth of it."""
RANGE = (0.05, 20.0)
"""Temperatures considered; where one of the ends fits best, it is the answer."""


def fit_temperature(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], *, limit: int = LIMIT, seed: int = 0
) -> float:
    """Find the temperature that makes labels most likely.

    Parameters
    ----------
    batches : iterable of (scores, labels)
        Scores of the network before the softmax (or logarithms of probabilities), float of shape
        ``(pixels, classes)``, and class numbers, integers of shape ``(pixels,)``; other numbers than
        ``0..classes-1``, as 255 for unknown, are left out. Pixels that were not trained on.
    limit : int
        Pixels to keep in memory, drawn at random from all.
    seed : int
        Of the draw. The result depends on the order of the pixels, not on how they are batched.

    Returns
    -------
    float
        Divide scores by it before the softmax. Above 1 where the network was too sure of itself; 1
        where nothing can be said: no labelled pixel, or equal scores for all classes.

    >>> sure = np.array([[6.0, 0.0]] * 4)
    >>> labels = np.array([0, 0, 0, 1])  # right three times out of four: odds of 3 instead of e^6
    >>> round(fit_temperature([(sure, labels)]), 2)
    5.46
    """
    sample: PixelSample | None = None
    for scores, labels in batches:
        sample = sample or PixelSample(limit, min(scores.shape[1], IGNORE), seed)
        sample.add(scores, labels)
    return 1.0 if sample is None else temperature_of(sample)


def temperature_of(sample: PixelSample) -> float:
    """Find the temperature that makes the labels of a sample of scores most likely; see `fit_temperature`."""
    taken, labels = sample.taken()
    scores = taken.astype(np.float64)
    if not len(labels) or not np.ptp(scores, axis=1).any():
        return 1.0
    true = np.take_along_axis(scores, labels[:, None], axis=1)[:, 0]

    def slope(sharpness: float) -> float:
        """Differentiate the mean negative log-likelihood, which is convex in 1 / temperature."""
        expected = (special.softmax(sharpness * scores, axis=1) * scores).sum(axis=1)
        return float((expected - true).mean())

    lowest, highest = 1 / RANGE[1], 1 / RANGE[0]
    if slope(lowest) >= 0:
        return RANGE[1]
    if slope(highest) <= 0:
        return RANGE[0]
    return float(1 / optimize.brentq(slope, lowest, highest, xtol=1e-6))
