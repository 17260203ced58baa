"""Single buildings of a mask of any size: one number per building, the same for any strips.

The insides of buildings are labelled strip by strip and joined by their numbers; a second reading grows
them into the pixels of the edge class, one pixel a step and at most `REACH` steps, so that a strip needs
`REACH` rows of its neighbours and gives what the whole raster would give. Of two buildings that reach a
pixel in the same step the direction decides (`TURNS`), never a number. Edge pixels out of reach are
buildings of their own. Memory holds some strips and a table of the buildings.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from geodl.vector.buildings.roles import EDGE, INSIDE

REACH = 16
"""Steps that a building grows into its edge. Edges of models are 1 to 3 pixels wide, those of uncertain ones
up to 8, and a corner takes twice the steps."""

BLOCK = 256
"""Rows that are read at once, so that no block of a file is decoded often."""

TURNS = ((-1, 0), (0, -1), (0, 1), (1, 0))
"""Where a pixel looks for a building, in this order: rows and columns."""


@dataclass(frozen=True, kw_only=True)
class Instances:
    """The buildings of a raster, numbered 1, 2, ... by their first pixel inside, row by row."""

    top: np.ndarray
    """First row in which each may have a pixel, never decreasing: shape (buildings,)."""

    read: Callable[[int, int], np.ndarray]
    """``read(start, stop)``: the number of each pixel, 0 where there is no building: int32."""


def find_instances(
    read: Callable[[int, int], np.ndarray], shape: tuple[int, int], *, edges: bool, strip_rows: int
) -> Instances:
    """Give every building a number.

    Parameters
    ----------
    read : callable
        ``read(start, stop)``: `INSIDE`, `EDGE` or background of the pixels of some rows.
    shape : tuple of int = (height, width)
    edges : bool
        Whether there is an edge class.
    strip_rows : int
        Rows that are worked on together; the result does not depend on it.

    Returns
    -------
    Instances
        Every one is joined by edges of its pixels, and holds one component of the inside at most.
    """
    height, width = shape
    seeds = _Seeds(_Blocks(read, height, max(strip_rows, BLOCK)), height, reach=REACH if edges else 0)
    starts = range(0, height, strip_rows)
    offsets, number, first = _join(seeds, starts, strip_rows, width)

    def labels_of(start: int, stop: int) -> np.ndarray:
        labels, count = _labels(seeds.rows(start, stop))
        offset = offsets[start // strip_rows]
        own = np.concatenate([[0], number[offset + 1 : offset + count + 1]]).astype(np.int32)
        return own[labels]

    labels = _Blocks(labels_of, height, strip_rows)

    def rows(start: int, stop: int) -> np.ndarray:
        if not edges:
            return labels.rows(start, stop)
        above, below = max(0, start - REACH), min(height, stop + REACH)
        grown = grow(seeds.roles.rows(above, below), labels.rows(above, below))
        return grown[start - above : stop - above]

    return Instances(
        top=np.maximum(first // width - (REACH if edges else 0), 0),
        read=lambda start, stop: np.concatenate(
            [rows(row, min(row + strip_rows, stop)) for row in range(start, stop, strip_rows)]
        ),
    )


def grow(roles: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Grow the labels of the inside into the edge, `REACH` steps.

    Parameters
    ----------
    roles, labels : array, shape (rows, columns)
        Labels are 0 where there is no building; those of edge pixels hold where nothing reaches them.

    Returns
    -------
    array of the shape and dtype of `labels`
    """
    width = labels.shape[1] + 2
    grown = np.pad(np.where(roles == INSIDE, labels, 0), 1)
    flat = grown.ravel()
    waiting = np.flatnonzero(np.pad(roles == EDGE, 1))
    for _ in range(REACH):
        found = np.zeros(len(waiting), flat.dtype)
        for row, column in TURNS:
            found = np.where(found == 0, flat[waiting + row * width + column], found)
        flat[waiting] = found
        waiting = waiting[found == 0]
    grown = grown[1:-1, 1:-1]
    return np.where(grown == 0, labels, grown)


class _Blocks:
    """Rows put together from blocks of fixed rows, the last few of which are kept."""

    def __init__(self, read: Callable[[int, int], np.ndarray], height: int, block: int) -> None:
        self._read, self._height, self._block = read, height, block
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()

    def rows(self, start: int, stop: int) -> np.ndarray:
        parts = []
        for block in range(start // self._block, (stop - 1) // self._block + 1):
            first = block * self._block
            parts.append(self._get(first)[max(0, start - first) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _get(self, first: int) -> np.ndarray:
        if first not in self._kept:
            self._kept[first] = self._read(first, min(first + self._block, self._height))
        self._kept.move_to_end(first)
        while len(self._kept) > 3 + 2 * REACH // self._block:
            self._kept.popitem(last=False)
        return self._kept[first]


class _Seeds:
    """What buildings start from: the inside, and edge pixels that nothing reaches."""

    def __init__(self, roles: _Blocks, height: int, *, reach: int) -> None:
        self.roles, self._height, self._reach = roles, height, reach

    def rows(self, start: int, stop: int) -> np.ndarray:
        if not self._reach:
            return self.roles.rows(start, stop) == INSIDE
        above, below = max(0, start - self._reach), min(self._height, stop + self._reach)
        roles = self.roles.rows(above, below)
        reached = grow(roles, (roles == INSIDE).astype(np.uint8)) > 0
        return ((roles == INSIDE) | ((roles == EDGE) & ~reached))[start - above : stop - above]


def _labels(mask: np.ndarray) -> tuple[np.ndarray, int]:
    return label(mask, return_num=True, connectivity=1)


def _join(seeds: _Seeds, starts: range, strip_rows: int, width: int):
    """Label all strips, and join what touches across their borders.

    Returns the offset of each strip's labels among all labels of strips, the number of the building that
    each of these belongs to (the first entry stands for none), and the first pixel of each building.
    """
    height, total = starts.stop, 0
    above = np.zeros(width, np.int64)
    offsets, pairs, firsts = [], [], []
    for start in starts:
        labels, count = _labels(seeds.rows(start, min(start + strip_rows, height)))
        at = np.flatnonzero(labels)
        first = np.zeros(count + 1, np.int64)
        first[labels.ravel()[at[::-1]]] = at[::-1] + start * width  # the first pixel is written last
        below = np.where(labels[0] > 0, labels[0] + total, 0)
        touch = (above > 0) & (below > 0)
        pairs.append(np.unique(np.stack([above[touch], below[touch]]), axis=1))
        offsets.append(total)
        firsts.append(first[1:])
        above = np.where(labels[-1] > 0, labels[-1] + total, 0)
        total += count
    one, other = np.concatenate(pairs, axis=1) - 1
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(total, total))
    buildings, member = connected_components(graph, directed=False)
    first = np.full(buildings, height * width, np.int64)
    np.minimum.at(first, member, np.concatenate(firsts))
    order = np.argsort(first)
    number = np.zeros(total + 1, np.int64)
    rank = np.empty(buildings, np.int64)
    rank[order] = np.arange(1, buildings + 1)
    number[1:] = rank[member]
    return offsets, number, first[order]
