"""One scene of a run: checked, its blocks stored as they are computed, then published."""

import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from geodl import plan
from geodl.batch import threads
from geodl.block import Job, process_block
from geodl.errors import OptionError, ProductError, SceneError
from geodl.models.bundle import Model
from geodl.predict import make_job
from geodl.products import provenance_of, write_files
from geodl.publish import Product, safe_name, stage
from geodl.publish.product import is_product_of
from geodl.store import WORK_FOLDER, BlockStore, held, key_of, quantise
from geodl.task import TASKS, layers_of
from geodl.tiles import Block, Window

if TYPE_CHECKING:
    from distributed import Client

    from geodl.job import RunOptions


def job_of(scene: xr.DataArray, model: Model, options: "RunOptions") -> Job:
    """Check that a scene fits a model, and bind them as the options say."""
    if options.suppress_shift and TASKS[model.spec.task].dates == 1:
        raise OptionError(
            f"--suppress-shift {options.suppress_shift}",
            f"means nothing to model {model.spec.name}, which maps one date",
            "leave it out",
        )
    return make_job(
        scene,
        model,
        layers=layers_of(options.products, probabilities=options.probabilities, turned=options.tta),
        turned=options.tta,
        device=options.device,
        precision=options.precision,
        batch=options.batch,
        tile=options.tile,
    )


class Planner:
    """Cuts scenes into blocks; what the network takes is measured once.

    With a budget the network is measured, which is only true before blocks are in flight.
    """

    def __init__(self, client: "Client", options: "RunOptions") -> None:
        self.client, self.options = client, options
        self.networks: dict[tuple[tuple[int, int], int | None], int] = {}

    def __call__(self, job: Job) -> list[Block]:
        """Return the blocks of a scene."""
        network = None
        if self.options.memory is not None:
            kind = (job.lattice.tile, job.strip)
            if kind not in self.networks:
                self.networks[kind] = plan.memory_of_network(job)
            network = self.networks[kind]
        workers = len(threads(self.client))
        block, memory = self.options.block, self.options.memory
        return plan.make_plan(job, block=block, memory=memory, workers=workers, network=network).blocks


def prepare(
    scene: xr.DataArray,
    *,
    model: Model,
    out: Path,
    options: "RunOptions",
    planner: Planner,
    skip: bool,
) -> "OneSceneRun | Path":
    """Check a scene and open its store; with `skip`, return the product where it is there already."""
    job = job_of(scene, model, options)
    sources, name = job.scene.attrs["source"], str(job.scene.name)
    provenance = provenance_of(job, options.products, suppress_shift=options.suppress_shift)
    final = out / safe_name(name)
    if skip and is_product_of(final, provenance, sources):
        return final
    with ExitStack() as stack:
        # Absolute, for workers may have another working directory.
        work = stack.enter_context(held((out / WORK_FOLDER / safe_name(name)).absolute()))
        product = stack.enter_context(stage(out, name, inputs=sources))
        store, blocks = _open_store(work, job, provenance), planner(job)
        run = OneSceneRun(job, store, blocks, product, provenance, stack)
        run.stack = stack.pop_all()
        return run


def _open_store(work: Path, job: Job, provenance: Mapping[str, Any]) -> BlockStore:
    """Open the store of exactly this input, model and options; what is made of it does not matter."""
    lattice = job.lattice
    modified = [Path(path).stat().st_mtime_ns for path in job.scene.attrs["source"]]
    later = ("products", "suppress_shift")  # what is made of the blocks
    decisive = {key: value for key, value in provenance.items() if key not in later}
    store = BlockStore(
        folder=work / key_of({**decisive, "modified": modified}),
        height=lattice.height,
        width=lattice.width,
        chunk=(lattice.core[0] * lattice.chunk[0], lattice.core[1] * lattice.chunk[1]),
        layers=job.layers,
        classes=len(job.model.spec.classes),
    )
    try:
        store.create()
    except OSError as error:
        raise ProductError(str(work), f"cannot be made ({error})", "choose another --out") from error
    return store


class OneSceneRun:
    """A checked scene with its store and its unfinished product; implements `geodl.batch.SceneRun`."""

    def __init__(
        self,
        job: Job,
        store: BlockStore,
        blocks: list[Block],
        product: Product,
        provenance: Mapping[str, Any],
        stack: ExitStack,
    ) -> None:
        self.job, self.store, self.product = job, store, product
        self.provenance, self.stack = provenance, stack
        self.name, self.chunks = str(job.scene.name), sum(map(self.size, blocks))
        self.pixels = job.lattice.height * job.lattice.width
        finished = store.verify()
        self.todo = [left for block in blocks for left in job.lattice.left_of(block, finished)]
        # Coordinates are as long as the scene and no block needs them.
        bare = replace(job, scene=job.scene.drop_vars(["y", "x"], errors="ignore"))
        self.work = Work(job=bare, store=store)

    def size(self, block: Block) -> int:
        """Return the number of chunks in a block."""
        return len(self.job.lattice.chunks_of(block))

    def task(self, block: Block) -> tuple[Callable[..., None], "Work"]:  # noqa: ARG002 - all blocks alike
        """Return what a worker calls."""
        return run_block, self.work

    def stored(self) -> int:
        """Return the number of chunks in the store."""
        return len(self.store.done())

    def publish(self, stop: Event) -> Path:
        """Write the product, put it into its place, and remove the blocks."""
        store = _Stoppable(**vars(self.store), stop=stop)
        write_files(self.product, self.job, store, self.provenance)
        final = self.product.commit(self.provenance)
        for leftover in self.store.folder.parent.iterdir():  # of earlier inputs, models and options too
            replace(self.store, folder=leftover).remove()
        return final

    def close(self) -> None:
        """Remove what is unfinished, and an empty store; let go of the folders."""
        if not self.product.committed and self.store.is_empty():
            self.store.remove()
        self.stack.close()


@dataclass(frozen=True, kw_only=True)
class _Stoppable(BlockStore):
    """A store whose reader gives up when the run ends before its time."""

    stop: Event

    def read(self, name: str, window: Window) -> np.ndarray:
        if self.stop.is_set():
            raise ProductError(str(self.folder), "the run was stopped", "run it again")
        return super().read(name, window)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker needs to compute any block of a scene: the job, and the store for its result."""

    job: Job
    store: BlockStore


def run_block(work: Work, block: Block) -> None:
    """Compute one block and store it: the task that runs on a worker.

    Raises
    ------
    GeodlError
        If the worker does not see the files, the scene cannot be read, or the block cannot be kept.
    """
    _refuse_missing(work)
    # A worker that died may have computed a part of it.
    for left in work.job.lattice.left_of(block, work.store.done()):
        for piece in process_block(work.job, left):
            arrays = {name: a if name == "class" else quantise(a) for name, a in piece.layers.items()}
            work.store.write(piece.chunk.window, arrays)


def _refuse_missing(work: Work) -> None:
    places = [*map(Path, work.job.scene.attrs["source"]), work.store.folder, work.job.model.folder]
    missing = next((place for place in places if not place.exists()), None)
    if missing is None:
        return
    raise SceneError(
        f"scene {work.job.scene.name}",
        f"{missing} has gone, or is not there for the worker on {socket.gethostname()}",
        "all workers must see the scenes, the model and --out at the same paths as the command",
    )
