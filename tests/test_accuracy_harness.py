"""The comparison of ways to learn: all on the same pixels, each with its one ingredient changed."""

import re
import statistics
import sys

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

from tests.benchmarks.accuracy import __main__ as command
from tests.benchmarks.accuracy.cases import ALTERATIONS, BASES, DATA, Case, Effort, split_name
from tests.benchmarks.accuracy.rows import Row, accuracy_table, append_row, class_table, read_rows

EFFORT = Effort(steps=3, batch=2, patch=32)


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    """One scene of 160 x 160 pixels whose two classes differ in brightness."""
    folder = tmp_path_factory.mktemp("generated")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:160, :160]
    bright = np.sin(x / 13) + np.cos(y / 17) > 0
    pixels = random.normal(np.where(bright, 180, 60), 8, (2, 160, 160)).clip(0, 255).astype("uint8")
    profile = {
        "driver": "GTiff", "height": 160, "width": 160, "dtype": "uint8", "crs": "EPSG:32632",
        "transform": Affine(10, 0, 5e5, 0, -10, 52e5),
    }  # fmt: skip
    with rasterio.open(folder / "scene.tif", "w", count=2, **profile) as file:
        file.write(pixels)
        file.descriptions = ("red", "nir")
    with rasterio.open(folder / "labels.tif", "w", count=1, **profile) as file:
        file.write(np.where(bright, 2, 1).astype("uint8"), 1)
    path = folder / "recipe.yaml"
    content = {
        "name": "generated",
        "parameters": {"widths": [6, 12], "blocks": 1},
        "bands": ["red", "nir"],
        "units": "digital_number",
        "dtype": "uint8",
        "classes": [
            {"value": 1, "name": "dark", "color": "#222222"},
            {"value": 2, "name": "bright", "color": "#dddddd"},
        ],
        "sources": [{"scenes": "scene.tif", "labels": "labels.tif", "scale": "none"}],
        "split": {"block": 40},
        "optimisation": {
            "learning_rate": 0.02,
            "label_smoothing": 0.05,
            "balanced_draws": 0.2,
            "precision": "32",
        },
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def generated(recipe_file, monkeypatch):
    monkeypatch.setitem(DATA, "generated", recipe_file)


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["accuracy", *map(str, words)])
    command.main()


def test_all_ways_are_checked_on_the_same_pixels(generated, monkeypatch, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    variants = ["forest", "torchgeo", "default", "best", "best+pretrained"]
    words = [
        "--data", "generated", "--variants", *variants, "--seeds", 1, "--out", out,
        "--steps", EFFORT.steps, "--batch", EFFORT.batch, "--patch", EFFORT.patch,
        "--work", tmp_path / "models",
    ]  # fmt: skip
    call(monkeypatch, *words)
    rows = read_rows(out)
    assert [row.variant for row in rows] == variants
    assert len({row.pixels for row in rows}) == 1
    forest, peer, default, best, _ = rows
    assert forest.mean_iou > 0.99  # brightness alone tells the classes
    assert forest.parameters is None
    assert best.parameters < default.parameters == peer.parameters
    for row in rows:
        assert np.nanmean([v for v in row.iou.values() if v is not None]) == pytest.approx(
            row.mean_iou, abs=1e-4
        )
    assert "| generated | `torchgeo` | 1 |" in capsys.readouterr().out

    call(monkeypatch, *words, "--variants", "forest")
    assert read_rows(out) == rows  # nothing is measured twice
    call(monkeypatch, "--table", out)
    assert "| bright |" in capsys.readouterr().out


@pytest.mark.parametrize("alteration", [name for name in ALTERATIONS if name != "+pretrained"])
def test_one_ingredient_differs(generated, alteration):
    # Of the two bases at least one has the ingredient that goes, or lacks the one that comes.
    for base in BASES:
        before, after = (
            Case(data="generated", variant=f"{base}{name}", seed=7, effort=EFFORT).recipe().model_dump()
            for name in ("", alteration)
        )
        if changed := {key for key in before if before[key] != after[key]}:
            break
    allowed = {"architecture", "parameters"} if alteration == "+compact" else set(ALTERATIONS[alteration])
    assert changed == allowed
    if changed == {"optimisation"}:
        (ingredient,) = ALTERATIONS[alteration]["optimisation"]
        old, new = before["optimisation"], after["optimisation"]
        assert [key for key in old if old[key] != new[key]] == [ingredient]


def test_alterations_add_up(generated):
    both = Case(data="generated", variant="best-weights+draws", seed=7, effort=EFFORT).recipe().optimisation
    assert (both.class_weights, both.balanced_draws) == ("none", 0.5)


def test_the_draft_keeps_plots_and_effort(generated):
    best, default = (
        Case(data="generated", variant=name, seed=7, effort=EFFORT).recipe() for name in ("best", "default")
    )
    for part in ("sources", "split", "classes", "bands", "units", "seed"):
        assert getattr(best, part) == getattr(default, part)
    assert best.split.gap is not None
    for recipe in (best, default):
        settings = recipe.optimisation
        assert settings.epochs * settings.samples_per_epoch == EFFORT.steps * EFFORT.batch
        assert (settings.batch, settings.patch) == (EFFORT.batch, EFFORT.patch)
    assert default.optimisation.label_smoothing == 0
    assert default.parameters == {"encoder": "resnet18"}


@pytest.mark.parametrize("name", ["torchgeo-weights", "default-everything", "", "best+dice+mud"])
def test_unknown_variants_are_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"no variant '{name}'; there are forest, torchgeo")):
        split_name(name)


def make_row(variant, seed, mean_iou):
    return Row(
        data="zion", variant=variant, seed=seed, steps=3, batch=2, patch=32, mean_iou=mean_iou, overall=0.7,
        iou={"water": mean_iou, "snow": None}, pixels=100, parameters=1_200_000, seconds=2.0,
    )  # fmt: skip


def test_table_pairs_the_seeds(tmp_path):
    found = {("torchgeo", 1): 0.30, ("torchgeo", 2): 0.40, ("default", 1): 0.36, ("default", 2): 0.44}
    path = tmp_path / "rows.jsonl"
    for (variant, seed), value in found.items():
        append_row(path, make_row(variant, seed, value))
    append_row(path, make_row("default-weights", 2, 0.41))
    rows = read_rows(path)
    table = accuracy_table(rows).splitlines()
    assert len({line.count("|") for line in table}) == 1
    deviation = 100 * statistics.stdev([0.36, 0.44])
    default = next(line for line in table if "`default`" in line)
    assert f"40.0 ± {deviation:.1f}" in default
    assert f"+5.0 ± {100 * statistics.stdev([0.06, 0.04]):.1f}" in default
    assert "| +1.0 | -3.0 |" in next(line for line in table if "`default-weights`" in line)
    assert class_table(rows, "zion").splitlines()[-1] == "| snow | - | - | - |"
