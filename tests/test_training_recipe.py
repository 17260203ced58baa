from pathlib import Path, PurePosixPath

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import RecipeError
from geodl.training.plots import find_pairs
from geodl.training.recipe import load_recipe, recipe_schema
from geodl.training.recipe.portable import portable

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"

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
        (
            {"optimisation": {"epoch": 3}},
            r"line \d+, optimisation\.epoch: unknown key; did you mean epochs\?",
        ),
        ({"optimisation": {"steps": 3}}, r"optimisation\.steps: unknown key; known are epochs, "),
        (
            {"sources": [{**SMALL["sources"][0], "label": 1}]},
            r"sources\.0\.label: unknown key; did you mean labels\?",
        ),
        ({"sources": [{"scenes": "*.tif"}]}, r"line \d+, sources\.0\.labels: is missing"),
        ({"optimisation": {"batch": 0}}, r"optimisation\.batch: Input should be greater than 0, not 0"),
        ({"units": "radiance"}, r"units: Input should be 'reflectance', 'digital_number' or 'z_score'"),
        ({"classes": SMALL["classes"][:1]}, r"classes: List should have at least 2 items"),
        ({"classes": [SMALL["classes"][0], SMALL["classes"][0]]}, r"a class value occurs twice: \[3, 3\]"),
        ({"bands": ["red", "red"]}, r"a band occurs twice"),
        ({"sources": [{**SMALL["sources"][0], "role": "train"}]}, r"some 'validation', or 'auto' for both"),
        ({"augment": {"zoom": [2, 1]}}, r"augment\.zoom: \(2\.0, 1\.0\) is not"),
        ({"split": {"by": "polygons"}}, r"line \d+, split: `by: polygons` and `polygons: FILE` belong"),
        ({"split": {"fold": 1}}, r"split: `fold` needs `folds`"),
        (
            {"split": {"folds": 3, "fold": 3}},
            r"split: fold 3 does not exist: 3 folds are counted from 0 to 2",
        ),
        (
            {"split": {"by": "polygons", "polygons": "p.gpkg", "folds": 2}},
            r"not of polygons; leave `folds` out",
        ),
        ({"data_root": "${HOME}/x"}, r"unknown variable HOME: use GEODL_REAL_DATA"),
    ],
)
def test_a_wrong_recipe_fails_naming_file_key_and_choices(tmp_path, monkeypatch, changes, message):
    path = write(tmp_path, **changes)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["", "a: [", "[" * 5000, "!!python/object/apply:os.system [ls]", "- 1"])
def test_what_is_no_recipe_fails(tmp_path, content):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=r"r\.yaml"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="none"):
        load_recipe(tmp_path / "none.yaml")


COMMENTED = """# towns
name: small

bands: [red, green]
units: reflectance
classes:
  - {value: 3, name: water, color: "#0000ff"}
  - value: 7
    name: land
    color: yellow
sources:
  - scenes: "*.tif"
    labels: labels.tif
optimisation:
  learning_rat: 0.1
  batch: 0
"""


def test_every_problem_names_its_line(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(COMMENTED)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    problems = caught.value.cause.split("; ")
    assert problems[0].startswith("line 10, classes.1.color: String should match")
    assert problems[0].endswith("not 'yellow'")
    assert "line 15, optimisation.learning_rat: unknown key" in problems
    assert "did you mean learning_rate?" in problems
    assert any(p.startswith("line 16, optimisation.batch: ") and p.endswith("not 0") for p in problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nbands: [red\nunits: x\n", r"line 3, column 6: "),
        ("name: a\nsplit:\n  block: 4\n  block: 8\n", r"line 4, split\.block: it is given on line 3 already"),
        ("name: !!python/name:os.system\n", r"line 1, column 7: could not determine a constructor"),
        ("name: a\nsplit: &s\n  block: *s\n", r"its aliases repeat each other without end"),
    ],
)
def test_what_the_yaml_itself_gets_wrong_names_its_line(tmp_path, text, message):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_aliases_of_aliases_take_no_time(tmp_path):
    path = tmp_path / "r.yaml"
    levels = [f"  - &l{n} [*l{n - 1}, *l{n - 1}]" for n in range(1, 60)]
    path.write_text("\n".join(["sources:", "  - &l0 [x, x]", *levels]))
    with pytest.raises(RecipeError, match=r"its aliases repeat each other"):
        load_recipe(path)


def test_errors_after_reading_still_know_file_and_line(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        COMMENTED.replace("yellow", "'#ffff00'").replace("learning_rat:", "epochs:").split("  epochs")[0]
    )
    text = path.read_text().replace("optimisation:\n", "")
    path.write_text(text)
    recipe = load_recipe(path)
    assert recipe.where("sources", 0, "labels") == f"recipe {path}, line 13, sources.0.labels"
    assert recipe.where("split", "gap") == f"recipe {path}, split.gap"
    with pytest.raises(RecipeError, match=r"line 12, sources\.0\.scenes: nothing matches '\*\.tif'"):
        find_pairs(recipe)
    with pytest.raises(RecipeError, match=r"it has no folds: say how many under split"):
        recipe.with_fold(0)


def test_the_schema_says_what_the_reader_accepts():
    schema = recipe_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in sorted(WORKFLOWS.glob("landcover-*.yaml")):
        validator.validate(yaml.safe_load(path.read_text()))
    assert validator.is_valid(SMALL)
    assert not validator.is_valid({**SMALL, "epochs": 3})
    assert not validator.is_valid({**SMALL, "optimisation": {"batch": 0}})


def test_every_key_is_described():
    schema = recipe_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, entry in part["properties"].items():
            assert entry.get("description") or "$ref" in entry, f"{name} is not described"


def test_what_is_kept_of_a_recipe_names_no_folder_of_this_computer(tmp_path):
    there = tmp_path / "anna"
    source = {
        "scenes": [f"{there}/towns/*/images/*.tif", "near/*.tif"],
        "labels": f"{there}/labels/{{stem}}.tif",
        "root": str(there),
    }
    recipe = load_recipe(
        write(
            tmp_path,
            sources=[source],
            start={"model": f"{there}/runs/before"},
            split={"by": "polygons", "polygons": f"{there}/districts.gpkg"},
            pretraining={"scenes": [f"{there}/archive/*.tif"]},
            note="/etc/passwd stays a note",
        )
    )
    for whole in (False, True):
        told = recipe.written(whole=whole)
        assert "anna" not in str(told)
        assert told["sources"][0]["scenes"] == ["*/images/*.tif", "near/*.tif"]
        assert told["sources"][0]["labels"] == "{stem}.tif"
        assert told["start"]["model"] == "before"
        assert told["split"]["polygons"] == "districts.gpkg"
        assert told["pretraining"]["scenes"] == ["*.tif"]
        assert told["note"] == "/etc/passwd stays a note"
    assert "optimisation" not in recipe.written()
    assert recipe.written(whole=True)["optimisation"]["epochs"] == 20


@given(
    st.lists(st.text("ab c.{*}", min_size=1, max_size=6).filter(lambda part: part.strip(". ")), min_size=2)
)
def test_a_path_keeps_its_end_and_loses_its_beginning(parts):
    for start in ("/home/", "C:\\", "//server/share/"):
        whole = start + "/".join(parts)
        short = portable(whole)
        assert whole.replace("\\", "/").endswith(short)
        assert not PurePosixPath(short).is_absolute()
        assert portable(short) == short
    assert portable("/".join(parts)) == "/".join(parts)
