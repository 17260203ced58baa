"""Workflow files, and which scenes the arguments of a run name."""

import json
import re
from pathlib import Path

import pystac
import pytest
import yaml
from click.testing import CliRunner

from geodl.cli.run import run
from geodl.errors import OptionError, RecipeError, SceneError
from geodl.job import RunOptions
from geodl.sources import find_sources
from geodl.workflow import load_workflow
from tests.conftest import ROOT, write_scene


def write(folder, text):
    path = folder / "flow.yaml"
    path.write_text(text)
    return path


def test_the_example_is_valid():
    workflow = load_workflow(ROOT / "workflows" / "predict-s2.yaml")
    assert workflow.model == "landcover-s2"
    assert workflow.run == RunOptions(block=2048)
    assert workflow.scenes.reading["mask"] == "any"


def test_the_commented_keys_of_the_example_are_valid(tmp_path):
    text = (ROOT / "workflows" / "predict-s2.yaml").read_text()
    workflow = load_workflow(write(tmp_path, re.sub(r"^  # ", "  ", text, flags=re.MULTILINE)))
    assert workflow.scenes.assets == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert workflow.scenes.scale == (0.0001, -0.1)
    assert workflow.scenes.stack


def test_a_model_folder_is_seen_from_the_file(tmp_path):
    (tmp_path / "flows").mkdir()
    path = write(tmp_path / "flows", "model: ../models/mine\nrun: {memory: 4GB, probabilities: true}\n")
    workflow = load_workflow(path)
    assert Path(workflow.model).resolve() == tmp_path.resolve() / "models" / "mine"
    assert workflow.run == RunOptions(memory="4GB", probabilities=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no keys"),
        ("- a\n", "holds no keys"),
        ("model: [a\n", "line 2"),
        ("scenes: {}\n", "line 1: say either model, or change"),
        ("model: m\nscene: {}\n", r"line 2, scene: unknown key; known are model, change, scenes, run"),
        (
            "model: m\nscenes:\n  mask: any\n  band: [a]\n",
            r"line 4, scenes\.band: unknown key; known are bands, ",
        ),
        ("model: m\nscenes:\n  scale: much\n", r"line 3, scenes\.scale: .*0\.0001"),
        ("model: m\nscenes: {sensor: spot}\n", r"line 2, scenes\.sensor: .*sentinel-2"),
        ("model: m\nscenes:\n  resample: -1\n", r"line 3, scenes\.resample: .*greater than 0"),
        ("model: m\nscenes:\n  assets: []\n", r"line 3, scenes\.assets: "),
        ("model: m\nrun:\n\n  blocks: 2\n", r"line 4, run\.blocks: unknown key; known are block, memory"),
        ("model: m\nrun: {block: large}\n", r"line 2, run\.block: .*integer"),
        ("model: m\nrun: {block: 0}\n", r"run: --block 0: it is less than 1"),
        ("model: m\nrun: {memory: lots}\n", r"run: --memory lots: it is no size"),
        ("model: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
    ],
)
def test_a_wrong_workflow_is_refused(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_workflow(write(tmp_path, text))
    assert "flow.yaml" in str(caught.value)


def test_a_workflow_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.yaml"):
        load_workflow(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(RecipeError, match=r"binary\.yaml"):
        load_workflow(tmp_path / "binary.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * 2**20 + b"\n")
    with pytest.raises(RecipeError, match="larger"):
        load_workflow(tmp_path / "huge.yaml")


def test_every_option_of_a_run_can_stand_in_a_workflow(tmp_path):
    options = RunOptions(block=7, memory="1GB", device="cpu", batch=2, probabilities=True)
    path = write(tmp_path, yaml.safe_dump({"model": "m", "run": vars(options)}))
    assert load_workflow(path).run == options


# Scenes.


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif", "c[1].tif"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def paths_of(*arguments, **options):
    return [[Path(path).name for path in source.paths] for source in find_sources(arguments, {}, **options)]


def test_files_patterns_and_lists(files):
    assert paths_of("b.tif", "a.tif") == [["b.tif"], ["a.tif"]]
    assert paths_of("?.tif") == [["a.tif"], ["b.tif"]]
    assert paths_of("c[1].tif") == [["c[1].tif"]]
    assert paths_of("a.tif", "*.tif", str(files / "a.tif")) == [["a.tif"], ["b.tif"], ["c[1].tif"]]
    assert paths_of("missing.tif") == [["missing.tif"]]  # an error of that scene
    Path("list.txt").write_text("# scenes\nb.tif\n\n  a.tif\n?.tif\n")
    assert paths_of("list.txt") == paths_of("@list.txt") == [["b.tif"], ["a.tif"]]
    assert paths_of("[ab].tif", stack=True) == [["a.tif", "b.tif"]]
    assert paths_of("a.tif", "b.tif", stack=True) == [["a.tif"], ["b.tif"]]


@pytest.mark.parametrize(
    ("argument", "message"), [("*.jp2", "matches no file"), ("@none", "none"), ("no.txt", "no")]
)
def test_arguments_that_name_nothing(files, argument, message):
    with pytest.raises(OptionError, match=message):
        find_sources([argument], {})


def item(identity, **assets):
    made = pystac.Item(identity, None, None, pystac.utils.str_to_datetime("2024-05-01T00:00:00Z"), {})
    for key, (href, roles) in assets.items():
        made.add_asset(key, pystac.Asset(href, roles=roles))
    return made


def collection(path, *items):
    path.write_text(json.dumps(pystac.ItemCollection(items, clone_items=False).to_dict()))
    return str(path)


def test_items_of_a_collection(files):
    path = collection(
        files / "items.json",
        item(
            "S2 one", red=("r.tif", ["data"]), nir=("sub/n.tif", ["data"]), preview=("p.png", ["thumbnail"])
        ),
        item("../../two", red=((files / "a b.tif").as_uri(), ["data"])),
        item("three", red=("https://user:secret@example.com/r.tif?sig=1", ["data"])),
        item("four", preview=("p.png", ["thumbnail"])),
    )
    one, two, three, four = find_sources([path], {"mask": "any"})
    assert one.paths == (str(files / "r.tif"), str(files / "sub" / "n.tif"))
    assert (one.name, one.label) == ("S2 one", (f"{path}#S2 one",))
    assert two.paths == (str(files / "a b.tif"),)
    assert "/" not in two.name
    for source, message in ((three, "remote"), (four, r"no asset of the role data.*preview")):
        with pytest.raises(SceneError, match=message) as caught:
            source.open()
        assert "secret" not in str(caught.value)
    nir, *others = find_sources([path], {}, assets=["nir", "red"])
    assert nir.paths == (str(files / "sub" / "n.tif"), str(files / "r.tif"))
    with pytest.raises(SceneError, match="no asset nir"):
        others[0].open()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"type": "Catalog"}', '{"type": "FeatureCollection"}', '{"type": "Feature"}',
     '{"type": "FeatureCollection", "features": [3]}', '{"type": "FeatureCollection", "features": 3}',
     "[" * 100_000],
)  # fmt: skip
def test_what_is_no_item_collection(files, content):
    (files / "items.json").write_text(content)
    with pytest.raises(OptionError, match=r"items\.json"):
        find_sources(["items.json"], {})


def test_an_item_is_one_scene_of_stacked_assets(tiny_model, tmp_path):
    import rasterio

    whole = write_scene(tmp_path / "whole.tif", 130, 150)
    assets = {}
    with rasterio.open(whole) as file:
        for index, band in enumerate(("red", "green", "nir"), 1):
            profile = {**file.profile, "count": 1}
            with rasterio.open(tmp_path / f"{band}.tif", "w", **profile) as single:
                single.write(file.read(index), 1)
            assets[band] = (f"{band}.tif", ["data"])
    items = collection(tmp_path / "items.json", item("field", **assets))
    flow = write(
        tmp_path,
        f"model: {tiny_model.folder}\nscenes:\n  assets: [green, nir, red]\n"
        "  bands: [green, nir, red]\n  scale: 0.0001\n",
    )
    done = CliRunner().invoke(run, [str(flow), items, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "out" / "field" / "landcover.tif") as made:
        stacked = made.read(1)
    flow = write(tmp_path, f"model: {tiny_model.folder}\n")
    done = CliRunner().invoke(run, [str(flow), str(whole), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "out" / "whole" / "landcover.tif") as made:
        assert (made.read(1) == stacked).all()
