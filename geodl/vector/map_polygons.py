"""The layer of a class map: polygons that cover the ground, exact or generalised together."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from geodl.vector.batch import Batches, FeatureBatch
from geodl.vector.mapping_unit import merge_small
from geodl.vector.options import VectorOptions
from geodl.vector.polygons import polygonize
from geodl.vector.source import ClassRaster, ConfidenceRaster


def map_polygons(
    raster: ClassRaster,
    *,
    confidence: ConfidenceRaster | None = None,
    names: Mapping[int, str],
    options: VectorOptions,
) -> Batches:
    """Yield the polygons of a class map.

    With ``options.min_area``, smaller polygons first give way to their neighbours (`merge_small`); with
    ``options.simplify``, outlines are then simplified all together; with ``options.object_class``, only the
    polygons of that class are yielded, as they are among the others.

    Raises
    ------
    OptionError
        No class has the name that is asked for, or an option is for buildings only.
    """
    options.refuse(("regularize",), "landcover or change")
    wanted = options.class_value(names)
    if options.min_area:
        raster = merge_small(raster, options.min_area, connectivity=options.connectivity)
    batches = polygonize(
        raster,
        confidence=confidence,
        names=names,
        connectivity=options.connectivity,
        simplify=options.simplify or 0,
    )
    return batches if wanted is None else _of_class(batches, wanted)


def _of_class(batches: Batches, value: int) -> Iterator[FeatureBatch]:
    for batch in batches:
        chosen = batch.columns["class"] == value
        columns = {name: column[chosen] for name, column in batch.columns.items()}
        yield replace(batch, columns=columns, geometry=batch.geometry[chosen])
