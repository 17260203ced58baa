"""The JSON schema of recipes accepts what `load_recipe` accepts, for editors go by it."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

import geodl
from geodl.errors import RecipeError
from geodl.training.recipe import load_recipe
from geodl.training.recipe.load import recipe_schema

RECIPES = sorted(
    path
    for path in (Path(geodl.__file__).parent.parent / "workflows").glob("*.yaml")
    if "sources" in yaml.safe_load(path.read_text(encoding="utf-8"))
)
SCHEMA = recipe_schema()
RECIPE = {
    "name": "m",
    "bands": ["ndvi"],
    "units": "reflectance",
    "calendar": {"start": "09-01", "every": 16, "steps": 4},
    "task": "landcover",
    "architecture": "series_conv",
    "classes": [
        {"value": 1, "name": "a", "color": "#000000"},
        {"value": 2, "name": "b", "color": "#ffffff"},
    ],
}
FROM_TABLE = {"scenes": "points.csv", "table": {}}
FROM_FILES = {"scenes": "ndvi_*.tif", "labels": "labels.tif", "series": True}


def errors(content):
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(content)]


def is_read(content, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    try:
        load_recipe(path)
    except RecipeError:
        return False
    return True


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_accepted(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert errors(content) == []
    spoilt = copy.deepcopy(content)
    del spoilt["sources"][0]["scenes"]
    assert errors(spoilt) == ["'scenes' is a required property"]


def test_there_are_recipes_with_and_without_tables():
    sources = [
        source for path in RECIPES for source in yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    ]
    assert {"table" in source for source in sources} == {True, False}


@pytest.mark.parametrize(
    ("source", "accepted"),
    [
        (FROM_TABLE, True),
        (FROM_FILES, True),
        ({**FROM_FILES, "table": None}, True),
        ({**FROM_TABLE, "table": {"label": "crop", "bands": {"ndvi": "NDVI"}}}, True),
        ({**FROM_TABLE, "table": None}, False),
        ({**FROM_TABLE, "labels": "labels.tif"}, False),
        ({"scenes": "ndvi_*.tif", "series": True}, False),
        ({**FROM_FILES, "lables": "x"}, False),
        ({**FROM_TABLE, "table": {"lable": "x"}}, False),
        ({**FROM_TABLE, "table": "points"}, False),
    ],
)
def test_labels_are_wanted_where_they_are_no_column_of_a_table(source, accepted, tmp_path):
    content = {**RECIPE, "sources": [source]}
    assert (errors(content) == []) is accepted
    assert is_read(content, tmp_path) is accepted
