"""What a run leaves behind: the files of a product, and where they say they came from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geodl import __version__
from geodl.predict import Job
from geodl.publish import (
    Product,
    RasterGrid,
    RasterLayer,
    confidence_style,
    raster_style,
    write_cog_windows,
    write_style,
    write_vectors,
)
from geodl.store import NODATA, BlockStore, identify
from geodl.task import TASKS
from geodl.tiles import Window
from geodl.vector import vectorize_batches
from geodl.vector.source import class_raster

COPY_SIDE = 2048  # pixels; side of the windows in which finished blocks become GeoTIFFs


def provenance_of(job: Job) -> dict[str, Any]:
    """Say as JSON what the result depends on: it names the store, and goes into every product."""
    scene, spec = job.scene, job.model.spec
    crs = scene.odc.crs
    reading = {key: scene.attrs.get(key) for key in ("units", "scale", "offset", "nodata", "mask", "sensor")}
    return {
        "geodl": __version__,
        "inputs": [identify(path) for path in scene.attrs["source"]],
        "scene": {
            "name": str(scene.name),
            "bands": [str(band) for band in scene.coords["band"].values],
            "shape": [scene.sizes["y"], scene.sizes["x"]],
            "crs": None if crs is None else crs.to_wkt(),
            "transform": list(RasterGrid.of(scene).transform)[:6],
            **{key: _plain(value) for key, value in reading.items()},
        },
        "model": {"name": spec.name, "hash": job.model.hash, "task": spec.task, "licence": spec.licence},
        "options": {"probabilities": job.probabilities},
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: NaN has no place there."""
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def write_files(product: Product, job: Job, store: BlockStore, provenance: Mapping[str, Any]) -> None:
    """Write the files of a product from the finished blocks."""
    spec, classes = job.model.spec, tuple(job.model.spec.classes)
    task = TASKS[spec.task]
    grid = RasterGrid.of(job.scene)
    tags = {f"GEODL_{key.upper()}": value for key, value in _tags(provenance).items()}

    def raster(variable: str, name: str, layer: RasterLayer) -> Path:
        windows = (
            (window.row, window.col, store.read(variable, window)) for window in _windows(job.lattice.scene)
        )
        return write_cog_windows(windows, product.path(name), grid=grid, layer=layer)

    def percent(*names: str) -> RasterLayer:
        return RasterLayer(
            dtype="uint8",
            bands=len(names),
            nodata=NODATA,
            overview="average",
            scale=0.01,
            descriptions=names,
            tags=tags,
        )

    shown = RasterLayer(dtype="uint8", nodata=NODATA, classes=classes, descriptions=(task.title,), tags=tags)
    map_file = raster("class", f"{task.raster}.tif", shown)
    certainty = raster("confidence", "confidence.tif", percent("confidence"))
    if job.probabilities:
        raster("probability", "probability.tif", percent(*(c.name for c in classes)))
    write_style(raster_style(classes), product.path(f"{task.raster}.qml"))
    write_style(confidence_style(), product.path("confidence.qml"))
    write_vectors(
        vectorize_batches(map_file, spec.task, confidence=certainty, classes=classes),
        product.path(f"{task.raster}.gpkg"),
        layer=task.raster,
        crs=grid.crs,
        provenance=provenance,
        classes=classes,
    )


def _tags(provenance: Mapping[str, Any]) -> dict[str, str]:
    model = provenance["model"]
    inputs = [
        f"{row['name']} {row['bytes']} bytes, sample {row['sample_sha256']}" for row in provenance["inputs"]
    ]
    return {
        "version": provenance["geodl"],
        "model": model["name"],
        "model_hash": model["hash"],
        "model_licence": model["licence"],
        "inputs": "; ".join(inputs),
    }


def _windows(scene: Window) -> Iterator[Window]:
    for row in range(0, scene.height, COPY_SIDE):
        for col in range(0, scene.width, COPY_SIDE):
            yield Window(row, col, COPY_SIDE, COPY_SIDE).intersect(scene)


def vectorize_file(raster: Path, out: Path, *, task: str, confidence: Path | None, connectivity: int) -> int:
    """Write the vector layer of a class raster; returns the number of features.

    Raises
    ------
    GeodlError
        If the raster cannot be read, is not one of classes, or the layer cannot be written.
    """
    source = class_raster(raster)
    return write_vectors(
        vectorize_batches(raster, task, confidence=confidence, connectivity=connectivity),
        out,
        layer=out.stem,
        crs=source.crs,
        provenance={"geodl": __version__, "inputs": [identify(raster)]},
        classes=source.classes,
    )
