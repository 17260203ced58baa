"""Variants are smaller, give nearly the same, and a comparison says what they cost."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import geodl
from geodl.cli import main
from geodl.comparing import Row, compare_models, network_inputs, table_of
from geodl.comparing.measure import Reading, Task, measure
from geodl.demo import sample_scenes
from geodl.errors import MismatchError, ModelError, OptionError, SceneError
from geodl.models import MODELS, load_model, save_model
from geodl.models.compress import PRUNABLE, prune, quantise
from geodl.models.compress.layers import CLASSES
from geodl.models.cost import count_parameters, gflops_per_megapixel
from geodl.models.onnx_graph import to_onnx
from tests.conftest import make_model
from tests.conftest import make_spec as make_tiny_spec
from tests.test_models_table import make_network, make_spec

SMALL = {
    "unet_compact": {"widths": [8, 10, 12, 16], "blocks": 2},
    "segnet": {"widths": [8, 10, 12], "convolutions": [1, 2, 3]},
    "fcn": {"filters": 10},
    "unet": {"encoder": "resnet18", "depth": 3, "decoder": [32, 24, 16]},
}


def geodl_command(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def silenced(network, layers, share, constant=0.0):
    """Have a share of the channels of every group say the same everywhere: nothing, or a constant."""
    state, random = network.state_dict(), np.random.default_rng(5)
    off = {}
    for layer in layers:
        if layer.output == CLASSES:
            continue
        count = len(state[f"{layer.name}.weight"])
        gone = count - max(1, round(count * (1 - share)))
        off.setdefault(layer.output, random.choice(count, gone, replace=False))
        for path in filter(None, (layer.name, layer.norm)):
            for key in ("weight", "bias", "running_mean"):
                if f"{path}.{key}" in state:
                    state[f"{path}.{key}"][off[layer.output]] = constant if key == "bias" else 0
    network.load_state_dict(state)
    return network


def listed_part(network, layers):
    """How many numbers are in the layers of which channels leave."""
    paths = [path for layer in layers for path in (layer.name, layer.norm) if path]
    return sum(p.numel() for path in paths for p in network.get_submodule(path).parameters())


@pytest.mark.parametrize("name", PRUNABLE)
def test_channels_that_say_nothing_can_leave_without_a_trace(tmp_path, name):
    parameters = SMALL[name]
    layers = PRUNABLE[name].layers(MODELS[name].read_parameters(parameters))
    network = silenced(make_network(name, parameters), layers, 0.3)
    model = save_model(tmp_path / "model", make_spec(name, parameters), network)
    variant = prune(model, tmp_path / "variant", 0.3)
    pixels = torch.randn(2, 4, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(variant.network()(pixels), network(pixels), atol=1e-5, rtol=1e-4)
    before, after = listed_part(network, layers), listed_part(variant.network(), layers)
    # 0.7 of the inputs times 0.7 of the outputs, nearly; an encoder that stays is all that some see
    assert 0.35 * before < after < (0.7 if name == "unet" else 0.62) * before
    assert count_parameters(variant.network()) == count_parameters(network) - before + after
    flops = [gflops_per_megapixel(n, bands=4, side=64) for n in (network, variant.network())]
    assert flops[1] < (0.9 if name == "unet" else 0.65) * flops[0]
    assert variant.spec.name == "a-model-pruned-30"
    assert (variant.spec.halo, variant.spec.stitch) == (model.spec.halo, model.spec.stitch)
    assert f"30% of the {PRUNABLE[name].part} were" in (variant.folder / "README.md").read_text()


def test_every_layer_is_listed():
    for name, row in PRUNABLE.items():
        network = make_network(name, SMALL[name])
        listed = {layer.name for layer in row.layers(MODELS[name].read_parameters(SMALL[name]))}
        convolutions = {path for path, module in network.named_modules() if isinstance(module, nn.Conv2d)}
        stay = {path for path in convolutions if name == "unet" and path.startswith("encoder.")}
        assert listed == convolutions - stay


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("unet_compact", {"widths": [8, 10], "blocks": 1}),
        ("fcn", {"filters": 10}),
        ("unet", {"encoder": "resnet18", "depth": 3, "decoder": [12, 10, 8]}),
    ],
)
def test_constants_go_into_what_follows(tmp_path, name, parameters):
    layers = PRUNABLE[name].layers(MODELS[name].read_parameters(parameters))
    network = silenced(make_network(name, parameters), layers, 0.3, constant=0.7)
    model = save_model(tmp_path / "model", make_spec(name, parameters), network)
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(4, 64, 64)).astype(np.float32) for _ in range(2)]
    with torch.inference_mode():
        pixels = torch.randn(1, 4, 128, 128)
        ours, theirs = (
            prune(model, tmp_path / f"{len(shown)}", 0.3, shown).network()(pixels) for shown in (inputs, [])
        )
        expected = network(pixels)
    inside = (..., slice(48, -48), slice(48, -48))  # at the border, convolutions see zeros beside them
    torch.testing.assert_close(ours[inside], expected[inside], atol=1e-4, rtol=1e-3)
    assert (theirs[inside] - expected[inside]).abs().max() > 1e-2  # weights alone do not know of constants


@pytest.mark.parametrize("share", [0.0, 1.0, -0.3, float("nan")])
def test_a_share_that_is_none_is_refused(tiny_model, tmp_path, share):
    with pytest.raises(OptionError, match="--prune"):
        prune(tiny_model, tmp_path / "variant", share)


def test_networks_whose_channels_are_not_known_are_refused(tmp_path):
    name, parameters = "unetplusplus", {"encoder": "resnet18", "depth": 3}
    model = save_model(tmp_path / "model", make_spec(name, parameters), make_network(name, parameters))
    with pytest.raises(ModelError, match="prune one of unet_compact, segnet, fcn, unet, or use --int8"):
        prune(model, tmp_path / "variant", 0.3)


@pytest.mark.parametrize("kind", [pytest.param("dynamic", marks=pytest.mark.slow), "static"])
def test_eight_bits_give_nearly_the_same(tmp_path, kind, scene_file):
    spec = make_tiny_spec(parameters={"widths": (16, 32, 32), "blocks": 1})
    model = make_model(tmp_path / "model", spec)
    scene = geodl.open_scene(scene_file)
    inputs = network_inputs(model, [scene], count=4)
    variant = quantise(model, tmp_path / "variant", kind, inputs)
    pixels = torch.from_numpy(np.stack(inputs))
    with torch.inference_mode():
        ours, theirs = (m.network()(pixels).softmax(1) for m in (model, variant))
    assert not torch.equal(ours, theirs)
    # Random weights tell classes apart by little: a trained network changes fewer classes.
    assert (ours - theirs).abs().mean() < 0.03
    assert (ours.argmax(1) == theirs.argmax(1)).float().mean() > 0.9
    sizes = [(m.folder / m.spec.weights_file).stat().st_size for m in (model, variant)]
    assert sizes[1] < 0.5 * sizes[0]
    assert (variant.spec.stitch, variant.spec.halo) == ("crop", spec.halo)
    classes = [geodl.predict(scene, m)["class"].to_numpy() for m in (model, variant)]
    assert ((classes[0] == 255) == (classes[1] == 255)).all()
    assert (classes[0] == classes[1]).mean() > 0.9
    with pytest.raises(ModelError, match="an ONNX file already"):
        quantise(variant, tmp_path / "again", kind, inputs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_a_trained_network_bears_eight_bits(tmp_path, kind):
    scene = geodl.open_scene(sample_scenes() / "s2_valley_2024.tif")
    model = load_model("landcover-s2")
    variant = quantise(model, tmp_path / "variant", kind, network_inputs(model, [scene]))
    ours, theirs = (geodl.predict(scene, m)["class"].to_numpy() for m in (model, variant))
    assert (ours == theirs).mean() > 0.99


def test_static_eight_bits_need_imagery(tiny_model, tmp_path):
    with pytest.raises(ModelError, match=r"needs imagery.*--scenes"):
        quantise(tiny_model, tmp_path / "variant", "static")


def test_operations_are_those_that_one_counts_by_hand():
    network = make_network("fcn", {"filters": 8})
    by_hand = 2 * 9 * (4 * 8 + 4 * 8 * 8) + 2 * 8 * 3  # a multiplication and an addition per weight and pixel
    assert gflops_per_megapixel(network, bands=4, side=64) == pytest.approx(by_hand / 1000)
    graph = to_onnx(network, make_spec("fcn", {"filters": 8}), outputs="scores")
    from geodl.models.imported_parameters import OnnxParameters
    from geodl.models.onnx_network import OnnxNetwork

    whole = OnnxNetwork(graph.content.SerializeToString(), 4, 3, OnnxParameters(stride=1))
    assert gflops_per_megapixel(whole, bands=4, side=64) == pytest.approx(by_hand / 1000)
    assert (
        count_parameters(whole) == count_parameters(network) == sum(p.numel() for p in network.parameters())
    )


@pytest.fixture(scope="module")
def labels(tiny_model, scene_file, tmp_path_factory):
    """What the model itself maps, one class wrong in a corner."""
    path = tmp_path_factory.mktemp("labels") / "truth.tif"
    classes = geodl.predict(geodl.open_scene(scene_file), tiny_model)["class"].compute()
    classes[150:, 200:] = 7
    geodl.write_cog(classes, path)
    return path


def test_accuracy_is_that_of_the_written_map(tiny_model, scene_file, labels, tmp_path):
    scene = geodl.open_scene(scene_file)
    row = measure(Task(model=tiny_model, scenes=[scene], labels=[str(labels)], device="cpu", threads=1))
    geodl.write_cog(geodl.predict(scene, tiny_model)["class"], tmp_path / "map.tif")
    expected = geodl.assess(tmp_path / "map.tif", labels).to_dict()
    assert row.overall == pytest.approx(expected["overall_accuracy"])
    assert row.mean_iou == pytest.approx(expected["mean_iou"])
    assert 0.5 < row.overall < 1
    assert row.parameters == count_parameters(tiny_model.network())
    assert row.speed > 0
    assert row.file_size == (tiny_model.folder / "weights.safetensors").stat().st_size
    plain = measure(Task(model=tiny_model, scenes=[scene], device="cpu", threads=1))
    assert (plain.overall, plain.iou) == (None, {})


def test_labels_that_say_nothing_are_refused(tiny_model, scene_file, labels):
    reading = Reading(mapping={200: 1})
    task = Task(model=tiny_model, scenes=[geodl.open_scene(scene_file)], labels=[str(labels)],
                reading=reading, device="cpu", threads=1)  # fmt: skip
    with pytest.raises(SceneError, match="--mapping"):
        measure(task)


def test_a_comparison_needs_scenes_and_labels_for_each(tiny_model, scene_file):
    with pytest.raises(OptionError, match="--scenes"):
        compare_models([tiny_model], [])
    with pytest.raises(OptionError, match="2 files for 1 scenes"):
        compare_models([tiny_model], [geodl.open_scene(scene_file)], labels=["a", "b"])


def test_a_scene_that_does_not_fit_a_model_is_refused_before_any_is_measured(
    tiny_model, scene_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("geodl.comparing.compare.measure", None)
    other = make_model(tmp_path / "other", make_tiny_spec(units="digital_number", name="other"))
    with pytest.raises(MismatchError, match="model other needs the file's digital numbers"):
        compare_models([tiny_model, other], [geodl.open_scene(scene_file)])


def test_what_is_wrong_in_the_other_process_is_told_here(tiny_model, scene_file, labels):
    scene = geodl.open_scene(scene_file)
    with pytest.raises(SceneError, match="--mapping") as caught:
        compare_models([tiny_model], [scene], labels=[str(labels)], mapping={200: 1}, device="cpu")
    assert caught.value.cause.startswith("no pixel of them lies on valid pixels")


def test_the_table_shows_what_a_variant_loses():
    fields = {"architecture": "fcn", "parameters": 1000, "file_size": 4000, "speed": 2.0, "memory": None}
    rows = [
        Row(name="whole", gflops=3.0, overall=0.9, mean_iou=0.7, **fields),
        Row(name="[red]small[/]", gflops=None, overall=0.88, mean_iou=0.65, **fields),
    ]
    text = table_of(rows)
    assert "70.00" in text
    assert "65.00 (-5.00)" in text
    assert "[red]small[/]" in text
    assert "mean IoU" not in table_of([Row(name="n", gflops=None, **fields)])


@pytest.mark.slow
def test_the_command_compresses_and_compares(tiny_model, scene_file, labels, tmp_path):
    options = ["--scenes", scene_file, "--labels", labels]
    done = geodl_command(
        "models", "compress", tiny_model.folder, "--out", tmp_path / "v", "--prune", 0.3, *options
    )
    assert done.exit_code == 0, done.output
    assert "tiny-pruned-30" in done.output
    assert "(-" in done.output
    done = geodl_command("models", "compare", tiny_model.folder, tmp_path / "v", *options, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)
    assert [row["name"] for row in rows] == ["tiny", "tiny-pruned-30"]
    assert rows[0]["parameters"] > rows[1]["parameters"]
    assert rows[0]["memory"] > 0


def test_the_command_compresses(tiny_model, tmp_path):
    done = geodl_command("models", "compress", tiny_model.folder, "--out", tmp_path / "v", "--prune", 0.5)
    assert done.exit_code == 0, done.output
    assert load_model(tmp_path / "v").spec.parameters["widths"] == [2, 4, 4]
    for options in ([], ["--prune", 0.5, "--int8", "static"]):
        done = geodl_command("models", "compress", tiny_model.folder, "--out", tmp_path / "w", *options)
        assert done.exit_code == 2
        assert "one of --int8 and --prune" in done.output


def test_the_command_exports_and_imports(tiny_model, tmp_path):
    done = geodl_command("models", "export", tiny_model.folder, "--onnx", tmp_path / "n.onnx")
    assert done.exit_code == 0, done.output
    assert "images of any size" in done.output
    assert "8-bit images only" in done.output
    done = geodl_command(
        "models", "import", tmp_path / "n.onnx", "--out", tmp_path / "again", "--name", "other"
    )
    assert done.exit_code == 0, done.output
    assert load_model(tmp_path / "again").spec.name == "other"
    torch.save(make_network("fcn", {"filters": 8}).state_dict(), tmp_path / "fcn.pth")
    said = ["--bands", "a,b,c,d", "--classes", "x,y,z", "--units", "reflectance", "--mean", "0.1,0.2,0.3,0.4",
            "--std", "0.1", "--architecture", "fcn", "--parameters"]  # fmt: skip
    done = geodl_command(
        "models", "import", tmp_path / "fcn.pth", "--out", tmp_path / "f", *said, '{"filters": 8}'
    )
    assert done.exit_code == 0, done.output
    assert [band.mean for band in load_model(tmp_path / "f").spec.bands] == [0.1, 0.2, 0.3, 0.4]
    done = geodl_command("models", "import", tmp_path / "fcn.pth", "--out", tmp_path / "g", *said, "filters")
    assert done.exit_code == 2
    assert "--parameters filters" in done.output
