"""A run: plan, Dask client, blocks, products. It composes and holds no logic of its own."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

import geodl
from geodl.errors import GeodlError, OptionError
from geodl.models.bundle import Model
from geodl.predict import DEFAULT_BLOCK, Job, make_job, process_block
from geodl.publish.product import stage
from geodl.store import BlockStore, identify, key_of, quantise
from geodl.tiles import Block

if TYPE_CHECKING:
    from distributed import Client

LOCAL_THREADS = 3  # one keeps the device busy while another reads and a third writes
WORK_FOLDER = ".geodl-work"

Progress = Callable[[int, int], None]


@contextmanager
def connect(scheduler: str | None = None) -> "Iterator[Client]":
    """Yield a Dask client: of a running scheduler, or of threads in this process.

    The local one opens no port.

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
            raise OptionError(f"--scheduler {scheduler}", f"no Dask scheduler answers ({error})",
                              "start one with 'dask scheduler', or leave the option out") from error
        with client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=LOCAL_THREADS, processes=False, dashboard_address=None,
            memory_limit=0, silence_logs="ERROR",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def run_block(job: Job, store: BlockStore, block: Block) -> tuple[int, int]:
    """Compute one block and store it: the task that runs on a worker."""
    result = process_block(job, block)
    arrays = {"class": result.classes, "confidence": quantise(result.confidence)}
    if result.probability is not None:
        arrays["probability"] = quantise(result.probability)
    store.write(block, arrays)
    return block.row, block.col


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


def run_scene(
    scene: xr.DataArray,
    model: Model,
    out: Path,
    options: RunOptions,
    *,
    client: "Client",
    progress: Progress = lambda done, total: None,
) -> Path:
    """Map one scene and publish its product as ``out/<scene name>``.

    Blocks finished by an earlier, interrupted run of the same scene, model and options are taken up.

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
    job = make_job(scene, model, probabilities=options.probabilities, device=options.device, batch=options.batch)
    side = options.block or plan.block_side(job, options.memory, LOCAL_THREADS)
    blocks = job.lattice.blocks(side)
    with stage(out, str(scene.name), inputs=job.scene.attrs["source"]) as product:
        inputs = [identify(path) for path in job.scene.attrs["source"]]
        store = _open_store(out, job, blocks, inputs, options)
        _run_blocks(client, job, store, blocks, progress)
        products.make(product, job, store)
        final = product.commit(_manifest(job, inputs, options))
    store.remove()
    return final
