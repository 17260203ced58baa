"""Learning without labels: what is hidden, what it costs, and that it helps what comes after."""

import csv

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from click.testing import CliRunner

from geodl.cli import main
from geodl.errors import MismatchError, RecipeError
from geodl.models.bundle import load_model
from geodl.training import train
from geodl.training.checkpoint import training_folder
from geodl.training.pretrain import pretrain
from geodl.training.pretrain.masking import hide, restoration_loss
from tests.test_training_fit import recipe_of, write_pair

FAST = {
    "epochs": 6, "samples_per_epoch": 16, "patch": 32, "batch": 8, "learning_rate": 0.02, "precision": "32",
    "ema": 0.9,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    for stem, seed in (("train_a", 0), ("check", 2), ("extra", 3)):
        write_pair(folder, stem, seed, size=(90, 100))
    (folder / "extra_labels.tif").unlink()
    return folder


def recipe(folder, **changes):
    fields = {"scenes": ["extra.tif"], "hidden": 0.5, "square": 4, **changes.pop("pretraining", {})}
    return recipe_of(folder, optimisation=FAST, pretraining=fields, **changes)


@pytest.fixture(scope="module")
def pretrained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "before"
    lines = []
    return pretrain(recipe(folder), out, device="cpu", echo=lines.append), out, lines


def test_the_share_and_the_squares_are_as_asked():
    torch.manual_seed(0)
    hidden = hide(6, 64, 48, 0.6, 8)
    assert hidden.shape == (6, 1, 64, 48)
    assert hidden.dtype == torch.bool
    assert 0.5 < hidden.float().mean() < 0.7
    assert not torch.equal(hidden[0], hidden[1])
    changes = hidden[:, :, 1:] != hidden[:, :, :-1]
    rows = changes.any(dim=3).any(dim=0)[0].nonzero().ravel()
    assert set(rows.diff().tolist()) <= {8}, "borders of squares lie 8 pixels apart"


def test_only_what_is_judged_counts():
    image = torch.randn(2, 3, 8, 8)
    judged = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    judged[:, :, :4] = True
    restored = torch.where(judged, image, 99.0)
    assert float(restoration_loss(restored, image, judged)) == 0
    off = image + 3 * judged
    assert float(restoration_loss(off, image, judged)) == pytest.approx(2.5)  # |3| - 0.5
    assert float(restoration_loss(off, image, judged & False)) == 0


def test_it_learns_to_restore(pretrained, folder):
    model, out, lines = pretrained
    with (out / "metrics.csv").open() as file:
        losses = [float(row["restoration_loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 6
    assert losses[-1] < 0.8 * losses[0]
    assert any("restoration loss" in line for line in lines)
    assert not training_folder(out).exists()
    spec = load_model(out).spec
    with rasterio.open(folder / "extra.tif") as file:
        pixels = file.read([2, 1])
    assert spec.bands[0].mean == pytest.approx(pixels[0][pixels[0] > 0].mean(), rel=1e-4)
    assert spec.accuracy.pixels == 0
    head = model.network().head
    assert not head.weight.any()


def test_a_training_takes_all_but_the_head(pretrained, folder, tmp_path):
    model, out, _ = pretrained
    lines = []
    changes = {**FAST, "epochs": 1, "learning_rate": 1e-8, "ema": None}
    after = train(
        recipe_of(folder, start={"model": str(out)}, optimisation=changes), tmp_path / "m", device="cpu",
        echo=lines.append,
    )  # fmt: skip
    assert any(line.strip() == "random: head.bias, head.weight" for line in lines)
    old, new = model.network().state_dict(), after.network().state_dict()
    layer = "decoder.0.0.0.weight"
    torch.testing.assert_close(new[layer], old[layer], atol=1e-6, rtol=0)
    assert new["head.weight"].any()


def test_without_scenes_of_its_own_those_of_the_sources_serve(folder, tmp_path):
    lines = []
    short = recipe(folder, pretraining={"scenes": [], "epochs": 1, "learning_rate": 0.001})
    pretrain(short, tmp_path / "m", device="cpu", echo=lines.append)
    assert "decoding 1 scenes without labels" in lines, "validation scenes are not looked at"
    assert sum("restoration" in line for line in lines) == 1


def test_what_does_not_fit_is_named(folder, tmp_path):
    with pytest.raises(RecipeError, match=r"pretraining\.scenes.*nothing matches no_\*\.tif"):
        pretrain(recipe(folder, pretraining={"scenes": ["no_*.tif"]}), tmp_path / "m", echo=print)
    profile = {
        "driver": "GTiff",
        "height": 40,
        "width": 40,
        "count": 1,
        "dtype": "uint8",
        "crs": "EPSG:32632",
    }
    with rasterio.open(tmp_path / "one.tif", "w", transform=Affine(1, 0, 0, 0, -1, 0), **profile) as file:
        file.write(np.ones((1, 40, 40), np.uint8))
    wrong = recipe(folder, pretraining={"scenes": [str(tmp_path / "one.tif")]})
    with pytest.raises(MismatchError, match=r"one\.tif"):
        pretrain(wrong, tmp_path / "m", device="cpu", echo=lambda _: None)
    assert [p.name for p in tmp_path.iterdir()] == ["one.tif"]


def test_a_stopped_pretraining_goes_on(folder, tmp_path, monkeypatch, pretrained):
    import geodl.training.pretrain.run as run

    keep = run.save_state

    def die(where, state):
        keep(where, state)
        if state.facts["clock"]["epoch"] == 3:
            raise RuntimeError("killed")

    monkeypatch.setattr(run, "save_state", die)
    with pytest.raises(RuntimeError, match="killed"):
        pretrain(recipe(folder), tmp_path / "m", device="cpu", echo=lambda _: None)
    monkeypatch.setattr(run, "save_state", keep)
    lines = []
    model = pretrain(recipe(folder), tmp_path / "m", device="cpu", echo=lines.append)
    assert "going on after epoch 3 of an unfinished run" in lines
    assert model.spec.weights_sha256 == pretrained[0].spec.weights_sha256


def test_the_command(folder, tmp_path):
    recipe(folder, pretraining={"epochs": 1})
    done = CliRunner().invoke(
        main, ["pretrain", str(folder / "recipe.yaml"), "--out", str(tmp_path / "m"), "--device", "cpu"]
    )
    assert done.exit_code == 0, done.output
    assert "start: {model:" in done.output
    assert load_model(tmp_path / "m").spec.name == "textures"
