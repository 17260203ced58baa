"""Islands within a road that do not part it: cars, trees, and slits between lanes that touch now and then.

Around each of them the skeleton would run on both sides, and lanes that the mask joins here and there would
become a chain of diamonds. Roundabouts and blocks of houses are islands, too: what decides is how wide an
island is beside the roads around it, its width being the local thickness of T. Hildebrand and P. Rueegsegger,
"A new method for the model-independent assessment of thickness in three-dimensional images", Journal of
Microscopy 185 (1997) 67-75, https://doi.org/10.1046/j.1365-2818.1997.1340694.x: the largest disc that fits.
"""

import numpy as np
from scipy import ndimage

SPAN = 32
"""Rows and columns of the islands that go because they are small, at most."""

LANES = 2.0
"""Least width of the roads on both sides of an island that is filled, by its own."""


def without_islands(
    mask: np.ndarray, scale: tuple[float, float], *, smallest: int, longest: int, reach: int
) -> np.ndarray:
    """Fill the islands of a mask of roads that are small, or short and narrow beside the roads around them.

    Parameters
    ----------
    mask : bool array of shape (height, width)
        True on roads. What hangs together by its sides is one island.
    scale : tuple of float
        Width and height of a pixel.
    smallest : int
        Islands of at most so many pixels, and of at most `SPAN` rows and columns, are filled, however wide
        the roads are.
    longest : int
        Rows and columns that other islands may have at most.
    reach : int
        Pixels around the middle of an island that are looked at.

    Returns
    -------
    bool array of shape (height, width)
        No pixel depends on others that are further away than ``min(smallest, SPAN) + longest + reach``.
    """
    number, count = ndimage.label(~mask)
    size = np.bincount(number.ravel(), minlength=count + 1)
    boxes = ndimage.find_objects(number)
    sides = [max(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in boxes]
    span = np.array([longest + SPAN + 1, *sides])  # what is road is no island
    goes = (size <= smallest) & (span <= SPAN)
    filled = mask | goes[number]
    for island in np.flatnonzero(~goes & (span <= longest)).tolist():
        goes[island] = _is_narrow(filled, number, island, boxes[island - 1], scale, reach)
    return mask | goes[number]


def _is_narrow(filled, number, island: int, box: tuple[slice, slice], scale, reach: int) -> bool:
    """Whether the roads beside the middle of an island are wide enough to fill it.

    Beside its widest place other islands of the same slit may lie.
    """
    inside = number[box] == island
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=scale[::-1])
    width = 2 * float(depth.max()) - 0.5 * float(np.sqrt(scale[0] * scale[1]))  # on average: odd and even
    radius = (0.5 + LANES) * width
    if radius > reach * min(scale):
        return False
    places = np.argwhere(inside)
    nearest = np.argmin((np.square(places - places.mean(axis=0)) * np.square(scale[::-1])).sum(axis=1))
    row, column = places[nearest] + [side.start for side in box]
    top, left = max(0, row - reach), max(0, column - reach)
    around = slice(top, row + reach + 1), slice(left, column + reach + 1)
    beside_row, beside_column = np.nonzero(~filled[around] & (number[around] != island))
    distance = np.hypot((beside_column + left - column) * scale[0], (beside_row + top - row) * scale[1])
    return bool((distance > radius).all())
