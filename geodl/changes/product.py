"""The files that every map of change has: raster, polygons, style, and where they come from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from geodl import __version__
from geodl.alignment.dates import SIDE, Dates
from geodl.models.legend import GAPS
from geodl.models.spec import NODATA_CLASS, ClassSpec
from geodl.publish import (
    Product,
    RasterGrid,
    RasterLayer,
    raster_style,
    write_cog_windows,
    write_style,
    write_vectors,
)
from geodl.store import identify
from geodl.task import NO_AFTER, NO_BEFORE, TASKS, UNCHANGED
from geodl.vector import VECTORIZERS, ClassRaster, ConfidenceRaster, FeatureBatch, VectorOptions
from geodl.vector.batch import Batches
from geodl.vector.mapping_unit import merge_small
from geodl.vector.source import class_raster

NAME = TASKS["change"].raster
STILL = ClassSpec(value=UNCHANGED, name="unchanged", color="#d9d9d9")


def provenance_of(
    pair: xr.DataArray, method: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Say as JSON where a map comes from: it goes into every file."""
    grid = RasterGrid.of(pair)
    scene = {
        "name": str(pair.name),
        "bands": [str(band) for band in pair.coords["band"].values],
        "shape": [grid.height, grid.width],
        "crs": None if grid.crs is None else grid.crs.to_wkt(),
        "transform": list(grid.transform)[:6],
        "resampling": pair.attrs.get("resampling"),
        "dates": [{**date, "source": [name.rsplit("/", 1)[-1] for name in date["source"]]}
                  for date in pair.attrs["dates"]],
    }  # fmt: skip
    return {
        "geodl": __version__,
        "inputs": [identify(path) for path in pair.attrs["source"]],
        "scene": _plain(scene),
        "method": dict(method),
        "options": dict(options),
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: NaN has no place there."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def tags_of(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Say in the tags of a GeoTIFF where it comes from."""
    inputs = [
        f"{row['name']} {row['bytes']} bytes, sample {row['sample_sha256']}" for row in provenance["inputs"]
    ]
    return {
        "GEODL_VERSION": provenance["geodl"],
        "GEODL_METHOD": provenance["method"]["name"],
        "GEODL_INPUTS": "; ".join(inputs),
    }


def without_small(raster: ClassRaster, min_area: float) -> ClassRaster:
    """Give patches below an area, changed or not, to what is around them; gaps stay as they are.

    Parameters
    ----------
    raster : ClassRaster
        Of change, with the codes of missing dates; read once now.
    min_area : float
        Square metres; pixels where the raster has no place on the earth.
    """

    def known(start: int, stop: int) -> np.ndarray:
        classes = raster.read(start, stop)
        return np.where(np.isin(classes, (NO_BEFORE, NO_AFTER)), NODATA_CLASS, classes).astype(np.uint8)

    merged = merge_small(replace(raster, read=known), min_area)

    def read(start: int, stop: int) -> np.ndarray:
        classes, larger = raster.read(start, stop), merged.read(start, stop)
        # Patches with gaps all around have no neighbour: too small a change to be told.
        larger = np.where(larger == NODATA_CLASS, UNCHANGED, larger)
        return np.where(classes >= NO_BEFORE, classes, larger).astype(np.uint8)

    return replace(raster, read=read)


def write_change(
    product: Product,
    raster: ClassRaster,
    dates: Dates,
    *,
    classes: Sequence[ClassSpec],
    provenance: Mapping[str, Any],
    times: Mapping[str, str],
    score: ConfidenceRaster | None = None,
) -> int:
    """Write ``change.tif``, its style, and ``change.gpkg``.

    Parameters
    ----------
    product : Product
    raster : ClassRaster
        Codes of change and of missing dates, uint8.
    dates : Dates
        For the grid.
    classes : sequence of ClassSpec
        What the codes mean, unchanged among them.
    provenance : mapping
    times : mapping of str to str
        Further attributes of all polygons.
    score : ConfidenceRaster, optional
        The polygons get its mean as ``score``.

    Returns
    -------
    int
        Number of polygons.
    """
    grid = RasterGrid.of(dates.before)
    legend = (*classes, *GAPS)
    path = product.path(f"{NAME}.tif")
    layer = RasterLayer(
        dtype="uint8",
        nodata=NODATA_CLASS,
        classes=legend,
        descriptions=(TASKS["change"].title,),
        tags=tags_of(provenance),
    )
    windows = ((start, 0, raster.read(start, stop)) for start, stop in strips(grid.height))
    write_cog_windows(windows, path, grid=grid, layer=layer)
    write_style(raster_style(legend, hidden=(UNCHANGED,)), product.path(f"{NAME}.qml"))
    written = replace(class_raster(path), source="")
    batches = VECTORIZERS[TASKS["change"].vectorizer](
        written, confidence=score, names={c.value: c.name for c in classes}, options=VectorOptions()
    )
    return write_vectors(
        _described(batches, times),
        product.path(f"{NAME}.gpkg"),
        layer=NAME,
        crs=grid.crs,
        provenance=provenance,
        classes=[c for c in classes if c.value != UNCHANGED],
    )


def strips(height: int) -> Iterator[tuple[int, int]]:
    """First and last rows of strips that partition a raster."""
    for start in range(0, height, SIDE):
        yield start, min(start + SIDE, height)


def times_of(pair: xr.DataArray) -> dict[str, str]:
    """Return the columns ``date_before`` and ``date_after``, empty where a date is not known."""
    return {f"date_{date['label']}": date["date"] or "" for date in pair.attrs["dates"]}


def _described(batches: Batches, times: Mapping[str, str]) -> Batches:
    for batch in batches:
        columns = {key: values for key, values in batch.columns.items() if key != "confidence_min"}
        if "confidence" in columns:
            columns["score"] = columns.pop("confidence")
        columns.update({key: np.full(len(batch), text, object) for key, text in times.items()})
        yield _with(batch, columns)


def _with(batch: FeatureBatch, columns: dict[str, np.ndarray]) -> FeatureBatch:
    return replace(batch, columns=columns)
