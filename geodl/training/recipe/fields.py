"""What every part of a recipe shares: strictness, and numbers that are checked."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Strict(BaseModel):
    """A part of a recipe: unknown keys are refused, and nothing changes after reading.

    The text below a field is its description in the JSON schema.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )
