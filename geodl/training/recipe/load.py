"""From a YAML file to a `Recipe`, with errors that name the line, the key and what would do."""

import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from geodl.errors import RecipeError
from geodl.training.recipe.explain import explain
from geodl.training.recipe.positions import Positions, positions_of
from geodl.training.recipe.whole import Recipe

ROOT_VARIABLE = "GEODL_REAL_DATA"


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file.

    Parameters
    ----------
    path : str or Path
        A YAML file. ``data_root``, and ``root`` of a source, are relative to it and may contain
        ``${GEODL_REAL_DATA}`` or ``${GEODL_REAL_DATA:-fallback}``; no other variable is looked up.

    Raises
    ------
    RecipeError
        Naming the file, the line, the key, what is wrong with it and what would do.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        positions = positions_of(path, text)
        content = yaml.safe_load(text)
    except OSError as error:
        cause = f"cannot be read ({error.strerror})"
        raise RecipeError(f"recipe {path}", cause, "give a readable YAML file") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"recipe {path}", str(error), "give a YAML file in UTF-8") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"recipe {path}", _syntax(error), "mend that line") from error
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path}", "it holds no keys", "see workflows/ for examples")
    if positions.twice:
        keys, first, second = positions.twice[0]
        raise RecipeError(
            f"recipe {path}",
            f"line {second}, {'.'.join(map(str, keys))}: it is given on line {first} already",
            "remove one of them",
        )
    try:
        recipe = Recipe.model_validate(_with_folders(content, path, positions))
    except ValidationError as error:
        found = explain(error, Recipe, positions)
        raise RecipeError(f"recipe {path}", found, "mend the recipe") from error
    return recipe.placed(positions)


def recipe_schema() -> dict[str, Any]:
    """Return the JSON schema of a recipe, by which editors complete and check the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(by_alias=True),
        "title": "geodl training recipe",
    }


def _syntax(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem or error.context}"
    return str(error)


def _with_folders(content: dict[str, Any], path: Path, positions: Positions) -> dict[str, Any]:
    """Put whole paths in the place of those that are relative to the recipe."""

    def folder(text: object, *keys: str | int) -> Path:
        return (path.parent / _expand(str(text), path, positions.describe(keys))).resolve()

    whole = {**content, "data_root": folder(content.get("data_root", "."), "data_root")}
    if isinstance(sources := content.get("sources"), list):
        whole["sources"] = [
            {**source, "root": folder(source["root"], "sources", number, "root")}
            if isinstance(source, dict) and source.get("root") is not None
            else source
            for number, source in enumerate(sources)
        ]
    return whole


def _expand(text: str, path: Path, where: str) -> str:
    def value(match: re.Match[str]) -> str:
        name, fallback = match.groups()
        if name != ROOT_VARIABLE:
            raise RecipeError(f"recipe {path}", f"{where}: unknown variable {name}", f"use {ROOT_VARIABLE}")
        found = os.environ.get(name) or fallback
        if not found:
            raise RecipeError(f"recipe {path}", f"{where}: {name} is not set", f"export {name}=FOLDER")
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)
