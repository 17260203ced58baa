"""How much of one network lies near the other, with a buffer for what people draw a little aside.

Completeness and correctness after Heipke, Mayer, Wiedemann and Jamet, *Evaluation of automatic road
extraction* (ISPRS Archives 32, 1997); with a buffer of a few pixels they are the relaxed recall and
precision of Mnih, *Machine Learning for Aerial Image Labeling* (PhD thesis, Toronto 2013).
"""

import numpy as np
import shapely

SPACING = 0.5
"""Longest piece of a line that counts as near or not near as one, in metres."""

_PIECES = 200_000


def near_share(lines: np.ndarray, others: np.ndarray, buffers: np.ndarray) -> np.ndarray:
    """Share of the length of some lines that lies within each buffer around others.

    Lines are cut into pieces of at most `SPACING`; the exact distance of its middle decides for a piece.

    Parameters
    ----------
    lines, others : numpy.ndarray of shapely.LineString
        In metres.
    buffers : numpy.ndarray of float64
        Distances in metres, shape (n,).

    Returns
    -------
    numpy.ndarray
        Shares 0..1, shape (n,); NaN where there are no lines.

    >>> one, other = shapely.LineString([(0, 0), (10, 0)]), shapely.LineString([(0, 1), (5, 1)])
    >>> near_share(np.array([one]), np.array([other]), np.array([0.5, 1.0])).tolist()
    [0.0, 0.5]
    """
    near, total = np.zeros(len(buffers)), 0.0
    tree = shapely.STRtree(_straight(others))
    for points, weights in _pieces(lines):
        distance = _distances(points, tree, float(np.max(buffers)))
        near += [weights[distance <= buffer].sum() for buffer in buffers]
        total += weights.sum()
    return near / total if total else np.full(len(buffers), np.nan)


def _straight(lines: np.ndarray) -> np.ndarray:
    """Cut lines at all vertices: distances to short pieces are quick."""
    points, line = shapely.get_coordinates(lines, return_index=True)
    first = np.flatnonzero(line[1:] == line[:-1])
    pieces = np.stack([points[first], points[first + 1]], axis=1)
    return np.asarray(shapely.linestrings(pieces), dtype=object)


def _pieces(lines: np.ndarray):
    """Middles and lengths of pieces, some lines at a time."""
    length = shapely.length(lines)
    count = np.ceil(length / SPACING).astype(np.int64).clip(1)
    group = np.cumsum(count) // _PIECES
    for number in np.unique(group):
        chosen = group == number
        line = np.repeat(np.flatnonzero(chosen), count[chosen])
        first = np.repeat(np.cumsum(count[chosen]) - count[chosen], count[chosen])
        along = (np.arange(len(line)) - first + 0.5) / count[line]
        middles = shapely.line_interpolate_point(lines[line], along, normalized=True)
        yield middles, (length / count)[line]


def _distances(points: np.ndarray, tree: shapely.STRtree, limit: float) -> np.ndarray:
    """Distance of points to the nearest geometry of a tree; infinite beyond `limit`."""
    distance = np.full(len(points), np.inf)
    if len(tree):
        # The search leaves out what lies exactly at its limit.
        (found, _), near = tree.query_nearest(
            points, max_distance=limit * (1 + 1e-9) + 1e-9, return_distance=True, all_matches=False
        )
        distance[found] = near
    return distance
