"""Real QGIS opens the project of a product: layers, renderers, legends, and the map and layout it draws."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from PIL import Image

import geodl
from tests.map_products import TREE, make_product, write_colors
from tests.test_qgis_project import HOSTILE

SYSTEM = os.environ.get("GEODL_QGIS_PYTHON", "/usr/bin/python3")  # for which distributions package QGIS
SCRIPT = Path(__file__).with_name("open_project.py")

pytestmark = pytest.mark.qgis


def run(*arguments):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
    return subprocess.run([SYSTEM, *arguments], capture_output=True, text=True, env=environment, timeout=300)


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """What QGIS says of several projects, by name, and the folder of its pictures."""
    if not Path(SYSTEM).is_file() or run("-c", "import qgis.core").returncode:
        pytest.skip(f"{SYSTEM} has no QGIS (Debian: python3-qgis)")
    base = tmp_path_factory.mktemp("projects")
    products = {name: make(base / name) for name, make in MAKERS.items()}
    before = {name: hashes(product) for name, product in products.items()}
    shutil.move(base / "moved" / "valley.tif", base / "moved" / "elsewhere.tif")
    told = {name: base / f"told_{name}" for name in products}
    places = [str(place) for name in products for place in (products[name] / "map.qgz", told[name])]
    done = run(SCRIPT, *places)
    assert done.returncode == 0, done.stderr
    for name, product in products.items():
        assert hashes(product) == before[name], f"looking at {name} changed it"
    return {name: (json.loads((folder / "found.json").read_text()), folder) for name, folder in told.items()}


def scene_in(folder, name="valley", **how):
    folder.mkdir()
    return geodl.open_scene(write_colors(folder / f"{name}.tif", **how))


def masked(folder):
    mask = np.full((120, 160), 255, np.uint8)
    mask[:, :80] = 0
    return make_product(folder / "out", scene_in(folder, mask=mask), task="roads", layers=("edges", "nodes"))


def in_degrees(folder):
    place = {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 11, 0, -1e-4, 47)}
    return make_product(folder / "out", scene_in(folder, **place))


def nowhere(folder):
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((160, 120)).save(folder / "photo.png")
    scene = geodl.open_scene(folder / "photo.png", ungeoreferenced=True)
    return make_product(folder / "out", scene, task="roads", layers=("edges",))


def hostile(folder):
    scene = scene_in(folder).rename("[% 7 * 191 %] <script> & \"' 水 " + "long " * 30)
    return make_product(folder / "out", scene, classes=HOSTILE, title="<b>[% 7 * 191 %] &")


def large(folder):
    return make_product(
        folder / "out", scene_in(folder, transform=Affine(1000, 0, 600000, 0, -1000, 5200000))
    )


MAKERS = {
    "large": large,
    "plain": lambda folder: make_product(folder / "out", scene_in(folder)),
    "masked": masked,
    "degrees": in_degrees,
    "nowhere": nowhere,
    "hostile": hostile,
    "moved": lambda folder: make_product(folder / "out", scene_in(folder)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_layer_is_valid_and_both_drawings_are_made(opened, name):
    found, _ = opened[name]
    assert found["read"]
    invalid = [layer["name"] for layer in found["layers"] if not layer["valid"]]
    assert invalid == (["valley"] if name == "moved" else [])  # the others still open
    assert found["layouts"] == ["A4 landscape"]
    assert found["layout"]["image"]
    assert found["layout"]["svg"]


def test_renderers_classes_and_switches(opened):
    found, _ = opened["plain"]
    assert found["crs"] == "EPSG:32632"
    assert found["extent"] == [600000, 5198800, 601600, 5200000]
    told = {layer["name"]: layer for layer in found["layers"]}
    assert {name: (layer["renderer"], layer["visible"]) for name, layer in told.items()} == {
        "Land cover polygons": ("categorizedSymbol", True),
        "Confidence": ("singlebandpseudocolor", False),
        "class 1": ("singlebandpseudocolor", False),
        "class 2": ("singlebandpseudocolor", False),
        "class 3": ("singlebandpseudocolor", False),
        "Land cover": ("paletted", True),
        "valley": ("multibandcolor", True),
    }
    assert told["Land cover"]["classes"] == [[c.value, c.name, c.color, 255] for c in TREE]
    assert told["Land cover polygons"]["legend"] == ["water", "forest & moor"]
    assert told["Land cover polygons"]["scale"] == 40000
    assert told["Confidence"]["opacity"] == pytest.approx(0.6)
    assert told["valley"]["bands"] == [3, 2, 1]
    assert told["valley"]["limits"] == "CumulativeCut"
    assert {layer["crs"] for layer in found["layers"]} == {"EPSG:32632"}


def test_files_bring_their_styles_without_the_project(opened):
    assert opened["plain"][0]["alone"] == {
        "landcover.tif": "paletted",
        "confidence.tif": "singlebandpseudocolor",
        "landcover.gpkg": "categorizedSymbol",
    }


def share_of(picture, color):
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    wanted = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)])
    return (np.abs(pixels - wanted).max(axis=-1) <= 2).mean()


def test_the_map_shows_the_classes_in_their_colours(opened):
    _, folder = opened["plain"]
    assert share_of(folder / "map.png", TREE[0].color) == pytest.approx(0.5, abs=0.05)
    assert share_of(folder / "map.png", TREE[1].color) == pytest.approx(0.5, abs=0.05)
    assert 0.1 < share_of(folder / "layout.png", TREE[0].color) < 0.4


def test_masked_pixels_are_not_drawn(opened):
    _, folder = opened["masked"]
    assert share_of(folder / "map.png", "#ffffff") == pytest.approx(0.5, abs=0.06)
    pixels = np.asarray(Image.open(folder / "map.png").convert("RGB"))
    assert pixels[:, 600:].std() > 10  # the other half is imagery


def test_scale_and_arrow_are_there_where_they_mean_something(opened):
    has = {name: set(found["layout"]["items"]) for name, (found, _) in opened.items()}
    assert {"north arrow", "scale bar", "scale"} <= has["plain"]
    assert has["degrees"] & {"north arrow", "scale bar", "scale"} == {"north arrow", "scale bar"}
    assert not has["nowhere"] & {"north arrow", "scale bar", "scale"}
    assert opened["degrees"][0]["crs"] == "EPSG:4326"
    for name, metres in (("plain", 200), ("large", 20_000)):
        assert opened[name][0]["layout"]["bar"] == [metres, metres]
    assert "1:" in (opened["plain"][1] / "layout.svg").read_text()


def test_what_lies_nowhere_lies_together(opened):
    found, folder = opened["nowhere"]
    assert found["extent"] == [0, 0, 160, 120]
    assert found["layers"][-1]["source"].endswith("imagery.vrt")
    pixels = np.asarray(Image.open(folder / "map.png").convert("RGB")).astype(int)
    assert (pixels.min(axis=-1) > 250).mean() < 0.3  # imagery fills the view, but for what it is too wide


def test_nothing_in_a_name_is_computed_or_becomes_markup(opened):
    found, folder = opened["hostile"]
    drawn = (folder / "layout.svg").read_text(encoding="utf-8")
    assert ">1337" not in drawn
    assert "<script" not in drawn
    assert "&lt;script>" in drawn
    assert (
        HOSTILE[0].name in next(layer for layer in found["layers"] if layer.get("classes"))["classes"][0][1]
    )
