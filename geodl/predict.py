"""Scene and model meet: a lazy result for the library, one block at a time for a run.

`process_block` - read the padded window, normalise, forward, stitch - is all that a worker computes,
on a laptop and on a cluster alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import xarray as xr

from geodl import stitch
from geodl.errors import GeodlError, OptionError
from geodl.heap import keep_heap
from geodl.match import check_fit, scaling_of
from geodl.models.bundle import Model, load_model
from geodl.models.spec import NODATA_CLASS, ModelSpec, flag_attributes
from geodl.scene import valid_mask
from geodl.scene.adopt import as_scene, select_bands
from geodl.task import TASKS
from geodl.tiles import Block, Lattice, Window, reflect

if TYPE_CHECKING:
    from torch import Tensor

    from geodl.forward import Forward

DEFAULT_BLOCK = 2048


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything a worker needs to compute any block of one scene.

    Parameters
    ----------
    scene : xarray.DataArray
        Lazy, dims (band, y, x), bands in the order of the model.
    model : Model
        What to run; the network itself is loaded once per worker process.
    device : str
        ``"cpu"`` or ``"cuda"``, resolved.
    batch : int
        Tiles per forward pass. On a CPU one at a time: the last bits of a convolution may depend
        on the batch, and a larger one gains nothing there.
    probabilities : bool
        Whether blocks carry the probability of every class.
    """

    scene: xr.DataArray
    model: Model
    device: str
    batch: int
    probabilities: bool = False

    @property
    def lattice(self) -> Lattice:
        """The tiles over the scene."""
        height, width = self.scene.sizes["y"], self.scene.sizes["x"]
        return Lattice(height, width, self.model.spec.tile, self.model.spec.halo)


@dataclass(frozen=True, kw_only=True)
class BlockResult:
    """The map over one block of ``height x width`` pixels.

    Parameters
    ----------
    classes : numpy.ndarray
        uint8 class values, shape (height, width); 255 where the scene is not valid.
    confidence : numpy.ndarray
        float32 probability of that class; NaN where the scene is not valid.
    probability : numpy.ndarray or None
        float32, shape (classes, height, width), if the job asks for it.
    """

    classes: np.ndarray
    confidence: np.ndarray
    probability: np.ndarray | None


def make_job(
    scene: xr.DataArray,
    model: Model | str,
    *,
    probabilities: bool = False,
    device: str = "auto",
    batch: int | None = None,
) -> Job:
    """Check that scene and model fit, and bind them.

    Raises
    ------
    MismatchError
        If bands, units, dtype or pixel size of the scene are not those the model needs.
    ModelError
        If the model cannot be loaded.
    """
    from geodl.device import resolve_device

    keep_heap()  # before any thread that computes is started
    if isinstance(model, str):
        model = load_model(model)
    if batch is not None and batch < 1:
        raise OptionError(f"batch {batch}", "it counts tiles", "give 1 or more")
    scene = as_scene(scene)
    check_fit(scene, model.spec)
    resolved = resolve_device(device).type
    return Job(
        scene=select_bands(scene, model.spec.band_names),
        model=model,
        device=resolved,
        batch=batch or (1 if resolved == "cpu" else 8),
        probabilities=probabilities,
    )


def predict(
    scene: xr.DataArray,
    model: Model | str,
    *,
    probabilities: bool = False,
    block: int = DEFAULT_BLOCK,
    device: str = "auto",
    batch: int | None = None,
) -> xr.Dataset:
    """Map a scene with a model, lazily.

    Nothing is read or computed before the result is (``.compute()``, `geodl.write_cog`, ...). Each
    block of the result is one Dask task per variable set; blocks change speed and memory only.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x), from `geodl.open_scene`, or any array with band names and a CRS.
    model : Model or str
        A loaded model, the name of a bundled one, or a model folder.
    probabilities : bool
        Also return the probability of every class.
    block : int
        Side of a block in pixels, rounded down to whole tiles, at least one.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``.
    batch : int, optional
        Tiles per forward pass; 1 on a CPU, 8 on a GPU.

    Returns
    -------
    xarray.Dataset
        ``class`` (uint8, 255 = no data), ``confidence`` (float32, NaN = no data) with dims (y, x), and
        on request ``probability`` (float32) with dims (class_name, y, x); on the scene's grid.

    Raises
    ------
    MismatchError
        If the scene is not what the model was trained on; the message names the remedy.
    """
    job = make_job(scene, model, probabilities=probabilities, device=device, batch=batch)
    arrays = _lazy_blocks(job, block)
    coords = {name: c for name, c in job.scene.coords.items() if name in ("y", "x", "spatial_ref")}
    spec = job.model.spec
    variables = {
        "class": xr.DataArray(arrays[0], dims=("y", "x"), attrs=_class_attributes(spec)),
        "confidence": xr.DataArray(
            arrays[1], dims=("y", "x"), attrs={"long_name": "probability of the class", "units": "1"}
        ),
    }
    if probabilities:
        coords["class_name"] = xr.DataArray([c.name for c in spec.classes], dims="class_name")
        variables["probability"] = xr.DataArray(
            arrays[2], dims=("class_name", "y", "x"), attrs={"long_name": "class probability", "units": "1"}
        )
    if "spatial_ref" in coords:
        for variable in variables.values():
            variable.encoding["grid_mapping"] = "spatial_ref"
    return xr.Dataset(variables, coords=coords, attrs={"model": spec.name, "model_hash": job.model.hash})


def _class_attributes(spec: ModelSpec) -> dict[str, Any]:
    title = spec.title or TASKS[spec.task].title
    return {"long_name": title, "nodata": NODATA_CLASS, **flag_attributes(spec.classes)}


def _lazy_blocks(job: Job, side: int) -> list[Any]:
    """Dask arrays of classes, confidence and, on request, probability, one chunk per block."""
    task = dask.delayed(process_block, pure=False, traverse=False)
    shared = dask.delayed(job, traverse=False)
    rows: dict[int, list[list[da.Array]]] = {}
    classes = len(job.model.spec.classes)
    for block in job.lattice.blocks(side):
        result, shape = task(shared, block), (block.window.height, block.window.width)
        arrays = [
            da.from_delayed(result.classes, shape, np.uint8),
            da.from_delayed(result.confidence, shape, np.float32),
        ]
        if job.probabilities:
            arrays.append(da.from_delayed(result.probability, (classes, *shape), np.float32))
        rows.setdefault(block.row, []).append(arrays)
    variables = range(3 if job.probabilities else 2)
    return [da.block([[arrays[v] for arrays in row] for row in rows.values()]) for v in variables]


def process_block(job: Job, block: Block) -> BlockResult:
    """Compute the map over one block.

    Raises
    ------
    GeodlError
        If the scene cannot be read there or the device fails; never a silent hole.
    """
    from geodl.forward import forward_for

    forward = forward_for(job.model, job.device)  # starts to load while the pixels are read
    blending = job.model.spec.stitch == "blend"
    reach = stitch.neighbours(job.lattice) if blending else 0
    padded = read_padded(job.scene, job.lattice, block, reach)
    valid = padded.valid[block.window.relative_to(padded.window).slices]
    result = _empty(job, block.window)
    if not valid.any():
        return result
    run = _blend if blending else _crop
    run(job, block, padded, forward, result)
    result.classes[~valid] = NODATA_CLASS
    result.confidence[~valid] = np.nan
    if result.probability is not None:
        result.probability[:, ~valid] = np.nan
    return result


def _empty(job: Job, window: Window) -> BlockResult:
    shape = (window.height, window.width)
    classes = len(job.model.spec.classes)
    return BlockResult(
        classes=np.full(shape, NODATA_CLASS, dtype=np.uint8),
        confidence=np.full(shape, np.nan, dtype=np.float32),
        probability=np.full((classes, *shape), np.nan, dtype=np.float32) if job.probabilities else None,
    )


@dataclass(frozen=True, kw_only=True)
class Padded:
    """The pixels that the tiles of a block see, continued by reflection beyond the scene.

    `pixels` has shape (bands, height, width), `valid` (height, width), both over `window`.
    """

    window: Window
    pixels: np.ndarray
    valid: np.ndarray


def read_padded(scene: xr.DataArray, lattice: Lattice, block: Block, reach: int = 0) -> Padded:
    """Read what the tiles of a block, and those up to `reach` tiles around it, see of a scene."""
    positions = list(lattice.tiles_of(block, reach))
    first, last = lattice.tile_window(*positions[0]), lattice.tile_window(*positions[-1])
    window = Window(first.row, first.col, last.row_stop - first.row, last.col_stop - first.col)
    rows = reflect(window.row, window.row_stop, lattice.height)
    cols = reflect(window.col, window.col_stop, lattice.width)
    row, col = int(rows.min()), int(cols.min())
    part = scene.isel(y=slice(row, int(rows.max()) + 1), x=slice(col, int(cols.max()) + 1))
    # In this thread: the block is the unit of parallelism, and a nested scheduler would oversubscribe
    # the machine. The mask is taken from the pixels read: asked for lazily, both would read whole chunks.
    part = part.compute(scheduler="synchronous")
    pixels, valid = part.values, valid_mask(part).values
    if window.intersect(lattice.scene) != window:
        pixels = pixels[:, (rows - row)[:, None], (cols - col)[None, :]]
        valid = valid[(rows - row)[:, None], (cols - col)[None, :]]
    return Padded(window=window, pixels=pixels, valid=valid)


def _crop(job: Job, block: Block, padded: Padded, forward: "Forward", result: BlockResult) -> None:
    lattice = job.lattice
    positions = [
        position
        for position in lattice.tiles_of(block)
        if padded.valid[lattice.core_window(*position).relative_to(padded.window).slices].any()
    ]
    for position, scores in _tile_scores(job, positions, padded, forward, margin=lattice.halo):
        core = lattice.core_window(*position)
        kept = scores[:, : core.height, : core.width]  # cores at the scene's border are smaller
        inside = core.relative_to(block.window).slices
        result.classes[inside], result.confidence[inside] = forward.classify(kept)
        if result.probability is not None:
            result.probability[(slice(None), *inside)] = kept.cpu().numpy()


def _blend(job: Job, block: Block, padded: Padded, forward: "Forward", result: BlockResult) -> None:
    import torch

    lattice = job.lattice
    positions = [
        position
        for position in lattice.tiles_of(block, stitch.neighbours(lattice))
        if padded.valid[lattice.tile_window(*position).relative_to(padded.window).slices].any()
    ]
    blend = stitch.Blend(lattice, block, len(job.model.spec.classes))
    for position, scores in _tile_scores(job, positions, padded, forward):
        blend.add(*position, scores.cpu().numpy())
    result.classes[:], result.confidence[:] = forward.classify(torch.from_numpy(blend.scores))
    if result.probability is not None:
        result.probability[:] = blend.scores


def _tile_scores(
    job: Job, positions: list[tuple[int, int]], padded: Padded, forward: "Forward", margin: int = 0
) -> "Iterator[tuple[tuple[int, int], Tensor]]":
    """Probabilities (classes, y, x) of the given tiles less `margin`, batch by batch, in their order."""
    scaling = scaling_of(job.scene, job.model.spec)
    for start in range(0, len(positions), job.batch):
        group = positions[start : start + job.batch]
        parts = [job.lattice.tile_window(*position).relative_to(padded.window).slices for position in group]
        tiles = np.stack([padded.pixels[(slice(None), *part)] for part in parts])
        valid = np.stack([padded.valid[part] for part in parts])
        try:
            scores = forward.probabilities(tiles, valid, scaling, margin)
        except GeodlError as error:
            where = f"scene {job.scene.name}, tile at row {group[0][0]}, column {group[0][1]}"
            raise GeodlError(where, f"{error.what}: {error.cause}", error.remedy) from error
        yield from zip(group, scores, strict=True)
