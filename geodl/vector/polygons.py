"""Polygons of equal class over a raster of any size, read once in strips of rows.

Strips are cut by the raster's width alone, so neither the result nor the order of features depends on
how the raster was computed or stored. Memory holds one strip and the corners of the polygons that reach
its lower edge.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from geodl.vector.area import PixelAreas, measurable
from geodl.vector.batch import Batches, FeatureBatch
from geodl.vector.outline import Corners, build_polygons, find_corners, trace
from geodl.vector.source import ClassRaster, ConfidenceRaster

READ_ROWS = 1024  # rows per read: whole blocks of every usual file and store
STRIP_PIXELS = 2**23  # pixels per strip: about 250 MB of working memory


def polygonize(
    raster: ClassRaster,
    *,
    confidence: ConfidenceRaster | None = None,
    names: Mapping[int, str] | None = None,
    connectivity: int = 4,
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
    strip_rows : int, optional
        Rows per strip, for tests: it changes the order of the features.

    Yields
    ------
    FeatureBatch
        Columns ``id`` (1, 2, ... in the order of the features), ``class``, ``name``, ``area_m2`` (on the
        ellipsoid; ``area_px`` where the raster has no place on the earth) and, with `confidence`,
        ``confidence`` (mean over the polygon, 0..1, NaN where unknown). Polygons come in the order of the
        strips that end them, then of their first pixel, row by row.
    """
    strip_rows = strip_rows or rows_per_strip(raster.shape[1])
    areas = None
    if raster.crs is not None and measurable(raster.crs):
        areas = PixelAreas(raster.crs, raster.transform, raster.shape)
    table = _Table(
        names=names or {},
        area="area_px" if areas is None else "area_m2",
        confidence=confidence is not None,
        geometry_type="Polygon" if connectivity == 4 else "MultiPolygon",
    )
    state = _nothing_open(raster.shape[1], raster.nodata)
    features = 0
    yield table.batch(features, _no_regions(), np.empty(0, object))
    for start, classes, percent in _strips(raster, confidence, strip_rows):
        weights = None if areas is None else areas.rows(start, start + len(classes))
        strip = _measure(classes, percent, weights, raster.nodata, connectivity)
        state, closed, corners = _join(state, classes, strip, raster.nodata, connectivity, start)
        if len(closed.value):
            geometry = build_polygons(trace(corners), raster.transform, multi=connectivity == 8)
            order = _by_first_pixel(corners)
            yield table.batch(features, closed.take(order), geometry[order])
            features += len(geometry)


def rows_per_strip(width: int) -> int:
    """Rows of a strip: a power of two of at most `READ_ROWS` rows and about `STRIP_PIXELS` pixels.

    >>> rows_per_strip(8192), rows_per_strip(100_000)
    (1024, 64)
    """
    rows = max(1, STRIP_PIXELS // width)
    return min(READ_ROWS, 1 << (rows.bit_length() - 1))


@dataclass(frozen=True, kw_only=True)
class _Regions:
    """What is summed over regions; every array has shape (regions,)."""

    value: np.ndarray
    area: np.ndarray
    certain: np.ndarray
    """Sum of the confidences."""
    measured: np.ndarray
    """Number of pixels with a confidence."""

    def take(self, index: np.ndarray) -> "_Regions":
        return _Regions(
            value=self.value[index],
            area=self.area[index],
            certain=self.certain[index],
            measured=self.measured[index],
        )


def _no_regions() -> _Regions:
    return _Regions(value=np.empty(0, np.int64), area=np.empty(0), certain=np.empty(0), measured=np.empty(0))


@dataclass(frozen=True, kw_only=True)
class _Strip:
    labels: np.ndarray
    """Region of each pixel, 1 to n; 0 is nodata: shape (rows, columns)."""
    regions: _Regions
    """Sums of the regions 1 to n, at 0 to n - 1."""


@dataclass(frozen=True, kw_only=True)
class _Open:
    """The regions that touch the last row read."""

    classes: np.ndarray
    """Classes of that row: shape (columns,)."""
    index: np.ndarray
    """Open region of each of its pixels, not read where nodata: shape (columns,)."""
    regions: _Regions
    corners: list[list[Corners]]
    """Corners of each open region, in pieces; their own region numbers are those of past strips."""


def _nothing_open(width: int, nodata: int) -> _Open:
    return _Open(
        classes=np.full(width, nodata), index=np.zeros(width, np.int64), regions=_no_regions(), corners=[]
    )


def _strips(raster: ClassRaster, confidence: ConfidenceRaster | None, rows: int):
    """Yield (first row, classes, confidence); the last strip ends with a row of nodata, which closes all."""
    height, width = raster.shape
    for start in range(0, height, READ_ROWS):
        stop = min(start + READ_ROWS, height)
        classes = raster.read(start, stop)
        percent = None if confidence is None else confidence.read(start, stop)
        if stop == height:
            classes = np.vstack([classes, np.full((1, width), raster.nodata, classes.dtype)])
            percent = None if percent is None else np.vstack([percent, np.full((1, width), np.nan)])
        for row in range(0, stop - start, rows):
            end = row + rows if start + row + rows < height else None
            yield start + row, classes[row:end], None if percent is None else percent[row:end]


def _measure(classes, percent, weights, nodata: int, connectivity: int) -> _Strip:
    """Label the regions of a strip and sum over them."""
    labels, count = label(
        classes, background=nodata, return_num=True, connectivity=1 if connectivity == 4 else 2
    )
    flat = labels.ravel()
    value = np.zeros(count + 1, np.int64)
    value[flat] = classes.ravel()
    area = np.bincount(flat, None if weights is None else weights.ravel(), minlength=count + 1)
    certain = measured = np.zeros(count + 1)
    if percent is not None:
        known = np.isfinite(percent).ravel()
        certain = np.bincount(flat, np.where(known, percent.ravel(), 0), minlength=count + 1)
        measured = np.bincount(flat, known, minlength=count + 1)
    regions = _Regions(value=value, area=area.astype(np.float64), certain=certain, measured=measured)
    return _Strip(labels=labels, regions=regions.take(np.arange(1, count + 1)))


def _join(state: _Open, classes, strip: _Strip, nodata: int, connectivity: int, first_row: int):
    """Join a strip to the open regions above it.

    Returns the regions open now, the sums over those that are complete, and their corners, numbered
    like the sums.
    """
    count = len(strip.regions.value)
    above = np.where(state.classes == nodata, 0, state.index + count + 1)
    number, total = _merge(
        state.classes, above, classes[0], strip.labels[0], nodata, connectivity, count + len(state.corners)
    )
    regions = _sum(strip.regions, state.regions, number, total)
    corners = find_corners(
        np.vstack([state.classes[None], classes]), np.vstack([above[None], strip.labels]), nodata, first_row
    )
    corners = Corners(region=number[corners.region - 1], x=corners.x, y=corners.y, code=corners.code)

    last = classes[-1] != nodata
    is_open = np.zeros(total, bool)
    is_open[number[strip.labels[-1][last] - 1]] = True
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
    index[last] = rank[number[strip.labels[-1][last] - 1]]
    state = _Open(classes=classes[-1], index=index, regions=regions.take(is_open), corners=pieces)
    return state, regions.take(~is_open), _concatenate(done)


def _merge(classes_above, above, classes_below, below, nodata: int, connectivity: int, count: int):
    """Join the regions that touch across the border between two rows, and number all of them anew.

    Nodes are 1 to `count`. Returns the new number of each, from 0, and how many there are.
    """
    pairs = []
    for shift in (0,) if connectivity == 4 else (-1, 0, 1):
        upper = slice(max(0, shift), len(above) + min(0, shift))
        lower = slice(max(0, -shift), len(above) + min(0, -shift))
        joined = (classes_above[upper] == classes_below[lower]) & (classes_below[lower] != nodata)
        pairs.append(np.stack([above[upper][joined], below[lower][joined]]))
    first, second = np.unique(np.concatenate(pairs, axis=1), axis=1) - 1
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    total, number = connected_components(graph, directed=False)
    return number, total


def _sum(strip: _Regions, pending: _Regions, number: np.ndarray, total: int) -> _Regions:
    def add(name: str) -> np.ndarray:
        return np.bincount(number, np.concatenate([getattr(strip, name), getattr(pending, name)]), total)

    value = np.zeros(total, np.int64)
    value[number] = np.concatenate([strip.value, pending.value])
    return _Regions(value=value, area=add("area"), certain=add("certain"), measured=add("measured"))


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


def _by_first_pixel(corners: Corners) -> np.ndarray:
    """Order of regions by their topmost, then leftmost corner, which is that of their first pixel."""
    width = int(corners.x.max()) + 1
    first = np.full(int(corners.region.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, corners.region, corners.y.astype(np.int64) * width + corners.x)
    return np.argsort(first)


@dataclass(frozen=True, kw_only=True)
class _Table:
    """The attribute table: which columns there are, and how sums become attributes."""

    names: Mapping[int, str]
    area: str
    confidence: bool
    geometry_type: str

    def batch(self, features_before: int, regions: _Regions, geometry: np.ndarray) -> FeatureBatch:
        count = len(geometry)
        names = [self.names.get(value, str(value)) for value in regions.value.tolist()]
        columns: dict[str, np.ndarray] = {
            "id": np.arange(features_before + 1, features_before + count + 1),
            "class": regions.value.astype(np.int32),
            "name": np.array(names, object),
            self.area: regions.area,
        }
        if self.confidence:
            with np.errstate(invalid="ignore"):
                columns["confidence"] = regions.certain / regions.measured
        return FeatureBatch(columns=columns, geometry=geometry, geometry_type=self.geometry_type)
