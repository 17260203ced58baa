"""Changes that a small shift explains, taken back.

Between two dates that lie a fraction of a pixel apart, every edge seems to change. A change counts as real
only if no pixel near the same place at the other date looks like it, seen from either date: local
coregistration adjustment (J. Theiler and B. Wohlberg, IEEE Transactions on Geoscience and Remote Sensing 50,
2012, doi:10.1109/TGRS.2011.2179942).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from geodl.alignment.dates import Dates, dates_of, refuse_other_grid
from geodl.alignment.sample import sample_pixels
from geodl.alignment.window import Pixels, raster_of
from geodl.errors import OptionError, SceneError
from geodl.tiles import Window

MOST = 5  # pixels
TOLERANCE = 2.0  # standard deviations
_UNCHANGED, _KEPT = 0, (253, 254, 255)  # of change maps: no change, and no data at one date or at both


def tolerant_distance(
    before: xr.DataArray, after: xr.DataArray, k: int, *, scale: Sequence[float] | None = None
) -> xr.DataArray:
    """Measure the difference of two dates that no shift of up to `k` pixels explains.

    Parameters
    ----------
    before, after : xarray.DataArray
        Lazy scenes (band, y, x) on one grid.
    k : int
        Pixels, 0 to 5, across and down; 0 compares each pixel with its own place alone.
    scale : sequence of float, optional
        Difference that counts as one, for each band that both have; by default the robust standard
        deviation of the differences of a sample of the scene.

    Returns
    -------
    xarray.DataArray
        float32 (y, x), lazy: root of the mean squared difference of the bands, each in units of its scale;
        the larger of the smallest such difference of a pixel before from the pixels within `k` after, and of
        the pixel after from those before. NaN where a date has no data.

    Raises
    ------
    SceneError
        The grids differ, or no band is shared.
    OptionError
        `k` is out of range.
    """
    _refuse_reach(k)
    dates = dates_of(before, after)
    if scale is None:
        scale = _usual_difference(dates)
    work = Tolerant(reach=k, scale=tuple(map(float, scale)))
    result = raster_of((dates.before, dates.after), work, "float32", float("nan"), place=dates.before)
    return result.rename("tolerant_distance")


def suppress_shift(
    changed: xr.DataArray,
    before: xr.DataArray,
    after: xr.DataArray,
    k: int = 1,
    *,
    tolerance: float = TOLERANCE,
    unchanged: int = _UNCHANGED,
    kept: Sequence[int] = _KEPT,
) -> xr.DataArray:
    """Take back changes that a shift of up to `k` pixels explains.

    Parameters
    ----------
    changed : xarray.DataArray
        Integer change map (y, x) on the grid of the scenes, lazy or in memory.
    before, after : xarray.DataArray
        Lazy scenes (band, y, x) on one grid.
    k : int
        Pixels, 1 to 5. Real changes narrower than that may vanish too if their surroundings look like them.
    tolerance : float
        Difference, in robust standard deviations of the differences over the scene, up to which a shift
        explains a change.
    unchanged : int
        Value of pixels without change.
    kept : sequence of int
        Values that are never replaced: those for no data.

    Returns
    -------
    xarray.DataArray
        As `changed`, lazy, with `unchanged` in the place of the changes that are explained.

    Raises
    ------
    SceneError
        The grids differ, or no band is shared.
    OptionError
        `k` or `tolerance` is out of range.
    """
    _refuse_reach(k, least=1)
    if not 0 < tolerance < float("inf"):
        raise OptionError(f"tolerance {tolerance}", "is not positive", f"give {TOLERANCE:g}, for example")
    distance = tolerant_distance(before, after, k)
    if changed.dims != ("y", "x") or changed.dtype.kind not in "iu":
        raise SceneError(
            f"change map {changed.name}",
            f"holds {changed.dtype} with the dimensions {changed.dims}",
            "give an integer raster (y, x)",
        )
    refuse_other_grid(dates_of(before, after).grid, changed.expand_dims("band"), str(before.name))
    # By position: coordinates of one grid may be rounded differently.
    explained = (distance.variable <= tolerance) & ~_any_of(changed.variable, [unchanged, *kept])
    values = changed.variable.where(~explained, changed.dtype.type(unchanged)).astype(changed.dtype)
    result = changed.copy(data=values.data)
    result.encoding = dict(changed.encoding)
    return result


def shift_filter(dates: Dates, k: int) -> "ShiftFilter":
    """Prepare what `suppress_shift` does for windows that are read one by one; looks at a sample now.

    Raises
    ------
    OptionError
        `k` is no number of pixels from 1 to 5.
    SceneError
        Too little data in common.
    """
    _refuse_reach(k, least=1)
    return ShiftFilter(dates=dates, work=Tolerant(reach=k, scale=_usual_difference(dates)))


@dataclass(frozen=True, kw_only=True)
class ShiftFilter:
    """Takes back changes that a small shift explains; `shift_filter` makes one."""

    dates: Dates
    work: "Tolerant"

    def __call__(self, classes: np.ndarray, window: Window) -> np.ndarray:
        """Return the values of a change map in a window (rows, columns), 0 where a shift explains a change.

        Windows do not depend on each other.
        """
        changed = ~np.isin(classes, (_UNCHANGED, *_KEPT))
        if not changed.any():
            return classes
        reach = self.work.reach
        height, width = window.height + 2 * reach, window.width + 2 * reach
        around = Window(window.row - reach, window.col - reach, height, width)
        pixels = [
            Pixels(values=date, valid=np.isfinite(date).all(axis=0), origin=(around.row, around.col))
            for date in self.dates.read(around)
        ]
        distance, _ = self.work(pixels, window)
        return np.where(changed & (distance[0] <= TOLERANCE), _UNCHANGED, classes).astype(classes.dtype)


@dataclass(frozen=True, kw_only=True)
class Tolerant:
    """The distance of the spectra of two dates, with shifts of up to `reach` pixels allowed."""

    reach: int
    scale: tuple[float, ...]

    @property
    def halo(self) -> int:
        """As far as shifts go."""
        return self.reach

    def select(self, positions: list[int]) -> "Tolerant":  # noqa: ARG002 - the result has one band
        """Return the same."""
        return self

    def __call__(self, sources: Sequence[Pixels], window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Compute a window."""
        scale = np.array(self.scale, np.float32)[:, None, None]
        before, after = (_grown(pixels, window, self.reach) / scale for pixels in sources)
        here = slice(self.reach, self.reach + window.height), slice(self.reach, self.reach + window.width)
        one = _smallest(before[(slice(None), *here)], after, self._shifts())
        other = _smallest(after[(slice(None), *here)], before, self._shifts())
        distance = np.maximum(one, other)
        return distance[None], np.isfinite(distance)

    def _shifts(self) -> Iterator[tuple[int, int]]:
        for down in range(2 * self.reach + 1):
            for across in range(2 * self.reach + 1):
                yield down, across


def _grown(pixels: Pixels, window: Window, reach: int) -> np.ndarray:
    """Return the pixels of a window and `reach` around it, NaN beyond the scene."""
    bands, height, width = pixels.values.shape
    out = np.full((bands, window.height + 2 * reach, window.width + 2 * reach), np.nan, np.float32)
    top, left = pixels.origin[0] - window.row + reach, pixels.origin[1] - window.col + reach
    out[:, top : top + height, left : left + width] = pixels.values
    return out


def _smallest(still: np.ndarray, moved: np.ndarray, shifts: Iterator[tuple[int, int]]) -> np.ndarray:
    """Smallest distance of each pixel from those around it at the other date; NaN where it has no data."""
    height, width = still.shape[1:]
    smallest = np.full((height, width), np.inf, np.float32)
    for down, across in shifts:
        squared = np.zeros((height, width), np.float32)
        for one, other in zip(still, moved, strict=True):
            squared += (one - other[down : down + height, across : across + width]) ** 2
        smallest = np.fmin(smallest, squared)
    smallest = np.sqrt(smallest / len(still))
    return np.where(np.isfinite(still).all(axis=0) & np.isfinite(smallest), smallest, np.nan)


def _usual_difference(dates: Dates) -> tuple[float, ...]:
    sample = sample_pixels(dates)
    difference = sample.after - sample.before
    difference -= np.median(difference, axis=0)
    scale = 1.4826 * np.median(np.abs(difference), axis=0)
    # A band that did not change at all tells changes by any difference.
    return tuple(float(max(one, 1e-6)) for one in scale)


def _any_of(values: xr.Variable, wanted: Sequence[int]) -> xr.Variable:
    found = values == wanted[0]
    for one in wanted[1:]:
        found = found | (values == one)
    return found


def _refuse_reach(k: int, *, least: int = 0) -> None:
    if not least <= k <= MOST:
        raise OptionError(f"k {k}", f"is no number of pixels from {least} to {MOST}", "give 1, for example")
