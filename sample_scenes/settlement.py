"""Towns: a street grid inside an outline, blocks between the streets, buildings along their edges.

Coordinates are metres from the upper left corner of the landscape, x rightwards and y downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from sample_scenes.noise import smooth_line

SIDEWALK = 1.6
"""Paved strip beside a street, metres."""

FIRST_YEAR, SECOND_YEAR = 2023, 2024
"""The two dates on which scenes are taken."""

Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Road:
    """A road by its centreline."""

    line: shapely.LineString
    width: float
    """Width of the carriageway in metres."""
    kind: str
    """``main``, ``street`` or ``country``."""
    since: int = 0
    """First year in which it exists."""


@dataclass(frozen=True, kw_only=True)
class Building:
    """A building by its footprint."""

    outline: shapely.Polygon
    kind: str
    """``house``, ``apartment``, ``hall`` or ``shed``."""
    roof: str
    """``gable``, ``hip`` or ``flat``."""
    eaves: float
    """Height of the walls in metres."""
    angle: float
    """Direction of the ridge in degrees, from x towards y."""
    since: int = 0
    until: int = 9999
    """First year in which it no longer exists."""

    def stands(self, year: int) -> bool:
        """Tell whether the building exists in a year."""
        return self.since <= year < self.until


@dataclass(frozen=True, kw_only=True)
class Block:
    """Land between streets."""

    outline: shapely.Polygon
    kind: str
    """``homes``, ``centre``, ``apartments``, ``halls`` or ``park``."""
    since: int = 0


@dataclass(frozen=True, kw_only=True)
class Town:
    """A settlement; `outline` is the settled land."""

    outline: BaseGeometry
    roads: list[Road] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)

    def in_year(self, year: int) -> "Town":
        """Return what of the town stands in a year."""
        blocks = [block for block in self.blocks if block.since <= year]
        future = [block.outline.buffer(14) for block in self.blocks if block.since > year]
        outline = self.outline.difference(shapely.union_all(future)) if future else self.outline
        return Town(
            outline=outline,
            roads=[road for road in self.roads if road.since <= year],
            blocks=blocks,
            buildings=[building for building in self.buildings if building.stands(year)],
        )


def outline_around(
    centre: tuple[float, float], radius: float, rng: np.random.Generator, roughness: float = 0.22
) -> shapely.Polygon:
    """Return a closed rounded outline of about the given radius in metres."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    reach = np.ones_like(turn)
    for wave in range(2, 7):
        reach += roughness * rng.normal() / wave * np.cos(wave * turn + rng.uniform(0, 2 * np.pi))
    reach = radius * np.clip(reach, 0.5, 1.6)
    points = np.stack([centre[0] + reach * np.cos(turn), centre[1] + reach * np.sin(turn)], axis=1)
    return shapely.Polygon(points).buffer(0)


def build_town(
    outline: shapely.Polygon,
    rng: np.random.Generator,
    *,
    angle: float,
    spacing: tuple[Span, Span],
    kinds: dict[str, float],
    taken: BaseGeometry | None = None,
) -> Town:
    """Lay out streets, blocks and buildings inside an outline.

    Parameters
    ----------
    outline : shapely.Polygon
    rng : numpy.random.Generator
    angle : float
        Direction of the main streets in degrees.
    spacing : tuple = ((least, most), (least, most))
        Distances between streets in metres, along and across the main direction.
    kinds : dict
        Share of each kind of block outside the centre.
    taken : BaseGeometry, optional
        Land that stays free (water, main roads).
    """
    land = outline if taken is None else outline.difference(taken)
    roads = street_grid(outline, rng, angle=angle, spacing=spacing)
    middle = outline.centroid
    reach = np.sqrt(outline.area / np.pi)
    blocks, buildings = [], []
    corridors = shapely.union_all(
        [road.line.buffer(road.width / 2 + SIDEWALK, cap_style="flat") for road in roads]
    )
    for ground in _polygons(land.difference(corridors)):
        if ground.area < 300 or ground.buffer(-6).is_empty:
            continue
        central = ground.centroid.distance(middle) < 0.28 * reach
        names = list(kinds)
        drawn = str(rng.choice(names, p=[kinds[name] for name in names]))
        kind = "centre" if central and drawn not in ("park", "halls") else drawn
        blocks.append(Block(outline=ground, kind=kind))
        buildings += fill_block(ground, kind, angle, rng)
    return Town(outline=outline, roads=roads, blocks=blocks, buildings=buildings)


def grow_later(town: Town, rng: np.random.Generator, share: float) -> Town:
    """Return the town with the blocks at one end, about a share of its land, built in the second year."""
    angle = rng.uniform(0, 2 * np.pi)
    middles = [block.outline.centroid for block in town.blocks]
    reach = [middle.x * np.cos(angle) + middle.y * np.sin(angle) for middle in middles]
    total, grown, new = sum(block.outline.area for block in town.blocks), 0.0, set()
    for n in sorted(range(len(middles)), key=lambda n: -reach[n]):
        if grown > share * total:
            break
        grown += town.blocks[n].outline.area
        new.add(n)
    land = shapely.union_all([town.blocks[n].outline.buffer(9) for n in sorted(new)])
    later = [replace(block, since=SECOND_YEAR) if n in new else block for n, block in enumerate(town.blocks)]
    return replace(
        town,
        roads=[replace(r, since=SECOND_YEAR) if land.contains(r.line.centroid) else r for r in town.roads],
        blocks=[replace(b, kind="homes") if b.since and b.kind == "park" else b for b in later],
        buildings=[
            replace(b, since=SECOND_YEAR) if land.contains(b.outline.centroid) else b for b in town.buildings
        ],
    )


def street_grid(
    outline: shapely.Polygon, rng: np.random.Generator, *, angle: float, spacing: tuple[Span, Span]
) -> list[Road]:
    """Return streets: two sets of gently bent lines cut at their crossings, some pieces left out."""
    centre = outline.centroid
    radius = max(centre.distance(shapely.Point(p)) for p in outline.exterior.coords) + 20
    lines = []
    for direction, (least, most) in enumerate(spacing):
        offset = -radius + rng.uniform(0, most)
        while offset < radius:
            along = np.linspace(-radius, radius, 60)
            bend = offset + 5.0 * smooth_line(60, rng, smoothness=18)
            local = np.stack([along, bend] if direction == 0 else [bend, along], axis=1)
            line = affinity.rotate(shapely.LineString(local), angle, origin=(0, 0))
            lines.append(affinity.translate(line, centre.x, centre.y).intersection(outline))
            offset += rng.uniform(least, most)
    pieces = shapely.get_parts(shapely.node(shapely.MultiLineString(_lines(lines))))
    kept = [piece for piece in pieces if piece.length > 12 and rng.random() > 0.12]
    merged = shapely.line_merge(shapely.MultiLineString(kept))
    return [
        Road(line=shapely.simplify(line, 0.3), width=float(rng.choice([5.5, 6.5])), kind="street")
        for line in _lines([merged])
    ]


def fill_block(ground: shapely.Polygon, kind: str, angle: float, rng: np.random.Generator) -> list[Building]:
    """Return the buildings of one block."""
    if kind == "park":
        return []
    if kind == "halls":
        return _pack(ground, angle, rng, kind="hall", size=((26, 58), (17, 28)), gap=12, eaves=(6, 10))
    if kind == "apartments":
        return _pack(
            ground, angle, rng, kind="apartment", size=((26, 48), (10.5, 12.5)), gap=17, eaves=(9, 16)
        )
    if kind == "centre":
        return _along_edge(ground, rng, step=(13, 17), size=((10, 14), (10, 13)), setback=1.0, eaves=(7, 11))
    return _along_edge(ground, rng, step=(15, 21), size=((9, 13.5), (7.5, 10)), setback=4.5, eaves=(4, 6.5))


def _along_edge(
    ground: shapely.Polygon,
    rng: np.random.Generator,
    *,
    step: Span,
    size: tuple[Span, Span],
    setback: float,
    eaves: Span,
) -> list[Building]:
    """Return houses that face the streets around a block, with sheds behind some of them."""
    placed: list[Building] = []
    depth = size[1][1]
    for ring in _polygons(ground.buffer(-(setback + depth / 2), join_style="mitre")):
        edge = ring.exterior
        position = rng.uniform(0, step[1])
        while position < edge.length:
            here, ahead = edge.interpolate(position), edge.interpolate(position + 2)
            angle = float(np.degrees(np.arctan2(ahead.y - here.y, ahead.x - here.x)))
            outline = _house(rng, size, (here.x, here.y), angle)
            position += rng.uniform(*step)
            free = all(outline.distance(other.outline) > 2.0 for other in placed)
            if rng.random() < 0.07 or not free or not ground.buffer(-0.8).contains(outline):
                continue
            rectangle = len(outline.exterior.coords) == 5
            roof = ("gable" if rng.random() < 0.7 else "hip") if rectangle else "hip"
            roof = "flat" if rng.random() < 0.08 else roof
            turned = angle + (90 if rectangle and rng.random() < 0.25 else 0)
            height = float(rng.uniform(*eaves))
            placed.append(Building(outline=outline, kind="house", roof=roof, eaves=height, angle=turned))
    return placed + _sheds(ground, placed, rng)


def _house(
    rng: np.random.Generator, size: tuple[Span, Span], centre: tuple[float, float], angle: float
) -> shapely.Polygon:
    """Return a rectangular or, one time in five, an L-shaped footprint."""
    length, depth = rng.uniform(*size[0]), rng.uniform(*size[1])
    outline: BaseGeometry = shapely.box(-length / 2, -depth / 2, length / 2, depth / 2)
    if rng.random() < 0.22:
        wing = shapely.box(length / 2 - 0.42 * length, -depth / 2, length / 2, depth / 2 + rng.uniform(3, 5))
        outline = shapely.union(outline, wing)
    turned = affinity.rotate(outline, angle, origin=(0, 0))
    return shapely.Polygon(shapely.get_coordinates(affinity.translate(turned, *centre)))


def _sheds(ground: shapely.Polygon, houses: list[Building], rng: np.random.Generator) -> list[Building]:
    """Return garages and sheds in the middle of the block, near their houses."""
    sheds: list[Building] = []
    inner = ground.buffer(-1.5)
    for house in houses:
        if rng.random() > 0.4:
            continue
        centre = house.outline.centroid
        towards = ground.centroid
        away = max(centre.distance(towards), 1.0)
        reach = rng.uniform(9, 14) / away
        x, y = centre.x + (towards.x - centre.x) * reach, centre.y + (towards.y - centre.y) * reach
        outline = affinity.rotate(shapely.box(x - 2.2, y - 1.6, x + 2.8, y + 1.6), house.angle)
        near = [*houses, *sheds]
        if inner.contains(outline) and all(outline.distance(other.outline) > 1.2 for other in near):
            sheds.append(Building(outline=outline, kind="shed", roof="flat", eaves=2.4, angle=house.angle))
    return sheds


def _pack(
    ground: shapely.Polygon,
    angle: float,
    rng: np.random.Generator,
    *,
    kind: str,
    size: tuple[Span, Span],
    gap: float,
    eaves: Span,
) -> list[Building]:
    """Return large flat-roofed buildings in rows along the longer side of the block."""
    centre, angle = ground.centroid, _direction(ground, angle)
    level = affinity.rotate(ground, -angle, origin=centre)
    room = level.buffer(-4)
    left, top, right, bottom = level.bounds
    placed = []
    y = top + gap / 2
    while y < bottom:
        depth, x, row = rng.uniform(*size[1]), left + gap / 2, []
        while x < right:
            length = rng.uniform(*size[0])
            outline = shapely.box(x, y, x + length, y + depth)
            if room.contains(outline):
                row.append(affinity.rotate(outline, angle, origin=centre))
                x += length + gap
            else:
                x += gap / 3
        height = float(rng.uniform(*eaves))
        placed += [Building(outline=o, kind=kind, roof="flat", eaves=height, angle=angle) for o in row]
        y += depth + gap if row else gap / 4
    return placed


def _direction(ground: shapely.Polygon, fallback: float) -> float:
    """Return the direction in degrees of the longer side of the smallest rectangle around a block."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(ground))
    sides = np.diff(corners[:3], axis=0)
    longer = sides[np.hypot(sides[:, 0], sides[:, 1]).argmax()]
    return float(np.degrees(np.arctan2(longer[1], longer[0]))) if longer.any() else fallback


def _polygons(geometry: BaseGeometry) -> list[shapely.Polygon]:
    """Return the polygons of a geometry."""
    return [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon" and not part.is_empty]


def _lines(geometries: Sequence[BaseGeometry]) -> list[shapely.LineString]:
    """Return the lines of geometries, those without length left out."""
    parts = [part for geometry in geometries for part in shapely.get_parts(geometry)]
    return [part for part in parts if part.geom_type == "LineString" and part.length > 0]
