"""What a probed network is shown: noise of two kinds, and imagery that the caller cut."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from geodl.errors import MismatchError

_GRAIN = 16  # pixels; side of the blobs of smooth noise


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Inputs that can be cut to any size, scaled as the network sees them.

    Parameters
    ----------
    bands : int
        Channels.
    noise : int
        How many are noise. Every other one is smooth: white noise averages to nothing at the coarse
        levels of a network, which carry what is seen from afar.
    given : tuple of numpy.ndarray
        Imagery, each (bands, H, W).
    device : torch.device
        Where the network is.
    seed : int
        Of the noise.
    """

    bands: int
    noise: int
    given: tuple[np.ndarray, ...]
    device: torch.device
    seed: int

    def __len__(self) -> int:
        return self.noise + len(self.given)

    def cut(self, index: int, side: int) -> Tensor:
        """Return input `index` as float32 (1, bands, side, side).

        Imagery is cut around its middle, and continued by reflection where it is smaller.
        """
        if index < self.noise:
            pixels = _noise(self.bands, side, self.seed + index, smooth=index % 2 == 1)
        else:
            pixels = torch.from_numpy(_middle(self.given[index - self.noise], side))[None]
        return pixels.to(self.device)


def check_given(inputs: Sequence[np.ndarray], bands: int) -> tuple[np.ndarray, ...]:
    """Check the caller's imagery.

    Raises
    ------
    MismatchError
        An input is not (bands, H, W), or holds values that are not finite.
    """
    arrays = tuple(np.asarray(pixels) for pixels in inputs)
    for number, pixels in enumerate(arrays, start=1):
        what = f"input {number}"
        if pixels.ndim != 3 or len(pixels) != bands or 0 in pixels.shape:
            raise MismatchError(
                what, f"its shape is {pixels.shape}", f"give arrays of shape ({bands}, height, width)"
            )
        if not np.isfinite(pixels).all():
            raise MismatchError(
                what, "it holds values that are not finite", "set pixels without data to 0, the mean"
            )
    return arrays


def _noise(bands: int, side: int, seed: int, *, smooth: bool) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(1, bands, side, side, generator=generator)
    if not smooth:
        return white
    coarse = torch.randn(1, bands, *[side // _GRAIN + 2] * 2, generator=generator)
    return F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False) + 0.3 * white


def _middle(pixels: np.ndarray, side: int) -> np.ndarray:
    indices = []
    for length in pixels.shape[1:]:
        position = np.arange(side) + (length - side) // 2
        # A mirror in the middle of the first and of the last pixel repeats after 2 * (length - 1).
        period = max(2 * (length - 1), 1)
        position %= period
        indices.append(np.minimum(position, period - position) if length > 1 else position * 0)
    return np.ascontiguousarray(pixels[:, indices[0][:, None], indices[1]], dtype=np.float32)
