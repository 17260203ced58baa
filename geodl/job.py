"""A run: plan, Dask client, blocks, products. It composes and holds no logic of its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from geodl import __version__, plan
from geodl.errors import GeodlError, OptionError, ProductError
from geodl.models.bundle import Model
from geodl.predict import Job, make_job, process_block
from geodl.publish import (
    Product,
    RasterGrid,
    RasterLayer,
    confidence_style,
    raster_style,
    safe_name,
    stage,
    write_cog_windows,
    write_style,
    write_vectors,
)
from geodl.store import NODATA, BlockStore, identify, key_of, quantise
from geodl.task import TASKS
from geodl.tiles import Block, Window
from geodl.vector import vectorize_batches
from geodl.vector.source import class_raster

if TYPE_CHECKING:
    from distributed import Client

LOCAL_THREADS = 3  # one keeps the device busy while another reads and a third writes
LOOPBACK = "127.0.0.1:0"
WORK_FOLDER = ".geodl-work"
COPY_SIDE = 2048  # pixels; side of the windows in which finished blocks become GeoTIFFs

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, and what to make.

    Parameters
    ----------
    block : int, optional
        Side of a block in pixels; else chosen from `memory`.
    memory : str, optional
        Memory to keep within, ``"4GB"``.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    batch : int, optional
        Tiles per forward pass.
    probabilities : bool
        Also write the probability of every class.
    """

    block: int | None = None
    memory: str | None = None
    device: str = "auto"
    batch: int | None = None
    probabilities: bool = False


@contextmanager
def connect(scheduler: str | None = None) -> "Iterator[Client]":
    """Yield a Dask client: of a running scheduler, or of threads in this process.

    The local one passes its messages inside the process; Dask's status pages, which it always serves,
    are bound to loopback.

    Raises
    ------
    OptionError
        If no scheduler answers at the address.
    """
    import distributed

    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout="20s")
        except (OSError, ValueError) as error:
            raise OptionError(
                f"--scheduler {scheduler}",
                f"no Dask scheduler answers ({error})",
                "start one with 'dask scheduler', or leave the option out",
            ) from error
        with client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=LOCAL_THREADS,
            processes=False,
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
            memory_limit=0,
            silence_logs="ERROR",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def run_scene(
    scene: xr.DataArray,
    model: Model,
    out: Path,
    options: RunOptions,
    *,
    client: "Client",
    progress: Progress | None = None,
) -> Path:
    """Map one scene and publish its product as ``out/<scene name>``.

    Blocks that an earlier, interrupted run of the same scene, model and options finished are taken up.

    Parameters
    ----------
    scene : xarray.DataArray
        From `geodl.open_scene`.
    model : Model
        From `geodl.load_model`.
    out : pathlib.Path
        Folder of products, made if need be.
    options : RunOptions
        How to run, and what to make.
    client : distributed.Client
        From `connect`.
    progress : callable, optional
        Called with (blocks done, blocks in all).

    Returns
    -------
    pathlib.Path
        The product folder.

    Raises
    ------
    GeodlError
        If scene and model do not fit, a block fails, or the product cannot be written; the folder then
        is absent or still holds the previous product.
    """
    job = make_job(
        scene, model, probabilities=options.probabilities, device=options.device, batch=options.batch
    )
    sources, name = job.scene.attrs["source"], str(scene.name)
    with stage(out, name, inputs=sources) as product:
        provenance = _provenance(job, options)
        blocks = job.lattice.blocks(options.block or plan.block_side(job, options.memory, LOCAL_THREADS))
        work = out / WORK_FOLDER
        store = _open_store(work / safe_name(name), job, blocks, provenance)
        _run_blocks(client, Work(job=job, store=store), blocks, progress or _silent)
        write_files(product, job, store, provenance)
        final = product.commit(provenance)
    store.remove()
    for folder in (store.folder.parent, work):
        if not any(folder.iterdir()):
            folder.rmdir()
    return final


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every worker of a run gets once: the job, and the store for its results."""

    job: Job
    store: BlockStore


def run_block(work: Work, block: Block) -> None:
    """Compute one block and store it: the task that runs on a worker."""
    result = process_block(work.job, block)
    arrays = {"class": result.classes, "confidence": quantise(result.confidence)}
    if result.probability is not None:
        arrays["probability"] = quantise(result.probability)
    try:
        work.store.write(block, arrays)
    except OSError as error:
        raise ProductError(
            str(work.store.folder),
            f"a finished block cannot be kept ({error})",
            "free space, and run it again",
        ) from error


def _run_blocks(client: "Client", work: Work, blocks: list[Block], progress: Progress) -> None:
    """Run the blocks that the store lacks, a few more in flight than there are threads."""
    from distributed import KilledWorker, as_completed

    finished = work.store.done()
    todo = iter([block for block in blocks if (block.row, block.col) not in finished])
    done = len(finished)
    progress(done, len(blocks))
    shared = client.scatter(work, broadcast=True, hash=False)

    def submit(count: int) -> list[Any]:
        return [client.submit(run_block, shared, block, pure=False) for block in islice(todo, count)]

    running = as_completed(submit(sum(client.nthreads().values()) + 1))
    failure = None
    try:
        for future in running:
            error = future.exception()
            failure = failure or error  # what is in flight may finish: a rerun then takes it up
            if error is None:
                done += 1
                progress(done, len(blocks))
            if failure is None:
                running.update(submit(1))
    finally:
        client.cancel(list(running.futures))
    if isinstance(failure, KilledWorker):
        raise GeodlError(
            f"scene {work.job.scene.name}",
            f"a block killed its worker again and again ({failure})",
            "give workers more memory, or make blocks smaller with --block",
        ) from failure
    if failure is not None:
        raise failure


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def _provenance(job: Job, options: RunOptions) -> dict[str, Any]:
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
        "options": {"probabilities": options.probabilities},
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: NaN has no place there."""
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _open_store(folder: Path, job: Job, blocks: list[Block], provenance: Mapping[str, Any]) -> BlockStore:
    """Open the store of exactly this input, model, options and layout of blocks."""
    lattice, first = job.lattice, blocks[0].window
    modified = [Path(path).stat().st_mtime_ns for path in job.scene.attrs["source"]]
    layout = [first.height, first.width]
    store = BlockStore(
        folder=folder / key_of({**provenance, "modified": modified, "layout": layout}),
        height=lattice.height,
        width=lattice.width,
        chunk=(first.height, first.width),
        classes=len(job.model.spec.classes) if job.probabilities else 0,
    )
    try:
        store.create()
    except OSError as error:
        raise ProductError(str(folder), f"cannot be made ({error})", "choose another --out") from error
    return store


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

    percent = {"dtype": "uint8", "nodata": NODATA, "overview": "average", "scale": 0.01, "tags": tags}
    map_file = raster(
        "class",
        f"{task.raster}.tif",
        RasterLayer(dtype="uint8", nodata=NODATA, classes=classes, descriptions=(task.title,), tags=tags),
    )
    certainty = raster("confidence", "confidence.tif", RasterLayer(**percent, descriptions=("confidence",)))
    if job.probabilities:
        names = tuple(c.name for c in classes)
        raster("probability", "probability.tif", RasterLayer(**percent, bands=len(names), descriptions=names))
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
