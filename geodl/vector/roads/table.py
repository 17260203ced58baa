"""The two layers of a road network: edges and nodes."""

import numpy as np
import shapely

from geodl.vector.batch import Batches, FeatureBatch
from geodl.vector.roads.ground import Ground
from geodl.vector.roads.network import Network, Road


def road_layers(network: Network, ground: Ground, *, name: str, confidence: bool, simplify: float) -> Batches:
    """Yield the edges and the nodes of a network; `simplify` is in the unit of the ground.

    Nodes are numbered row by row; edges run from the node with the smaller number and are numbered by
    those of their nodes, then by their course.
    """
    nodes = sorted(network.at, key=lambda node: (*network.position[node][::-1].tolist(), node))
    number = {node: place + 1 for place, node in enumerate(nodes)}
    roads = sorted((_forward(road, number) for road in network.roads.values()), key=_order)
    places = np.array([network.position[node] for node in nodes]).reshape(-1, 2)
    points = np.array(shapely.points(ground.to_crs(places)), dtype=object)
    ends = np.array([(number_u, number_v) for number_u, number_v, _ in roads], np.int64).reshape(-1, 2)
    geometry = _geometry([road.points for _, _, road in roads], ends, points, ground, simplify)
    columns: dict[str, np.ndarray] = {
        "id": np.arange(1, len(roads) + 1),
        "u": ends[:, 0],
        "v": ends[:, 1],
        "key": _keys(ends),
        "name": np.full(len(roads), name, object),
        f"length_{ground.unit}": ground.lengths(geometry),
        f"width_{ground.unit}": np.array([road.width for _, _, road in roads], np.float64),
    }
    if confidence:
        columns["confidence"] = np.array([road.confidence for _, _, road in roads], np.float64)
    yield FeatureBatch(columns=columns, geometry=geometry, geometry_type="LineString", layer="edges")
    degree = np.array([network.degree(node) for node in nodes], np.int32)
    yield FeatureBatch(
        columns={"id": np.arange(1, len(nodes) + 1), "degree": degree},
        geometry=points,
        geometry_type="Point",
        layer="nodes",
    )


def _forward(road: Road, number: dict[int, int]) -> tuple[int, int, Road]:
    """Turn a road so that it starts at the node with the smaller number."""
    backwards = tuple(road.points[::-1][:2].ravel()) < tuple(road.points[:2].ravel())
    if number[road.u] > number[road.v] or (road.u == road.v and backwards):
        road.u, road.v, road.points = road.v, road.u, road.points[::-1]
    return number[road.u], number[road.v], road


def _order(numbered: tuple[int, int, Road]) -> tuple:
    u, v, road = numbered
    return u, v, road.points.ravel().tolist()


def _keys(ends: np.ndarray) -> np.ndarray:
    """Count the edges between the same two nodes: 0, 1, ..."""
    place = np.arange(len(ends))
    starts = np.append(True, (np.diff(ends, axis=0) != 0).any(axis=1))[: len(ends)]
    return place - np.maximum.accumulate(np.where(starts, place, 0))


def _geometry(lines: list[np.ndarray], ends: np.ndarray, points: np.ndarray, ground: Ground, simplify: float):
    """Lines in the CRS; each starts and ends exactly at its nodes' points."""
    if not lines:
        return np.empty(0, object)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    drawn = shapely.linestrings(np.concatenate(lines), indices=owner)
    if simplify:
        drawn = shapely.simplify(drawn, simplify)
    flat, owner = shapely.get_coordinates(drawn, return_index=True)
    flat = ground.to_crs(flat)
    start = np.searchsorted(owner, np.arange(len(lines)))
    stop = np.append(start[1:], len(owner)) - 1
    at = shapely.get_coordinates(points)
    flat[start], flat[stop] = at[ends[:, 0] - 1], at[ends[:, 1] - 1]
    return shapely.linestrings(flat, indices=owner)
