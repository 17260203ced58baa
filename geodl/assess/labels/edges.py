"""The rim of things as a class of its own, which keeps apart what touches.

The idea is that of the borders in U-Net (Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597) and of
the winners of the SpaceNet building challenges: a network that has to draw the outline of each house does
not let rows of houses run together.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from geodl.assess.labels.codes import IGNORE, FeatureLabels
from geodl.tiles import Window


class EdgedLabels:
    """Labels in which the inner rim of one class has become another class.

    A pixel belongs to the rim where another feature, or another known class, lies within `pixels` of it
    along rows and columns. The border of the scene and unknown ground are no outlines: what is cut there
    goes on, for all that is known.

    Parameters
    ----------
    labels : FeatureLabels
        Where the classes come from.
    shape : sequence of int
        Rows and columns of the scene.
    of, into : int
        Code of the class, and of its rim.
    pixels : int
        Width of the rim.
    """

    def __init__(
        self, labels: FeatureLabels, shape: Sequence[int], *, of: int, into: int, pixels: int
    ) -> None:
        self._labels, self._scene = labels, Window(0, 0, shape[0], shape[1])
        self._of, self._into, self._pixels = of, into, pixels

    def read(self, window: Window) -> np.ndarray:
        """Return uint8 codes of shape ``(height, width)``; 255 where nothing is known."""
        reach = self._pixels
        around = Window(
            window.row - reach, window.col - reach, window.height + 2 * reach, window.width + 2 * reach
        ).intersect(self._scene)
        codes = self._labels.read(around)
        inside = codes == self._of
        if inside.any():
            codes = np.where(
                inside & self._beside_another(around, codes, inside), np.uint8(self._into), codes
            )
        return codes[window.relative_to(around).slices]

    def _beside_another(self, window: Window, codes: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Mark pixels of the class near a pixel of another feature or class; bool, like `codes`."""
        thing = np.where(inside, self._labels.features(window).astype(np.int32) + 1, 0)
        limits, unknown = np.iinfo(np.int32), codes == IGNORE
        side = 2 * self._pixels + 1
        highest = maximum_filter(np.where(unknown, limits.min, thing), size=side, mode="nearest")
        lowest = minimum_filter(np.where(unknown, limits.max, thing), size=side, mode="nearest")
        return (highest != thing) | (lowest != thing)
