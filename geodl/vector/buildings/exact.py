"""Exact outlines of single buildings, and what is known of each by itself."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import shapely
from affine import Affine

from geodl.vector.area import PixelAreas
from geodl.vector.batch import FeatureBatch
from geodl.vector.buildings.directions import Directions, own_directions
from geodl.vector.buildings.frames import frames, moved
from geodl.vector.buildings.instances import Instances
from geodl.vector.buildings.neighbours import NO_MORE, Table
from geodl.vector.buildings.outlines import outlines_of
from geodl.vector.buildings.wishes import Wishes
from geodl.vector.polygons import polygonize
from geodl.vector.source import ClassRaster, ConfidenceRaster

PASSED_ON = ("id", "area_m2", "area_px", "confidence", "confidence_min", "source")
"""Columns of the exact outlines that the layer takes over."""


def exact_outlines(
    raster: ClassRaster,
    areas: PixelAreas | None,
    instances: Instances,
    confidence: ConfidenceRaster | None,
    wishes: Wishes,
    strip_rows: int,
) -> Iterator[tuple[Table, int]]:
    """Yield tables of exact outlines and directions, with the first row of those still to come."""
    numbers = replace(raster, nodata=0, read=instances.read, classes=())
    found = np.zeros(len(instances.top) + 1, bool)
    coming = 0
    for batch in polygonize(numbers, confidence=confidence, strip_rows=strip_rows):
        found[batch.columns["class"] - 1] = True
        while found[coming]:
            coming += 1
        frontier = int(instances.top[coming]) if coming < len(instances.top) else NO_MORE
        yield _table(batch, raster, areas, wishes), frontier


def _table(batch: FeatureBatch, raster: ClassRaster, areas: PixelAreas | None, wishes: Wishes) -> Table:
    """Gather what is known of buildings by themselves; those that are too small are left out."""
    unit = "area_m2" if "area_m2" in batch.columns else "area_px"
    keep = batch.columns[unit] >= wishes.min_area
    columns = {name: column[keep] for name, column in batch.columns.items()}
    polygon, area = _in_pixels(batch.geometry[keep], ~raster.transform), columns[unit]
    pixels = shapely.area(polygon)
    polygon = _without_small_holes(polygon, wishes.min_area * pixels / area)
    bounds = shapely.bounds(polygon).reshape(-1, 4)
    middle = shapely.get_coordinates(shapely.centroid(polygon))
    matrices = frames(areas, raster.transform, middle)
    own = Directions(angle=np.empty(0), precision=np.empty(0))
    if len(polygon):
        own = own_directions(outlines_of(polygon), matrices, wishes.simplify)
    return {
        **{name: column for name, column in columns.items() if name in PASSED_ON},
        "number": columns["class"].astype(np.int64),
        "pixels": pixels,
        "polygon": polygon,
        "top": bounds[:, 1].astype(np.int64),
        "bottom": bounds[:, 3].astype(np.int64),
        "middle": middle,
        "matrix": matrices,
        "angle": own.angle,
        "precision": own.precision,
    }


def _in_pixels(geometry: np.ndarray, to_pixels: Affine) -> np.ndarray:
    """Return exact outlines in pixel coordinates again, which are whole numbers."""
    return shapely.transform(geometry, lambda points: np.rint(moved(points, to_pixels)))


def _without_small_holes(polygon: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Fill holes of less than `least` square pixels, shape (n,)."""
    polygon = polygon.copy()
    for position in np.flatnonzero(shapely.get_num_interior_rings(polygon)):
        outline = polygon[position]
        holes = [
            ring for ring in outline.interiors if shapely.area(shapely.polygons(ring)) >= least[position]
        ]
        polygon[position] = shapely.Polygon(outline.exterior, holes)
    return polygon
