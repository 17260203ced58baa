"""Standard scores: what the bands of a scene are in its own terms, whatever sun, haze or sensor it had."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from geodl.ahead import ahead
from geodl.errors import SceneError
from geodl.pixels import slab_rows
from geodl.scene import valid_mask

_EXACT = 2  # bytes of integers whose squares add up in 64 bits


class Moments:
    """Number, mean and standard deviation of each band, gathered part by part.

    Of integers of up to 16 bits the sums are exact, so that parts in any order give the same to the bit.

    Parameters
    ----------
    bands : int
        Number of bands.

    >>> moments = Moments(1)
    >>> moments.add(np.array([[[1, 3, 9]]], np.uint8), np.array([[True, True, False]]))
    >>> moments.mean.tolist(), moments.std.tolist()
    ([2.0], [1.0])
    """

    def __init__(self, bands: int) -> None:
        self.count = 0
        self._sums: list[float] = [0] * bands
        self._squares: list[float] = [0] * bands

    def add(self, values: np.ndarray, valid: np.ndarray) -> None:
        """Count the valid pixels of a part: shapes (bands, y, x) and bool (y, x)."""
        exact = values.dtype.kind in "iu" and values.dtype.itemsize <= _EXACT
        self.count += int(np.count_nonzero(valid))
        for number, band in enumerate(values):
            # One band at a time: the wide copy of all would take more memory than the scene's rows.
            wide = band[valid].astype(np.int64 if exact else np.float64)
            self._sums[number] += wide.sum().item()
            self._squares[number] += (wide * wide).sum().item()

    @property
    def mean(self) -> np.ndarray:
        """Of each band; float64."""
        return np.array([total / max(1, self.count) for total in self._sums], np.float64)

    @property
    def std(self) -> np.ndarray:
        """Of each band; float64, 1 for a constant band, which says nothing."""
        square = np.array([total / max(1, self.count) for total in self._squares], np.float64)
        mean, variance = self.mean, square - self.mean**2
        # Dividing a constant band by its rounding errors would make noise of it.
        constant = variance <= 1e-12 * np.maximum(mean**2, 1e-12)
        return np.sqrt(np.where(constant, 1.0, variance))


def standardised(scene: xr.DataArray) -> xr.DataArray:
    """Describe a scene so that ``value * scale + offset`` are standard scores within the scene.

    A standard score is the distance of a value from the mean of its band over all valid pixels of the
    scene, in standard deviations of the band. One pass over the whole scene finds them, in slabs of whole
    rows that do not depend on how the work is cut up later.

    Parameters
    ----------
    scene : xarray.DataArray
        Lazy, dims (band, y, x), in any units: standard scores are the same in all of them.

    Returns
    -------
    xarray.DataArray
        The same lazy pixels; the attributes `scale` and `offset` have one entry per band, and `units` is
        ``"z_score"``.

    Raises
    ------
    SceneError
        No pixel of the scene is valid.
    """
    moments = Moments(scene.sizes["band"])
    with ahead(_slabs(scene)) as slabs:
        for values, valid in slabs:
            moments.add(values, valid)
    if not moments.count:
        raise SceneError(
            f"scene {scene.name}",
            "holds no valid pixel",
            "give a scene with data, or another nodata value: geodl info SCENE says what counts as no data",
        )
    scale, offset = scores_of(moments)
    return scene.assign_attrs(scale=scale, offset=offset, units="z_score")


def scores_of(moments: Moments) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and offset of each band that make standard scores of its values."""
    scale = 1 / moments.std
    return tuple(scale.tolist()), tuple((-moments.mean * scale).tolist())


def _slabs(scene: xr.DataArray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Decode a scene from top to bottom: values (bands, y, x) and what of them is valid, bool (y, x)."""
    step, height = slab_rows(scene), scene.sizes["y"]
    for top in range(0, height, step):
        part = scene.isel(y=slice(top, min(top + step, height))).compute(scheduler="synchronous")
        yield part.values, valid_mask(part).values
