"""From a YAML file to a `Recipe`, with errors that name the key and what would do."""

import os
import re
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from geodl.errors import RecipeError
from geodl.training.recipe.data import LabelClass, Source, Split
from geodl.training.recipe.learning import Augment, Optimisation
from geodl.training.recipe.whole import Recipe

ROOT_VARIABLE = "GEODL_REAL_DATA"


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file.

    Parameters
    ----------
    path : str or Path
        A YAML file. ``data_root`` in it may contain ``${GEODL_REAL_DATA}`` or
        ``${GEODL_REAL_DATA:-fallback}``; no other variable is looked up.

    Raises
    ------
    RecipeError
        Naming the file, the key, what is wrong with it and what would do.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path}", str(error), "give a readable YAML file") from error
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path}", "it holds no keys", "see workflows/ for examples")
    root = _expand(str(content.get("data_root", ".")), path)
    try:
        return Recipe.model_validate({**content, "data_root": (path.parent / root).resolve()})
    except ValidationError as error:
        raise RecipeError(f"recipe {path}", _explain(error), "mend the recipe") from error


def _expand(text: str, path: Path) -> str:
    def value(match: re.Match[str]) -> str:
        name, fallback = match.groups()
        if name != ROOT_VARIABLE:
            raise RecipeError(f"recipe {path}", f"data_root: unknown variable {name}", f"use {ROOT_VARIABLE}")
        found = os.environ.get(name) or fallback
        if not found:
            raise RecipeError(f"recipe {path}", f"data_root: {name} is not set", f"export {name}=FOLDER")
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)


def _explain(error: ValidationError) -> str:
    """Every problem as ``key.path: message``, joined by semicolons."""
    problems = []
    for one in error.errors(include_url=False):
        where = ".".join(str(part) for part in one["loc"]) or "recipe"
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = f"unknown key; known are {', '.join(_siblings(one['loc']))}"
        problems.append(f"{where}: {message}")
    return "; ".join(problems)


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Keys that may stand where an unknown one was found."""
    models: dict[str, type[BaseModel]] = {
        "classes": LabelClass,
        "sources": Source,
        "split": Split,
        "optimisation": Optimisation,
        "augment": Augment,
    }
    home = models.get(str(location[0]), Recipe) if len(location) > 1 else Recipe
    return [field.alias or name for name, field in home.model_fields.items()]
