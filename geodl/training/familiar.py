"""What the training data look like to a network: the features of their labelled pixels, not augmented."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from geodl.assess.labels import IGNORE
from geodl.device import resolve_device
from geodl.errors import ModelError
from geodl.heap import keep_heap
from geodl.models.bundle import Model, add_familiar, refuse_bundled
from geodl.models.distances import Features
from geodl.models.familiarity import Familiar, fit_familiar
from geodl.tiles import Window
from geodl.training.cache import open_storage
from geodl.training.evaluate import Tile, Validation
from geodl.training.plots import decode
from geodl.training.recipe import Recipe

_AREA = 3 * 2**20
"""Pixels that the network is shown, about; and so many tiles more that every class is among them."""
_PIXELS = 250_000
_NUMBERS = 2**26  # features of all pixels that are kept: 256 MB


def look_back(network: nn.Module, seen: Validation, *, seed: int = 0) -> Familiar:
    """Describe the features of the training data.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, on the device of `seen`.
    seen : Validation
        The training part (``role="train"``).
    seed : int
        Of the choice of tiles and pixels.

    Raises
    ------
    ModelError
        The network shows no features, or there are fewer than ten labelled pixels.
    """
    random = np.random.default_rng(seed)
    tiles, labelled = _chosen(seen, random)
    features, share = Features(network), None
    values, labels = [np.zeros((0, 1), np.float32)], [np.zeros(0, np.uint8)]
    try:
        for tile in tiles:
            core, here, _ = seen.scores(network, tile)
            maps = features.take()[0]  # (features, h, w) of the whole tile
            if share is None:
                values = []
                share = min(_PIXELS, _NUMBERS // len(maps)) / labelled
            rows, columns = np.nonzero((here != IGNORE) & (random.random(here.shape) < share))
            values.append(_at(maps, seen, tile, core, rows, columns))
            labels.append(here[rows, columns])
    finally:
        features.remove()
    return fit_familiar(np.concatenate(values), np.concatenate(labels), seed=seed)


def familiarise(
    model: Model,
    recipe: Recipe,
    *,
    device: str = "auto",
    cache: Path | None = None,
    echo: Callable[[str], None] = print,
) -> Model:
    """Write into a model what its training data look like; for models that were made without.

    Parameters
    ----------
    model : Model
        A folder that may be written.
    recipe : Recipe
        The one it was trained with, or one of the same bands, units and classes.
    device, cache, echo
        As in `geodl.training.fit.fit`.

    Returns
    -------
    Model
        The model, under another hash.

    Raises
    ------
    ModelError
        The model is bundled or an ONNX file, or does not fit the recipe.
    RecipeError, SceneError, MismatchError, OptionError
        Where the recipe, its files or the device cannot be used.
    """
    keep_heap()
    refuse_bundled(model)
    spec, place = model.spec, resolve_device(device)
    for what, ours, theirs in (
        ("bands", spec.band_names, recipe.bands),
        ("units", spec.units, recipe.units),
        ("class values", spec.class_values, [c.value for c in recipe.classes]),
    ):
        if ours != theirs:
            raise ModelError(
                f"model {spec.name}",
                f"its {what} are {ours}, those of recipe {recipe.name} are {theirs}",
                "give the recipe that the model was trained with",
            )
    network = model.network(place).to(memory_format=torch.channels_last)
    Features(network).remove()  # refused before anything is decoded
    with (
        TemporaryDirectory(prefix="geodl-familiar-") as folder,
        open_storage(Path(folder), cache) as storage,
    ):
        plots = decode(recipe, storage.run, gap=spec.halo, cache=storage.scenes)
        echo(f"looking back at {sum(sum(plot.train) for plot in plots):,} labelled training pixels")
        seen = Validation(plots=plots, spec=spec, device=place, role="train")
        return add_familiar(model, look_back(network, seen, seed=recipe.seed))


def _chosen(seen: Validation, random: np.random.Generator) -> tuple[list[Tile], int]:
    """Choose tiles at random, those richest in each class among them; and count their labelled pixels."""
    tiles = seen.tiles()
    cores = [seen.lattice(seen.plots[number]).core_window(*place) for number, *place in tiles]
    counts = np.array(
        [
            np.bincount(seen.plots[tile[0]].labels(seen.role)[core.slices].ravel(), minlength=256)[:IGNORE]
            for tile, core in zip(tiles, cores, strict=True)
        ]
    ).reshape(-1, IGNORE)
    chosen = set(counts.argmax(axis=0)[counts.any(axis=0)]) if tiles else set()
    area = 0
    for index in random.permutation(len(tiles)):
        if area >= _AREA:
            break
        chosen.add(index)
        area += cores[index].height * cores[index].width
    ordered = sorted(chosen)
    return [tiles[index] for index in ordered], int(counts[ordered].sum())


def _at(
    maps: torch.Tensor, seen: Validation, tile: Tile, core: Window, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Return the features of pixels of a core, float32, shape ``(pixels, features)``."""
    window = seen.lattice(seen.plots[tile[0]]).tile_window(*tile[1:])
    # Where the network enlarges its scores at the end, several pixels share the features of a cell.
    down = (rows + core.row - window.row) * maps.shape[1] // window.height
    across = (columns + core.col - window.col) * maps.shape[2] // window.width
    row, column = (torch.from_numpy(index).to(maps.device) for index in (down, across))
    return maps[:, row, column].T.float().cpu().numpy()
