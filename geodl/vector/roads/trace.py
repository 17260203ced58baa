"""Skeleton pixels to paths between junctions, ends and each other, joined from strip to strip.

Pixels are neighbours by their sides, and by their corners where no pixel beside both makes the same
connection. A pixel without exactly two neighbours is a node. A path that reaches the lower edge of a strip
waits for the next one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from geodl.vector.roads.skeleton import SkeletonRows


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelPath:
    """A chain of skeleton pixels; every array has shape (pixels,).

    Paths start at the end that comes first row by row; a closed ring without a node starts and ends with
    its first pixel.
    """

    pixel: np.ndarray
    """Numbers of the pixels, row by row."""
    half_width: np.ndarray
    confidence: np.ndarray
    ring: bool = False
    """Whether it is closed and meets no other path."""

    @property
    def ends(self) -> tuple[int, int]:
        """Numbers of the first and the last pixel."""
        return int(self.pixel[0]), int(self.pixel[-1])

    @property
    def order(self) -> tuple[int, int, int]:
        """A key that no other path of the raster has."""
        return (*self.ends, int(self.pixel[1]))

    def take(self, index: np.ndarray | slice) -> "PixelPath":
        """Return the pixels at these places of the path."""
        return replace(
            self,
            pixel=self.pixel[index],
            half_width=self.half_width[index],
            confidence=self.confidence[index],
        )


def trace_paths(strips: Iterable[SkeletonRows], width: int) -> Iterator[list[PixelPath]]:
    """Yield the paths that are complete after each strip of a raster of this width."""
    waiting: list[PixelPath] = []
    for strip in strips:
        graph = _Graph(strip, width)
        pieces = waiting + graph.pieces()
        joined = _join(pieces, graph.joints())
        below = strip.stop * width
        waiting = [piece for piece in joined if max(piece.ends) >= below]
        yield [_canonical(piece) for piece in joined if max(piece.ends) < below]


class _Graph:
    """The neighbours of the skeleton pixels of a strip.

    Connections belong to the strip of their upper pixel, so those from the row above only count for the
    degree, and those within the row below belong to the next strip.
    """

    def __init__(self, strip: SkeletonRows, width: int) -> None:
        self.strip = strip
        self.pixel = strip.row * width + strip.column
        one, other = self._connections(width)
        self.degree = np.bincount(np.concatenate([one, other]), minlength=len(self.pixel))
        own = (strip.row[one] >= strip.start) & (strip.row[one] < strip.stop)
        one, other = one[own], other[own]
        start, end = np.concatenate([one, other]), np.concatenate([other, one])
        order = np.lexsort((end, start))
        self.neighbour = end[order]
        self.first = np.searchsorted(start[order], np.arange(len(self.pixel) + 1))
        self.is_stop = (self.degree != 2) | (strip.row <= strip.start) | (strip.row >= strip.stop)

    def _connections(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of places in `pixel`, the upper or left one first."""
        column = self.strip.column
        right = self._find(self.pixel + 1, column < width - 1)
        left = self._find(self.pixel - 1, column > 0)
        below = self._find(self.pixel + width, True)
        below_right = self._find(self.pixel + width + 1, (column < width - 1) & (right < 0) & (below < 0))
        below_left = self._find(self.pixel + width - 1, (column > 0) & (left < 0) & (below < 0))
        others = (right, below, below_right, below_left)
        return (
            np.concatenate([np.flatnonzero(other >= 0) for other in others]),
            np.concatenate([other[other >= 0] for other in others]),
        )

    def _find(self, wanted: np.ndarray, possible: np.ndarray | bool) -> np.ndarray:
        """Places of pixels, -1 where there is none."""
        if not len(self.pixel):
            return np.zeros(0, np.int64)
        place = np.minimum(np.searchsorted(self.pixel, wanted), len(self.pixel) - 1)
        return np.where((self.pixel[place] == wanted) & possible, place, -1)

    def joints(self) -> set[int]:
        """Return the pixels of the first row where two pieces meet and nothing else."""
        strip = self.strip
        return set(self.pixel[(strip.row == strip.start) & (self.degree == 2)].tolist())

    def pieces(self) -> list[PixelPath]:
        """Return the paths between stops, and the rings without any."""
        return [self._path(chain, ring) for chain, ring in self._chains()]

    def _chains(self) -> Iterator[tuple[list[int], bool]]:
        """Yield the places of each path in `pixel`, and whether it is a ring."""
        neighbour, first, is_stop = self.neighbour.tolist(), self.first.tolist(), self.is_stop.tolist()
        seen = bytearray(len(is_stop))

        def walk(before: int, place: int) -> list[int]:
            places = [before]
            while not (is_stop[place] or seen[place]):
                places.append(place)
                seen[place] = 1
                start = first[place]
                ahead = neighbour[start] if neighbour[start] != before else neighbour[start + 1]
                before, place = place, ahead
            return [*places, place]

        for stop in np.flatnonzero(self.is_stop).tolist():
            for place in neighbour[first[stop] : first[stop + 1]]:
                if (is_stop[place] and place > stop) or not (is_stop[place] or seen[place]):
                    yield walk(stop, place), False
        for place in np.flatnonzero(~self.is_stop).tolist():
            if not seen[place]:
                seen[place] = 1
                yield walk(place, neighbour[first[place]]), True

    def _path(self, chain: list[int], ring: bool) -> PixelPath:
        places = np.array(chain)
        return PixelPath(
            ring=ring,
            pixel=self.pixel[places],
            half_width=self.strip.half_width[places],
            confidence=self.strip.confidence[places],
        )


def _join(pieces: list[PixelPath], joints: set[int]) -> list[PixelPath]:
    """Join pieces at the pixels where exactly two of their ends meet."""
    meeting: dict[int, list[PixelPath]] = defaultdict(list)
    for piece in pieces:
        for end in piece.ends:
            if end in joints:
                meeting[end].append(piece)
    whole = {id(piece): piece for piece in pieces}
    for joint in list(meeting):
        one, other = meeting[joint]
        both = replace(one, ring=True) if one is other else _glued(one, other, joint)
        for number in {id(one), id(other)}:
            del whole[number]
        whole[id(both)] = both
        for end in both.ends:
            meeting[end] = [both if piece in (one, other) else piece for piece in meeting.get(end, [])]
    return list(whole.values())


def _glued(one: PixelPath, other: PixelPath, joint: int) -> PixelPath:
    if one.ends[1] != joint:
        one = one.take(slice(None, None, -1))
    other = other.take(slice(None, None, -1)) if other.ends[0] != joint else other
    return PixelPath(
        pixel=np.concatenate([one.pixel, other.pixel[1:]]),
        half_width=np.concatenate([one.half_width, other.half_width[1:]]),
        confidence=np.concatenate([one.confidence, other.confidence[1:]]),
    )


def _canonical(path: PixelPath) -> PixelPath:
    """Let a path start where it does for any strips."""
    if path.ring:
        start = int(np.argmin(path.pixel[:-1]))
        path = path.take(np.append(np.roll(np.arange(len(path.pixel) - 1), -start), start))
    backwards = path.pixel[::-1]
    return path.take(slice(None, None, -1)) if tuple(backwards[:2]) < tuple(path.pixel[:2]) else path
