"""The fine grid on which a landscape is painted, and brushes that town and country share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from sample_scenes.materials import BUILT_UP, FOREST, HALL_ROOFS, HOUSE_ROOFS, INDEX
from sample_scenes.noise import Field, stream
from sample_scenes.settlement import SIDEWALK, Building, Road

Mask = NDArray[np.bool_]


@dataclass(kw_only=True)
class Canvas:
    """What the ground looks like. All arrays have shape (rows, columns); brushes paint over them in place."""

    pixel: float
    """Pixel size in metres."""
    landcover: NDArray[np.uint8]
    material: NDArray[np.uint8]
    mixture: Field
    """Where between the two spectra of its material a pixel lies, 0 to 1."""
    brightness: Field
    """Factor on reflectance, about 1."""
    height: Field
    """Metres above the terrain."""

    @classmethod
    def blank(cls, shape: tuple[int, int], pixel: float) -> "Canvas":
        """Return an unpainted canvas."""
        return cls(
            pixel=pixel,
            landcover=np.zeros(shape, dtype=np.uint8),
            material=np.zeros(shape, dtype=np.uint8),
            mixture=np.zeros(shape, dtype=np.float32),
            brightness=np.ones(shape, dtype=np.float32),
            height=np.zeros(shape, dtype=np.float32),
        )

    def paint(
        self,
        where: Mask,
        material: str | NDArray[np.uint8],
        *,
        landcover: int | None = None,
        mixture: float | Field = 0.5,
        brightness: float | Field = 1.0,
        height: float | Field = 0.0,
    ) -> None:
        """Paint pixels; arrays are full rasters. Without `landcover` the class stays what it was."""
        kind = INDEX[material] if isinstance(material, str) else material
        if landcover is not None:
            self.landcover[where] = landcover
        self.material[where] = _at(where, kind)
        self.mixture[where] = _at(where, mixture)
        self.brightness[where] = _at(where, brightness)
        self.height[where] = _at(where, height)


def _at(where: Mask, value: float | NDArray[np.generic]) -> float | NDArray[np.generic]:
    """Return the values of a raster at the painted pixels; a single number is good for all of them."""
    return value[where] if isinstance(value, np.ndarray) else value


def burn(shapes: Sequence[BaseGeometry], shape: tuple[int, int], pixel: float) -> Mask:
    """Return the pixels whose centre lies in any of the polygons (metres from the upper left corner)."""
    return number(shapes, shape, pixel) >= 0


def number(shapes: Sequence[BaseGeometry], shape: tuple[int, int], pixel: float) -> NDArray[np.int32]:
    """Return for every pixel centre the position of the last polygon that holds it, or -1."""
    numbered = [(geometry, n) for n, geometry in enumerate(shapes) if not geometry.is_empty]
    if not numbered:
        return np.full(shape, -1, dtype=np.int32)
    return np.asarray(rasterize(numbered, shape, fill=-1, transform=Affine.scale(pixel), dtype="int32"))


def paint_roads(canvas: Canvas, roads: Sequence[Road], seed: int, *, sidewalks: bool) -> None:
    """Paint carriageways, and pavements beside the streets of a town."""
    shape, rng = canvas.landcover.shape, stream(seed, "roads")
    wear = rng.uniform(0, 1, len(roads) + 1).astype(np.float32)
    if sidewalks:
        beside = [r.line.buffer(r.width / 2 + SIDEWALK) for r in roads if r.kind != "country"]
        canvas.paint(burn(beside, shape, canvas.pixel), "concrete", landcover=BUILT_UP, mixture=0.15)
    position = number([road.line.buffer(road.width / 2) for road in roads], shape, canvas.pixel)
    grain = 0.15 * stream(seed, "road grain").standard_normal(shape, dtype=np.float32)
    mixture = np.clip(wear[position] + grain, 0, 1).astype(np.float32)
    canvas.paint(position >= 0, "asphalt", landcover=BUILT_UP, mixture=mixture)


def paint_buildings(canvas: Canvas, buildings: Sequence[Building], seed: int, year: int) -> None:
    """Paint the buildings of a year with their roofs; a building keeps its colours over the years."""
    rng, count = stream(seed, "roofs"), len(buildings)
    house, hall = rng.choice(HOUSE_ROOFS, count), rng.choice(HALL_ROOFS, count)
    flat = np.array([b.roof == "flat" for b in buildings], dtype=bool)
    material = np.where(flat, hall, house).astype(np.uint8)
    mixture = rng.uniform(0, 1, count).astype(np.float32)
    brightness = rng.normal(1, 0.09, count).clip(0.75, 1.25).astype(np.float32)
    standing = [b.outline if b.stands(year) else shapely.Polygon() for b in buildings]
    position = number(standing, canvas.landcover.shape, canvas.pixel)
    built = position >= 0
    if not built.any():
        return
    grain = 1 + 0.03 * stream(seed, "roof grain").standard_normal(built.shape, dtype=np.float32)
    canvas.paint(
        built,
        material[position],
        landcover=BUILT_UP,
        mixture=mixture[position],
        brightness=brightness[position] * grain,
        height=roof_heights(buildings, position, canvas.pixel),
    )


def roof_heights(buildings: Sequence[Building], position: NDArray[np.int32], pixel: float) -> Field:
    """Return the height of every roof pixel in metres: ridges along the building, hips, or flat."""
    height = np.zeros(position.shape, dtype=np.float32)
    rows, columns = np.nonzero(position >= 0)
    owner = position[rows, columns]
    centre = np.array([b.outline.centroid.coords[0] for b in buildings])
    angle = np.radians([b.angle for b in buildings])
    x = (columns + 0.5) * pixel - centre[owner, 0]
    y = (rows + 0.5) * pixel - centre[owner, 1]
    across = np.abs(y * np.cos(angle[owner]) - x * np.sin(angle[owner]))
    half = np.zeros(len(buildings))
    np.maximum.at(half, owner, across)
    pitched = np.array([b.roof == "gable" for b in buildings])
    hipped = np.array([b.roof == "hip" for b in buildings])
    outlines = [b.outline.exterior for b in buildings]
    rise = np.where(pitched[owner], half[owner] - across, 0.0)
    hips = hipped[owner]
    if hips.any():
        points = shapely.points((columns[hips] + 0.5) * pixel, (rows[hips] + 0.5) * pixel)
        rise[hips] = shapely.distance(points, np.array(outlines, dtype=object)[owner[hips]])
    eaves = np.array([b.eaves for b in buildings])
    height[rows, columns] = eaves[owner] + 0.7 * rise
    return height


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Single trees. All arrays have shape (count,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius: NDArray[np.float64]
    """Radius of the crown in metres."""
    conifer: NDArray[np.bool_]
    mixture: NDArray[np.float64]

    @classmethod
    def none(cls) -> "Trees":
        """Return no trees."""
        empty = np.zeros(0)
        return cls(x=empty, y=empty, radius=empty, conifer=empty.astype(bool), mixture=empty)

    def joined(self, other: "Trees") -> "Trees":
        """Return these trees and others."""
        return Trees(
            x=np.concatenate([self.x, other.x]),
            y=np.concatenate([self.y, other.y]),
            radius=np.concatenate([self.radius, other.radius]),
            conifer=np.concatenate([self.conifer, other.conifer]),
            mixture=np.concatenate([self.mixture, other.mixture]),
        )

    def only(self, keep: NDArray[np.bool_]) -> "Trees":
        """Return some of the trees."""
        return Trees(
            x=self.x[keep],
            y=self.y[keep],
            radius=self.radius[keep],
            conifer=self.conifer[keep],
            mixture=self.mixture[keep],
        )


def plant(
    density: Field,
    pixel: float,
    rng: np.random.Generator,
    *,
    spacing: float,
    radius: tuple[float, float],
    conifers: Field,
) -> Trees:
    """Return trees on a jittered lattice, each kept with the probability `density` at its place.

    Parameters
    ----------
    density : array of float32, shape (rows, columns)
        Probability 0 to 1.
    pixel : float
        Pixel size in metres.
    rng : numpy.random.Generator
    spacing : float
        Distance of the lattice in metres.
    radius : tuple = (least, most)
        Crown radii in metres.
    conifers : array of float32, shape (rows, columns)
        Probability that a tree is a conifer.
    """
    rows, columns = density.shape
    lattice = np.stack(
        np.meshgrid(np.arange(0, columns * pixel, spacing), np.arange(0, rows * pixel, spacing)), axis=-1
    ).reshape(-1, 2)
    x, y = (lattice + rng.uniform(0.05, 0.95, lattice.shape) * spacing).T
    row, column = (
        np.minimum((y / pixel).astype(int), rows - 1),
        np.minimum((x / pixel).astype(int), columns - 1),
    )
    count = len(x)
    trees = Trees(
        x=x,
        y=y,
        radius=rng.uniform(*radius, count),
        conifer=rng.random(count) < conifers[row, column],
        mixture=rng.beta(2, 2, count),
    )
    return trees.only(rng.random(count) < density[row, column])


def paint_trees(canvas: Canvas, trees: Trees, leaves: Field) -> None:
    """Paint crowns as domes (conifers as cones) of rough leaves; the higher crown hides the lower.

    Parameters
    ----------
    canvas : Canvas
    trees : Trees
    leaves : array of float32, shape (rows, columns)
        Noise with unit standard deviation: the roughness of the crowns.
    """
    rows, columns = canvas.landcover.shape
    for x, y, radius, conifer, mixture in zip(
        trees.x, trees.y, trees.radius, trees.conifer, trees.mixture, strict=True
    ):
        top, bottom = (
            max(0, int((y - radius) / canvas.pixel)),
            min(rows, int((y + radius) / canvas.pixel) + 2),
        )
        left, right = (
            max(0, int((x - radius) / canvas.pixel)),
            min(columns, int((x + radius) / canvas.pixel) + 2),
        )
        window = slice(top, bottom), slice(left, right)
        down = ((np.arange(top, bottom) + 0.5) * canvas.pixel - y)[:, None]
        along = ((np.arange(left, right) + 0.5) * canvas.pixel - x)[None, :]
        reach = np.hypot(along, down) / radius + 0.12 * leaves[window]
        rise = 1 - reach if conifer else np.sqrt(np.clip(1 - reach**2, 0, 1))
        crown = radius * (2.4 + 1.5 * rise) if conifer else radius * (1.3 + 1.3 * rise)
        crown = crown + 0.35 * leaves[window]
        seen = (reach < 1) & (crown > canvas.height[window])
        canvas.height[window][seen] = crown[seen]
        canvas.material[window][seen] = INDEX["conifer" if conifer else "deciduous"]
        canvas.mixture[window][seen] = mixture
        canvas.brightness[window][seen] = 1.0
        canvas.landcover[window][seen] = FOREST
