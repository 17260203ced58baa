"""The skeleton of the roads of a raster of any size, window by window.

Every step looks a known number of pixels far, and windows overlap by the sum: the skeleton of a pixel is
the same whichever window it was made in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from geodl.vector.roads.ground import Ground
from geodl.vector.roads.islands import SPAN, without_islands
from geodl.vector.roads.mask import READ_PIXELS, RoadRows, mirrored
from geodl.vector.roads.thinning import hollow, thin
from geodl.vector.source import ConfidenceRaster

STRIP_ROWS = 1024
WINDOW_COLUMNS = 4096
HALF_ROAD = 20.0  # metres: half of the widest road
HALF_ROAD_PIXELS = (8, 48)  # the same, but at least and at most this many pixels
HOLE = 10.0  # square metres: smaller holes in a road are cars, trees and doubt
HOLE_PIXELS = (4, 128)
SLIT = 50.0  # metres: longer islands between two lanes part them
SLIT_PIXELS = (8, 96)
AFTER_HOLLOW = 3  # iterations that make lines of the outlines of what was wider than a road


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far each step looks, in pixels."""

    half_road: int
    hole: int
    slit: int

    @classmethod
    def on(cls, ground: Ground) -> "Reach":
        """Pixels for roads, holes and slits of the usual size on this ground."""
        return cls(
            half_road=int(np.clip(np.ceil(HALF_ROAD / ground.pixel), *HALF_ROAD_PIXELS)),
            hole=int(np.clip(round(HOLE / ground.pixel**2), *HOLE_PIXELS)),
            slit=int(np.clip(round(SLIT / ground.pixel), *SLIT_PIXELS)),
        )

    @property
    def halo(self) -> int:
        """Pixels around a window that decide on it."""
        islands = min(self.hole, SPAN) + self.slit + self.half_road
        return 2 * (self.half_road + AFTER_HOLLOW) + 1 + islands + 1


@dataclass(frozen=True, kw_only=True)
class SkeletonRows:
    """The skeleton pixels of rows `start` to `stop`, one more row above and one below; row by row."""

    start: int
    stop: int
    row: np.ndarray
    column: np.ndarray
    half_width: np.ndarray
    """Distance to the edge of the road in the unit of the ground."""
    confidence: np.ndarray
    """0..1, NaN where unknown."""


def skeleton_rows(
    road: RoadRows,
    shape: tuple[int, int],
    ground: Ground,
    confidence: ConfidenceRaster | None = None,
    *,
    strip_rows: int = STRIP_ROWS,
    window_columns: int = WINDOW_COLUMNS,
) -> Iterator[SkeletonRows]:
    """Yield the skeleton of a raster of `shape` in strips of rows from top to bottom."""
    reach = Reach.on(ground)
    for start in range(0, shape[0], strip_rows):
        stop = min(start + strip_rows, shape[0])
        first, last = max(0, start - 1), min(stop + 1, shape[0])
        strip = road.rows(first - reach.halo, last + reach.halo)
        parts = [
            _window(strip, first, columns, shape[1], ground, reach)
            for columns in _column_ranges(shape[1], window_columns)
        ]
        row, column, half_width = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        order = np.argsort(row * shape[1] + column)
        row, column, half_width = row[order], column[order], half_width[order]
        yield SkeletonRows(
            start=start,
            stop=stop,
            row=row,
            column=column,
            half_width=half_width,
            confidence=_sampled(confidence, row, column, shape[1]),
        )


def _column_ranges(width: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, width, step):
        yield start, min(start + step, width)


def _window(strip: np.ndarray, first: int, columns: tuple[int, int], width: int, ground, reach: Reach):
    """Rows, columns and half widths of the skeleton in a range of columns of a strip with its halo."""
    halo = reach.halo
    mask = strip[:, mirrored(np.arange(columns[0] - halo, columns[1] + halo), width)]
    if not mask.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    mask = without_islands(mask, ground.scale, smallest=reach.hole, longest=reach.slit, reach=reach.half_road)
    skeleton = thin(hollow(thin(mask, reach.half_road)), AFTER_HOLLOW)
    row, column = np.nonzero(skeleton[halo:-halo, halo:-halo])
    most = reach.half_road + 2
    near = mask[halo - most : most - halo, halo - most : most - halo]
    half_width = half_widths(near, row + most, column + most, ground.scale, most)
    return row + first, column + columns[0], half_width


def half_widths(
    mask: np.ndarray, row: np.ndarray, column: np.ndarray, scale: tuple[float, float], most: int
) -> np.ndarray:
    """Distance from the middles of road pixels to the edge of the road, shape (n,), in the unit of `scale`.

    The nearest pixel beside the road is looked for among those that touch it; the edge lies about half a
    pixel before its middle. A road of an even number of pixels has its skeleton half a pixel beside its
    axis: a quarter pixel makes up for that on average. No distance exceeds `most` pixels, across or down.
    """
    if not len(row):
        return np.zeros(0)
    size, pixel = np.array(scale), float(np.sqrt(scale[0] * scale[1]))
    limit = most * min(scale)
    near = np.pad(mask, 1)
    touching = near[:-2, 1:-1] | near[2:, 1:-1] | near[1:-1, :-2] | near[1:-1, 2:]
    beside = np.argwhere(touching & ~mask)[:, ::-1]
    if not len(beside):
        return np.full(len(row), limit - 0.25 * pixel)
    points = np.stack([column, row], axis=1)
    found, nearest = cKDTree(beside * size).query(points * size, distance_upper_bound=limit)
    # Measured again by whole pixels: window coordinates would leave their trace in the last digits.
    steps = beside[np.minimum(nearest, len(beside) - 1)] - points
    distance = np.where(np.isfinite(found), np.hypot(*(steps * size).T), limit)
    return np.round(distance - 0.25 * pixel, 9)


def _sampled(confidence: ConfidenceRaster | None, row: np.ndarray, column: np.ndarray, width: int):
    """Confidence at pixels that are sorted by row."""
    values = np.full(len(row), np.nan)
    if confidence is None or not len(row):
        return values
    step = max(1, READ_PIXELS // width)
    for start in range(int(row[0]), int(row[-1]) + 1, step):
        stop = min(start + step, int(row[-1]) + 1)
        own = slice(*np.searchsorted(row, (start, stop)))
        values[own] = confidence.read(start, stop)[row[own] - start, column[own]]
    return values
