"""Models of series: learnt from scenes and from tables of points, and mapped like any other model."""

import gzip
import json
import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml
from affine import Affine
from click.testing import CliRunner

import geodl
from geodl.calendars import Calendar
from geodl.cli import main
from geodl.errors import GeodlError, MismatchError, ModelError, OptionError, RecipeError
from geodl.models import ModelSpec, build_network, load_model, tiling_of
from geodl.scene.series import on_calendar
from geodl.series import series_sources
from geodl.training import Recipe, load_recipe, train
from geodl.training.description import make_spec
from geodl.training.floor import floor
from geodl.training.plots import decode

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"
START, EVERY, DATES, SIDE = date(2019, 1, 5), 16, 12, 48
CALENDAR = {"start": "01-05", "every": 32, "steps": 6}
CLASSES = [
    {"value": 1, "name": "early", "color": "#22643a"},
    {"value": 2, "name": "late", "color": "#e9c46a"},
]
LEARNING = {
    "epochs": 2, "samples_per_epoch": 48, "patch": 16, "batch": 4, "learning_rate": 0.02, "ema": 0.8,
    "precision": "32",
}  # fmt: skip
SMALL = {"width": 8, "attention": 16, "heads": 2, "features": 16, "dropout": 0.0}


def day_of(number):
    return START + timedelta(days=EVERY * number)


def course(late, number, rng, shape=()):
    """Values of a crop that is green early or late in the year."""
    peak = np.where(late, 0.75, 0.25) * DATES
    return 0.2 + 0.6 * np.exp(-(((number - peak) / 3) ** 2)) + rng.normal(0, 0.05, shape)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with a raster for each date, clouds as nodata, and the classes that are to be learnt."""
    folder, rng = tmp_path_factory.mktemp("season"), np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE]
    late = np.sin(x / 5) + np.cos(y / 6) > 0
    profile = {
        "driver": "GTiff", "height": SIDE, "width": SIDE, "count": 1, "crs": "EPSG:32633",
        "transform": Affine(10, 0, 500000, 0, -10, 5200000),
    }  # fmt: skip
    for number in range(DATES):
        values = course(late, number, rng, late.shape)
        values[rng.random(values.shape) < 0.3] = np.nan
        values[:3, :4] = np.nan  # never seen
        with rasterio.open(folder / f"ndvi_{day_of(number)}.tif", "w", dtype="float32", **profile) as file:
            file.write(values.astype(np.float32), 1)
    with rasterio.open(folder / "labels.tif", "w", dtype="uint8", nodata=0, **profile) as file:
        file.write((1 + late).astype(np.uint8), 1)
    return folder


def recipe_of(folder, **changes):
    content = {
        "name": "season", "architecture": "ltae", "parameters": SMALL, "bands": ["ndvi"],
        "units": "reflectance", "calendar": CALENDAR, "classes": CLASSES, "optimisation": LEARNING,
        "sources": [
            {"scenes": "ndvi_*.tif", "series": True, "bands": ["ndvi"], "scale": 1, "labels": "labels.tif"}
        ],
        "split": {"block": 12}, "augment": {"noise": 0.0},
        **changes,
    }  # fmt: skip
    path = folder / f"{len(list(folder.glob('*.yaml')))}.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_recipe(path)


@pytest.fixture(scope="module")
def model(scenes, tmp_path_factory):
    recipe = recipe_of(scenes, parameters={**SMALL, "context": 1})
    return train(recipe, tmp_path_factory.mktemp("models") / "season", device="cpu", echo=lambda _: None)


def test_a_recipe_learns_from_a_series_of_scenes(model, scenes):
    assert model.spec.accuracy.overall > 0.85
    assert model.spec.calendar == Calendar(**CALENDAR)
    assert model.spec.band_names[:3] == ["01.ndvi", "01.gap", "02.ndvi"]
    assert model.spec.parameters["steps"] == 6
    written = json.loads((model.folder / "model.json").read_text())["properties"]
    assert written["geodl:calendar"] == CALENDAR
    assert written["geodl:training"]["recipe"]["bands"] == ["ndvi"]
    assert Recipe.model_validate(written["geodl:training"]["recipe"]).bands == model.spec.band_names
    assert load_model(str(model.folder)).spec == model.spec
    assert floor(recipe_of(scenes), trees=10).overall > 0.85


def test_the_map_is_the_network_on_the_whole_scene(model, scenes):
    series = geodl.open_series(str(scenes / "ndvi_*.tif"), bands=["ndvi"], scale=1)
    scene = on_calendar(series, model.spec.calendar)
    mean, std = (
        np.array([getattr(b, key) for b in model.spec.bands], np.float32)[:, None, None]
        for key in ("mean", "std")
    )
    pixels = torch.from_numpy(np.nan_to_num((scene.values - mean) / std))
    halo = model.spec.halo
    assert halo == 2
    padded = torch.nn.functional.pad(pixels[None], (halo,) * 4, mode="reflect")
    with torch.inference_mode():
        whole = model.network("cpu")(padded)[0, :, halo:-halo, halo:-halo].softmax(0)
    expected = np.where(geodl.valid_mask(scene), np.array([1, 2])[whole.argmax(0)], 255)
    for tile in (None, 20):
        found = geodl.predict(series, model, device="cpu", precision="fp32", tile=tile)["class"].values
        clear = (whole[0] - whole[1]).abs().numpy() > 1e-4
        np.testing.assert_array_equal(found[clear], expected[clear])
    assert (found == 255).sum() == 12


def test_the_command_line_maps_the_files_together(model, scenes, tmp_path):
    files = ["predict", str(scenes / "ndvi_*.tif"), "--model", str(model.folder)]
    ran = CliRunner().invoke(
        main, [*files, "--bands", "ndvi", "--scale", "1", "--out", str(tmp_path / "maps"), "--device", "cpu"]
    )
    assert ran.exit_code == 0, ran.output
    (folder,) = (path for path in (tmp_path / "maps").iterdir() if not path.name.startswith("."))
    with rasterio.open(folder / "landcover.tif") as file, rasterio.open(scenes / "labels.tif") as labels:
        mapped, truth = file.read(1), labels.read(1)
    assert (mapped == 255).sum() == 12
    assert (mapped == truth)[mapped != 255].mean() > 0.85
    told = json.loads((folder / "manifest.json").read_text())["scene"]["calendar"]
    assert told["first"] == "2019-01-05"
    assert [seen["date"] for seen in told["observed"]] == [str(day_of(number)) for number in range(DATES)]
    item = json.loads(next(folder.glob("*item*.json")).read_text())["properties"]
    assert item["start_datetime"].startswith("2019-01-05")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scale", "1"], r"bands ndvi of each date; of these the scenes lack ndvi \(they have band_1"),
        (["--bands", "ndvi", "--scale", "1", "--coregister", "shift"], "a series of dates: leave them out"),
        (["--bands", "ndvi", "--scale", "1", "--dates", "2019-01-05"], "--dates: 1 for 12 dates"),
        (["--bands", "ndvi"], "needs reflectance, the scene holds values of unknown scale"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(model, scenes, tmp_path, options, words):
    files = ["predict", str(scenes / "ndvi_*.tif"), "--model", str(model.folder), "--out", str(tmp_path)]
    ran = CliRunner().invoke(main, [*files, *options])
    assert ran.exit_code != 0
    told = " ".join((ran.output + str(ran.exception)).split())
    assert re.search(words, told), told


def test_one_scene_is_no_series(model, scenes):
    one = geodl.open_scene(scenes / f"ndvi_{START}.tif", bands="ndvi", scale=1)
    with pytest.raises(MismatchError, match=r"maps a series of dates, the scene is none: .*open_series"):
        geodl.predict(one, model)


def write_table(path, *, points=60, columns="sample,longitude,latitude,label,date,green", squares=12):
    """Points in two years; in each square of 0.1 degrees there are both classes."""
    rng, lines = np.random.default_rng(2), [columns]
    for number in range(points):
        late = number % 2
        place = f"{10.05 + 0.1 * (number // 2 % squares):.3f},{50 + rng.uniform(0.01, 0.09):.4f}"
        years = timedelta(days=365 * (number % 3 == 0))
        for step in range(DATES):
            green = "" if rng.random() < 0.2 else f"{course(late, step, rng):.4f}"
            lines.append(f"{number},{place},{('early', 'late')[late]},{day_of(step) + years},{green}")
    content = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def table_recipe(folder, *, table=None, of_source=None, **changes):
    source = {
        "scenes": "points.csv*",
        "table": {"sample": "sample", "bands": {"ndvi": "green"}, **(table or {})},
        "classes": {name: [name] for name in ("early", "late")},
        **(of_source or {}),
    }
    return recipe_of(folder, sources=[source], **changes)


def test_points_of_a_table_are_divided_by_squares(tmp_path):
    write_table(tmp_path / "points.csv.gz")
    (plot,) = decode(table_recipe(tmp_path), tmp_path / "run", gap=0)
    assert sum(plot.train) + sum(plot.validation) == 60
    assert plot.image.shape == (12, 8, 8)
    train, held_out = (np.asarray(plot.labels(role)) != 255 for role in ("train", "validation"))
    squares = np.load(plot.scene / "squares.npy")
    assert not set(squares[train]) & set(squares[held_out])
    assert len(set(squares[train | held_out])) == 12
    peak = plot.image[::2].argmax(axis=0)  # early ones are greenest early, in whatever year
    early = np.asarray(plot.labels("all")) == 0
    assert peak[early].max() <= 2 < 3 <= peak[np.asarray(plot.labels("all")) == 1].min()


def test_a_model_of_points_maps_scenes(tmp_path, scenes):
    write_table(tmp_path / "points.csv")
    model = train(table_recipe(tmp_path), tmp_path / "points", device="cpu", echo=lambda _: None)
    assert model.spec.halo == 0
    series = geodl.open_series(str(scenes / "ndvi_*.tif"), bands=["ndvi"], scale=1)
    mapped = geodl.predict(series, model, device="cpu")["class"].values
    with rasterio.open(scenes / "labels.tif") as labels:
        assert (mapped == labels.read(1))[mapped != 255].mean() > 0.85


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"table": {"bands": {}}}, "has no column ndvi; it has sample, .* green: name its columns"),
        ({"architecture": "unet_compact", "parameters": {}}, "at neighbours, .* use ltae without `context`"),
        ({"parameters": {**SMALL, "context": 1}}, "looks at neighbours"),
        ({"of_source": {"classes": {"early": [1]}}}, "labels early, late are those of no"),
        ({"calendar": {**CALENDAR, "start": "2012-01-05"}}, "0 of its 12 dates lie in the calendar"),
        ({"table": {"square": 90}}, "lie in 1 square, too few.*`square`"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_learnt_from_are_refused(tmp_path, changes, words):
    write_table(tmp_path / "points.csv", points=12)
    with pytest.raises(GeodlError, match=words):
        decode(table_recipe(tmp_path, **changes), tmp_path / "run", gap=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"calendar": None, "parameters": {}}, "source 1 is of many dates.*`calendar`"),
        ({"parameters": {"steps": 5}}, "`steps` 5 of the parameters: the calendar has 6"),
        ({"sources": [{"scenes": "a.tif", "labels": "b.tif"}]}, "source 1 is no series.*`series: true`"),
        ({"sources": [{"scenes": "a.tif", "series": True}]}, "labels: is missing"),
        ({"sources": [{"scenes": "a.tif", "labels": "b.tif", "masks": "c"}]}, "`masks` are those of"),
        ({"sources": [{"scenes": "a.csv", "table": {}}], "augment": {"zoom": [0.8, 1.2]}}, "zoom mixes"),
        ({"calendar": {**CALENDAR, "start": "June"}}, "'June' is no day"),
    ],
)  # fmt: skip
def test_recipes_that_contradict_themselves_are_refused(tmp_path, changes, words):
    with pytest.raises(RecipeError, match=words):
        recipe_of(tmp_path, **changes)


def test_networks_want_the_same_bands_at_every_step():
    tiling = tiling_of("ltae")
    spec = ModelSpec(
        name="a", task="landcover", architecture="ltae", units="reflectance",
        bands=[{"name": f"b{i}", "mean": 0, "std": 1} for i in range(5)], classes=CLASSES,
        tile=tiling.tile, halo=tiling.halo, stride=tiling.stride, stitch=tiling.stitch,
    )  # fmt: skip
    with pytest.raises(ModelError, match="5 bands are not the same bands at 12 steps"):
        build_network(spec)
    with pytest.raises(ValueError, match="not those of the 6 steps of the calendar"):
        ModelSpec.model_validate({**spec.model_dump(), "calendar": CALENDAR})


def test_folders_are_series_of_their_own_with_masks(scenes, tmp_path):
    for name in "ab":
        (tmp_path / name / "clear").mkdir(parents=True)
        for number in range(0, DATES, 2):
            file = f"ndvi_{day_of(number)}.tif"
            (tmp_path / name / file).write_bytes((scenes / file).read_bytes())
            with rasterio.open(scenes / file) as source:
                profile = {**source.profile, "dtype": "uint8", "nodata": None}
            with rasterio.open(tmp_path / name / "clear" / file, "w", **profile) as mask:
                mask.write(np.full((SIDE, SIDE), name == "a" or number > 0, np.uint8), 1)
    source = {
        "scenes": "[ab]", "series": True, "masks": "{name}/clear/*.tif", "bands": ["ndvi"], "scale": 1,
        "labels": str(scenes / "labels.tif"),
    }  # fmt: skip
    whole, hidden = decode(recipe_of(tmp_path, sources=[source]), tmp_path / "run", gap=0)
    assert (whole.name, hidden.name) == ("a", "b")
    seen = np.isfinite(whole.image[0])
    assert whole.image[1][seen].min() == 0  # days from the first step to the first date
    assert hidden.image[1][np.isfinite(hidden.image[0])].min() == 2 * EVERY
    clear = tmp_path / "a" / "clear" / f"ndvi_{START}.tif"
    clear.unlink()
    with pytest.raises(RecipeError, match=r"5 masks for the 6 files of .*give one mask for each file"):
        decode(recipe_of(tmp_path, sources=[source]), tmp_path / "again", gap=0)


def test_arguments_of_a_command_are_series(scenes):
    pattern, folder = str(scenes / "ndvi_*.tif"), str(scenes.parent)
    (scenes.parent / "one.tif").write_bytes((scenes / "labels.tif").read_bytes())
    both = series_sources([folder, pattern], {"scale": 1}, {"grid": "before", "dates": None})
    assert [(len(source.paths), source.name) for source in both] == [(1, scenes.parent.name), (DATES, None)]
    assert both[1].open().sizes["time"] == DATES
    with pytest.raises(OptionError, match=r"--dates and --masks with 2 series: are those of one"):
        series_sources([folder, pattern], {}, {"dates": ("2019-01-05",)})


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("series-*.yaml")), ids=lambda path: path.stem)
def test_recipes_in_workflows_are_valid(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert make_spec(recipe).band_names == recipe.bands
