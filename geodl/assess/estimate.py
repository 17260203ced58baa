"""Accuracy and area of classes from a sample of points, with their uncertainty.

Each point stands for a share of the area. The estimators are those for stratified sampling in Stehman,
*Estimating area and map accuracy for stratified random sampling when the strata are different from the
map classes* (International Journal of Remote Sensing 35, 2014, doi:10.1080/01431161.2014.930207). Where
the strata are the classes of the map they are those of Olofsson et al., *Good practices for estimating
area and assessing accuracy of land change* (Remote Sensing of Environment 148, 2014,
doi:10.1016/j.rse.2014.02.015), equations 1 to 11; a simple random or systematic sample is stratified
afterwards by the classes of the map, as that paper advises.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

NORMAL_95 = 1.96
"""Half the width of a 95 % interval in standard errors."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A share, 0..1, and its standard error; NaN where it cannot be told."""

    value: float
    standard_error: float

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval."""
        return NORMAL_95 * self.standard_error

    def to_dict(self, scale: float = 1.0) -> dict[str, float | None]:
        """Plain numbers for JSON: NaN becomes None; the interval ends at 0, and a share's at 1."""
        low, high = max(0.0, self.value - self.half_width), min(1.0, self.value + self.half_width)
        numbers = {"value": self.value, "standard_error": self.standard_error, "low": low, "high": high}
        known = not math.isnan(self.standard_error)
        return {
            name: _number(number * scale) if known or name == "value" else None
            for name, number in numbers.items()
        }


@dataclass(frozen=True, kw_only=True)
class SampleEstimate:
    """What a sample of points says about a map.

    Parameters
    ----------
    classes : tuple of int
        Class values, in the order of everything below.
    counts : numpy.ndarray of int64
        Points by map class (rows) and reference class (columns).
    matrix : numpy.ndarray of float64
        The same as shares of the area; they sum to 1.
    overall : Estimate
        Overall accuracy.
    users, producers, shares : tuple of Estimate
        User's and producer's accuracy of each class, and its share of the area.
    missing, single : tuple of int
        Strata without a point, of which nothing is said, and strata with one, for which nothing has a
        standard error.
    """

    classes: tuple[int, ...]
    counts: np.ndarray
    matrix: np.ndarray
    overall: Estimate
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    shares: tuple[Estimate, ...]
    missing: tuple[int, ...]
    single: tuple[int, ...]


def estimate(
    strata: np.ndarray,
    mapped: np.ndarray,
    reference: np.ndarray,
    areas: Mapping[int, float],
    classes: Sequence[int],
) -> SampleEstimate:
    """Estimate accuracies and area shares from points.

    Parameters
    ----------
    strata, mapped, reference : numpy.ndarray of int, shape (n,)
        Stratum, map class and reference class of each point.
    areas : mapping of int to float
        Area of every stratum, in any unit.
    classes : sequence of int
        All classes of `mapped` and `reference`, in the order wanted.
    """
    known, stratum = np.unique(strata, return_inverse=True)
    points = np.bincount(stratum, minlength=len(known))
    weights = np.array([areas[int(value)] for value in known], dtype=np.float64)
    sample = _Sample(stratum, points, weights / weights.sum())
    is_mapped = np.array([mapped == value for value in classes]).astype(np.float64)  # (classes, n)
    is_reference = np.array([reference == value for value in classes]).astype(np.float64)
    return SampleEstimate(
        classes=tuple(classes),
        counts=(is_mapped @ is_reference.T).astype(np.int64),
        matrix=(is_mapped * sample.worth) @ is_reference.T,
        overall=sample.share((mapped == reference).astype(np.float64)),
        users=tuple(sample.ratio(m * r, m) for m, r in zip(is_mapped, is_reference, strict=True)),
        producers=tuple(sample.ratio(m * r, r) for m, r in zip(is_mapped, is_reference, strict=True)),
        shares=tuple(sample.share(r) for r in is_reference),
        missing=tuple(value for value, area in areas.items() if area > 0 and value not in known),
        single=tuple(int(value) for value, count in zip(known, points, strict=True) if count == 1),
    )


class _Sample:
    """Points of strata whose weights sum to 1."""

    def __init__(self, stratum: np.ndarray, points: np.ndarray, weights: np.ndarray) -> None:
        self._stratum, self._points, self._weights = stratum, points, weights
        self.worth = (weights / points)[stratum]
        """Share of the area that each point stands for."""

    def share(self, values: np.ndarray) -> Estimate:
        """Estimate the mean of `values` over the area."""
        return Estimate(value=float(values @ self.worth), standard_error=math.sqrt(self._variance(values)))

    def ratio(self, above: np.ndarray, below: np.ndarray) -> Estimate:
        """Estimate the mean of `above` over that of `below` (Stehman 2014, equations 27 and 28)."""
        total = float(below @ self.worth)
        if total == 0:
            return Estimate(value=math.nan, standard_error=math.nan)
        value = float(above @ self.worth) / total
        # The variance of y - R x is that of y, plus R² that of x, less 2 R their covariance.
        return Estimate(value=value, standard_error=math.sqrt(self._variance(above - value * below)) / total)

    def _variance(self, values: np.ndarray) -> float:
        means = np.bincount(self._stratum, values) / self._points
        squares = np.bincount(self._stratum, (values - means[self._stratum]) ** 2)
        free = np.where(self._points > 1, self._points - 1, np.nan)
        return float((self._weights**2 * squares / free / self._points).sum())


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.8g}")
