"""Learning: a recipe and its scenes become a model folder.

==============  ================================================================================
`recipe`        `Recipe`: the YAML file, checked before anything is opened
`draft`         a recipe filled in after looking at the data
`plots`         scenes and labels decoded into memory-mapped arrays
`cache`         decoded scenes kept from run to run
`split`         spatial blocks with a gap between training and validation
`labelled`      how many pixels of each class there are for either
`split_map`     a picture of them, and `apart`: what they are in words
`samples`       which windows the network sees
`augment`       random changes to them
`weather`       haze, shadow, missing bands
`origin`        weights of another network to begin with
`transfer`      what of them is taken
`losses`        what a wrong prediction costs, by name (`topology`: of lines, `lovasz`: of overlap)
`optimisers`    which weights learn how fast
`schedules`     the course of the learning rate
`mix`           samples made of two
`learner`       one step: loss, learning rate, averaged weights
`clock`         how far a run is
`trainer`       Lightning, set up for one or several devices
`order`         which samples an epoch has, and `loader`: in batches
`rate_finder`   a learning rate to begin with
`batch_size`    the largest batch that fits
`checkpoint`    the state of an unfinished run, from which the same command goes on (`resuming`)
`keeper`        what happens after each epoch
`pretrain`      learning without labels
`evaluate`      accuracy on whole scenes, tile by tile
`familiar`      what the training data look like to the network, to tell what it has not seen
`fit`           the run
`journal`       what happened epoch by epoch, as a table
`showing`       everything that people see of a run: the bar (`live`), the logs (`board`), the report
`report`        one page for people, at the end of a run
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
    devices: int = 1,
    workers: int | None = None,
    restart: bool = False,
    cache: Path | None = None,
    echo: Callable[[str], None] = print,
) -> "Model":
    """Train a model from a recipe file; see `geodl.training.fit.fit`, which this imports when called."""
    from geodl.training.fit import fit

    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    return fit(
        recipe,
        out,
        device=device,
        devices=devices,
        workers=workers,
        restart=restart,
        cache=cache,
        echo=echo,
    )
