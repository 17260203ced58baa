"""Networks that other libraries saved give the same as geodl models."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import nn

import geodl
from geodl.errors import ModelError, OptionError
from geodl.models import load_model
from geodl.models.imports import Wishes, import_model
from geodl.models.imports.wishes import read_classes
from tests.test_models_table import make_network

RGB = {
    "bands": ("red", "green", "blue"),
    "units": "digital_number",
    "dtype": "uint8",
    "mean": (100.0,),
    "std": (50.0,),
}
THREE = Wishes(**RGB, classes=read_classes("water,wood,town"))
TWO = Wishes(**RGB, classes=read_classes("ground,building"))


def shaken(network):
    """Random weights, with statistics of batch norms as after training."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return network.eval()


def probabilities(network, pixels):
    with torch.inference_mode():
        scores = network(pixels)
    if isinstance(scores, dict):
        scores = scores["out"]
    if scores.shape[1] == 1:
        second = scores.sigmoid()
        return torch.cat([1 - second, second], dim=1)
    return scores.softmax(1)


def assert_same(model, source, bands=3, side=64):
    pixels = torch.randn(2, bands, side, side)
    found = load_model(model.folder).network()(pixels).softmax(1)
    torch.testing.assert_close(found, probabilities(source, pixels), atol=1e-5, rtol=0)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (smp.Unet, {"encoder_name": "resnet18"}),
        (smp.Unet, {"encoder_name": "tu-resnet18", "encoder_depth": 4, "decoder_channels": (32, 16, 8, 8)}),
        slow(smp.Linknet, {"encoder_name": "mobilenet_v2", "activation": "softmax2d"}),
        slow(smp.Unet, {"encoder_name": "mobilenet_v2", "decoder_attention_type": "scse"}),
        slow(smp.DeepLabV3Plus, {"encoder_name": "resnet18", "encoder_output_stride": 8}),
        slow(smp.Segformer, {"encoder_name": "mit_b0"}),
    ],
)
def test_a_saved_network_of_segmentation_models_pytorch(tmp_path, build, arguments):
    source = shaken(build(encoder_weights=None, in_channels=3, classes=3, **arguments))
    source.save_pretrained(tmp_path / "source")
    model = import_model(tmp_path / "source", tmp_path / "model", THREE)
    if arguments.pop("activation", None):
        source.segmentation_head[-1] = nn.Identity()  # geodl makes probabilities of scores itself
    assert_same(model, source)
    assert model.spec.architecture == "smp"
    assert [c.name for c in model.spec.classes] == ["water", "wood", "town"]


def test_one_output_becomes_two_classes(tmp_path):
    source = shaken(smp.Unet("resnet18", encoder_weights=None, classes=1))
    source.save_pretrained(tmp_path / "source")
    assert_same(import_model(tmp_path / "source", tmp_path / "model", TWO), source)


def test_arguments_of_older_versions_are_understood(tmp_path):
    source = shaken(smp.Unet("resnet18", encoder_weights=None, decoder_use_norm=False, classes=3))
    source.save_pretrained(tmp_path / "source")
    path = tmp_path / "source" / "config.json"
    config = json.loads(path.read_text())
    config["decoder_use_batchnorm"] = config.pop("decoder_use_norm")
    path.write_text(json.dumps(config))
    assert_same(import_model(tmp_path / "source", tmp_path / "model", THREE), source)


def test_tiles_of_an_imported_local_network_are_cut_and_not_blended(tmp_path):
    source = smp.Unet(
        "resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(8, 8, 8), classes=3
    )
    source.save_pretrained(tmp_path / "source")
    spec = import_model(tmp_path / "source", tmp_path / "model", THREE).spec
    assert (spec.stitch, spec.halo, spec.stride) == ("crop", 96, 8)
    source = smp.Unet("resnet18", encoder_weights=None, decoder_use_norm="layernorm", classes=3)
    source.save_pretrained(tmp_path / "other")
    assert import_model(tmp_path / "other", tmp_path / "norm", THREE).spec.stitch == "blend"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_model_class": "SegmentationModel"}, "names the network 'SegmentationModel'.*Unet, UnetPlusPlus"),
        ({"activation": "sigmoid"}, "activation is 'sigmoid' over 3 outputs"),
        ({"aux_params": {"classes": 2}}, "argument aux_params"),
        ({"checkpoint_path": "/tmp/x.pt"}, "argument checkpoint_path is '/tmp/x.pt'"),
        ({"encoder_name": "local-dir:/tmp"}, "parameters.arguments"),
        ({"encoder_name": "resnet34"}, "weights do not fit architecture 'smp'"),
        ({"in_channels": "3"}, "are no numbers"),
    ],
)
def test_a_config_that_asks_for_something_else_is_refused(tmp_path, change, words):
    smp.Unet("resnet18", encoder_weights=None, classes=3).save_pretrained(tmp_path / "source")
    path = tmp_path / "source" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=words):
        import_model(tmp_path / "source", tmp_path / "model", THREE)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"bands": ()}, "takes 3 bands, 0 are named.*--bands red,green,blue"),
        ({"units": None}, "--units reflectance or --units digital_number"),
        ({"mean": ()}, "--mean 123.675"),
        ({"std": (1.0, 2.0)}, "2 numbers for 3 bands"),
        ({"classes": read_classes("a,b")}, "tells 3 classes apart, 2 are named"),
        ({"units": "feet"}, "units"),
    ],
)
def test_what_nobody_says_is_asked_for(tmp_path, wishes, words):
    smp.Unet("resnet18", encoder_weights=None, classes=3).save_pretrained(tmp_path / "source")
    with pytest.raises(ModelError, match=words):
        import_model(tmp_path / "source", tmp_path / "model", Wishes(**{**vars(THREE), **wishes}))


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "unet", "backbone": "resnet18", "num_classes": 3},
        slow({"model": "unet", "backbone": "resnet18", "task": "binary", "loss": "bce"}),
        slow({"model": "deeplabv3+", "backbone": "mobilenet_v2", "num_classes": 3}),
        slow({"model": "fcn", "num_filters": 8, "num_classes": 3}),
        {"model": "fcn", "num_filters": 8, "task": "binary", "loss": "bce"},
    ],
)
def test_a_checkpoint_of_torchgeo(tmp_path, settings):
    from lightning import Trainer
    from torchgeo.trainers import SemanticSegmentationTask

    task = SemanticSegmentationTask(in_channels=3, **settings)
    shaken(task)
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(task)
    trainer.save_checkpoint(tmp_path / "task.ckpt", weights_only=False)
    wishes = THREE if "num_classes" in settings else TWO
    assert_same(import_model(tmp_path / "task.ckpt", tmp_path / "model", wishes), task)


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["task.ckpt", "weights.pth", "weights.pt"])
def test_checkpoints_that_could_run_code_are_refused(tmp_path, name):
    canary = tmp_path / "canary"
    torch.save({"state_dict": {}, "hyper_parameters": {"model": Canary(canary)}}, tmp_path / name)
    with pytest.raises(ModelError, match=r"could run code.*save its weights alone"):
        import_model(tmp_path / name, tmp_path / "model", THREE)
    (tmp_path / name).write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(ModelError, match=r"torch cannot read it|could run code"):
        import_model(tmp_path / name, tmp_path / "model", THREE)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "options", "bands", "classes"),
    [
        slow("lraspp_mobilenet_v3_large", {}, 3, 3),
        ("lraspp_mobilenet_v3_large", {}, 4, 1),
        ("deeplabv3_mobilenet_v3_large", {"aux_loss": True}, 3, 3),
        slow("fcn_resnet50", {}, 3, 3),
        slow("deeplabv3_resnet101", {}, 3, 3),
    ],
)
def test_a_state_dict_of_torchvision(tmp_path, name, options, bands, classes):
    from torchvision.models import segmentation

    build = getattr(segmentation, name)
    source = build(weights=None, weights_backbone=None, num_classes=classes, **options)
    if bands != 3:
        first = source.backbone["0"][0]
        source.backbone["0"][0] = nn.Conv2d(bands, first.out_channels, 3, 2, 1, bias=False)
    shaken(source)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    wishes = Wishes(**{**vars(TWO if classes == 1 else THREE), "bands": tuple("rgbn"[:bands])})
    model = import_model(tmp_path / "weights.pth", tmp_path / "model", wishes)
    assert model.spec.parameters["network"] == name
    assert_same(model, source, bands=bands)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_tensors_of_any_architecture_in_the_table(tmp_path, suffix):
    parameters = {"encoder": "tu-resnet18", "depth": 3}
    source = make_network("unet", parameters, bands=3)
    state = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    wishes = Wishes(**{**vars(THREE), "architecture": "unet", "parameters": parameters})
    assert_same(import_model(path, tmp_path / "model", wishes), source)


def test_a_classifier_is_no_segmentation_network(tmp_path):
    import timm

    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(ModelError, match=r"classifies whole images.*as encoder instead"):
        import_model(tmp_path / "resnet18.pth", tmp_path / "model", THREE)
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"do not say which network.*--architecture and --parameters"):
        import_model(tmp_path / "other.pth", tmp_path / "model", THREE)


@pytest.mark.parametrize("name", ["nothing.onnx", "model.h5", "folder"])
def test_sources_that_are_not_known_are_named(tmp_path, name):
    (tmp_path / "model.h5").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match=name):
        import_model(tmp_path / name, tmp_path / "model", THREE)


@pytest.mark.parametrize("text", ["=water", "water,,wood", "a=b", "300=water"])
def test_classes_that_cannot_be_read_are_refused(text):
    with pytest.raises(OptionError, match=r"classes|--classes"):
        read_classes(text)


def test_an_imported_network_maps_a_scene(tmp_path, scene_file):
    source = shaken(
        smp.Unet("resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(8, 8, 8), classes=3)
    )
    source.save_pretrained(tmp_path / "source")
    wishes = Wishes(**{**vars(THREE), "bands": ("red", "green", "nir"), "units": "reflectance", "dtype": None,
                       "mean": (0.2,), "std": (0.1,)})  # fmt: skip
    model = import_model(tmp_path / "source", tmp_path / "model", wishes)
    classes = geodl.predict(geodl.open_scene(scene_file), model)["class"].to_numpy()
    assert set(np.unique(classes)) <= {1, 2, 3, 255}
    assert len(np.unique(classes)) > 2
