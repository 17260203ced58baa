"""Boundary IoU: how well the outlines of the classes agree, whatever the size of their inside.

After Cheng, Girshick, Dollár, Berg and Kirillov, *Boundary IoU: Improving Object-Centric Image
Segmentation Evaluation* (CVPR 2021, doi:10.1109/CVPR46437.2021.01508): the intersection over union of
those pixels of a class that lie within a tolerance of its outline. As there, distances count diagonal
steps as one. Other than there, the outline runs only between known classes: the border of the scene and
of what is unknown is nobody's mistake.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from geodl.assess.confusion import IGNORE
from geodl.errors import OptionError
from geodl.scene.grid import Grid, pixel_size_metres
from geodl.tiles import Window


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Distance from the outline up to which pixels belong to it.

    Parameters
    ----------
    pixels : int
        The distance, at least 1, in pixels of the map.
    """

    pixels: int

    @classmethod
    def parse(cls, text: str, grid: Grid) -> "Tolerance":
        """Read ``"3"`` or ``"3px"`` (pixels) or ``"25m"`` (metres on the ground, to the nearest pixel).

        Raises
        ------
        OptionError
            It is neither, less than half a pixel, or in metres where the map has no CRS.
        """
        number = text.strip().removesuffix("px").removesuffix("m")
        try:
            distance = float(number)
        except ValueError:
            distance = float("nan")
        if not (np.isfinite(distance) and distance > 0):
            raise OptionError(f"--boundary {text}", "is no distance", "write for instance 3px or 25m")
        if text.strip().endswith("m"):
            size = pixel_size_metres(grid)
            if size is None:
                raise OptionError(
                    f"--boundary {text}", "the map has no CRS and so no metres", "give pixels: 3px"
                )
            distance /= float(np.sqrt(size[0] * size[1]))
        if distance < 0.5:
            raise OptionError(f"--boundary {text}", "is less than half a pixel", "give 1px or more")
        return cls(pixels=round(distance) or 1)

    def around(self, window: Window, height: int, width: int) -> Window:
        """Return the pixels on which the outlines in `window` depend."""
        reach = self.pixels
        wide = Window(
            window.row - reach, window.col - reach, window.height + 2 * reach, window.width + 2 * reach
        )
        return wide.intersect(Window(0, 0, height, width))


class BoundaryCounts:
    """Pixels near the outlines of each class in the reference, in the map, and in both."""

    def __init__(self, tolerance: Tolerance) -> None:
        self.tolerance = tolerance
        self._both = np.zeros(IGNORE, dtype=np.int64)
        self._either = np.zeros(IGNORE, dtype=np.int64)

    def add(self, reference: np.ndarray, mapped: np.ndarray, inside: tuple[slice, slice]) -> None:
        """Count one window.

        Parameters
        ----------
        reference, mapped : numpy.ndarray of uint8
            Classes in the window and `Tolerance.around` it, shape ``(y, x)``; 255 = unknown.
        inside : tuple of slice
            The window itself in these arrays.
        """
        known = (reference != IGNORE) & (mapped != IGNORE)
        of_reference = (outline(reference, self.tolerance.pixels) & known)[inside]
        of_map = (outline(mapped, self.tolerance.pixels) & known)[inside]
        reference, mapped = reference[inside], mapped[inside]
        both = _count(reference[of_reference & of_map & (reference == mapped)])
        self._both += both
        self._either += _count(reference[of_reference]) + _count(mapped[of_map]) - both

    def merge(self, other: "BoundaryCounts") -> None:
        """Add the counts of another map."""
        self._both += other._both
        self._either += other._either

    def iou(self, values: list[int]) -> np.ndarray:
        """Boundary IoU of some classes; NaN where a class has no outline."""
        both, either = self._both[values].astype(np.float64), self._either[values]
        return np.divide(both, either, out=np.full(len(values), np.nan), where=either > 0)


def outline(classes: np.ndarray, reach: int) -> np.ndarray:
    """Pixels that have another known class within `reach` rows and columns of them.

    >>> outline(np.array([[1, 1, 1, 2, 2, 255]], "u1"), 1).astype(int)
    array([[0, 0, 1, 1, 0, 0]])
    """
    size = 2 * reach + 1
    unknown = classes == IGNORE
    highest = _square(ndimage.maximum_filter1d, np.where(unknown, 0, classes), size, 0)
    lowest = _square(ndimage.minimum_filter1d, classes, size, IGNORE)  # 255 is above every class
    return ~unknown & ((highest != classes) | (lowest != classes))


def _square(extreme: Any, values: np.ndarray, size: int, fill: int) -> np.ndarray:
    for axis in (0, 1):
        values = extreme(values, size, axis=axis, mode="constant", cval=fill)
    return values


def _count(values: np.ndarray) -> np.ndarray:
    return np.bincount(values, minlength=IGNORE)[:IGNORE]
