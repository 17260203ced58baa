"""Which corners of a map's outlines can go, so that all polygons are simplified together.

The outlines of a class raster are a planar graph: its vertices are the grid points where outlines turn or
meet, its edges the straight runs between them. Points where three or four outlines meet stay. Of the others,
the one whose triangle with its two neighbours is smallest goes first (Visvalingam & Whyatt 1993,
https://doi.org/10.1179/000870493786962263), as long as the outline moves by no more than the tolerance there.
A point goes only if that triangle holds no other vertex and leaves no two outlines between the same two ends:
then no edge comes to cross or to cover another one, so the polygons stay valid, without gaps and without
overlaps. As simplification only takes grid points away, both neighbours of an outline lose the same ones,
whoever is drawn first.

Outlines are thinned in bands of `BAND` rows, whose limits belong to the raster alone; what crosses a limit
is held there. Memory is that of a band, and the result does not know in which strips the raster was read.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BAND = 256  # rows: outlines keep a point per band at the most that they could lose
LARGEST = 8  # times tolerance²: how large twice a triangle may be; long thin shapes keep their ends
DROPPED, KEPT = 1, 2  # marks of grid points; 0 is no vertex
_NEVER = np.iinfo(np.int64).max


def mark_vertices(classes: np.ndarray, nodata: int, tolerance: float) -> np.ndarray:
    """Tell for a band of rows which vertices of its outlines are dropped.

    Parameters
    ----------
    classes : array, shape (rows + 2, width)
        The band with the row above and the row below it; rows of `nodata` beyond the raster.
    nodata : int
        Value beside the first and the last column.
    tolerance : float
        Pixels, > 0: how far a point that goes may be from the line that takes its place.

    Returns
    -------
    uint8 array, shape (rows + 1, width + 1)
        `KEPT`, `DROPPED` or 0 for each grid point from the upper limit of the band to the lower one.
    """
    graph = _graph(classes, nodata)
    alive = _thin(graph, tolerance)
    marks = np.zeros(graph.shape, np.uint8)
    marks.ravel()[graph.place] = np.where(alive, KEPT, DROPPED)
    return marks


@dataclass(frozen=True, kw_only=True)
class _Graph:
    """Vertices in the order of rows, then columns; every array has shape (vertices,)."""

    shape: tuple[int, int]
    """Grid points: rows, columns."""
    place: np.ndarray
    """Number of the grid point, row by row."""
    free: np.ndarray
    """Whether it has two neighbours and may go."""
    neighbours: np.ndarray
    """The two of a free vertex; not read of others: shape (2, vertices)."""
    links: np.ndarray
    """All edges: shape (2, edges)."""
    rightward: np.ndarray
    """Whether an edge leads to the right."""


def _graph(classes: np.ndarray, nodata: int) -> _Graph:
    padded = np.pad(classes, ((0, 0), (1, 1)), constant_values=nodata)
    across = padded[:-1] != padded[1:]  # horizontal edges: those at grid point x are at x and x + 1
    along = padded[:, :-1] != padded[:, 1:]  # vertical edges above and below grid row y: y and y + 1
    vertex = (across[:, :-1] | across[:, 1:]) & (along[:-1] | along[1:])
    vertex[0] |= along[1]
    vertex[-1] |= along[-2]
    shape = vertex.shape
    place = np.flatnonzero(vertex)
    row, column = np.divmod(place, shape[1])
    left, right = across[row, column], across[row, column + 1]
    up, down = along[row, column], along[row + 1, column]
    inside = (row > 0) & (row < shape[0] - 1) & (column > 0) & (column < shape[1] - 1)
    free = inside & (left != right) & (up != down)

    index = np.arange(len(place))
    by_column = np.argsort(column, kind="stable")
    below, above = np.zeros(len(place), np.int64), np.zeros(len(place), np.int64)
    below[by_column[:-1]], above[by_column[1:]] = by_column[1:], by_column[:-1]
    rightward, downward = np.flatnonzero(right), np.flatnonzero(down & (row < shape[0] - 1))
    return _Graph(
        shape=shape,
        place=place,
        free=free,
        rightward=right,
        neighbours=np.stack([np.where(right, index + 1, index - 1), np.where(down, below, above)]),
        links=np.stack(
            [
                np.concatenate([rightward, downward]),
                np.concatenate([rightward + 1, below[downward]]),
            ]
        ),
    )


def _arcs(graph: _Graph) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the arcs, which are runs of free vertices.

    Returns the arc of each vertex (of no meaning for those that are not free), the vertices that each arc
    has, and how many of them it must keep: 3 for a ring, 2 for a loop from a vertex to itself, and 1 where
    a straight line between its ends could cover another one.
    """
    count = len(graph.place)
    first, second = graph.links
    joined = graph.free[first] & graph.free[second]
    links = coo_array((np.ones(np.count_nonzero(joined), bool), graph.links[:, joined]), shape=(count, count))
    total, arc = connected_components(links, directed=False)
    size = np.bincount(arc[graph.free], minlength=total)

    inner, end = np.concatenate([graph.links, graph.links[::-1]], axis=1)
    leaving = graph.free[inner] & ~graph.free[end]
    inner, end = inner[leaving], end[leaving]
    order = np.argsort(arc[inner], kind="stable")
    open_arcs = arc[inner[order[::2]]]
    ends = np.sort(np.stack([end[order[::2]], end[order[1::2]]]), axis=0)
    direct = np.sort(graph.links[:, ~graph.free[first] & ~graph.free[second]], axis=0)
    pairs = np.concatenate([ends, direct], axis=1)
    _, pair, times = np.unique(pairs[0] * count + pairs[1], return_inverse=True, return_counts=True)
    row = graph.place[ends] // graph.shape[1]
    on_limit = (row[0] == row[1]) & ((row[0] == 0) | (row[0] == graph.shape[0] - 1))
    least = np.full(total, 3)
    least[open_arcs] = np.where(ends[0] == ends[1], 2, (times[pair[: len(open_arcs)]] > 1) | on_limit)
    return arc, size, least


def _thin(graph: _Graph, tolerance: float) -> np.ndarray:
    """Drop vertices in rounds; each round drops those that come before both of their neighbours.

    Returns which vertices are left. What a vertex may do depends on its neighbours alone and on vertices in
    its triangle, so the order within a round has no influence.
    """
    arc, size, least = _arcs(graph)
    alive = np.ones(len(graph.place), bool)
    turn = np.full(len(graph.place), _NEVER)
    turn[graph.free] = _turns(graph, arc, np.flatnonzero(graph.free), tolerance)
    while len(candidates := np.flatnonzero(turn < _NEVER)):
        one, other = graph.neighbours[:, candidates]
        now = turn[candidates]
        going = candidates[(now < turn[one]) & (now < turn[other])]
        going = _within_budget(going, turn, arc, size, least)
        empty = _triangles_are_empty(graph, going, alive)
        turn[going[~empty]] = _NEVER
        going = going[empty]
        turn[going] = _NEVER
        alive[going] = False
        size -= np.bincount(arc[going], minlength=len(size))
        touched = _unlink(graph, going)
        touched = touched[graph.free[touched]]
        turn[touched] = _turns(graph, arc, touched, tolerance)
    return alive


def _turns(graph: _Graph, arc: np.ndarray, vertices: np.ndarray, tolerance: float) -> np.ndarray:
    """When each vertex has its turn: by the area of its triangle, never where that is too large.

    Along a regular stair all areas are equal. There the outer or the inner corners go first, which leaves a
    straight line; arcs take turns in which ones, so that shapes are not shifted. Where that is equal too, a
    scrambled position decides: positions themselves would let only one vertex go in each round.
    """
    corner = graph.place[vertices]
    one, other = graph.place[graph.neighbours[:, vertices]]
    columns = graph.shape[1]
    x, y = corner % columns, corner // columns
    one_x, one_y, other_x, other_y = one % columns, one // columns, other % columns, other // columns
    double_area = np.abs((one_x - x) * (other_y - y) - (one_y - y) * (other_x - x))
    base = np.hypot(other_x - one_x, other_y - one_y)
    small = (double_area <= tolerance * base) & (double_area <= LARGEST * tolerance**2)
    later = graph.rightward[vertices] ^ (arc[vertices] % 2 == 1)
    scrambled = (corner * 2_654_435_761) & 0xFFFF_FFFF  # Knuth's multiplier, prime to 2³²: no two are equal
    return np.where(small, (double_area << 33) | (later.astype(np.int64) << 32) | scrambled, _NEVER)


def _within_budget(
    going: np.ndarray, turn: np.ndarray, arc: np.ndarray, size: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """Let only one vertex of an arc go where all that want to would leave too few; none where it has few."""
    spent = size[arc[going]] <= least[arc[going]]
    turn[going[spent]] = _NEVER
    going = going[~spent]
    wanted = np.bincount(arc[going], minlength=len(size))
    tight = (size - wanted < least)[arc[going]]
    first = going[tight][np.argsort(turn[going[tight]])]
    _, best = np.unique(arc[first], return_index=True)
    return np.concatenate([going[~tight], first[best]])


def _unlink(graph: _Graph, going: np.ndarray) -> np.ndarray:
    """Join the neighbours of vertices that go; returns those neighbours."""
    one, other = graph.neighbours[:, going]
    for at, instead in ((one, other), (other, one)):
        for side in graph.neighbours:
            held = graph.free[at] & (side[at] == going)
            side[at[held]] = instead[held]
    return np.concatenate([one, other])


def _triangles_are_empty(graph: _Graph, vertices: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Whether the closed triangle of each vertex and its neighbours holds no other vertex that is left."""
    if not len(vertices):
        return np.ones(0, bool)
    columns = graph.shape[1]
    corners = graph.place[np.stack([vertices, *graph.neighbours[:, vertices]])]  # (3, triangles)
    x, y = corners % columns, corners // columns
    top, height = y.min(axis=0), np.ptp(y, axis=0) + 1
    start = np.concatenate([[0], np.cumsum(height)[:-1]])
    triangle = np.repeat(np.arange(len(vertices)), height)
    row = np.arange(len(triangle)) - start[triangle] + top[triangle]
    low, high = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        xa, ya, xb, yb = x[a][triangle], y[a][triangle], x[b][triangle], y[b][triangle]
        # A quotient that is a whole number is exact, any other is far from whole ones: nothing is misjudged.
        along = (row - ya) * (xb - xa) / np.where(ya == yb, 1, yb - ya)
        crossed = (np.minimum(ya, yb) <= row) & (row <= np.maximum(ya, yb))
        level = ya == yb
        first = np.where(level, np.minimum(xa, xb), xa + along)
        last = np.where(level, np.maximum(xa, xb), xa + along)
        low = np.where(crossed, np.minimum(low, first), low)
        high = np.where(crossed, np.maximum(high, last), high)
    left = np.concatenate([[0], np.cumsum(alive)])  # vertices left before each
    begin = np.searchsorted(graph.place, row * columns + np.ceil(low).astype(np.int64))
    end = np.searchsorted(graph.place, row * columns + np.floor(high).astype(np.int64), side="right")
    held = np.add.reduceat(np.maximum(left[end] - left[begin], 0), start)
    return held == 3
