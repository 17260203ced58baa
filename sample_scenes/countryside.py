"""The lie of the land at the scale of satellites: a valley or a coast of some kilometres."""

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes as polygonize
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d, zoom
from shapely.geometry.base import BaseGeometry
from skimage.graph import route_through_array

from sample_scenes import terrain
from sample_scenes.canvas import Mask, burn
from sample_scenes.materials import BARE, CROPLAND, FOREST, GRASSLAND, INDEX, WATER
from sample_scenes.noise import Field, blob, fractal_noise, stream
from sample_scenes.parcels import Parcels, divide, mean_by_parcel
from sample_scenes.settlement import SECOND_YEAR, Building, Road, Town, build_town, grow_later, outline_around


@dataclass(frozen=True, kw_only=True)
class Event:
    """Land that became something else."""

    year: int
    where: Mask
    landcover: int
    material: str


@dataclass(frozen=True, kw_only=True)
class Countryside:
    """A landscape through the years. Rasters have shape (rows, columns) of the fine grid."""

    seed: int
    pixel: float
    terrain: Field
    """Heights in metres; the sea lies below 0."""
    land: NDArray[np.uint8]
    """Land cover without towns and roads."""
    hint: NDArray[np.uint8]
    """Material where the land cover alone does not tell it (rock, sand, gravel, quarry), else 0."""
    parcels: Parcels
    towns: list[Town]
    roads: list[Road]
    events: list[Event]

    def all_buildings(self) -> list[Building]:
        """Return the buildings of all towns and years."""
        return [building for town in self.towns for building in town.buildings]

    def all_roads(self) -> list[Road]:
        """Return country roads and streets of all years."""
        return [*self.roads, *(road for town in self.towns for road in town.roads)]


def lay_out(shape: tuple[int, int], pixel: float, seed: int, style: str) -> Countryside:
    """Lay out a landscape.

    Parameters
    ----------
    shape : tuple = (rows, columns)
        Of the fine grid.
    pixel : float
        Pixel size of the fine grid in metres.
    seed : int
    style : str
        ``valley`` or ``coast``.
    """
    rng = stream(seed, "terrain")
    relief = float(rng.uniform(70, 120))
    build = terrain.valley if style == "valley" else terrain.coast
    ground = build(shape, pixel, rng, relief)
    water, rivers = _waters(ground, pixel, stream(seed, "water"), style)
    cells = terrain.coarse(ground, pixel)
    wet_cells = terrain.coarse(water.astype(np.float32), pixel)
    sites = _sites(cells, wet_cells, stream(seed, "sites"))
    roads = _country_roads(cells, wet_cells, sites, stream(seed, "routes"))
    wet_shape = _outline_of(wet_cells > 0.12).buffer(12)
    towns = _towns(sites, roads, wet_shape, stream(seed, "towns"))
    parcels = divide(shape, pixel, stream(seed, "parcels"), farm_size=820, width=(55, 150), length=(160, 420))
    land, hint = _land(ground, pixel, water, rivers, parcels, seed)
    return Countryside(
        seed=seed,
        pixel=pixel,
        terrain=ground,
        land=land,
        hint=hint,
        parcels=parcels,
        towns=towns,
        roads=roads,
        events=_events(land, hint, pixel, seed),
    )


def _waters(
    ground: Field, pixel: float, rng: np.random.Generator, style: str
) -> tuple[Mask, list[tuple[BaseGeometry, float]]]:
    """Return the water mask and the rivers as (polygon, width)."""
    cells = terrain.coarse(ground, pixel)
    rain = np.ones(cells.shape, dtype=np.float32)
    outlets = np.zeros(cells.shape, dtype=bool)
    if style == "valley":
        # The valley begins beyond the scene: its river enters on the left and leaves on the right.
        rain[int(cells[:, 0].argmin()), 0] = 4.0 * cells.size
        outlets[int(cells[:, -1].argmin()), -1] = True
    else:
        outlets[[0, -1], :] = outlets[:, [0, -1]] = True
        outlets |= cells < 0
    filled, downstream, order = terrain.drain(cells, outlets)
    flow = terrain.accumulate(downstream, order, rain)
    lines = terrain.streams(flow, downstream, cells.shape[1], threshold=cells.size / 22)
    rivers = terrain.river_shapes(lines, rng, widest=52 if style == "valley" else 26)
    water = burn([shape for shape, _ in rivers], ground.shape, pixel)
    water |= terrain.lakes(cells, filled, ground.shape)
    if style == "coast":
        water |= ground < 0
    return water, rivers


def _sites(cells: Field, wet: Field, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Return towns and villages as (x, y, radius in metres): on flat dry land, apart from each other."""
    slope = np.hypot(*np.gradient(cells, terrain.CELL))
    dry = distance_transform_edt(wet < 0.1) * terrain.CELL
    rows, columns = cells.shape
    extent = min(rows, columns) * terrain.CELL
    row, column = np.indices(cells.shape)
    border = np.minimum.reduce([row, column, rows - 1 - row, columns - 1 - column]) * terrain.CELL
    liking = (
        -gaussian_filter(slope, 4) * 14 - np.abs(dry - 350) / 900 + 0.35 * rng.standard_normal(cells.shape)
    )
    sizes = np.array([0.115, 0.075, 0.048, 0.042, 0.034, 0.028]) * extent * rng.uniform(0.9, 1.15, 6)
    sites: list[tuple[float, float, float]] = []
    for radius in sizes:
        score = np.where((border < 0.8 * radius) | (dry < 0.35 * radius), -np.inf, liking)
        for x, y, other in sites:
            apart = np.hypot((column + 0.5) * terrain.CELL - x, (row + 0.5) * terrain.CELL - y)
            score[apart < 1.5 * (radius + other) + 0.04 * extent] = -np.inf
        best = int(score.argmax())
        if np.isfinite(score.flat[best]):
            r, c = divmod(best, columns)
            sites.append(((c + 0.5) * terrain.CELL, (r + 0.5) * terrain.CELL, float(radius)))
    return sites


def _country_roads(
    cells: Field, wet: Field, sites: list[tuple[float, float, float]], rng: np.random.Generator
) -> list[Road]:
    """Return main roads: each town to the nearest one before it, the first two to the scene's edges."""
    slope = np.hypot(*np.gradient(cells, terrain.CELL))
    cost = 1 + (22 * slope) ** 2 + 14 * (wet > 0.1) + 0.6 * rng.random(cells.shape)
    places = [(int(y / terrain.CELL), int(x / terrain.CELL)) for x, y, _ in sites]
    ends = [(places[min(n, len(places) - 1)], gate) for n, gate in enumerate(_gates(cells, wet)[:3])]
    for position, place in enumerate(places[1:], start=1):
        nearest = min(places[:position], key=lambda other: np.hypot(other[0] - place[0], other[1] - place[1]))
        ends.append((place, nearest))
    roads = []
    for start, end in ends:
        path, _ = route_through_array(cost, start, end, fully_connected=True, geometric=True)
        roads.append(_smooth_road(np.array(path), cells.shape, width=8.5))
        for row, column in path:
            cost[row, column] *= 0.35  # later roads join this one
    bypass, _ = route_through_array(cost + 30 * (cost < 1), places[-1], places[0], fully_connected=True)
    roads.append(_smooth_road(np.array(bypass), cells.shape, width=13.0, since=SECOND_YEAR))
    return roads


def _gates(cells: Field, wet: Field) -> list[tuple[int, int]]:
    """Return the cells (row, column) where roads leave the scene: the lowest dry place of each side."""
    rows, columns = cells.shape
    row, column = np.indices(cells.shape)
    gates = []
    for side in (column == columns - 1, column == 0, row == rows - 1, row == 0):
        height = np.where(side & (wet < 0.1), cells, np.inf)
        if np.isfinite(height).any():
            gates.append(divmod(int(height.argmin()), columns))
    return gates


def _smooth_road(path: NDArray[np.int64], shape: tuple[int, int], *, width: float, since: int = 0) -> Road:
    """Return a road along a path of cells; its ends reach the scene's edge where the path does."""
    points = (path[:, ::-1] + 0.5) * terrain.CELL
    line = gaussian_filter1d(points, 2.0, axis=0, mode="nearest")
    line[0], line[-1] = points[0], points[-1]
    last = path[-1]
    if last[0] in (0, shape[0] - 1) or last[1] in (0, shape[1] - 1):
        # Half a cell and the cells' rounding lie between the last cell's centre and the edge.
        line = np.vstack([line, line[-1] + 3 * (points[-1] - points[-2])])
    return Road(line=shapely.LineString(line), width=width, kind="main", since=since)


def _towns(
    sites: list[tuple[float, float, float]],
    roads: list[Road],
    wet: BaseGeometry,
    rng: np.random.Generator,
) -> list[Town]:
    """Return the towns; the largest gains a few blocks at its edge in the second year."""
    corridor = shapely.union_all([road.line.buffer(road.width / 2 + 2) for road in roads])
    towns = []
    for position, (x, y, radius) in enumerate(sites):
        outline = outline_around((x, y), radius, rng).difference(wet)
        outline = max(shapely.get_parts(outline), key=lambda part: part.area)
        kinds = {"homes": 0.66, "apartments": 0.12, "halls": 0.12, "park": 0.10}
        if position > 1:
            kinds = {"homes": 0.94, "park": 0.06}
        town = build_town(
            outline,
            rng,
            angle=float(rng.uniform(0, 90)),
            spacing=((55, 80), (85, 135)),
            kinds=kinds,
            taken=corridor,
        )
        towns.append(grow_later(town, rng, share=0.14) if position < 2 else town)
    return towns


def _outline_of(mask: Mask) -> BaseGeometry:
    """Return a mask of cells as polygons in metres."""
    pieces = polygonize(mask.astype(np.uint8), mask=mask, transform=Affine.scale(terrain.CELL))
    return shapely.union_all([shapely.geometry.shape(piece) for piece, _ in pieces])


def _land(
    ground: Field,
    pixel: float,
    water: Mask,
    rivers: list[tuple[BaseGeometry, float]],
    parcels: Parcels,
    seed: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return land cover without towns, and material hints."""
    shape, rng = ground.shape, stream(seed, "land")
    slope = np.hypot(*np.gradient(gaussian_filter(ground, 30 / pixel), pixel)).astype(np.float32)
    steep = slope / np.float32(slope.std())
    patches = fractal_noise(shape, pixel, rng, largest=900, beta=3.2)
    fine = fractal_noise(shape, pixel, rng, largest=170, beta=2.9)
    land = np.full(shape, GRASSLAND, dtype=np.uint8)
    tilled = mean_by_parcel(-0.9 * steep + 0.35 * patches, parcels) + 0.35 * rng.standard_normal(
        parcels.count
    )
    land[(tilled > np.quantile(tilled, 0.52))[parcels.parcel]] = CROPLAND
    wooded = mean_by_parcel(0.75 * steep - 0.75 * patches, parcels) + 0.3 * rng.standard_normal(parcels.count)
    trees = (
        0.55 * wooded[parcels.parcel].astype(np.float32) + 0.45 * (0.6 * steep - 1.1 * patches) + 0.25 * fine
    )
    forest = trees > np.quantile(trees, 0.70)
    # Rows of trees between farms, wherever the noise lets them stand.
    forest |= parcels.track & (fine > 0.2)
    banks = burn([piece.buffer(14) for piece, width in rivers], shape, pixel)
    forest |= banks & (fine > -0.1)
    land[forest] = FOREST
    hint = _bare_places(ground, pixel, water, rivers, (patches, fine), slope, rng)
    land[hint > 0] = BARE
    land[water] = WATER
    return land, np.where(water, 0, hint).astype(np.uint8)


def _bare_places(
    ground: Field,
    pixel: float,
    water: Mask,
    rivers: list[tuple[BaseGeometry, float]],
    noise: tuple[Field, Field],
    slope: Field,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the material of bare ground: ridges of rock, gravel bars, beaches, quarries; 0 elsewhere."""
    shape = ground.shape
    patches, fine = noise
    hint = np.zeros(shape, dtype=np.uint8)
    craggy = slope / slope.max() + 0.6 * ground / ground.max() + 0.16 * fine
    hint[craggy > np.quantile(craggy, 0.975)] = INDEX["rock"]
    bars = burn([piece.buffer(0.5 * width + 16) for piece, width in rivers if width > 18], shape, pixel)
    hint[bars & (fine > 0.15)] = INDEX["gravel"]
    if (ground < 0).any():
        shore = distance_transform_edt(ground > 0) * pixel
        hint[(shore > 0) & (shore < 45 + 32 * fine) & (slope < 0.12)] = INDEX["sand"]
    rows, columns = shape
    free = ~water
    for _ in range(3):
        # A quarry wants a slope, away from water and other quarries: the best of some places drawn at random.
        places = (rng.uniform(0.12, 0.88, (40, 2)) * (rows, columns)).astype(int)
        row, column = max(places, key=lambda place: slope[place[0], place[1]] + 9 * free[place[0], place[1]])
        centre, radius = (column * pixel, row * pixel), rng.uniform(0.02, 0.036) * min(rows, columns) * pixel
        pit = blob(shape, pixel, centre, radius, 0.15 * fine + 0.6 * patches)
        hint[pit] = INDEX["quarry" if rng.random() < 0.6 else "cleared"]
        free &= ~blob(shape, pixel, centre, 4 * radius, np.zeros_like(fine))
    return hint


def _events(land: NDArray[np.uint8], hint: NDArray[np.uint8], pixel: float, seed: int) -> list[Event]:
    """Return what changes before the second year: woods are felled, a lake is dug, a quarry grows."""
    rng, (rows, columns) = stream(seed, "events"), land.shape
    edge = fractal_noise(land.shape, pixel, rng, largest=150, beta=3.2)
    size = min(rows, columns) * pixel
    events, woods = [], land == FOREST
    depth = zoom(distance_transform_edt(woods[::6, ::6]), 6, order=1)[:rows, :columns]
    for _ in range(6):
        # Deep in the woods, but not always at the deepest place.
        places = (rng.uniform(0.1, 0.9, (8, 2)) * np.array(depth.shape)).astype(int)
        row, column = max(places, key=lambda place: depth[place[0], place[1]])
        where = blob(land.shape, pixel, (column * pixel, row * pixel), rng.uniform(0.014, 0.03) * size, edge)
        events.append(Event(year=SECOND_YEAR, where=where & woods, landcover=BARE, material="cleared"))
    fields = np.argwhere(land[::8, ::8] == CROPLAND) * 8
    if len(fields):
        row, column = fields[rng.integers(len(fields))]
        where = blob(land.shape, pixel, (column * pixel, row * pixel), 0.022 * size, 0.7 * edge)
        dug = where & np.isin(land, (CROPLAND, GRASSLAND))
        events.append(Event(year=SECOND_YEAR, where=dug, landcover=WATER, material="water"))
    quarry = hint == INDEX["quarry"]
    if quarry.any():
        near = (distance_transform_edt(~quarry) * pixel < 18 + 45 * edge) & ~quarry & (land != WATER)
        events.append(Event(year=SECOND_YEAR, where=near, landcover=BARE, material="quarry"))
    return events
