"""Weights of another network: what is taken, adapted, left and refused."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from geodl.errors import ModelError, RecipeError
from geodl.models.table import build_network
from geodl.training import train
from geodl.training.origin import read_source
from geodl.training.recipe import Start
from geodl.training.transfer import Source, adapt_bands, transfer
from tests.conftest import make_model, make_spec
from tests.test_training_fit import recipe_of, write_pair

BANDS, CLASSES = ["red", "green", "nir"], ["water", "forest", "grassland", "built-up"]
RESNET = {
    "architecture": "unet",
    "parameters": {"encoder": "resnet18", "depth": 3},
    "tile": 256,
    "stride": 32,
}


def network(**changes):
    torch.manual_seed(7)
    return build_network(make_spec(**{"halo": 32, "tile": 128, **changes}))


def same(a, b, names):
    return all(torch.equal(a[name], b[name]) for name in names)


def test_the_same_network_is_taken_whole():
    old, new = network(), network()
    with torch.no_grad():
        for tensor in old.state_dict().values():
            tensor.add_(1)
    source = Source(origin="x", tensors=old.state_dict(), bands=tuple(BANDS), classes=tuple(CLASSES))
    taken = transfer(new, source, BANDS, CLASSES)
    assert same(old.state_dict(), new.state_dict(), old.state_dict())
    assert taken.share == 1
    assert not taken.left
    assert taken.unused == 0
    assert taken.adapted is None


def test_other_classes_keep_their_random_head():
    old, new = network(), network()
    with torch.no_grad():
        for tensor in old.state_dict().values():
            tensor.add_(1)
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    source = Source(origin="x", tensors=old.state_dict(), bands=tuple(BANDS), classes=("a", "b", "c", "d"))
    taken = transfer(new, source, BANDS, CLASSES)
    assert set(taken.left) == {"head.weight", "head.bias"}
    assert same(before, new.state_dict(), taken.left)
    assert same(old.state_dict(), new.state_dict(), taken.same)
    text = "\n".join(taken.lines())
    assert "random: head.bias, head.weight" in text
    assert "2 tensors of the source have no place here" in text


def test_bands_go_by_their_names():
    weight = torch.randn(5, 3, 3, 3)
    same_order = adapt_bands(weight, ["red", "green", "nir"], ["nir", "red", "green"])
    torch.testing.assert_close(same_order, weight[:, [2, 0, 1]])
    more = adapt_bands(weight, ["red", "green", "nir"], ["red", "swir1", "blue", "nir"])
    torch.testing.assert_close(more[:, 0], weight[:, 0] * 3 / 4)
    torch.testing.assert_close(more[:, 3], weight[:, 2] * 3 / 4)
    torch.testing.assert_close(more[:, 1], weight.mean(1) * 3 / 4)
    torch.testing.assert_close(more[:, 1], more[:, 2])
    # A grey picture, equal in all bands, is answered as before.
    unnamed = adapt_bands(weight, None, ["a", "b", "c", "d", "e"])
    torch.testing.assert_close(unnamed.sum(1), weight.sum(1))


@pytest.mark.parametrize("bands", [["green", "red", "nir"], ["red", "green", "nir", "swir1", "blue"]])
def test_the_first_layer_is_adapted(bands):
    old = network()
    from geodl.models.spec import BandSpec

    new = network(bands=[BandSpec(name=name, mean=0, std=1) for name in bands])
    source = Source(origin="x", tensors=old.state_dict(), bands=tuple(BANDS), classes=tuple(CLASSES))
    taken = transfer(new, source, bands, CLASSES)
    first = taken.adapted
    assert first is not None
    torch.testing.assert_close(new.state_dict()[first], adapt_bands(old.state_dict()[first], BANDS, bands))
    assert f"{first} was adapted to the bands" in "\n".join(taken.lines())
    assert not taken.left


@pytest.mark.parametrize("prefix", ["", "encoder.", "model.encoder.", "module.backbone."])
def test_an_encoder_is_found_under_its_prefix(prefix):
    """As torchvision, torchgeo's trainers and MoCo name a ResNet."""
    import torchvision

    torch.manual_seed(1)
    theirs = torchvision.models.resnet18(weights=None)
    new = network(**RESNET)
    tensors = {prefix + name: tensor for name, tensor in theirs.state_dict().items()}
    taken = transfer(new, Source(origin="x", tensors=tensors), BANDS, CLASSES)
    mine = new.encoder.state_dict()
    assert set(taken.same) == {f"encoder.{name}" for name in mine}
    assert same(theirs.state_dict(), mine, mine)
    assert all(name.startswith(("decoder", "segmentation_head")) for name in taken.left)
    assert taken.unused == len(tensors) - len(mine), "the deepest stage and the classifier"


def test_what_has_nothing_in_common_is_refused():
    source = Source(
        origin="file x.pth", tensors=nn.Sequential(nn.Linear(3, 3), nn.Conv2d(9, 9, 5)).state_dict()
    )
    new = network()
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    with pytest.raises(ModelError, match=r"file x\.pth: it has no layer in common.*choose the architecture"):
        transfer(new, source, BANDS, CLASSES)
    assert same(before, new.state_dict(), before)


@pytest.mark.parametrize("suffix", ["pth", "ckpt", "safetensors"])
def test_files_of_weights(tmp_path, suffix):
    state = nn.Conv2d(2, 3, 3).state_dict()
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if suffix == "ckpt" else state, path)
    source = read_source(Start(weights=path.name, bands=["red", "nir"]), tmp_path)
    assert same(state, source.tensors, state)
    assert source.bands == ("red", "nir")
    assert str(tmp_path) not in source.origin


class Canary:
    def __reduce__(self):
        import os

        return os.mkdir, ("canary",)


def test_a_file_that_holds_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(2), "x": Canary()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match=r"evil\.pth.*could run code"):
        read_source(Start(weights="evil.pth"), tmp_path)
    assert not (tmp_path / "canary").exists()
    with pytest.raises(ModelError, match=r"none\.pth"):
        read_source(Start(weights="none.pth"), tmp_path)


def test_a_model_by_folder_and_by_name(tmp_path):
    make_model(tmp_path / "tiny", make_spec())
    source = read_source(Start(model="tiny"), tmp_path)
    assert source.bands == tuple(BANDS)
    assert source.classes == tuple(CLASSES)
    assert read_source(Start(model="landcover-s2"), tmp_path).origin == "model landcover-s2"
    with pytest.raises(ModelError, match=r"landcover-s2"):
        read_source(Start(model="no-such"), tmp_path)


def test_torchgeos_names(tmp_path, monkeypatch):
    """From the folder in which torch keeps downloads: nothing is fetched."""
    import torchvision

    theirs = torchvision.models.resnet18(weights=None)
    theirs.conv1 = nn.Conv2d(13, 64, 7, stride=2, padding=3, bias=False)
    name = "resnet18_sentinel2_all_moco-59bfdff9.pth"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(theirs.state_dict(), tmp_path / "checkpoints" / name)
    source = read_source(Start(torchgeo="ResNet18_Weights.SENTINEL2_ALL_MOCO"), tmp_path)
    assert source.bands is not None
    assert source.bands[1:4] == ("blue", "green", "red")
    new = network(**RESNET)
    taken = transfer(new, source, BANDS, CLASSES)
    assert taken.adapted == "encoder.conv1.weight"
    expected = theirs.conv1.weight[:, [3, 2, 7]] * 13 / 3  # red, green, nir
    torch.testing.assert_close(new.encoder.conv1.weight, nn.Parameter(expected.detach()))


def test_without_the_network_torchgeo_says_what_to_do(tmp_path, monkeypatch):
    import urllib.request

    def unreachable(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(ModelError, match=r"cannot be downloaded.*fetch https.*start: \{weights: FILE"):
        read_source(Start(torchgeo="ResNet18_Weights.SENTINEL2_ALL_MOCO"), tmp_path)
    with pytest.raises(RecipeError, match="torchgeo has no weights named 'nonsense'"):
        read_source(Start(torchgeo="nonsense"), tmp_path)


def test_a_bundled_model_is_meant_where_a_folder_of_data_has_its_name(tmp_path):
    (tmp_path / "buildings").mkdir()
    assert read_source(Start(model="buildings"), tmp_path).origin == "model buildings"


def test_one_source_must_be_given():
    for wrong in ({}, {"model": "a", "weights": "b"}):
        with pytest.raises(ValueError, match="one of model, weights and torchgeo must be given"):
            Start(**wrong)


def test_a_missing_start_is_named_before_scenes_are_decoded(tmp_path):
    for stem, seed in (("train_a", 0), ("check", 2)):
        write_pair(tmp_path, stem, seed, size=(80, 90))
    lines = []
    with pytest.raises(ModelError, match="none"):
        train(recipe_of(tmp_path, start={"model": "none"}), tmp_path / "m", device="cpu", echo=lines.append)
    assert lines == []
    assert not any(path.name.startswith(".m") for path in tmp_path.iterdir())


def test_a_training_begins_with_a_model(tmp_path):
    """With nothing left to learn but the head, the encoder stays what the model was."""
    for stem, seed in (("train_a", 0), ("check", 2)):
        write_pair(tmp_path, stem, seed, size=(80, 90))
    fast = {"epochs": 1, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32", "ema": None}
    first = train(
        recipe_of(tmp_path, optimisation=fast), tmp_path / "first", device="cpu", echo=lambda _: None
    )
    lines = []
    again = recipe_of(
        tmp_path,
        bands=["red", "green"],
        start={"model": "first"},
        optimisation={**fast, "freeze_encoder": "all"},
    )
    second = train(again, tmp_path / "second", device="cpu", echo=lines.append)
    old, new = first.network().state_dict(), second.network().state_dict()
    layer = "encoder.0.0.0.weight"
    torch.testing.assert_close(new[layer], old[layer][:, [1, 0]])
    assert same(old, new, [n for n in old if n.startswith(("encoder", "bottom")) and n != layer])
    assert not torch.equal(old["head.weight"], new["head.weight"])
    assert any("from model textures" in line for line in lines)
    recipe = json.loads((tmp_path / "second" / "model.json").read_text())
    assert "first" in json.dumps(recipe)


def test_a_share_of_the_beginning_is_mixed_into_what_is_kept(tmp_path):
    for stem, seed in (("train_a", 0), ("check", 2)):
        write_pair(tmp_path, stem, seed, size=(80, 90))
    fast = {"epochs": 2, "samples_per_epoch": 8, "patch": 32, "batch": 4, "precision": "32", "keep": "last"}

    def trained(name, **changes):
        recipe = recipe_of(tmp_path, optimisation=fast, **changes)
        model = train(recipe, tmp_path / name, device="cpu", echo=lambda _: None)
        return model, model.network().state_dict()

    _, first = trained("first")
    _, second = trained("second", start={"model": "first"})
    mixed, found = trained("mixed", start={"model": "first", "share": 0.4})
    assert not torch.equal(first["head.weight"], second["head.weight"])
    for name, value in found.items():
        wanted = torch.lerp(second[name], first[name], 0.4) if value.is_floating_point() else second[name]
        torch.testing.assert_close(value, wanted)
    assert mixed.spec.accuracy.mean_iou is not None
    others = [{"value": v, "name": name, "color": f"#00000{v}"} for v, name in enumerate("xy")]
    with pytest.raises(RecipeError, match=r"head.* among them: random numbers would be mixed in"):
        trained("other", start={"model": "first", "share": 0.4}, classes=others)
