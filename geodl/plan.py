"""How large a block may be within a memory budget."""

import re
from pathlib import Path

import numpy as np

from geodl.errors import OptionError
from geodl.predict import DEFAULT_BLOCK, Job

LARGEST_BLOCK = 4096  # beyond it nothing gets faster, and less is done in parallel
RESERVE = 256 * 1024**2  # GDAL's cache, the pages of libraries touched later, Dask's own state


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


def resident_bytes() -> int | None:
    """Memory that this process occupies now; None where /proc does not tell."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    import resource

    return int(statm.read_text().split()[1]) * resource.getpagesize()


def block_bytes(job: Job, side: int) -> int:
    """Memory that one block in flight takes, input and result, in bytes."""
    spec = job.model.spec
    padded = (side + 2 * spec.halo) ** 2
    inputs = padded * (job.scene.sizes["band"] * job.scene.dtype.itemsize + 1)
    per_pixel = 2 * (1 + 4)  # classes and confidence, and their stored form
    if job.probabilities or spec.stitch == "blend":
        per_pixel += 5 * len(spec.classes)
    # Chunks that Dask reads are copied into one window.
    return 2 * inputs + side**2 * per_pixel


def block_side(job: Job, block: int | None, memory: str | None, in_flight: int) -> int:
    """Choose the side of a block in pixels.

    Parameters
    ----------
    job : Job
        What is to run.
    block : int, optional
        Largest side wanted.
    memory : str, optional
        Budget for the process; without it `block` is taken, or 2048 pixels.
    in_flight : int
        Blocks worked on at the same time.

    Raises
    ------
    OptionError
        If not even blocks of one tile fit; the message says how much would do.

    Notes
    -----
    What the network needs is measured: one forward pass of a tile, after which the process keeps the
    memory that it took.
    """
    if memory is None:
        return block or DEFAULT_BLOCK
    budget, used = parse_bytes(memory), _memory_of_network(job)
    core = job.lattice.core
    largest = max(1, (block or LARGEST_BLOCK) // core)
    needs = {n: used + RESERVE + in_flight * block_bytes(job, n * core) for n in range(1, largest + 1)}
    fitting = [n for n, need in needs.items() if need <= budget]
    if not fitting:
        raise OptionError(
            f"--memory {memory}",
            f"model {job.model.spec.name} needs {needs[1] / 1e9:.1f} GB with blocks of one tile",
            "allow that much, or take a model with smaller tiles",
        )
    return max(fitting) * core


def _memory_of_network(job: Job) -> int:
    from geodl.forward import forward_for
    from geodl.match import scaling_of

    spec = job.model.spec
    tiles = np.zeros((job.batch, len(spec.bands), spec.tile, spec.tile), dtype=job.scene.dtype)
    valid = np.ones((job.batch, spec.tile, spec.tile), dtype=bool)
    forward_for(job.model, job.device).probabilities(tiles, valid, scaling_of(job.scene, spec))
    return resident_bytes() or 2 * 1024**3
