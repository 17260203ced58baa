"""The QGIS plugin: what it makes of a dialogue, how it runs the command, and that QGIS loads the result."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import click
import geopandas
import pytest
from click.testing import CliRunner
from shapely import LineString, Point, box

import geodl
from geodl.cli import main
from geodl.cli.assess import assess
from geodl.cli.predict import predict
from geodl.cli.train import train
from geodl.cli.vectorize import vectorize
from geodl.plugin import __main__ as packing

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(packing.SOURCE.parent))  # as QGIS has it: the plugin is a package of its own

from geodl_qgis import command, process, results, settings  # noqa: E402

GEODL = Path(sys.executable).parent / "geodl"
SYSTEM = os.environ.get("GEODL_QGIS_PYTHON", "/usr/bin/python3")  # for which distributions package QGIS


# --- what goes into the zip


def test_the_zip_holds_what_qgis_wants_under_one_folder_and_is_the_same_each_time(tmp_path):
    names = packing.pack(tmp_path / "a.zip")
    packing.pack(tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert {name.split("/")[0] for name in names} == {"geodl_qgis"}
    wanted = ("__init__.py", "metadata.txt", "icon.svg", "LICENSE")
    assert {f"geodl_qgis/{name}" for name in wanted} <= set(names)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        for name in names:
            if name.endswith(".py"):
                text = archive.read(name).decode()
                assert not {"import torch", "import numpy", "from geodl ", "import geodl\n"} & {
                    line.strip() for line in text.splitlines()
                }
        assert archive.read("geodl_qgis/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_plugin_has_the_version_of_geodl():
    lines = (packing.SOURCE / "metadata.txt").read_text().splitlines()
    assert f"version={geodl.__version__}" in lines
    assert "hasProcessingProvider=yes" in lines


def test_the_plugin_is_read_by_the_python_of_the_oldest_qgis():
    for file in packing.SOURCE.glob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 9))


# --- arguments: whatever the dialogue gives is read by the command as it was meant


def read(group, arguments):
    """What the command itself makes of arguments."""
    return group.make_context(group.name, arguments[1:], resilient_parsing=False).params


def test_a_scene_becomes_the_arguments_of_predict():
    values = {
        "SCENE": "/data/a b.tif", "MODEL": "landcover-vhr", "OUTPUT": "/maps", "BANDS": "red,green,blue",
        "SCALE": "0.0001,-0.1", "RESAMPLE": "", "DEVICE": "cpu", "PRODUCTS": ["map", "vectors"],
        "PROBABILITIES": True, "MEMORY": "4GB", "SENSOR": "", "CRS": "",
    }  # fmt: skip
    params = read(predict, command.predict(values))
    assert params["files"] == ("/data/a b.tif",)
    assert params["out"] == Path("/maps")
    assert (params["bands"], params["scale"], params["memory"]) == ("red,green,blue", "0.0001,-0.1", "4GB")
    assert params["products"] == "map,vectors"
    assert params["probabilities"] is True
    assert params["sensor"] is None


def test_two_dates_keep_their_order():
    values = {"BEFORE": "/b.tif", "AFTER": "/a.tif", "MODEL": "m", "OUTPUT": "/o", "COREGISTER": "shift"}
    params = read(predict, command.predict(values))
    assert params["files"] == ("/b.tif", "/a.tif")
    assert params["coregister"] == "shift"


def test_values_that_look_like_options_stay_values():
    params = read(predict, command.predict({"SCENE": "-x.tif", "MODEL": "--help", "OUTPUT": "-o"}))
    assert (params["files"], params["model"], params["out"]) == (("-x.tif",), "--help", Path("-o"))


def test_a_raster_becomes_the_arguments_of_vectorize():
    values = {"RASTER": "/m.tif", "TASK": "buildings", "OUTPUT": "/v.gpkg", "SIMPLIFY": 0.0, "MIN_AREA": 12.5,
              "THRESHOLD": None, "REGULARIZE": "", "CLASS": "house", "CONFIDENCE": "/c.tif"}  # fmt: skip
    params = read(vectorize, command.vectorize(values))
    assert (params["simplify"], params["min_area"], params["threshold"]) == (0.0, 12.5, None)
    assert (params["regularize"], params["object_class"]) == (None, "house")


def test_labels_and_recipes_become_arguments():
    values = {"MAP": "/m.gpkg", "REFERENCE": "/r.gpkg", "REFERENCE_LAYER": "edges", "BACKGROUND": "0",
              "BOUNDARY": "3px", "JSON": "/f.json", "PNG": "", "ATTRIBUTE": "class"}  # fmt: skip
    params = read(assess, command.assess(values))
    assert (params["background"], params["reference_layer"]) == (0, "edges")
    assert params["png_file"] is None
    values = {"RECIPE": "/r.yaml", "OUTPUT": "/m", "DEVICE": "cpu", "RESTART": True}
    params = read(train, command.train(values))
    assert (params["recipe"], params["restart"], params["device"]) == (Path("/r.yaml"), True, "cpu")


def test_every_choice_of_the_dialogues_is_one_of_the_command():
    from geodl.task import PRODUCTS, TASKS

    assert set(command.TASKS) == set(TASKS)
    assert set(command.PRODUCTS) <= set(PRODUCTS)
    choices = {p.name: set(p.type.choices) for p in (*predict.params, *vectorize.params)
               if isinstance(p.type, click.Choice)}  # fmt: skip
    assert {*command.REGULARIZE} - {""} == choices["regularize"]
    assert {*command.COREGISTER} == choices["coregister"]
    assert {*command.NORMALISE} == choices["normalise"]


# --- where geodl is


def test_the_setting_may_be_the_command_or_its_environment(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "geodl").touch(mode=0o755)
    assert settings.find_executable(str(tmp_path)) == str(tmp_path / "bin" / "geodl")
    assert settings.find_executable(str(tmp_path / "bin" / "geodl")) == str(tmp_path / "bin" / "geodl")
    assert settings.find_executable("", path=str(tmp_path / "bin")) == str(tmp_path / "bin" / "geodl")
    for wrong in ("", str(tmp_path / "missing")):
        with pytest.raises(settings.SetupError, match="install geodl into it"):
            settings.find_executable(wrong, path=str(tmp_path))


def test_the_libraries_of_qgis_are_kept_from_geodl():
    there = {"PYTHONHOME": "/qgis", "PROJ_LIB": "/qgis/proj", "Path": "/bin", "HOME": "/home/me"}
    found = settings.environment(there)
    assert not {"PYTHONHOME", "PROJ_LIB"} & set(found)
    assert (found["Path"], found["HOME"], found["GEODL_PROGRESS"]) == ("/bin", "/home/me", "lines")


# --- the run


def python(code):
    return [sys.executable, "-c", code]


def test_lines_come_as_they_are_said_and_a_failure_names_its_reason():
    said = []
    code = "import sys; print('progress 1/2'); print('error: a.tif: is empty', file=sys.stderr); sys.exit(1)"
    with pytest.raises(process.RunError, match=r"^error: a.tif: is empty$"):
        process.run(python(code), said.append, lambda: False, dict(os.environ))
    assert sorted(said) == ["error: a.tif: is empty", "progress 1/2"]
    with pytest.raises(process.RunError, match="does not start"):
        process.run(["/nowhere/geodl"], said.append, lambda: False, {})


def test_cancelling_ends_the_command_and_what_it_has_started(tmp_path):
    code = (
        "import subprocess, sys, time, pathlib;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    said, stop = [], threading.Event()

    def say(line):
        said.append(int(line))
        stop.set()

    begun = time.monotonic()
    with pytest.raises(process.RunError, match="cancelled"):
        process.run(python(code), say, stop.is_set, dict(os.environ))
    assert time.monotonic() - begun < process.PATIENCE
    for _ in range(100):  # the orphan is reaped by init, which takes a moment
        state = Path(f"/proc/{said[0]}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        os.kill(said[0], signal.SIGKILL)
        pytest.fail("a process was left behind")


def test_progress_is_told_to_those_who_read_along(scene_file, tiny_model, tmp_path, monkeypatch):
    values = {"SCENE": str(scene_file), "MODEL": str(tiny_model.folder), "OUTPUT": str(tmp_path / "maps")}
    arguments = command.predict({**values, "PRODUCTS": ["map", "vectors"]})
    quiet = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert not any(line.startswith("progress") for line in quiet.output.splitlines())
    shutil.rmtree(tmp_path / "maps")
    monkeypatch.setenv("GEODL_PROGRESS", settings.OURS["GEODL_PROGRESS"])
    said = CliRunner().invoke(main, arguments, catch_exceptions=False).output.splitlines()
    percents = [process.progress_of(line) for line in said]
    assert [p for p in percents if p is not None][-1] == 100
    folder = results.product_of(said)
    assert folder == tmp_path / "maps" / "valley"
    assert results.map_of(folder).name == "landcover.tif"
    assert results.layers_of(results.geopackage_of(folder)) == ["landcover"]


def test_networks_are_loaded_with_their_nodes_on_top(tmp_path):
    file = tmp_path / "roads.gpkg"
    layers = {"a_nodes": Point(0, 0), "b_lines": LineString([(0, 0), (1, 1)]), "c": box(0, 0, 1, 1)}
    for name, shape in layers.items():
        geopandas.GeoDataFrame(geometry=[shape], crs=32632).to_file(file, layer=name)
    assert results.layers_of(file) == ["c", "b_lines", "a_nodes"]


# --- the real QGIS


def has_qgis():
    if not Path(SYSTEM).is_file():
        return False
    code = "import qgis.core, sys; sys.path.append('/usr/share/qgis/python/plugins'); import processing"
    return subprocess.run([SYSTEM, "-c", code], capture_output=True, env=offscreen()).returncode == 0


def offscreen(**more):
    variables = settings.environment(os.environ)
    return {**variables, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1", **more}


@pytest.fixture(scope="session")
def in_qgis(tmp_path_factory):
    """Run an algorithm of the plugin, as packed, in QGIS's Python, and return what came of it."""
    if not has_qgis():
        pytest.skip("QGIS is not installed for the system's Python (Debian: python3-qgis)")
    folder = tmp_path_factory.mktemp("qgis")
    packing.pack(folder / "geodl-qgis.zip")
    shutil.unpack_archive(folder / "geodl-qgis.zip", folder)

    def run(algorithm, parameters):
        arguments = [folder, GEODL, algorithm, json.dumps(parameters)]
        script = [SYSTEM, ROOT / "tests" / "qgis" / "run_algorithm.py", *arguments]
        place = {"QGIS_CUSTOM_CONFIG_PATH": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        done = subprocess.run(script, capture_output=True, text=True, env=offscreen(**place), timeout=300)
        assert done.stdout.strip(), done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


@pytest.mark.qgis
def test_qgis_maps_a_scene_and_loads_it_styled(in_qgis, scene_file, tiny_model, tmp_path):
    names = {"water", "forest", "grassland", "built-up"}
    values = {"SCENE": str(scene_file), "MODEL": str(tiny_model.folder), "OUTPUT": str(tmp_path)}
    told = in_qgis("predict", {**values, "PRODUCTS": [0, 1, 4]})
    assert told["error"] is None
    assert set(told["outputs"]) == {"OUTPUT", "MAP", "VECTORS"}
    assert max(told["percents"]) == 100
    assert "--products=map,confidence,vectors" in told["log"]
    raster, polygons = told["loaded"]["landcover"], told["loaded"]["landcover polygons"]
    assert (raster["renderer"], polygons["renderer"]) == ("paletted", "categorizedSymbol")
    assert names >= set(raster["labels"])
    assert len(raster["labels"]) > 1
    assert names >= set(polygons["labels"]) - {""}


@pytest.mark.qgis
def test_qgis_assesses_a_layer(in_qgis, tmp_path):
    truth = ROOT / "sample_scenes" / "truth" / "s2_valley_change.tif"
    values = {"MAP": str(truth), "REFERENCE": str(truth), "JSON": str(tmp_path / "figures.json")}
    told = in_qgis("assess", values)
    assert told["error"] is None
    assert told["outputs"]["OVERALL_ACCURACY"] == 1
