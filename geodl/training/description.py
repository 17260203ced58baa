"""The `ModelSpec` that a recipe promises, before there are weights."""

from datetime import UTC, datetime

from pydantic import ValidationError

from geodl.errors import RecipeError
from geodl.models.spec import BandSpec, ClassSpec, ModelSpec, TrainingSpec, first_problem
from geodl.models.table import tiling_of
from geodl.training.recipe import Recipe


def check_patch(recipe: Recipe) -> None:
    """Check that the network takes samples of the size that the recipe names.

    Raises
    ------
    RecipeError
        The side is no multiple of the stride.
    ModelError
        If the architecture or a parameter of it is unknown.
    """
    stride, patch = tiling_of(recipe.architecture, recipe.parameters).stride, recipe.optimisation.patch
    if patch % stride:
        below = patch // stride * stride
        raise RecipeError(
            recipe.where("optimisation", "patch"),
            f"{patch} is no multiple of {stride}, which this network needs",
            f"use {f'{below} or ' if below >= 16 else ''}{below + stride}",
        )


def make_spec(
    recipe: Recipe, bands: list[BandSpec] | None = None, data: list[str] | None = None
) -> ModelSpec:
    """Write down what a prediction must know.

    Parameters
    ----------
    recipe : Recipe
        Where not given, tile, halo and stitch mode are those of the architecture.
    bands : list of BandSpec, optional
        Bands with their statistics; by default mean 0 and standard deviation 1, enough to check
        whether a scene fits.
    data : list of str, optional
        Folders of the training data, relative to the recipe's `data_root`.

    Raises
    ------
    RecipeError
        If tile and halo do not fit the stride, or another entry contradicts the rest.
    ModelError
        If the architecture or a parameter of it is unknown.
    """
    tiling = tiling_of(recipe.architecture, recipe.parameters)
    try:
        return ModelSpec(
            name=recipe.name,
            title=recipe.title,
            task=recipe.task,
            architecture=recipe.architecture,
            parameters=recipe.parameters,
            bands=bands or [BandSpec(name=name, mean=0, std=1) for name in recipe.bands],
            units=recipe.units,
            dtype=recipe.dtype,
            calendar=recipe.calendar,
            pixel_size=recipe.pixel_size,
            pixel_size_range=recipe.pixel_size_range,
            classes=[ClassSpec(value=c.value, name=c.name, color=c.color) for c in recipe.classes],
            tile=tiling.tile if recipe.tile is None else recipe.tile,
            halo=tiling.halo if recipe.halo is None else recipe.halo,
            stride=tiling.stride,
            stitch=recipe.stitch or tiling.stitch,
            licence=recipe.licence,
            training=TrainingSpec(
                data=data or [],
                licence=recipe.licence,
                date=datetime.now(UTC).date().isoformat(),
                recipe=recipe.written(),
                note=recipe.note,
            ),
        )
    except ValidationError as error:
        raise RecipeError(f"recipe {recipe.name}", first_problem(error), "mend that entry") from error
