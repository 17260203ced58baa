"""Small regions give way to their neighbours: the minimum mapping unit of a map, on its graph of regions."""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class RegionGraph:
    """The regions of a class raster, and which ones touch."""

    value: np.ndarray
    """Class of each region: shape (regions,)."""
    pixels: np.ndarray
    area: np.ndarray
    first: np.ndarray
    """Number of the first pixel of each region, row by row."""
    pairs: np.ndarray
    """Regions that touch, each pair once: shape (2, pairs)."""
    border: np.ndarray
    """Length of the border of each pair, integers in any unit; 0 where pixels meet only at corners."""


def absorb(graph: RegionGraph, min_area: float) -> tuple[np.ndarray, np.ndarray]:
    """Merge regions below a minimum area into the neighbour with the longest shared border.

    The region with the fewest pixels goes first, of equal ones that with the first pixel, and takes on the
    class of its neighbour; of equal borders the larger neighbour counts, then that with the first pixel.
    Regions of one class that come to touch are one region from then on.

    Parameters
    ----------
    graph : RegionGraph
    min_area : float
        In the unit of ``graph.area``.

    Returns
    -------
    value : int array, shape (regions,)
        The new class of each region.
    alone : bool array, shape (regions,)
        Which regions are too small but have no neighbour to go to.
    """
    state = _State(graph, min_area)
    while state.queue:
        pixels, _, region = heapq.heappop(state.queue)
        if state.parent[region] != region or state.pixels[region] != pixels:
            continue  # it has changed since it came into the queue
        touching = state.touching(region)
        bordering = [
            (length, state.pixels[other], -state.first[other], other)
            for other, length in touching.items()
            if length
        ]
        if not bordering:
            state.alone.append(region)
            continue
        target = max(bordering)[-1]
        alike = [o for o in touching if o != target and state.value[o] == state.value[target]]
        state.merge([region, *alike], target)
    root = np.array([state.root(region) for region in range(len(graph.value))], np.int64)
    value = np.array(state.value, np.int64)[root]
    return value, np.isin(root, state.alone)


class _State:
    """Regions while they merge; all lists are indexed by region, those of sums mean roots."""

    def __init__(self, graph: RegionGraph, min_area: float) -> None:
        count = len(graph.value)
        self.min_area = min_area
        self.parent = list(range(count))
        self.value, self.pixels = graph.value.tolist(), graph.pixels.tolist()
        self.area, self.first = graph.area.tolist(), graph.first.tolist()
        self.alone: list[int] = []
        self.members: dict[int, list[int]] = {}  # of small roots with more than themselves
        small = np.flatnonzero(graph.area < min_area)
        self.queue = [(self.pixels[r], self.first[r], r) for r in small.tolist()]
        heapq.heapify(self.queue)
        both = np.concatenate([graph.pairs, graph.pairs[::-1]], axis=1)
        order = np.argsort(both[0], kind="stable")
        self._other = both[1][order]
        self._length = np.concatenate([graph.border, graph.border])[order]
        self._begin = np.searchsorted(both[0][order], np.arange(count + 1))

    def root(self, region: int) -> int:
        """Find what a region has become part of."""
        parent = self.parent
        while parent[region] != region:
            parent[region] = region = parent[parent[region]]
        return region

    def touching(self, region: int) -> dict[int, int]:
        """Border lengths of a small root with its neighbours."""
        lengths: dict[int, int] = {}
        for member in self.members.get(region, [region]):
            span = slice(self._begin[member], self._begin[member + 1])
            for neighbour, length in zip(
                self._other[span].tolist(), self._length[span].tolist(), strict=True
            ):
                other = self.root(neighbour)
                if other != region:
                    lengths[other] = lengths.get(other, 0) + length
        return lengths

    def merge(self, regions: list[int], target: int) -> None:
        """Make roots part of another root."""
        members = self.members.pop(target, [target])
        for region in regions:
            members += self.members.pop(region, [region])
            self.parent[region] = target
            self.pixels[target] += self.pixels[region]
            self.area[target] += self.area[region]
            self.first[target] = min(self.first[target], self.first[region])
        if self.area[target] < self.min_area:  # larger ones never ask for their neighbours
            self.members[target] = members
            heapq.heappush(self.queue, (self.pixels[target], self.first[target], target))
