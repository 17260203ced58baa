"""A scene as it is written to disk, with its truth: rendered from a countryside or a neighbourhood."""

from dataclasses import dataclass

import geopandas
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from sample_scenes import country_surface, neighbourhood_surface
from sample_scenes.canvas import Canvas
from sample_scenes.countryside import Countryside
from sample_scenes.light import Sun, illumination
from sample_scenes.materials import BANDS, BUILT_UP, CLASSES, NODATA, WATER, reflectance
from sample_scenes.neighbourhood import Neighbourhood
from sample_scenes.noise import Field, stream
from sample_scenes.sensor import Air, average, blur, majority, noisy, swath, through_air
from sample_scenes.settlement import Building, Road

SATELLITE_PIXEL, SATELLITE_FACTOR = 10.0, 3
AERIAL_PIXEL, AERIAL_FACTOR = 0.5, 2
AERIAL_BANDS = ("red", "green", "blue", "nir")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One scene on one date."""

    bands: tuple[str, ...]
    values: NDArray[np.integer]
    """Digital numbers, shape (band, rows, columns); 0 outside the swath."""
    valid: NDArray[np.bool_]
    """Pixels that the sensor saw, shape (rows, columns)."""
    landcover: NDArray[np.uint8]
    """True class of each pixel, `NODATA` where the sensor saw nothing, shape (rows, columns)."""
    built: NDArray[np.bool_]
    """Pixels whose centre lies in a building, shape (rows, columns)."""
    buildings: geopandas.GeoDataFrame
    roads: geopandas.GeoDataFrame
    transform: Affine
    epsg: int
    date: str
    """Day and time as TIFF writes it: ``2023:06:14 10:36:00``."""
    scale: float | None
    """Factor from digital number to reflectance, None where numbers mean nothing but themselves."""
    internal_mask: bool
    """Whether the file marks pixels outside the swath by a mask instead of by nodata = 0."""


def satellite_picture(country: Countryside, year: int, *, epsg: int, corner: tuple[float, float]) -> Picture:
    """Return what a Sentinel-2-like sensor sees of a countryside: reflectance x 10 000, 10 m.

    Parameters
    ----------
    country : Countryside
    year : int
    epsg : int
        A projected system in metres.
    corner : tuple = (easting, northing)
        Upper left corner of the scene.
    """
    rng = stream(country.seed, f"satellite {year}")
    sun = Sun(azimuth=float(rng.uniform(140, 160)), elevation=float(rng.uniform(50, 60)))
    canvas = country_surface.dress(country, year)
    light = average(_lit(canvas, country.terrain, BANDS, sun, reach=60), SATELLITE_FACTOR)
    air = Air(clear=0.12, hazy=float(rng.uniform(0.35, 0.6)), direction=float(rng.uniform(0, 360)))
    seen = through_air(blur(light, 0.45), BANDS, SATELLITE_PIXEL, air, rng)
    # The detector counts in 12 bits: reflectance comes in steps of 0.0004.
    numbers = 4 * np.rint(noisy(seen, rng, floor=0.0010, relative=0.008) * 2_500)
    return _picture(
        canvas,
        country.all_buildings(),
        country.all_roads(),
        year=year,
        factor=SATELLITE_FACTOR,
        bands=BANDS,
        values=np.clip(numbers, 4, 16_380).astype(np.uint16),
        degrees=float(rng.uniform(7, 13)),
        georeference=(epsg, corner),
        scale=0.0001,
        internal_mask=False,
    )


def aerial_picture(
    country: Neighbourhood, year: int, *, epsg: int, corner: tuple[float, float], internal_mask: bool
) -> Picture:
    """Return what an aerial camera sees of a neighbourhood: red, green, blue, near infrared as 8 bits, 0.5 m.

    Parameters
    ----------
    country : Neighbourhood
    year : int
    epsg : int
        A projected system in metres.
    corner : tuple = (easting, northing)
        Upper left corner of the scene.
    internal_mask : bool
        Mark pixels that were not seen by a mask in the file, instead of by nodata = 0.
    """
    rng = stream(country.seed, f"aerial {year}")
    sun = Sun(azimuth=float(rng.uniform(125, 165)), elevation=float(rng.uniform(44, 54)))
    canvas = neighbourhood_surface.dress(country, year)
    light = average(_lit(canvas, country.terrain, AERIAL_BANDS, sun, reach=26), AERIAL_FACTOR)
    air = Air(clear=0.05, hazy=float(rng.uniform(0.15, 0.35)), direction=float(rng.uniform(0, 360)))
    seen = noisy(
        through_air(blur(light, 0.5), AERIAL_BANDS, AERIAL_PIXEL, air, rng), rng, floor=0.0015, relative=0.012
    )
    # The camera stretches visible bands and infrared on their own, and bends the curve as photographs do.
    full = np.array([0.40, 0.40, 0.38, 0.62], dtype=np.float32)[:, None, None] * np.float32(
        rng.uniform(0.92, 1.05)
    )
    numbers = np.rint(255 * np.clip(seen / full, 0, 1) ** np.float32(0.5))
    return _picture(
        canvas,
        country.town.buildings,
        [*country.roads, *country.town.roads],
        year=year,
        factor=AERIAL_FACTOR,
        bands=AERIAL_BANDS,
        values=np.clip(numbers, 1, 255).astype(np.uint8),
        degrees=float(rng.uniform(4, 9)),
        georeference=(epsg, corner),
        scale=None,
        internal_mask=internal_mask,
    )


def change(before: Picture, after: Picture) -> NDArray[np.uint8]:
    """Return 1 where land cover or buildings differ, 0 where not, `NODATA` where either date saw nothing.

    A field that bears another crop has not changed.
    """
    differs = (before.landcover != after.landcover) | (before.built != after.built)
    return np.where(before.valid & after.valid, differs, NODATA).astype(np.uint8)


def _lit(
    canvas: Canvas, terrain: Field, bands: tuple[str, ...], sun: Sun, reach: float
) -> NDArray[np.float32]:
    """Return the light that leaves the ground in each band, in units of reflectance."""
    light = illumination(terrain, canvas.height, canvas.pixel, sun, reach)
    light[canvas.landcover == WATER] = 1  # water lies level, whatever the ground below it does
    return reflectance(canvas.material, canvas.mixture, bands) * (canvas.brightness * light)


def _picture(
    canvas: Canvas,
    buildings: list[Building],
    roads: list[Road],
    *,
    year: int,
    factor: int,
    bands: tuple[str, ...],
    values: NDArray[np.integer],
    degrees: float,
    georeference: tuple[int, tuple[float, float]],
    scale: float | None,
    internal_mask: bool,
) -> Picture:
    """Cut the swath out of the numbers and of the truth."""
    shape, pixel = values.shape[1:], canvas.pixel * factor
    epsg, (easting, northing) = georeference
    transform = Affine(pixel, 0, easting, 0, -pixel, northing)
    seen = swath(shape, degrees)
    valid = rasterize([seen], shape, dtype="uint8").astype(bool)
    area = shapely.transform(seen, lambda points: points * (pixel, -pixel) + (easting, northing))
    houses = _layer(
        [(b.outline, {"kind": b.kind, "height_m": round(b.eaves, 1)}) for b in buildings if b.stands(year)],
        (easting, northing), area, epsg,
    )  # fmt: skip
    lines = _layer(
        [(r.line, {"kind": r.kind, "width_m": r.width}) for r in roads if r.since <= year],
        (easting, northing), area, epsg,
    )  # fmt: skip
    built = np.zeros(shape, dtype=bool)
    if len(houses):
        built = rasterize(houses.geometry, shape, transform=transform, dtype="uint8").astype(bool) & valid
    landcover = majority(canvas.landcover, factor, range(min(CLASSES), max(CLASSES) + 1))
    if pixel < 2:  # a house covers pixels, where they are small: then its outline decides
        landcover[built] = BUILT_UP
    return Picture(
        bands=bands,
        values=np.where(valid, values, 0).astype(values.dtype),
        valid=valid,
        landcover=np.where(valid, landcover, NODATA).astype(np.uint8),
        built=built,
        buildings=houses,
        roads=lines,
        transform=transform,
        epsg=epsg,
        date=f"{year}:06:{14 + 5 * (year % 2)} 10:36:00",
        scale=scale,
        internal_mask=internal_mask,
    )


def _layer(
    features: list[tuple[BaseGeometry, dict[str, object]]],
    corner: tuple[float, float],
    area: shapely.Polygon,
    epsg: int,
) -> geopandas.GeoDataFrame:
    """Return features in map coordinates, cut at the border of the swath."""
    rows = []
    for geometry, columns in features:
        # Millimetres: finer digits are no truth, and differ between builds of GEOS.
        placed = shapely.transform(geometry, lambda points: points * (1, -1) + corner)
        cut = shapely.set_precision(placed.intersection(area), 0.001)
        rows += [
            {**columns, "geometry": part}
            for part in shapely.get_parts(cut)
            if part.geom_type == geometry.geom_type and (part.area > 1 or part.length > 1)
        ]
    names = list(features[0][1]) if features else []
    return geopandas.GeoDataFrame(rows, columns=[*names, "geometry"], geometry="geometry", crs=epsg)
