"""What pydantic found wrong with a recipe, as sentences that name line, key and cure."""

import difflib
from collections.abc import Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from geodl.training.recipe.positions import Positions

_SHOWN = 40
"""Characters of a wrong value that a message repeats."""


def explain(error: ValidationError, recipe: type[BaseModel], positions: Positions) -> str:
    """Every problem as ``line N, key.path: message``, joined by semicolons; each place once."""
    problems: dict[str, str] = {}
    for one in error.errors(include_url=False):
        model, keys = _model_at(recipe, one["loc"])
        problems.setdefault(positions.describe(keys) or "the recipe", _message(one, model))
    return "; ".join(f"{where}: {message}" for where, message in problems.items())


def _message(one: ErrorDetails, model: type[BaseModel] | None) -> str:
    message = one["msg"].removeprefix("Value error, ")
    if one["type"] == "extra_forbidden" and model is not None:
        known = [field.alias or name for name, field in model.model_fields.items()]
        near = difflib.get_close_matches(str(one["loc"][-1]), known, n=1)
        return (
            f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known are {', '.join(known)}"
        )
    if one["type"] == "missing":
        return "is missing; give it a value"
    if isinstance(one["input"], str | int | float | bool) and one["type"] != "value_error":
        shown = repr(one["input"])
        message += f", not {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}"
    return message


def _model_at(
    recipe: type[BaseModel], location: Sequence[str | int]
) -> tuple[type[BaseModel] | None, tuple[str | int, ...]]:
    """Return the part of the recipe that holds a key, and the way to the key in the file.

    A location of pydantic also names the branches of a union (``scenes.str``), which no file holds.
    """
    kind: Any = recipe
    holder: type[BaseModel] | None = recipe
    keys: list[str | int] = []
    for part in location:
        model = _model_of(kind)
        if isinstance(part, int):
            keys.append(part)
        elif model is not None:
            holder = model
            keys.append(part)
            kind = next(
                (f.annotation for name, f in model.model_fields.items() if part in (name, f.alias)), None
            )
        else:
            break  # a branch of a union, or a key of a free mapping
    return holder, tuple(keys)


def _model_of(kind: Any) -> type[BaseModel] | None:
    """Return the part of a recipe that an annotation means: ``Split``, ``list[Source]``, ``X | None``."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    if get_origin(kind) in (list, Union, UnionType):
        return next((model for each in get_args(kind) if (model := _model_of(each)) is not None), None)
    return None
