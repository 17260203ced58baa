"""Crossings in two pieces: roads that cross at a small angle share a stretch, with a node at both ends.

Two nodes of three roads are one crossing if each road goes straight on from one end of the stretch between
them to the other and changes sides on its way. Roads that come together and part on the sides that they
came from only touch: those stay.
"""

import numpy as np

from geodl.vector.roads.arms import Arm, arms_of, beside, cosine, move_arm
from geodl.vector.roads.network import Network

SHARED = 6.0  # widths: surfaces that cross at 10 degrees have about so much in common
STRAIGHT = np.cos(np.radians(15))  # of the line across, at both of its ends


def join_crossings(network: Network) -> None:
    """Make one node of two where roads cross at a small angle, the nearest first."""
    shared = [
        (road.length, key)
        for key, road in network.roads.items()
        if road.u != road.v and road.length <= SHARED * road.width
    ]
    for _, key in sorted(shared):
        road = network.roads.get(key)
        if road is not None and network.degree(road.u) == network.degree(road.v) == 3:
            _join(network, key)


def _join(network: Network, key: int) -> None:
    road = network.roads[key]
    sides = [[arm for arm in arms_of(network, node) if arm.key != key] for node in (road.u, road.v)]
    if len({arm.key for side in sides for arm in side}) != 4:
        return
    (one, two), (three, four) = sides
    if beside(one, two, network.position[road.u]) and beside(three, four, network.position[road.v]):
        return
    for ways in ([(one, three), (two, four)], [(one, four), (two, three)]):
        place = _crossing(*ways)
        if place is not None and all(_is_straight(*way) for way in ways):
            network.place(road.u, place, max(network.radius[road.u], network.radius[road.v]))
            for arm in (one, two, three, four):
                move_arm(network, arm, road.u)
            network.remove(key)
            return


def _is_straight(one: Arm, other: Arm) -> bool:
    across = other.foot - one.foot
    return cosine(one.along, -across) > STRAIGHT and cosine(other.along, across) > STRAIGHT


def _crossing(one: tuple[Arm, Arm], other: tuple[Arm, Arm]) -> np.ndarray | None:
    """Where two lines from foot to foot cross; None where they do not."""
    along, across = one[1].foot - one[0].foot, other[1].foot - other[0].foot
    turn = along[0] * across[1] - along[1] * across[0]
    if turn == 0:
        return None
    offset = other[0].foot - one[0].foot
    share = (offset[0] * across[1] - offset[1] * across[0]) / turn
    other_share = (offset[0] * along[1] - offset[1] * along[0]) / turn
    return one[0].foot + share * along if 0 < share < 1 and 0 < other_share < 1 else None
