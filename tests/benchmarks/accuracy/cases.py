"""What is compared: a data set, a way to learn from it, a seed, and the effort that all ways share."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from geodl.models.table import tiling_of
from geodl.training.draft import draft_recipe
from geodl.training.recipe import Augment, Recipe, load_recipe
from geodl.training.recipe.start import Start

WORKFLOWS = Path(__file__).resolve().parents[3] / "workflows"

DATA = {
    "zion": WORKFLOWS / "landcover-zion.yaml",
    "gewata": WORKFLOWS / "landcover-gewata.yaml",
    "dubai": WORKFLOWS / "landcover-vhr.yaml",
}
"""Recipes by the names of their data."""

UNCHANGED = Augment(flips_rotations=False, brightness=0, contrast=0, channels=0, noise=0)
"""No random change at all."""

PEERS = ("forest", "torchgeo")
"""Ways to learn that are not geodl's."""
BASES = ("default", "best")
"""The recipe as ``geodl train --init`` writes it, and the one in workflows/."""

ALTERATIONS: dict[str, dict[str, Any]] = {
    "-weights": {"optimisation": {"class_weights": "none"}},
    "-draws": {"optimisation": {"balanced_draws": 0.0}},
    "+draws": {"optimisation": {"balanced_draws": 0.5}},
    "-average": {"optimisation": {"ema": None}},
    "-rate": {"optimisation": {"learning_rate": 0.001}},
    "-schedule": {"optimisation": {"schedule": "constant"}},
    "-augment": {"augment": UNCHANGED.model_dump()},
    "-turns": {"augment": {"flips_rotations": False}},
    "-zoom": {"augment": {"zoom": (1.0, 1.0)}},
    "-patience": {"augment": {"after_passes": 0.0}},
    "-smoothing": {"optimisation": {"label_smoothing": 0.0}},
    "+smoothing": {"optimisation": {"label_smoothing": 0.1}},
    "+dice": {"optimisation": {"loss": {"cross_entropy": 1.0, "dice": 0.5}}},
    "-lovasz": {"optimisation": {"loss": "cross_entropy"}},
    "+cutmix": {"augment": {"cutmix": 0.3}},
    "+compact": {"architecture": "unet_compact", "parameters": {}},
    "+generated": {"start": Start(model="landcover-s2")},
    "+pretrained": {},
}
"""One ingredient more or less: appended to a base, as in ``default-weights`` or ``default-weights+draws``.

``-patience`` changes all samples at random from the first one on. ``+generated`` starts from the model
trained on generated scenes, ``+pretrained`` from one that restored hidden squares of the scenes themselves
for as many steps again.
"""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What all ways spend alike.

    Parameters
    ----------
    steps : int
        Steps of the optimiser.
    batch : int
        Samples of a step.
    patch : int
        Side of a sample in pixels.
    """

    steps: int
    batch: int = 8
    patch: int = 128


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run.

    Parameters
    ----------
    data : str
        Row of `DATA`.
    variant : str
        One of `PEERS` or `BASES`, or one of `BASES` followed by some of `ALTERATIONS`.
    seed : int
        Fixes the blocks held out, the draws and the weights in the beginning.
    effort : Effort
        Steps, batch and patch.
    """

    data: str
    variant: str
    seed: int
    effort: Effort

    @property
    def base(self) -> str:
        """The variant without its alterations."""
        return split_name(self.variant)[0]

    @property
    def alterations(self) -> tuple[str, ...]:
        """Rows of `ALTERATIONS`, in order."""
        return split_name(self.variant)[1]

    def recipe(self) -> Recipe:
        """Return what to train: scenes, labels and split are those of the file for every variant."""
        recipe = with_effort(load_recipe(DATA[self.data]), self.seed, self.effort)
        if self.base == "default":
            recipe = drafted(recipe)
        for name in self.alterations:
            recipe = altered(recipe, ALTERATIONS[name])
        return recipe


def split_name(variant: str) -> tuple[str, tuple[str, ...]]:
    """Split a variant into what it is and what is changed.

    >>> split_name("default-weights+draws"), split_name("torchgeo")
    (('default', ('-weights', '+draws')), ('torchgeo', ()))

    Raises
    ------
    ValueError
        There is no such variant.
    """
    base, *changes = re.split("(?=[-+])", variant)
    known = PEERS + BASES if not changes else BASES
    if base in known and all(change in ALTERATIONS for change in changes):
        return base, tuple(changes)
    raise ValueError(
        f"no variant {variant!r}; there are {', '.join(PEERS + BASES)}, and {' or '.join(BASES)} "
        f"followed by any of {', '.join(ALTERATIONS)}"
    )


def with_effort(recipe: Recipe, seed: int, effort: Effort) -> Recipe:
    """Return a recipe of one long epoch, checked at its end alone.

    No state is chosen by what validation says of it, so that no way gains by being checked more often.
    The gap becomes a number: another network must not get another split.
    """
    gap = recipe.split.gap
    if gap is None:
        gap = tiling_of(recipe.architecture, recipe.parameters).halo
    return altered(
        recipe,
        {
            "seed": seed,
            "split": {"gap": gap},
            "optimisation": {
                "epochs": 1,
                "samples_per_epoch": effort.steps * effort.batch,
                "batch": effort.batch,
                "patch": effort.patch,
                "accumulate": 1,
                "time_limit_minutes": None,
                "patience": None,
                "validation_every": 1,
                # The last look of a run is at all pixels; the one before it costs time and decides nothing.
                "validation_pixels": 1,
            },
        },
    )


def drafted(recipe: Recipe) -> Recipe:
    """Return the recipe with the network, optimisation and augmentation that a first draft has."""
    source = recipe.sources[0]
    text = draft_recipe(recipe.task, source.patterns[0], source.labels, folder=recipe.data_root)
    draft = Recipe.model_validate(yaml.safe_load(text))
    effort = ("epochs", "samples_per_epoch", "batch", "patch", "validation_pixels")
    kept = {name: getattr(recipe.optimisation, name) for name in effort}
    return recipe.model_copy(
        update={
            "architecture": draft.architecture,
            "parameters": draft.parameters,
            "tile": None,
            "halo": None,
            "stitch": None,
            "start": None,
            "optimisation": draft.optimisation.model_copy(update=kept),
            "augment": draft.augment,
        }
    )


def altered(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """Return the recipe with other values; those of parts, given as mappings, are changed one by one."""
    update: dict[str, Any] = {}
    for name, value in changes.items():
        part = getattr(recipe, name)
        update[name] = part.model_copy(update=value) if hasattr(part, "model_copy") else value
    if "architecture" in changes:
        update |= {"tile": None, "halo": None, "stitch": None}
    return recipe.model_copy(update=update)
