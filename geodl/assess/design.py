"""How many points an accuracy assessment needs, and how to share them out among classes.

After Olofsson, Foody, Herold, Stehman, Woodcock and Wulder, *Good practices for estimating area and
assessing accuracy of land change* (Remote Sensing of Environment 148, 2014,
doi:10.1016/j.rse.2014.02.015), section 5.1, and Cochran, *Sampling Techniques* (3rd ed., 1977), chapter 5.
"""

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from geodl.errors import OptionError

ALLOCATIONS = ("mixed", "proportional", "equal", "neyman")
ENOUGH = 50
"""Points that a rare class should have (Olofsson et al. 2014, section 5.1.2)."""
FEWEST = 2
"""Points without which a class has no standard error."""


def required_points(shares: Sequence[float], expected: Sequence[float], standard_error: float) -> int:
    """Points for a wanted standard error of the overall accuracy (Cochran 1977, equation 5.25).

    Parameters
    ----------
    shares : sequence of float
        Share of the area of each class; they sum to 1.
    expected : sequence of float
        User's accuracy, 0..1, that each class is expected to have.
    standard_error : float
        What is wanted, above 0; a 95 % interval is 1.96 times as wide on either side.

    >>> required_points([0.02, 0.015, 0.32, 0.645], [0.7, 0.6, 0.9, 0.95], 0.01)
    641
    """
    spread = float(np.dot(shares, _deviations(expected)))
    return max(1, int(np.ceil((spread / standard_error) ** 2)))


def allocate(
    points: int,
    shares: Sequence[float],
    pixels: Sequence[int],
    *,
    method: str = "mixed",
    minimum: int | None = None,
    expected: Sequence[float] | None = None,
) -> list[int]:
    """Share points out among classes.

    Parameters
    ----------
    points : int
        All of them.
    shares : sequence of float
        Share of the area of each class.
    pixels : sequence of int
        Pixels of each class: it cannot have more points.
    method : {"mixed", "proportional", "equal", "neyman"}
        ``proportional`` to the area; ``equal``; ``neyman`` in proportion to area and expected standard
        deviation, best for the overall accuracy; ``mixed`` proportional to the area with enough points
        for rare classes.
    minimum : int, optional
        Points that every class gets; by default 2, and with ``mixed`` 50 or what half the points allow.
    expected : sequence of float, optional
        Expected user's accuracies, for ``neyman``.

    Returns
    -------
    list of int
        Points of each class; they sum to `points`.

    Raises
    ------
    OptionError
        There are too few points for the minimum, more points than pixels, or the method is unknown.

    >>> allocate(640, [0.02, 0.015, 0.32, 0.645], [200_000, 150_000, 3_200_000, 6_450_000], minimum=75)
    [75, 75, 162, 328]
    """
    if method not in ALLOCATIONS:
        raise OptionError(f"--allocation {method}", "is unknown", f"use {', '.join(ALLOCATIONS)}")
    if minimum is None:
        minimum = max(FEWEST, min(ENOUGH, points // (2 * len(shares)))) if method == "mixed" else FEWEST
    most = np.asarray(pixels, dtype=np.float64)
    least = np.minimum(minimum, most)
    if least.sum() > points:
        raise OptionError(
            f"--n {points}",
            f"{len(shares)} classes with {minimum} points each need {int(least.sum())}",
            "ask for more points or a smaller --min-per-class",
        )
    if most.sum() < points:
        raise OptionError(
            f"--n {points}", f"the map has {int(most.sum())} pixels with a class", "ask for fewer points"
        )
    weights = np.asarray(shares, dtype=np.float64)
    if method == "equal":
        weights = np.ones(len(shares))
    elif method == "neyman":
        weights = weights * _deviations([0.8] * len(shares) if expected is None else expected)
    weights = np.maximum(weights, 1e-9 * max(float(weights.max()), 1e-9))
    return _rounded(_fill(points, weights, least, most), points)


def _deviations(accuracies: Sequence[float]) -> np.ndarray:
    values = np.asarray(accuracies, dtype=np.float64)
    return np.sqrt(values * (1 - values))


def _fill(points: int, weights: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Shares in proportion to weights where the limits let them be; they sum to `points`."""

    def excess(level: float) -> float:
        return float(np.clip(np.exp(level) * weights, least, most).sum() - points)

    # Beyond these levels every class is at a limit, where the sums bracket the number of points.
    low = float(np.log(np.min(np.maximum(least, 0.5) / weights))) - 1
    high = float(np.log(np.max(most / weights))) + 1
    if excess(low) >= 0:
        return least
    level = optimize.brentq(excess, low, high, xtol=1e-12) if excess(high) > 0 else high
    return np.clip(np.exp(level) * weights, least, most)


def _rounded(shares: np.ndarray, points: int) -> list[int]:
    """Round to whole numbers with the same sum: the largest remainders are rounded up."""
    whole = np.floor(shares + 1e-6).astype(np.int64)
    largest = np.argsort(whole - shares, kind="stable")
    whole[largest[: points - int(whole.sum())]] += 1
    return whole.tolist()
