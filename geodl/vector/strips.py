"""A class raster in strips of rows, from top to bottom, each row read once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geodl.vector.coverage import BAND, mark_vertices
from geodl.vector.source import ClassRaster, ConfidenceRaster

READ_ROWS = 1024  # rows per read: whole blocks of every usual file and store
STRIP_PIXELS = 2**23  # pixels per strip: about 250 MB of working memory


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some rows of a raster. The last strip has a further row of nodata, which ends all regions."""

    start: int
    """The first row."""
    classes: np.ndarray
    """Shape (rows, width)."""
    percent: np.ndarray | None
    """Confidences 0..1, NaN unknown: shape (rows, width)."""
    marks: np.ndarray | None = None
    """What `geodl.vector.coverage.mark_vertices` says of the grid points above each row, where outlines are
    simplified: shape (rows, width + 1)."""

    def __len__(self) -> int:
        return len(self.classes)

    def cut(self, rows: int, *, is_last: bool) -> "Iterator[Strip]":
        """Cut into strips of `rows` rows."""
        real = len(self) - is_last
        for first in range(0, real, rows):
            end = first + rows if first + rows < real else None
            yield Strip(
                start=self.start + first,
                classes=self.classes[first:end],
                percent=None if self.percent is None else self.percent[first:end],
                marks=None if self.marks is None else self.marks[first:end],
            )


def rows_per_strip(width: int) -> int:
    """Rows of a strip: a power of two of at most `READ_ROWS` rows and about `STRIP_PIXELS` pixels.

    >>> rows_per_strip(8192), rows_per_strip(100_000)
    (1024, 64)
    """
    rows = max(1, STRIP_PIXELS // width)
    return min(READ_ROWS, 1 << (rows.bit_length() - 1))


def read_strips(
    raster: ClassRaster, confidence: ConfidenceRaster | None, rows: int, simplify: float = 0
) -> Iterator[Strip]:
    """Yield a raster in strips of `rows` rows, with marks where the tolerance `simplify` (px) is not 0."""
    if not simplify:
        yield from _pieces(raster, confidence, rows)
        return
    height = raster.shape[0]
    for band in _marked(_pieces(raster, confidence, BAND), raster.nodata, simplify):
        yield from band.cut(rows, is_last=band.start + len(band) > height)


def _pieces(raster: ClassRaster, confidence: ConfidenceRaster | None, rows: int) -> Iterator[Strip]:
    height, width = raster.shape
    for start in range(0, height, READ_ROWS):
        stop = min(start + READ_ROWS, height)
        classes = raster.read(start, stop)
        percent = None if confidence is None else confidence.read(start, stop)
        if stop == height:
            classes = np.vstack([classes, np.full((1, width), raster.nodata, classes.dtype)])
            percent = None if percent is None else np.vstack([percent, np.full((1, width), np.nan)])
        yield from Strip(start=start, classes=classes, percent=percent).cut(rows, is_last=stop == height)


def _marked(bands: Iterator[Strip], nodata: int, tolerance: float) -> Iterator[Strip]:
    """Mark the vertices of each band, for which the first row of the next one must be known."""

    def marked(band: Strip, above: np.ndarray, below: np.ndarray) -> Strip:
        marks = mark_vertices(np.vstack([above, band.classes, below]), nodata, tolerance)
        return Strip(
            start=band.start, classes=band.classes, percent=band.percent, marks=marks[: len(band.classes)]
        )

    band = next(bands)
    above = np.full_like(band.classes[:1], nodata)
    for following in bands:
        yield marked(band, above, following.classes[:1])
        above, band = band.classes[-1:], following
    yield marked(band, above, band.classes[:0])
