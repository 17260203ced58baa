"""Lanes that touch: two roads that come together and part again without crossing.

Where the mask joins two lanes, the skeleton draws both to one node: a crossing, although nobody crosses
there. Beside a crossing the roads go apart as they came, in a straight line; lanes soon run beside each
other again. Those get their own straight course past the node, and a link between them.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from geodl.vector.roads.arms import Arm, arms_of, beside, cosine, move_arm
from geodl.vector.roads.network import Network, Road

STRAIGHT = np.cos(np.radians(30))  # a lane goes on where it turns by less than this
APART = 0.5  # road widths between lanes, at least


def part_lanes(network: Network) -> None:
    """Draw lanes that touch past each other, with a link in between."""
    fresh = itertools.count(max(network.at, default=0) + 1)
    for node in list(network.at):
        if network.degree(node) == len(set(network.at[node])) == 4:
            lanes = _lanes(arms_of(network, node), network.position[node])
            if lanes is not None:
                _part(network, node, lanes, fresh)


def _lanes(arms: list[Arm], here: np.ndarray) -> list[tuple[Arm, Arm]] | None:
    """Which of four arms make two lanes past each other; None where roads cross."""
    around = sorted(arms, key=lambda arm: float(np.arctan2(*(arm.foot - here)[::-1])))
    for one, two, three, four in (around, [*around[1:], around[0]]):
        lanes = [(two, three), (four, one)]
        go_on = all(cosine(a.along, -b.along) > STRAIGHT for a, b in lanes)
        if go_on and beside(one, two, here) and beside(three, four, here):
            return lanes
    return None


def _part(network: Network, node: int, lanes: list[tuple[Arm, Arm]], fresh: Iterator[int]) -> None:
    here = network.position[node]
    places = [_nearest(here, a.foot, b.foot) for a, b in lanes]
    roads = [network.roads[arm.key] for lane in lanes for arm in lane]
    width = min(road.width for road in roads)
    if np.hypot(*(places[0] - places[1])) < APART * width:
        return
    nodes = [next(fresh), next(fresh)]
    for lane, new, place in zip(lanes, nodes, places, strict=True):
        network.place(new, place, width / 2)
        for arm in lane:
            move_arm(network, arm, new)
    known = [road.confidence for road in roads if road.known]
    certain = float(np.mean(known)) if known else float("nan")
    network.add(Road(u=nodes[0], v=nodes[1], points=np.stack(places), width=width, confidence=certain))


def _nearest(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    return start + np.clip((point - start) @ along / max(along @ along, 1e-18), 0, 1) * along
