"""What a calendar makes of a recipe: the bands of one date become those of all steps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from geodl.calendars import Calendar
from geodl.models.table import MODELS

if TYPE_CHECKING:
    from geodl.training.recipe.whole import Recipe


def with_all_steps(content: Any) -> Any:
    """Name the bands of all steps in the place of those of one date, and tell the network their number.

    What is wrong with the content is left for the fields to say; what names all steps stays as it is.
    """
    if not isinstance(content, Mapping) or content.get("calendar") is None:
        return content
    try:
        calendar = Calendar.model_validate(content["calendar"])
    except ValidationError:
        return content
    whole, bands = dict(content), content.get("bands")
    parameters = content.get("parameters", {})
    if isinstance(bands, list) and all(isinstance(band, str) for band in bands):
        whole["bands"] = bands if calendar.bands_of_one_date(bands) else calendar.bands(bands)
    if isinstance(parameters, Mapping) and _takes_steps(content.get("architecture")):
        whole["parameters"] = {"steps": calendar.steps, **parameters}
    return whole


def check_many_dates(recipe: "Recipe") -> None:
    """Check that calendar, sources and network are all for many dates, or none is.

    Raises
    ------
    ValueError
        Says what does not fit.
    """
    for number, source in enumerate(recipe.sources, 1):
        if source.of_many_dates != (recipe.calendar is not None):
            raise ValueError(
                f"source {number} is of many dates; say at which steps a network sees them with `calendar`"
                if source.of_many_dates
                else f"source {number} is no series: with a `calendar` it needs `series: true` or `table`"
            )
    if recipe.calendar is None:
        return
    if recipe.units == "z_score":
        raise ValueError(
            "`units: z_score` is for scenes of one or two dates; a series keeps its course in time"
        )
    steps = recipe.parameters.get("steps", recipe.calendar.steps)
    if steps != recipe.calendar.steps:
        raise ValueError(f"`steps` {steps} of the parameters: the calendar has {recipe.calendar.steps}")
    if any(source.table is not None for source in recipe.sources):
        _check_points(recipe)


def _check_points(recipe: "Recipe") -> None:
    """Points of a table lie beside each other by chance: nothing may mix neighbours."""
    mixing = {"blur": 0, "haze": 0, "shadow": 0, "zoom": (1, 1)}
    for name, none in mixing.items():
        if getattr(recipe.augment, name) != none:
            raise ValueError(f"augment.{name} mixes neighbours, and points of a `table` have none")
    if recipe.split.by == "polygons":
        raise ValueError("points of a `table` are divided by squares of degrees or as whole tables")


def _takes_steps(architecture: object) -> bool:
    row = MODELS.get(str(architecture))
    return row is not None and "steps" in row.parameters.model_fields
