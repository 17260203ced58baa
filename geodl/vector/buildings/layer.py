"""The layer of building footprints: from a class raster to straight walls, in the memory of some strips."""

from collections.abc import Mapping

import numpy as np
import shapely
from affine import Affine

from geodl.vector.area import PixelAreas, measurable
from geodl.vector.batch import Batches, FeatureBatch
from geodl.vector.buildings.draw import footprints
from geodl.vector.buildings.exact import exact_outlines
from geodl.vector.buildings.frames import RIGHT_ANGLE, apply, moved, turned
from geodl.vector.buildings.instances import find_instances
from geodl.vector.buildings.neighbours import Table
from geodl.vector.buildings.roles import BUILDING, find_roles
from geodl.vector.buildings.wishes import decided
from geodl.vector.options import VectorOptions
from geodl.vector.polygons import rows_per_strip
from geodl.vector.source import ClassRaster, ConfidenceRaster


def buildings(
    raster: ClassRaster,
    *,
    confidence: ConfidenceRaster | None,
    names: Mapping[int, str],
    options: VectorOptions,
    strip_rows: int | None = None,
) -> Batches:
    """Yield the buildings of a class raster.

    Parameters
    ----------
    raster : ClassRaster
        Classes; see `geodl.vector.buildings.roles.find_roles` for which of them are buildings.
    confidence : ConfidenceRaster or None
        Confidence of each pixel on the same grid.
    names : mapping of int to str
        Class names; a class named "building edge" parts buildings that touch.
    options : VectorOptions
        ``simplify`` in pixels (1.25; 0 keeps pixel outlines), ``min_area`` in m² (4; also the least area
        of a courtyard), ``regularize`` ("gentle") and ``object_class``.
    strip_rows : int, optional
        Rows per strip, for tests: it changes the order of the features.

    Yields
    ------
    FeatureBatch
        Columns ``id`` (the number of the first pixel, row by row from 1), ``class``, ``name``, ``area_m2``
        and ``perimeter_m`` (on the ellipsoid; ``area_px`` and ``perimeter_px`` where the raster has no place
        on the earth), with `confidence` ``confidence`` and ``confidence_min`` (over the pixels, 0..1, NaN
        where unknown), ``angle_deg`` (of the walls that are longest together, degrees counterclockwise from
        grid east, 0 to 180; NaN for round buildings), ``regularized`` (1 where straight walls were found,
        else 0), ``iou`` (intersection over union of the geometry and the pixels) and ``source``, where the
        raster has a name. Geometries are valid and do not overlap.

    Raises
    ------
    OptionError
        An option has no meaning for buildings.
    """
    options.refuse(("connectivity",), "buildings")
    roles = find_roles(raster, names, options.class_value(names))
    wishes = decided(options)
    strip_rows = strip_rows or rows_per_strip(raster.shape[1])
    instances = find_instances(
        lambda start, stop: roles.of(raster.read(start, stop)),
        raster.shape,
        edges=roles.edge is not None,
        strip_rows=strip_rows,
    )
    areas = None
    if raster.crs is not None and measurable(raster.crs):
        areas = PixelAreas(raster.crs, raster.transform, raster.shape)
    known = exact_outlines(raster, areas, instances, confidence, wishes, strip_rows)
    value = 1 if roles.value is None else roles.value
    for table in footprints(known, wishes, _usual_pixel(areas, raster)):
        yield _batch(table, raster.transform, value, names.get(value, BUILDING))


def _usual_pixel(areas: PixelAreas | None, raster: ClassRaster) -> float:
    """Size in metres of the pixels in the middle row; 1 where the raster has no place on the earth."""
    if areas is None:
        return 1.0
    row = raster.shape[0] // 2
    size = areas.rows(row, row + 1)
    size = size[np.isfinite(size) & (size > 0)]
    return float(np.sqrt(np.median(size))) if size.size else 1.0


def _batch(table: Table, transform: Affine, value: int, name: str) -> FeatureBatch:
    polygon, count = table["shape"], len(table["shape"])
    unit = "area_m2" if "area_m2" in table else "area_px"
    angle, perimeter = _measured(polygon, table["matrix"], table["angle"])
    columns: dict[str, np.ndarray] = {
        "id": table["id"],
        "class": np.full(count, value, np.int32),
        "name": np.full(count, name, object),
        unit: table[unit] * shapely.area(polygon) / table["pixels"],
        "perimeter_m" if unit == "area_m2" else "perimeter_px": perimeter,
        **{column: table[column] for column in ("confidence", "confidence_min") if column in table},
        "angle_deg": np.where(table["round"], np.nan, angle),
        "regularized": table["regular"].astype(np.int32),
        "iou": table["iou"],
        **({"source": table["source"]} if "source" in table else {}),
    }
    return FeatureBatch(columns=columns, geometry=_on_the_map(polygon, transform))


def _measured(polygon: np.ndarray, matrices: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Direction of the walls that are longest together (degrees), and length of all walls (metres)."""
    rings, owner = shapely.get_rings(polygon, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    inner = np.diff(ring) == 0
    building = owner[ring[1:][inner]]
    wall = apply(turned(matrices, angle)[building], np.diff(points, axis=0)[inner])
    length = np.hypot(wall[:, 0], wall[:, 1])
    along = np.abs(wall[:, 0]) >= np.abs(wall[:, 1])
    total = np.bincount(building, length, len(polygon)).astype(np.float64)  # whole numbers where all is empty
    across = np.bincount(building, np.where(along, 0, length), len(polygon))
    main = angle + np.where(2 * across > total, RIGHT_ANGLE, 0)
    return np.degrees(main) % 180, total


def _on_the_map(polygon: np.ndarray, transform: Affine) -> np.ndarray:
    placed = shapely.transform(polygon, lambda points: moved(points, transform))
    return shapely.orient_polygons(placed)
