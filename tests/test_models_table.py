"""Every architecture keeps the same promises: shapes, gradients, stride, locality, tiling."""

import pytest
import torch
from torch import nn

from geodl.errors import ModelError
from geodl.models import MODELS, ModelSpec, build_network, tiling_of
from geodl.models.fold import fold_batch_norms

# Small variants, so that the whole table runs in seconds.
SMALL = {
    "unet_compact": {"widths": [8, 8, 16, 16], "blocks": 1},
    "segnet": {"widths": [8, 8, 16], "convolutions": [2, 2, 2]},
    "fcn": {"filters": 8},
    "unet": {"encoder": "resnet18", "decoder": [32, 16, 16, 8, 8]},
    "unetplusplus": {"encoder": "mobilenet_v2", "decoder": [32, 16, 16, 8, 8]},
    "fpn": {"encoder": "mobilenet_v2"},
    "deeplabv3plus": {"encoder": "mobilenet_v2"},
    "segformer": {"encoder": "mit_b0"},
    "upernet": {"encoder": "resnet18"},
    "siamese_unet": {"widths": [8, 8, 16, 16], "blocks": 1},
    "fc_siam_conc": {"encoder": "resnet18", "depth": 3},
    "fc_siam_diff": {"encoder": "resnet18", "depth": 3},
    "btc": {},
    "changevit": {},
    "ltae": {"steps": 2, "width": 8, "attention": 16, "features": 16, "context": 1},
    "smp": {"network": "Linknet", "arguments": {"encoder_name": "resnet18"}},
    "torchvision": {"network": "lraspp_mobilenet_v3_large"},
}
TRAINABLE = [name for name, row in MODELS.items() if row.trainable]
LARGE = {"btc"}  # tens of millions of parameters in its smallest form
VARIANTS = [
    pytest.param(name, SMALL[name], marks=pytest.mark.slow if name in LARGE else ()) for name in TRAINABLE
] + [
    ("unet", {"encoder": "resnet18", "depth": 3}),
    ("unet", {"encoder": "tu-hrnet_w18_small"}),
    ("siamese_unet", SMALL["siamese_unet"] | {"fusion": "concatenation", "date_blocks": 0}),
    ("deeplabv3plus", {"encoder": "resnet18", "output_stride": 8}),
    ("smp", {"network": "Unet", "arguments": {"encoder_name": "resnet18", "decoder_use_norm": "batchnorm"}}),
]


def make_spec(architecture, parameters=None, *, bands=4, classes=3):
    tiling = tiling_of(architecture, parameters)
    return ModelSpec(
        name="a-model",
        task="landcover",
        architecture=architecture,
        parameters=parameters or {},
        bands=[{"name": f"band_{i}", "mean": 0.0, "std": 1.0} for i in range(bands)],
        units="reflectance",
        classes=[{"value": i + 1, "name": f"class {i}", "color": "#123456"} for i in range(classes)],
        tile=tiling.tile,
        halo=tiling.halo,
        stride=tiling.stride,
        stitch=tiling.stitch,
    )


def make_network(architecture, parameters=None, **counts):
    torch.manual_seed(0)
    network = build_network(make_spec(architecture, parameters, **counts)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Statistics as after training: the identity would hide a mistake in them, and a weight
            # of zero switches the residual branches of timm off.
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return network


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_row_has_a_small_variant():
    assert set(SMALL) == set(TRAINABLE)


@pytest.mark.parametrize("name", MODELS)
def test_defaults_give_a_valid_spec(name):
    spec = make_spec(name)
    assert spec.core > 0
    assert spec.stitch == ("crop" if tiling_of(name).local else "blend")
    assert MODELS[name].name == name
    assert MODELS[name].source


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_shape_stride_and_memory_format(name, parameters):
    network, stride = make_network(name, parameters), tiling_of(name, parameters).stride
    for height, width in ((64, 64), (96, 64 + (stride if stride > 1 else 7))):
        pixels = torch.randn(1, 4, height, width)
        with torch.inference_mode():
            scores = network(pixels)
            assert scores.shape == (1, 3, height, width)
            assert scores.dtype == torch.float32
            last = network.to(memory_format=torch.channels_last)(
                pixels.contiguous(memory_format=torch.channels_last)
            )
        torch.testing.assert_close(last, scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_gradients_reach_every_parameter(name, parameters):
    network = make_network(name, parameters)
    scores = network(torch.randn(2, 4, 64, 64))
    nn.functional.cross_entropy(scores, torch.randint(0, 3, (2, 64, 64))).backward()
    without = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


# With sides so large that the border of the input, which does not shift, is out of sight of the middle.
SHIFTED = [
    ("unet_compact", SMALL["unet_compact"], 256),
    ("segnet", SMALL["segnet"], 256),
    ("fcn", SMALL["fcn"], 128),
    ("unet", SMALL["unet"], 640),
    ("unet", {"encoder": "resnet18", "depth": 3}, 256),
    pytest.param("unet", {"encoder": "tu-hrnet_w18_small"}, 768, marks=pytest.mark.slow),
    ("unetplusplus", {"encoder": "resnet18", "depth": 3}, 256),
    ("siamese_unet", SMALL["siamese_unet"], 256),
    ("fc_siam_conc", SMALL["fc_siam_conc"], 256),
    ("fc_siam_diff", SMALL["fc_siam_diff"], 256),
    ("ltae", SMALL["ltae"], 64),
]


def test_every_local_row_is_shifted():
    shifted = {row[0] for row in SHIFTED if isinstance(row[0], str)}
    assert shifted == {name for name in TRAINABLE if tiling_of(name, SMALL[name]).local}


@pytest.mark.parametrize(("name", "parameters", "side"), SHIFTED)
def test_output_shifts_with_the_stride_and_with_no_less(name, parameters, side):
    network, stride = make_network(name, parameters), tiling_of(name, parameters).stride
    pixels = torch.randn(1, 4, side + stride, side + stride)

    def middle_seen_from(origin):
        first = side // 2 - origin
        with torch.inference_mode():
            scores = network(pixels[..., origin : origin + side, origin : origin + side])
        return scores[..., first : first + 16, first : first + 16]

    reference = middle_seen_from(0)
    scale = reference.std()
    assert (middle_seen_from(stride) - reference).abs().max() / scale < 1e-4
    if stride > 1:
        assert (middle_seen_from(stride // 2) - reference).abs().max() / scale > 1e-2


def test_bfloat16_autocast_keeps_the_classes():
    network = make_network("unet_compact").to(memory_format=torch.channels_last)
    pixels = torch.randn(1, 4, 128, 128).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        exact = network(pixels).argmax(1)
        with torch.autocast("cpu", torch.bfloat16):
            fast = network(pixels).argmax(1)
    assert (exact == fast).float().mean() > 0.97


def test_unet_compact_is_small():
    network = make_network("unet_compact", bands=6, classes=6)
    assert sum(parameter.numel() for parameter in network.parameters()) < 1.25e6


def test_shallow_unet_drops_the_stages_it_does_not_use():
    keys = make_network("unet", {"depth": 3}).state_dict()
    assert not any(key.startswith(("encoder.layer3", "encoder.layer4")) for key in keys)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("unetz", {}, "unetz.*use one of unet_compact, unet"),
        ("unet", {"encoder": "resnet19"}, "resnet19.*resnet18.*tu-hrnet_w18"),
        ("unet", {"encoder": "tu-no_such"}, "tu-no_such"),
        ("unet", {"encoder": "hf_hub:someone/model"}, "parameters.encoder"),
        ("unet", {"depth": 9}, "parameters.depth"),
        ("unet", {"decoder": [16, 16]}, "decoder names 2 widths"),
        ("unet", {"weights": "imagenet"}, "parameters.weights.*it takes encoder, depth"),
        ("unet_compact", {"widths": [16, 10**9]}, "parameters.widths.1"),
        ("unet_compact", {"widths": ["__import__('os').system('true')", 8]}, "parameters.widths.0"),
        ("segnet", {"widths": [8]}, "convolutions 5"),
        ("unetplusplus", {"encoder": "mit_b0"}, "cannot be built.*another encoder"),
        ("unet", {"encoder": "tu-vit_tiny_patch16_224"}, "cannot be built"),
        ("changevit", {"backbone": "vit_tiny_patch16_dinov3"}, "parameters.backbone"),
        ("siamese_unet", {"fusion": "sum"}, "parameters.fusion"),
        ("onnx", {}, "comes whole, in a file.*use one of unet_compact"),
        ("smp", {"network": "System"}, "parameters.network"),
        (
            "smp",
            {"network": "Unet", "arguments": {"checkpoint_path": "x.pt"}},
            "'checkpoint_path' is not taken",
        ),
        ("smp", {"network": "Unet", "arguments": {"encoder_name": "hf_hub:a/b"}}, "parameters.arguments"),
        ("smp", {"network": "Unet", "arguments": {"decoder_channels": [10**9]}}, "parameters.arguments"),
        (
            "smp",
            {"network": "Unet", "arguments": {"encoder_name": "resnet18"}, "one_score": True},
            "one score tells two classes apart, the model has 3",
        ),
    ],
)
def test_wrong_architecture_or_parameters_are_named(name, parameters, words):
    spec = make_spec("unet").model_copy(update={"architecture": name, "parameters": parameters})
    with pytest.raises(ModelError, match=words):
        build_network(spec)


@pytest.mark.parametrize(("architecture", "parameters"), VARIANTS[: len(TRAINABLE)], ids=TRAINABLE)
def test_folding_batch_norms_changes_last_bits_only(architecture, parameters):
    network = make_network(architecture, parameters).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
    image = torch.rand(1, 4, 128, 128)
    with torch.inference_mode():
        expected = network(image).softmax(1)
        folded = fold_batch_norms(network)
        torch.testing.assert_close(folded(image).softmax(1), expected, atol=1e-5, rtol=0)
    if architecture == "unet_compact":
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
