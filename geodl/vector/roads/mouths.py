"""Mouths of roads: a dead end that stops just short of another road's side runs on into it.

A tree, a car or a shadow often hides the last metres of a side road. What is left of it points at the road
that it leaves.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import shapely

from geodl.vector.roads.bridge import Ends, Passable, gap_of
from geodl.vector.roads.network import Network, Road, stretch

ACROSS = np.sin(np.radians(30))  # roads that meet at a smaller angle rather run beside each other
RUN = 2.0  # lengths of the bridge that a road must have behind its end: short pieces point anywhere
ROUND = 3.0  # bridge lengths that a road must run before it may come back to itself
AHEAD = 1e-3  # pixels before an end where the look ahead begins, so that it does not meet its own road


@dataclass(frozen=True, kw_only=True)
class Mouth:
    """Where a dead end would meet the road ahead."""

    end: int
    road: int
    along: float
    """Distance from the start of the road ahead."""
    line: np.ndarray
    """From the end to that place, shape (2, 2)."""


def open_mouths(network: Network, pixel: float, passable: Passable) -> None:
    """Let dead ends run straight on into the first road ahead, across no more than a gap may be.

    The road ahead gets a node there; where it has a junction within its half width, that one is taken.
    Nothing runs on towards a dead end: those that face each other `geodl.vector.roads.bridge` joins.
    """
    mouths = _mouths(network, pixel)
    free = passable(np.array([mouth.line for mouth in mouths]).reshape(-1, 2, 2))
    by_road: dict[int, list[Mouth]] = {}
    for mouth, is_free in zip(mouths, free.tolist(), strict=True):
        if is_free:
            by_road.setdefault(mouth.road, []).append(mouth)
    bridges, fresh = [], itertools.count(max(network.at, default=0) + 1)
    for key, found in by_road.items():
        found.sort(key=lambda mouth: (mouth.along, mouth.end))
        width = {mouth.end: network.roads[network.at[mouth.end][0]].width for mouth in found}
        nodes = _nodes_at(network, key, [mouth.along for mouth in found], fresh)
        for mouth, node in zip(found, nodes, strict=True):
            if node is not None:
                points = np.stack([mouth.line[0], network.position[node]])
                bridges.append(Road(u=mouth.end, v=node, points=points, width=width[mouth.end]))
    for bridge in bridges:
        network.add(bridge)
    for bridge in bridges:
        network.dissolve(bridge.u)


def _mouths(network: Network, pixel: float) -> list[Mouth]:
    """Find the first road ahead of each dead end, where it is near enough and crosses."""
    ends, keys = Ends.of(network, pixel), list(network.roads)
    if not ends.nodes:
        return []
    lines = np.array([shapely.LineString(network.roads[key].points) for key in keys])
    half = np.array([network.roads[key].width for key in keys]) / 2
    start = ends.position + AHEAD * pixel * ends.direction
    reach = gap_of(pixel) + ends.radius + half.max()
    rays = np.asarray(shapely.linestrings(np.stack([start, start + reach[:, None] * ends.direction], axis=1)))
    end, road = shapely.STRtree(lines).query(rays, predicate="intersects")
    places = np.asarray(shapely.points(start[end]))
    distance = np.asarray(shapely.distance(places, shapely.intersection(rays[end], lines[road])))
    order = np.lexsort((road, distance, end))
    first = order[np.diff(end[order], prepend=-1) > 0]
    end, road, distance = end[first], road[first], distance[first]
    near = distance - ends.radius[end] - half[road] <= gap_of(pixel)
    found = []
    for number, ahead, far in zip(end[near], road[near], distance[near], strict=True):
        node, key = ends.nodes[number], keys[ahead]
        place = start[number] + far * ends.direction[number]
        along = float(shapely.line_locate_point(lines[ahead], shapely.Point(place)))
        mouth = Mouth(end=node, road=key, along=along, line=np.stack([network.position[node], place]))
        if _is_known(network, mouth, float(far)) and _crosses(network.roads[key], mouth):
            found.append(mouth)
    return found


def _is_known(network: Network, mouth: Mouth, far: float) -> bool:
    """Whether both roads are long enough for that, and two roads, or one that came a long way round."""
    key = network.at[mouth.end][0]
    road, ahead = network.roads[key], network.roads[mouth.road]
    if road.length < RUN * far or ahead.length < ahead.width:
        return False
    way = mouth.along if road.u == mouth.end else road.length - mouth.along
    return key != mouth.road or way >= ROUND * far


def _crosses(road: Road, mouth: Mouth) -> bool:
    """Whether the road ahead runs across there, and not along."""
    around = max(road.width / 2, 1e-6)
    piece = stretch(road.points, max(mouth.along - around, 0.0), min(mouth.along + around, road.length))
    one, other = piece[-1] - piece[0], mouth.line[1] - mouth.line[0]
    turn = abs(float(one[0] * other[1] - one[1] * other[0]))
    return turn >= ACROSS * float(np.hypot(*one) * np.hypot(*other))


def _nodes_at(network: Network, key: int, along: list[float], fresh: Iterator[int]) -> list[int | None]:
    """Cut a road at distances along it, which ascend, and return the nodes; None near its dead ends.

    Places that are nearer to each other than half the road's width have one node. New nodes take their
    numbers from `fresh`.
    """
    road = network.roads[key]
    margin = road.width / 2
    nodes: list[int | None] = []
    cuts: list[tuple[float, int]] = []
    for place in along:
        beside = road.u if place <= margin else road.v if place >= road.length - margin else None
        if beside is not None:
            nodes.append(beside if network.degree(beside) > 1 else None)
            continue
        if not cuts or place - cuts[-1][0] > margin:
            cuts.append((place, next(fresh)))
            network.place(cuts[-1][1], stretch(road.points, place, road.length)[0], margin)
        nodes.append(cuts[-1][1])
    if cuts:
        _cut(network, key, cuts)
    return nodes


def _cut(network: Network, key: int, cuts: list[tuple[float, int]]) -> None:
    road = network.roads[key]
    places = [0.0, *(place for place, _ in cuts), road.length]
    ends = [road.u, *(node for _, node in cuts), road.v]
    for start, stop, u, v in zip(places, places[1:], ends, ends[1:], strict=False):
        known = round(road.known * (stop - start) / road.length)
        network.add(replace(road, u=u, v=v, points=stretch(road.points, start, stop), known=known))
    network.remove(key)
