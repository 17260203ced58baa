"""Gaps in a road: dead ends that face each other across a few metres are joined."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.spatial import cKDTree

from geodl.vector.roads.network import Network, Road, length_of, stretch

GAP = 15.0  # metres without road between two ends
GAP_PIXELS = (3, 40)  # the same, but at least and at most this many pixels
FACING = np.cos(np.radians(40))  # the roads on both sides turn by less than this
ASIDE = np.tan(np.radians(25))  # how far an end may lie beside the other's line, by their distance
BEHIND = 3.0  # road widths behind an end that tell its direction

Passable = Callable[[np.ndarray], np.ndarray]
"""Tells of straight lines on the ground, shape (n, 2, 2), where a road may be: bool, shape (n,)."""


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Dead ends of roads that are longer than wide."""

    nodes: list[int]
    position: np.ndarray
    """Ground coordinates, shape (n, 2)."""
    radius: np.ndarray
    """Distance to the edge of the road, shape (n,)."""
    direction: np.ndarray
    """Unit vectors out of the roads, shape (n, 2)."""

    @classmethod
    def of(cls, network: Network, pixel: float) -> "Ends":
        """Find those of a network."""
        nodes = [node for node in network.at if _may_go_on(network, node)]
        return cls(
            nodes=nodes,
            position=np.array([network.position[node] for node in nodes]).reshape(-1, 2),
            radius=np.array([network.radius[node] for node in nodes]),
            direction=np.array([_direction(network, node, pixel) for node in nodes]).reshape(-1, 2),
        )


def gap_of(pixel: float) -> float:
    """Return how long a gap may be, on the ground, for pixels of this size."""
    return min(max(GAP, GAP_PIXELS[0] * pixel), GAP_PIXELS[1] * pixel)


def bridge_gaps(network: Network, pixel: float, passable: Passable) -> None:
    """Join dead ends that face each other, the nearest first, each to one other at most.

    The stretch without road between two ends is at most `GAP` long, and no bridge crosses another road.
    """
    found = Ends.of(network, pixel)
    ends, position, radius, direction = found.nodes, found.position, found.radius, found.direction
    if len(ends) < 2:
        return
    gap = gap_of(pixel)
    pairs = cKDTree(position).query_pairs(gap + 2 * radius.max(), output_type="ndarray")
    one, other = pairs.T
    across = position[other] - position[one]
    distance = np.hypot(*across.T)
    fits = (distance - radius[one] - radius[other] <= gap) & (distance > 0)
    fits &= np.einsum("ij,ij->i", direction[one], -direction[other]) > FACING
    reach = np.minimum(radius[one], radius[other])
    for end, sign in ((one, 1), (other, -1)):
        ahead = sign * np.einsum("ij,ij->i", direction[end], across)
        aside = np.abs(direction[end][:, 0] * across[:, 1] - direction[end][:, 1] * across[:, 0])
        fits &= (ahead > 0) & (aside <= np.maximum(ASIDE * ahead, reach))
    one, other = one[fits], other[fits]
    free = passable(np.stack([position[one], position[other]], axis=1))
    _join(network, [ends[place] for place in one[free]], [ends[place] for place in other[free]])


def _may_go_on(network: Network, node: int) -> bool:
    """Whether a node is the end of a road that is longer than wide."""
    if network.degree(node) != 1:
        return False
    road = network.roads[network.at[node][0]]
    return road.length > road.width


def _direction(network: Network, node: int, pixel: float) -> np.ndarray:
    """Return the unit vector out of a dead end."""
    key, points = network.arms(node)[0]
    road = network.roads[key]
    behind = min(max(BEHIND * road.width, 5 * pixel), road.length)
    out = points[0] - stretch(points, 0.0, behind)[-1]
    return out / max(float(np.hypot(*out)), 1e-9)


def _join(network: Network, ones: list[int], others: list[int]) -> None:
    lines = {key: shapely.LineString(road.points) for key, road in network.roads.items()} if ones else {}
    keys, tree = list(lines), shapely.STRtree(list(lines.values()))
    spans = [
        (length_of(np.stack([network.position[a], network.position[b]])), min(a, b), max(a, b))
        for a, b in zip(ones, others, strict=True)
    ]
    bridges: list[Road] = []
    taken: set[int] = set()
    for length, u, v in sorted(spans):
        own = {network.at[node][0] for node in (u, v)}
        if {u, v} & taken or (len(own) == 1 and network.roads[min(own)].length < 3 * length):
            continue
        points = np.stack([network.position[u], network.position[v]])
        if {keys[place] for place in tree.query(shapely.LineString(points), "intersects")} - own:
            continue
        taken |= {u, v}
        width = float(np.mean([network.roads[key].width for key in sorted(own)]))
        bridges.append(Road(u=u, v=v, points=points, width=width))
    for bridge in bridges:
        network.add(bridge)
    for node in sorted(taken):
        network.dissolve(node)
