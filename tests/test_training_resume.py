"""A run that was killed goes on, and comes to what it would have come to."""

import csv
import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from geodl.errors import OptionError, ProductError
from geodl.models.bundle import WEIGHTS_FILE
from geodl.training import train
from geodl.training.checkpoint import STATE_FILE, State, hold, load_state, save_state, training_folder
from geodl.training.clock import Clock
from geodl.training.schedules import plateau
from tests.test_training_fit import recipe_of, write_pair

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["geodl.training.fit", "tests.test_training_fit"])
FAST = {
    "epochs": 4, "samples_per_epoch": 12, "patch": 32, "batch": 4, "accumulate": 2, "learning_rate": 0.01,
    "ema": 0.9, "precision": "32", "validation_every": 2, "loss": {"cross_entropy": 1, "dice": 0.5},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    for stem, seed in (("train_a", 0), ("check", 2)):
        write_pair(folder, stem, seed, size=(90, 110))
    return folder


def die_after(folder, changes, out, epoch):
    """Train until the state of an epoch is on disk, then die as by kill -9."""
    import geodl.training.fit as fit

    def keep(where, state):
        save_state(where, state)
        if state.facts["clock"]["epoch"] == epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    fit.save_state = keep
    train(recipe_of(folder, **changes), out, device="cpu", echo=lambda _: None)


def killed(folder, changes, out, epoch):
    process = FORKS.Process(target=die_after, args=(folder, changes, out, epoch))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (training_folder(out) / STATE_FILE).is_file()


def rows_without_times(out):
    with (out / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "minutes"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_killed_run_goes_on_to_the_same_weights(folder, tmp_path, optimiser):
    changes = {"optimisation": {**FAST, "optimiser": optimiser}, "augment": {"cutmix": 0.5}}
    quiet, broken = tmp_path / "quiet", tmp_path / "broken"
    train(recipe_of(folder, **changes), quiet, device="cpu", echo=lambda _: None)
    killed(folder, changes, broken, epoch=3)
    lines = []
    train(recipe_of(folder, **changes), broken, device="cpu", echo=lines.append)
    assert "going on after epoch 3 of an unfinished run" in lines
    assert (quiet / WEIGHTS_FILE).read_bytes() == (broken / WEIGHTS_FILE).read_bytes()
    assert rows_without_times(quiet) == rows_without_times(broken)
    assert [row["epoch"] for row in rows_without_times(broken)] == ["2", "4"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "quiet"], "debris"


def test_the_best_before_the_kill_is_not_lost(folder, tmp_path):
    """After the best epoch only worse ones come: the learning rate goes through the roof."""
    changes = {"optimisation": {**FAST, "validation_every": 1, "ema": None}}
    killed(folder, changes, tmp_path / "m", epoch=2)
    state = load_state(training_folder(tmp_path / "m"))
    state.facts["journal"][-1]["accuracy"]["mean_iou"] = 2.0
    save_state(training_folder(tmp_path / "m"), state)
    (tmp_path / "m" / WEIGHTS_FILE).unlink()
    train(recipe_of(folder, **changes), tmp_path / "m", device="cpu", echo=lambda _: None)
    kept = load_file(tmp_path / "m" / WEIGHTS_FILE)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in state.part("best").items())


def test_another_recipe_or_other_data_is_refused(folder, tmp_path):
    changes = {"optimisation": FAST}
    killed(folder, changes, tmp_path / "m", epoch=1)
    other = recipe_of(folder, optimisation={**FAST, "learning_rate": 0.5})
    with pytest.raises(OptionError, match=r"optimisation\.learning_rate changed: begin anew with --restart"):
        train(other, tmp_path / "m", device="cpu", echo=lambda _: None)
    assert (training_folder(tmp_path / "m") / STATE_FILE).is_file()
    state = load_state(training_folder(tmp_path / "m"))
    state.facts["data"] = "of other scenes"
    save_state(training_folder(tmp_path / "m"), state)
    with pytest.raises(OptionError, match=r"the scenes or labels changed"):
        train(recipe_of(folder, **changes), tmp_path / "m", device="cpu", echo=lambda _: None)
    lines = []
    train(other, tmp_path / "m", device="cpu", restart=True, echo=lines.append)
    assert not any("going on" in line for line in lines)
    assert not training_folder(tmp_path / "m").exists()


def test_time_spent_before_counts(folder, tmp_path):
    changes = {"optimisation": {**FAST, "epochs": 500, "validation_every": 1, "time_limit_minutes": 60}}
    killed(folder, changes, tmp_path / "m", epoch=1)
    state = load_state(training_folder(tmp_path / "m"))
    state.facts["clock"]["seconds"] = 3599.9
    save_state(training_folder(tmp_path / "m"), state)
    train(recipe_of(folder, **changes), tmp_path / "m", device="cpu", echo=lambda _: None)
    assert 60 <= float(list(csv.DictReader((tmp_path / "m" / "metrics.csv").open()))[-1]["minutes"]) < 61
    assert not training_folder(tmp_path / "m").exists()


def test_patience_ends_a_run(folder, tmp_path):
    still = {**FAST, "epochs": 50, "learning_rate": 1e-9, "ema": None, "validation_every": 1, "patience": 2}
    lines = []
    train(recipe_of(folder, optimisation=still), tmp_path / "m", device="cpu", echo=lines.append)
    rows = rows_without_times(tmp_path / "m")
    scores = [float(row["mean_iou"]) for row in rows]
    assert len(rows) < 50
    assert max(scores[-2:]) <= max(scores[:-2])


def test_a_state_is_replaced_whole_and_read_as_it_was(tmp_path):
    weight = torch.nn.Parameter(torch.ones(3, 2))
    optimiser = torch.optim.AdamW([{"params": [weight], "share": 0.5}], lr=0.1)
    weight.sum().backward()
    optimiser.step()
    state = State(facts={"clock": {"epoch": 3}})
    state.put("network", {"a.weight": weight})
    state.put_optimiser(optimiser.state_dict())
    save_state(tmp_path, state)
    found = load_state(tmp_path)
    assert json.dumps(found.facts) == json.dumps(state.facts)
    assert torch.equal(found.part("network")["a.weight"], weight)
    again = torch.optim.AdamW([{"params": [weight], "share": 1.0}], lr=0.3)
    again.load_state_dict(found.optimiser())
    assert again.param_groups[0]["share"] == 0.5
    assert torch.equal(again.state[weight]["exp_avg"], optimiser.state[weight]["exp_avg"])
    assert [p.name for p in tmp_path.iterdir()] == [STATE_FILE]


@pytest.mark.parametrize("damage", [lambda c: c[:100], lambda c: b"", lambda c: b"\xff" * 64])
def test_a_damaged_state_is_refused(tmp_path, damage):
    save_state(tmp_path, State(tensors={"a": torch.zeros(50)}, facts={}))
    path = tmp_path / STATE_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ProductError, match=r"state\.safetensors.*--restart"):
        load_state(tmp_path)


def test_a_state_of_another_format_is_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / STATE_FILE)
    with pytest.raises(ProductError, match=r"its format is None.*--restart"):
        load_state(tmp_path)


def test_two_runs_cannot_train_one_model(tmp_path):
    with (
        hold(tmp_path / "m"),
        pytest.raises(ProductError, match="another process is training it"),
        hold(tmp_path / "m"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    with hold(tmp_path / "m") as folder:
        (folder / "x").write_text("")
    assert folder.is_dir()


def test_what_a_killed_save_left_is_cleared_away(tmp_path):
    out = tmp_path / "m"
    for name in (".m.partial-abc", ".m.old-def/m", ".mm.partial-xyz"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".m.old-def" / "m" / "model.json").write_text("{}")
    with hold(out):
        assert (out / "model.json").read_text() == "{}", "the last whole model is back"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mm.partial-xyz", "m"]
    (tmp_path / ".m.old-def" / "m").mkdir(parents=True)
    with hold(out):
        assert (out / "model.json").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mm.partial-xyz", "m"]


def run_command(folder, out):
    from click.testing import CliRunner

    from geodl.cli import main

    done = CliRunner().invoke(
        main, ["train", str(folder / "kills.yaml"), "--out", str(out), "--device", "cpu"]
    )
    raise SystemExit(done.exit_code)


@pytest.mark.slow
def test_killed_at_random_instants_a_run_comes_to_the_same_end(folder, tmp_path):
    content = {**FAST, "epochs": 40, "validation_every": 1}
    recipe_of(folder, optimisation=content)
    (folder / "recipe.yaml").rename(folder / "kills.yaml")
    quiet, broken = tmp_path / "quiet", tmp_path / "broken"
    process = FORKS.Process(target=run_command, args=(folder, quiet))
    process.start()
    process.join()
    assert process.exitcode == 0
    random = np.random.default_rng(0)
    kills = 0
    for _ in range(60):
        process = FORKS.Process(target=run_command, args=(folder, broken))
        process.start()
        while process.is_alive() and not training_folder(broken).exists():
            time.sleep(0.01)
        process.join(random.uniform(0.1, 1.5))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        elif process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert kills >= 2
    assert (quiet / WEIGHTS_FILE).read_bytes() == (broken / WEIGHTS_FILE).read_bytes()
    assert rows_without_times(quiet) == rows_without_times(broken)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "quiet"]


def test_a_clock_goes_on():
    clock = Clock(steps=10, minutes=1.0)
    clock.resume({"epoch": 2, "done": 4, "updates": 3, "seconds": 45.0})
    assert clock.progress == 0.75
    assert not clock.tick(torch.device("cpu"))
    assert clock.done == 5
    clock.resume({"epoch": 2, "done": 4, "updates": 3, "seconds": 61.0})
    assert clock.tick(torch.device("cpu"))


def test_a_plateau_a_frozen_encoder_and_a_batch_go_on_too(folder, tmp_path):
    settings = {
        **FAST, "epochs": 5, "validation_every": 1, "ema": None, "learning_rate": 1e-9, "schedule": "plateau",
        "plateau_checks": 1, "warmup": 0, "batch": "auto", "freeze_encoder": 3, "deterministic": True,
    }  # fmt: skip
    changes = {"optimisation": settings}
    quiet, broken = tmp_path / "quiet", tmp_path / "broken"
    train(recipe_of(folder, **changes), quiet, device="cpu", echo=lambda _: None)
    killed(folder, changes, broken, epoch=2)
    state = load_state(training_folder(broken))
    assert state.facts["batch"] == 8
    lines = []
    train(recipe_of(folder, **changes), broken, device="cpu", echo=lines.append)
    assert not any("samples fit" in line for line in lines), "the batch is kept"
    assert rows_without_times(quiet) == rows_without_times(broken)
    rows = rows_without_times(quiet)
    scores = [float(row["mean_iou"]) for row in rows]
    expected = [1e-9 * plateau(scores[:number], 1) for number in range(len(rows))]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(expected)
    assert expected[-1] < 1e-9


def test_data_that_moved_are_the_same_data(folder, tmp_path):
    """A run goes on although scenes and weights to begin with lie elsewhere now."""
    import shutil

    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(folder, before)
    start = tmp_path / "start"
    train(recipe_of(folder, optimisation={**FAST, "epochs": 1}), start, device="cpu", echo=lambda _: None)

    def changes(place):
        labels = f"{place}/{{stem}}_labels.tif"
        sources = [
            {"scenes": f"{place}/train_?.tif", "labels": labels, "role": "train"},
            {"scenes": "check.tif", "labels": labels, "role": "validation", "root": str(place)},
        ]
        return {"optimisation": FAST, "sources": sources, "start": {"model": str(place / "start")}}

    shutil.copytree(start, before / "start")
    killed(before, changes(before), tmp_path / "m", epoch=2)
    before.rename(after)
    lines = []
    train(recipe_of(after, **changes(after)), tmp_path / "m", device="cpu", echo=lines.append)
    assert "going on after epoch 2 of an unfinished run" in lines
    for file in ("model.json", "report.html", "README.md"):
        assert str(tmp_path) not in (tmp_path / "m" / file).read_text()


def test_a_killed_run_still_knows_what_it_began_with(folder, tmp_path):
    train(recipe_of(folder, optimisation=FAST), tmp_path / "first", device="cpu", echo=lambda _: None)
    changes = {"optimisation": FAST, "start": {"model": str(tmp_path / "first"), "share": 0.5}}
    quiet, broken = tmp_path / "quiet", tmp_path / "broken"
    train(recipe_of(folder, **changes), quiet, device="cpu", echo=lambda _: None)
    killed(folder, changes, broken, epoch=3)
    train(recipe_of(folder, **changes), broken, device="cpu", echo=lambda _: None)
    assert (quiet / WEIGHTS_FILE).read_bytes() == (broken / WEIGHTS_FILE).read_bytes()
