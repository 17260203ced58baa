"""What people see of a run: the page, the logs, the bar; hostile names, interruption, full disks."""

import csv
import errno
import io
import itertools
import math
import os
import re
import signal
import sys
import time
from base64 import b64decode
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
import yaml
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from geodl.assess.confusion import accuracy, confusion_matrix
from geodl.errors import ProductError
from geodl.models.bundle import load_model
from geodl.tiles import Window
from geodl.training import load_recipe, train
from geodl.training.board import Board
from geodl.training.clock import Clock
from geodl.training.journal import Epoch
from geodl.training.live import Live
from geodl.training.report import Examples, Meter, find_counters
from geodl.training.report.curves import HEIGHT, WIDTH, draw
from geodl.training.report.page import put
from geodl.training.report.pictures import UNLABELLED, WRONG, class_picture, error_picture

HOSTILE = "\"><script>alert('1')</script> & <img src=x onerror=alert(2)>"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every element that opens must close, in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def recipe_of(folder, **changes):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:192, :256]
    labels = ((x // 20 + y // 25) % 3 + 1).astype(np.uint8)
    pixels = (labels * 60 + rng.normal(0, 15, (3, 192, 256))).clip(1, 255).astype(np.uint8)
    profile = {"driver": "GTiff", "height": 192, "width": 256, "dtype": "uint8", "crs": "EPSG:32632",
               "transform": Affine(1, 0, 5e5, 0, -1, 5.2e6)}  # fmt: skip
    with rasterio.open(folder / "town.tif", "w", count=3, **profile) as file:
        file.write(pixels)
        file.descriptions = ("red", "green", "blue")
    with rasterio.open(folder / "town_labels.tif", "w", count=1, **profile) as file:
        file.write(labels, 1)
    content = {
        "name": "town", "title": f"Town {HOSTILE}", "bands": ["red", "green", "blue"], "dtype": "uint8",
        "units": "digital_number", "parameters": {"widths": [4, 8], "blocks": 1},
        "classes": [{"value": v, "name": n, "color": c} for v, n, c in (
            (1, HOSTILE, "#aa0000"), (2, "grass", "#00aa00"), (3, "snow", "#0000aa"), (4, "sea", "#00aaaa"))],
        "sources": [{"scenes": "town.tif", "labels": "town_labels.tif"}],
        "split": {"block": 64, "validation": 0.5, "gap": 4},
        "optimisation": {"epochs": 3, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32"},
        "note": f"first line\nsecond {HOSTILE}", "licence": f"CC0 {HOSTILE}", **changes,
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return load_recipe(folder / "recipe.yaml")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    model = train(recipe_of(folder), folder / "model", device="cpu", echo=lambda _: None)
    return model, folder / "model"


@pytest.fixture(scope="module")
def page(trained):
    return Page((trained[1] / "report.html").read_text())


def test_no_name_becomes_markup(page):
    assert not page.all("script")
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert "".join(page.words).count(HOSTILE) >= 6, "title, heading, classes, note, licence, recipe"


def test_nothing_is_loaded_from_elsewhere(trained, page):
    assert not {"iframe", "object", "base", "form"} & {tag for tag, _ in page.elements}
    assert [link["href"] for link in page.all("link")] == ["data:,"], "no icon is asked for"
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "srcset", "data"):
            assert re.match(r"data:(image/(png|jpeg);base64)?,|#\w+$", attributes.get(name, "#x")), attributes
    assert "url(" not in "".join(page.words)
    assert "@import" not in "".join(page.words)
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'none';" in policy
    assert str(trained[1].parent) not in (trained[1] / "report.html").read_text()


def test_it_can_be_read_by_all(page):
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert all(len(image["alt"]) > 5 for image in page.all("img"))
    assert all(head["scope"] in ("row", "col") for head in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 2
    marks = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(marks)) == len(marks)
    assert {link["href"][1:] for link in page.all("a")} <= set(marks)
    for words in (a.get("aria-labelledby", "") for _, a in page.elements):
        assert set(words.split()) <= set(marks)
    assert sum(svg.get("role") == "img" for svg in page.all("svg")) == len(page.all("desc")) == 3


def test_its_figures_are_those_of_the_model(trained, page):
    model, out = trained
    found, text = model.spec.accuracy, "".join(page.words)
    cells = re.sub(r"\s+", " ", text)
    assert f"mean IoU {found.mean_iou:.3f}"[:12] in cells
    assert f"{found.pixels:,}" in cells
    assert model.spec.weights_sha256 in cells
    assert load_model(out).spec.weights_sha256 == model.spec.weights_sha256
    for part in (
        f"torch {torch.__version__.split('+')[0]}",
        "random weights, seed 0",
        "widths [4, 8]",
        "first line\nsecond",
        "not measured" if not find_counters(torch.device("cpu")) else "Wh",
    ):
        assert part in text  # fmt: skip
    # The counts of the matrix add up to the pixels checked.
    matrix = (out / "report.html").read_text().split('class="matrix"')[1].split("</table>")[0]
    counts = [int(n.replace(",", "")) for n in re.findall(r'class="count">([\d,]+)<', matrix)]
    assert len(counts) == 16
    assert sum(counts) == found.pixels
    assert sum(counts[k * 5] for k in range(4)) / sum(counts) == pytest.approx(found.overall, abs=1e-4)
    assert sum(counts[12:]) == 0
    assert matrix.count("–") == 4, "a class without labels has no shares"


def test_its_pictures_are_pictures(trained, page):
    images = [Image.open(io.BytesIO(b64decode(image["src"].split(",")[1]))) for image in page.all("img")]
    assert len(images) == 4 * 6 + 1
    sizes = {(int(image["width"]), int(image["height"])) for image in page.all("img")[:-1]}
    assert sizes == {(64, 64)}, "squares are the blocks of the split"
    for image, attributes in zip(images, page.all("img")[:-1], strict=False):
        assert image.size == (int(attributes["width"]), int(attributes["height"]))
        image.load()
    assert (trained[1] / "split.png").read_bytes() == b64decode(page.all("img")[-1]["src"].split(",")[1])


def test_the_logs_hold_what_the_table_holds(trained):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logs = reader.EventAccumulator(str(trained[1] / "logs")).Reload()
    with (trained[1] / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for tag, column in (("training/loss", "train_loss"), ("training/learning_rate", "learning_rate"),
                        ("validation/mean_iou", "mean_iou"), ("validation/overall", "overall"),
                        ("iou/grass", "iou:grass"), (f"iou/{HOSTILE}", f"iou:{HOSTILE}")):  # fmt: skip
        logged = {scalar.step: scalar.value for scalar in logs.Scalars(tag)}
        expected = {int(row["epoch"]): float(row[column]) for row in rows}
        assert logged == pytest.approx(expected, rel=1e-4, nan_ok=True)


def epoch_of(number, mean_iou=0.5):
    names = ["water", "land"]
    hits = round(1000 * mean_iou)
    found = accuracy(np.array([[hits, 1000 - hits], [0, 500]]), names)
    return Epoch(epoch=number, minutes=1, train_loss=0.7, learning_rate=1e-3, accuracy=found, best=True)


def test_logs_of_another_model_do_not_stay_and_those_of_the_same_run_do(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def run(numbers, *, resumed):
        board = Board(tmp_path, resumed=resumed)
        for number in numbers:
            board.checked(epoch_of(number))
        board.close()
        logs = reader.EventAccumulator(str(tmp_path / "logs")).Reload()
        return [scalar.step for scalar in logs.Scalars("training/loss")]

    assert run([1, 2, 3, 4], resumed=False) == [1, 2, 3, 4]
    assert run([5, 10], resumed=False) == [5, 10]
    time.sleep(1)  # TensorBoard sorts files by name: the second, then a number of which 10 comes before 9
    assert run([6, 7], resumed=True) == [5, 6, 7]


def test_ctrl_c_leaves_a_report_and_the_logs_go_on_with_the_run(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    short = {"epochs": 5, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32"}
    recipe, out = recipe_of(tmp_path, optimisation=short), tmp_path / "m"

    def interrupt(line):
        if line.startswith("epoch   2"):
            os.kill(os.getpid(), signal.SIGINT)

    train(recipe, out, device="cpu", echo=interrupt)
    page = Page((out / "report.html").read_text())
    assert re.search(r"went through [23] of 5 epochs", "".join(page.words))
    train(recipe, out, device="cpu", echo=lambda _: None)
    page = Page((out / "report.html").read_text())
    assert "went through 5 of 5 epochs" in "".join(page.words)
    logs = reader.EventAccumulator(str(out / "logs")).Reload()
    assert [scalar.step for scalar in logs.Scalars("training/loss")] == [1, 2, 3, 4, 5]
    assert not list(out.glob(".*"))


def test_a_terminal_shows_a_bar_and_the_lines_stay(tmp_path, monkeypatch):
    screen, lines = io.StringIO(), []
    terminal = Console(file=screen, force_terminal=True, width=160)
    monkeypatch.setattr("geodl.training.showing.Console", lambda **_: terminal)
    monkeypatch.setattr("geodl.training.live._PAUSE", 0.0)
    train(recipe_of(tmp_path), tmp_path / "m", device="cpu", echo=lines.append)
    shown = screen.getvalue()
    assert "epoch 3/3" in shown
    assert re.search(r"samples/s  loss \d\.\d{3}  mIoU 0\.\d{3}  rate \S+  \d+ s left", shown)
    assert sum(line.startswith("epoch ") for line in lines) == 3
    assert shown.endswith("\x1b[2K"), "the bar is taken away at the end"


def test_a_full_disk_leaves_the_old_report(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    put(path, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProductError, match=r"report\.html: cannot be written \(No space left.*make room"):
        put(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("report.html", b"old")]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    core=st.integers(7, 30),
    side=st.integers(4, 20),
    count=st.integers(1, 4),
)
def test_the_squares_are_the_best_and_the_worst_whatever_the_tiles(seed, size, core, side, count):
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, 3, size).astype("u1"), rng.integers(0, 3, size).astype("u1")
    labels[rng.random(size) < 0.3] = 255
    names = ["a", "b", "c"]
    examples = Examples(names, side=side, count=count)
    for row in range(0, size[0], core):
        for column in range(0, size[1], core):
            window = Window(row, column, core, core).intersect(Window(0, 0, *size))
            if (labels[window.slices] != 255).any():  # as `Validation.tiles` lists them
                examples.look((0, row, column), window, labels[window.slices], predicted[window.slices])
    best, worst = examples.chosen()
    scores = []
    for row in range(0, size[0], side):
        for column in range(0, size[1], side):
            part = Window(row, column, side, side).intersect(Window(0, 0, *size)).slices
            if (labels[part] != 255).any():
                found = accuracy(confusion_matrix(labels[part], predicted[part], 3), names)
                kinds = len(np.unique(labels[part][labels[part] != 255]))
                scores.append((found.pixels >= side * side / 4 and kinds > 1, found.mean_iou))
    telling = sorted(value for tells, value in scores if tells)
    expected = telling or sorted(value for _, value in scores)
    half = min(count, (len(expected) + 1) // 2)
    assert [e.accuracy.mean_iou for e in best] == expected[::-1][:half]
    assert [e.accuracy.mean_iou for e in worst] == expected[: min(count, len(expected) // 2)]
    for example in best + worst:
        assert (
            example.labels.shape == example.predicted.shape == (example.window.height, example.window.width)
        )
        known = example.labels != 255
        np.testing.assert_array_equal(example.labels, labels[example.window.slices])
        np.testing.assert_array_equal(example.predicted[known], predicted[example.window.slices][known])
    places = [(e.window.row // side, e.window.col // side) for e in best + worst]
    assert len(set(places)) == len(places)


def test_memory_holds_one_row_of_tiles_and_the_chosen_squares():
    examples = Examples(["a", "b"], side=8, count=2)
    codes = np.random.default_rng(0).integers(0, 2, (2, 20, 20)).astype(np.uint8)
    for row in range(30):
        for column in range(10):
            examples.look((0, row, column), Window(20 * row, 20 * column, 20, 20), *codes)
            assert len(examples._open) <= 4 * (200 // 8)
    assert len(examples._high) == len(examples._low) == 2


def test_squares_of_two_scenes_are_not_mixed():
    examples = Examples(["a", "b"], side=8, count=2)
    window = Window(0, 0, 8, 8)
    zeros = np.zeros((8, 8), dtype=np.uint8)
    examples.look((0, 0, 0), window, zeros, zeros)
    examples.look((3, 0, 0), window, zeros, zeros + 1)
    best, worst = examples.chosen()
    assert [(e.plot, e.accuracy.overall) for e in best + worst] == [(0, 1.0), (3, 0.0)]


def test_errors_and_classes_are_painted_where_they_are():
    scene = np.full((2, 2, 3), 100, dtype=np.uint8)
    labels, predicted = np.array([[0, 1], [255, 1]], "u1"), np.array([[0, 0], [1, 1]], "u1")
    picture = error_picture(scene, labels, predicted)
    assert tuple(picture[0, 1]) == WRONG
    assert tuple(picture[1, 0]) == UNLABELLED
    assert tuple(picture[0, 0]) == tuple(picture[1, 1]) == (190, 190, 190)
    from geodl.models.spec import ClassSpec

    classes = [ClassSpec(value=5, name="x", color="#010203"), ClassSpec(value=9, name="y", color="#0a0b0c")]
    assert class_picture(labels, classes).tolist() == [
        [[1, 2, 3], [10, 11, 12]],
        [list(UNLABELLED), [10, 11, 12]],
    ]


@settings(deadline=None)
@given(
    values=st.lists(st.floats(0, 1e6) | st.just(math.nan) | st.just(5e-324), min_size=1, max_size=40),
    first=st.integers(1, 5),
)
def test_curves_stay_inside_the_picture(values, first):
    epochs = list(range(first, first + len(values)))
    chart = draw("loss", epochs, {"loss": values}, kept=epochs[-1])
    assert 2 <= len(chart.up) <= 7
    assert len(chart.across) <= 8
    for line in chart.lines:
        points = np.array([point.split(",") for point in line.points.split()], dtype=float)
        assert len(points) == np.isfinite(values).sum()
        assert (points >= 0).all()
        assert line.lowest <= line.first <= line.highest
        assert (points <= [WIDTH, HEIGHT]).all()
        assert (np.diff(points[:, 0]) >= 0).all()
    ends = [tick.at for tick in chart.up]
    assert (max(ends), min(ends)) == pytest.approx((chart.bottom, chart.top))


def test_energy_is_read_from_counters_that_come_round(tmp_path):
    for zone, energy in (("intel-rapl:0", 90e6), ("intel-rapl:0:0", 50e6), ("intel-rapl:1", 10e6)):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "energy_uj").write_text(f"{energy:.0f}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text("100000000\n")
    (tmp_path / "intel-rapl:2").mkdir()  # its counter is for root alone
    meter = Meter(find_counters(torch.device("cpu"), tmp_path))
    assert meter.joules == 0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("5000000\n")  # 10 J to its end, then 5
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("3613000000\n")
    assert meter.joules == pytest.approx(15 + 3603)
    assert meter.text().startswith("1.00 Wh in 0 s (processor 0, processor 1; other programs")


def test_energy_that_cannot_be_read_is_not_guessed(tmp_path):
    assert Meter(find_counters(torch.device("cpu"), tmp_path)).text().startswith("not measured")


class FakeNvml:
    """As `pynvml`: a GPU that has used 7.2 kJ since its driver was loaded."""

    class NVMLError(Exception):
        pass

    joules, able = 7200.0, True

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid == "GPU-1234-abcd"
        return 7

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if not self.able:
            raise self.NVMLError("not supported")
        return int(self.joules * 1000)


def test_energy_of_a_gpu_is_counted_from_the_start_of_the_run(tmp_path, monkeypatch):
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234-abcd"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Example GPU")
    meter = Meter(find_counters(torch.device("cuda"), tmp_path))
    nvml.joules += 1800
    assert meter.joules == pytest.approx(1800)
    assert meter.text().startswith("0.50 Wh in 0 s (Example GPU;")
    nvml.able = False
    assert find_counters(torch.device("cuda"), tmp_path) == []


def test_the_bar_tells_rate_figures_and_time_left():
    clock = Clock(steps=40, minutes=None)
    screen = io.StringIO()
    live = Live(clock, 4, Console(file=screen, force_terminal=True, width=160))
    optimiser = SimpleNamespace(param_groups=[{"lr": 0.004}])
    trainer = SimpleNamespace(is_global_zero=True, accumulate_grad_batches=2, optimizers=[optimiser])
    clock.started -= 90
    live.on_train_start(trainer, None)
    live.on_train_epoch_start(trainer, None)
    live.checked(epoch_of(1, mean_iou=0.8))
    live._looked -= 10
    for _ in range(30):
        clock.done += 1
        live.on_train_batch_end(trainer, None, {"loss": torch.tensor(0.25)}, torch.zeros(8, 1), 0)
        live._looked -= 10
    live._bar.refresh()
    shown = screen.getvalue()
    live.on_train_end()
    assert "epoch 1/4" in shown
    assert re.search(r"[\d.]+ samples/s  loss 0\.500  mIoU 0\.7\d\d  rate 4\.0e-03  30 s left", shown)


def test_the_bar_counts_down_to_the_time_limit():
    clock = Clock(steps=1000, minutes=2)
    live = Live(clock, 4, Console(file=io.StringIO(), force_terminal=True, width=160))
    clock.started -= 60
    clock.tick(torch.device("cpu"))
    live._steps.append((8, 0.5))
    assert live.text(1e-3).endswith("16.0 samples/s  rate 1.0e-03  1 min 0 s left")
