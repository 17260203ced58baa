"""A model of change over two dates: the same guarantees as one scene has, and products of its own."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from matplotlib.image import imread

import geodl
from geodl.alignment import suppress_shift
from geodl.change_map import SIDE
from geodl.cli import main
from geodl.errors import GeodlError, MismatchError, OptionError, RecipeError, SceneError
from geodl.job import RunOptions, connect, run_scene
from geodl.models.spec import BandSpec, ClassSpec
from geodl.pairs import find_pairs, pair_source
from geodl.scene import as_scene
from geodl.vector.changes import transition
from geodl.workflow import load_workflow
from tests.conftest import make_model, make_spec, whole_scene_probabilities, write_scene

SAMPLES = Path(__file__).parent.parent / "sample_scenes"
BANDS = [f"{date}.{band}" for date in ("before", "after") for band in ("red", "green", "nir")]
CLASSES = (("unchanged", "#d9d9d9"), ("changed", "#d7301f"))
NEAR = Affine(10, 0, 600203, 0, -10, 5199896)  # 20.3 columns and 10.4 rows from the usual place


def change_spec(**changes):
    fields = {
        "name": "change-tiny", "task": "change", "title": "Change",
        "bands": [BandSpec(name=name, mean=0.2, std=0.1) for name in BANDS],
        "classes": [ClassSpec(value=v, name=n, color=c) for v, (n, c) in enumerate(CLASSES)],
    }  # fmt: skip
    return make_spec(**{**fields, **changes})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "change-tiny", change_spec(), scale=5)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two dates that overlap in part, half a pixel off each other, with holes in different corners."""
    folder = tmp_path_factory.mktemp("dates")
    before = write_scene(folder / "valley_2023-05-01.tif")
    after = write_scene(folder / "valley_2024.tif", 260, 280, seed=1, transform=NEAR)
    for path, hole in ((before, np.s_[:, 60:100, 40:90]), (after, np.s_[:, 150:200, 100:180])):
        with rasterio.open(path, "r+") as file:
            pixels = file.read()
            pixels[hole] = 0
            file.write(pixels)
    return before, after


@pytest.fixture(scope="module")
def client():
    with connect() as client:
        yield client


@pytest.fixture(scope="module")
def product(files, model, client, tmp_path_factory):
    return run_scene(
        geodl.open_pair(*files), model, tmp_path_factory.mktemp("products"), RunOptions(), client=client
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def band(path):
    with rasterio.open(path) as file:
        return file.read(1)


def test_the_map_is_that_of_the_whole_pair(files, model):
    pair = geodl.open_pair(*files)
    result = geodl.predict(pair, model, block=100).compute()
    expected, valid = whole_scene_probabilities(as_scene(pair), model)
    classes = result["class"].values
    np.testing.assert_array_equal(classes < 253, valid)
    assert (classes == expected.argmax(0))[valid].mean() >= 0.9999
    assert 0.05 < (classes[valid] == 1).mean() < 0.95
    np.testing.assert_allclose(result["confidence"].values[valid], expected.max(0)[valid], atol=1e-3)
    assert result.odc.geobox == pair.odc.geobox


def test_the_date_without_data_is_named(files, model, product):
    pair = geodl.open_pair(*files)
    before, after = (geodl.valid_mask(pair)[number].values for number in (0, 1))
    truth = np.select([before & after, after, before], [0, 253, 254], 255)
    assert [(truth == code).any() for code in (0, 253, 254)] == [True] * 3
    for classes in (geodl.predict(pair, model)["class"].values, band(product / "change.tif")):
        np.testing.assert_array_equal(np.where(classes < 253, 0, classes), truth)


def test_neither_date_holds_data(files, model):
    pair = geodl.open_pair(*files).load()
    pair[:, :, 100:110, 200:210] = 0
    classes = geodl.predict(pair, model)["class"].values
    assert (classes[100:110, 200:210] == 255).all()


def test_everything_is_published(product, model):
    assert product.name == "valley_2023-05-01_2024"
    assert {path.name for path in product.iterdir()} == {
        "change.tif", "change.tif.aux.xml", "change.qml", "change.gpkg", "change.png", "confidence.tif",
        "confidence.qml", "change_probability.tif", "change_probability.qml", "manifest.json",
        "map.qgz", "item.json", "model.json", "thumbnail.png", "report.html",
    }  # fmt: skip
    with rasterio.open(product / "change.tif") as file:
        assert file.nodata == 255
        table = {c["value"]: c["name"] for c in json.loads(file.tags()["GEODL_CLASSES"])}
        assert table == {0: "unchanged", 1: "changed", 253: "no data before", 254: "no data after"}
        assert "valley_2023-05-01.tif" in file.tags()["GEODL_INPUTS"]
        assert "valley_2024.tif" in file.tags()["GEODL_INPUTS"]
    entries = Xml.parse(product / "change.qml").iter("paletteEntry")
    assert {int(e.get("value")): e.get("alpha") for e in entries} == {
        0: "0",
        1: "255",
        253: "255",
        254: "255",
    }
    manifest = json.loads((product / "manifest.json").read_text())
    assert [row["name"] for row in manifest["inputs"]] == ["valley_2023-05-01.tif", "valley_2024.tif"]
    dates = manifest["scene"]["dates"]
    assert [(d["label"], d["date"]) for d in dates] == [("before", "2023-05-01"), ("after", "2024")]
    assert manifest["model"]["hash"] == model.hash


def test_probability_of_change_is_that_of_the_network(product, files, model):
    expected, valid = whole_scene_probabilities(as_scene(geodl.open_pair(*files)), model)
    percent = band(product / "change_probability.tif")
    np.testing.assert_array_equal(percent != 255, valid)
    np.testing.assert_allclose(percent[valid] / 100, expected[1][valid], atol=0.0061)
    with rasterio.open(product / "change_probability.tif") as file:
        assert file.scales == (0.01,)


def test_only_what_changed_becomes_polygons(product):
    layer = geopandas.read_file(product / "change.gpkg", layer="change")
    columns = ["class", "name", "from", "to", "area_m2", "confidence", "date_before", "date_after"]
    assert [name for name in layer.columns if name in columns] == columns
    assert set(layer["class"]) == {1}
    assert set(layer["name"]) == {"changed"}
    assert set(layer["from"]) == set(layer["to"]) == {""}
    assert set(layer["date_before"]) == {"2023-05-01"}
    assert set(layer["date_after"]) == {"2024"}
    changed = (band(product / "change.tif") == 1).sum()
    np.testing.assert_allclose(layer["area_m2"].sum(), changed * 100, rtol=2.5e-3)
    frame = geodl.vectorize(product / "change.tif", task="change", confidence=product / "confidence.tif")
    assert len(frame) == len(layer)


def test_transitions_name_from_and_to(files, tmp_path, client):
    names = ("unchanged", "forest -> built-up", "cropland->water")
    colors = ("#d9d9d9", "#d7301f", "#2b6cb0")
    classes = [
        ClassSpec(value=v, name=n, color=c) for v, (n, c) in enumerate(zip(names, colors, strict=True))
    ]
    several = make_model(tmp_path / "m", change_spec(name="change-three", classes=classes), scale=5)
    options = RunOptions(probabilities=True)
    folder = run_scene(geodl.open_pair(*files), several, tmp_path / "out", options, client=client)
    layer = geopandas.read_file(folder / "change.gpkg", layer="change")
    found = set(zip(layer["class"], layer["from"], layer["to"], strict=True))
    assert found == {(1, "forest", "built-up"), (2, "cropland", "water")}
    with rasterio.open(folder / "probability.tif") as file:
        unchanged = file.read(1).astype(int)
    likely = band(folder / "change_probability.tif")
    np.testing.assert_array_equal(likely, np.where(unchanged == 255, 255, 100 - unchanged))
    few = RunOptions(products=("map", "confidence"))
    plain = run_scene(geodl.open_pair(*files), several, tmp_path / "few", few, client=client)
    assert not (plain / "change_probability.tif").exists()  # the probability of a class does not say it
    assert transition("a -> b -> c") == ("a", "b -> c")


def test_products_are_the_same_bytes_for_every_block_size(files, model, client, tmp_path, small_chunks):
    made = [
        run_scene(
            geodl.open_pair(*files),
            model,
            tmp_path / str(block),
            RunOptions(block=block, tile=184),
            client=client,
        )
        for block in (57, None)
    ]
    assert contents(made[0]) == contents(made[1])


def test_an_interrupted_run_goes_on(files, model, client, product, tmp_path, monkeypatch, small_chunks):
    from geodl import scene_run

    whole, computed = scene_run.process_block, []

    def counted(job, block):
        for piece in whole(job, block):
            computed.append(piece)
            yield piece

    def dies(job, block):
        for number, piece in enumerate(whole(job, block)):
            if block.window.row > 100:
                raise SceneError("scene", f"is gone after {number} pieces", "mount the disk again")
            yield piece

    options = RunOptions(block=50, tile=184, products=("map", "confidence"))
    monkeypatch.setattr(scene_run, "process_block", counted)
    undisturbed = run_scene(geodl.open_pair(*files), model, tmp_path / "whole", options, client=client)
    pieces = len(computed)
    monkeypatch.setattr(scene_run, "process_block", dies)
    with pytest.raises(GeodlError, match="mount the disk again"):
        run_scene(geodl.open_pair(*files), model, tmp_path / "broken", options, client=client)
    computed.clear()
    monkeypatch.setattr(scene_run, "process_block", counted)
    again = run_scene(geodl.open_pair(*files), model, tmp_path / "broken", options, client=client)
    assert 0 < len(computed) < pieces
    assert contents(again) == contents(undisturbed)


def test_changes_that_a_shift_explains_are_taken_back(files, model, client, product, tmp_path, small_chunks):
    pair = geodl.open_pair(*files)
    classes = geodl.open_product(product).rasters["class"]
    expected = suppress_shift(classes, pair.isel(time=0), pair.isel(time=1), k=2).values
    assert ((classes.values == 1) & (expected == 0)).sum() > 100
    for number, block in enumerate((96, 400)):
        out = tmp_path / str(number)
        mended = run_scene(pair, model, out, RunOptions(suppress_shift=2, block=block), client=client)
        np.testing.assert_array_equal(band(mended / "change.tif"), expected)
        for name in ("confidence.tif", "change_probability.tif"):  # are those of the model
            np.testing.assert_array_equal(band(mended / name), band(product / name))
        polygons = geopandas.read_file(mended / "change.gpkg", layer="change")
        assert polygons.area.sum() == pytest.approx(100 * (expected == 1).sum())
    assert json.loads((mended / "manifest.json").read_text())["suppress_shift"] == 2


def test_the_picture_shows_both_dates_in_one_stretch(product, files):
    picture = (imread(product / "change.png")[..., :3] * 255).round()
    width = band(product / "change.tif").shape[1]
    assert picture.shape[1] > 3 * width
    assert (picture[-1] == 255).all()  # paper, below the legend
    assert (picture == (0xD7, 0x30, 0x1F)).all(axis=-1).sum() >= (band(product / "change.tif") == 1).sum()


def test_pictures_of_large_scenes_stay_small_and_keep_single_pixels():
    from geodl.change_map import _windows
    from geodl.publish.triptych import strongest

    classes = np.zeros((70, 50), np.uint8)
    classes[33, 17], classes[:7], classes[8, 2] = 1, 254, 253
    thin = strongest(classes, 7)
    assert thin.shape == (10, 8)
    assert np.argwhere(thin == 1).tolist() == [[4, 2]]
    assert (thin[0] == 254).all()
    assert (thin[1] == 0).all()
    covered = np.zeros((5000, 3300), int)
    factor = -(-5000 // SIDE)
    for window, _ in _windows(5000, 3300, factor):
        covered[window.slices] += 1
        assert window.height <= 1024
    assert (covered == 1).all()


def test_models_and_scenes_of_another_kind_are_refused(files, model, tiny_model, tmp_path):
    single, pair = geodl.open_scene(files[0]), geodl.open_pair(*files)
    with pytest.raises(MismatchError, match=r"compares 2 dates, the scene holds 1.*BEFORE AFTER"):
        geodl.predict(single, model)
    with pytest.raises(MismatchError, match=r"maps a single date, the scene holds 2"):
        geodl.predict(pair, tiny_model)
    with pytest.raises(MismatchError, match=r"the pair lacks before.nir, after.nir.*--after-bands"):
        geodl.predict(pair.sel(band=["red", "green"]), model)
    classes = [ClassSpec(value=v, name=n, color=c) for v, (n, c) in zip((1, 253), CLASSES, strict=True)]
    odd = make_model(tmp_path / "odd", change_spec(name="odd", classes=classes))
    with pytest.raises(MismatchError, match=r"class values 1, 253; in a change map 0 means unchanged"):
        geodl.predict(pair, odd)


def test_the_command_takes_two_scenes(files, model, tmp_path):
    before, after = map(str, files)
    command = ["predict", "--model", str(model.folder), "--out", str(tmp_path / "out"), "--products", "map"]

    def run(*arguments):
        return CliRunner().invoke(main, [*command, *arguments])

    done = run(before, after, "--dates", "2022,2024-01", "--grid", "after")
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "out").iterdir()
    dates = json.loads((folder / "manifest.json").read_text())["scene"]["dates"]
    assert [d["date"] for d in dates] == ["2022", "2024-01"]
    with rasterio.open(folder / "change.tif") as file:
        assert (file.transform.c, file.transform.f) == (600203, 5199896)
    for wrong, message in (
        ((before,), "1 scene: a change model compares two dates: name two, the earlier one first"),
        ((before, after, before), "3 scenes: a change model compares two dates"),
        ((after, before), "earlier scene first"),
        ((before, before), "is given as both dates"),
        ((before, "nowhere/*.tif"), "matches no file"),
    ):
        refused = run(*wrong)
        assert refused.exit_code != 0
        assert message in " ".join(refused.output.split())


def test_one_date_takes_no_options_of_two(files, tiny_model, tmp_path):
    command = ["predict", str(files[0]), "--model", str(tiny_model.folder), "--out", str(tmp_path)]
    refused = CliRunner().invoke(main, [*command, "--grid", "finer"])
    assert refused.exit_code != 0
    assert "mean nothing to model tiny" in " ".join(refused.output.split())
    refused = CliRunner().invoke(main, [*command, "--suppress-shift", "1"])
    assert refused.exit_code != 0
    assert "means nothing to model tiny" in " ".join(refused.output.split())


def test_bands_in_files_of_their_own(files, model, tmp_path):
    for date, path in zip(("old", "new"), files, strict=True):
        (tmp_path / date).mkdir()
        with rasterio.open(path) as file:
            profile = {**file.profile, "count": 1}
            for number, name in enumerate(("red", "green", "nir"), 1):
                with rasterio.open(tmp_path / date / f"s_{name}.tif", "w", **profile) as one:
                    one.write(file.read(number), 1)
    expected = geodl.predict(geodl.open_pair(*files), model)["class"].values
    for before, after in (("old", "new"), ("old/*.tif", "new/s_*.tif")):
        source = pair_source((str(tmp_path / before), str(tmp_path / after)), {"scale": 0.0001}, {})
        np.testing.assert_array_equal(geodl.predict(source.open(), model)["class"], expected)


def test_pairs_are_found_by_name(tmp_path):
    names = ["a_2023.tif", "a_2024.tif", "b_2024.tif", "b_2023.tif", "c_2023.tif"]
    for name in names:
        (tmp_path / name).touch()
    patterns = ("{place}_2023.tif", "{place}_2024.tif")
    found = find_pairs([str(tmp_path / "*.tif")], patterns, {}, {})
    assert [(s.name, *(Path(p).name for p in (*s.paths, *s.later))) for s in found] == [
        ("a", "a_2023.tif", "a_2024.tif"), ("b", "b_2023.tif", "b_2024.tif"), ("c", "c_2023.tif"),
    ]  # fmt: skip
    with pytest.raises(SceneError, match=r"pair c: has no file of the later date, \{place\}_2024.tif"):
        found[2].open()
    for files, wrong, message in (
        (["a_2023.tif"], ("{place}_2023.tif", "{site}_2024.tif"), "do not name the same places"),
        (["a_2023.tif"], ("*_2023.tif", "*_2024.tif"), "do not name the same places"),
        (["a_2023.tif"], ("{place}_2024.tif", "{place}_2025.tif"), "matches neither"),
        (["a_2023.tif"], ("{place}.tif", "{place}_2023.tif"), "matches both"),
    ):
        with pytest.raises(OptionError, match=message):
            find_pairs([str(tmp_path / file) for file in files], wrong, {}, {})


def test_files_of_one_date_are_its_bands(tmp_path):
    for city in ("paris", "rennes"):
        for date in ("imgs_1", "imgs_2"):
            (tmp_path / city / date).mkdir(parents=True)
            for number in (2, 3):
                (tmp_path / city / date / f"x_B{number:02}.tif").touch()
    patterns = ("{city}/imgs_1/*.tif", "{city}/imgs_2/*.tif")
    found = find_pairs([str(tmp_path / "*" / "*" / "*.tif")], patterns, {}, {})
    assert [(s.name, len(s.paths), len(s.later)) for s in found] == [("paris", 2, 2), ("rennes", 2, 2)]


def test_a_workflow_runs_pairs(files, model, tmp_path):
    places = tmp_path / "scenes"
    places.mkdir()
    for date, path in zip(("2023", "2024"), files, strict=True):
        (places / f"valley_{date}.tif").write_bytes(path.read_bytes())
    (places / "hill_2023.tif").write_bytes(files[0].read_bytes())
    workflow = tmp_path / "w.yaml"
    workflow.write_text(
        f"model: {model.folder}\nrun: {{products: [map]}}\n"
        'scenes:\n  pairs: ["{place}_2023.tif", "{place}_2024.tif"]\n  grid: finer\n'
    )
    command = ["run", str(workflow), str(places / "*.tif"), "--out", str(tmp_path / "out")]
    ended = CliRunner().invoke(main, command)
    assert ended.exit_code == 1
    assert (tmp_path / "out" / "valley" / "change.tif").exists()
    rows = {row["name"]: row for row in json.loads((tmp_path / "out" / "run.json").read_text())["scenes"]}
    assert rows["valley"]["status"] == "done"
    assert rows["hill"]["error"]["cause"].startswith("has no file of the later date")
    (places / "hill_2024.tif").write_bytes(files[1].read_bytes())
    assert CliRunner().invoke(main, command).exit_code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenes: {grid: after}", "for pairs of dates only"),
        ("scenes: {pairs: ['{a}_1.tif', '{a}_2.tif'], stack: true}", "leave out stack and assets"),
        ("scenes: {pairs: ['{a}_1.tif']}", "pairs"),
    ],
)
def test_workflows_that_mean_nothing_are_refused(tmp_path, text, message):
    path = tmp_path / "w.yaml"
    path.write_text(f"model: landcover-s2\n{text}\n")
    with pytest.raises(RecipeError, match=message):
        load_workflow(path)


def test_the_sample_valley(tmp_path, client, model):
    pair = geodl.open_pair(SAMPLES / "s2_valley_2023.tif", SAMPLES / "s2_valley_2024.tif")
    folder = run_scene(pair, model, tmp_path, RunOptions(products=("map",)), client=client)
    with (
        rasterio.open(folder / "change.tif") as found,
        rasterio.open(SAMPLES / "truth/s2_valley_change.tif") as truth,
    ):
        assert (found.shape, found.transform, found.crs) == (truth.shape, truth.transform, truth.crs)


def test_missing_dates_are_no_class_to_an_assessment(product, tmp_path):
    with rasterio.open(product / "change.tif") as file:
        classes, profile = file.read(1), file.profile
    reference = tmp_path / "truth.tif"
    with rasterio.open(reference, "w", **profile) as file:
        file.write(np.where(classes < 253, classes, 0), 1)
    result = geodl.assess(product / "change.tif", reference)
    assert result.matrix.sum() == (classes < 253).sum()
    assert result.values == (0, 1)
