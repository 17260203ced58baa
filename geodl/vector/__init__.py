"""Class rasters to vector layers.

`VECTORIZERS` is the table of ways to do it: one row per kind of layer, named by `geodl.task.Task`. A row
is called as ``row(raster, confidence=..., names=..., options=...)`` and yields `FeatureBatch` values.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import xarray as xr

from geodl.errors import OptionError
from geodl.models.spec import ClassSpec
from geodl.task import TASKS
from geodl.vector import source as sources
from geodl.vector.batch import Batches, FeatureBatch
from geodl.vector.buildings import buildings
from geodl.vector.changes import changed_only, from_to
from geodl.vector.map_polygons import map_polygons
from geodl.vector.options import VectorOptions
from geodl.vector.polygons import polygonize
from geodl.vector.probability import OBJECT, threshold_raster
from geodl.vector.roads import road_network
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


def _changes(
    raster: ClassRaster,
    *,
    confidence: ConfidenceRaster | None,
    names: Mapping[int, str],
    options: VectorOptions,
) -> Batches:
    return from_to(map_polygons(changed_only(raster), confidence=confidence, names=names, options=options))


VECTORIZERS: dict[str, Callable[..., Batches]] = {
    "polygons": map_polygons,
    "changes": _changes,
    "buildings": buildings,
    "roads": road_network,
}

Source = xr.DataArray | str | Path


def vectorize(
    class_raster: Source,
    task: str = "landcover",
    *,
    confidence: Source | None = None,
    classes: Iterable[ClassSpec] | None = None,
    band: int | str | None = None,
    threshold: float | None = None,
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
    band : int or str, optional
        Number (from 1) or description of the band of a file that has several.
    threshold : float, optional
        For a raster of probabilities of the object: pixels from this one on are the object, class 1, and
        the probabilities serve as confidence.
    **options
        Those of `VectorOptions`: ``connectivity``, ``simplify``, ``min_area``, ``regularize``,
        ``object_class``.

    Returns
    -------
    GeoDataFrame
        In the CRS of the raster; columns as in `geodl.vector.polygons.polygonize`, or as the task has them.
        ``name`` is categorical, in the order of the class values; ``attrs["class_colors"]`` has the colour of
        each class, where the raster has a legend.

    Raises
    ------
    OptionError
        The task or an option is unknown or means nothing for the task, or the grids differ.
    SceneError
        A file cannot be read, or the raster holds neither classes nor, with `threshold`, probabilities.
    """
    layers = vectorize_layers(
        class_raster,
        task,
        confidence=confidence,
        classes=classes,
        band=band,
        threshold=threshold,
        **options,
    )
    return next(iter(layers.values()))


def vectorize_layers(
    class_raster: Source, task: str = "landcover", **asked: Any
) -> dict[str, geopandas.GeoDataFrame]:
    """Make all vector layers of a class raster, by name, the main one first; arguments as in `vectorize`."""
    crs, legend, batches = _start(class_raster, task, **asked)
    layers: dict[str, list[FeatureBatch]] = {}
    for batch in batches:
        layers.setdefault(batch.layer or TASKS[task].raster, []).append(batch)
    return {name: _frame(parts, crs, legend) for name, parts in layers.items()}


def vectorize_batches(class_raster: Source, task: str = "landcover", **asked: Any) -> Batches:
    """Yield the features of `vectorize_layers` in batches, in flat memory, for `write_vectors`."""
    return _start(class_raster, task, **asked)[-1]


def _frame(parts: list[FeatureBatch], crs: Any, legend: Mapping[str, str]) -> geopandas.GeoDataFrame:
    columns: dict[str, Any] = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    geometry = np.concatenate([part.geometry for part in parts])
    frame = geopandas.GeoDataFrame(columns, geometry=geometry, crs=crs)
    return with_legend(frame, legend)


def with_legend(frame: geopandas.GeoDataFrame, legend: Mapping[str, str]) -> geopandas.GeoDataFrame:
    """Make the column ``name``, if there is one, categorical, and note the colours of its classes.

    Parameters
    ----------
    frame : GeoDataFrame
        Is changed.
    legend : mapping
        Colour ``#rrggbb`` by name of the class, in the order of the values; empty where it is not known.
    """
    if "name" in frame:
        names = list(dict.fromkeys([*legend, *frame["name"]]))
        frame["name"] = pandas.Categorical(frame["name"], categories=names)
        if all(legend.get(name) for name in names):
            frame.attrs["class_colors"] = {name: legend[name] for name in names}
    return frame


def _start(
    source: Source,
    task: str,
    *,
    confidence: Source | None = None,
    classes: Iterable[ClassSpec] | None = None,
    band: int | str | None = None,
    threshold: float | None = None,
    **options: Any,
) -> tuple[Any, dict[str, str], Batches]:
    if task not in TASKS:
        raise OptionError("--task", f"{task!r} is unknown", f"choose one of {', '.join(TASKS)}")
    chosen = VectorOptions(**options)
    if threshold is None:
        raster = sources.class_raster(source, band=band)
        certainty = None if confidence is None else sources.confidence_raster(confidence)
    else:
        if confidence is not None:
            raise OptionError(
                "--confidence", "with --threshold the raster is its own confidence", "leave one of them out"
            )
        raster, certainty = threshold_raster(source, threshold, band=band)
        raster = replace(raster, names={OBJECT: TASKS[task].raster})
        chosen = replace(chosen, object_class=OBJECT) if chosen.object_class is None else chosen
    if certainty is not None and certainty.shape != raster.shape:
        raise OptionError(
            "confidence",
            f"has the shape {certainty.shape}, the classes {raster.shape}",
            "give both on one grid",
        )
    known = tuple(raster.classes if classes is None else classes)
    names = {**raster.names, **{c.value: c.name for c in known}}
    colors = {c.name: c.color for c in known}
    legend = {names[value]: colors.get(names[value], "") for value in sorted(names)}
    rows = VECTORIZERS[TASKS[task].vectorizer]
    return raster.crs, legend, rows(raster, confidence=certainty, names=names, options=chosen)
