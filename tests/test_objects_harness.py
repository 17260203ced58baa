"""The comparison of footprints and road networks with real truth: scenes, baselines, rows."""

import dataclasses
import json
import math
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image
from rasterio.features import rasterize

from geodl.models.spec import BandSpec, ClassSpec, TrainingSpec
from geodl.training.recipe import load_recipe
from tests.benchmarks.objects import __main__ as command
from tests.benchmarks.objects.baseline import centrelines
from tests.benchmarks.objects.by_place import FAIR, recipe_without
from tests.benchmarks.objects.measure import pixel_iou
from tests.benchmarks.objects.picture import OUTSIDE, Picture
from tests.benchmarks.objects.places import PLACES, Place
from tests.benchmarks.objects.rows import Row, append_rows, read_rows, table
from tests.conftest import make_model, make_spec

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"
CRS = "EPSG:32632"
TRANSFORM = Affine(0.5, 0, 400_000, 0, -0.5, 5_300_000)


def picture(task):
    """White houses, or white roads, on dark ground; the last columns are unknown."""
    size = (96, 128)
    if task == "buildings":
        shapes = [shapely.box(x, y, x + 16, y + 12) for x in (10, 50, 90) for y in (12, 60)]
    else:
        shapes = [shapely.LineString(line) for line in ([(5, 48), (110, 48)], [(60, 5), (60, 90)])]
    surface = rasterize(shapes if task == "buildings" else [s.buffer(4) for s in shapes], size) > 0
    placed = [shapely.transform(s, lambda p: np.stack(TRANSFORM * p.T, axis=1)) for s in shapes]
    known = np.ones(size, bool)
    known[:, 112:] = False
    return Picture(
        pixels=np.where(surface, 220, 40).astype(np.uint8)[None].repeat(3, 0),
        known=known,
        surface=surface,
        truth=geopandas.GeoDataFrame(geometry=placed, crs=CRS),
        transform=TRANSFORM,
        crs=CRS,
    )


def row(**changes):
    values = {"truth": 3.0, "pixel_iou": 0.5, "precision": 0.25, "recall": 1.0, "f1": 0.4}
    values |= {"boundary_iou": 0.1, "turning_degrees": math.nan, "corners": 4.25}
    fields = {"place": "here", "task": "buildings", "model": "m", "hash": "0123456789ab", "way": "geodl"}
    return Row(**{**fields, "seen": False, "pixel": 0.3, "seconds": 1.0, "values": values, **changes})


def bright_model(folder, task, classes):
    """A network of random weights that takes what `picture` draws."""
    colors = ("#ffffff", "#c1440e", "#7a1f04")
    spec = make_spec(
        name=f"tiny-{task}",
        task=task,
        bands=[BandSpec(name=name, mean=60, std=60) for name in ("red", "green", "blue")],
        units="digital_number",
        dtype="uint8",
        pixel_size=0.5,
        classes=[ClassSpec(value=v, name=n, color=colors[v]) for v, n in enumerate(classes)],
    )
    return make_model(folder, spec)


@pytest.mark.parametrize(
    ("task", "classes"),
    [("buildings", ("background", "building", "building edge")), ("roads", ("background", "road"))],
)
def test_a_model_is_measured_once_on_every_place_of_its_task(task, classes, tmp_path, monkeypatch, capsys):
    places = {
        name: Place(task=of, folder=f"{name}/images", build=lambda _: picture(task), pixel=0.5)
        for name, of in (("here", task), ("elsewhere", "change"))
    }
    monkeypatch.setattr(command, "PLACES", places)
    monkeypatch.setattr("tests.benchmarks.objects.measure.PLACES", places)
    model = bright_model(tmp_path / "model", task, classes)
    arguments = ["--model", str(model.folder), "--out", str(tmp_path / "rows.jsonl"), "--work", str(tmp_path)]
    command.main([*arguments, "--draw", str(tmp_path / "drawn")])
    drawn = Image.open(tmp_path / "drawn" / f"tiny-{task}-here.png")
    assert drawn.size == (128, 96)
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [(r.place, r.way, r.seen) for r in rows] == [
        ("here", "geodl", False),
        ("here", "threshold", False),
    ]
    assert all(0 <= r.values["pixel_iou"] <= 1 for r in rows)
    before = (tmp_path / "rows.jsonl").read_bytes()
    command.main(arguments)
    assert (tmp_path / "rows.jsonl").read_bytes() == before
    assert f"| here | tiny-{task} {model.hash[:6]} | threshold |" in capsys.readouterr().out


def test_the_files_of_a_place_say_what_is_known(tmp_path):
    built = []
    place = Place(
        task="roads", folder="x", build=lambda data: built.append(data) or picture("roads"), pixel=1
    )
    files = place.files(tmp_path, tmp_path / "scene")
    assert place.files(tmp_path, tmp_path / "scene") == files
    assert built == [tmp_path]
    with rasterio.open(files.scene) as scene, rasterio.open(files.surface) as surface:
        assert (scene.read_masks(1) > 0).sum() == 96 * 112
        assert set(np.unique(surface.read(1))) == {0, 1, OUTSIDE}
    (area,) = geopandas.read_file(files.area).geometry
    assert area.area == pytest.approx(96 * 112 / 4)
    assert pixel_iou(picture("roads").surface, files.surface, files.scene) == 1
    assert pixel_iou(np.zeros((96, 128), bool), files.surface, files.scene) == 0
    coarse = tmp_path / "coarse.tif"
    profile = {"driver": "GTiff", "height": 48, "width": 64, "count": 1, "dtype": "uint8", "crs": CRS}
    with rasterio.open(coarse, "w", transform=TRANSFORM @ Affine.scale(2), **profile) as file:
        file.write(np.zeros((1, 48, 64), np.uint8))
    assert pixel_iou(picture("roads").surface[1::2, 1::2], files.surface, coarse) == 1


def test_centrelines_of_a_crossing_less_its_spurs():
    surface = picture("roads").surface
    surface[40:44, 30:32] = True
    lines = centrelines(surface, TRANSFORM, CRS, spur=12)
    truth = shapely.union_all(picture("roads").truth.geometry)
    assert shapely.union_all(lines.geometry).difference(truth.buffer(1)).length < 1.5
    assert truth.difference(shapely.union_all(lines.geometry).buffer(1)).length < 12  # half a width at ends
    assert len(centrelines(surface, TRANSFORM, CRS)) >= len(lines)


def test_what_a_model_has_learnt_from_is_told():
    place = PLACES["dubai-7"]
    assert place.is_in(TrainingSpec(data=["landcover/dubai_vhr/tile_7/images"]))
    others = ["landcover/dubai_vhr/tile_1/images", "landcover/dubai_vhr/tile_78"]
    assert not place.is_in(TrainingSpec(data=others))
    recipe = load_recipe(WORKFLOWS / "roads-massachusetts.yaml").model_dump(mode="json")
    training = TrainingSpec(data=["roads/massachusetts_roads/images"], recipe=recipe)
    kept_apart = [PLACES[name] for name in PLACES if name.startswith("massachusetts-1")]
    assert len(kept_apart) == 4
    assert not any(each.is_in(training) for each in kept_apart), "other tiles of its folder were learnt from"
    learnt = dataclasses.replace(kept_apart[0], file="roads/massachusetts_roads/images/10078735_15.tif")
    assert learnt.is_in(training)
    assert {place.task for place in PLACES.values()} == {"buildings", "roads"}
    assert sum(name.startswith("massachusetts-") and PLACES[name].task == "roads" for name in PLACES) == 8


def test_rows_are_kept_and_shown(tmp_path):
    path = tmp_path / "rows.jsonl"
    other = row(place="there", seen=True, way="threshold")
    append_rows(path, [row(), other])
    assert json.loads(path.read_text().splitlines()[0])["values"]["turning_degrees"] is None
    first, second = read_rows(path)
    assert math.isnan(first.values["turning_degrees"])
    assert second.place == "there"
    assert first.is_of("here", "0123456789abcdef")
    assert not first.is_of("there", "0123456789ab")
    lines = table([first, second, row(values={**first.values, "f1": 0.75})], "buildings").splitlines()
    assert lines[2] == "| here | m 012345 | geodl | 3 | 50.0 | 25.0 | 100.0 | 75.0 | 10.0 | - | 4.2 |"
    assert lines[3].startswith("| there (learnt from) | m 012345 | threshold | 3 |")
    assert len(lines) == 4
    assert read_rows(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("place", FAIR)
def test_one_place_is_held_out(place):
    recipe = recipe_without(place, minutes=2)
    held = [source for source in recipe.sources if source.role == "validation"]
    assert [place in source.patterns[0] for source in held] == [True]
    assert sorted(source.role for source in recipe.sources) == ["train", "train", "validation"]
    assert recipe.optimisation.time_limit_minutes == 2
    assert place.split("_")[0] in recipe.name


@pytest.mark.parametrize("name", ["kampala_ug", "vegas-grey", "atlanta", "massachusetts-26578795_15"])
def test_real_pictures_lie_under_their_truth(name, real_data):
    built = PLACES[name].build(real_data)
    assert built.pixels.shape[1:] == built.known.shape == built.surface.shape
    frame = shapely.box(*rasterio.transform.array_bounds(*built.known.shape, built.transform))
    inside = built.truth.to_crs(built.crs).geometry.intersects(frame)
    assert inside.sum() >= 5
    assert 0 < (built.surface & built.known).mean() < 0.5
