"""Numbers that are found: the learning rate and the batch; and training on several devices."""

import contextlib
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import nn

import geodl.training.batch_size as batch_size
from geodl.cli import main
from geodl.errors import OptionError
from geodl.models.bundle import load_model
from geodl.training import train
from geodl.training.batch_size import kept_bytes, largest_batch
from geodl.training.checkpoint import STATE_FILE, training_folder
from geodl.training.clock import Clock
from geodl.training.learner import Learner
from geodl.training.rate_finder import range_test, suggest
from geodl.training.recipe import Optimisation
from geodl.training.trainer import check_devices
from tests.test_training_fit import recipe_of, write_pair

CPU = torch.device("cpu")
FAST = {"epochs": 2, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32", "ema": 0.9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    for stem, seed in (("train_a", 0), ("check", 2)):
        write_pair(folder, stem, seed, size=(80, 90))
    return folder


class Quadratic(Learner):
    """A network of one number whose loss is known: half the square of ten times the number."""

    def loss(self, images, labels):
        return 50 * self.network.weight.square().sum()


def test_the_test_finds_the_edge_of_stability(folder):
    """Gradient descent on c/2 x^2 diverges for rates above 2 / c = 0.02."""
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 1.0)
    recipe = recipe_of(folder)
    settings = Optimisation(optimiser="sgd", momentum=0.0, gradient_clip=1e9, weight_decay=0.0)
    learner = Quadratic(network, network, recipe, np.ones(2, np.float32), Clock(steps=1, minutes=None))
    batches = ((torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int64)) for _ in range(200))
    found = range_test(learner, settings, batches, CPU, torch.float32, steps=200)
    assert 1e-4 < found.suggestion < 0.02
    assert found.rates[-1] < 1, "it stops when the loss explodes"
    assert list(found.rates) == sorted(found.rates)


def test_a_loss_that_never_falls_is_refused():
    with pytest.raises(OptionError, match="fell at no learning rate"):
        suggest([1e-3, 1e-2, 1e-1], [1.0, 2.0, 3.0])
    with pytest.raises(OptionError, match="fell at no learning rate"):
        suggest([], [])


def test_find_rate_on_the_command_line(folder, tmp_path):
    recipe_of(folder, optimisation={**FAST, "batch": 2})
    arguments = ["train", str(folder / "recipe.yaml"), "--out", str(tmp_path / "m"), "--device", "cpu"]
    done = CliRunner().invoke(main, [*arguments, "--find-rate"])
    assert done.exit_code == 0, done.output
    rate = float(done.output.split("learning rate: ")[1].split()[0])
    assert 1e-6 <= rate <= 1
    assert (tmp_path / "m-rates.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["m-rates.png"]


def test_what_a_step_keeps_is_counted():
    network = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))
    # Kept per sample: the image, the first features (by the second convolution and the ReLU: one
    # tensor if in place, here the output alone), and the logarithms of the probabilities.
    assert kept_bytes(network, (2, 16, 16), CPU, torch.float32) == 4 * 16 * 16 * (2 + 8 + 3)


@pytest.mark.parametrize(("samples", "expected"), [(9, 8), (1, 1), (10_000, 16)])
def test_the_largest_batch_that_fits(monkeypatch, samples, expected):
    network = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 1))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    settings = Optimisation(patch=16, samples_per_epoch=samples)
    one = kept_bytes(network, (2, 16, 16), CPU, torch.float32)
    network.load_state_dict(before)
    monkeypatch.setattr(batch_size, "free_memory", lambda: 2 * 20 * one)
    assert largest_batch(network, settings, 2, CPU, torch.float32) == expected
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    monkeypatch.setattr(batch_size, "free_memory", lambda: one)
    with pytest.raises(OptionError, match=r"not even one sample fits.*patch smaller"):
        largest_batch(network, settings, 2, CPU, torch.float32)


def test_batch_auto_in_a_recipe(folder, tmp_path):
    lines = []
    recipe = recipe_of(folder, optimisation={**FAST, "epochs": 1, "batch": "auto"})
    model = train(recipe, tmp_path / "m", device="cpu", echo=lines.append)
    assert "batch: 8 samples fit" in lines
    assert model.spec.training.recipe["optimisation"]["batch"] == "auto"


def test_devices_are_checked():
    with pytest.raises(OptionError, match=r"--devices 3: a batch of 8 cannot be divided"):
        check_devices(3, CPU, Optimisation())
    with pytest.raises(OptionError, match=r"--devices 2: a batch of auto"):
        check_devices(2, CPU, Optimisation(batch="auto"))
    with pytest.raises(OptionError, match="at least one"):
        check_devices(0, CPU, Optimisation())
    check_devices(4, CPU, Optimisation())


def test_an_accumulated_step_is_one_step(folder, tmp_path, monkeypatch):
    """Two batches of 4 that make one step move the average as often as one of 8 does."""
    moved = []
    monkeypatch.setattr("geodl.training.learner.follow", lambda *values: moved.append(values[-1]))
    for accumulate in (1, 2):
        fast = {**FAST, "epochs": 1, "samples_per_epoch": 16, "accumulate": accumulate}
        recipe = recipe_of(folder, optimisation=fast)
        train(recipe, tmp_path / "m", device="cpu", echo=lambda _: None)
    assert moved == [1, 2, 3, 4, 1, 2]


def test_deterministic_training_leaves_torch_as_it_was(folder, tmp_path):
    recipe = recipe_of(folder, optimisation={**FAST, "epochs": 1, "deterministic": True})
    seen = []
    train(
        recipe, tmp_path / "m", device="cpu",
        echo=lambda _: seen.append(torch.are_deterministic_algorithms_enabled()),
    )  # fmt: skip
    assert any(seen)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [0, 1])
def test_two_processes_train_one_model(folder, tmp_path, frozen):
    """On processors, as several GPUs would: each sees half of every batch, one writes."""
    optimisation = {**FAST, "freeze_encoder": frozen, "samples_per_epoch": 9, "time_limit_minutes": 5}
    recipe_of(folder, optimisation=optimisation)
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "geodl", "train", path, "--out", tmp_path / "m", "--device", "cpu"]
    running = subprocess.Popen([*command, "--devices", "2"], stdout=subprocess.PIPE, text=True)
    others = set()
    while running.poll() is None:
        time.sleep(0.2)
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(running.pid).children()
            others |= {child.pid for child in children if "two.yaml" in " ".join(child.cmdline())}
    assert running.stdout is not None
    said = running.stdout.read()
    assert running.returncode == 0
    assert len(others) == 1, "a second process"
    assert said.count("epoch   2 ") == 1, "only one of them speaks"
    assert load_model(tmp_path / "m").spec.accuracy.overall is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_options_of_the_command(folder, tmp_path):
    recipe_of(folder, optimisation={**FAST, "epochs": 1})
    arguments = ["train", str(folder / "recipe.yaml"), "--out", str(tmp_path / "m"), "--device", "cpu"]
    refused = CliRunner().invoke(main, [*arguments, "--devices", "3"])
    assert refused.exit_code == 2
    assert "--devices 3: a batch of 4 cannot be divided" in refused.output
    state = training_folder(tmp_path / "m") / STATE_FILE
    state.parent.mkdir()
    state.write_bytes(b"damaged")
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert "--restart" in refused.output
    done = CliRunner().invoke(main, [*arguments, "--restart"])
    assert done.exit_code == 0, done.output
    assert not state.parent.exists()
