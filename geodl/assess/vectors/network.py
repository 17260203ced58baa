"""Lines as a network: nodes where they meet or end, edges between them."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geodl.assess.vectors.layer import Layer
from geodl.errors import OptionError

Junctions = Literal["crossings", "vertices"]

JUNCTIONS = ("crossings", "vertices")

GRID = 0.05
"""Metres: corners are rounded to it, so that lines meet although their coordinates were stored rounded."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network in metres; no node has exactly two edge ends, rings aside.

    Parameters
    ----------
    nodes : numpy.ndarray of float64
        x and y, shape (nodes, 2).
    ends : numpy.ndarray of int64
        Nodes at the start and at the end of each edge, shape (edges, 2).
    edges : numpy.ndarray of shapely.LineString
        Shape (edges,).
    """

    nodes: np.ndarray
    ends: np.ndarray
    edges: np.ndarray

    @property
    def length(self) -> float:
        """Of all edges, in metres."""
        return float(shapely.length(self.edges).sum())

    @property
    def parts(self) -> int:
        """How many separate networks it consists of."""
        count = len(self.nodes)
        if not count:
            return 0
        links = coo_array((np.ones(len(self.ends)), self.ends.T), shape=(count, count))
        return int(connected_components(links, directed=False)[0])


def read_network(layer: Layer, junctions: Junctions = "crossings") -> Network:
    """Read the lines of a layer, all at once, and join them.

    Raises
    ------
    SceneError
        The file is damaged.
    """
    return network_of(layer.read().geometry if layer.box is not None else np.array([]), junctions)


def network_of(lines: np.ndarray, junctions: Junctions = "crossings") -> Network:
    """Join lines.

    Parameters
    ----------
    lines : numpy.ndarray of shapely.LineString or shapely.MultiLineString
        In metres.
    junctions : {"crossings", "vertices"}
        Lines are joined where they cross or touch, or where they share a vertex (as SpaceNet and
        OpenStreetMap mean it: a road on a bridge does not join the one below).

    >>> cross = np.array([shapely.LineString([(0, 1), (2, 1)]), shapely.LineString([(1, 0), (1, 2)])])
    >>> len(network_of(cross).edges), len(network_of(cross, "vertices").edges)
    (4, 2)
    """
    if junctions not in JUNCTIONS:
        raise OptionError(f"--junctions {junctions}", "is unknown", f"give {' or '.join(JUNCTIONS)}")
    parts = shapely.get_parts(np.asarray(lines, dtype=object))
    pieces = _cut_at_crossings(parts) if junctions == "crossings" else _cut_at_vertices(parts)
    merged = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(pieces)))
    edges = merged[np.lexsort(shapely.bounds(merged).T)] if len(merged) else merged
    tips = shapely.get_coordinates(shapely.get_point(edges, np.array([[0], [-1]])))  # starts, then ends
    nodes, number = np.unique(tips.reshape(-1, 2), axis=0, return_inverse=True)
    return Network(nodes=nodes, ends=number.reshape(2, -1).T.astype(np.int64), edges=edges)


def _cut_at_crossings(lines: np.ndarray) -> np.ndarray:
    found: Any = shapely.get_parts(shapely.union_all(lines, grid_size=GRID))
    return found[shapely.get_dimensions(found) == 1]


def _cut_at_vertices(lines: np.ndarray) -> np.ndarray:
    """Cut lines at the vertices that occur more than once."""
    points, line = shapely.get_coordinates(lines, return_index=True)
    cell = np.round(points / GRID).astype(np.int64)
    repeated = np.zeros(len(cell), dtype=bool)
    repeated[1:] = (cell[1:] == cell[:-1]).all(axis=1) & (line[1:] == line[:-1])
    cell, line = cell[~repeated], line[~repeated]
    _, number = np.unique(cell, axis=0, return_inverse=True)
    number = number.reshape(-1)
    here = np.flatnonzero(line[1:] == line[:-1])  # each straight piece once, whoever draws it again
    _, once = np.unique(
        np.sort(np.stack([number[here], number[here + 1]]), axis=0), axis=1, return_index=True
    )
    straight = cell[np.stack([here[once], here[once] + 1], axis=1)] * GRID
    return np.asarray(shapely.linestrings(straight), dtype=object)
