"""Dress a neighbourhood for one year: gardens, drives, crops, cars, trees, roofs."""

import numpy as np
import shapely
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial import cKDTree
from shapely import affinity, ops

from sample_scenes.canvas import Canvas, burn, number, paint_buildings, paint_roads, paint_trees
from sample_scenes.country_surface import paint_fields
from sample_scenes.materials import BARE, BUILT_UP, CROPLAND, FOREST, GRASSLAND, WATER
from sample_scenes.neighbourhood import Neighbourhood
from sample_scenes.noise import Field, fractal_noise, pixel_centres, stream
from sample_scenes.settlement import SECOND_YEAR, Town


def dress(country: Neighbourhood, year: int) -> Canvas:
    """Return the surface of a neighbourhood in a year."""
    shape, pixel, seed = country.terrain.shape, country.pixel, country.seed
    canvas = Canvas.blank(shape, pixel)
    patches = fractal_noise(shape, pixel, stream(seed, "patches"), largest=30, beta=2.2)
    grain = fractal_noise(shape, pixel, stream(seed + year, "grain"), largest=1.5, beta=0.8)
    town = country.town.in_year(year)
    _paint_open_land(canvas, country, year, patches, grain)
    _paint_settled_land(canvas, country, year, patches, grain)
    _paint_waters(canvas, country, year, patches, grain)
    drives = [shape for shape, since in country.drives if since <= year]
    canvas.paint(
        burn(drives, shape, pixel), "concrete", landcover=BUILT_UP, mixture=np.clip(0.3 + 0.2 * grain, 0, 1)
    )
    roads = [road for road in (*country.roads, *town.roads) if road.since <= year]
    paint_roads(canvas, roads, seed, sidewalks=True)
    _paint_markings(canvas, country)
    _paint_cars(canvas, country, town, year)
    trees = country.trees
    rows, columns = (trees.y / pixel).astype(int), (trees.x / pixel).astype(int)
    rows, columns = rows.clip(0, shape[0] - 1), columns.clip(0, shape[1] - 1)
    if year >= SECOND_YEAR:
        trees = trees.only(~country.felled[rows, columns])
    leaves = fractal_noise(shape, pixel, stream(seed, "leaves"), largest=2.2, beta=1.4)
    paint_trees(canvas, trees, leaves)
    paint_buildings(canvas, country.town.buildings, seed, year)
    return canvas


def _paint_open_land(canvas: Canvas, country: Neighbourhood, year: int, patches: Field, grain: Field) -> None:
    """Paint fields and meadows outside the town, the floor of the woods, and what was felled."""
    rng, parcels = stream(country.seed, "open land"), country.parcels
    tilled = rng.random(parcels.count) < 0.68
    tilled[parcels.parcel[0, 0]] = tilled[parcels.parcel[-1, -1]] = True
    land = np.where(tilled[parcels.parcel], CROPLAND, GRASSLAND).astype(np.uint8)
    paint_fields(canvas, parcels, land, stream(country.seed, f"crops {year}"), patches, grain)
    dryness = rng.beta(1.4, 1.8, parcels.count).astype(np.float32)[parcels.parcel]
    mixture = np.clip(dryness + 0.12 * patches + 0.07 * grain, 0, 1)
    canvas.paint(
        land == GRASSLAND, "meadow", landcover=GRASSLAND, mixture=mixture, brightness=(1 + 0.08 * grain)
    )
    tracks = binary_dilation(parcels.track, iterations=round(1.5 / canvas.pixel))
    dirt = np.clip(0.6 + 0.15 * patches + 0.1 * grain, 0, 1)
    canvas.paint(tracks, "cleared", landcover=BARE, mixture=dirt, brightness=1 + 0.06 * grain)
    floor = np.clip(0.5 + 0.2 * patches, 0, 1)
    canvas.paint(
        country.woods, "deciduous", landcover=FOREST, mixture=floor, brightness=0.6 + 0.1 * grain, height=0.5
    )
    if year >= SECOND_YEAR:
        bare = np.clip(0.4 + 0.2 * patches + 0.15 * grain, 0, 1)
        canvas.paint(country.felled, "cleared", landcover=BARE, mixture=bare, brightness=1 + 0.1 * grain)


def _paint_settled_land(
    canvas: Canvas, country: Neighbourhood, year: int, patches: Field, grain: Field
) -> None:
    """Paint verges, parks, gardens, yards and building sites."""
    shape, pixel, town = canvas.landcover.shape, canvas.pixel, country.town.in_year(year)
    mixture = np.clip(0.45 + 0.15 * patches + 0.08 * grain, 0, 1)
    canvas.paint(burn([town.outline], shape, pixel), "lawn", landcover=GRASSLAND, mixture=mixture)
    _paint_gardens(canvas, country, year, patches, grain)
    spots = gaussian_filter(patches, 1.5 / pixel)
    wear = np.clip(0.35 + 0.15 * patches + 0.1 * grain, 0, 1)
    for kind, least in {"centre": -0.9, "halls": -1.3, "apartments": 0.8}.items():
        ground = burn([b.outline.buffer(-1.5) for b in town.blocks if b.kind == kind], shape, pixel)
        material = "asphalt" if kind == "halls" else "concrete"
        canvas.paint(ground & (spots > least), material, landcover=BUILT_UP, mixture=wear)
    site = burn([b.outline for b in town.blocks if b.kind == "site"], shape, pixel)
    rubble = np.clip(0.5 + 0.25 * patches + 0.1 * grain, 0, 1)
    heaps = np.clip(spots - 0.9, 0, None) * 2.5
    canvas.paint(site, "cleared", landcover=BARE, mixture=rubble, brightness=1 + 0.06 * grain, height=heaps)


def _paint_gardens(canvas: Canvas, country: Neighbourhood, year: int, patches: Field, grain: Field) -> None:
    """Paint the lots around houses, each lawn its own green, with hedges between lots and paved yards."""
    shape, pixel, rng = canvas.landcover.shape, canvas.pixel, stream(country.seed, "gardens")
    # Lots are drawn for the houses of all years, so that a garden stays the same when others are built.
    houses = [b for b in country.town.buildings if b.kind in ("house", "apartment")]
    blocks = country.town.in_year(year).blocks
    homes = burn([b.outline for b in blocks if b.kind in ("homes", "centre")], shape, pixel)
    if not houses or not homes.any():
        return
    x, y = np.broadcast_arrays(*pixel_centres(shape, pixel))
    lot = np.zeros(shape, dtype=np.int64)
    centres = [b.outline.centroid.coords[0] for b in houses]
    lot[homes] = cKDTree(centres).query(np.stack([x[homes], y[homes]], axis=1))[1]
    dry = rng.beta(1.3, 1.6, len(houses)).astype(np.float32)[lot]
    light = rng.normal(1, 0.1, len(houses)).clip(0.75, 1.25).astype(np.float32)[lot]
    mown = np.clip(dry + 0.12 * patches + 0.08 * grain, 0, 1)
    canvas.paint(homes, "lawn", landcover=GRASSLAND, mixture=mown, brightness=light)
    edge = (lot != np.roll(lot, 2, axis=0)) | (lot != np.roll(lot, 2, axis=1))
    hedged, paved = rng.random(len(houses)) < 0.55, rng.random(len(houses)) < 0.55
    hedge = homes & edge & hedged[lot] & (patches > -0.8)
    canvas.paint(hedge, "deciduous", landcover=FOREST, mixture=0.4, height=1.6 + 0.2 * grain)
    yards = [b.outline.buffer(2.4) for b, yes in zip(houses, paved, strict=True) if yes and b.stands(year)]
    wear = np.clip(0.4 * light + 0.2 * grain, 0, 1)
    canvas.paint(burn(yards, shape, pixel) & homes, "concrete", landcover=BUILT_UP, mixture=wear)


def _paint_waters(canvas: Canvas, country: Neighbourhood, year: int, patches: Field, grain: Field) -> None:
    """Paint the river and its gravel, the pond and the pools."""
    shape, pixel = canvas.landcover.shape, canvas.pixel
    stones = np.clip(0.5 + 0.2 * patches + 0.2 * grain, 0, 1)
    canvas.paint(country.gravel, "gravel", landcover=BARE, mixture=stones, brightness=1 + 0.05 * grain)
    wet = burn([country.river], shape, pixel) | country.pond
    canvas.paint(
        wet,
        "water",
        landcover=WATER,
        mixture=np.clip(0.45 + 0.1 * patches, 0, 1),
        brightness=1 + 0.03 * grain,
    )
    pools = [pool for pool, since in country.pools if since <= year]
    canvas.paint(
        burn([pool.buffer(0.9) for pool in pools], shape, pixel), "concrete", landcover=BUILT_UP, mixture=0.8
    )
    canvas.paint(burn(pools, shape, pixel), "pool", landcover=WATER, mixture=0.4)


def _paint_markings(canvas: Canvas, country: Neighbourhood) -> None:
    """Paint the dashed middle line of main roads."""
    dashes = []
    for road in country.roads:
        starts = np.arange(0, road.line.length, 9.0)
        dashes += [ops.substring(road.line, start, start + 4).buffer(0.14) for start in starts]
    canvas.paint(burn(dashes, canvas.landcover.shape, canvas.pixel), "concrete", mixture=1.0, brightness=1.6)


def _paint_cars(canvas: Canvas, country: Neighbourhood, town: Town, year: int) -> None:
    """Paint cars along the kerbs, on main roads and on the yards of halls; each year brings others."""
    rng = stream(country.seed, f"cars {year}")
    cars = []
    for road in (*town.roads, *country.roads):
        if road.since > year:
            continue
        for position in np.arange(4, road.line.length - 4, 7.0):
            if rng.random() > 0.2:
                continue
            here, ahead = road.line.interpolate(position), road.line.interpolate(position + 1)
            along = np.array([ahead.x - here.x, ahead.y - here.y])
            side = rng.choice([-1, 1]) * (road.width / 2 - (1.1 if road.kind == "street" else 2.3))
            x, y = here.x - along[1] * side, here.y + along[0] * side
            cars.append((x, y, np.degrees(np.arctan2(along[1], along[0]))))
    for block in town.blocks:
        if block.kind in ("halls", "apartments"):
            cars += _parked(block.outline, town, rng)
    outlines = [
        affinity.rotate(shapely.box(x - 2.2, y - 0.9, x + 2.2, y + 0.9), angle) for x, y, angle in cars
    ]
    position = number(outlines, canvas.landcover.shape, canvas.pixel)
    paint = rng.beta(0.5, 0.7, len(cars) + 1).astype(np.float32)
    on_paving = (position >= 0) & (canvas.landcover == BUILT_UP)
    canvas.paint(on_paving, "car", mixture=paint[position], height=1.4)


def _parked(
    ground: shapely.Polygon, town: Town, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    """Return parked cars (x, y, angle) in rows on the free land of a block."""
    built = shapely.union_all([b.outline.buffer(3.5) for b in town.buildings if ground.intersects(b.outline)])
    free = ground.buffer(-4).difference(built)
    left, top, right, bottom = ground.bounds
    spots = [(x, y) for y in np.arange(top, bottom, 11.0) for x in np.arange(left, right, 2.8)]
    shapely.prepare(free)
    taken = [spot for spot in spots if rng.random() < 0.5]
    inside = shapely.contains_xy(free, np.array(taken).reshape(-1, 2))
    return [(x, y, 90.0) for (x, y), keep in zip(taken, inside, strict=True) if keep]
