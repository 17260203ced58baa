"""Class rasters to vector layers.

`VECTORIZERS` is the table of ways to do it: one row per kind of layer, named by `geodl.task.Task`. A row
is called as ``row(raster, confidence=..., names=..., options=...)`` and yields `FeatureBatch` values.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import xarray as xr

from geodl.errors import OptionError
from geodl.models.spec import ClassSpec
from geodl.task import TASKS
from geodl.vector import source as sources
from geodl.vector.batch import Batches, FeatureBatch
from geodl.vector.options import VectorOptions
from geodl.vector.polygons import polygonize
from geodl.vector.source import ClassRaster, ConfidenceRaster

__all__ = [
    "VECTORIZERS",
    "ClassRaster",
    "ConfidenceRaster",
    "FeatureBatch",
    "VectorOptions",
    "polygonize",
    "vectorize",
    "vectorize_batches",
    "vectorize_layers",
]


def _polygons(
    raster: ClassRaster,
    *,
    confidence: ConfidenceRaster | None,
    names: Mapping[int, str],
    options: VectorOptions,
) -> Batches:
    return polygonize(raster, confidence=confidence, names=names, connectivity=options.connectivity)


VECTORIZERS: dict[str, Callable[..., Batches]] = {"polygons": _polygons}

Source = xr.DataArray | str | Path


def vectorize(
    class_raster: Source,
    task: str = "landcover",
    *,
    confidence: Source | None = None,
    classes: Iterable[ClassSpec] | None = None,
    **options: Any,
) -> geopandas.GeoDataFrame:
    """Make the vector layer of a class raster; where the task has several, the main one.

    Parameters
    ----------
    class_raster : DataArray (y, x) or path
        Class values with their georeferencing; lazy arrays and files are read strip by strip.
    task : str
        Row of `geodl.task.TASKS`, which says what kind of layer it is.
    confidence : DataArray (y, x) or path, optional
        Percent (uint8, 255 unknown) or fractions (float, NaN unknown) on the same grid.
    classes : iterable of ClassSpec, optional
        Names of the values; by default those that the raster carries.
    **options
        Those of `VectorOptions`: ``connectivity``, ``simplify``, ``min_area``, ``regularize``.

    Returns
    -------
    GeoDataFrame
        In the CRS of the raster; columns as in `geodl.vector.polygons.polygonize`.

    Raises
    ------
    OptionError
        The task or an option is unknown, or the grids differ.
    SceneError
        A file cannot be read, or the raster does not hold classes.
    """
    layers = vectorize_layers(class_raster, task, confidence=confidence, classes=classes, **options)
    return next(iter(layers.values()))


def vectorize_layers(
    class_raster: Source,
    task: str = "landcover",
    *,
    confidence: Source | None = None,
    classes: Iterable[ClassSpec] | None = None,
    **options: Any,
) -> dict[str, geopandas.GeoDataFrame]:
    """Make all vector layers of a class raster, by name, the main one first; see `vectorize`."""
    crs, batches = _start(class_raster, task, confidence, classes, VectorOptions(**options))
    layers: dict[str, list[FeatureBatch]] = {}
    for batch in batches:
        layers.setdefault(batch.layer or TASKS[task].raster, []).append(batch)
    return {name: _frame(parts, crs) for name, parts in layers.items()}


def vectorize_batches(
    class_raster: Source,
    task: str = "landcover",
    *,
    confidence: Source | None = None,
    classes: Iterable[ClassSpec] | None = None,
    **options: Any,
) -> Batches:
    """Yield the features of `vectorize_layers` in batches, in flat memory, for `write_vectors`."""
    return _start(class_raster, task, confidence, classes, VectorOptions(**options))[1]


def _frame(parts: list[FeatureBatch], crs: Any) -> geopandas.GeoDataFrame:
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    geometry = np.concatenate([part.geometry for part in parts])
    return geopandas.GeoDataFrame(columns, geometry=geometry, crs=crs)


def _start(source: Source, task: str, confidence: Source | None, classes, options: VectorOptions):
    if task not in TASKS:
        raise OptionError("--task", f"{task!r} is unknown", f"choose one of {', '.join(TASKS)}")
    raster = sources.class_raster(source)
    certainty = None if confidence is None else sources.confidence_raster(confidence)
    if certainty is not None and certainty.shape != raster.shape:
        raise OptionError(
            "confidence",
            f"has the shape {certainty.shape}, the classes {raster.shape}",
            "give both on one grid",
        )
    names = {c.value: c.name for c in (raster.classes if classes is None else classes)}
    rows = VECTORIZERS[TASKS[task].vectorizer]
    return raster.crs, rows(raster, confidence=certainty, names=names, options=options)
