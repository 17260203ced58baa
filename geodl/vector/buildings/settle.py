"""Shapes of neighbours side by side: no two of them overlap.

Each building was drawn by itself, so walls that two of them share lie a little apart or a little over each
other. What overlaps goes to the larger building. The rules look at a building and those it meets only, in
a fixed order of all buildings, so the result depends on neighbours and not on what was done first.
"""

from dataclasses import dataclass

import numpy as np
import shapely

from geodl.vector.buildings.shapes import GRID, LEAST_AGREEMENT, agreement

TOO_MUCH = 0.03
"""A shape that covers a larger share of another building's pixels is given up."""

NOTHING = 100 * GRID  # square pixels: what rounding leaves along a long wall


def respectful(raw: np.ndarray, shape: np.ndarray, which: np.ndarray | None = None) -> np.ndarray:
    """Tell which shapes leave other buildings their pixels: bool, shape (n,) or that of `which`.

    Parameters
    ----------
    raw, shape : array of Polygon, shape (n,)
        Exact outlines of the buildings, which do not overlap, and their shapes.
    which : int array, optional
        The buildings that are asked for, ascending; by default all.
    """
    which = np.arange(len(raw)) if which is None else which
    return ~np.isin(which, _intruders(raw, shape, which)[0])


def yielding(raw: np.ndarray, shape: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Take the pixels of other buildings away from the shapes that are not `respectful`; arguments as there.

    Where too little would be left of a building it has its exact outline.
    """
    one, other = _intruders(raw, shape, which)
    result = _without(shape, one, raw[other])
    cut = np.unique(one)
    poor = cut[~(agreement(raw[cut], result[cut]) >= LEAST_AGREEMENT)]
    result[poor] = raw[poor]
    return result


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Buildings side by side; every array has shape (n,)."""

    polygon: np.ndarray
    """Valid polygons, of which no two overlap."""

    kept: np.ndarray
    """Whether the building has its shape, up to what its neighbours took of it."""

    changed: np.ndarray
    """Whether they took something."""


def settle(raw: np.ndarray, shape: np.ndarray) -> Settled:
    """Part buildings that overlap.

    Parameters
    ----------
    raw, shape : array of Polygon, shape (n,)
        As for `respectful`, which all shapes are. Buildings with larger outlines go first, of equal ones
        the earlier in the array.
    """
    one, other = _pairs(shape, shape)
    rank = np.empty(len(raw), np.int64)
    rank[np.argsort(-shapely.area(raw), kind="stable")] = np.arange(len(raw))
    loses = rank[one] > rank[other]
    one, other = one[loses], other[loses]
    overlap = _common(shape[one], shape[other]) > NOTHING
    result = _without(shape, one[overlap], shape[other[overlap]])

    # What is left of some is no building any more. These take their outlines, and give to everybody.
    poor = np.zeros(len(raw), bool)
    cut = np.unique(one[overlap])
    poor[cut] = ~(agreement(raw[cut], result[cut]) >= LEAST_AGREEMENT)
    outline = result.copy()
    outline[poor] = raw[poor]
    one, other = _pairs(outline, shape)
    one, other = one[poor[one]], other[poor[one]]
    result = _without(outline, one, shape[other])
    changed = np.zeros(len(raw), bool)
    changed[cut] = True
    return Settled(polygon=result, kept=~poor, changed=changed)


def _intruders(raw: np.ndarray, shape: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of some shapes, sorted, and of the buildings of whose pixels they cover too many."""
    one, other = _pairs(shape, raw, which)
    too_much = _common(shape[one], raw[other]) > TOO_MUCH * shapely.area(raw[other])
    return one[too_much], other[too_much]


def _pairs(
    one: np.ndarray, other: np.ndarray, which: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of polygons of both arrays that meet, sorted, none with itself; of `one` some or all."""
    which = np.arange(len(one)) if which is None else which
    first, second = shapely.STRtree(other).query(one[which], predicate="intersects")
    first = which[first]
    apart = first != second
    order = np.lexsort((second[apart], first[apart]))
    return first[apart][order], second[apart][order]


def _common(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return shapely.area(shapely.intersection(one, other))


def _without(polygons: np.ndarray, index: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Take `taken` away from the polygons at `index`, which is sorted; the largest part stays."""
    result = polygons.copy()
    turn = np.arange(len(index)) - np.searchsorted(index, index)
    for which in range(int(turn.max(initial=-1)) + 1):
        now = turn == which
        result[index[now]] = shapely.difference(result[index[now]], taken[now], grid_size=GRID)
    cut = np.unique(index)
    cut = cut[shapely.get_type_id(result[cut]) != shapely.GeometryType.POLYGON]
    for position in cut:
        parts = shapely.get_parts(result[position])
        parts = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
        if len(parts):
            result[position] = parts[np.argmax(shapely.area(parts))]
    return result
