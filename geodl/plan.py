"""How a scene is cut into blocks within a memory budget, and what a run of it will take."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from geodl.block import Job, process_block
from geodl.errors import OptionError
from geodl.pixels import slab_rows
from geodl.tiles import Block

BLOCK = 4096  # rows; beyond it nothing gets faster, and less is done in parallel
BLENDED_BLOCK = 2048  # rows and columns of a block whose tiles are averaged: its scores are held whole
READING = 128 * 1024**2  # bytes of decoded rows that a block keeps, at most, where no budget is given
RESERVE = 256 * 1024**2  # GDAL's cache, the pages of libraries touched later, Dask's own state
_QUEUED = 4  # strips or tiles, and finished chunks, on their way between threads


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run of one scene will do.

    Parameters
    ----------
    blocks : list of Block
        The units of scheduling.
    memory : int
        Bytes that a worker process will take at its peak, about.
    disk : int
        Bytes that finished blocks and the product take until the product is in its place, at most.
    """

    blocks: list[Block]
    memory: int
    disk: int


def parse_bytes(text: str) -> int:
    """Return the number of bytes that a size such as ``4GB``, ``512 MiB`` or ``2e9`` names.

    >>> parse_bytes("2 GB"), parse_bytes("1.5GiB")
    (2000000000, 1610612736)

    Raises
    ------
    OptionError
        If it is no size.
    """
    match = re.fullmatch(r"([\d.]+(?:e\d+)?)\s*(?:([kmgt])(i?))?b?", text.strip().lower())
    try:
        number = float(match[1]) if match else 0.0
    except ValueError:
        number = 0.0
    if match is None or number <= 0:
        raise OptionError(f"--memory {text}", "it is no size", "write for instance 4GB or 512MiB")
    power = "kmgt".index(match[2]) + 1 if match[2] else 0
    return int(number * (1024 if match[3] else 1000) ** power)


def make_plan(
    job: Job,
    *,
    block: int | None = None,
    memory: str | None = None,
    workers: int = 1,
    network: int | None = None,
) -> Plan:
    """Cut a scene into blocks.

    Parameters
    ----------
    job : Job
        What is to run.
    block : int, optional
        Rows of a block, at most.
    memory : str, optional
        Budget for a process; without it rows of `READING` bytes are kept.
    workers : int
        Processes that share the work: each should get some blocks.
    network : int, optional
        Bytes of a process that holds the network, from `memory_of_network`; asked for with a budget only.

    Raises
    ------
    OptionError
        If not even the smallest blocks fit; the message says how much would do.

    Notes
    -----
    What the network needs is measured: one tile or strip goes through it, after which the process keeps
    the memory that it took.
    """
    lattice, fixed = job.lattice, RESERVE + (network or 0)
    if memory is not None and network is None:
        fixed += memory_of_network(job)
    reading = READING if memory is None else parse_bytes(memory) - fixed - _passing(job)
    columns = _columns(job, reading)
    narrowest = lattice.core[1] * lattice.chunk[1]
    if memory is not None and columns < min(narrowest, lattice.width):
        needed = fixed + _passing(job) + _kept(job, narrowest)
        raise OptionError(
            f"--memory {memory}",
            f"model {job.model.spec.name} needs {needed / 1e9:.1f} GB",
            "allow that much, or give smaller tiles with --tile",
        )
    rows = block or BLOCK
    if job.model.spec.stitch == "blend":
        rows, columns = min(rows, BLENDED_BLOCK), min(columns, BLENDED_BLOCK)
    blocks = lattice.blocks(_rows_for(job, rows, columns, workers), max(columns, 1))
    widest = max(block.window.width for block in blocks)
    variables = sum(_planes(job).values())
    return Plan(
        blocks=blocks,
        memory=fixed + _passing(job) + _kept(job, widest),
        disk=2 * variables * lattice.height * lattice.width,
    )


def _rows_for(job: Job, rows: int, columns: int, workers: int) -> int:
    """Lower the blocks until there are some for every worker."""
    across = -(-job.lattice.width // max(1, min(columns, job.lattice.width)))
    wanted = 1 if workers == 1 else -(-4 * workers // across)
    return max(1, min(rows, -(-job.lattice.height // wanted)))


def _columns(job: Job, reading: int) -> int:
    """Columns of a block, the halo aside, whose rows fit into so many bytes."""
    per_column = _kept(job, 1) - _kept(job, 0)
    return int(reading // per_column) - 2 * job.lattice.halo


def _kept(job: Job, columns: int) -> int:
    """Bytes of decoded rows, and of their mask, that a block of so many columns keeps."""
    scene = job.scene
    seen = max(job.lattice.tile[0], job.lattice.core[0] * job.lattice.chunk[0]) + slab_rows(scene)
    return (columns + 2 * job.lattice.halo) * seen * (scene.sizes["band"] * scene.dtype.itemsize + 1)


def _passing(job: Job) -> int:
    """Bytes of tiles, strips and finished chunks on their way between threads."""
    lattice, scene = job.lattice, job.scene
    seen = (job.strip or lattice.tile[0]) * lattice.tile[1]
    chunk = lattice.core[0] * lattice.core[1] * lattice.chunk[0] * lattice.chunk[1]
    # As floats, and in percent for the store; the class is one byte for both.
    result = sum(1 if name == "class" else 5 * count for name, count in _planes(job).items())
    blended = 0
    if job.model.spec.stitch == "blend":
        blended = 4 * (len(job.model.spec.classes) + job.novelty) * BLENDED_BLOCK**2
    return _QUEUED * (seen * scene.sizes["band"] * scene.dtype.itemsize + chunk * result) + blended


def _planes(job: Job) -> dict[str, int]:
    """Bands of each layer."""
    classes = len(job.model.spec.classes)
    return {layer: classes if layer == "probability" else 1 for layer in job.layers}


def resident_bytes() -> int | None:
    """Memory that this process occupies now; None where /proc does not tell."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    import resource

    return int(statm.read_text().split()[1]) * resource.getpagesize()


def memory_of_network(job: Job) -> int:
    """Let the network take the memory that it needs, and return what the process occupies then."""
    from geodl.forward import forward_for

    lattice = job.lattice
    forward_for(job.model, job.device, job.precision, novelty=job.novelty).warm(
        tile=lattice.tile, strip=job.strip, batch=job.batch
    )
    return resident_bytes() or 2 * 1024**3


def time_block(job: Job, blocks: list[Block]) -> float:
    """Compute the chunks in the middle of a scene and return the seconds that all blocks will take, about."""
    middle = blocks[len(blocks) // 2]
    top, _, left, right = middle.cells
    some = job.lattice.block(top, min(top + job.lattice.chunk[0], job.lattice.shape[0]), left, right)
    start = time.perf_counter()
    for _ in process_block(job, some):
        pass
    seconds = time.perf_counter() - start
    return seconds * sum(_work(job, block) for block in blocks) / _work(job, some)


def _work(job: Job, block: Block) -> int:
    """Rows times columns that the network computes for a block, about."""
    top, bottom, left, right = block.cells
    tile, halo = job.lattice.tile, job.lattice.halo
    if job.strip is None:
        return (bottom - top) * (right - left) * tile[0] * tile[1]
    return (block.window.height + 2 * halo) * (right - left) * tile[1]
