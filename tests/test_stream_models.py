"""The local architectures of `MODELS` as streams; the others are refused, and the refusal says why."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from geodl.models.table import MODELS
from geodl.stream import NotLocalError, Plan, Stream, trace
from tests.test_stream_operations import pixels, randomised, streamed


def build(architecture, parameters, bands=4):
    """A network with random weights and statistics, and its stride."""
    row = MODELS[architecture]
    read = row.read_parameters(parameters)
    return randomised(row.build(bands, 6, read)), read.tiling().stride


LOCAL = [
    ("fcn", {"filters": 8}, 4),
    ("unet_compact", {"widths": (4, 8, 8), "blocks": 1}, 12),
    ("segnet", {"widths": (4, 8, 8), "convolutions": (1, 2, 2)}, 8),
    ("siamese_unet", {"widths": (4, 8, 8), "blocks": 1}, 8),
    ("siamese_unet", {"widths": (4, 8, 8), "blocks": 0, "fusion": "concatenation"}, 12),
    ("fc_siam_conc", {"encoder": "resnet18", "depth": 3, "decoder": (16, 8, 8)}, 16),
    ("fc_siam_diff", {"encoder": "mobilenet_v2", "depth": 3, "decoder": (16, 8, 8)}, 24),
    ("unet", {"encoder": "resnet18", "depth": 3, "decoder": (16, 8, 8)}, 16),
    ("unet", {"encoder": "mobilenet_v2", "depth": 4, "decoder": (16, 8, 8, 8)}, 48),
    ("unet", {"encoder": "densenet121", "depth": 3, "decoder": (16, 8, 8)}, 24),
    ("unetplusplus", {"encoder": "resnet18", "depth": 3, "decoder": (16, 8, 8)}, 16),
    *(
        pytest.param(architecture, parameters, 64, marks=pytest.mark.slow)
        for architecture in ("unet", "unetplusplus")
        for parameters in (
            {"encoder": "resnet18"},
            {"encoder": "resnet34"},
            {"encoder": "resnet50"},
            {"encoder": "mobilenet_v2"},
            {"encoder": "densenet121"},
            {"encoder": "vgg11", "depth": 4},
            {"encoder": "tu-resnet18d", "depth": 4},
        )
    ),
    pytest.param("unet", {"encoder": "tu-hrnet_w18"}, 64, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("architecture", "parameters", "strip"), LOCAL)
def test_local_architectures_stream(architecture, parameters, strip):
    network, stride = build(architecture, parameters)
    graph = trace(network, bands=4, stride=stride)
    margin = Plan(graph=graph, strip=strip).margin
    canvas = pixels(-(-(margin + 3 * strip) // stride) * stride, 64, bands=4)
    stream = Stream(Plan(graph=graph, strip=strip), width=64)
    _, result = streamed(stream, canvas)
    row, restarted = streamed(stream, canvas, first=stride)
    assert row > 0
    assert torch.equal(restarted, result[:, :, row:])
    with torch.inference_mode():
        nhwc = network.to(memory_format=torch.channels_last)
        whole = nhwc(canvas.contiguous(memory_format=torch.channels_last))
        exact = network.double()(canvas.double())
    # Random weights magnify rounding: torch's own distance from float64 is the yardstick. Channels last,
    # oneDNN adds up longer sums than otherwise, at two to three times the distance.
    assert distance(result, exact) <= 1.5 * distance(whole, exact) + 1e-7
    assert distance(result, whole) <= 3 * distance(whole, exact) + 1e-7


def distance(result, exact):
    """Root of the mean square."""
    return (result - exact).square().mean().sqrt()


@pytest.mark.slow
def test_segnet_streams_in_float64():
    # Of two values that are equal but for rounding either may be the maximum: in float32 that happens.
    network, stride = build("segnet", {})
    network.double()
    graph = trace(network, bands=4, stride=stride)
    canvas = pixels(384, 64, bands=4).double()
    _, result = streamed(Stream(Plan(graph=graph, strip=64), width=64), canvas)
    with torch.inference_mode():
        assert (result - network(canvas)).abs().max() < 1e-10


def test_the_delay_is_that_of_the_deepest_path():
    network, stride = build("unet", {"encoder": "resnet18"})
    plan = Plan(graph=trace(network, bands=4, stride=stride), strip=64)
    assert (plan.delay, plan.margin) == (255, 288)


def test_margin_covers_what_the_probe_measures():
    from geodl.models.parameters import UnetCompactParameters

    network, stride = build("unet_compact", {})
    plan = Plan(graph=trace(network, bands=4, stride=stride), strip=64)
    overhang = UnetCompactParameters().overhang
    assert overhang <= plan.margin < overhang + stride
    assert plan.delay == overhang


def test_bfloat16_agrees_with_float32_and_restarts_bit_by_bit():
    network, stride = build("unet_compact", {"widths": (8, 16, 16), "blocks": 1})
    graph = trace(network, bands=4, stride=stride, dtype=torch.bfloat16)
    stream = Stream(Plan(graph=graph, strip=16), width=64)
    canvas = pixels(160, 64, bands=4)
    _, result = streamed(stream, canvas)
    with torch.inference_mode():
        whole = network(canvas)
        bare = network.bfloat16()(canvas.bfloat16()).float()
    assert result.dtype == torch.float32  # of the last convolution
    # The yardstick: the same network in bfloat16, run by torch.
    assert (result - whole).abs().mean() <= 1.1 * (bare - whole).abs().mean()
    row, restarted = streamed(stream, canvas, first=52)
    assert torch.equal(restarted, result[:, :, row:])


REFUSED = [
    ("fpn", {}, "group_norm"),
    ("deeplabv3plus", {}, "adaptive_avg_pool2d"),
    ("upernet", {}, "adaptive_avg_pool2d|permute"),
    ("segformer", {}, "view"),
    ("unet", {"encoder": "efficientnet-b0"}, "adaptive_avg_pool2d"),
    ("fc_siam_conc", {"encoder": "efficientnet-b0", "depth": 3}, "adaptive_avg_pool2d"),
    ("changevit", {}, "permute"),
]


@pytest.mark.parametrize(("architecture", "parameters", "operation"), REFUSED)
def test_architectures_that_look_everywhere_are_refused_by_name(architecture, parameters, operation):
    network, stride = build(architecture, parameters)
    with pytest.raises(NotLocalError, match=f"operation ({operation}): .*tiles with a halo"):
        trace(network, bands=4, stride=stride)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 3, padding=1)
        self.function = function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True), "align_corners"),
        (lambda x: F.interpolate(x, scale_factor=1.5), "interpolate: .*whole numbers"),
        (lambda x: F.interpolate(F.max_pool2d(x, 4), size=(64, 96)), "an input of"),
        (lambda x: x.softmax(dim=2), "softmax: it sums over rows"),
        (lambda x: x - x.mean(dim=(2, 3), keepdim=True), "operation mean"),
        (lambda x: F.instance_norm(x), "instance_norm"),
        (lambda x: x + torch.linspace(0, 1, x.shape[2])[:, None], "add: it spreads"),
        (lambda x: x.transpose(2, 3), "transpose"),
        (lambda x: x[:, :, ::2], "getitem: it cuts rows"),
        (lambda x: torch.cat([x, x], dim=2), "cat: it joins rows"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "pad: it is not among"),
        (lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), "avg_pool2d: at the border"),
        (lambda x: F.max_unpool2d(*F.max_pool2d(x, 3, 2, return_indices=True), 3, 2), "do not overlap"),
        (lambda x: F.conv2d(x, x.mean((0, 2, 3), keepdim=True)), "operation mean"),
        (lambda x: F.max_pool2d(x, 3), "does not fit a stride of 4"),
        (lambda x: (x, x), "not one map"),
        (lambda x: torch.zeros(1, 4, 8, 8), "does not depend"),
        (lambda x: x[:, :2].add_(1) + x[:, 2:], "another view"),
        (lambda x: x.reshape(3), "torch cannot"),
        (lambda x: x.unflatten(1, (2, 2))[:, :, 0], "its result is no map"),
        (lambda x: x.unflatten(1, (2, 2))[:, :, :1].flatten(1, 2), "channels of each date"),
        (lambda x: x.unflatten(1, (2, 2))[:, ::2].flatten(1, 2), "dates out one by one"),
        (lambda x: x.unflatten(1, (2, 2))[0], "its result is no map"),
        (lambda x: x.unsqueeze(3).squeeze(3), "it mixes rows or columns"),
        (lambda x: (x.unflatten(1, (2, 2)) * torch.rand(2, 1, 1, 1)).flatten(1, 2), "values over dates"),
        (lambda x: (x.unflatten(1, (4, 1)) - x.unsqueeze(1)).flatten(1, 2), "spreads values over dates"),
        (lambda x: torch.stack([x, x], 2).flatten(1, 2), "only dates can be a fifth"),
        (lambda x: torch.cat([x.unflatten(1, (2, 2))] * 2, 2).flatten(1, 2), "channels of each date"),
        (lambda x: x.flatten(2).unflatten(2, x.shape[2:]), "it mixes rows or columns"),
        (lambda x: x.unflatten(1, (2, 2)).mean(1), "operation mean"),
        (lambda x: x if x.sum() > 0 else -x, "operation sum"),
    ],
)
def test_what_does_not_stream_is_refused(function, message):
    with pytest.raises(NotLocalError, match=message):
        trace(Function(function).eval(), bands=4, stride=4)


def test_a_network_in_training_is_refused():
    with pytest.raises(ValueError, match="training mode"):
        trace(nn.Conv2d(3, 2, 1), bands=3, stride=1)
