"""One model on all scenes, in a process that has done nothing else: what it costs and what it is worth."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from geodl.assess.confusion import accuracy, confusion_matrix
from geodl.assess.labels import IGNORE, open_labels
from geodl.block import Job, process_block
from geodl.comparing.row import Row
from geodl.errors import SceneError
from geodl.models.bundle import Model
from geodl.models.cost import count_parameters, gflops_per_megapixel
from geodl.plan import memory_of_network, resident_bytes
from geodl.predict import DEFAULT_BLOCK, make_job
from geodl.scene.adopt import as_scene

_SIDE = 512  # pixels, at most; of the input that operations are counted for


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How labels are read; as for `geodl.assess.labels.open_labels`."""

    attribute: str | None = None
    background: int | None = None
    mapping: Mapping[int | str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be measured.

    Parameters
    ----------
    model : Model
        The model.
    scenes : sequence of xarray.DataArray
        They fit the model.
    labels : sequence of str
        A file for each scene, or none at all.
    reading : Reading
        How labels are read.
    device, precision : str
        As for `geodl.predict`.
    threads : int
        Of torch, on a processor.
    """

    model: Model
    scenes: Sequence[xr.DataArray]
    labels: Sequence[str] = ()
    reading: Reading = field(default_factory=Reading)
    device: str = "auto"
    precision: str = "auto"
    threads: int


def measure(task: Task) -> Row:
    """Map all scenes with a model and compare with the labels.

    The first pass over a network, which takes memory and chooses how to compute, is not timed.

    Raises
    ------
    MismatchError
        If a scene does not fit the model.
    SceneError
        If scene or labels cannot be read, or have no pixel in common.
    """
    import torch

    torch.set_num_threads(task.threads)
    spec = task.model.spec
    network = task.model.network()
    side = spec.tile if spec.parameters.get("side") else min(_SIDE // spec.stride * spec.stride, spec.tile)
    parameters = count_parameters(network)
    gflops = gflops_per_megapixel(network, bands=len(spec.bands), side=max(side, spec.stride))
    del network
    before, matrix = _start_of_memory(), np.zeros((IGNORE, IGNORE), dtype=np.int64)
    seconds, pixels = 0.0, 0
    for scene, labels in zip(task.scenes, task.labels or repeat(None, len(task.scenes)), strict=True):
        job = make_job(scene, task.model, device=task.device, precision=task.precision)
        memory_of_network(job)
        seconds += _map(job, scene, labels, task.reading, matrix)
        pixels += job.lattice.height * job.lattice.width
    return Row(
        name=spec.name,
        architecture=spec.architecture,
        parameters=parameters,
        file_size=(Path(task.model.folder) / spec.weights_file).stat().st_size,
        gflops=gflops,
        speed=pixels / 1e6 / seconds,
        memory=_most_memory(before, job.device),
        **(_worth(matrix, task) if task.labels else {}),
    )


def _map(job: Job, scene: xr.DataArray, labels: str | None, reading: Reading, matrix: np.ndarray) -> float:
    """Add a scene to the confusion matrix; return the seconds that mapping it took, labels aside."""
    seconds = 0.0
    for block in job.lattice.blocks(DEFAULT_BLOCK):
        start = time.perf_counter()
        pieces = list(process_block(job, block))
        seconds += time.perf_counter() - start
        if labels is None:
            continue
        how = {"attribute": reading.attribute, "background": reading.background, "mapping": reading.mapping}
        with open_labels(labels, as_scene(scene).odc.geobox, **how) as file:  # type: ignore[arg-type]
            for piece in pieces:
                matrix += confusion_matrix(file.read(piece.chunk.window), piece.layers["class"], IGNORE)
    return seconds


def _worth(matrix: np.ndarray, task: Task) -> dict[str, Any]:
    if not matrix.any():
        raise SceneError(
            f"labels {task.labels[0]}",
            "no pixel of them lies on valid pixels of the scenes",
            "check that they overlap, and that --mapping names the values of the labels",
        )
    named = {c.value: c.name for c in task.model.spec.classes}
    occurring = set(np.flatnonzero(matrix.any(axis=0) | matrix.any(axis=1)).tolist())
    values = sorted(occurring | set(named))
    names = [named.get(value, f"value {value}") for value in values]
    found = accuracy(matrix[np.ix_(values, values)], names)
    return {
        "labelled": found.pixels,
        "overall": found.overall,
        "mean_iou": found.mean_iou,
        "iou": {c.name: None if np.isnan(c.iou) else c.iou for c in found.classes},
    }


def _start_of_memory() -> int | None:
    """Let the system forget the most memory that this process had; return what it has now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return resident_bytes()


def _most_memory(before: int | None, device: str) -> int | None:
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    if before is None:
        return None
    status = Path("/proc/self/status").read_text()
    most = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return max(0, 1024 * most - before)
