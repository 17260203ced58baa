import pytest
import yaml

from geodl.errors import RecipeError
from geodl.training.recipe import load_recipe

SMALL = {
    "name": "small",
    "bands": ["red", "green"],
    "units": "reflectance",
    "classes": [
        {"value": 3, "name": "water", "color": "#0000FF", "from": [11, "#00FF00"]},
        {"value": 7, "name": "land", "color": "#ffff00"},
    ],
    "sources": [{"scenes": "*.tif", "labels": "{folder}/{stem}_labels.tif"}],
}


def write(folder, **changes):
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}))
    return path


def test_a_small_recipe_passes(tmp_path):
    recipe = load_recipe(write(tmp_path))
    assert recipe.mapping == {11: 0, "#00ff00": 0, 7: 1}
    assert recipe.position(7) == 1
    assert recipe.data_root == tmp_path.resolve()
    assert str(tmp_path) not in str(recipe.written())
    assert recipe.written()["classes"][0]["from"] == [11, "#00FF00"]


def test_the_data_root_may_come_from_the_environment(tmp_path, monkeypatch):
    path = write(tmp_path, data_root="${GEODL_REAL_DATA:-elsewhere}/x")
    monkeypatch.delenv("GEODL_REAL_DATA", raising=False)
    assert load_recipe(path).data_root == tmp_path.resolve() / "elsewhere" / "x"
    monkeypatch.setenv("GEODL_REAL_DATA", "/data")
    assert str(load_recipe(path).data_root) == "/data/x"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, r"epochs: unknown key; known are name, title"),
        ({"optimisation": {"epoch": 3}}, r"optimisation\.epoch: unknown key; known are epochs, "),
        (
            {"sources": [{**SMALL["sources"][0], "label": 1}]},
            r"sources\.0\.label: unknown key; known are scenes",
        ),
        ({"optimisation": {"batch": 0}}, r"optimisation\.batch: Input should be greater than 0"),
        ({"units": "radiance"}, r"units: Input should be 'reflectance' or 'digital_number'"),
        ({"classes": SMALL["classes"][:1]}, r"classes: List should have at least 2 items"),
        ({"classes": [SMALL["classes"][0], SMALL["classes"][0]]}, r"a class value occurs twice: \[3, 3\]"),
        ({"bands": ["red", "red"]}, r"a band occurs twice"),
        ({"sources": [{**SMALL["sources"][0], "role": "train"}]}, r"some 'validation', or 'auto' for both"),
        ({"augment": {"zoom": [2, 1]}}, r"augment\.zoom: \(2\.0, 1\.0\) is not"),
        ({"data_root": "${HOME}/x"}, r"unknown variable HOME: use GEODL_REAL_DATA"),
    ],
)
def test_a_wrong_recipe_fails_naming_file_key_and_choices(tmp_path, monkeypatch, changes, message):
    path = write(tmp_path, **changes)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["", "a: [", "!!python/object/apply:os.system [ls]", "- 1"])
def test_what_is_no_recipe_fails(tmp_path, content):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=r"r\.yaml"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="none"):
        load_recipe(tmp_path / "none.yaml")
