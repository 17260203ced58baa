"""How the pixels that a model is checked on were kept apart from those it has learnt from, in words."""

from collections.abc import Sequence
from pathlib import PurePath

from geodl.training.plots import Plot
from geodl.training.recipe import Recipe, Split


def how_apart(recipe: Recipe, halo: int, plots: Sequence[Plot]) -> str:
    """Say it in a line, for the accuracy in ``model.json`` and for the report.

    Parameters
    ----------
    recipe : Recipe
        Its roles and its split.
    halo : int
        Of the model, pixels: the gap where the recipe names none.
    plots : sequence of Plot
        Of which some may check on ground that others learn from.
    """
    roles = {source.role for source in recipe.sources}
    said = []
    if roles - {"auto"}:
        said.append("scenes named in the recipe")
    if "auto" in roles:
        said.append(_divided(recipe.split, halo if recipe.split.gap is None else recipe.split.gap))
    total = sum(sum(plot.validation) for plot in plots)
    shared = sum(plot.shared * sum(plot.validation) for plot in plots)
    if shared:
        said.append(f"{_at_least_one_per_cent(shared / total)} of the labels on ground that was learnt from")
    return "; ".join(said)


def shared_warnings(plots: Sequence[Plot]) -> list[str]:
    """Name the scenes that check on ground that others learn from, with the cure."""
    return [
        f"warning: {_at_least_one_per_cent(plot.shared)} of the validation labels of {plot.name} lie on "
        "ground that another scene learns from, which flatters the accuracy: give both the role auto, or "
        "leave one out"
        for plot in plots
        if plot.shared
    ]


def _divided(split: Split, gap: int) -> str:
    fold = f", fold {split.fold or 0} of {split.folds}" if split.folds else ""
    if split.by == "scene":
        return f"whole scenes{fold}"
    distance = f"{gap} pixels apart"
    if split.by == "polygons":
        return f"inside the polygons of {PurePath(str(split.polygons)).name}, {distance}"
    return f"spatial blocks of {split.block} pixels, {distance}{fold}"


def _at_least_one_per_cent(share: float) -> str:
    return f"{max(share, 0.01):.0%}"
