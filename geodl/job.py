"""A run: plan, Dask client, blocks, products. It composes and holds no logic of its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from geodl import plan
from geodl.errors import GeodlError, OptionError, ProductError
from geodl.heap import keep_heap
from geodl.models.bundle import Model
from geodl.predict import Job, make_job, process_block
from geodl.products import provenance_of, write_files
from geodl.publish import safe_name, stage
from geodl.store import BlockStore, key_of, quantise
from geodl.tiles import Block

if TYPE_CHECKING:
    from distributed import Client

LOCAL_THREADS = 3  # one keeps the device busy while another reads and a third writes
LOOPBACK = "127.0.0.1:0"
WORK_FOLDER = ".geodl-work"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, and what to make.

    Parameters
    ----------
    block : int, optional
        Largest side of a block in pixels; by default 2048, or what `memory` allows.
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
    import dask
    import distributed

    keep_heap()  # before Dask starts its threads
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout="10s")
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
        dask.config.set(
            {"distributed.worker.profile.enabled": False}
        ),  # it samples every thread all the time
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
        provenance = provenance_of(job)
        blocks = job.lattice.blocks(plan.block_side(job, options.block, options.memory, LOCAL_THREADS))
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
