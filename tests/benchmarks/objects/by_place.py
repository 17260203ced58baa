"""Learn from two places of fAIr, look at the third."""

from collections.abc import Callable
from pathlib import Path

from geodl.models.bundle import Model
from geodl.training import train
from geodl.training.recipe import Recipe, load_recipe
from geodl.training.recipe.data import Source
from geodl.training.recipe.start import Start
from tests.benchmarks.objects.sources import ROOT

FAIR = ("zanzibar_tz", "kampala_ug", "nairobi_ke")
_IMAGES = "buildings/fair_oam/{place}/images/*.png"


def recipe_without(place: str, minutes: float, seed: int = 1) -> Recipe:
    """Return the recipe of the building model with other sources: two places to learn from, one to check on.

    Parameters
    ----------
    place : str
        One of `FAIR`, which is held out.
    minutes : float
        How long to learn.
    seed : int
        Fixes the draws and the weights in the beginning.
    """
    recipe = load_recipe(ROOT / "workflows" / "buildings.yaml")
    optimisation = recipe.optimisation.model_copy(update={"time_limit_minutes": minutes})
    return recipe.model_copy(
        update={
            "name": f"buildings-without-{place.split('_')[0]}",
            "sources": [_source(name, "validation" if name == place else "train") for name in FAIR],
            # The bundled model of buildings has learnt from the very place that is held out.
            "start": Start(model="landcover-vhr"),
            "optimisation": optimisation,
            "seed": seed,
        }
    )


def _source(place: str, role: str) -> Source:
    """Tiles of a place; in Kampala a tile without labels is full of houses that nobody has drawn."""
    return Source.model_validate(
        {
            "scenes": _IMAGES.format(place=place),
            "labels": "{folder}/../labels/{stem}.geojson",
            "background": 0,
            "missing": "leave_out",
            "xyz": "{x}-{y}-{z}",
            "role": role,
        }
    )


def trained_without(place: str, minutes: float, work: Path, echo: Callable[[str], None]) -> Model:
    """Train the model of a place that is held out, or go on with it; it is kept in ``work/without-PLACE``."""
    return train(recipe_without(place, minutes), work / f"without-{place}", device="cpu", echo=echo)
