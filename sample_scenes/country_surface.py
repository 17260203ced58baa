"""Dress a countryside for one year: crops, leaves, roofs, water colour."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sample_scenes.canvas import Canvas, burn, paint_buildings, paint_roads
from sample_scenes.countryside import Countryside
from sample_scenes.materials import BARE, BUILT_UP, CROPLAND, FOREST, GRASSLAND, INDEX, WATER
from sample_scenes.noise import Field, fractal_noise, stream
from sample_scenes.parcels import Parcels, ripples
from sample_scenes.settlement import Town

CROPS = {
    "wheat": 0.30,
    "maize": 0.22,
    "beet": 0.10,
    "rape": 0.09,
    "clover": 0.08,
    "stubble": 0.07,
    "plough": 0.14,
}
"""Share of each crop in a year."""


def dress(country: Countryside, year: int) -> Canvas:
    """Return the surface of a countryside in a year."""
    shape, pixel, seed = country.land.shape, country.pixel, country.seed
    canvas = Canvas.blank(shape, pixel)
    land, hint = country.land.copy(), country.hint.copy()
    for event in country.events:
        if event.year <= year:
            land[event.where] = event.landcover
            hint[event.where] = INDEX[event.material] if event.landcover == BARE else 0
    patches = fractal_noise(shape, pixel, stream(seed, "patches"), largest=240, beta=2.0)
    grain = fractal_noise(shape, pixel, stream(seed + year, "grain"), largest=25, beta=1.0)
    paint_fields(canvas, country.parcels, land, stream(seed, f"crops {year}"), patches, grain)
    _paint_grass(canvas, country, land, patches, grain)
    _paint_forest(canvas, country, land, patches, grain)
    _paint_bare(canvas, land, hint, patches, grain)
    turbid = np.clip(0.35 + 0.12 * patches + 0.3 * (country.terrain > 0), 0, 1).astype(np.float32)
    canvas.paint(land == WATER, "water", landcover=WATER, mixture=gaussian_filter(turbid, 60 / pixel))
    for position, town in enumerate(country.towns):
        _paint_town(canvas, town, seed + 1000 * (position + 1), year, grain)
    paint_roads(canvas, [road for road in country.roads if road.since <= year], seed, sidewalks=False)
    for position, town in enumerate(country.towns):
        paint_buildings(canvas, town.buildings, seed + 1000 * (position + 1), year)
    return canvas


def paint_fields(
    canvas: Canvas,
    parcels: Parcels,
    land: NDArray[np.uint8],
    rng: np.random.Generator,
    patches: Field,
    grain: Field,
) -> None:
    """Paint the crops of a year: one crop and one state per field, tramlines, dry and wet patches."""
    crops = np.array([INDEX[name] for name in CROPS], dtype=np.uint8)
    crop = rng.choice(crops, parcels.count, p=np.array(list(CROPS.values())) / sum(CROPS.values()))
    state = rng.beta(0.9, 1.4, parcels.count).astype(np.float32)
    light = rng.normal(1, 0.07, parcels.count).clip(0.8, 1.2).astype(np.float32)
    wheels = (rng.uniform(0.02, 0.14, parcels.count)).astype(np.float32)
    where = land == CROPLAND
    rows = ripples(wheels[parcels.parcel], parcels.across, 24.0)
    mixture = np.clip(state[parcels.parcel] + 0.09 * patches + 0.03 * grain, 0, 1)
    brightness = light[parcels.parcel] * rows * (1 + 0.035 * grain)
    canvas.paint(
        where, crop[parcels.parcel], landcover=CROPLAND, mixture=mixture, brightness=brightness, height=0.5
    )
    margins = where & parcels.border
    canvas.paint(
        margins, "meadow", landcover=CROPLAND, mixture=np.float32(0.4) + np.float32(0.1) * patches.clip(-2, 2)
    )
    canvas.paint(where & parcels.track, "cleared", landcover=CROPLAND, mixture=0.6)


def _paint_grass(
    canvas: Canvas, country: Countryside, land: NDArray[np.uint8], patches: Field, grain: Field
) -> None:
    """Paint meadows and pastures by field, heath on high ground, scattered shrubs."""
    rng, parcels = stream(country.seed, "grass"), country.parcels
    where = land == GRASSLAND
    dryness = rng.beta(1.4, 1.8, parcels.count).astype(np.float32)[parcels.parcel]
    mixture = np.clip(dryness + 0.13 * patches + 0.05 * grain, 0, 1)
    light = rng.normal(1, 0.06, parcels.count).astype(np.float32)[parcels.parcel] * (1 + 0.07 * grain)
    canvas.paint(where, "meadow", landcover=GRASSLAND, mixture=mixture, brightness=light, height=0.2)
    high = country.terrain / country.terrain.max() + 0.12 * patches > 0.78
    canvas.paint(where & high, "heath", mixture=mixture, brightness=light, height=0.4)
    shrubs = where & (grain + 0.35 * patches > 2.25)
    canvas.paint(shrubs, "deciduous", mixture=0.4, height=3.0)
    canvas.paint(where & parcels.border & (patches > 0), "deciduous", mixture=0.5, height=2.5)


def _paint_forest(
    canvas: Canvas, country: Countryside, land: NDArray[np.uint8], patches: Field, grain: Field
) -> None:
    """Paint woods: stands of conifers and of broadleaved trees, rough canopies, gaps."""
    stands = fractal_noise(land.shape, country.pixel, stream(country.seed, "stands"), largest=600, beta=2.6)
    conifer = stands + 0.5 * (country.terrain / country.terrain.std() - 2) + 0.2 * grain > 0.1
    material = np.where(conifer, INDEX["conifer"], INDEX["deciduous"]).astype(np.uint8)
    mixture = np.clip(0.45 + 0.18 * patches + 0.1 * grain, 0, 1)
    canopy = 14 + 2.5 * patches + np.where(conifer, 2.4, 1.7) * grain
    canvas.paint(
        land == FOREST,
        material,
        landcover=FOREST,
        mixture=mixture,
        brightness=(1 + 0.06 * grain).astype(np.float32),
        height=np.clip(canopy, 4, None).astype(np.float32),
    )


def _paint_bare(
    canvas: Canvas, land: NDArray[np.uint8], hint: NDArray[np.uint8], patches: Field, grain: Field
) -> None:
    """Paint rock, gravel, sand and quarries, with weeds and wet patches."""
    where = land == BARE
    mixture = np.clip(0.5 + 0.22 * patches + 0.12 * grain, 0, 1)
    brightness = (1 + 0.08 * patches.clip(-2, 2) + 0.06 * grain).astype(np.float32)
    canvas.paint(where, hint, landcover=BARE, mixture=mixture, brightness=brightness)
    canvas.paint(where & (patches + 0.8 * grain > 2.2), "heath", mixture=mixture)


def _paint_town(canvas: Canvas, town: Town, seed: int, year: int, grain: Field) -> None:
    """Paint settled land: gardens, yards, parks, trees and streets; its class is built-up, but for parks."""
    now = town.in_year(year)
    shape = canvas.landcover.shape
    dry = canvas.landcover != WATER
    settled = burn([now.outline], shape, canvas.pixel) & dry
    speckle = fractal_noise(shape, canvas.pixel, stream(seed, "gardens"), largest=9, beta=1.5)
    mixture = np.clip(0.45 + 0.2 * grain + 0.15 * speckle, 0, 1)
    canvas.paint(settled, "lawn", landcover=BUILT_UP, mixture=mixture, height=0.1)
    for kind, paved in {"homes": 0.35, "centre": 1.0, "apartments": 0.3, "halls": 1.5}.items():
        ground = burn([b.outline for b in now.blocks if b.kind == kind], shape, canvas.pixel) & settled
        canvas.paint(ground & (speckle < paved - 0.9), "concrete", mixture=mixture)
        canvas.paint(ground & (speckle < paved - 1.3), "asphalt", mixture=mixture)
        planted = ground & (speckle > 1.25) & (kind != "halls")
        canvas.paint(planted, "deciduous", mixture=0.5, height=5.0 + speckle)
    parks = burn([b.outline for b in now.blocks if b.kind == "park"], shape, canvas.pixel) & settled
    canvas.paint(parks, "lawn", landcover=GRASSLAND, mixture=mixture)
    groves = parks & (gaussian_filter(speckle, 12 / canvas.pixel) > 0.03)
    canvas.paint(groves, "deciduous", landcover=FOREST, mixture=mixture, height=9 + 2 * grain)
    paint_roads(canvas, now.roads, seed, sidewalks=False)
