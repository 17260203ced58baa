"""Model folders: what is saved is what is loaded, and nothing hostile or damaged gets through."""

import json
import os
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save

from geodl.errors import ModelError
from geodl.models import bundle, bundled_models, load_model, save_model
from geodl.models.spec_file import MAX_SPEC_BYTES
from geodl.models.weights import MAX_HEADER_BYTES, read_header
from tests.test_models_table import make_network, make_spec

SMALL = {"widths": [8, 8, 16], "blocks": 1}


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "model", make_spec("unet_compact", SMALL), make_network("unet_compact", SMALL))
    return tmp_path / "model"


def rewrite_weights(folder, content):
    """Put other weights in place, with a model.json that vouches for them."""
    (folder / "weights.safetensors").write_bytes(content)
    rewrite_spec(folder, **{"assets.weights.file:checksum": f"1220{sha256(content).hexdigest()}"})


def rewrite_spec(folder, **changes):
    """Change entries of model.json, given by their path of keys; `...` takes one away."""
    item = json.loads((folder / "model.json").read_text())
    for path, value in changes.items():
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        inside = item
        for key in parents:
            inside = inside[key]
        if value is ...:
            del inside[last]
        else:
            inside[last] = value
    (folder / "model.json").write_text(json.dumps(item))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("unet_compact", SMALL),
        ("segnet", {"widths": [8, 8], "convolutions": [1, 2]}),
        ("fcn", {"filters": 8}),
        ("unet", {"encoder": "resnet18", "depth": 3}),
        ("unet", {"encoder": "tu-hrnet_w18_small"}),
        ("segformer", {}),
    ],
)
def test_a_saved_network_gives_the_same_scores(tmp_path, name, parameters):
    network = make_network(name, parameters)
    saved = save_model(tmp_path / "model", make_spec(name, parameters), network)
    loaded = load_model(tmp_path / "model")
    assert loaded == saved
    assert loaded.spec.weights_sha256
    pixels = torch.randn(2, 4, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded.network()(pixels), network(pixels))


def test_half_stores_float16_and_loads_float32(tmp_path):
    network = make_network("unet_compact", SMALL)
    whole = save_model(tmp_path / "whole", make_spec("unet_compact", SMALL), network)
    half = save_model(tmp_path / "half", make_spec("unet_compact", SMALL), network, half=True)
    sizes = [(model.folder / "weights.safetensors").stat().st_size for model in (whole, half)]
    assert sizes[1] < 0.7 * sizes[0]
    loaded = half.network()
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    for name, parameter in loaded.named_parameters():
        assert torch.equal(parameter, network.get_parameter(name).half().float())
    assert half.hash != whole.hash


def test_hash_follows_content_and_not_place(folder, tmp_path):
    model = load_model(folder)
    copy = save_model(tmp_path / "copy", model.spec, model.network())
    assert copy.hash == model.hash
    renamed = save_model(tmp_path / "renamed", model.spec.model_copy(update={"title": "X"}), model.network())
    assert renamed.hash != model.hash


def test_network_is_in_evaluation_mode(folder):
    assert not load_model(folder).network().training


def test_saving_again_replaces_the_model_and_keeps_other_files(folder):
    (folder / "metrics.csv").write_text("epoch\n")
    torch.manual_seed(7)
    before = load_model(folder)
    network = before.network()
    torch.nn.init.normal_(network.head.weight)
    after = save_model(folder, before.spec, network)
    assert after.hash != before.hash
    kept = {"README.md", "model.json", "weights.safetensors", "metrics.csv"}
    assert {path.name for path in folder.iterdir()} == kept
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    with pytest.raises(ModelError, match="is not the file that"):
        before.network()


def test_a_failed_save_leaves_the_old_model(folder):
    before = load_model(folder)
    network = before.network()
    torch.nn.init.constant_(network.head.bias, float("nan"))
    with pytest.raises(ModelError, match=r"head\.bias.*is not finite"):
        save_model(folder, before.spec, network)
    with pytest.raises(ModelError, match=rf"model {folder}: the weights do not fit the architecture"):
        save_model(folder, make_spec("fcn"), before.network())
    assert load_model(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_half_refuses_what_float16_does_not_hold(folder):
    model = load_model(folder)
    network = model.network()
    torch.nn.init.constant_(network.head.bias, 1e6)
    with pytest.raises(ModelError, match=r"head\.bias.*overflows float16: save with half=False"):
        save_model(folder, model.spec, network, half=True)


@pytest.mark.parametrize(
    "content", [None, "{}", '{"properties": {}}', '{"properties": []}', "[1]", "no json"]
)
def test_a_foreign_folder_is_not_replaced(tmp_path, content):
    (tmp_path / "thesis.txt").write_text("years of work")
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(ModelError, match="is no geodl model"):
        save_model(tmp_path, make_spec("unet_compact", SMALL), make_network("unet_compact", SMALL))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


OWN, INPUT, OUTPUT = "properties.geodl:", "properties.mlm:input.0.", "properties.mlm:output.0."
CLASSES = f"{OUTPUT}classification:classes."


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (f"{OWN}format_version", 3, "format version 3; this geodl reads version 2: upgrade geodl"),
        (f"{OWN}format_version", 1, "format version 1.*import the model again"),
        (f"{OWN}task", "horoscopes", "properties.geodl:task: unknown task"),
        (f"{OWN}task", ..., "properties.geodl:task: Field required"),
        (f"{OWN}units", "feet", "properties.geodl:units: "),
        (f"{OWN}halo", 3, "positive multiples of the stride"),
        (f"{OWN}temperature", 0, "properties.geodl:temperature: Input should be greater than 0"),
        (f"{OWN}stride", 1, "stride 1 is no multiple of 4"),
        (f"{OWN}parameters", {"width": 3}, r"parameters\.width: Extra inputs.*it takes widths, blocks"),
        (f"{OWN}surprise", 1, "properties.geodl:surprise: unknown: mend that entry"),
        ("properties.mlm:architecture", "alexnet", "architecture 'alexnet'.*use one of unet_compact"),
        ("properties.mlm:framework", "TensorFlow", "mlm:framework: it is 'TensorFlow'"),
        ("properties.mlm:name", "other", "id: it is 'a-model'; .* makes it 'other'"),
        ("properties.mlm:name", ..., "properties.mlm:name: it is missing: mend that entry"),
        ("properties.title", "\x1b]0;x\x07", "properties.title: holds control characters"),
        ("type", "Feature collection", "type: it is"),
        ("stac_extensions", [], "stac_extensions: it is"),
        ("surprise", 1, "surprise: unknown"),
        ("assets.weights.bands", [], r"assets\.weights\.bands: it is"),
        (f"{INPUT}bands", [], "value_scaling: 4 entries for 0 bands"),
        (f"{INPUT}bands.1", "band 1", r"mlm:input\.0\.bands\.1: String should match"),
        (f"{INPUT}value_scaling.0.stddev", 0, r"mlm:input\.0\.value_scaling\.0\.stddev: .* greater than 0"),
        (f"{INPUT}value_scaling.0.type", "min-max", r"value_scaling\.0\.type: it is 'min-max'"),
        (f"{INPUT}value_scaling.0.mean", ..., r"value_scaling\.0\.mean: it is missing"),
        (f"{INPUT}input.shape.3", "x", r"mlm:input\.0\.input\.shape\.3: "),
        (f"{INPUT}input.shape.2", 64, r"mlm:input\.0\.input\.shape\.2: it is 64"),
        (f"{CLASSES}0.description", "\x1b[2J", r"classification:classes\.0\.description: holds control"),
        (f"{CLASSES}0.color_hint", "red", r"classification:classes\.0\.color_hint: "),
        (f"{CLASSES}0.name", "x", r"classification:classes\.0\.name: it is 'x'"),
        ("assets.weights.href", "../../etc/passwd", r"assets\.weights\.href: it is"),
        ("assets.weights.file:checksum", "1220", "is not the file that model.json describes"),
        ("assets.weights.file:checksum", "1220../..", r"assets\.weights\.file:checksum: "),
        ("assets.weights.file:checksum", 7, r"assets\.weights\.file:checksum: it is no sha256"),
        ("properties", [], "properties"),
        ("assets", {}, r"assets\.weights: it is missing"),
    ],
)  # fmt: skip
def test_a_wrong_spec_is_named(folder, path, value, words):
    rewrite_spec(folder, **{path: value})
    with pytest.raises(ModelError, match=words) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)


def test_models_of_the_first_form_are_refused(folder):
    (folder / "model.json").write_text('{"format": "geodl-model", "format_version": 1, "name": "old"}')
    with pytest.raises(ModelError, match=r"format version 1.*import the model again"):
        load_model(folder)


def test_what_a_catalogue_adds_is_left_alone(folder):
    before = load_model(folder)
    rewrite_spec(
        folder,
        **{
            "links": [{"rel": "self", "href": "https://example.org/model.json"}],
            "collection": "models",
            "bbox": [5, 45, 10, 48],
            "properties.description": "A model.",
            "properties.datetime": "2026-01-01T00:00:00Z",
            "assets.thumbnail": {"href": "small.png"},
        },
    )
    with pytest.raises(ModelError, match=r"properties\.datetime: it is"):
        load_model(folder)
    rewrite_spec(folder, **{"properties.datetime": None})
    assert load_model(folder) == before


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff\xfe", b"[]", b"9" * 5000, b"null"])
def test_a_spec_that_is_no_object_is_refused(folder, content):
    (folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(folder)


def test_a_huge_spec_is_not_read(folder):
    os.truncate(folder / "model.json", MAX_SPEC_BYTES + 1)
    with pytest.raises(ModelError, match="larger than 4194304 bytes"):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        load_model(folder)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.99])
def test_truncated_weights_are_refused(folder, share):
    path = folder / "weights.safetensors"
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(ModelError, match="is not the file that"):
        load_model(folder)
    rewrite_weights(folder, path.read_bytes())
    with pytest.raises(ModelError, match="damaged weights"):
        load_model(folder)


def test_a_flipped_bit_is_seen(folder):
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not the file"):
        load_model(folder)


def entry(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


HOSTILE = {
    "header claims 2^63": (2**63).to_bytes(8, "little") + b"{}",
    "header of 100 MB": (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b" " * (MAX_HEADER_BYTES + 1),
    "no eight bytes": b"\x02\0\0",
    "no JSON": file_of(b"{'a': 1}"),
    "deep JSON": file_of(b"[" * 100_000),
    "list": file_of([1]),
    "number too long": file_of(b'{"a": ' + b"9" * 5000 + b"}"),
    "overlap": file_of({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
    "gap": file_of({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)),
    "beyond the file": file_of({"a": entry([4], 0, 16)}, bytes(8)),
    "left over": file_of({"a": entry([1], 0, 4)}, bytes(8)),
    "shape bomb": file_of({"a": entry([2**40, 2**40], 0, 8)}, bytes(8)),
    "shape bomb of zeros": file_of({"a": entry([2**47, 0], 0, 0), "b": entry([2], 0, 4)}, bytes(4)),
    "negative": file_of({"a": entry([-2, -1], 0, 8)}, bytes(8)),
    "true as a size": file_of({"a": entry([True], 0, 4)}, bytes(4)),
    "floats": file_of({"a": entry([1.0], 0, 4)}, bytes(4)),
    "shape is text": file_of({"a": entry("1", 0, 4)}, bytes(4)),
    "three offsets": file_of({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}, bytes(4)),
    "unknown dtype": file_of({"a": entry([1], 0, 8, "C64")}, bytes(8)),
    "dtype is a list": file_of({"a": entry([1], 0, 8, ["F32"])}, bytes(8)),
    "extra key": file_of({"a": entry([1], 0, 4) | {"code": "x"}}, bytes(4)),
    "entry is text": file_of({"a": "b"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(folder, name):
    rewrite_weights(folder, HOSTILE[name])
    with pytest.raises(ModelError, match="damaged weights"):
        load_model(folder)


def test_header_reader_agrees_with_safetensors(folder):
    path = folder / "weights.safetensors"
    found = read_header(path.read_bytes(), "file")
    tensors = load_file(path)
    assert {name: item.shape for name, item in found.items()} == {
        k: tuple(v.shape) for k, v in tensors.items()
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("head.bias"), "'head.bias' is missing"),
        (lambda state: state.update(more=torch.zeros(3)), "'more' is not part of it"),
        (
            lambda state: state.update({"head.bias": torch.zeros(9)}),
            r"'head.bias' has shape \(9,\), not \(3,\)",
        ),
        (
            lambda state: state.update({"head.bias": torch.zeros(3, dtype=torch.int64)}),
            "has dtype I64, not F32",
        ),
    ],
)
def test_weights_of_another_network_are_refused_before_it_is_built(folder, change, words):
    state = load_file(folder / "weights.safetensors")
    change(state)
    rewrite_weights(folder, save(state))
    model = load_model(folder)
    for use in (model.check, model.network):
        with pytest.raises(ModelError, match=words):
            use()


def test_a_spec_that_asks_for_a_giant_allocates_nothing(folder):
    # 2.6 GB of weights, were it built.
    giant = {"widths": [1024] * 6, "blocks": 32}
    shape = {f"properties.mlm:{end}": 4096 for end in ("input.0.input.shape.2", "input.0.input.shape.3")}
    shape |= {f"properties.mlm:output.0.result.shape.{axis}": 4096 for axis in (2, 3)}
    own = {"parameters": giant, "stride": 32, "halo": 1024}
    rewrite_spec(folder, **shape, **{f"properties.geodl:{key}": value for key, value in own.items()})
    before = psutil.Process().memory_info().rss
    for use in (load_model(folder).check, load_model(folder).network):
        with pytest.raises(ModelError, match="do not fit the architecture"):
            use()
    assert psutil.Process().memory_info().rss - before < 200e6


def test_loading_leaves_the_random_numbers_alone(folder):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_model(folder).network()
    assert torch.equal(torch.rand(3), expected)


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "weights.pt", "model.pkl", "data.pkl"])
def test_a_pickle_under_any_name_is_not_executed(folder, tmp_path, name):
    canary = tmp_path / "canary"
    content = pickle.dumps(Canary(canary))
    if name == "weights.safetensors":
        rewrite_weights(folder, content)
    else:
        (folder / name).write_bytes(content)
    if name in ("model.json", "weights.safetensors"):
        with pytest.raises(ModelError):
            load_model(folder)
    else:
        load_model(folder).network()
    with pytest.raises(ModelError, match="it is a file, a model is a folder"):
        load_model(folder / name)
    assert not canary.exists()


def test_unknown_names_list_the_bundled_ones(tmp_path):
    with pytest.raises(ModelError, match="no such bundled model: use a model folder or one of "):
        load_model("landcover-mars")
    with pytest.raises(ModelError, match=r"model\.json is missing"):
        load_model(tmp_path)


def test_bundled_models_are_found_by_name(folder, monkeypatch):
    monkeypatch.setattr(bundle, "BUNDLED", folder.parent)
    assert [spec.name for spec in bundled_models()] == ["a-model"]
    assert load_model("model").folder == folder


def test_the_bundled_models_are_sound():
    for spec in bundled_models():
        model = load_model(spec.name)
        model.check()
        assert model.spec == spec
        assert spec.accuracy.overall is not None


def test_reading_models_imports_no_torch(folder):
    program = (
        "import sys; from geodl.models import load_model, bundled_models, MODELS, tiling_of;"
        f"bundled_models(); load_model({str(folder)!r}); [tiling_of(name) for name in MODELS];"
        "sys.exit(bool({'torch', 'timm', 'safetensors', 'rasterio'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
