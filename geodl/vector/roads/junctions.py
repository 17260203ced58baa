"""Junctions where the lines of their roads meet.

A skeleton bends towards a side road where that joins: the node of a T is pulled off the through road. Here
the lines from outside the junction are drawn on until they meet.
"""

import itertools

import numpy as np

from geodl.vector.roads.network import Network, Road, stretch

AROUND = 2.0  # half widths around a node that its roads are drawn anew in
AROUND_PIXELS = 3.0  # at least
STRAIGHT = np.cos(np.radians(30))  # a road goes on where it turns by less than this


def straighten_junctions(network: Network, pixel: float) -> None:
    """Move nodes to where their roads meet, and draw the roads straight within the junction.

    Nodes without a road that goes straight through stay; none leaves the junction.
    """
    moved: dict[int, tuple[np.ndarray, float]] = {}
    for node in network.at:
        if network.degree(node) > 2:
            around = max(AROUND * network.radius[node], AROUND_PIXELS * pixel)
            place = _meeting(network, node, around)
            if place is not None:
                moved[node] = (place, around)
    for node, (place, _) in moved.items():
        network.position[node] = place
    for road in network.roads.values():
        if road.u in moved or road.v in moved:
            _redraw(network, road, moved)


def _redraw(network: Network, road: Road, moved: dict[int, tuple[np.ndarray, float]]) -> None:
    cut = [min(moved[node][1], road.length / 2) if node in moved else 0.0 for node in (road.u, road.v)]
    inner = stretch(road.points, cut[0], road.length - cut[1])
    inner = inner[1 if road.u not in moved else 0 : -1 if road.v not in moved else None]
    road.draw(np.concatenate([network.position[road.u][None], inner, network.position[road.v][None]]))


def _meeting(network: Network, node: int, around: float) -> np.ndarray | None:
    """Where the roads of a node meet; None where none goes straight through."""
    here = network.position[node]
    feet, ahead = [], []
    for key, points in network.arms(node):
        length = network.roads[key].length
        part = stretch(points, min(around, length / 2), min(2 * around, length))
        feet.append(part[0])
        ahead.append(part[-1] - part[0])
    pairs = _through_roads(np.array(feet) - here)
    if not pairs:
        return None
    i, j = pairs[0]
    if len(pairs) > 1:
        k, m = pairs[1]
        place = _crossing(feet[i], feet[j] - feet[i], feet[k], feet[m] - feet[k])
    else:
        others = [arm for arm in range(len(feet)) if arm not in (i, j)]
        place = _crossing(feet[i], feet[j] - feet[i], feet[others[0]], ahead[others[0]])
    if place is None or np.hypot(*(place - here)) > around:
        place = _nearest(here, feet[i], feet[j])
    return place if np.hypot(*(place - here)) <= around else None


def _through_roads(offsets: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of arms that make a road that goes on, the straightest first."""
    directions = offsets / np.maximum(np.hypot(*offsets.T), 1e-9)[:, None]
    turns = sorted(
        (float(directions[i] @ directions[j]), i, j)
        for i, j in itertools.combinations(range(len(directions)), 2)
    )
    pairs: list[tuple[int, int]] = []
    for cosine, i, j in turns:
        if cosine < -STRAIGHT and not {i, j} & {arm for pair in pairs for arm in pair}:
            pairs.append((i, j))
    return pairs


def _crossing(start: np.ndarray, along: np.ndarray, other: np.ndarray, across: np.ndarray):
    """Where a stretch meets a line; None where it does not."""
    turn = along[0] * across[1] - along[1] * across[0]
    if abs(turn) < 0.2 * np.hypot(*along) * np.hypot(*across):
        return None  # nearly parallel: the point would be anywhere
    offset = other - start
    share = (offset[0] * across[1] - offset[1] * across[0]) / turn
    return start + share * along if 0 <= share <= 1 else None


def _nearest(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    share = np.clip((point - start) @ along / max(along @ along, 1e-18), 0, 1)
    return start + share * along
