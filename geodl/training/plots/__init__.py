"""Plots: the scenes of a recipe with their labels, decoded once into memory-mapped files.

Training reads small windows in random order, thousands of times; decoding a compressed raster for
each would take longer than the network. What is kept is what the file holds (8 or 16 bits where the
file has 8 or 16), with the scale and offset that turn it into the units of the model.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from geodl.errors import RecipeError
from geodl.training.cache import SceneCache
from geodl.training.plots.decode import decode_pair
from geodl.training.plots.divide import divide
from geodl.training.plots.pairs import Pair, find_pairs, folders, scene_names
from geodl.training.plots.plot import Plot, cut, strips, training_strips
from geodl.training.recipe import Recipe

__all__ = ["Pair", "Plot", "cut", "decode", "find_pairs", "folders", "strips", "training_strips"]


def decode(recipe: Recipe, folder: Path, *, gap: int, cache: SceneCache | None = None) -> list[Plot]:
    """Decode every scene of a recipe and divide it into training and validation.

    Parameters
    ----------
    recipe : Recipe
        What to read.
    folder : Path
        Receives what belongs to this run; the caller removes it.
    gap : int
        Pixels between training and validation where the recipe does not say.
    cache : SceneCache, optional
        Keeps the decoded scenes; by default they lie in `folder`.

    Raises
    ------
    RecipeError, SceneError, MismatchError
        Where files are missing, cannot be read or do not fit the recipe.
    """
    pairs = find_pairs(recipe)
    cache = cache or SceneCache(folder / "scenes")
    scenes = [decode_pair(pair, recipe, cache) for pair in pairs]
    for number, name in enumerate(scene_names(pairs)):
        if not pairs[number].source.stack:
            scenes[number] = replace(scenes[number], name=name)
    plots = divide(recipe, pairs, scenes, folder, gap=gap)
    labelled = any(np.any(plot.train) or np.any(plot.validation) for plot in plots)
    for role, counts in (
        ("training", [plot.train for plot in plots]),
        ("validation", [plot.validation for plot in plots]),
    ):
        if not np.sum(counts):
            raise RecipeError(
                recipe.where("split" if labelled else "classes"),
                f"no labelled pixel is left for {role}",
                "set split.gap or split.block smaller" if labelled else "check `from` of the classes",
            )
    return plots
