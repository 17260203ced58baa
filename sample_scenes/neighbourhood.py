"""The lie of the land at the scale of aircraft: a small town by a river, half a kilometre across."""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy.ndimage import gaussian_filter
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from sample_scenes.canvas import Mask, Trees, burn, number, plant
from sample_scenes.noise import Field, blob, fractal_noise, smooth_line, stream
from sample_scenes.parcels import Parcels, divide
from sample_scenes.settlement import (
    SECOND_YEAR,
    Block,
    Building,
    Road,
    Town,
    build_town,
    grow_later,
    outline_around,
)


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """A town and its surroundings through the years. Rasters have shape (rows, columns) of the fine grid."""

    seed: int
    pixel: float
    terrain: Field
    """Heights in metres."""
    river: BaseGeometry
    pond: Mask
    gravel: Mask
    """Bare ground beside the water and around the pond."""
    woods: Mask
    felled: Mask
    """Part of the woods that is bare ground in the second year."""
    parcels: Parcels
    town: Town
    roads: list[Road]
    """The main road and the country road, beside the streets of the town."""
    drives: list[tuple[BaseGeometry, int]]
    """Paved drives as (polygon, first year)."""
    pools: list[tuple[shapely.Polygon, int]]
    """Swimming pools as (polygon, first year)."""
    trees: Trees


def lay_out(shape: tuple[int, int], pixel: float, seed: int) -> Neighbourhood:
    """Lay out a town on a fine grid of the given shape and pixel size in metres."""
    rng = stream(seed, "terrain")
    terrain = 4.0 * fractal_noise(shape, pixel, rng, largest=400, beta=4.2)
    width, height = shape[1] * pixel, shape[0] * pixel
    river, banks = _river(width, height, stream(seed, "water"))
    roads = _through_roads(width, height, stream(seed, "routes"))
    town = _town(width, height, river, roads, stream(seed, "town"))
    edge = fractal_noise(shape, pixel, stream(seed, "edges"), largest=60, beta=3.0)
    settled = burn([town.outline.buffer(4)], shape, pixel)
    woods, felled = _woods(shape, pixel, settled, edge, stream(seed, "woods"))
    pond = _pond(shape, pixel, town, edge)
    gravel = burn([banks], shape, pixel) & (edge > 0.1)
    parcels = divide(shape, pixel, stream(seed, "parcels"), farm_size=230, width=(28, 60), length=(90, 190))
    drives = _drives(town, roads, stream(seed, "drives"))
    country = Neighbourhood(
        seed=seed,
        pixel=pixel,
        terrain=terrain,
        river=river,
        pond=pond,
        gravel=gravel,
        woods=woods,
        felled=felled,
        parcels=parcels,
        town=town,
        roads=roads,
        drives=drives,
        pools=_pools(town, stream(seed, "pools")),
        trees=Trees.none(),
    )
    return replace(country, trees=_trees(country, settled, edge))


def _river(width: float, height: float, rng: np.random.Generator) -> tuple[BaseGeometry, BaseGeometry]:
    """Return the river and the river with its banks, winding along one side of the scene."""
    along = np.linspace(-40, height + 40, 60)
    side = 0.13 if rng.random() < 0.5 else 0.87
    across = width * side + 0.022 * width * smooth_line(60, rng, smoothness=22)
    line = shapely.LineString(np.stack([across, along], axis=1))
    return line.buffer(rng.uniform(8, 11)), line.buffer(15)


def _through_roads(width: float, height: float, rng: np.random.Generator) -> list[Road]:
    """Return the main road across the scene (it bridges the river) and a country road branching off it."""
    along = np.linspace(-20, width + 20, 50)
    across = height * rng.uniform(0.42, 0.58) + 14 * smooth_line(50, rng, smoothness=24)
    main = shapely.LineString(np.stack([along, across], axis=1))
    start = main.interpolate(rng.uniform(0.55, 0.7), normalized=True)
    down = np.linspace(0, 1, 30)
    end = (start.x + rng.uniform(-60, 60), height + 20 if rng.random() < 0.5 else -20.0)
    sway = 6 * smooth_line(30, rng, smoothness=14) * np.sin(np.pi * down)
    branch = np.stack(
        [start.x + (end[0] - start.x) * down + sway, start.y + (end[1] - start.y) * down], axis=1
    )
    return [
        Road(line=main, width=8.5, kind="main"),
        Road(line=shapely.LineString(branch), width=7.0, kind="main"),
    ]


def _town(
    width: float, height: float, river: BaseGeometry, roads: list[Road], rng: np.random.Generator
) -> Town:
    """Return the town: most of the scene away from the river; it grows and renews itself later."""
    middle = (width * (0.56 if river.centroid.x < width / 2 else 0.44), height * rng.uniform(0.45, 0.55))
    # A small scene shows a part of a town rather than a small town.
    outline = outline_around(middle, max(0.43 * min(width, height), 150), rng, roughness=0.3)
    dry = outline.intersection(shapely.box(-20, -20, width + 20, height + 20)).difference(river.buffer(16))
    outline = max(shapely.get_parts(dry), key=lambda part: part.area)
    corridor = shapely.union_all([road.line.buffer(road.width / 2 + 1.6) for road in roads])
    town = build_town(
        outline,
        rng,
        angle=float(rng.uniform(-18, 18)),
        spacing=((52, 66), (85, 125)),
        kinds={"homes": 0.66, "apartments": 0.13, "halls": 0.12, "park": 0.09},
        taken=corridor,
    )
    town = _with_park_and_site(town)
    return _renewed(grow_later(town, rng, share=0.1), rng)


def _with_park_and_site(town: Town) -> Town:
    """Return the town with at least one park (its largest block of homes) and a building site."""
    homes = sorted(
        (n for n, block in enumerate(town.blocks) if block.kind == "homes"),
        key=lambda n: -town.blocks[n].outline.area,
    )
    if len(homes) < 4:
        return town
    kinds = {homes[1]: "park", homes[len(homes) // 2]: "site"}
    cleared = shapely.union_all([town.blocks[n].outline for n in kinds])
    blocks = [
        Block(outline=b.outline, kind=kinds.get(n, b.kind), since=b.since) for n, b in enumerate(town.blocks)
    ]
    kept = [b for b in town.buildings if not cleared.contains(b.outline.centroid)]
    return replace(town, blocks=blocks, buildings=kept)


def _renewed(town: Town, rng: np.random.Generator) -> Town:
    """Return the town with some houses first built, and some last seen, between the two years."""
    buildings: list[Building] = []
    for building in town.buildings:
        chance = rng.random()
        if building.since == 0 and building.kind == "house" and chance < 0.05:
            buildings.append(replace(building, since=SECOND_YEAR))
        elif building.since == 0 and chance > 0.975:
            buildings.append(replace(building, until=SECOND_YEAR))
        else:
            buildings.append(building)
    return replace(town, buildings=buildings)


def _woods(
    shape: tuple[int, int], pixel: float, settled: Mask, edge: Field, rng: np.random.Generator
) -> tuple[Mask, Mask]:
    """Return the woods in two corners of the scene, and the part felled before the second year."""
    width, height = shape[1] * pixel, shape[0] * pixel
    corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
    chosen = rng.permutation(4)[:2]
    woods = np.zeros(shape, dtype=bool)
    for corner in chosen:
        woods |= blob(shape, pixel, corners[corner], rng.uniform(0.26, 0.36) * width, edge)
    woods &= ~settled
    first = corners[chosen[0]]
    inwards = (
        first[0] + np.sign(width / 2 - first[0]) * 0.12 * width,
        first[1] + np.sign(height / 2 - first[1]) * 0.14 * height,
    )
    return woods, woods & blob(shape, pixel, inwards, 0.09 * width, edge)


def _pond(shape: tuple[int, int], pixel: float, town: Town, edge: Field) -> Mask:
    """Return a pond in the largest park."""
    parks = [block.outline for block in town.blocks if block.kind == "park"]
    if not parks:
        return np.zeros(shape, dtype=bool)
    park = max(parks, key=lambda ground: ground.area)
    centre = park.representative_point()
    radius = 0.5 * centre.distance(park.exterior)
    return blob(shape, pixel, (centre.x, centre.y), radius, 0.5 * gaussian_filter(edge, 3 / pixel))


def _drives(town: Town, roads: list[Road], rng: np.random.Generator) -> list[tuple[BaseGeometry, int]]:
    """Return a paved drive from most houses to the nearest street."""
    streets = shapely.union_all([road.line for road in (*town.roads, *roads)])
    drives: list[tuple[BaseGeometry, int]] = []
    for building in town.buildings:
        if building.kind != "house" or rng.random() < 0.2:
            continue
        corner = shapely.Point(building.outline.exterior.coords[int(rng.integers(4))])
        path = shapely.shortest_line(corner, streets)
        if 2 < path.length < 28:
            drives.append((path.buffer(rng.uniform(1.3, 2.2), cap_style="square"), building.since))
    return drives


def _pools(town: Town, rng: np.random.Generator) -> list[tuple[shapely.Polygon, int]]:
    """Return swimming pools behind one house in twelve."""
    pools = []
    blocks = [block.outline for block in town.blocks if block.kind == "homes"]
    built = shapely.union_all([building.outline.buffer(1.5) for building in town.buildings])
    for building in town.buildings:
        if building.kind != "house" or rng.random() > 0.1:
            continue
        centre, (x, y) = building.outline.centroid, rng.uniform(-13, 13, 2)
        pool = shapely.box(centre.x + x - 4, centre.y + y - 2, centre.x + x + 4, centre.y + y + 2)
        pool = affinity.rotate(pool, building.angle).buffer(0.6)
        if not built.intersects(pool) and any(block.contains(pool) for block in blocks):
            pools.append((pool, building.since))
    return pools


def _trees(country: Neighbourhood, settled: Mask, edge: Field) -> Trees:
    """Return all trees: dense in the woods, in gardens and parks, along field borders and the river."""
    shape, pixel, rng = country.terrain.shape, country.pixel, stream(country.seed, "trees")
    density = np.full(shape, 0.004, dtype=np.float32)
    density[country.parcels.border & (edge > 0.2)] = 0.6
    block = number([block.outline for block in country.town.blocks], shape, pixel)
    chances = {"homes": 0.17, "centre": 0.07, "apartments": 0.16, "halls": 0.04, "park": 0.34, "site": 0.0}
    density[settled] = 0.05
    table = np.array([chances[b.kind] for b in country.town.blocks], dtype=np.float32)
    table[[b.since > 0 for b in country.town.blocks]] = 0  # no trees yet in new gardens
    density[block >= 0] = table[block[block >= 0]]
    density[burn([country.river.buffer(9)], shape, pixel) & (edge > -0.3)] = 0.4
    free: list[BaseGeometry] = [
        r.line.buffer(r.width / 2 + 1.5) for r in (*country.roads, *country.town.roads)
    ]
    free += [b.outline.buffer(1.5) for b in country.town.buildings]
    free += [country.river, *(pool.buffer(2) for pool, _ in country.pools)]
    barred = burn(free, shape, pixel) | country.pond
    density[barred | country.woods] = 0
    conifers = np.clip(0.3 + 0.4 * fractal_noise(shape, pixel, rng, largest=120, beta=2.6), 0.05, 0.95)
    single = plant(density, pixel, rng, spacing=6.5, radius=(1.5, 4.2), conifers=0.4 * conifers)
    dense = (0.93 * (country.woods & ~barred)).astype(np.float32)
    return single.joined(plant(dense, pixel, rng, spacing=4.3, radius=(2.2, 4.4), conifers=conifers))
