"""What changed between two dates, without labels and without a model: measure, cut, publish."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import xarray as xr

from geodl.alignment.dates import Dates, dates_of
from geodl.changes.measures import METHODS, Measure, fit_measure
from geodl.changes.picture import draw_pair, visible
from geodl.changes.product import (
    NAME,
    STILL,
    provenance_of,
    tags_of,
    times_of,
    without_small,
    write_change,
)
from geodl.changes.scores import CHANGED, gap_codes, score_window
from geodl.changes.threshold import ScoreHistogram, check_threshold, threshold_of
from geodl.errors import OptionError
from geodl.models.spec import NODATA_CLASS, ClassSpec
from geodl.publish import (
    Product,
    RasterGrid,
    RasterLayer,
    confidence_style,
    stage,
    write_cog_windows,
    write_style,
)
from geodl.publish.qgis import DOCTYPE
from geodl.publish.triptych import title_of
from geodl.task import TASKS
from geodl.tiles import Window
from geodl.vector import ClassRaster, ConfidenceRaster
from geodl.vector.files import read_rows
from geodl.vector.source import class_raster, grid_of_file

CLASSES = (STILL, ClassSpec(value=CHANGED, name="changed", color="#d7301f"))
SCORE = f"{NAME}_score"
_LARGEST_SMOOTH = 101


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """How change is found.

    Parameters
    ----------
    method : str
        Row of `METHODS`.
    threshold : str
        Row of `THRESHOLDS`, or a score as text.
    smooth : int
        Side in pixels, odd, of the square around each pixel over which differences are averaged.
    min_area : float
        Square metres below which a patch, changed or not, goes to what is around it.

    Raises
    ------
    OptionError
        A value is not possible.
    """

    method: str = "cva"
    threshold: str = "otsu"
    smooth: int = 3
    min_area: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError(f"--method {self.method}", "is unknown", f"use {', '.join(METHODS)}")
        check_threshold(self.threshold)
        if not (1 <= self.smooth <= _LARGEST_SMOOTH and self.smooth % 2):
            raise OptionError(
                f"--smooth {self.smooth}", "is no side with a pixel in the middle", "use 1, 3, 5, 7, ..."
            )
        if not 0 <= self.min_area < float("inf"):
            raise OptionError(
                f"--min-area {self.min_area:g}", "it is not a number from 0 on", "give 0 or more"
            )


@dataclass(frozen=True, kw_only=True)
class Found:
    """A published map of change."""

    folder: Path
    threshold: float
    """Score beyond which pixels are changed."""
    polygons: int


def find_changes(pair: xr.DataArray, out: Path, options: ChangeOptions) -> Found:
    """Find change in a pair of dates and publish it as ``out/<name of the pair>``.

    The pair is read three times: for the sample to which the method is fitted, for the scores, and for the
    picture. Memory does not grow with the number of rows.

    Parameters
    ----------
    pair : xarray.DataArray
        From `geodl.open_pair` or `geodl.alignment.align_pair`, lazy.
    out : pathlib.Path
        Folder of products.
    options : ChangeOptions

    Raises
    ------
    SceneError
        Too little data, or the dates do not differ.
    ProductError
        The product cannot be written; the folder is absent or still holds the previous product.
    """
    dates = dates_of(pair.isel(time=0), pair.isel(time=1))
    with stage(out, str(pair.name), inputs=pair.attrs["source"]) as product:
        measure = fit_measure(options.method, dates)
        method = {"name": options.method, **measure.report()}
        provenance = provenance_of(pair, method, asdict(options))
        path, histogram = product.path(f"{SCORE}.tif"), ScoreHistogram()
        layer = RasterLayer(
            dtype="float32",
            nodata=float("nan"),
            overview="average",
            descriptions=("times the usual difference",),
            tags=tags_of(provenance),
        )
        windows = _scores(dates, measure, options.smooth, histogram)
        write_cog_windows(windows, path, grid=RasterGrid.of(dates.before), layer=layer)
        threshold = threshold_of(options.threshold, histogram)
        write_style(_score_style(2 * threshold or 1.0), product.path(f"{SCORE}.qml"))
        provenance["method"]["threshold"] = threshold
        raster = _cut(path, dates, threshold)
        polygons = write_change(
            product,
            without_small(raster, options.min_area) if options.min_area else raster,
            dates,
            classes=CLASSES,
            provenance=provenance,
            times=times_of(pair),
            score=ConfidenceRaster(shape=raster.shape, read=partial(read_rows, path, 1)),
        )
        _draw(product, pair, dates)
        folder = product.commit(provenance)
    return Found(folder=folder, threshold=threshold, polygons=polygons)


def _scores(
    dates: Dates, measure: Measure, smooth: int, histogram: ScoreHistogram
) -> Iterator[tuple[int, int, np.ndarray]]:
    for window in dates.windows():
        scores = score_window(dates, measure, window, smooth)
        histogram.add(scores)
        yield window.row, window.col, scores


def _cut(path: Path, dates: Dates, threshold: float) -> ClassRaster:
    """Return what a raster of scores says is changed, and which date holds no data; read by rows."""
    grid = grid_of_file(path)

    def read(start: int, stop: int) -> np.ndarray:
        scores = read_rows(path, 1, start, stop)
        classes = np.where(scores > threshold, CHANGED, STILL.value).astype(np.uint8)
        empty = np.isnan(scores)
        if empty.any():
            codes = gap_codes(*dates.read(Window(start, 0, stop - start, grid.shape[1])))
            classes[empty] = codes[empty]
        return classes

    return ClassRaster(
        shape=grid.shape, crs=grid.crs, transform=grid.transform, nodata=NODATA_CLASS, read=read
    )


def _draw(product: Product, pair: xr.DataArray, dates: Dates) -> None:
    changes = class_raster(product.path(f"{NAME}.tif"))
    height, width = changes.shape

    def strip(start: int, stop: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        before, after = dates.read(Window(start, 0, stop - start, width))
        return (visible(before, dates.names), visible(after, dates.names)), changes.read(start, stop)

    before, after = (title_of(date) for date in pair.attrs["dates"])
    titles = (before, after, TASKS["change"].title)
    draw_pair(strip, (height, width), product.path(f"{NAME}.png"), titles=titles, legend=CLASSES)


def _score_style(largest: float) -> str:
    """QML of a raster of scores: its ramp is labelled with scores, not with percent."""
    root = Xml.fromstring(confidence_style(largest).removeprefix(DOCTYPE))  # noqa: S314 - our own text
    for item in root.iter("item"):
        item.set("label", f"{float(item.get('value', 0)):.3g}")
    return DOCTYPE + Xml.tostring(root, encoding="unicode") + "\n"
