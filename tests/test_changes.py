"""Change without labels: thresholds of others, planted changes found, gaps told, blocks of no matter."""

import json
import tracemalloc
from itertools import combinations

import geopandas
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.image import imread
from skimage.filters import threshold_otsu

import geodl
from geodl.alignment import dates as alignment_dates
from geodl.alignment.dates import dates_of
from geodl.changes import ChangeOptions, ScoreHistogram, find_changes, kittler_illingworth, otsu
from geodl.changes.measures import METHODS, fit_measure
from geodl.changes.picture import draw_pair
from geodl.changes.scores import score_window
from geodl.changes.threshold import otsu_of_three, threshold_of
from geodl.cli import main
from geodl.errors import OptionError, RecipeError, SceneError
from geodl.tiles import Window
from geodl.workflow import load_workflow
from tests.conftest import write_scene

PATCH = np.s_[:, 30:60, 100:140]
GAPS = {"before": np.s_[:, 0:20, 0:30], "after": np.s_[:, 10:40, 0:20]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two dates of smooth ground in other light, with noise, a changed patch, and a hole in each."""
    folder = tmp_path_factory.mktemp("dates")
    paths = [write_scene(folder / f"field_{year}.tif", 150, 170) for year in (2023, 2024)]
    rng = np.random.default_rng(0)
    ground = 2000 + 500 * np.sin(np.linspace(0, 9, 150))[:, None] + np.linspace(0, 800, 170)
    for path, light in zip(paths, (1.0, 1.2), strict=True):
        with rasterio.open(path, "r+") as file:
            count = file.count
            values = light * np.stack([ground + 300 * band for band in range(count)])
            values += rng.normal(0, 20, values.shape)
            if path is paths[1]:
                values[PATCH] += np.array([900, -700, 800, 500][:count])[:, None, None]
            values[GAPS["before" if path is paths[0] else "after"]] = 0
            file.write(np.rint(values).astype(file.dtypes[0]))
    return paths


@pytest.fixture(scope="module")
def truth():
    truth = np.zeros((150, 170), np.uint8)
    truth[PATCH[1:]] = 1
    first, second = (np.zeros(truth.shape, bool) for _ in range(2))
    first[GAPS["before"][1:]] = second[GAPS["after"][1:]] = True
    truth[first], truth[second], truth[first & second] = 253, 254, 255
    return truth


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr("geodl.changes.translator._STEPS", 40)


def model_of(method, model):
    return str(model.folder) if METHODS[method].needs_model else None


def band(path):
    with rasterio.open(path) as file:
        return file.read(1)


@given(st.lists(st.integers(1, 50), min_size=3, max_size=9))
def test_three_groups_lie_apart_as_far_as_any_three(counts):
    values = np.arange(len(counts), dtype=float)
    found = otsu_of_three(values, np.array(counts))
    image = np.repeat(values, counts)
    best = max(spread_of_three(image, one, two) for one, two in combinations(values[:-1], 2))
    reached = max(spread_of_three(image, one, found) for one in values if one < found)
    assert reached == pytest.approx(best)


def spread_of_three(image, one, two):
    groups = [image[image <= one], image[(image > one) & (image <= two)], image[image > two]]
    return sum(len(group) * (group.mean() - image.mean()) ** 2 for group in groups)


@given(
    arrays.arrays(
        np.float32, st.integers(20, 200), elements=st.floats(0, 100, width=32, allow_subnormal=False)
    )
)
def test_otsu_is_that_of_scikit_image(scores):
    histogram = ScoreHistogram()
    histogram.add(scores)
    values, counts = histogram.filled()
    if len(values) < 2:
        return
    # Compared by what they are to maximise: rounding decides between two cuts that are equally good.
    best = spread_between(values, counts, threshold_otsu(hist=(counts, values)))
    assert spread_between(values, counts, otsu(values, counts)) == pytest.approx(best, rel=1e-6)


def spread_between(values, counts, threshold):
    low = values <= threshold
    means = [np.average(values[part], weights=counts[part]) for part in (low, ~low)]
    return counts[low].sum() * counts[~low].sum() * float(means[0] - means[1]) ** 2


def test_fine_bins_lose_nothing():
    scores = np.random.default_rng(0).gamma(2, 1.5, 50_000).astype(np.float32)
    scores[:2000] += 30
    histogram = ScoreHistogram()
    histogram.add(scores)
    assert otsu(*histogram.filled()) == pytest.approx(threshold_otsu(scores, nbins=20_000), rel=2e-3)


def test_kittler_and_illingworth_cut_where_two_normal_distributions_cross():
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.normal(10, 1, 90_000), rng.normal(20, 2, 10_000)]).astype(np.float32)
    histogram = ScoreHistogram()
    histogram.add(scores)
    # 0.9 N(10, 1) = 0.1 N(20, 2): solved for the crossing between the means
    roots = np.roots([3 / 8, -(10 - 5), 50 - 50 - np.log(0.9 * 2 / 0.1)])
    crossing = next(root for root in roots if 10 < root < 20)
    assert kittler_illingworth(*histogram.filled()) == pytest.approx(crossing, abs=0.3)


def test_a_few_glints_are_not_all_the_change_there_is():
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.normal(1, 0.2, 9000), rng.normal(6, 0.5, 1000), np.full(5, 1e5)])
    histogram = ScoreHistogram()
    histogram.add(scores.astype(np.float32))
    assert otsu(*histogram.filled()) > 7
    assert ((scores > threshold_of("otsu", histogram)) == (scores > 3)).mean() > 0.9995


def test_counts_do_not_depend_on_pieces():
    scores = np.random.default_rng(2).gamma(1, 3, (40, 50)).astype(np.float32)
    scores[3, 4] = np.nan
    whole, pieces = ScoreHistogram(), ScoreHistogram()
    whole.add(scores)
    for part in np.array_split(scores, 7, axis=1):
        pieces.add(part)
    for one, other in zip(whole.filled(), pieces.filled(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.filled()[1].sum() == scores.size - 1
    np.testing.assert_allclose(whole.filled()[0].max(), np.nanmax(scores), rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_change_is_found_and_gaps_are_told(files, truth, method, tiny_model, tmp_path):
    options = ChangeOptions(method=method, model=model_of(method, tiny_model))
    found = find_changes(geodl.open_pair(*files), tmp_path, options)
    classes = band(found.folder / "change.tif")
    np.testing.assert_array_equal(np.where(classes < 253, 0, classes), np.where(truth < 253, 0, truth))
    known = truth < 253
    hit = (classes == 1) & (truth == 1)
    least = 0.93 if method in ("cva", "irmad") else 0.75  # networks look around a pixel: edges are smoothed
    assert 2 * hit.sum() / ((classes[known] == 1).sum() + (truth == 1).sum()) > least
    scores = band(found.folder / "change_score.tif")
    np.testing.assert_array_equal(np.isnan(scores), truth >= 253)
    np.testing.assert_array_equal(classes[known] == 1, scores[known] > found.threshold)


def test_everything_is_published(files, tmp_path):
    found = find_changes(geodl.open_pair(*files), tmp_path, ChangeOptions(threshold="ki", min_area=2000))
    assert found.folder == tmp_path / "field_2023_2024"
    assert {path.name for path in found.folder.iterdir()} == {
        "change.tif", "change.tif.aux.xml", "change.qml", "change.gpkg", "change.png", "change_score.tif",
        "change_score.qml", "item.json", "manifest.json", "map.qgz", "report.html", "thumbnail.png",
    }  # fmt: skip
    layer = geopandas.read_file(found.folder / "change.gpkg", layer="change")
    assert len(layer) == found.polygons > 0
    assert set(layer["name"]) == {"changed"}
    assert (layer["area_m2"] >= 2000 * 0.99).all()
    assert (layer["score"] > found.threshold / 2).all()
    assert set(layer["date_before"]) == {"2023"}
    assert set(layer["date_after"]) == {"2024"}
    assert layer.area.sum() == pytest.approx(100 * (band(found.folder / "change.tif") == 1).sum())
    manifest = json.loads((found.folder / "manifest.json").read_text())
    assert manifest["method"]["threshold"] == found.threshold
    assert manifest["method"]["name"] == "cva"
    product = geodl.open_product(found.folder)
    product.check()
    scores = band(found.folder / "change_score.tif")
    np.testing.assert_array_equal(product.rasters["change_score"].values, scores)
    assert (product.rasters["class"].values == 1).sum() == (band(found.folder / "change.tif") == 1).sum()
    item = json.loads((found.folder / "item.json").read_text())
    assert item["properties"]["geodl:method"]["threshold"] == found.threshold
    assert {link["rel"] for link in item["links"]} == {"derived_from"}
    page = (found.folder / "report.html").read_text()
    assert "without a model, by the method <code>cva</code>" in page
    assert "Before (2023)" in page
    assert "After (2024)" in page
    assert [row["name"] for row in manifest["inputs"]] == [path.name for path in files]
    picture = imread(found.folder / "change.png")
    red = (picture[..., 0] > 0.8) & (picture[..., 1] < 0.25)
    assert red.sum() > 0.9 * (band(found.folder / "change.tif") == 1).sum()


@pytest.mark.parametrize("method", METHODS)
def test_neither_windows_nor_light_matter(files, method, tiny_model):
    pair = geodl.open_pair(*files)
    dates = dates_of(pair.isel(time=0), pair.isel(time=1))
    measure = fit_measure(method, dates, model=tiny_model)
    whole = score_window(dates, measure, Window(0, 0, 150, 170), 5)
    parts = [
        np.concatenate(
            [score_window(dates, measure, Window(row, column, 50, 85), 5) for column in (0, 85)], axis=1
        )
        for row in (0, 50, 100)
    ]
    # The last bits of a convolution depend on the size of its input.
    tolerance = 0 if method in ("cva", "irmad") else 1e-4
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=tolerance)
    # In units of what is usual, most pixels lie around 1, although the second date is a fifth brighter.
    assert 0.3 < np.nanmedian(whole) < 3


def test_products_do_not_depend_on_the_strips(files, tmp_path, monkeypatch):
    once = find_changes(geodl.open_pair(*files), tmp_path / "a", ChangeOptions(min_area=500)).folder
    for module in ("alignment.dates", "changes.product"):
        monkeypatch.setattr(f"geodl.{module}.SIDE", 64)
    assert alignment_dates.SIDE == 64
    again = find_changes(geodl.open_pair(*files), tmp_path / "b", ChangeOptions(min_area=500)).folder
    for name in ("change.tif", "change_score.tif"):
        np.testing.assert_array_equal(band(once / name), band(again / name))
    one, other = (geopandas.read_file(folder / "change.gpkg", layer="change") for folder in (once, again))
    assert one.drop(columns="score").equals(other.drop(columns="score"))


def test_a_picture_holds_no_scene(tmp_path):
    def strip(start, stop):
        date = np.random.default_rng(start).random((stop - start, 256, 3), np.float32)
        return (date, date + 1), np.zeros((stop - start, 256), np.uint8)

    peaks = []
    for height in (4096, 32768):
        tracemalloc.start()
        draw_pair(strip, (height, 256), tmp_path / "p.png", titles=("a", "b", "c"), legend=())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_smoothing_is_the_mean_of_the_valid_squares_around(files):
    pair = geodl.open_pair(*files)
    dates = dates_of(pair.isel(time=0), pair.isel(time=1))
    measure = fit_measure("cva", dates)
    alone = score_window(dates, measure, Window(0, 0, 150, 170), 1)
    smooth = score_window(dates, measure, Window(0, 0, 150, 170), 3)
    for row, column in ((40, 21), (0, 169), (25, 30), (80, 80)):
        around = alone[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].astype(float)
        assert smooth[row, column] == pytest.approx(np.sqrt(np.nanmean(around**2)), rel=1e-5)


def test_the_command_line(files, tmp_path):
    asked = ["change", *map(str, files), "--out", str(tmp_path), "--method", "irmad", "--threshold", "4"]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 0, result.output
    assert "threshold 4" in result.output
    assert (tmp_path / "field_2023_2024" / "change.gpkg").exists()


def test_a_workflow_finds_change_in_many_pairs(files, tmp_path):
    workflow, out = tmp_path / "change.yaml", tmp_path / "out"
    workflow.write_text(
        'change: {method: irmad, threshold: ki}\nscenes:\n  pairs: ["{place}_2023.tif", "{place}_2024.tif"]\n'
    )
    lonely = tmp_path / "lonely_2023.tif"
    lonely.write_bytes(files[0].read_bytes())
    asked = ["run", str(workflow), *map(str, files), str(lonely), "--out", str(out)]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 1, result.output
    assert "pair lonely: has no file of the later date" in result.output
    assert geodl.open_product(out / "field").manifest["method"]["name"] == "irmad"
    record = json.loads((out / "run.json").read_text())
    assert record["counts"] == {"done": 1, "skipped": 0, "failed": 1}
    assert record["workflow"]["change"]["threshold"] == "ki"
    CliRunner().invoke(main, asked)
    assert json.loads((out / "run.json").read_text())["counts"] == {"done": 0, "skipped": 1, "failed": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: landcover-s2\nchange: {}\nscenes: {pairs: ['{a}_1', '{a}_2']}\n", "either model, or change"),
        ("change: {}\n", "needs pairs"),
        ("change: {}\nrun: {block: 5}\nscenes: {pairs: ['{a}_1', '{a}_2']}\n", "leave it out"),
        ("change: {method: magic}\nscenes: {pairs: ['{a}_1', '{a}_2']}\n", "cva, irmad"),
        ("change: {speed: 9}\nscenes: {pairs: ['{a}_1', '{a}_2']}\n", "known are method, threshold"),
    ],
)
def test_workflows_of_change_that_mean_nothing_are_refused(tmp_path, text, message):
    path = tmp_path / "w.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_workflow(path)


@pytest.mark.parametrize(
    ("wrong", "cure"),
    [
        ({"method": "magic"}, "cva, irmad"),
        ({"threshold": "median"}, "otsu3, ki"),
        ({"threshold": "-1"}, "otsu3, ki"),
        ({"model": "landcover-s2"}, "leave it out"),
        ({"suppress_shift": 9}, "give 1"),
        ({"smooth": 4}, "1, 3, 5"),
        ({"min_area": float("nan")}, "0 or more"),
    ],
)
def test_options_that_cannot_be_used_are_refused(wrong, cure):
    with pytest.raises(OptionError, match=cure):
        ChangeOptions(**wrong)


def test_a_product_that_is_there_is_left_alone(files, tmp_path):
    pair = geodl.open_pair(*files)
    once = find_changes(pair, tmp_path, ChangeOptions())
    made = (once.folder / "manifest.json").stat().st_ino
    assert find_changes(pair, tmp_path, ChangeOptions()) == once
    assert (once.folder / "manifest.json").stat().st_ino == made
    other = find_changes(pair, tmp_path, ChangeOptions(threshold="ki"))
    assert other.threshold != once.threshold
    assert (once.folder / "manifest.json").stat().st_ino != made
    assert [path.name for path in tmp_path.iterdir()] == [once.folder.name]


def test_two_equal_dates_are_refused(files, tmp_path):
    twin = tmp_path / "twin_2024.tif"
    twin.write_bytes(files[0].read_bytes())
    with pytest.raises(SceneError, match="same values at both dates"):
        find_changes(geodl.open_pair(files[0], twin), tmp_path / "out", ChangeOptions())
    assert not list((tmp_path / "out").iterdir())
