"""What a skeleton has and a road network has not: spurs, junctions in two pieces, specks."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geodl.vector.roads.network import Network, Road

SLACK = 2.0  # pixels that a skeleton may be longer than the width says


def prune_spurs(network: Network, pixel: float, far_corner: np.ndarray) -> None:
    """Take off dead ends that hardly leave the road that they branch off.

    A spur is shorter than the road is wide at the junction, and `SLACK` pixels, and does not leave the
    raster, whose last pixel is at `far_corner`. Where a road ends in nothing but spurs, at the corners of its
    end, it goes on to the middle between them.
    """
    while spurs := _spurs(network, SLACK * pixel, far_corner):
        for junction in sorted(spurs):
            _prune(network, junction, spurs[junction])


def _spurs(network: Network, slack: float, far_corner: np.ndarray) -> dict[int, list[int]]:
    """Numbers of the spurs at each junction, the shortest first; of two roads on, no more than two go."""
    spurs = defaultdict(list)
    for key, road in network.roads.items():
        for end, junction in ((road.u, road.v), (road.v, road.u)):
            is_branch = network.degree(end) == 1 and network.degree(junction) > 2
            if is_branch and road.length < 2 * network.radius[junction] + slack:
                place = network.position[end]
                if not ((place <= 0) | (place >= far_corner)).any():
                    spurs[junction].append(key)
    for junction, keys in spurs.items():
        keys.sort(key=lambda key: (network.roads[key].length, key))
        if len(keys) == network.degree(junction):
            del keys[-2:]  # a star: its longest line stays
    return {junction: keys for junction, keys in spurs.items() if keys}


def _prune(network: Network, junction: int, spurs: list[int]) -> None:
    is_fork = len(spurs) > 1 and network.degree(junction) == len(spurs) + 1
    ends = [network.roads[key].other(junction) for key in spurs]
    tips = [network.position[end] for end in ends[-2:]]
    radius = network.radius[ends[-1]]
    for key in spurs:
        network.remove(key)
    if is_fork:
        (key,) = network.at[junction]
        tip = np.mean(tips, axis=0)
        network.place(ends[-1], tip, radius)
        points = np.stack([network.position[junction], tip])
        network.add(Road(u=junction, v=ends[-1], points=points, width=network.roads[key].width))
    network.dissolve(junction)


def merge_junctions(network: Network, pixel: float) -> None:
    """Make one node of junctions that are nearer to each other than the road is wide.

    The skeleton of a crossing has two junctions of three roads rather than one of four. The nearest are
    joined first, and only while all of them stay within a road's width.
    """
    group = _Groups(network, SLACK * pixel)
    short = [
        (road.length, key)
        for key, road in network.roads.items()
        if road.u != road.v
        and min(network.degree(road.u), network.degree(road.v)) > 2
        and road.length <= group.reach(road.u, road.v)
    ]
    for _, key in sorted(short):
        group.join(network.roads[key].u, network.roads[key].v)
    places = {node: group.place(node) for node in network.at}
    for key, road in list(network.roads.items()):
        u, v = group.find(road.u), group.find(road.v)
        if (u, v) == (road.u, road.v) and not group.has_grown(u) and not group.has_grown(v):
            continue
        points = road.points.copy()
        points[0], points[-1] = places[road.u][0], places[road.v][0]
        is_inside = u == v and road.length <= 2 * (2 * places[u][1] + SLACK * pixel)
        if not is_inside:
            for node in (u, v):
                network.place(node, *places[node])
            network.add(replace(road, u=u, v=v, points=points))
        network.remove(key)
    network.dissolve_all()


class _Groups:
    """Nodes that become one, with their place and radius."""

    def __init__(self, network: Network, slack: float) -> None:
        self._network, self._slack = network, slack
        self._parent: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}

    def find(self, node: int) -> int:
        while self._parent.get(node, node) != node:
            node = self._parent[node]
        return node

    def members(self, node: int) -> list[int]:
        return self._members.get(self.find(node), [node])

    def has_grown(self, node: int) -> bool:
        return len(self.members(node)) > 1

    def reach(self, one: int, other: int) -> float:
        """Width of the wider road at two groups."""
        nodes = self.members(one) + self.members(other)
        return 2 * max(self._network.radius[node] for node in nodes) + self._slack

    def join(self, one: int, other: int) -> None:
        one, other = sorted((self.find(one), self.find(other)))
        if one == other:
            return
        members = self.members(one) + self.members(other)
        places = np.array([self._network.position[node] for node in members])
        if 2 * np.hypot(*(places - places.mean(axis=0)).T).max() <= self.reach(one, other):
            self._parent[other] = one
            self._members[one] = members

    def place(self, node: int) -> tuple[np.ndarray, float]:
        """Return the middle of a group, and the distance from there to the edge of its roads."""
        members = self.members(node)
        places = np.array([self._network.position[member] for member in members])
        middle = places.mean(axis=0)
        radii = np.array([self._network.radius[member] for member in members])
        return middle, float((np.hypot(*(places - middle).T) + radii).max())


def drop_specks(network: Network, least_surface: float) -> None:
    """Leave out connected parts whose roads, length times width, cover less than a surface."""
    number = {node: place for place, node in enumerate(network.at)}
    keys = list(network.roads)
    ends = np.array([[number[network.roads[key].u], number[network.roads[key].v]] for key in keys])
    if not keys:
        return
    graph = coo_array((np.ones(len(keys)), tuple(ends.T)), shape=(len(number), len(number)))
    _, part = connected_components(graph, directed=False)
    surface = np.array([network.roads[key].length * network.roads[key].width for key in keys])
    total = np.bincount(part[ends[:, 0]], surface)
    for place in np.flatnonzero(total[part[ends[:, 0]]] < least_surface):
        network.remove(keys[place])
