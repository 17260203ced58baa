"""The comparison of ways to find change: all on the same pixels, none on places that it has seen."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from geodl.changes import METHODS as UNSUPERVISED
from geodl.models.table import MODELS
from geodl.training.recipe import load_recipe
from tests.benchmarks.accuracy.cases import Effort
from tests.benchmarks.change import __main__ as command
from tests.benchmarks.change.cases import ALTERATIONS, NETWORKS, WORKFLOW, Case, known_methods, split_method
from tests.benchmarks.change.pictures import draw_sheet, errors_of
from tests.benchmarks.change.places import DATA, Data, Place
from tests.benchmarks.change.rows import Row, change_table, place_table, read_rows
from tests.benchmarks.change.scores import BINS, HALF, best_threshold, found_at, tally

EFFORT = Effort(steps=2, batch=2, patch=32)
SIDE = 96


def write(path, values, **georeference):
    profile = {"driver": "GTiff", "count": len(values), "height": SIDE, "width": SIDE, "dtype": "uint16"}
    with rasterio.open(path, "w", **profile, **georeference) as file:
        file.write(values.astype("uint16"))
        file.descriptions = ("red", "nir")[: len(values)]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Three places of 96 x 96 pixels where a bright square appears; two of them are neighbours."""
    folder = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    places = []
    for number, group in enumerate(("east", "east", "west")):
        place = {
            "crs": "EPSG:32632",
            "transform": Affine(10, 0, 5e5 + 5000 * number, 0, -10, 52e5),
        }
        truth = np.ones((1, SIDE, SIDE))
        row = 20 + 16 * number
        truth[0, row : row + 16, 30:46] = 2
        before = random.normal(1500, 40, (2, SIDE, SIDE))
        after = before + random.normal(200, 40, (2, SIDE, SIDE)) + 2000 * (truth == 2)
        files = [folder / f"{number}-{name}.tif" for name in ("before", "after", "labels")]
        write(files[0], before, **place)
        write(files[1], after, **place)
        write(files[2], truth)
        named = dict(zip(("before", "after", "labels"), files, strict=True))
        places.append(Place(name=f"p{number}", group=group, **named, reading={"scale": 0.0001}))
    return Data(bands=("red", "nir"), units="reflectance", values=(1, 2), find=lambda *_: places)


@pytest.fixture
def data(generated, monkeypatch):
    monkeypatch.setitem(DATA, "generated", generated)
    return generated


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["change", *map(str, words)])
    command.main()


def test_all_ways_are_checked_on_the_same_pixels(data, monkeypatch, tmp_path, capsys):
    out, work = tmp_path / "rows.jsonl", tmp_path / "work"
    methods = ["cva", "irmad+aligned", "siamese_unet-draws", "early_fusion_compact", "torchgeo"]
    words = [
        "--data", "generated", "--methods", *methods, "--out", out, "--work", work,
        "--steps", EFFORT.steps, "--batch", EFFORT.batch, "--patch", EFFORT.patch,
    ]  # fmt: skip
    call(monkeypatch, *words)
    rows = read_rows(out)
    by_group = [(m, f"p{n}") for numbers in ((0, 1), (2,)) for m in methods for n in numbers]
    assert [(row.method, row.place) for row in rows] == by_group
    for row in rows:
        assert np.sum(row.counts, axis=1).tolist() == [SIDE**2 - 256, 256]
    found = {(row.method, row.place): found_at(row.counts) for row in rows}
    for n in range(3):
        assert found["cva", f"p{n}"].f1 > 0.8  # its squares of 3 x 3 pixels widen what is found
        assert found["irmad+aligned", f"p{n}"].recall > 0.9
    assert (work / "maps" / "generated-torchgeo-2x2x32-1-p1.png").is_file()
    cases = [Case(data="generated", method=name, group="", effort=EFFORT) for name in ("cva", "torchgeo")]
    draw_sheet(work / "maps", cases, ["p0", "p2"], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 900
    parameters = {row.method: row.parameters for row in rows}
    assert parameters["cva"] is None
    assert parameters["early_fusion_compact"] < parameters["siamese_unet-draws"] < parameters["torchgeo"]
    table = capsys.readouterr().out
    assert "| method | steps x batch x pixels | p0 | p1 | p2 |" in table
    assert "| `torchgeo` | 2 x 2 x 32 | 3 |" in table

    call(monkeypatch, *words)
    capsys.readouterr()
    assert read_rows(out) == rows  # nothing is measured twice
    call(monkeypatch, *words, "--steps", 1, "--methods", "cva", "early_fusion_compact", "--groups", "west")
    assert [(row.method, row.steps) for row in read_rows(out)[len(rows) :]] == [("early_fusion_compact", 1)]
    assert "| method | steps x batch x pixels | p2 |" in capsys.readouterr().out
    maps = (path.name for path in (work / "maps").glob("*early_fusion_compact*-p2.png"))
    assert sorted(maps) == [f"generated-early_fusion_compact-{steps}x2x32-1-p2.png" for steps in (1, 2)]


def test_a_method_that_does_not_apply_is_left_out(data, monkeypatch, tmp_path, capsys):
    """No bundled model has these two bands alone."""
    out = tmp_path / "rows.jsonl"
    words = ["--data", "generated", "--methods", "features", "--out", out, "--work", tmp_path / "work"]
    call(monkeypatch, *words)
    assert read_rows(out) == []
    assert "generated features: left out, " in capsys.readouterr().out


def test_every_seed_is_a_row(data, monkeypatch, tmp_path):
    out = tmp_path / "rows.jsonl"
    words = ["--data", "generated", "--methods", "cva", "--groups", "west", "--out", out, "--work", tmp_path]
    call(monkeypatch, *words, "--seeds", 1, 2)
    assert [(row.method, row.seed) for row in read_rows(out)] == [("cva", 1), ("cva", 2)]


def test_what_is_held_out_is_not_learned_from(data):
    for group in ("east", "west"):
        case = Case(data="generated", method="fc_siam_diff", group=group, effort=EFFORT)
        places = data.find(Path(), Path())
        roles = [source.role for source in case.recipe(places).sources]
        assert roles == ["validation" if place.group == group else "train" for place in places]


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_one_ingredient_differs(data, alteration):
    places = data.find(Path(), Path())
    base, altered = (
        Case(data="generated", method=f"btc{name}", group="west", effort=EFFORT, model=Path("m"))
        .recipe(places)
        .model_dump()
        for name in ("", alteration)
    )
    changed = [key for key in base if base[key] != altered[key]]
    expected = {"+aligned": [], "+model": ["start"], "-scores": ["units"]}.get(
        alteration, list(ALTERATIONS[alteration])
    )
    assert changed == expected


def test_every_network_for_two_dates_is_compared():
    two_dates = {name for name, row in MODELS.items() if row.note.startswith("two dates")}
    assert two_dates
    assert two_dates <= {architecture for architecture, _ in NETWORKS.values()}
    assert set(UNSUPERVISED) < set(known_methods())


def test_the_workflow_holds_out_whole_cities():
    split = load_recipe(WORKFLOW).split
    assert (split.by, split.folds) == ("scene", 8)


@pytest.mark.parametrize("name", ["cva-weights", "torchgeo+model", "unet", "siamese_unet+mud", ""])
def test_unknown_methods_are_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"no method '{name}'; there are cva, ")):
        split_method(name)


def test_a_model_must_be_named(data, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        call(monkeypatch, "--data", "generated", "--methods", "model", "--out", tmp_path / "rows.jsonl")
    assert "--methods model needs --model DIR" in capsys.readouterr().err


@settings(deadline=None, max_examples=40)
@given(
    pixels=st.lists(st.tuples(st.integers(0, BINS - 1), st.sampled_from([0, 1, 255])), min_size=1),
    threshold=st.integers(1, BINS - 1),
)
def test_figures_are_those_of_scikit_learn(pixels, threshold):
    percent, truth = (np.array(values, np.uint8) for values in zip(*pixels, strict=True))
    counts = tally(percent, truth)
    known = truth < 2
    pair = (truth[known] == 1, percent[known] >= threshold)
    found = found_at(counts, threshold)
    oracles = {"f1": f1_score, "precision": precision_score, "recall": recall_score, "iou": jaccard_score}
    for name, oracle in oracles.items():
        expected = oracle(*pair, zero_division=0) if known.any() else 0
        assert getattr(found, name) == pytest.approx(expected)
    assert found_at(counts, best_threshold(counts)).f1 >= found.f1


def make_row(group, counts, **values):
    fixed = {
        "data": "onera", "method": "btc", "seed": 1, "steps": 5, "batch": 2, "patch": 32,
        "parameters": 1_200_000, "seconds": 2.0,
    }  # fmt: skip
    return Row(group=group, place=group, counts=counts, **{**fixed, **values})


def counted(*entries):
    counts = np.zeros((2, BINS), int)
    for truth, percent, pixels in entries:
        counts[truth, percent] = pixels
    return counts.tolist()


def test_the_threshold_comes_from_the_other_places():
    # paris wants 70, bercy and rennes 30: paris is cut at 30 and loses, the others hear from each other.
    paris = counted((0, 35, 60), (0, 5, 40), (1, 80, 10))
    others = counted((0, 20, 100), (1, 40, 10))
    rows = [make_row("paris", paris), make_row("bercy", others), make_row("rennes", others)]
    cells = [cell.strip() for cell in change_table(rows, "onera").splitlines()[-1].split("|")[1:-1]]
    assert cells[:3] == ["`btc`", "5 x 2 x 32", "3"]
    f1_at_half = 100 * 2 * 10 / (2 * 10 + 20)  # paris alone is found
    assert cells[3] == f"{f1_at_half:.1f}"
    f1_elsewhere = 100 * 2 * 30 / (2 * 30 + 60)
    assert cells[8] == f"{f1_elsewhere:.1f}"
    assert place_table(rows, "onera").splitlines()[-1] == "| `btc` | 5 x 2 x 32 | 0.0 | 100.0 | 0.0 |"


def test_rows_of_other_effort_stand_apart():
    rows = [make_row("paris", counted((1, HALF, 3)), steps=steps) for steps in (10, 9)]
    assert [line.split("|")[2].strip() for line in change_table(rows, "onera").splitlines()[2:]] == [
        "9 x 2 x 32",
        "10 x 2 x 32",
    ]


def test_pictures_tell_found_from_missed():
    percent, truth = np.array([[0, 99, 0, 99, 99]], np.uint8), np.array([[0, 0, 1, 1, 255]], np.uint8)
    colours = errors_of(percent, truth)
    assert colours.shape == (1, 5, 3)
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) == 5
