"""How much a pixel differs between two dates: one row of `METHODS` per way to measure it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from geodl.alignment.dates import Dates
from geodl.alignment.irmad import Alteration, fit_alteration
from geodl.alignment.sample import Sample, sample_pixels
from geodl.errors import SceneError

_NORMAL = 1.4826  # times the median of absolute deviations: the standard deviation of a normal distribution


class Measure(Protocol):
    """Measures the difference of pixels, each by itself."""

    def squares(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return squared differences in units of those of unchanged pixels, about 1 where nothing changed.

        Dates are float64 (bands, rows, columns); what is NaN there is NaN here. Returns float64
        (rows, columns).
        """

    def report(self) -> dict[str, Any]:
        """Say as JSON what was fitted."""


@dataclass(frozen=True, kw_only=True)
class ChangeVectors:
    """The length of the vector of band differences.

    Change vector analysis: W. A. Malila, "Change vector analysis: an approach for detecting forest changes
    with Landsat", LARS Symposia 385, 1980, https://docs.lib.purdue.edu/lars_symp/385; F. Bovolo and
    L. Bruzzone, "A theoretical framework for unsupervised change detection based on change vector analysis in
    the polar domain", IEEE Transactions on Geoscience and Remote Sensing 45, 2007,
    doi:10.1109/TGRS.2006.885408. Each difference is counted from the usual one of its band and in units of
    its usual spread, so that neither the light of the day nor the band with the largest numbers decides.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    """Median difference of each band, later less earlier."""
    weights: tuple[float, ...]
    """1 / robust standard deviation of the differences; 0 for a band that differs alike everywhere."""

    def squares(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the mean over the bands of squared differences."""
        total = np.zeros(before.shape[1:])
        # Band by band: the sum of a pixel must not depend on how many are computed together.
        for band, (centre, weight) in enumerate(zip(self.centre, self.weights, strict=True)):
            total += ((after[band] - before[band] - centre) * weight) ** 2
        return total / np.count_nonzero(self.weights)

    def report(self) -> dict[str, Any]:
        """Say how each band was counted."""
        rows = zip(self.names, self.centre, self.weights, strict=True)
        return {"bands": {name: {"centre": centre, "weight": weight} for name, centre, weight in rows}}


@dataclass(frozen=True, kw_only=True)
class AlterationSquares:
    """The chi-square of `geodl.alignment.irmad`, divided by its degrees of freedom."""

    names: tuple[str, ...]
    alteration: Alteration

    def squares(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the mean over the variates of their squares."""
        return self.alteration.chi_square(before, after) / len(self.names)

    def report(self) -> dict[str, Any]:
        """Say how well the dates correlate."""
        found = self.alteration
        return {
            "bands": list(self.names),
            "correlations": list(found.correlations),
            "turns": found.turns,
        }


def _change_vectors(dates: Dates, sample: Sample) -> Measure:
    differences = sample.after - sample.before
    centre = np.median(differences, axis=0)
    spread = _NORMAL * np.median(np.abs(differences - centre), axis=0)
    # More than half of the pixels differ alike: of scenes without noise, such as drawn ones.
    spread = np.where(spread > 0, spread, differences.std(axis=0))
    if not (spread > 0).any():
        raise SceneError(
            f"scenes {dates.before.name} and {dates.after.name}",
            "hold the same values at both dates",
            "check that the files are of two dates",
        )
    return ChangeVectors(
        names=dates.names,
        centre=tuple(map(float, centre)),
        weights=tuple(float(1 / one) if one > 0 else 0.0 for one in spread),
    )


def _alteration(dates: Dates, sample: Sample) -> Measure:
    return AlterationSquares(names=dates.names, alteration=fit_alteration(sample))


METHODS: dict[str, Callable[[Dates, Sample], Measure]] = {"cva": _change_vectors, "irmad": _alteration}
"""Ways to measure change without labels, fitted to a sample of the pixels."""


def fit_measure(method: str, dates: Dates) -> Measure:
    """Fit a row of `METHODS` to a pair of dates, of which it reads about half a million pixels in one pass.

    Raises
    ------
    SceneError
        Too few pixels hold data at both dates, a band has one value only, or the dates do not differ.
    """
    return METHODS[method](dates, sample_pixels(dates))
