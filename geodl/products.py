"""What a run leaves behind: the files of a product, and where they say they came from."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from geodl import __version__
from geodl.alignment.pair import QUALITY, quality_percent
from geodl.block import Job
from geodl.catalogue import write_entry
from geodl.change_map import change_probability, dated, without_shifts, write_picture
from geodl.map_project import write_map_project
from geodl.models.legend import legend_of
from geodl.page import write_report
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
from geodl.task import PRODUCTS, TASKS, UNCHANGED, USUAL
from geodl.tiles import Window
from geodl.vector import VECTORIZERS, ClassRaster, ConfidenceRaster, VectorOptions, vectorize_batches
from geodl.vector.source import class_raster, fractions, grid_of_file

Read = Callable[[Window], np.ndarray]

COPY = 2**22  # pixels of the windows in which finished chunks become GeoTIFFs


def provenance_of(job: Job, products: Sequence[str] = USUAL, *, suppress_shift: int = 0) -> dict[str, Any]:
    """Say as JSON where a product comes from: it goes into every file.

    All of it but ``"products"`` and, of two dates, ``"suppress_shift"`` decides on the blocks.
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
            **_dates(scene.attrs),
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
        **({"suppress_shift": suppress_shift} if TASKS[spec.task].dates == 2 else {}),
    }


def _dates(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Say how each of several dates is read, and at which days a series is seen; of a single one nothing."""
    told = attributes.get("calendar")
    if told is not None:
        told = {**told, "observed": [_named(date) for date in told["observed"]]}
        return {"calendar": _plain(told), "resampling": attributes.get("resampling")}
    if not attributes.get("dates"):
        return {}
    dates = [_named(date) for date in attributes["dates"]]
    return {"dates": _plain(dates), "resampling": attributes.get("resampling")}


def _named(date: Mapping[str, Any]) -> dict[str, Any]:
    """Tell the names of the files of a date, not where they lie."""
    return {**date, "source": [Path(path).name for path in date.get("source", ())]}


def _plain(value: Any) -> Any:
    """Return what JSON can hold: NaN has no place there."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def write_files(product: Product, job: Job, store: BlockStore, provenance: Mapping[str, Any]) -> None:
    """Write the files of a product from the finished blocks, side by side: none needs another."""
    wanted, task = provenance["products"], TASKS[job.model.spec.task]
    classes, compared = tuple(job.model.spec.classes), task.dates == 2
    grid = RasterGrid.of(job.scene)
    if provenance.get("suppress_shift"):
        store = without_shifts(store, job, provenance["suppress_shift"])
    columns = job.lattice.core[1] * job.lattice.chunk[1]
    rows = max(1, COPY // columns)

    def raster(name: str, read: Read, layer: RasterLayer) -> None:
        windows = (
            (block.window.row, block.window.col, read(block.window))
            for block in job.lattice.blocks(rows, columns)  # whole chunks: each is read once
        )
        write_cog_windows(windows, product.path(name), grid=grid, layer=layer)

    def vectors() -> None:
        raster, confidence = _as_rows(job, store, grid)
        names = {c.value: c.name for c in classes}
        vectorizer = VECTORIZERS[task.vectorizer]
        batches = vectorizer(raster, confidence=confidence, names=names, options=VectorOptions())
        write_vectors(
            dated(batches, job) if compared else batches,
            product.path(f"{task.raster}.gpkg"),
            layer=task.raster,
            crs=grid.crs,
            provenance=provenance,
            classes=[c for c in classes if c.value != UNCHANGED] if compared else classes,
        )

    with ThreadPoolExecutor() as pool:
        # The vectors take longest and start first.
        written = [pool.submit(vectors)] if "vectors" in wanted else []
        if compared and "map" in wanted:
            written.append(pool.submit(write_picture, job, store, product.path(f"{task.raster}.png")))
        written += [pool.submit(raster, *one) for one in _rasters(product, job, store, provenance)]
    for future in written:
        future.result()
    if "project" in wanted:
        write_map_project(product, job.scene, job.model.spec, provenance)
    if "page" in wanted:
        write_report(product, job, store, provenance)
    write_entry(product, job.scene, job.model.spec, provenance)  # last: it lists the files that are there


def _rasters(
    product: Product, job: Job, store: BlockStore, provenance: Mapping[str, Any]
) -> list[tuple[str, Read, RasterLayer]]:
    """Write the styles of the rasters that are wanted, and return how each is called, read and written."""
    wanted, tags = provenance["products"], _tags(provenance)
    spec, task = job.model.spec, TASKS[job.model.spec.task]
    compared = task.dates == 2
    found: list[tuple[str, Read, RasterLayer]] = []

    def add(name: str, read: Read, *bands: str, style: str | None = None) -> None:
        found.append((f"{name}.tif", read, _percent(bands or [name], tags)))
        if style is not None:
            write_style(style, product.path(f"{name}.qml"))

    if "map" in wanted:
        legend = legend_of(spec)
        shown = RasterLayer(
            dtype="uint8", nodata=NODATA, classes=legend, descriptions=(task.title,), tags=tags
        )
        found.append((f"{task.raster}.tif", partial(store.read, "class"), shown))
        hidden = (UNCHANGED,) if compared else ()
        write_style(raster_style(legend, hidden=hidden), product.path(f"{task.raster}.qml"))
    for name in ("confidence", "entropy", "novelty"):
        if name in wanted:
            add(name, partial(store.read, name), style=confidence_style(doubt=name != "confidence"))
    if "spread" in job.layers:
        add("spread", partial(store.read, "spread"), style=confidence_style(0.5, doubt=True))
    if "probability" in job.layers:
        add("probability", partial(store.read, "probability"), *(c.name for c in spec.classes))
    if QUALITY in job.scene.coords:  # of a pair that was registered
        add(QUALITY, partial(quality_percent, job.scene), "how well the dates lie on each other")
    likely = change_probability(job, store) if compared and "confidence" in wanted else None
    if likely is not None:
        add("change_probability", likely, "change probability", style=confidence_style())
    return found


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


def vectorize_file(
    raster: Path,
    out: Path,
    *,
    task: str,
    confidence: Path | None,
    band: str | None = None,
    threshold: float | None = None,
    **options: Any,
) -> int:
    """Write the vector layers of a class or probability raster.

    Arguments are those of `geodl.vector.vectorize`. Returns the number of features of the main layer.

    Raises
    ------
    GeodlError
        If the raster cannot be read, does not hold what is asked for, or the layer cannot be written.
    """
    source = class_raster(raster, band=band) if threshold is None else grid_of_file(raster)
    asked = {"task": task, "band": band, "threshold": threshold, **options}
    return write_vectors(
        vectorize_batches(raster, task, confidence=confidence, band=band, threshold=threshold, **options),
        out,
        layer=out.stem,
        crs=source.crs,
        provenance={
            "geodl": __version__,
            "inputs": [identify(path) for path in (raster, confidence) if path is not None],
            "options": {name: value for name, value in asked.items() if value is not None},
        },
        classes=source.classes,
    )
