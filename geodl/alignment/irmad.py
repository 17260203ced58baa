"""Iteratively reweighted multivariate alteration detection: what changed, without labels.

A. A. Nielsen, "The regularized iteratively reweighted MAD method for change detection in multi- and
hyperspectral data", IEEE Transactions on Image Processing 16, 2007, doi:10.1109/TIP.2006.888195. The bands of
each date are combined so that the combinations correlate most (canonical correlation analysis); their
differences, the MAD variates, know nothing of gains and offsets. Squared and divided by their variances they
sum to chi-square where nothing changed; pixels are weighted by the probability of that, and all is repeated.
Beyond the paper, variances are corrected for what the weights take from unchanged pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from scipy.integrate import quad
from scipy.special import chdtrc
from scipy.stats import chi2

from geodl.alignment.dates import dates_of
from geodl.alignment.sample import Sample, sample_pixels
from geodl.alignment.window import Pixels, raster_of
from geodl.tiles import Window

_TURNS = 50
_SETTLED = 1e-3  # largest change of a correlation from one turn to the next
_LEAST_CHANGE = 1e-8  # variance of a MAD variate as a share of its largest, 2: nothing is exactly alike
_LEAST_WEIGHT = 0.1  # of the pixels: fewer are alike in everything, and the rest would all be change


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """The combinations of bands whose differences tell change.

    ``mad = (before - before_mean) @ before_weights - (after - after_mean) @ after_weights``
    """

    before_mean: tuple[float, ...]
    after_mean: tuple[float, ...]
    before_weights: tuple[tuple[float, ...], ...]
    """(bands, variates)."""
    after_weights: tuple[tuple[float, ...], ...]
    correlations: tuple[float, ...]
    """Of the variates, the largest first."""
    variances: tuple[float, ...]
    """Of the MAD variates where nothing changed."""
    turns: int

    def chi_square(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the sum of the squared, standardised MAD variates; bands come first.

        >>> still = Alteration(before_mean=(0.0,), after_mean=(0.0,), before_weights=((1.0,),),
        ...     after_weights=((1.0,),), correlations=(0.5,), variances=(1.0,), turns=1)
        >>> still.chi_square(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]])).tolist()
        [0.0, 4.0]
        """
        total = np.zeros(before.shape[1:])
        # Band by band: the sum of a pixel must not depend on how many are computed together.
        for variate, variance in enumerate(self.variances):
            difference = np.zeros(before.shape[1:])
            for band in range(len(before)):
                difference += (before[band] - self.before_mean[band]) * self.before_weights[band][variate]
                difference -= (after[band] - self.after_mean[band]) * self.after_weights[band][variate]
            total += difference**2 / variance
        return total

    def unchanged(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the probability that so much difference arises without a change; bands come first."""
        return chdtrc(len(self.correlations), self.chi_square(before, after))


def fit_alteration(sample: Sample, *, turns: int = _TURNS) -> Alteration:
    """Fit the combinations to a sample; with one turn, plain MAD without weights."""
    weights = np.ones(len(sample.before))
    found, last = None, np.zeros(sample.before.shape[1])
    for turn in range(1, turns + 1):
        found = _canonical(sample, weights, turn)
        correlations = np.array(found.correlations)
        if np.abs(correlations - last).max() < _SETTLED or 1 - correlations.min() < _LEAST_CHANGE:
            break
        last = correlations
        better = found.unchanged(sample.before.T, sample.after.T)
        if better.sum() < _LEAST_WEIGHT * len(better):
            break
        weights = better
    assert found is not None
    return found


def _canonical(sample: Sample, weights: np.ndarray, turn: int) -> Alteration:
    """Weighted canonical correlation analysis, by the singular values of the whitened cross-covariance."""
    bands = sample.before.shape[1]
    means = [np.average(date, axis=0, weights=weights) for date in (sample.before, sample.after)]
    both = np.hstack([sample.before - means[0], sample.after - means[1]])
    covariance = (both * weights[:, None]).T @ both / weights.sum()
    one, other = (_whitening(covariance[part, part]) for part in (slice(bands), slice(bands, None)))
    left, correlations, right = np.linalg.svd(one.T @ covariance[:bands, bands:] @ other)
    correlations = np.clip(correlations, 0, 1)
    variances = np.maximum(2 * (1 - correlations), 2 * _LEAST_CHANGE) / (1 if turn == 1 else _kept(bands))
    return Alteration(
        before_mean=tuple(map(float, means[0])),
        after_mean=tuple(map(float, means[1])),
        before_weights=_plain(one @ left),
        after_weights=_plain(other @ right.T),
        correlations=tuple(map(float, correlations)),
        variances=tuple(map(float, variances)),
        turns=turn,
    )


@lru_cache(maxsize=32)
def _kept(variates: int) -> float:
    """Share of the variance of unchanged pixels that is left when they are weighted by their probability.

    The weights cut their tails off too; without this, fewer pixels would pass for unchanged in each turn.
    """
    total, _ = quad(lambda z: z * chi2.pdf(z, variates) * chi2.sf(z, variates), 0, np.inf)
    return 2 * total / variates


def _whitening(covariance: np.ndarray) -> np.ndarray:
    """Return W with ``W.T @ covariance @ W = 1``; bands that others make up count for nothing."""
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = np.where(values > 1e-9 * values.max(), 1 / np.sqrt(np.maximum(values, 1e-30)), 0)
    return vectors * root / scale[:, None]


def _plain(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in matrix)


def irmad_change(before: xr.DataArray, after: xr.DataArray, *, turns: int = _TURNS) -> xr.Dataset:
    """Tell change from no change without labels, by IR-MAD.

    The combinations of bands are fitted to a sample of up to half a million pixels, gathered in one pass;
    the result is lazy.

    Parameters
    ----------
    before, after : xarray.DataArray
        Lazy scenes (band, y, x) on one grid; the bands that both have are compared.
    turns : int
        Rounds of weighting at most; 1 gives plain MAD.

    Returns
    -------
    xarray.Dataset
        ``chi_square`` and ``unchanged``, the probability that so much difference arises without a change,
        0 to 1; float32 (y, x), NaN where a date has no data. Attributes: `correlations`, `turns`, `bands`.

    Raises
    ------
    SceneError
        The grids differ, no band is shared, or too little data.
    """
    dates = dates_of(before, after)
    found = fit_alteration(sample_pixels(dates), turns=turns)
    sources = (dates.before, dates.after)
    rasters = {
        name: raster_of(
            sources, Measured(alteration=found, layer=name), "float32", float("nan"), place=dates.before
        )
        for name in ("chi_square", "unchanged")
    }
    attributes = {"correlations": found.correlations, "turns": found.turns, "bands": dates.names}
    return xr.Dataset(rasters, attrs=attributes)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One layer of the change between two dates."""

    alteration: Alteration
    layer: str

    @property
    def halo(self) -> int:
        """None: pixels are seen one by one."""
        return 0

    def select(self, positions: list[int]) -> "Measured":  # noqa: ARG002 - the result has one band
        """Return the same."""
        return self

    def __call__(self, sources: Sequence[Pixels], window: Window) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """Compute a window."""
        before, after = sources
        valid = before.valid & after.valid
        images = [np.where(valid, one.values, 0).astype(np.float64) for one in (before, after)]
        measure = self.alteration.chi_square if self.layer == "chi_square" else self.alteration.unchanged
        return measure(*images)[None], valid
