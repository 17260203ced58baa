"""The scenes to pretrain on: every valid pixel counts, none has a label."""

from functools import partial
from pathlib import Path

import dask
import numpy as np
import xarray as xr

from geodl.assess.labels import IGNORE
from geodl.errors import RecipeError
from geodl.scene import valid_mask
from geodl.scene.adopt import per_band
from geodl.training.cache import SceneCache, identity_of, key_of
from geodl.training.plots import Pair, Plot, strips
from geodl.training.plots.decode import fitting_scene
from geodl.training.plots.plot import create_array, open_array
from geodl.training.recipe import Recipe, Source

SEEN = 0
"""Stands in the place of a class: 0 where there are pixels to learn from, 255 elsewhere."""


def find_scenes(recipe: Recipe) -> list[tuple[tuple[Path, ...], Source]]:
    """List scenes with the source that says how they are read.

    Those of ``pretraining.scenes`` are read as the first source; without any, the scenes of all
    sources are taken but those that are kept for validation.

    Raises
    ------
    RecipeError
        A pattern matches nothing, or no scene is left.
    """
    if recipe.pretraining.scenes:
        first = recipe.sources[0]
        named = [first.model_copy(update={"scenes": list(recipe.pretraining.scenes)})]
        where = recipe.where("pretraining", "scenes")
    else:
        named = [source for source in recipe.sources if source.role != "validation"]
        where = recipe.where("sources")
    found: list[tuple[tuple[Path, ...], Source]] = []
    for source in named:
        paths = [path for pattern in source.patterns for path in _match(recipe.root_of(source), pattern)]
        if not paths:
            raise RecipeError(
                where, f"nothing matches {', '.join(source.patterns)}", "set data_root or the pattern"
            )
        found += [(tuple(paths), source)] if source.stack else [((path,), source) for path in paths]
    return found


def _match(root: Path, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute():
        root, pattern = Path("/"), pattern.lstrip("/")
    return sorted(path for path in root.glob(pattern) if path.is_file())


def decode_scenes(recipe: Recipe, cache: SceneCache) -> list[Plot]:
    """Decode the scenes to learn from.

    Returns
    -------
    list of Plot
        With one class, `SEEN`, for training and nothing for validation.

    Raises
    ------
    RecipeError, SceneError, MismatchError
        Where scenes are missing, cannot be read or do not fit the recipe.
    """
    plots = [_decode(paths, source, recipe, cache) for paths, source in find_scenes(recipe)]
    if not any(sum(plot.train) for plot in plots):
        raise RecipeError(recipe.where("pretraining"), "the scenes hold no valid pixel", "check their nodata")
    return plots


def _decode(paths: tuple[Path, ...], source: Source, recipe: Recipe, cache: SceneCache) -> Plot:
    pair = Pair(scene=paths, labels=paths[0], source=source)
    scene = fitting_scene(pair, recipe.model_copy(update={"sources": [source]}))
    key = key_of(
        {
            "form": "without labels",
            "scene": [identity_of(path) for path in paths],
            "reading": source.reading(),
            "bands": recipe.bands,
        }
    )
    folder = cache.entry(key, partial(_write, scene))
    labels = open_array(folder / "train.npy")
    seen = sum(int((labels[window.slices] == SEEN).sum()) for window in strips(*labels.shape))
    # A model of digital numbers takes them as they are, whatever scale the file names.
    scaled = recipe.units == "reflectance"
    return Plot(
        name=str(scene.name),
        scene=folder,
        folder=folder,
        height=scene.sizes["y"],
        width=scene.sizes["x"],
        scale=tuple(float(value) if scaled else 1.0 for value in per_band(scene, "scale")),
        offset=tuple(float(value) if scaled else 0.0 for value in per_band(scene, "offset")),
        train=(seen,),
        validation=(0,),
    )


def _write(scene: xr.DataArray, folder: Path) -> None:
    height, width = scene.sizes["y"], scene.sizes["x"]
    image = create_array(folder / "image.npy", scene.shape, scene.dtype)
    valid = create_array(folder / "valid.npy", (height, width), np.dtype(bool))
    labels = create_array(folder / "train.npy", (height, width), np.dtype(np.uint8))
    mask = valid_mask(scene)
    for window in strips(height, width):
        rows = window.slices[0]
        image[:, rows], valid[rows] = dask.compute(scene.isel(y=rows).data, mask.isel(y=rows).data)
        labels[rows] = np.where(valid[rows], SEEN, IGNORE)
    for array in (image, valid, labels):
        array.flush()  # type: ignore[attr-defined]
