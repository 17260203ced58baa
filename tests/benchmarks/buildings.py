"""Straight walls for the same outlines: geodl beside the package `buildingregulariser`.

python -m tests.benchmarks.buildings [--count 4000] [--noise 0.6]

Houses of known shapes are drawn as a mask at half a metre, with ragged borders; both are given the exact
outlines of its buildings. Time is the processor's, of one process and one core.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import shapely
import shapely.affinity
from affine import Affine
from pyproj import CRS
from rasterio.features import rasterize
from scipy import ndimage

from geodl.vector.area import PixelAreas
from geodl.vector.buildings.draw import footprints
from geodl.vector.buildings.exact import exact_outlines
from geodl.vector.buildings.instances import find_instances
from geodl.vector.buildings.shapes import agreement
from geodl.vector.buildings.wishes import decided
from geodl.vector.options import VectorOptions
from geodl.vector.source import ClassRaster

PIXEL = 0.5  # metres
PLOT = 60  # pixels from house to house
UTM = CRS.from_epsg(32633)
TRANSFORM = Affine(PIXEL, 0, 400_000, 0, -PIXEL, 5_400_000)

BOX = np.array([(-1, -0.7), (1, -0.7), (1, 0.7), (-1, 0.7)])
ELL = np.array([(-1, -0.8), (1, -0.8), (1, 0.1), (0.1, 0.1), (0.1, 0.8), (-1, 0.8)])
STAGE = np.array(
    [(-1, -0.7), (1, -0.7), (1, 0.2), (0.4, 0.2), (0.4, 0.8), (-0.4, 0.8), (-0.4, 0.2), (-1, 0.2)]
)


@dataclass(frozen=True)
class Town:
    """Houses, and their outlines as a raster shows them; in metres."""

    houses: np.ndarray
    outlines: np.ndarray
    known: list[Any]
    """The tables that `geodl.vector.buildings.draw.footprints` takes."""


def build_town(count: int, noise: float, seed: int = 0) -> Town:
    """Draw about `count` houses in streets; borders stray by `noise` pixels (standard deviation)."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    size = (side * PLOT, side * PLOT)
    houses = []
    for row in range(side):
        for column in range(side):
            form = (BOX, BOX, BOX, ELL, STAGE)[rng.integers(5)] * rng.uniform(9, 18)
            street = 40 * np.sin(row // 4) + 20 * np.cos(column // 6)
            house = shapely.affinity.rotate(shapely.Polygon(form), street + rng.normal(0, 1), origin=(0, 0))
            at = np.array([column, row]) * PLOT + PLOT / 2 + rng.uniform(-6, 6, 2)
            houses.append(shapely.affinity.translate(house, *at))
    mask = rasterize(houses, size, dtype="uint8") > 0
    # The distance from the border, whose zero is moved.
    wobble = ndimage.gaussian_filter(rng.normal(size=size).astype(np.float32), 2.5)
    border = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    mask = border - np.sign(border) / 2 + noise * wobble / wobble.std() > 0
    known = _exact(mask.astype(np.uint8))
    outlines = np.concatenate([table["polygon"] for table, _ in known])
    return Town(_metres(np.array(houses)), _metres(outlines), known)


def _exact(mask: np.ndarray) -> list[Any]:
    raster = ClassRaster(
        shape=mask.shape, crs=UTM, transform=TRANSFORM, nodata=255, read=lambda start, stop: mask[start:stop]
    )
    instances = find_instances(raster.read, raster.shape, edges=False, strip_rows=1024)
    areas = PixelAreas(UTM, TRANSFORM, mask.shape)
    return list(exact_outlines(raster, areas, instances, None, decided(VectorOptions()), 1024))


def _metres(polygons: np.ndarray) -> np.ndarray:
    return shapely.transform(polygons, lambda p: p * [PIXEL, -PIXEL] + [TRANSFORM.c, TRANSFORM.f])


def by_geodl(town: Town) -> np.ndarray:
    """Draw the footprints."""
    tables = list(footprints(iter(town.known), decided(VectorOptions()), PIXEL))
    return _metres(np.concatenate([table["shape"] for table in tables]))


def by_buildingregulariser(town: Town) -> np.ndarray:
    """Let the package draw them, with the tolerance that its notes advise for outlines of pixels."""
    from buildingregulariser import regularize_geodataframe

    frame = geopandas.GeoDataFrame(geometry=town.outlines, crs=UTM)
    drawn = regularize_geodataframe(
        frame, parallel_threshold=2.0, simplify_tolerance=2 * PIXEL, num_cores=1, neighbor_alignment=False
    )
    return drawn.geometry.to_numpy()


CONTENDERS: dict[str, Callable[[Town], np.ndarray]] = {
    "geodl": by_geodl,
    "buildingregulariser": by_buildingregulariser,
}


def measure(town: Town, contender: str) -> dict[str, float]:
    """Draw all buildings of a town once, and compare with the houses that stand there."""
    CONTENDERS[contender](build_town(9, 0.5))  # imports and first calls
    start = time.process_time()
    drawn = CONTENDERS[contender](town)
    seconds = time.process_time() - start
    good = shapely.is_valid(drawn) & (shapely.get_type_id(drawn) == shapely.GeometryType.POLYGON)
    good &= ~shapely.is_empty(drawn)
    shapes = drawn[good]
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    common = shapely.area(shapely.intersection(shapes[one], shapes[other]))
    kept = _best(town.outlines, shapes)
    return {
        "buildings per second": len(drawn) / seconds,
        "corners": float(np.mean(shapely.get_num_coordinates(shapes) - 1)),
        "IoU with the houses": float(_best(town.houses, shapes).mean()),
        "IoU with the outlines": float(kept.mean()),
        "outlines left below 0.85": float((kept < 0.85).mean()),
        "failures": float(np.count_nonzero(~good)),
        "overlaps": float(np.count_nonzero(common[one < other] > 1e-3)),
    }


def _best(polygons: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Intersection over union with the shape that fits best, for the contender may change the order."""
    one, other = shapely.STRtree(shapes).query(polygons, predicate="intersects")
    best = np.zeros(len(polygons))
    np.maximum.at(best, one, agreement(polygons[one], shapes[other]))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--noise", type=float, default=0.6)
    options = parser.parse_args()
    town = build_town(options.count, options.noise)
    outline_corners = np.mean(shapely.get_num_coordinates(town.outlines) - 1)
    print(f"{len(town.outlines)} outlines of {outline_corners:.1f} corners")
    for name in CONTENDERS:
        print(name, {key: round(value, 3) for key, value in measure(town, name).items()})


if __name__ == "__main__":
    main()
