"""`geodl train --init`: what it writes is read back, and trains as it is."""

import json
import shlex
import subprocess
import sys

import geopandas
import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from click.testing import CliRunner
from shapely.geometry import LineString, Point, box

from geodl.cli import main
from geodl.cli.predict import predict
from geodl.cli.train import _prediction
from geodl.errors import OptionError, SceneError
from geodl.training import train
from geodl.training.draft import draft_recipe
from geodl.training.plots import decode
from geodl.training.recipe import load_recipe

GEO = {"crs": "EPSG:32632", "transform": Affine(10, 0, 600000, 0, -10, 5200000)}


def write(path, pixels, *, names=(), colormap=None, **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    fields = {
        "driver": "GTiff", "count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2],
        "dtype": pixels.dtype, **profile,
    }  # fmt: skip
    with rasterio.open(path, "w", **fields) as file:
        file.write(pixels)
        if names:
            file.descriptions = names
        if colormap:
            file.write_colormap(1, colormap)


def scene_and_codes(size=(200, 240), seed=0):
    rng = np.random.default_rng(seed)
    codes = np.kron(rng.choice(3, (size[0] // 20, size[1] // 20), p=[0.6, 0.3, 0.1]), np.ones((20, 20), int))
    pixels = (50 + 60 * codes + rng.normal(0, 9, (3, *size))).clip(1, 255).astype(np.uint8)
    return pixels, codes


def drafted(folder, scenes, labels):
    text = draft_recipe("landcover", scenes, labels, folder=folder)
    path = folder / "recipe.yaml"
    path.write_text(text)
    return load_recipe(path), text


def few_steps(recipe):
    settings = recipe.optimisation.model_copy(
        update={"epochs": 1, "samples_per_epoch": 4, "batch": 2, "patch": 64, "precision": "32"}
    )
    small = {"widths": [4, 8], "blocks": 1}
    return recipe.model_copy(
        update={"optimisation": settings, "architecture": "unet_compact", "parameters": small}
    )


def test_a_draft_of_a_raster_trains_as_it_is(tmp_path):
    pixels, codes = scene_and_codes()
    write(tmp_path / "town.tif", pixels, names=("red", "green", "nir"), nodata=0, **GEO)
    palette = {3: (0, 0, 200, 255), 8: (0, 120, 0, 255), 11: (200, 0, 0, 255)}
    labels = np.array([3, 8, 11], dtype=np.uint8)[codes]
    labels[:30, :30] = 0
    write(tmp_path / "labels.tif", labels, colormap=palette, **GEO)
    recipe, text = drafted(tmp_path, "town.tif", "labels.tif")
    assert recipe.name == "landcover-town"
    assert recipe.bands == ["red", "green", "nir"]
    assert (recipe.units, recipe.dtype, recipe.pixel_size) == ("digital_number", "uint8", 10)
    assert [(c.value, c.color) for c in recipe.classes] == [(3, "#0000c8"), (8, "#007800"), (11, "#c80000")]
    for value in (3, 8, 11):
        assert f"{(labels == value).sum():,} pixels" in text
    assert "# - {value: 0" in text
    assert recipe.split.by == "blocks"
    assert recipe.optimisation.patch <= 200
    model = train(few_steps(recipe), tmp_path / "model", device="cpu", echo=lambda _: None)
    assert model.spec.class_values == [3, 8, 11]


def test_single_band_files_are_stacked_and_values_numbered(tmp_path):
    pixels, codes = scene_and_codes()
    for n in range(3):
        write(tmp_path / f"b{n + 2}.tif", pixels[n].astype(np.uint16) * 100, **GEO)
    write(tmp_path / "labels.tif", np.array([300, 400, 41], dtype=np.int16)[codes], nodata=-1, **GEO)
    recipe, _ = drafted(tmp_path, "b?.tif", "labels.tif")
    assert recipe.sources[0].stack
    command = _prediction(recipe, tmp_path / "my model")
    assert command.startswith(f"geodl predict SCENE --model '{tmp_path}/my model' --out maps")
    assert "--stack" in command
    given = shlex.split(command)[2:]
    given[0] = str(tmp_path)
    predict.make_context("predict", given)  # every option is one of the command
    assert len(recipe.bands) == 3
    assert [(c.value, c.source) for c in recipe.classes] == [(1, [41]), (2, [300]), (3, [400])]
    (plot,) = decode(recipe, tmp_path / "decoded", gap=0)
    counts = np.bincount(np.asarray(plot.labels("all")).ravel())
    assert counts.tolist() == [(codes == 2).sum(), (codes == 0).sum(), (codes == 1).sum()]


def test_pictures_with_colours(tmp_path):
    colours = np.array([[60, 16, 152], [0, 200, 0], [155, 155, 155]], dtype=np.uint8)
    for n in range(9):
        pixels, codes = scene_and_codes((60, 80), seed=n)
        mask = colours[codes].transpose(2, 0, 1)
        mask[:, 0, 0] = 1
        write(tmp_path / "images" / f"p{n}.jpg", pixels, driver="JPEG")
        write(tmp_path / "masks" / f"p{n}.png", mask, driver="PNG")
    recipe, text = drafted(tmp_path, "images/*.jpg", "masks/{stem}.png")
    assert recipe.split.by == "scene"
    assert {c.color for c in recipe.classes} == {"#3c1098", "#00c800", "#9b9b9b"}
    assert "#010101" in text, "a rare colour is named, but left out"
    assert recipe.pixel_size is None
    assert recipe.sources[0].xyz is None
    plots = decode(recipe, tmp_path / "decoded", gap=0)
    assert sum(sum(p.train) + sum(p.validation) for p in plots) == 9 * (60 * 80 - 1)


def test_polygons_lines_and_points(tmp_path):
    pixels, _ = scene_and_codes()
    write(tmp_path / "town.tif", pixels, names=("red", "green", "nir"), **GEO)
    shapes = [box(600000 + 300 * n, 5198000, 600200 + 300 * n, 5199900) for n in range(6)]
    names = ["wood", 'water: "deep"', "off"] * 2
    frame = geopandas.GeoDataFrame(
        {"area": np.arange(6) * 1.5, "remark": [f"r{n}" for n in range(6)], "Kind": names,
         "color": ["#00ff00", "#0000ff", "red"] * 2},
        geometry=shapes, crs="EPSG:32632",
    )  # fmt: skip
    frame.to_crs("EPSG:4326").to_file(tmp_path / "polygons.gpkg")
    recipe, text = drafted(tmp_path, "town.tif", "polygons.gpkg")
    assert recipe.sources[0].attribute == "Kind"
    assert {c.source[0]: c.color for c in recipe.classes}["wood"] == "#00ff00"
    assert {c.name for c in recipe.classes} == set(names)
    assert "area, remark, Kind" in text
    assert recipe.sources[0].background is None

    lines = [LineString([(600100, 5199000), (602000, 5199000)])] * 2
    roads = geopandas.GeoDataFrame({"osm_id": [1, 2]}, geometry=lines, crs="EPSG:32632")
    roads.to_file(tmp_path / "roads.gpkg")
    recipe, text = drafted(tmp_path, "town.tif", "roads.gpkg")
    assert recipe.sources[0].width == 6
    assert "is a guess" in text
    assert recipe.sources[0].background == 0
    assert [c.value for c in recipe.classes] == [1, 0]
    decode(recipe, tmp_path / "decoded", gap=0)

    spots = [Point(600000 + 97 * n, 5198050 + 97 * (n % 19)) for n in range(24)]
    points = geopandas.GeoDataFrame({"label": ["a", "b"] * 12}, geometry=spots, crs="EPSG:32632")
    points.to_file(tmp_path / "points.gpkg")
    recipe, _ = drafted(tmp_path, "town.tif", "points.gpkg")
    assert [c.name for c in recipe.classes] == ["a", "b"]
    assert recipe.sources[0].background is None


def test_tiles_are_placed_by_their_names(tmp_path):
    for x in range(40000, 40003):
        pixels, _ = scene_and_codes((60, 60), seed=x)
        write(tmp_path / "images" / f"OAM-{x}-30000-17.png", pixels, driver="PNG")
    shape = box(-180 + 360 * 40000.2 / 2**17, 69, -180 + 360 * 40000.8 / 2**17, 70.5)
    shape = shape.buffer(0)
    frame = geopandas.GeoDataFrame(geometry=[shape, box(-71, 65, -70.1356, 75)], crs="EPSG:4326")
    frame.to_file(tmp_path / "buildings.geojson")
    recipe, text = drafted(tmp_path, "images/*.png", "buildings.geojson")
    assert recipe.sources[0].xyz == "{x}-{y}-{z}"
    assert recipe.pixel_size == pytest.approx(2 * 20037508 / 2**17 / 60, rel=0.01)
    assert "the names of the scenes say where they lie" in text


def test_a_scene_without_coordinates_is_taken_in_pixels(tmp_path):
    pixels, codes = scene_and_codes()
    write(tmp_path / "chip.tif", pixels, names=("red", "green", "nir"))
    write(tmp_path / "mask.tif", (codes > 0).astype(np.uint8))
    recipe, text = drafted(tmp_path, "chip.tif", "mask.tif")
    assert recipe.sources[0].ungeoreferenced
    assert [c.value for c in recipe.classes] == [0, 1], "of two values, 0 is a class"
    assert "pixel coordinates are used" in text
    decode(recipe, tmp_path / "decoded", gap=0)


def test_hostile_names_stay_comments_and_strings(tmp_path):
    pixels, _ = scene_and_codes()
    write(tmp_path / "town.tif", pixels, names=("red", "green", "nir"), **GEO)
    shapes = [box(600000 + 300 * n, 5198000, 600200 + 300 * n, 5199900) for n in range(4)]
    names = ["a\nseed: 7", "# x", "{b: [", "null"]
    columns = {"class": names, "x\ntask: evil": [1.5, 2.5, 3.5, 4.5]}
    geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32632").to_file(tmp_path / "p.geojson")
    recipe, text = drafted(tmp_path, "town.tif", "p.geojson")
    assert recipe.seed == 1
    assert recipe.task == "landcover"
    assert {c.source[0] for c in recipe.classes} == set(names)
    assert yaml.safe_load(text)["name"] == "landcover-town"


def test_what_cannot_be_drafted_is_named(tmp_path):
    pixels, codes = scene_and_codes()
    write(tmp_path / "town.tif", pixels, names=("red", "green", "nir"), **GEO)
    with pytest.raises(OptionError, match=r"--init cheese: geodl knows no such task: use one of .*landcover"):
        draft_recipe("cheese", "town.tif", "labels.tif", folder=tmp_path)
    write(tmp_path / "height.tif", np.random.default_rng(0).normal(size=codes.shape).astype("float32"), **GEO)
    with pytest.raises(SceneError, match=r"height\.tif: it holds too many different values to be classes"):
        draft_recipe("landcover", "town.tif", "height.tif", folder=tmp_path)
    write(tmp_path / "one.tif", np.full(codes.shape, 4, np.uint8), **GEO)
    with pytest.raises(SceneError, match=r"fewer than two classes are in them: \[4\]"):
        draft_recipe("landcover", "town.tif", "one.tif", folder=tmp_path)


def test_the_command_line(tmp_path, monkeypatch):
    pixels, codes = scene_and_codes()
    write(tmp_path / "town.tif", pixels, names=("red", "green", "nir"), **GEO)
    write(tmp_path / "labels.tif", (codes + 1).astype(np.uint8), **GEO)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["train", "--init", "landcover", "town.tif", "labels.tif"])
    assert done.exit_code == 0, done.output
    (tmp_path / "r.yaml").write_text(done.stdout)
    assert load_recipe(tmp_path / "r.yaml").data_root == tmp_path.resolve()
    done = CliRunner().invoke(main, ["train", "--init", "landcover", "no.tif", "labels.tif"])
    assert done.exit_code == 1
    assert "nothing matches 'no.tif'" in done.stderr
    done = CliRunner().invoke(main, ["train", "r.yaml", "--out", "m", "--fold", "2"])
    assert done.exit_code == 1
    assert "it has no folds" in done.stderr


def test_the_schema_is_printed_without_torch_and_rasterio():
    code = (
        "import sys; from geodl.cli import main; main(['train', '--print-schema'], standalone_mode=False);"
        "print('HEAVY', sorted({'torch', 'rasterio'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stderr
    schema = json.loads(done.stdout)
    assert "labels" in schema["$defs"]["Source"]["properties"]
