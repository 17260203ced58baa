"""Tiles as they come out of a scene, before the network sees them."""

from dataclasses import dataclass

import numpy as np

from geodl.match import Scaling


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """What the network is to see.

    Parameters
    ----------
    pixels : numpy.ndarray
        Digital numbers, shape ``(N, bands, height, width)``, any real dtype.
    valid : numpy.ndarray
        bool, shape ``(N, height, width)``; the network sees the mean of each band elsewhere.
    scaling : Scaling
        From digital numbers to what the network was trained on.
    """

    pixels: np.ndarray
    valid: np.ndarray
    scaling: Scaling

    def halves(self) -> "tuple[Tiles, Tiles]":
        """Return the first and the second half of the batch."""
        half = len(self.pixels) // 2
        first, second = (
            Tiles(pixels=self.pixels[part], valid=self.valid[part], scaling=self.scaling)
            for part in (slice(half), slice(half, None))
        )
        return first, second
