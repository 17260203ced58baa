"""The values of the later date as the earlier one would have seen them: sun, haze and sensor evened out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from geodl.alignment.dates import dates_of
from geodl.alignment.irmad import fit_alteration
from geodl.alignment.sample import Sample, sample_pixels
from geodl.alignment.window import Pixels, as_stored, free_value, remade
from geodl.errors import OptionError, SceneError
from geodl.scene.adopt import as_scene, per_band, select_bands
from geodl.tiles import Window

METHODS = ("histogram", "pif", "irmad")
_LEVELS = 257  # quantiles of a histogram that are matched
_ENDS = 1e-3  # share of the pixels at either end that shapes no curve
_KEPT = 0.5  # share of the pixels that a trimmed fit keeps
_TURNS = 50
_SURE = 0.95  # probability of no change from which IR-MAD's pixels are fitted (Canty and Nielsen)
_LEAST_SURE = 100


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Values of the later date to those of the earlier: linear between knots, of one slope beyond them."""

    knots: tuple[float, ...]
    values: tuple[float, ...]
    slope: float

    def __call__(self, at: np.ndarray) -> np.ndarray:
        """Map values.

        >>> Curve(knots=(0.0, 1.0), values=(0.0, 2.0), slope=1.0)(np.array([-1.0, 0.5, 3.0])).tolist()
        [-1.0, 1.0, 4.0]
        """
        inner = np.interp(at, self.knots, self.values)
        beyond = np.minimum(at - self.knots[0], 0) + np.maximum(at - self.knots[-1], 0)
        return inner + self.slope * beyond


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How the bands of the later date are mapped to the earlier one."""

    method: str
    names: tuple[str, ...]
    """Of the bands."""
    curves: tuple[Curve, ...]
    """One for each band, in physical units."""
    fitted: int
    """Pixels that the curves were fitted to."""
    sampled: int
    """Pixels that were looked at."""

    def apply(self, after: xr.DataArray) -> xr.DataArray:
        """Map the values of the later date, lazily.

        Returns
        -------
        xarray.DataArray
            The bands that were fitted; dtype, units, scale, offset and grid as `after` has them, integers
            rounded. No data stays.

        Raises
        ------
        SceneError
            `after` lacks a band.
        """
        after = as_scene(after)
        has = [str(name) for name in after.coords["band"].values]
        missing = [name for name in self.names if name not in has]
        if missing:
            raise SceneError(
                f"scene {after.name}",
                f"lacks the band {', '.join(missing)}",
                "give the scene that was fitted",
            )
        after = select_bands(after, list(self.names))
        fill = free_value(after)
        recolour = Recolour(
            curves=self.curves,
            scale=tuple(map(float, per_band(after, "scale"))),
            offset=tuple(map(float, per_band(after, "offset"))),
            fill=fill if fill is not None and after.dtype.kind in "iu" else None,
        )
        return remade(after, recolour)

    def report(self) -> dict[str, Any]:
        """Say as JSON what was found: gain and offset of each band, of a curve between its quarters."""
        lines = {name: _line(curve) for name, curve in zip(self.names, self.curves, strict=True)}
        return {
            "method": self.method,
            "bands": {
                name: {"gain": round(gain, 5), "offset": round(offset, 6)}
                for name, (gain, offset) in lines.items()
            },
            "fitted": self.fitted,
            "sampled": self.sampled,
        }


def normalise(before: xr.DataArray, after: xr.DataArray, method: str = "pif") -> Normalisation:
    """Find how the values of the later date become those of the earlier one.

    One pass over the scenes gathers a sample of up to half a million pixels; the rest happens in memory.

    Parameters
    ----------
    before, after : xarray.DataArray
        Lazy scenes (band, y, x) on one grid, best after registration.
    method : str
        ``"histogram"``: the distribution of each band becomes that of the earlier date; large changes distort
        it. ``"pif"``: a gain and an offset for each band, fitted to the half of the pixels that fit best
        (least trimmed squares, P. J. Rousseeuw 1984, doi:10.1080/01621459.1984.10477105): the
        pseudo-invariant features. ``"irmad"``: a gain and an offset fitted to the pixels that IR-MAD holds
        for unchanged (M. J. Canty and A. A. Nielsen 2008, doi:10.1016/j.rse.2007.07.013).

    Returns
    -------
    Normalisation

    Raises
    ------
    SceneError
        The grids differ, no band is shared, too little data, or too few unchanged pixels.
    OptionError
        The method is unknown.
    """
    if method not in METHODS:
        raise OptionError(f"--normalise {method}", "unknown", f"use {', '.join(METHODS)}")
    dates = dates_of(before, after)
    sample = sample_pixels(dates)
    fit = {"histogram": _matched, "pif": _invariant, "irmad": _unaltered}[method]
    curves, fitted = fit(sample)
    return Normalisation(
        method=method,
        names=dates.names,
        curves=tuple(curves),
        fitted=fitted,
        sampled=len(sample.before),
    )


Fit = tuple[list[Curve], int]


def _matched(sample: Sample) -> Fit:
    shares = np.linspace(_ENDS, 1 - _ENDS, _LEVELS)
    curves = []
    for before, after in zip(sample.before.T, sample.after.T, strict=True):
        source, target = np.quantile(after, shares), np.quantile(before, shares)
        # Many pixels of one value make one knot, in the middle of the values that they become.
        knots, number = np.unique(source, return_inverse=True)
        values = np.bincount(number, weights=target) / np.bincount(number)
        slope = float(before.std() / after.std())
        curves.append(Curve(knots=tuple(knots.tolist()), values=tuple(values.tolist()), slope=slope))
    return curves, len(sample.before)


def _invariant(sample: Sample) -> Fit:
    """Trimmed fit: the pixels that fit best in all bands together, until they stay the same."""
    lines = np.array([_first_line(b, a) for b, a in zip(sample.before.T, sample.after.T, strict=True)])
    count = max(2, int(_KEPT * len(sample.before)))
    chosen = np.zeros(len(sample.before), bool)
    for _ in range(_TURNS):
        gain, offset = lines.T
        # Across the line, in units of the earlier date: errors of both dates count.
        off = (sample.before - sample.after * gain - offset) / np.sqrt(1 + gain**2)
        scale = np.maximum(np.median(np.abs(off), axis=0), 1e-12)
        distance = ((off / scale) ** 2).sum(axis=1)
        best = np.zeros(len(distance), bool)
        best[np.argsort(distance, kind="stable")[:count]] = True
        if (best == chosen).all():
            break
        chosen = best
        lines = _lines(sample, chosen.astype(float))
    return [_straight(gain, offset) for gain, offset in lines], count


def _unaltered(sample: Sample) -> Fit:
    probability = fit_alteration(sample).unchanged(sample.before.T, sample.after.T)
    sure = probability > _SURE
    if sure.sum() < _LEAST_SURE:
        raise SceneError(
            "normalisation",
            f"IR-MAD finds only {int(sure.sum())} pixels that did not change",
            "use --normalise pif, or register the dates first with --coregister shift",
        )
    lines = _lines(sample, np.where(sure, probability, 0))
    return [_straight(gain, offset) for gain, offset in lines], int(sure.sum())


def _first_line(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Gain and offset that bring median and median deviation of one to those of the other."""
    middles = float(np.median(before)), float(np.median(after))
    widths = [float(np.median(np.abs(v - m))) for v, m in zip((before, after), middles, strict=True)]
    gain = widths[0] / widths[1] if min(widths) > 0 else float(before.std() / after.std())
    return gain, middles[0] - gain * middles[1]


def _lines(sample: Sample, weights: np.ndarray) -> np.ndarray:
    """Gain and offset of each band by orthogonal regression: (bands, 2). Neither date is free of noise."""
    lines = []
    for before, after in zip(sample.before.T, sample.after.T, strict=True):
        y, x = np.average(before, weights=weights), np.average(after, weights=weights)
        yy = np.average((before - y) ** 2, weights=weights)
        xx = np.average((after - x) ** 2, weights=weights)
        xy = np.average((before - y) * (after - x), weights=weights)
        # The direction of the larger axis of the scatter, both dates scaled to the same spread first:
        # their units may differ by any factor.
        gain = float(np.sqrt(yy / xx)) if xx > 0 else 1.0
        gain = gain if xy >= 0 else -gain
        lines.append((gain, float(y - gain * x)))
    return np.array(lines)


def _straight(gain: float, offset: float) -> Curve:
    return Curve(knots=(0.0, 1.0), values=(float(offset), float(offset + gain)), slope=float(gain))


def _line(curve: Curve) -> tuple[float, float]:
    quarters = np.quantile(curve.knots, [0.25, 0.75])
    low, high = curve(quarters)
    gain = float((high - low) / (quarters[1] - quarters[0]))
    return gain, float(low - gain * quarters[0])


@dataclass(frozen=True, kw_only=True)
class Recolour:
    """Maps the values of each band by its curve."""

    curves: tuple[Curve, ...]
    scale: tuple[float, ...]
    """From stored to physical values, each band."""
    offset: tuple[float, ...]
    fill: float | None
    """The nodata value of integers, which no other pixel may get."""

    @property
    def halo(self) -> int:
        """None: pixels are seen one by one."""
        return 0

    def select(self, positions: list[int]) -> "Recolour":
        """Return the work of some bands."""
        return Recolour(
            curves=tuple(self.curves[i] for i in positions),
            scale=tuple(self.scale[i] for i in positions),
            offset=tuple(self.offset[i] for i in positions),
            fill=self.fill,
        )

    def __call__(self, sources: Sequence[Pixels], window: Window) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """Map a window."""
        (source,) = sources
        if not len(source.values):
            return source.values, source.valid
        stored = np.where(source.valid, source.values, 0).astype(np.float64)
        bands = [
            (curve(values * scale + offset) - offset) / scale
            for values, curve, scale, offset in zip(stored, self.curves, self.scale, self.offset, strict=True)
        ]
        return as_stored(np.stack(bands), source.valid, source.values.dtype, self.fill), source.valid
