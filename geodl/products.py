"""What a run leaves behind: the files of a product, and where they say they came from."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from geodl import __version__
from geodl.block import Job
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
from geodl.task import PRODUCTS, TASKS, USUAL
from geodl.tiles import Window
from geodl.vector import VECTORIZERS, ClassRaster, ConfidenceRaster, VectorOptions, vectorize_batches
from geodl.vector.source import class_raster, fractions

COPY = 2**22  # pixels of the windows in which finished chunks become GeoTIFFs


def provenance_of(job: Job, products: Sequence[str] = USUAL) -> dict[str, Any]:
    """Say as JSON where a product comes from: it goes into every file.

    All of it but ``"products"`` decides on the result.
    """
    scene, spec = job.scene, job.model.spec
    crs = scene.odc.crs
    reading = {key: scene.attrs.get(key) for key in ("units", "scale", "offset", "nodata", "mask", "sensor")}
    return {
        "geodl": __version__,
        "torch": version("torch"),
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
        "options": {
            "layers": list(job.layers),
            "tta": job.turned,
            "device": job.device,
            "precision": job.precision,
            "cell": list(job.lattice.core),
            "strip": job.strip,
        },
        "products": [name for name in PRODUCTS if name in products],
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: NaN has no place there."""
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def write_files(product: Product, job: Job, store: BlockStore, provenance: Mapping[str, Any]) -> None:
    """Write the files of a product from the finished blocks, side by side: none needs another."""
    wanted = provenance["products"]
    classes, task = tuple(job.model.spec.classes), TASKS[job.model.spec.task]
    grid, tags = RasterGrid.of(job.scene), _tags(provenance)
    shown = RasterLayer(dtype="uint8", nodata=NODATA, classes=classes, descriptions=(task.title,), tags=tags)
    layers = {}
    if "map" in wanted:
        layers["class"] = (f"{task.raster}.tif", shown)
        write_style(raster_style(classes), product.path(f"{task.raster}.qml"))
    if "confidence" in wanted:
        layers["confidence"] = ("confidence.tif", _percent(["confidence"], tags))
        write_style(confidence_style(), product.path("confidence.qml"))
    if "entropy" in wanted:
        layers["entropy"] = ("entropy.tif", _percent(["entropy"], tags))
        write_style(confidence_style(doubt=True), product.path("entropy.qml"))
    if "novelty" in wanted:
        layers["novelty"] = ("novelty.tif", _percent(["novelty"], tags))
        write_style(confidence_style(doubt=True), product.path("novelty.qml"))
    if "spread" in job.layers:
        layers["spread"] = ("spread.tif", _percent(["spread"], tags))
        write_style(confidence_style(0.5, doubt=True), product.path("spread.qml"))
    if "probability" in job.layers:
        layers["probability"] = ("probability.tif", _percent([c.name for c in classes], tags))

    columns = job.lattice.core[1] * job.lattice.chunk[1]
    rows = max(1, COPY // columns)

    def raster(variable: str, name: str, layer: RasterLayer) -> None:
        windows = (
            (block.window.row, block.window.col, store.read(variable, block.window))
            for block in job.lattice.blocks(rows, columns)  # whole chunks: each is read once
        )
        write_cog_windows(windows, product.path(name), grid=grid, layer=layer)

    def vectors() -> None:
        raster, confidence = _as_rows(job, store, grid)
        rows = VECTORIZERS[task.vectorizer]
        write_vectors(
            rows(
                raster,
                confidence=confidence,
                names={c.value: c.name for c in classes},
                options=VectorOptions(),
            ),
            product.path(f"{task.raster}.gpkg"),
            layer=task.raster,
            crs=grid.crs,
            provenance=provenance,
            classes=classes,
        )

    with ThreadPoolExecutor() as pool:
        # The vectors take longest and start first.
        written = [pool.submit(vectors)] if "vectors" in wanted else []
        written += [pool.submit(raster, variable, *layer) for variable, layer in layers.items()]
    for future in written:
        future.result()


def _percent(names: Sequence[str], tags: Mapping[str, str]) -> RasterLayer:
    return RasterLayer(
        dtype="uint8",
        bands=len(names),
        nodata=NODATA,
        overview="average",
        scale=0.01,
        descriptions=tuple(names),
        tags=tags,
    )


def _as_rows(job: Job, store: BlockStore, grid: RasterGrid) -> tuple[ClassRaster, ConfidenceRaster]:
    """Offer the finished blocks as rasters that are read by rows."""
    shape = (grid.height, grid.width)

    def rows(variable: str, start: int, stop: int) -> np.ndarray:
        return store.read(variable, Window(start, 0, stop - start, grid.width))

    def confidence(start: int, stop: int) -> np.ndarray:
        return fractions(rows("confidence", start, stop), np.dtype("uint8"))

    crs = job.scene.odc.crs
    raster = ClassRaster(
        shape=shape,
        crs=None if crs is None else crs.proj,
        transform=grid.transform,
        nodata=NODATA,
        read=partial(rows, "class"),
        classes=tuple(job.model.spec.classes),
    )
    return raster, ConfidenceRaster(shape=shape, read=confidence)


def _tags(provenance: Mapping[str, Any]) -> dict[str, str]:
    model = provenance["model"]
    inputs = [
        f"{row['name']} {row['bytes']} bytes, sample {row['sample_sha256']}" for row in provenance["inputs"]
    ]
    return {
        "GEODL_VERSION": provenance["geodl"],
        "GEODL_MODEL": model["name"],
        "GEODL_MODEL_HASH": model["hash"],
        "GEODL_MODEL_LICENCE": model["licence"],
        "GEODL_INPUTS": "; ".join(inputs),
        "GEODL_PRECISION": provenance["options"]["precision"],
    }


def vectorize_file(raster: Path, out: Path, *, task: str, confidence: Path | None, **options: Any) -> int:
    """Write the vector layers of a class raster; returns the number of features of the main one.

    `options` are those of `geodl.vector.VectorOptions`.

    Raises
    ------
    GeodlError
        If the raster cannot be read, is not one of classes, or the layer cannot be written.
    """
    source = class_raster(raster)
    return write_vectors(
        vectorize_batches(raster, task, confidence=confidence, **options),
        out,
        layer=out.stem,
        crs=source.crs,
        provenance={"geodl": __version__, "inputs": [identify(raster)]},
        classes=source.classes,
    )
