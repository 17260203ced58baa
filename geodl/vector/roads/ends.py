"""Dead ends on the axis of their road.

Where a road ends square or ragged, its skeleton runs into one of the corners.
"""

import numpy as np

from geodl.vector.roads.network import Network, stretch

CORNER = 0.5  # an end in a corner is nearer to the edge than this share of the road's half width
HOOK = 1.0  # road widths before such an end that are drawn anew
BEHIND = 3.0  # road widths before the end where its direction begins


def straighten_ends(network: Network) -> None:
    """Let roads that end in a corner go straight on to the same distance."""
    for node in list(network.at):
        if network.degree(node) != 1:
            continue
        (key,) = network.at[node]
        road = network.roads[key]
        if network.radius[node] > CORNER * road.width / 2 or road.length < 2 * HOOK * road.width:
            continue
        ((_, points),) = network.arms(node)
        before = stretch(points, HOOK * road.width, min(BEHIND * road.width, road.length))
        along = before[0] - before[-1]
        along = along / max(float(np.hypot(*along)), 1e-9)
        tip = before[0] + max(0.0, float((points[0] - before[0]) @ along)) * along
        drawn = np.concatenate([tip[None], stretch(points, HOOK * road.width, road.length)])
        network.place(node, tip, road.width / 2)
        road.draw(drawn if road.u == node else drawn[::-1])
