"""Two textures that single pixels cannot tell apart: stripes along x and stripes along y."""

import csv
import dataclasses
import json
import os
import signal
import threading

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

from geodl.errors import GeodlError, MismatchError, OptionError, ProductError, RecipeError
from geodl.models.bundle import load_model
from geodl.tiles import Window
from geodl.training import load_recipe, train
from geodl.training.evaluate import Validation
from geodl.training.floor import floor
from geodl.training.plots import cut, decode
from geodl.training.recipe import Augment
from geodl.training.samples import Draws, Samples, band_statistics, class_weights, normalise

SIZE = (150, 210)


def write_pair(folder, stem, seed, *, size=SIZE, count=2, role="scene"):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    kind = (np.sin(x / 29 + seed) + np.cos(y / 23 + seed)) > 0  # True: stripes along y
    stripes = np.where(kind, (x // 2) % 2, (y // 2) % 2)
    pixels = 90 + 60 * stripes + rng.normal(0, 6, (count, *size))
    profile = {
        "driver": "GTiff", "height": size[0], "width": size[1], "crs": "EPSG:32632",
        "transform": Affine(1, 0, 500000, 0, -1, 5200000),
    }  # fmt: skip
    pixels = pixels.clip(1, 255).astype(np.uint8)
    pixels[:, :12, :12] = 0
    with rasterio.open(folder / f"{stem}.tif", "w", count=count, dtype="uint8", nodata=0, **profile) as file:
        file.write(pixels)
        file.descriptions = ("red", "green", "nir", "blue")[:count]
    labels = np.where(kind, 9, 4).astype(np.uint8)
    labels[-10:] = 1  # no class of the recipe: ignored
    with rasterio.open(folder / f"{stem}_labels.tif", "w", count=1, dtype="uint8", **profile) as file:
        file.write(labels, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    for stem, seed in (("train_a", 0), ("train_b", 1), ("check", 2)):
        write_pair(folder, stem, seed)
    return folder


def recipe_of(folder, **changes):
    content = {
        "name": "textures",
        "bands": ["green", "red"],
        "units": "digital_number",
        "dtype": "uint8",
        "parameters": {"widths": [6, 12], "blocks": 1},
        "classes": [
            {"value": 4, "name": "rows", "color": "#aa0000"},
            {"value": 9, "name": "columns", "color": "#0000aa"},
        ],
        "sources": [
            {"scenes": "train_?.tif", "labels": "{folder}/{stem}_labels.tif", "role": "train"},
            {"scenes": "check.tif", "labels": "{folder}/{stem}_labels.tif", "role": "validation"},
        ],
        "optimisation": {
            "epochs": 3, "samples_per_epoch": 64, "patch": 48, "batch": 8, "learning_rate": 0.02, "ema": 0.9,
            "precision": "32",
        },
        # Turning a sample would turn the stripes, and with them the class.
        "augment": {"flips_rotations": False, "zoom": [0.9, 1.1]},
        **changes,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_recipe(path)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "textures"
    lines = []
    model = train(recipe_of(folder), out, device="cpu", echo=lines.append)
    return model, out, lines


def test_it_learns_what_single_pixels_cannot_tell(folder, trained):
    model, _, lines = trained
    assert model.spec.accuracy.overall > 0.9
    assert model.spec.accuracy.mean_iou > 0.8
    assert floor(recipe_of(folder), per_class=500, trees=10).overall < 0.7
    assert any("mIoU" in line for line in lines)


def test_the_folder_tells_where_the_model_comes_from(folder, trained):
    model, out, _ = trained
    spec = load_model(out).spec
    assert spec == model.spec
    assert spec.band_names == ["green", "red"]
    assert spec.class_values == [4, 9]
    assert 110 < spec.bands[0].mean < 130
    assert 25 < spec.bands[0].std < 40
    assert set(spec.accuracy.iou) == {"rows", "columns"}
    assert spec.accuracy.pixels == 140 * 210 - 144
    assert spec.training.recipe["optimisation"]["epochs"] == 3
    assert str(folder) not in (out / "model.json").read_text()
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["iou:rows"]) > 0.5
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in out.parent.iterdir()) == ["textures"], "the samples were left behind"


def test_the_measured_accuracy_is_that_of_the_saved_network(folder, trained, tmp_path):
    model, *_ = trained
    recipe = recipe_of(folder)
    plots = decode(recipe, tmp_path, gap=0)
    plot = plots[-1]
    import torch

    network = model.network()
    # The whole scene at once, padded by reflection to the stride: the reference for "no seams".
    pad = model.spec.halo
    window = Window(-pad, -pad, SIZE[0] + 2 * pad, SIZE[1] + 2 * pad)
    with torch.no_grad():
        scores = network(torch.from_numpy(normalise(*plot.window(window), model.spec.bands))[None])[0]
    predicted = scores.argmax(0).numpy()[pad : pad + SIZE[0], pad : pad + SIZE[1]]
    labels = np.asarray(plot.labels("validation"))
    assert (predicted == labels)[labels != 255].mean() == pytest.approx(model.spec.accuracy.overall, abs=1e-4)
    validation = Validation(plots=plots, spec=model.spec, device=torch.device("cpu"))
    found = validation.measure(network, validation.tiles())
    assert found.overall == pytest.approx(model.spec.accuracy.overall, abs=1e-4)
    some = validation.some_tiles(1, seed=0)
    assert len(some) == 1
    assert set(some) <= set(validation.tiles())


def test_the_same_seed_gives_the_same_weights(folder, tmp_path):
    fast = {"epochs": 1, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32"}
    hashes = []
    for number, seed in enumerate((1, 1, 2)):
        recipe = recipe_of(folder, optimisation=fast, seed=seed)
        model = train(recipe, tmp_path / str(number), device="cpu", echo=lambda _: None)
        hashes.append(model.spec.weights_sha256)
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_state_that_the_recipe_wants_is_kept(folder, tmp_path, keep):
    wild = {"epochs": 6, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32"}
    wild |= {"learning_rate": 0.1, "schedule": "constant", "ema": 0.01, "keep": keep}
    model = train(recipe_of(folder, optimisation=wild), tmp_path / "m", device="cpu", echo=lambda _: None)
    with (tmp_path / "m" / "metrics.csv").open() as file:
        scores = [float(row["mean_iou"]) for row in csv.DictReader(file)]
    assert max(scores) > scores[-1] + 0.01, "a run whose last state is not its best"
    wanted = {"best": max(scores), "last": scores[-1]}[keep]
    assert model.spec.accuracy.mean_iou == pytest.approx(wanted, abs=1e-3)


def test_the_time_limit_and_ctrl_c_keep_the_best_so_far(folder, tmp_path):
    endless = {"epochs": 1000, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32"}
    timed = recipe_of(folder, optimisation={**endless, "time_limit_minutes": 0.02})
    lines = []
    model = train(timed, tmp_path / "timed", device="cpu", echo=lines.append)
    assert model.spec.accuracy.overall is not None
    threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    model = train(
        recipe_of(folder, optimisation=endless), tmp_path / "stopped", device="cpu", echo=lines.append
    )
    assert "stopping; the best so far is kept" in lines
    assert model.spec.accuracy.overall is not None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_auto_scenes_are_divided_with_a_gap(folder, tmp_path):
    auto = [{"scenes": "*_?.tif", "labels": "{folder}/{stem}_labels.tif"}]
    recipe = recipe_of(folder, sources=auto, split={"block": 40, "validation": 0.3, "gap": 7})
    for plot in decode(recipe, tmp_path, gap=99):
        held_out = np.asarray(plot.labels("validation")) != 255
        learnt = np.asarray(plot.labels("train")) != 255
        assert held_out.any()
        assert learnt.any()
        rows, columns = np.nonzero(held_out)
        near = np.zeros(SIZE, dtype=bool)
        for row, column in zip(rows, columns, strict=True):
            near[max(0, row - 7) : row + 8, max(0, column - 7) : column + 8] = True
        assert not (near & learnt).any()
        assert plot.train == tuple(np.bincount(plot.labels("train").ravel(), minlength=256)[:2])


def test_plots_hold_bands_in_the_order_of_the_recipe(folder, tmp_path):
    plot = decode(recipe_of(folder), tmp_path, gap=0)[0]
    with rasterio.open(folder / "train_a.tif") as file:
        np.testing.assert_array_equal(plot.image, file.read([2, 1]))
        np.testing.assert_array_equal(plot.valid, file.read(1) != 0)
    labels = np.asarray(plot.labels("train"))
    assert (labels[-10:] == 255).all()
    assert (labels[:12, :12] == 255).all()
    assert set(np.unique(labels)) == {0, 1, 255}
    image, valid = plot.window(Window(-5, 200, 20, 20))
    assert image.dtype == np.float32
    whole = np.pad(np.asarray(plot.image), ((0, 0), (5, 0), (0, 10)), mode="reflect")
    np.testing.assert_array_equal(image, whole[:, :20, 200:220])
    assert valid.shape == (20, 20)


def test_a_window_larger_than_the_scene_is_reflected():
    array = np.arange(12).reshape(3, 4)
    window = Window(-4, -4, 12, 12)
    np.testing.assert_array_equal(cut(array, window), np.pad(array, ((4, 5), (4, 4)), mode="reflect"))


def test_statistics_weights_and_draws(folder, tmp_path):
    recipe = recipe_of(folder)
    plots = decode(recipe, tmp_path, gap=0)
    values = np.concatenate(
        [p.image[:, np.asarray(p.labels("train")) != 255] for p in plots if sum(p.train)], axis=1
    )
    bands = band_statistics(plots, recipe.bands)
    assert [band.name for band in bands] == recipe.bands
    np.testing.assert_allclose([band.mean for band in bands], values.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose([band.std for band in bands], values.std(axis=1), rtol=1e-6)

    counts = np.sum([p.train for p in plots], axis=0)
    weights = class_weights(plots, "balanced")
    assert weights[0] / weights[1] == pytest.approx(counts[1] / counts[0], rel=1e-5)
    assert class_weights(plots, "none").tolist() == [1, 1]
    assert class_weights(plots, "auto").tolist() == [1, 1]

    draws, random = Draws(plots, balanced=1.0, seed=0), np.random.default_rng(0)
    drawn = [draws.draw(random) for _ in range(400)]
    codes = [plots[number].labels("train")[row, column] for number, row, column in drawn]
    assert set(codes) == {0, 1}
    assert 0.4 < np.mean(codes) < 0.6
    assert {number for number, *_ in drawn} == {0, 1}


@pytest.mark.parametrize(("rare", "helped"), [(19, True), (20, False)])
def test_rare_classes_get_help_where_there_are_some(folder, tmp_path, rare, helped):
    recipe = recipe_of(folder)
    plots = [
        dataclasses.replace(plot, train=(0, 0)) for plot in decode(recipe, tmp_path, gap=0) if sum(plot.train)
    ]
    plots[0] = dataclasses.replace(plots[0], train=(1000 - rare, rare))
    weights = class_weights(plots, "auto")
    assert weights.tolist() == class_weights(plots, "sqrt" if helped else "none").tolist()


@pytest.mark.parametrize(("rare", "share"), [(True, 0.5), (False, 0.0)])
def test_automatic_draws(folder, tmp_path, monkeypatch, rare, share):
    recipe = recipe_of(folder)
    plots = decode(recipe, tmp_path, gap=0)
    seen = []
    monkeypatch.setattr("geodl.training.samples.has_rare_class", lambda _: rare)
    monkeypatch.setattr("geodl.training.samples.Draws", lambda _, balanced, seed: seen.append(balanced))
    for draws in ("auto", 0.25):
        settings = recipe.optimisation.model_copy(update={"balanced_draws": draws})
        Samples(recipe.model_copy(update={"optimisation": settings}), plots, [])
    assert seen == [share, 0.25]


def test_samples_do_not_depend_on_who_asks(folder, tmp_path):
    recipe = recipe_of(folder)
    plots = decode(recipe, tmp_path, gap=0)
    bands = band_statistics(plots, recipe.bands)
    image, labels = Samples(recipe, plots, bands)[5]
    again, _ = Samples(recipe, plots, bands)[5]
    assert image.shape == (2, 48, 48)
    assert labels.shape == (48, 48)
    np.testing.assert_array_equal(image, again)
    assert (labels != 255).any()


def test_samples_change_the_more_the_oftener_a_place_was_seen(folder, tmp_path):
    recipe = recipe_of(folder)
    plots = decode(recipe, tmp_path, gap=0)
    bands = band_statistics(plots, recipe.bands)
    passes = 3.0
    until = round(passes * sum(sum(plot.train) for plot in plots) / recipe.optimisation.patch**2)

    def samples(**amounts):
        still = {"flips_rotations": False, "brightness": 0, "contrast": 0, "channels": 0, "noise": 0}
        augment = Augment(**still | amounts, after_passes=passes)
        return Samples(recipe.model_copy(update={"augment": augment}), plots, bands)

    noisy, clean = samples(noise=0.5), samples()
    changed = np.array([bool((noisy[n][0] != clean[n][0]).any()) for n in range(until + 8)])
    assert not changed[0]
    assert changed[: until // 2].mean() < 0.5 < changed[until // 2 : until].mean() < 1
    assert changed[until:].all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"bands": ["green", "swir1"]}, MismatchError, r"train_a\.tif: .*lacks swir1 .*set bands, scale"),
        ({"units": "reflectance"}, MismatchError, r"needs reflectance, the scene holds digital numbers"),
        ({"architecture": "unet_huge"}, GeodlError, r"unet_huge.*unet_compact"),
        ({"parameters": {"width": 3}}, GeodlError, r"width"),
        ({"halo": 3}, RecipeError, r"halo"),
        ({"split": {"block": 500}, "sources": [{"scenes": "check.tif", "labels": "check_labels.tif"}]},
         RecipeError, r"cannot be divided into blocks of 500"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(folder, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        train(recipe_of(folder, **changes), tmp_path / "m", device="cpu", echo=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_missing_files_and_devices_are_named(folder, tmp_path):
    for source, message in (
        ({"scenes": "no_*.tif", "labels": "x.tif"}, r"sources\.0\.scenes: nothing matches 'no_\*\.tif'"),
        ({"scenes": "check.tif", "labels": "{stem}.png"}, r"sources\.0\.labels: .*check\.png does not exist"),
    ):
        with pytest.raises(RecipeError, match=message):
            train(recipe_of(folder, sources=[source]), tmp_path / "m", echo=lambda _: None)
    with pytest.raises(OptionError, match=r"--device tpu: .*--device cpu"):
        train(recipe_of(folder), tmp_path / "m", device="tpu", echo=lambda _: None)
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(ProductError, match="exists and is no model"):
        train(recipe_of(folder), tmp_path, echo=lambda _: None)


def test_the_report_of_the_floor_is_json(folder):
    json.dumps(floor(recipe_of(folder), per_class=50, trees=2).to_dict())
