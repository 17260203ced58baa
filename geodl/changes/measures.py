"""How much a pixel differs between two dates: one row of `METHODS` per way to measure it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from geodl.alignment.dates import Dates
from geodl.alignment.irmad import Alteration, fit_alteration
from geodl.alignment.sample import Sample, sample_pixels
from geodl.errors import SceneError

if TYPE_CHECKING:
    from geodl.models.bundle import Model

_NORMAL = 1.4826  # times the median of absolute deviations: the standard deviation of a normal distribution


class Measure(Protocol):
    """Measures the difference of pixels, by themselves or with what is around them."""

    @property
    def halo(self) -> int:
        """Pixels around a window that decide on those in it: a multiple of the stride."""

    @property
    def stride(self) -> int:
        """Windows must begin and end at multiples of so many pixels from the origin of the scene."""

    def squares(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return squared differences in units of those of unchanged pixels, about 1 where nothing changed.

        Dates are float64 (bands, rows, columns); pixels that are NaN at either date count for nothing.
        Returns float64 (rows, columns), of which the outer `halo` pixels mean nothing.
        """

    def report(self) -> dict[str, Any]:
        """Say as JSON what was fitted."""


class PixelByPixel:
    """What holds for measures that look at nothing around a pixel."""

    @property
    def halo(self) -> int:
        """None."""
        return 0

    @property
    def stride(self) -> int:
        """Windows may begin anywhere."""
        return 1


@dataclass(frozen=True, kw_only=True)
class ChangeVectors(PixelByPixel):
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
class AlterationSquares(PixelByPixel):
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


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a measure is fitted to."""

    dates: Dates
    model: "Model | None" = None
    """For methods that compare what a network sees."""
    kept: Path | None = None
    """Folder in which a method that takes long leaves what it has learnt, for a run that goes on."""

    @cached_property
    def sample(self) -> Sample:
        """About half a million pixels, read in one pass."""
        return sample_pixels(self.dates)

    @property
    def pair(self) -> str:
        """Names of both scenes, for errors."""
        return f"scenes {self.dates.before.name} and {self.dates.after.name}"


def _change_vectors(given: Given) -> Measure:
    differences = given.sample.after - given.sample.before
    centre = np.median(differences, axis=0)
    spread = _NORMAL * np.median(np.abs(differences - centre), axis=0)
    # More than half of the pixels differ alike: of scenes without noise, such as drawn ones.
    spread = np.where(spread > 0, spread, differences.std(axis=0))
    if not (spread > 0).any():
        raise SceneError(
            given.pair, "hold the same values at both dates", "check that the files are of two dates"
        )
    return ChangeVectors(
        names=given.dates.names,
        centre=tuple(map(float, centre)),
        weights=tuple(float(1 / one) if one > 0 else 0.0 for one in spread),
    )


def _alteration(given: Given) -> Measure:
    return AlterationSquares(names=given.dates.names, alteration=fit_alteration(given.sample))


def _features(given: Given) -> Measure:
    from geodl.changes.features import fit_features  # loads torch

    assert given.model is not None
    return fit_features(given.dates, given.model)


def _translation(given: Given) -> Measure:
    from geodl.changes.translation import fit_translation  # loads torch

    return fit_translation(given.dates, given.kept)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to measure change without labels."""

    title: str
    fit: Callable[[Given], Measure]
    needs_model: bool = False
    """It compares what the network of a model sees."""


METHODS: dict[str, Method] = {
    "cva": Method(title="Change vectors", fit=_change_vectors),
    "irmad": Method(title="IR-MAD", fit=_alteration),
    "features": Method(title="Differences of deep features", fit=_features, needs_model=True),
    "translation": Method(title="Prediction of each date from the other", fit=_translation),
}
"""Ways to measure change without labels, fitted to a part of the pixels."""


def fit_measure(
    method: str, dates: Dates, *, model: "Model | None" = None, kept: Path | None = None
) -> Measure:
    """Fit a row of `METHODS` to a pair of dates, of which it reads a part in one pass.

    Parameters
    ----------
    method : str
    dates : Dates
    model : Model, optional
        For the methods that need one; it must fit the dates.
    kept : pathlib.Path, optional
        Folder for what took long to learn: a run that was interrupted finds it there.

    Raises
    ------
    SceneError
        Too few pixels hold data at both dates, a band has one value only, or the dates do not differ.
    OptionError
        The network of the model has no features to compare.
    """
    return METHODS[method].fit(Given(dates=dates, model=model, kept=kept))
