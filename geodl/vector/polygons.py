"""Polygons of equal class over a raster of any size, read once in strips of rows.

Strips are cut by the raster's width alone, so neither the result nor the order of features depends on
how the raster was computed or stored. Memory holds one strip and the corners of the polygons that reach
its lower edge.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from geodl.vector.area import PixelAreas, measurable
from geodl.vector.attributes import AttributeTable
from geodl.vector.batch import Batches
from geodl.vector.corners import Corners, find_corners
from geodl.vector.lengths import perimeters, pixel_areas
from geodl.vector.outline import trace
from geodl.vector.regions import Sums, add_up, join, label_regions, measure, no_sums, renumber
from geodl.vector.shapes import build_polygons, draw
from geodl.vector.source import ClassRaster, ConfidenceRaster
from geodl.vector.strips import Strip, read_strips, rows_per_strip


def polygonize(
    raster: ClassRaster,
    *,
    confidence: ConfidenceRaster | None = None,
    names: Mapping[int, str] | None = None,
    connectivity: int = 4,
    simplify: float = 0,
    strip_rows: int | None = None,
) -> Batches:
    """Yield the polygons of equal class of a raster.

    Parameters
    ----------
    raster : ClassRaster
        Classes; nodata pixels belong to no polygon.
    confidence : ConfidenceRaster, optional
        Confidence of each pixel on the same grid.
    names : mapping of int to str, optional
        Class names; a class without one is named by its value.
    connectivity : {4, 8}
        Whether pixels that share only a corner join. Geometries are Polygons for 4 and MultiPolygons for 8:
        joined at a point, a single ring would not be valid.
    simplify : float
        Tolerance in pixels with which outlines are simplified, all together: see `geodl.vector.coverage`.
        0 for the exact outlines of the pixels.
    strip_rows : int, optional
        Rows per strip, for tests: it changes the order of the features.

    Yields
    ------
    FeatureBatch
        Columns ``id`` (the number of the polygon's first pixel, row by row from 1: it does not depend on
        other polygons), ``class``, ``name``, ``area_m2`` and ``perimeter_m`` (of the polygon as drawn, holes
        included in the perimeter, on the ellipsoid; ``area_px`` and ``perimeter_px`` where the raster has no
        place on the earth); with `confidence`, ``confidence`` and ``confidence_min`` (mean and minimum over
        its pixels, 0..1, NaN where unknown); ``source``, where the raster has a name. Polygons come in the
        order of the strips that end them, then of their first pixel, row by row.
    """
    strip_rows = strip_rows or rows_per_strip(raster.shape[1])
    areas = None
    if raster.crs is not None and measurable(raster.crs):
        areas = PixelAreas(raster.crs, raster.transform, raster.shape)
    table = AttributeTable(
        names=names or {},
        source=raster.source,
        unit="px" if areas is None else "m",
        confidence=confidence is not None,
        geometry_type="Polygon" if connectivity == 4 else "MultiPolygon",
    )
    state = _nothing_open(raster.shape[1], raster.nodata)
    yield table.batch(np.empty(0, np.int64), no_sums(), np.empty(0), np.empty(0, object))
    for strip in read_strips(raster, confidence, strip_rows, simplify):
        weights = None if areas is None else areas.rows(strip.start, strip.start + len(strip))
        state, closed, corners = _join(state, strip, weights, raster.nodata, connectivity)
        count = len(closed.value)
        if not count:
            continue
        rings = draw(trace(corners), multi=connectivity == 8)
        geometry = build_polygons(rings, raster.transform, multi=connectivity == 8)
        if simplify:
            closed = replace(closed, area=closed.area / closed.pixels * pixel_areas(rings, count))
        around = perimeters(rings, areas, count)
        first = _first_pixel(corners, raster.shape[1])
        order = np.argsort(first)
        yield table.batch(first[order] + 1, closed.take(order), around[order], geometry[order])


@dataclass(frozen=True, kw_only=True)
class _Open:
    """The regions that touch the last row read."""

    classes: np.ndarray
    """Classes of that row: shape (columns,)."""
    index: np.ndarray
    """Open region of each of its pixels, not read where nodata: shape (columns,)."""
    sums: Sums
    corners: list[list[Corners]]
    """Corners of each open region, in pieces; their own region numbers are those of past strips."""


def _nothing_open(width: int, nodata: int) -> _Open:
    return _Open(classes=np.full(width, nodata), index=np.zeros(width, np.int64), sums=no_sums(), corners=[])


def _join(state: _Open, strip: Strip, weights: np.ndarray | None, nodata: int, connectivity: int):
    """Join a strip to the open regions above it.

    Returns the regions open now, the sums over those that are complete, and their corners, numbered
    like the sums.
    """
    classes = strip.classes
    labels, count = label_regions(classes, nodata, connectivity)
    above = np.where(state.classes == nodata, 0, state.index + count + 1)
    pairs = join(state.classes, above, classes[0], labels[0], nodata, connectivity)
    number, total = renumber(pairs - 1, count + len(state.corners))
    sums = add_up(measure(classes, labels, count, strip.percent, weights), state.sums, number, total)
    corners = find_corners(
        np.vstack([state.classes[None], classes]),
        np.vstack([above[None], labels]) - 1,
        nodata,
        strip.start,
        strip.marks,
    )
    corners = _ranked(corners, number)

    last = classes[-1] != nodata
    is_open = np.zeros(total, bool)
    is_open[number[labels[-1][last] - 1]] = True
    rank = np.where(is_open, np.cumsum(is_open), np.cumsum(~is_open)) - 1  # among the open or the closed
    pieces: list[list[Corners]] = [[] for _ in range(np.count_nonzero(is_open))]
    done: list[Corners] = []
    for region, parts in zip(number[count:], state.corners, strict=True):
        if is_open[region]:
            pieces[rank[region]].extend(parts)  # numbered when they are complete
        else:
            done.extend(_numbered(parts, rank[region]))
    pending = is_open[corners.region]
    done.append(_ranked(corners.take(~pending), rank))
    for part in _split(_ranked(corners.take(pending), rank)):
        pieces[part.region[0]].append(part)

    index = np.zeros(len(last), np.int64)
    index[last] = rank[number[labels[-1][last] - 1]]
    state = _Open(classes=classes[-1], index=index, sums=sums.take(is_open), corners=pieces)
    return state, sums.take(~is_open), _concatenate(done)


def _ranked(corners: Corners, rank: np.ndarray) -> Corners:
    return Corners(region=rank[corners.region], x=corners.x, y=corners.y, code=corners.code)


def _numbered(parts: list[Corners], region: int) -> list[Corners]:
    return [
        Corners(region=np.broadcast_to(region, len(part)), x=part.x, y=part.y, code=part.code)
        for part in parts
    ]


def _split(corners: Corners) -> list[Corners]:
    """One piece per region; empty ones are left out."""
    corners = corners.take(np.argsort(corners.region, kind="stable"))
    edges = np.flatnonzero(np.diff(corners.region, prepend=-1, append=-1))
    return [corners.take(np.arange(a, b)) for a, b in itertools.pairwise(edges)]


def _concatenate(parts: list[Corners]) -> Corners:
    return Corners(
        region=np.concatenate([part.region for part in parts]),
        x=np.concatenate([part.x for part in parts]),
        y=np.concatenate([part.y for part in parts]),
        code=np.concatenate([part.code for part in parts]),
    )


def _first_pixel(corners: Corners, width: int) -> np.ndarray:
    """Return the number of each region's first pixel, row by row: at its topmost, then leftmost corner."""
    first = np.full(int(corners.region.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, corners.region, corners.y.astype(np.int64) * width + corners.x)
    return first
