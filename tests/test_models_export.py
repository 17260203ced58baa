"""ONNX files give what the models give, wherever they go: onnxruntime, Deepness, and back."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

import geodl
from geodl.errors import GeodlError, ModelError
from geodl.models import load_model, save_model
from geodl.models.export import export_onnx
from geodl.models.imports import Wishes, import_model
from geodl.models.imports.wishes import read_classes
from geodl.models.onnx_graph import to_onnx
from geodl.models.probe import probe
from tests.conftest import make_model
from tests.conftest import make_spec as make_tiny_spec
from tests.test_models_table import SMALL, TRAINABLE, make_network, make_spec

DEEP = (
    "segnet",
    "unet",
    "unetplusplus",
    "fpn",
    "deeplabv3plus",
    "segformer",
    "upernet",
    "fc_siam_conc",
    "fc_siam_diff",
    "btc",
    "changevit",
    "ltae",
    "smp",
    "torchvision",
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(path, pixels):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": pixels.numpy()})[0]


def saved(folder, name, **changes):
    spec = make_spec(name, SMALL[name]).model_copy(update={"temperature": 1.7, **changes})
    return save_model(folder, spec, make_network(name, SMALL[name]))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in DEEP else n for n in TRAINABLE]
)
def test_every_row_gives_the_same_in_onnxruntime(tmp_path, name):
    model = saved(tmp_path / "model", name, tile=128, halo=32)
    found = export_onnx(model, tmp_path / "network.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "network.onnx"), full_check=True)
    assert found.side in (None, 128)
    sides = [(1, 128, 128)] if found.side else [(2, 128, 128), (1, 160, 96)]
    for count, height, width in sides:
        pixels = torch.randn(count, 4, height, width)
        with torch.inference_mode():
            expected = (model.network()(pixels) / 1.7).softmax(1)
        difference = np.abs(run(tmp_path / "network.onnx", pixels) - expected.numpy()).max()
        assert difference <= 1e-4


def test_a_fixed_size_is_the_size_of_a_tile(tmp_path):
    model = saved(tmp_path / "model", "fcn", tile=64, halo=8)
    assert export_onnx(model, tmp_path / "network.onnx", fixed=True).side == 64
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 4, 64, 64]
    again = import_model(tmp_path / "network.onnx", tmp_path / "again")
    with pytest.raises(ModelError, match="takes 64 x 64 pixels only, not 96 x 64"):
        again.network()(torch.zeros(1, 4, 96, 64))


class Unwritable(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return torch.special.bessel_j0(self.last(x))


class Untrue(Unwritable):
    def forward(self, x):
        return self.last(x) if torch.compiler.is_compiling() else 2 * self.last(x)


@pytest.mark.parametrize(
    ("network", "words"), [(Unwritable(), "torch cannot write it as ONNX .*bessel"), (Untrue(), "differ by")]
)
def test_a_network_that_cannot_be_written_is_refused(network, words):
    spec = make_spec("fcn").model_copy(update={"tile": 64, "halo": 8})
    with pytest.raises(ModelError, match=rf"architecture 'fcn': .*{words}"):
        to_onnx(network.eval(), spec, outputs="scores", fixed=True)


def test_metadata_are_those_that_deepness_reads(tmp_path):
    """Read as Deepness' `model_base.py` does: every value is JSON."""
    spec = make_spec("fcn", {"filters": 8}).model_copy(
        update={"units": "digital_number", "dtype": "uint8", "pixel_size": 0.3, "tile": 512, "halo": 32}
    )
    bands = [band.model_copy(update={"mean": 51.0, "std": 25.5}) for band in spec.bands]
    spec = spec.model_copy(update={"bands": bands})
    model = save_model(tmp_path / "model", spec, make_network("fcn", {"filters": 8}))
    assert export_onnx(model, tmp_path / "network.onnx").for_deepness
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    metadata = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    assert str(metadata["model_type"]).capitalize() == "Segmentor"
    assert sorted(metadata["class_names"].items(), key=lambda kv: int(kv[0]))[0] == ("0", "class 0")
    assert (metadata["resolution"], metadata["tile_size"], metadata["tiles_overlap"]) == (30, 512, 13)
    # Deepness: 8-bit values over 255, minus mean, over deviation.
    image = np.random.default_rng(0).integers(0, 256, (1, 4, 64, 64)).astype(np.float32)
    mean, std = (np.array(metadata[f"standardization_{key}"])[:, None, None] for key in ("mean", "std"))
    shown = ((image / 255 - mean) / std).astype(np.float32)
    np.testing.assert_allclose(shown, (image - 51) / 25.5, atol=1e-5)
    shape = session.get_outputs()[0].shape
    assert shape[2] == shape[3]  # it compares them, and asks for squares


def test_an_export_comes_back_with_all_that_it_was(tmp_path, scene_file):
    model = make_model(
        tmp_path / "model", make_tiny_spec(temperature=2.0, title="There and back", pixel_size=10.0)
    )
    export_onnx(model, tmp_path / "network.onnx")
    again = import_model(tmp_path / "network.onnx", tmp_path / "again")
    kept = {"architecture", "parameters", "temperature", "weights_sha256", "bf16_agreement"}
    assert again.spec.model_dump(exclude=kept) == model.spec.model_dump(exclude=kept)
    assert again.spec.temperature == 1  # it is in the graph
    assert {path.name for path in again.folder.iterdir()} == {"model.json", "network.onnx", "README.md"}
    pixels = torch.randn(2, 3, 96, 64)
    found, expected = again.network()(pixels).softmax(1), (model.network()(pixels) / 2).softmax(1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    scene = geodl.open_scene(scene_file)
    ours, theirs = (geodl.predict(scene, m)["class"].to_numpy() for m in (model, again))
    assert (ours == theirs).mean() > 0.9999
    with pytest.raises(ModelError, match="it is an ONNX file already: copy"):
        export_onnx(again, tmp_path / "other.onnx")


def deepness_file(path, *, last="Softmax", channels=3, side=64, metadata=None, bands=3, kernel=3):
    """A file as people make them for Deepness: one fixed size, one convolution."""
    random = np.random.default_rng(3)
    weights = random.normal(size=(channels, bands, kernel, kernel)).astype(np.float32)
    end = "raw" if last else "output"
    nodes = [helper.make_node("Conv", ["input", "weights"], [end], pads=[kernel // 2] * 4)]
    if last:
        nodes.append(
            helper.make_node(last, ["raw"], ["output"], **({"axis": 1} if last == "Softmax" else {}))
        )
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, bands, side, side])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, channels, side, side])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


METADATA = {
    "model_type": '"Segmentor"',
    "class_names": "{0: 'ground', 1: 'roof', 2: 'road'}",  # Python's way, which Deepness reads as well
    "resolution": "30",
    "tiles_overlap": "25",
    "standardization_mean": "[0.4, 0.5, 0.6]",
    "standardization_std": "[0.2, 0.25, 0.25]",
}
RGB = Wishes(bands=("red", "green", "blue"))


def test_a_file_for_deepness_says_nearly_all(tmp_path):
    path = deepness_file(tmp_path / "roofs v2.onnx", metadata=METADATA)
    model = import_model(path, tmp_path / "model", RGB)
    spec = model.spec
    assert (spec.name, spec.units, spec.dtype, spec.pixel_size) == (
        "roofs-v2",
        "digital_number",
        "uint8",
        0.3,
    )
    assert [c.name for c in spec.classes] == ["ground", "roof", "road"]
    assert [band.mean for band in spec.bands] == [102.0, 127.5, 153.0]
    assert (spec.tile, spec.stitch, spec.parameters["outputs"]) == (64, "blend", "probabilities")
    image = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (3, 3, 64, 64)).astype(np.float32))
    mean, std = (
        torch.tensor([getattr(b, key) for b in spec.bands]).view(1, 3, 1, 1) for key in ("mean", "std")
    )
    found = model.network()((image - mean) / std).softmax(1)  # three images; the file takes one
    as_deepness = (image / 255 - torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)) / torch.tensor(
        [0.2, 0.25, 0.25]
    ).view(1, 3, 1, 1)
    expected = np.concatenate([run(path, pixels[None]) for pixels in as_deepness])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(("last", "channels"), [("Sigmoid", 1), (None, 1), (None, 2)])
def test_scores_and_probabilities_are_told_apart(tmp_path, last, channels):
    path = deepness_file(tmp_path / "n.onnx", last=last, channels=channels)
    wishes = Wishes(
        bands=RGB.bands, classes=read_classes("ground,roof"), units="reflectance", mean=(0,), std=(1,)
    )
    model = import_model(path, tmp_path / "model", wishes)
    pixels = torch.randn(1, 3, 64, 64)
    raw = torch.from_numpy(run(path, pixels))
    second = raw if last else (raw.sigmoid() if channels == 1 else raw.softmax(1)[:, 1:])
    torch.testing.assert_close(model.network()(pixels).softmax(1)[:, 1:], second, atol=1e-5, rtol=0)


def test_a_file_of_one_size_maps_a_scene_of_any(tmp_path, scene_file):
    path = deepness_file(tmp_path / "n.onnx", metadata={"class_names": '{"0": "a", "1": "b", "2": "c"}'})
    wishes = Wishes(
        bands=("red", "green", "nir"), units="reflectance", dtype="uint16", mean=(0.2,), std=(0.1,)
    )
    model = import_model(path, tmp_path / "model", wishes)
    result = geodl.predict(geodl.open_scene(scene_file), model)["class"].to_numpy()
    assert result.shape == (230, 310)
    assert set(np.unique(result)) == {1, 2, 3, 255}
    with pytest.raises(ModelError, match="no gradients to measure: probe the model that it was made of"):
        probe(model)
    with pytest.raises(GeodlError, match="use --precision fp32"):
        geodl.predict(geodl.open_scene(scene_file), model, precision="bf16").compute()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metadata": {"model_type": '"Detector"'}}, "it is a Detector"),
        ({"last": "Sigmoid"}, "each of its 3 classes has a probability of its own.*--outputs"),
        ({"metadata": {"class_names": '{"a": "b"}'}}, "has no numbers for keys"),
        ({"bands": 4}, "takes 4 bands, 3 are named"),
        ({"metadata": {"geodl": '{"properties": {}}'}}, "assets|mlm:|missing"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, options, words):
    path = deepness_file(tmp_path / "n.onnx", **options)
    with pytest.raises(ModelError, match=words):
        import_model(path, tmp_path / "model", RGB)


def test_damaged_and_hostile_files_are_refused(tmp_path):
    path = deepness_file(tmp_path / "n.onnx", metadata=METADATA)
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    (tmp_path / "outside.onnx").write_bytes(model.SerializeToString())
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("evil.example", 1))
    (tmp_path / "domain.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "short.onnx").write_bytes(path.read_bytes()[:-50])
    for name, words in (
        ("outside", "weights of it lie in another file"),
        ("domain", "operations of 'evil.example'"),
        ("short", "damaged|refuses|inputs"),
    ):
        with pytest.raises(ModelError, match=words):
            import_model(tmp_path / f"{name}.onnx", tmp_path / "model", RGB)


def test_a_changed_file_is_seen(tmp_path):
    path = deepness_file(tmp_path / "n.onnx", metadata=METADATA)
    model = import_model(path, tmp_path / "model", RGB)
    model.check()
    (model.folder / "network.onnx").write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"network\.onnx is not the file that model\.json describes"):
        load_model(model.folder)
