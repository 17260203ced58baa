"""Scene and model meet: a lazy result for the library, and the job that a run works on."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import xarray as xr

from geodl import __version__, tiles
from geodl.block import Job, empty_piece, process_block
from geodl.errors import OptionError
from geodl.heap import keep_heap
from geodl.match import check_fit
from geodl.models.bundle import Model, load_model
from geodl.models.legend import legend_of
from geodl.models.spec import NODATA_CLASS, ModelSpec, flag_attributes
from geodl.scene.adopt import as_scene, select_bands
from geodl.scene.series import on_calendar
from geodl.standard import standardised
from geodl.task import TASKS, layers_of
from geodl.tiles import Block

if TYPE_CHECKING:
    import torch

    from geodl.forward import Forward

DEFAULT_BLOCK = 2048
GPU_BATCH = 8
_TITLES = {
    "confidence": "probability of the class",
    "entropy": "entropy of the class probabilities, as a share of its maximum",
    "spread": "standard deviation of the class's probability over turned views",
    "novelty": "share of the training pixels that are more like the training data",
    "probability": "class probability",
}
BF16_AGREES = 0.999  # share of equal classes from which bfloat16 is taken without being asked for


def make_job(
    scene: xr.DataArray,
    model: Model | str,
    *,
    layers: tuple[str, ...] = ("class", "confidence"),
    turned: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    tile: int | None = None,
    phase: tuple[int, int] = (0, 0),
) -> Job:
    """Check that scene and model fit, and bind them; parameters as for `predict`.

    `layers` are those of `geodl.task.LAYERS` that are wanted, in its order, ``class`` among them; `turned`
    averages turned and mirrored views; `phase` shifts the lattice of tiles up and left by so many rows and
    columns, multiples of the stride.

    Raises
    ------
    MismatchError
        If bands, units, dtype or pixel size of the scene are not those the model needs.
    ModelError
        If the model cannot be loaded.
    OptionError
        If an option has a value that cannot be used.
    """
    from geodl.device import resolve_device
    from geodl.forward import forward_for

    keep_heap()  # before any thread that computes is started
    if isinstance(model, str):
        model = load_model(model)
    if batch is not None and batch < 1:
        raise OptionError(f"--batch {batch}", "it counts tiles", "give 1 or more")
    scene = scene_for(scene, model.spec)
    check_fit(scene, model.spec)
    place = resolve_device(device)
    precision = _resolve_precision(precision, model.spec, place)
    if "novelty" in layers:
        model.familiar()  # refused now where it has none
    if "spread" in layers and model.spec.stitch == "blend":
        raise OptionError(
            "--tta", f"the tiles of model {model.spec.name} are blended", "leave it out, or use a local model"
        )
    tile = model.spec.tile if turned and tile is None else tile  # a stream runs one way only
    forward = partial(forward_for, model, place.type, precision, novelty="novelty" in layers)
    cell, strip = _resolve_cell(tile, scene, model.spec, forward)
    scene = select_bands(scene, model.spec.band_names)
    return Job(
        scene=standardised(scene) if model.spec.units == "z_score" else scene,
        model=model,
        device=place.type,
        precision=precision,
        batch=batch or (1 if place.type == "cpu" else GPU_BATCH),
        cell=cell,
        strip=strip,
        layers=layers,
        turned=turned,
        phase=phase,
        chunk=tiles.CHUNK,
    )


def scene_for(scene: xr.DataArray, spec: ModelSpec) -> xr.DataArray:
    """Make what a model maps of a scene, a pair or a series: for a calendar, the values at its steps."""
    if spec.calendar is not None and "time" in scene.dims and scene.attrs.get("calendar") is None:
        return on_calendar(scene, spec.calendar)
    return as_scene(scene)


def _resolve_precision(precision: str, spec: ModelSpec, device: "torch.device") -> str:
    """Return ``fp32`` or ``bf16``: the latter where the device has it and the model was seen to bear it."""
    from geodl.device import multiplies_bf16

    if precision in ("fp32", "bf16"):
        return precision
    if precision != "auto":
        raise OptionError(f"--precision {precision}", "unknown", "use auto, fp32 or bf16")
    bears = spec.bf16_agreement is not None and spec.bf16_agreement >= BF16_AGREES
    return "bf16" if bears and multiplies_bf16(device) else "fp32"


def _resolve_cell(
    tile: int | None, scene: xr.DataArray, spec: ModelSpec, forward: "Callable[[], Forward]"
) -> tuple[tuple[int, int], int | None]:
    """Return rows and columns of a cell, at most, and the rows of a strip if the network runs as a stream."""
    from geodl.block.stream import choose_panel, chunk_rows
    from geodl.stream import Graph

    if tile is None and spec.stitch == "crop":
        graph = forward().graph
        if isinstance(graph, Graph):
            pixel = len(spec.bands) * scene.dtype.itemsize + 1
            strip, columns = choose_panel(graph, spec.halo, scene.sizes["x"], pixel)
            rows = chunk_rows(min(columns, scene.sizes["x"]), spec.stride, tiles.CHUNK)
            return (rows, columns), strip
    core = (tile or spec.tile) - 2 * spec.halo
    if core < spec.stride or core % spec.stride:
        nearest = max(1, round(core / spec.stride)) * spec.stride + 2 * spec.halo
        raise OptionError(
            f"--tile {tile}",
            f"model {spec.name} sees {spec.halo} pixels on each side, and between them a multiple of "
            f"{spec.stride}",
            f"use --tile {nearest}",
        )
    return (core, core), None


def predict(
    scene: xr.DataArray,
    model: Model | str,
    *,
    probabilities: bool = False,
    entropy: bool = False,
    novelty: bool = False,
    tta: bool = False,
    block: int = DEFAULT_BLOCK,
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    tile: int | None = None,
) -> xr.Dataset:
    """Map a scene with a model, lazily.

    Nothing is read or computed before the result is (``.compute()``, `geodl.write_cog`, ...). Each
    block of the result is one Dask task per variable set; blocks change speed and memory only.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x), from `geodl.open_scene`, or any array with band names and a CRS; for a model of
        change dims (time, band, y, x), from `geodl.open_pair`, for one with a calendar from
        `geodl.open_series`.
    model : Model or str
        A loaded model, the name of a bundled one, or a model folder.
    probabilities : bool
        Also return the probability of every class.
    entropy : bool
        Also return how undecided the model is: the Shannon entropy of the probabilities as a share of its
        maximum, 0 certain, 1 all classes alike.
    novelty : bool
        Also return how far a pixel lies from the training data, in the features that the class scores are
        made of: the share of the training pixels that are nearer, 1 where it is farther than all.
    tta : bool
        Average the probabilities of eight views of every tile, turned and mirrored, and also return their
        ``spread``: the standard deviation of the class's probability. Eight times the work.
    block : int
        Side of a block in pixels, rounded down to whole chunks of tiles, at least one.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``.
    precision : str
        ``"fp32"``, ``"bf16"``, or ``"auto"``: bfloat16 where the device multiplies in it and the model was
        measured to give the same class on 99.9 % of the pixels.
    batch : int, optional
        Tiles per forward pass on a GPU, 8 by default; a processor takes them one by one.
    tile : int, optional
        Largest side of a tile in pixels, by default that of the model. Larger tiles waste less on halos
        and take more memory.

    Returns
    -------
    xarray.Dataset
        ``class`` (uint8, 255 = no data; of a change map, 253 and 254 where only the first or only the second
        date has none), ``confidence`` (float32, NaN = no data) and on request
        ``entropy``, ``novelty`` and ``spread`` with dims (y, x), ``probability`` with dims
        (class_name, y, x); on the scene's grid.

    Raises
    ------
    MismatchError
        If the scene is not what the model was trained on; the message names the remedy.
    ModelError
        If the model cannot be loaded, or does not know what it has seen and novelty is asked for.
    OptionError
        If an option has a value that cannot be used.
    """
    more = {"entropy": entropy, "novelty": novelty}
    products = ("map", "confidence", *(name for name, wanted in more.items() if wanted))
    job = make_job(
        scene,
        model,
        layers=layers_of(products, probabilities=probabilities, turned=tta),
        device=device,
        precision=precision,
        batch=batch,
        tile=tile,
        turned=tta,
    )
    arrays = _lazy_blocks(job, block)
    coords = {name: c for name, c in job.scene.coords.items() if name in ("y", "x", "spatial_ref")}
    spec = job.model.spec
    if probabilities:
        names = np.array([c.name for c in spec.classes], dtype=object)  # Zarr keeps no strings of one length
        coords["class_name"] = xr.DataArray(names, dims="class_name")
    variables = {
        layer: xr.DataArray(
            array,
            dims=("class_name", "y", "x")[-array.ndim :],
            attrs=_class_attributes(spec)
            if layer == "class"
            else {"long_name": _TITLES[layer], "units": "1"},
        )
        for layer, array in arrays.items()
    }
    if "spatial_ref" in coords:
        for variable in variables.values():
            variable.encoding["grid_mapping"] = "spatial_ref"
    return xr.Dataset(variables, coords=coords, attrs=_attributes(job))


def _attributes(job: Job) -> dict[str, str]:
    spec = job.model.spec
    return {
        "Conventions": "CF-1.11",
        "title": f"{TASKS[spec.task].title} of {job.scene.name}",
        "source": f"geodl {__version__}, model {spec.name}",
        "model": spec.name,
        "model_hash": job.model.hash,
    }


def _class_attributes(spec: ModelSpec) -> dict[str, Any]:
    flags = flag_attributes(legend_of(spec))
    flags["flag_values"] = np.array(flags["flag_values"], np.uint8)  # CF: of the type of the variable
    return {"long_name": spec.title or TASKS[spec.task].title, "nodata": NODATA_CLASS, **flags}


def _lazy_blocks(job: Job, side: int) -> dict[str, da.Array]:
    """Dask arrays of the layers of a job, one chunk per block."""
    task = dask.delayed(_whole, pure=False, traverse=False)
    shared = dask.delayed(job, traverse=False)
    rows: dict[int, list[list[da.Array]]] = {}
    for block in job.lattice.blocks(side):
        result, shape = task(shared, block), (block.window.height, block.window.width)
        rows.setdefault(block.window.row, []).append(
            [_lazy(job, result, layer, shape) for layer in job.layers]
        )
    return {
        layer: da.block([[arrays[number] for arrays in row] for row in rows.values()])
        for number, layer in enumerate(job.layers)
    }


def _lazy(job: Job, result: Any, layer: str, shape: tuple[int, int]) -> da.Array:
    lead = (len(job.model.spec.classes),) if layer == "probability" else ()
    return da.from_delayed(result[layer], (*lead, *shape), np.uint8 if layer == "class" else np.float32)


def _whole(job: Job, block: Block) -> dict[str, np.ndarray]:
    """Compute the layers of a block in one piece."""
    whole = empty_piece(job, block)
    for piece in process_block(job, block):
        whole.put(piece.chunk.window, piece.layers)
    return dict(whole.layers)
