"""Products: rasters, vector layers, QGIS styles, and the folder that appears with all of them or not at all.

`WRITERS` is the table of file formats by suffix. A raster writer is called as ``write(data, path, ...)``
with an array, a vector writer as ``write(batches, path, layer)``; `write_cog` and `write_vectors` are the
functions to call, they choose the row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from geodl.publish.cog import RasterGrid, RasterLayer, write_cog, write_cog_windows
from geodl.publish.files import refuse_overwrite
from geodl.publish.product import Product, read_manifest, safe_name, stage
from geodl.publish.qgis import confidence_style, polygon_style, raster_style, write_style
from geodl.publish.vectors import VECTOR_WRITERS, VectorLayer, write_vectors

__all__ = [
    "VECTOR_WRITERS",
    "WRITERS",
    "Product",
    "RasterGrid",
    "RasterLayer",
    "VectorLayer",
    "Writer",
    "confidence_style",
    "polygon_style",
    "raster_style",
    "read_manifest",
    "refuse_overwrite",
    "safe_name",
    "stage",
    "write_cog",
    "write_cog_windows",
    "write_style",
    "write_vectors",
]


@dataclass(frozen=True, kw_only=True)
class Writer:
    """One row of `WRITERS`."""

    kind: str
    """``raster`` or ``vector``."""
    write: Callable[..., object]


WRITERS: dict[str, Writer] = {
    ".tif": Writer(kind="raster", write=write_cog),
    **{suffix: Writer(kind="vector", write=write) for suffix, write in VECTOR_WRITERS.items()},
}
