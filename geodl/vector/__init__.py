"""Class rasters to vector layers.

`VECTORIZERS` is the table of ways to do it: one row per kind of layer, named by `geodl.task.Task`. A row
is called as ``row(raster, confidence=..., names=..., connectivity=...)`` and yields `FeatureBatch` values.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import geopandas
import numpy as np
import xarray as xr

from geodl.errors import OptionError
from geodl.models.spec import ClassSpec
from geodl.task import TASKS
from geodl.vector import source as sources
from geodl.vector.batch import Batches, FeatureBatch
from geodl.vector.polygons import polygonize
from geodl.vector.source import ClassRaster, ConfidenceRaster

__all__ = [
    "VECTORIZERS",
    "ClassRaster",
    "ConfidenceRaster",
    "FeatureBatch",
    "polygonize",
    "vectorize",
    "vectorize_batches",
]

VECTORIZERS: dict[str, Callable[..., Batches]] = {"polygons": polygonize}

Source = xr.DataArray | str | Path


def vectorize(
    class_raster: Source,
    task: str = "landcover",
    *,
    confidence: Source | None = None,
    classes: Iterable[ClassSpec] | None = None,
    connectivity: int = 4,
) -> geopandas.GeoDataFrame:
    """Make the vector layer of a class raster.

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
    connectivity : {4, 8}
        Whether pixels that share only a corner belong together.

    Returns
    -------
    GeoDataFrame
        In the CRS of the raster; columns as in `geodl.vector.polygons.polygonize`.

    Raises
    ------
    OptionError
        The task or connectivity is unknown, or the grids differ.
    SceneError
        A file cannot be read, or the raster does not hold classes.
    """
    crs, batches = _start(class_raster, task, confidence, classes, connectivity)
    parts = list(batches)
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    geometry = np.concatenate([part.geometry for part in parts])
    return geopandas.GeoDataFrame(columns, geometry=geometry, crs=crs)


def vectorize_batches(
    class_raster: Source,
    task: str = "landcover",
    *,
    confidence: Source | None = None,
    classes: Iterable[ClassSpec] | None = None,
    connectivity: int = 4,
) -> Batches:
    """Yield the features of `vectorize` in batches, in flat memory, for `geodl.publish.write_vectors`."""
    return _start(class_raster, task, confidence, classes, connectivity)[1]


def _start(source: Source, task: str, confidence: Source | None, classes, connectivity: int):
    if task not in TASKS:
        raise OptionError("--task", f"{task!r} is unknown", f"choose one of {', '.join(TASKS)}")
    if connectivity not in (4, 8):
        raise OptionError("connectivity", f"{connectivity!r} is not possible", "choose 4 or 8")
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
    return raster.crs, rows(raster, confidence=certainty, names=names, connectivity=connectivity)
