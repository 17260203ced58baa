"""Learning: a recipe and its scenes become a model folder.

==============  ================================================================================
`recipe`        `Recipe`: the YAML file, checked before anything is opened
`plots`         scenes and labels decoded into memory-mapped arrays
`split`         spatial blocks with a gap between training and validation
`samples`       which windows the network sees
`augment`       random changes to them
`learner`       one step: loss, optimiser, learning rate, averaged weights
`evaluate`      accuracy on whole scenes, tile by tile
`fit`           the run
`floor`         a random forest on single pixels, for comparison
==============  ================================================================================
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from geodl.training.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from geodl.models.bundle import Model

__all__ = ["Recipe", "load_recipe", "train"]


def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    echo: Callable[[str], None] = print,
) -> "Model":
    """Train a model from a recipe file; see `geodl.training.fit.fit`, which this imports when called."""
    from geodl.training.fit import fit

    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    return fit(recipe, out, device=device, workers=workers, echo=echo)
