"""What changed between two dates, without labels and without a model: measure, cut, publish."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import xarray as xr

from geodl.alignment.dates import Dates, dates_of
from geodl.alignment.tolerance import shift_filter
from geodl.changes.choose import model_for
from geodl.changes.finish import write_quality, write_rest
from geodl.changes.measures import METHODS, Measure, fit_measure
from geodl.changes.options import ChangeOptions
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
from geodl.changes.scores import gap_codes, score_window
from geodl.changes.threshold import ScoreHistogram, threshold_of
from geodl.errors import ProductError
from geodl.models.method import MethodSpec
from geodl.models.spec import NODATA_CLASS, ClassSpec
from geodl.publish import (
    Product,
    RasterGrid,
    RasterLayer,
    confidence_style,
    safe_name,
    stage,
    write_cog_windows,
    write_style,
)
from geodl.publish.product import is_product_of, read_manifest
from geodl.publish.qgis import DOCTYPE
from geodl.publish.triptych import title_of
from geodl.store import WORK_FOLDER, held, key_of
from geodl.task import CHANGED, TASKS
from geodl.tiles import Window
from geodl.vector import ClassRaster, ConfidenceRaster
from geodl.vector.files import read_rows
from geodl.vector.source import class_raster, grid_of_file

Scores = Iterator[tuple[int, int, np.ndarray]]
"""First row, first column and scores of windows."""

CLASSES = (STILL, ClassSpec(value=CHANGED, name="changed", color="#d7301f"))
SCORE = f"{NAME}_score"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A published map of change."""

    folder: Path
    threshold: float
    """Score beyond which pixels are changed."""
    polygons: int


def find_changes(
    pair: xr.DataArray, out: Path, options: ChangeOptions, *, stop: Event | None = None
) -> Found:
    """Find change in a pair of dates and publish it as ``out/<name of the pair>``.

    The pair is read a few times: for the sample to which the method is fitted, for the scores, and for the
    pictures. Memory does not grow with the number of rows. A product that is there already, of the same
    files, method and options, is left as it is.

    Parameters
    ----------
    pair : xarray.DataArray
        From `geodl.open_pair` or `geodl.alignment.align_pair`, lazy.
    out : pathlib.Path
        Folder of products.
    options : ChangeOptions
    stop : threading.Event, optional
        Once it is set, the work is given up soon.

    Raises
    ------
    SceneError
        Too little data, or the dates do not differ.
    ProductError
        The product cannot be written, or the work was given up; the folder is absent or still holds the
        previous product.
    """
    final = out / safe_name(str(pair.name))
    if is_there(final, pair, options):
        return _found(final)
    model = model_for(pair, options.model) if METHODS[options.method].needs_model else None
    dates = dates_of(pair.isel(time=0), pair.isel(time=1))
    with (
        held((out / WORK_FOLDER / final.name).absolute()) as work,
        stage(out, str(pair.name), inputs=pair.attrs["source"]) as product,
    ):
        measure = fit_measure(options.method, dates, model=model, kept=work / _key(pair, options))
        provenance = provenance_of(pair, _method(options, measure), _told(options))
        windows = _scores(dates, measure, options.smooth, stop or Event())
        threshold = _write_scores(product, dates, windows, options, provenance)
        raster = _cut(product.path(f"{SCORE}.tif"), dates, threshold)
        if options.suppress_shift:
            raster = _without_shifts(raster, dates, options.suppress_shift)
        write_change(
            product,
            without_small(raster, options.min_area) if options.min_area else raster,
            dates,
            classes=CLASSES,
            provenance=provenance,
            times=times_of(pair),
            score=ConfidenceRaster(
                shape=raster.shape, read=partial(read_rows, product.path(f"{SCORE}.tif"), 1)
            ),
        )
        write_quality(product, pair, provenance)
        _draw(product, pair, dates)
        spec = MethodSpec(
            name=options.method, title=METHODS[options.method].title, task="change", classes=CLASSES
        )
        write_rest(product, pair, spec, provenance)
        product.commit(provenance)
        for leftover in work.iterdir():  # of earlier methods and inputs, too
            shutil.rmtree(leftover, ignore_errors=True)
    return _found(final)


def is_there(final: Path, pair: xr.DataArray, options: ChangeOptions) -> bool:
    """Whether a folder holds the product of exactly these files, method and options already."""
    wanted = provenance_of(pair, {}, _told(options))
    wanted.pop("method")  # what was fitted is not known beforehand
    if not is_product_of(final, wanted, pair.attrs["source"]):
        return False
    if not METHODS[options.method].needs_model:
        return True
    made = (read_manifest(final) or {})["method"].get("model", {})
    return bool(made.get("hash") == model_for(pair, options.model).hash)


def _told(options: ChangeOptions) -> dict[str, Any]:
    """Return the options but the place of a model, whose name and hash are told with the method."""
    return {key: value for key, value in asdict(options).items() if key != "model"}


def _found(final: Path) -> Found:
    import pyogrio

    method = (read_manifest(final) or {})["method"]
    layer = pyogrio.read_info(final / f"{NAME}.gpkg", layer=NAME, force_feature_count=True)
    return Found(folder=final, threshold=method["threshold"], polygons=layer["features"])


def _key(pair: xr.DataArray, options: ChangeOptions) -> str:
    """Stand for the dates, how they were read and brought together, and the method."""
    description = provenance_of(pair, {"name": options.method}, {})
    modified = [Path(path).stat().st_mtime_ns for path in pair.attrs["source"]]
    return key_of({**description, "modified": modified})


def _method(options: ChangeOptions, measure: Measure) -> dict[str, Any]:
    method = METHODS[options.method]
    return {"name": options.method, "title": method.title, "task": "change", **measure.report()}


def _write_scores(
    product: Product, dates: Dates, windows: Scores, options: ChangeOptions, provenance: dict[str, Any]
) -> float:
    """Write the raster of scores and its style; return the threshold, which the provenance gets, too."""
    histogram = ScoreHistogram()
    layer = RasterLayer(
        dtype="float32",
        nodata=float("nan"),
        overview="average",
        descriptions=("times the usual difference",),
        tags=tags_of(provenance),
    )

    def counted() -> Scores:
        for row, column, scores in windows:
            histogram.add(scores)
            yield row, column, scores

    write_cog_windows(counted(), product.path(f"{SCORE}.tif"), grid=RasterGrid.of(dates.before), layer=layer)
    threshold = threshold_of(options.threshold, histogram)
    write_style(_score_style(2 * threshold or 1.0), product.path(f"{SCORE}.qml"))
    provenance["method"]["threshold"] = threshold
    return threshold


def _without_shifts(raster: ClassRaster, dates: Dates, k: int) -> ClassRaster:
    taken_back, width = shift_filter(dates, k), raster.shape[1]

    def read(start: int, stop: int) -> np.ndarray:
        return taken_back(raster.read(start, stop), Window(start, 0, stop - start, width))

    return replace(raster, read=read)


def _scores(dates: Dates, measure: Measure, smooth: int, stop: Event) -> Scores:
    for window in dates.windows():
        if stop.is_set():
            raise ProductError("geodl change", "the run was stopped", "run it again")
        yield window.row, window.col, score_window(dates, measure, window, smooth)


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
