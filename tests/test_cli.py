import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from geodl.cli import main
from tests.conftest import write_scene


def geodl(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_info_as_json(scene_file):
    done = geodl("info", scene_file, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["name"] == "valley"
    assert [band["name"] for band in told["bands"]] == ["red", "green", "nir"]
    assert "models" in told


def test_info_on_one_screen(scene_file):
    done = geodl("info", scene_file)
    assert done.exit_code == 0, done.output
    assert "EPSG:32632" in done.output
    assert len(done.output.splitlines()) <= 50


def test_info_of_several_files_is_a_list(scene_file):
    assert len(json.loads(geodl("info", scene_file, scene_file, "--json").output)) == 2


def write_unnamed(path, count, pixel=0.5, names=None):
    """Bytes of which GDAL knows no colours, for the bundled models of three bands."""
    pixels = np.random.default_rng(0).integers(1, 255, (count, 40, 50), dtype="uint8")
    with rasterio.open(
        path, "w", driver="GTiff", count=count, dtype="uint8", height=40, width=50, crs="EPSG:32632",
        transform=rasterio.Affine(pixel, 0, 600000, 0, -pixel, 5200000), photometric="minisblack",
    ) as file:  # fmt: skip
        file.write(pixels)
        if names is not None:
            file.descriptions = names
    return path


def told_of(path, *options):
    (note, *_), models = (
        json.loads(geodl("info", path, "--json", *options).output)[key] or [""] for key in ("notes", "models")
    )
    return note, models


def test_info_says_how_to_name_bands_and_then_the_model_fits(tmp_path):
    path = write_unnamed(tmp_path / "a.tif", 3)
    note, models = told_of(path)
    assert "band_1, band_2, band_3" in note
    assert "all 3 bands in file order with --bands, e.g. --bands blue,green,red," in note
    assert "--bands red,green,blue, or the sensor with --sensor" in models["landcover-vhr"]
    assert "lacks" in models["landcover-s2"]
    assert "--bands" not in models["landcover-s2"], "it needs more bands than there are"
    note, models = told_of(path, "--bands", "red,green,blue")
    assert "band_" not in note
    assert models["landcover-vhr"] is None
    printed = " ".join(geodl("info", path).output.split())
    assert "name all 3 bands in file order with --bands" in printed


def test_info_names_the_option_where_one_thing_is_in_the_way(tmp_path):
    path = write_unnamed(tmp_path / "a.tif", 3, pixel=3)
    assert "--" not in told_of(path)[1]["landcover-vhr"], "bands and pixels are in the way"
    models = told_of(path, "--bands", "red,green,blue")[1]
    assert models["landcover-vhr"].endswith("resample while reading with --resample 0.5")


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (("B4", "B3", "B2", "B8"), "B4, B3, B2, B8"),
        (("red", None, "blue", "nir"), "band_2"),
        (("red", "green", "blue", "height"), None),
    ],
)
def test_info_tells_which_bands_mean_nothing(tmp_path, names, unknown):
    from geodl.scene import describe

    notes = describe(write_unnamed(tmp_path / "a.tif", 4, names=names))["notes"]
    assert [note.partition(" show")[0] for note in notes] == (
        [f"nothing tells what {unknown}"] if unknown else []
    )


@pytest.mark.parametrize("command", ["info", "predict"])
def test_a_missing_file_is_one_line_and_a_status(command, tmp_path, tiny_model):
    options = ["--model", tiny_model.folder, "--out", tmp_path / "out"] if command == "predict" else []
    done = geodl(command, tmp_path / "nowhere.tif", *options)
    assert done.exit_code == 1
    assert "nowhere.tif" in done.output
    assert "Traceback" not in done.output


def test_models_list_and_show(tiny_model):
    rows = json.loads(geodl("models", "list", "--json").output)
    assert all({"name", "task"} <= set(row) for row in rows)
    told = json.loads(geodl("models", "show", tiny_model.folder, "--json").output)
    assert {
        "name",
        "task",
        "bands",
        "pixel_size",
        "classes",
        "tile",
        "halo",
        "stride",
        "stitch",
        "accuracy",
    } <= set(told)
    assert told["bands"][0]["name"] == "red"
    assert told["classes"][-1] | {"value": 7, "name": "built-up", "color": "#c1440e"} == told["classes"][-1]
    assert geodl("models", "show", tiny_model.folder).exit_code == 0
    assert geodl("models", "check", tiny_model.folder).exit_code == 0


def test_unknown_model_lists_what_there_is(scene_file, tmp_path):
    done = geodl("predict", scene_file, "--model", "nonsense", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "nonsense" in done.output
    assert not (tmp_path / "out").exists()


def test_predict_makes_products_and_goes_on_after_a_bad_scene(scene_file, tiny_model, tmp_path):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0 not a tiff")
    out = tmp_path / "out"
    done = geodl(
        "predict",
        bad,
        scene_file,
        "--model",
        tiny_model.folder,
        "--out",
        out,
        "--block",
        100,
        "--memory",
        "64GB",
    )
    assert done.exit_code == 1
    assert "bad.tif" in done.output
    assert "1 of 2 scenes failed" in done.output
    assert (out / "valley" / "manifest.json").exists()
    assert [path.name for path in out.iterdir()] == ["valley"]


def test_two_scenes_of_one_name_do_not_replace_each_other(scene_file, tiny_model, tmp_path):
    twin = tmp_path / scene_file.name
    write_scene(twin, 70, 80)
    out = tmp_path / "out"
    done = geodl("predict", scene_file, twin, "--model", tiny_model.folder, "--out", out)
    assert done.exit_code == 1
    assert "has the name of" in done.output
    with rasterio.open(scene_file) as first, rasterio.open(out / "valley" / "landcover.tif") as made:
        assert made.shape == first.shape


def test_remedies_named_by_errors_work(tiny_model, tmp_path):
    path = write_scene(tmp_path / "plain.tif", 70, 80)
    with rasterio.open(path, "r+") as file:
        file.descriptions = (None,) * 3
        file.scales = (1.0,) * 3
        for band in (1, 2, 3):
            file.set_band_unit(band, "")
    options = ["--model", tiny_model.folder, "--out", tmp_path / "out"]
    done = geodl("predict", path, *options)
    assert done.exit_code == 1
    assert "--bands" in done.output
    done = geodl("predict", path, *options, "--bands", "red,green,nir")
    assert done.exit_code == 1
    assert "--scale" in done.output
    done = geodl("predict", path, *options, "--bands", "red,green,nir", "--scale", "0.0001")
    assert done.exit_code == 0, done.output


def test_resample_reads_at_the_pixel_size_of_the_model(tiny_model, tmp_path):
    from affine import Affine

    path = write_scene(tmp_path / "fine.tif", 200, 240, transform=Affine(5, 0, 6e5, 0, -5, 5.2e6))
    options = ["--model", tiny_model.folder, "--out", tmp_path / "out"]
    done = geodl("predict", path, *options)
    assert "--resample 10" in done.output
    done = geodl("predict", path, *options, "--resample", 10)
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "out" / "fine" / "landcover.tif") as file:
        assert file.shape == (100, 120)
        assert file.res == (10, 10)


def write_classes(path, pixels, crs):
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": crs, "nodata": 255}
    height, width = pixels.shape
    transform = rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)
    with rasterio.open(path, "w", height=height, width=width, transform=transform, **profile) as file:
        file.write(pixels, 1)


def test_vectorize_any_class_raster(tmp_path):
    path = tmp_path / "classes.tif"
    classes = np.zeros((20, 30), "uint8")
    classes[5:10, 5:10] = 3
    write_classes(path, classes, "EPSG:3857")
    done = geodl("vectorize", path, "--out", tmp_path / "layer.gpkg")
    assert done.exit_code == 0, done.output
    assert "2 features" in done.output


def test_assess_prints_and_writes_the_figures(tmp_path):
    reference = np.random.default_rng(0).integers(1, 4, (40, 50)).astype("uint8")
    predicted = reference.copy()
    predicted[:10] = 1
    for name, pixels in (("map", predicted), ("truth", reference)):
        write_classes(tmp_path / f"{name}.tif", pixels, "EPSG:32632")
    done = geodl("assess", tmp_path / "map.tif", "--reference", tmp_path / "truth.tif",
                 "--json", tmp_path / "a.json", "--png", tmp_path / "a.png")  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["overall_accuracy"] == pytest.approx((predicted == reference).mean())
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_assess_reads_colours_as_the_mapping_says(tmp_path):
    classes = np.random.default_rng(0).integers(1, 3, (20, 30)).astype("uint8")
    write_classes(tmp_path / "map.tif", classes, "EPSG:32632")
    colours = np.where(
        classes == 1, np.array([60, 16, 152])[:, None, None], np.array([0, 0, 0])[:, None, None]
    )
    with rasterio.open(tmp_path / "map.tif") as file:
        profile = {**file.profile, "count": 3, "nodata": None}
    with rasterio.open(tmp_path / "colours.tif", "w", **profile) as file:
        file.write(colours.astype("uint8"))
    done = geodl("assess", tmp_path / "map.tif", "--reference", tmp_path / "colours.tif")
    assert done.exit_code == 1
    assert "--mapping" in done.output
    options = ("--mapping", "#3c1098=1", "--json", "-")
    done = geodl("assess", tmp_path / "map.tif", "--reference", tmp_path / "colours.tif", *options)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["pixels"] == (classes == 1).sum()
    done = geodl("assess", tmp_path / "map.tif", "--reference", tmp_path / "map.tif", "--mapping", "nonsense")
    assert done.exit_code == 2


def test_help_names_every_command():
    done = geodl("--help")
    for command in ("info", "models", "predict", "vectorize", "train", "assess", "demo"):
        assert command in done.output


@pytest.mark.parametrize("tile", [[], ["--tile", 96]])
def test_a_dry_run_tells_the_plan_and_writes_nothing(tiny_model, scene_file, tmp_path, tile):
    options = ["--model", tiny_model.folder, "--out", tmp_path / "out", "--dry-run", "--memory", "9GB", *tile]
    done = geodl("predict", scene_file, *options)
    assert done.exit_code == 0, done.output
    assert "310 x 230 px" in done.output
    assert ("tiles of" if tile else "a stream of rows") in done.output
    for word in ("blocks", "peak memory", "disk", "time"):
        assert word in done.output
    assert not (tmp_path / "out").exists()


def test_probe_measures_a_model_and_writes_its_halo(tiny_model, scene_file, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model.folder, folder)
    done = geodl("models", "probe", folder, "--scene", scene_file, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert (found["overhang"], found["exact_halo"], found["streams"]) == (26, 28, True)
    assert found["given_inputs"] == 1
    done = geodl("models", "probe", folder, "--scene", scene_file, "--tolerance", 0.05, "--write")
    assert "halo" in done.output
    written = json.loads((folder / "model.json").read_text())["properties"]
    assert written["geodl:halo"] <= 28
    assert written["mlm:input"][0]["input"]["shape"][-1] - 2 * written["geodl:halo"] == 40
    assert written["geodl:bf16_agreement"] == found["bf16_agreement"]


@pytest.fixture
def single_bands(scene_file, tmp_path):
    """A scene whose bands lie in files of their own: ``bands/valley_B0.tif`` and so on."""
    folder = tmp_path / "bands"
    folder.mkdir()
    with rasterio.open(scene_file) as source:
        profile = {**source.profile, "count": 1}
        for number in (1, 2, 3):
            with rasterio.open(folder / f"valley_B{number}.tif", "w", **profile) as file:
                file.write(source.read(number), 1)
    return folder


def test_quoted_patterns_name_scenes_or_with_stack_their_bands(single_bands):
    pattern = single_bands / "valley_B?.tif"
    reading = ("--bands", "red,green,nir", "--scale", "0.0001")
    stacked = json.loads(geodl("info", pattern, "--stack", *reading, "--json").output)
    assert [band["name"] for band in stacked["bands"]] == ["red", "green", "nir"]
    assert [Path(path).name for path in stacked["files"]] == [f"valley_B{n}.tif" for n in (1, 2, 3)]
    assert len(json.loads(geodl("info", pattern, "--json").output)) == 3
    nothing = geodl("info", single_bands / "x*.tif")
    assert nothing.exit_code == 2
    assert "matches no file" in nothing.output


def test_a_single_band_where_several_are_needed_is_told_of_stack(single_bands, tiny_model, tmp_path):
    files = sorted(single_bands.iterdir())
    options = ("--model", tiny_model.folder, "--out", tmp_path / "out", "--products", "map")
    alone = geodl("predict", files[0], *options, "--bands", "red")
    assert alone.exit_code == 1
    assert "name all files of one scene with --stack" in alone.output
    reading = ("--stack", "--bands", "red,green,nir", "--scale", "0.0001")
    assert geodl("predict", *files, *options, *reading).exit_code == 0
