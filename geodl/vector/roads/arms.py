"""Arms of a node: where its roads are, and where they run, at a distance that its surface does not disturb.

Which arms belong together is told by how they go on: R. C. Thomson and D. E. Richardson, "The 'good
continuation' principle of perceptual organization applied to the generalization of road networks",
Proceedings of the 19th International Cartographic Conference (1999) 1215-1223.
"""

from dataclasses import dataclass, replace

import numpy as np

from geodl.vector.roads.network import Network, stretch

AROUND = 2.5  # radii of the node at which its roads are looked at
PARALLEL = 0.5  # times the angle at which they are seen from the node: that between roads beside each other


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A road from a node on."""

    key: int
    node: int
    points: np.ndarray
    reach: float
    """How far along it is looked at, not more than half of its length."""
    foot: np.ndarray
    """The place there."""
    along: np.ndarray
    """Where it runs there, away from the node."""


def arms_of(network: Network, node: int) -> list[Arm]:
    """Return the arms of a node; a loop is two of them."""
    around = AROUND * network.radius[node]
    arms = []
    for key, points in network.arms(node):
        reach = min(around, network.roads[key].length / 2)
        part = stretch(points, reach / 2, reach)
        arms.append(
            Arm(key=key, node=node, points=points, reach=reach, foot=part[-1], along=part[-1] - part[0])
        )
    return arms


def move_arm(network: Network, arm: Arm, node: int) -> None:
    """Let a road begin at another node, which has its place, and run straight to its foot."""
    road = network.roads[arm.key]
    rest = stretch(arm.points, arm.reach, road.length)
    points = np.concatenate([network.position[node][None], rest])
    if road.u == arm.node:
        network.add(replace(road, u=node, points=points))
    else:
        network.add(replace(road, v=node, points=points[::-1]))
    network.remove(arm.key)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of the angle between two vectors, 0 where one is none."""
    return float(one @ other) / max(float(np.hypot(*one) * np.hypot(*other)), 1e-18)


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between two vectors in radians."""
    return float(np.arccos(np.clip(cosine(one, other), -1, 1)))


def beside(one: Arm, other: Arm, here: np.ndarray) -> bool:
    """Whether two roads that leave a place on the same side run beside each other further on."""
    seen, turn = _angle(one.foot - here, other.foot - here), _angle(one.along, other.along)
    return seen < np.pi / 2 and turn <= PARALLEL * seen
