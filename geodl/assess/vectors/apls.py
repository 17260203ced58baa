"""Average path length similarity (APLS): whether the ways through two networks are equally long.

After Van Etten, Lindenbaum and Bacastow, *SpaceNet: A Remote Sensing Dataset and Challenge Series* (2018,
arXiv:1807.01232, section 5): control points of one network are put on the other where it is near enough;
a way that is missing there, or whose end has no place there, costs 1, others the relative difference of
their lengths, at most 1. One minus the mean cost is the similarity in one direction, the harmonic mean
of both directions is APLS. As in their program, ways below 10 m do not count. Other than there, points
between nodes are put on straight edges, too, so that a missing piece of a long street is seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from geodl.assess.vectors.network import Network

_SAME = 1e-6
"""Metres within which a place on an edge is its end."""

_TOGETHER = 2**22
"""Lengths of ways that are in memory at once: 32 MB for each network."""


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    """How ways are compared.

    Parameters
    ----------
    spacing : float
        Greatest distance of control points along an edge, in metres.
    snap : float
        A control point has a place on the other network if that is so near, in metres.
    shortest : float
        Ways below this length, in metres, do not count.
    starts : int
        In larger networks, ways begin at so many control points, drawn at random but always the same; all
        control points are their ends.
    """

    spacing: float = 50.0
    snap: float = 4.0
    shortest: float = 10.0
    starts: int = 1000


@dataclass(frozen=True, kw_only=True)
class PathSimilarity:
    """How similar the ways of two networks are; 0..1, NaN where the reference has no way.

    Parameters
    ----------
    reference_to_map : float
        Ways between control points of the reference, looked for in the map: drops where roads are missing.
    map_to_reference : float
        Ways of the map looked for in the reference: drops where the map invents roads.
    ways : tuple of int
        How many ways were compared in the two directions.
    """

    reference_to_map: float
    map_to_reference: float
    ways: tuple[int, int]

    @property
    def apls(self) -> float:
        """The harmonic mean of both."""
        one, other = self.reference_to_map, self.map_to_reference
        return 2 * one * other / (one + other) if one + other else 0.0


@dataclass(frozen=True)
class Places:
    """Points on the edges of a network: numbers of edges and metres from their start, shape (n,)."""

    edge: np.ndarray
    along: np.ndarray

    def __len__(self) -> int:
        return len(self.edge)


def path_similarity(mapped: Network, reference: Network, how: PathOptions) -> PathSimilarity:
    """Compare the ways of two networks."""
    recall, wanted = _one_direction(reference, mapped, how)
    precision, made = _one_direction(mapped, reference, how)
    if wanted and not made:
        precision = 0.0  # there is no way in the map that could be right
    return PathSimilarity(reference_to_map=recall, map_to_reference=precision, ways=(wanted, made))


def control_points(network: Network, spacing: float) -> Places:
    """All nodes, each once, and points at most `spacing` metres apart along the edges between them."""
    _, first = np.unique(network.ends.ravel(), return_index=True)
    length = shapely.length(network.edges)
    edge, at_end = first // 2, first % 2
    inner = (np.ceil(length / spacing - 1e-9).astype(np.int64) - 1).clip(0)
    between = np.repeat(np.arange(len(length)), inner)
    number = np.arange(len(between)) - np.repeat(np.cumsum(inner) - inner, inner) + 1
    return Places(
        edge=np.concatenate([edge, between]),
        along=np.concatenate([at_end * length[edge], number * (length / (inner + 1))[between]]),
    )


def snapped(points: np.ndarray, network: Network, limit: float) -> tuple[np.ndarray, Places]:
    """Find the nearest places of a network within `limit` metres of points.

    Returns
    -------
    found : numpy.ndarray of int64
        Which points have one.
    places : Places
        The place of each of these.
    """
    none = np.zeros(0, np.int64)
    if not len(network.edges):
        return none, Places(none, np.zeros(0))
    tree = shapely.STRtree(network.edges)
    near, edge = tree.query_nearest(points, max_distance=limit + 1e-9)
    order = np.lexsort((edge, near))
    found, first = np.unique(near[order], return_index=True)  # of edges that are equally near, the first
    edge = edge[order][first]
    return found, Places(edge, shapely.line_locate_point(network.edges[edge], points[found]))


def graph_with(network: Network, places: Places) -> tuple[csr_array, np.ndarray]:
    """Lengths of the pieces between nodes and places.

    Returns
    -------
    graph : csr_array
        Metres between neighbours, each pair once; shape (nodes, nodes).
    number : numpy.ndarray of int64
        Node of this graph for each place; places that are ends of edges are the nodes of the network.
    """
    count = len(network.nodes)
    length = shapely.length(network.edges)[places.edge]
    number = np.full(len(places), -1)
    starts, ends = places.along <= _SAME, places.along >= length - _SAME
    number[ends] = network.ends[places.edge[ends], 1]
    number[starts] = network.ends[places.edge[starts], 0]
    inner = np.flatnonzero(number < 0)
    order = inner[np.lexsort((places.along[inner], places.edge[inner]))]
    edge, along = places.edge[order], places.along[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (edge[1:] != edge[:-1]) | (along[1:] - along[:-1] > _SAME)
    number[order] = count + np.cumsum(new) - 1
    return _joined(network, edge[new], along[new]), number


def _joined(network: Network, edge: np.ndarray, along: np.ndarray) -> csr_array:
    """Link each edge's start, its places in order, and its end."""
    count, edges = len(network.nodes), np.arange(len(network.edges))
    chain = np.concatenate([edges, edge, edges])
    metres = np.concatenate([np.zeros(len(edges)), along, shapely.length(network.edges)])
    node = np.concatenate([network.ends[:, 0], count + np.arange(len(edge)), network.ends[:, 1]])
    rank = np.repeat([0, 1, 2], [len(edges), len(edge), len(edges)])
    order = np.lexsort((metres, rank, chain))
    chain, metres, node = chain[order], metres[order], node[order]
    here = np.flatnonzero(chain[1:] == chain[:-1])
    one, other, step = node[here], node[here + 1], metres[here + 1] - metres[here]
    low, high = np.minimum(one, other), np.maximum(one, other)
    by_pair = np.lexsort((step, high, low))  # of several edges between two nodes, the shortest
    low, high, step = low[by_pair], high[by_pair], step[by_pair]
    first = np.ones(len(low), dtype=bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first &= low != high
    total = count + len(edge)
    return coo_array((step[first], (low[first], high[first])), shape=(total, total)).tocsr()


def _one_direction(own: Network, other: Network, how: PathOptions) -> tuple[float, int]:
    """Similarity of the ways of one network to those of another, and their number."""
    points = control_points(own, how.spacing)
    if len(points) < 2:
        return float("nan"), 0
    graph, number = graph_with(own, points)
    where = shapely.line_interpolate_point(own.edges[points.edge], points.along)
    found, places = snapped(where, other, how.snap)
    other_graph, other_number = graph_with(other, places)
    place_of = np.full(len(points), -1)
    place_of[found] = other_number
    cost, ways = 0.0, 0
    for chosen in _chunks(_starts(len(points), how.starts), len(own.nodes) + len(points)):
        lengths = dijkstra(graph, directed=False, indices=number[chosen])[:, number]
        theirs = _their_lengths(other_graph, place_of, chosen)
        counted = np.isfinite(lengths) & (lengths >= how.shortest)
        with np.errstate(invalid="ignore"):
            difference = np.abs(lengths[counted] - theirs[counted]) / lengths[counted]
        cost += float(np.minimum(difference, 1).sum())
        ways += int(counted.sum())
    return (1 - cost / ways if ways else float("nan")), ways


def _their_lengths(graph: csr_array, place_of: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Ways from some control points to all in the other network; infinite where there is none."""
    theirs = np.full((len(chosen), len(place_of)), np.inf)
    rows, columns = np.flatnonzero(place_of[chosen] >= 0), np.flatnonzero(place_of >= 0)
    if len(rows):
        found = dijkstra(graph, directed=False, indices=place_of[chosen[rows]])
        theirs[np.ix_(rows, columns)] = found[:, place_of[columns]]
    return theirs


def _starts(count: int, most: int) -> np.ndarray:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _chunks(starts: np.ndarray, width: int) -> Iterator[np.ndarray]:
    step = max(1, _TOGETHER // width)
    for first in range(0, len(starts), step):
        yield starts[first : first + step]
