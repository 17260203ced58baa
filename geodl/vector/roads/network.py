"""A network of roads: nodes with a place, and roads that run between two of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from geodl.vector.roads.lines import Line, smoothed

STEP = 2.0  # pixels between the points that are smoothed: at least twice as far as on the skeleton
STEPS = 4.0  # to a road's width: the wider the road, the longer are the dents that its edges leave
DEVIATION = 0.5  # pixels, besides those that the skeleton was smoothed by, but at least
SHARE = 0.15  # of the road's width


@dataclass(kw_only=True, eq=False)
class Road:
    """A road between the nodes `u` and `v`."""

    u: int
    v: int
    points: np.ndarray
    """Ground coordinates from `u` to `v`, shape (points, 2)."""
    width: float
    confidence: float = float("nan")
    known: int = 0
    """Number of pixels behind the confidence."""

    def __post_init__(self) -> None:
        self.draw(self.points)

    def draw(self, points: np.ndarray) -> None:
        """Give the road another course."""
        self.points, self.length = points, length_of(points)

    def other(self, node: int) -> int:
        """Return the node at the other end."""
        return self.v if node == self.u else self.u


class Network:
    """Roads by number, and the numbers of the roads at each node; a loop is at its node twice."""

    def __init__(self) -> None:
        self.roads: dict[int, Road] = {}
        self.at: dict[int, list[int]] = {}
        self.position: dict[int, np.ndarray] = {}
        self.radius: dict[int, float] = {}
        """Distance from nodes to the edge of the road."""
        self._next = 0

    @classmethod
    def of_lines(cls, lines: Iterable[Line]) -> "Network":
        """Make a network of lines, whatever order they come in; nodes have the numbers of their pixels."""
        network = cls()
        for line in sorted(lines, key=lambda line: line.order):
            u, v, _ = line.order
            for node, point, width in zip((u, v), line.points[[0, -1]], line.end_widths, strict=True):
                network.place(node, point, width / 2)
            network.add(
                Road(
                    u=u,
                    v=v,
                    points=line.points,
                    width=line.width,
                    confidence=line.confidence,
                    known=line.known,
                )
            )
        return network

    def place(self, node: int, position: np.ndarray, radius: float) -> None:
        """Put a node somewhere, a new one or one that is there already."""
        self.position[node], self.radius[node] = position, radius
        self.at.setdefault(node, [])

    def add(self, road: Road) -> int:
        """Add a road between two nodes; returns its number."""
        key, self._next = self._next, self._next + 1
        self.roads[key] = road
        self.at[road.u].append(key)
        self.at[road.v].append(key)
        return key

    def remove(self, key: int) -> Road:
        """Take a road out, and its nodes where nothing else is left of them."""
        road = self.roads.pop(key)
        for node in (road.u, road.v):
            if node in self.at:
                self.at[node] = [other for other in self.at[node] if other != key]
                if not self.at[node]:
                    del self.at[node], self.position[node], self.radius[node]
        return road

    def degree(self, node: int) -> int:
        """Return the number of road ends at a node."""
        return len(self.at[node])

    def arms(self, node: int) -> list[tuple[int, np.ndarray]]:
        """Roads at a node with their points from the node on; a loop comes once in each direction."""
        arms = []
        for key in dict.fromkeys(self.at[node]):
            road = self.roads[key]
            if road.u == node:
                arms.append((key, road.points))
            if road.v == node:
                arms.append((key, road.points[::-1]))
        return arms

    def dissolve(self, node: int) -> None:
        """Make one road of the two that meet at a node and go on; other nodes stay."""
        if len(set(self.at[node])) != 2 or self.degree(node) != 2:
            return
        (one, first), (other, second) = self.arms(node)
        ends = self.roads[one].other(node), self.roads[other].other(node)
        for end in ends:
            self.at[end].append(-1)  # keeps the ends while their roads are replaced
        a, b = self.remove(one), self.remove(other)
        for end in ends:
            self.at[end].remove(-1)
        known = a.known + b.known
        parts = [road for road in (a, b) if road.known]
        certain = sum(road.confidence * road.known for road in parts) / known if known else float("nan")
        self.add(
            Road(
                u=ends[0],
                v=ends[1],
                points=np.concatenate([first[::-1], second[1:]]),
                width=(a.width * a.length + b.width * b.length) / (a.length + b.length),
                confidence=certain,
                known=known,
            )
        )

    def dissolve_all(self) -> None:
        """Dissolve every node where a road only goes on."""
        for node in list(self.at):
            self.dissolve(node)


def smooth_roads(network: Network, pixel: float) -> None:
    """Take out the dents that ragged edges, spurs and small holes left.

    No point moves by more than `DEVIATION`, or by that `SHARE` of the road's width.
    """
    roads = list(network.roads.values())
    if not roads:
        return
    lines = shapely.linestrings(
        np.concatenate([road.points for road in roads]) / pixel,
        indices=np.repeat(np.arange(len(roads)), [len(road.points) for road in roads]),
    )
    width = np.array([road.width for road in roads]) / pixel
    lines = shapely.segmentize(lines, np.maximum(STEP, width / STEPS))
    points, owner = shapely.get_coordinates(lines, return_index=True)
    length = np.bincount(owner)
    most = np.maximum(DEVIATION, SHARE * width)[owner]
    smooth = smoothed(points, length, np.zeros(len(roads), bool), most) * pixel
    for road, part in zip(roads, np.split(smooth, np.cumsum(length)[:-1]), strict=True):
        part[0], part[-1] = network.position[road.u], network.position[road.v]
        road.draw(part)


def length_of(points: np.ndarray) -> float:
    """Length of a line, shape (points, 2)."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def stretch(points: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Return the part of a line between two distances along it, both ends included.

    >>> stretch(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]]), 1.0, 6.0).tolist()
    [[1.0, 0.0], [4.0, 0.0], [4.0, 2.0]]
    """
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    inside = (along > start) & (along < stop)
    ends = np.stack([np.interp([start, stop], along, values) for values in points.T], axis=1)
    return np.concatenate([ends[:1], points[inside], ends[1:]])
