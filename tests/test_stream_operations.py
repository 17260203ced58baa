"""Random networks of every operation that streams: rows from a stream are those of the whole canvas."""

from itertools import pairwise
from math import lcm

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from geodl.stream import Plan, Stream, trace

RELATIVE = 1e-5


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class PoolUnpool(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        x, places = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(self.inner(x), places, 2)


class TwoDates(nn.Module):
    """A layer of 3 x 3 on each half of six channels, as a batch, and their difference."""

    def __init__(self, channels, apart, together):
        super().__init__()
        self.before = nn.Conv2d(channels, 6, 1)
        self.both = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.apart, self.together = apart, together

    def forward(self, x):
        first, second = self.together(self.both(self.apart(self.before(x))))
        return (first - second).abs()


def as_series(x):
    """Halves of the channels in another order, by views of five dimensions."""
    dates = x[:, : 2 * (x.shape[1] // 2)].unflatten(1, (2, -1))  # (N, 2, C, H, W)
    first, second = torch.sigmoid(0.5 * dates - dates.abs()).unbind(1)
    newest = dates[:, -1:].squeeze(1)
    series = torch.stack([second, newest, first], dim=1)[:, 1:]
    steps = series.split(1, dim=1)
    return torch.cat([*steps, series.maximum(dates), second.unsqueeze(1)], dim=1).flatten(1, 2)


# Each layer keeps rows = scale * height, so that branches meet: (layer, channels after, up, down).
SAME = {
    "conv 3": lambda c: (nn.Conv2d(c, 6, 3, padding=1), 6, 1, 1),
    "conv 5, dilated": lambda c: (nn.Conv2d(c, 4, 5, padding=4, dilation=2, bias=False), 4, 1, 1),
    "conv 1": lambda c: (nn.Conv2d(c, 7, 1), 7, 1, 1),
    "conv (1, 3) same": lambda c: (nn.Conv2d(c, 4, (1, 3), padding="same"), 4, 1, 1),
    "depthwise": lambda c: (nn.Conv2d(c, 2 * c, 3, padding=1, groups=c), 2 * c, 1, 1),
    "pad, conv 4": lambda c: (
        nn.Sequential(nn.ConstantPad2d((1, 2, 1, 2), 0.3), nn.Conv2d(c, 5, 4)), 5, 1, 1),
    "pad by edge": lambda c: (
        nn.Sequential(nn.ReplicationPad2d((2, 1, 1, 1)), nn.Conv2d(c, 5, (3, 4))), 5, 1, 1),
    "conv, norm, relu": lambda c: (
        nn.Sequential(nn.Conv2d(c, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)), 6, 1, 1),
    "norm": lambda c: (nn.BatchNorm2d(c), c, 1, 1),
    "relu": lambda c: (nn.ReLU(), c, 1, 1),
    "leaky relu": lambda c: (nn.LeakyReLU(0.1, inplace=True), c, 1, 1),
    "relu6": lambda c: (nn.ReLU6(), c, 1, 1),
    "silu": lambda c: (nn.SiLU(), c, 1, 1),
    "gelu": lambda c: (nn.GELU(), c, 1, 1),
    "sigmoid gate": lambda c: (Apply(lambda x: x * torch.sigmoid(x) + 0.5), c, 1, 1),
    "prelu": lambda c: (nn.PReLU(c), c, 1, 1),
    "hardswish": lambda c: (nn.Hardswish(), c, 1, 1),
    "softmax": lambda c: (nn.Softmax(dim=1), c, 1, 1),
    "max 3": lambda c: (nn.MaxPool2d(3, stride=1, padding=1), c, 1, 1),
    "mean 3": lambda c: (nn.AvgPool2d(3, stride=1, padding=1), c, 1, 1),
    "transposed 3": lambda c: (nn.ConvTranspose2d(c, 5, 3, padding=1), 5, 1, 1),
    "pool and unpool": lambda c: (PoolUnpool(c), c, 1, 2),
    "halves swapped": lambda c: (
        Apply(lambda x: torch.cat([half.tanh() for half in x.chunk(2, 1)][::-1], 1)), c, 1, 1),
    "dates as batch": lambda c: (
        TwoDates(c, lambda x: torch.cat(x.chunk(2, 1), 0), lambda x: x.chunk(2, 0)), 4, 1, 1),
    "dates as batch, by views": lambda c: (
        TwoDates(c, lambda x: x.view(2, 3, *x.shape[2:]), lambda x: x[None].unbind(1)), 4, 1, 1),
    "series": lambda c: (Apply(as_series), 5 * (c // 2), 1, 1),
    "dates": lambda c: (Apply(lambda x: torch.cat([x[:, 1:] - x[:, :-1], x[:, :1].abs()], 1)), c, 1, 1),
}  # fmt: skip
DOWN = {
    "conv 3 / 2": lambda c: (nn.Conv2d(c, 6, 3, stride=2, padding=1), 6, 1, 2),
    "conv 2 / 2": lambda c: (nn.Conv2d(c, 5, 2, stride=2), 5, 1, 2),
    "conv 1 / 2": lambda c: (nn.Conv2d(c, 5, 1, stride=2), 5, 1, 2),
    "conv 7 / 2": lambda c: (nn.Conv2d(c, 5, 7, stride=2, padding=3), 5, 1, 2),
    "max 2": lambda c: (nn.MaxPool2d(2), c, 1, 2),
    "max 3 / 2": lambda c: (nn.MaxPool2d(3, stride=2, padding=1), c, 1, 2),
    "mean 2": lambda c: (nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False), c, 1, 2),
    "conv 3 / 3": lambda c: (nn.Conv2d(c, 6, 3, stride=3), 6, 1, 3),
    "unshuffle": lambda c: (nn.PixelUnshuffle(2), 4 * c, 1, 2),
}
UP = {
    "nearest 2": lambda c: (nn.Upsample(scale_factor=2), c, 2, 1),
    "nearest 3": lambda c: (nn.Upsample(scale_factor=3), c, 3, 1),
    "bilinear 2": lambda c: (nn.Upsample(scale_factor=2, mode="bilinear"), c, 2, 1),
    "bilinear 4": lambda c: (nn.Upsample(scale_factor=4, mode="bilinear"), c, 4, 1),
    "bilinear 3": lambda c: (nn.Upsample(scale_factor=3, mode="bilinear"), c, 3, 1),
    "transposed 2 / 2": lambda c: (nn.ConvTranspose2d(c, 5, 2, stride=2), 5, 2, 1),
    "transposed 4 / 2": lambda c: (nn.ConvTranspose2d(c, 5, 4, stride=2, padding=1), 5, 2, 1),
    "transposed 3 / 2": lambda c: (nn.ConvTranspose2d(c, 5, 3, 2, padding=1, output_padding=1), 5, 2, 1),
    "shuffle": lambda c: (nn.Sequential(nn.Conv2d(c, 12, 1), nn.PixelShuffle(2)), 3, 2, 1),
}
LAYERS = {**SAME, **DOWN, **UP}


class Network(nn.Module):
    """Layers in a row; where an earlier map has the same size it may be joined."""

    def __init__(self, names, joins, bands=3):
        super().__init__()
        self.layers = nn.ModuleList()
        self.fits = nn.ModuleDict()
        self.joins = {}
        maps = [(bands, 1, 1)]  # channels, up, down
        self.stride = 1
        for index, (name, join) in enumerate(zip(names, joins, strict=True)):
            channels, up, down = maps[-1]
            layer, channels, more, less = LAYERS[name](channels)
            # The unpooling returns to the size at which the pooling began.
            self.stride = lcm(self.stride, down * less)
            self.layers.append(layer)
            up, down = (up, down) if name == "pool and unpool" else (up * more, down * less)
            earlier = [i for i, (_, u, d) in enumerate(maps) if u * down == up * d]
            if join and earlier:
                source = earlier[join[1] % len(earlier)]
                self.joins[index] = (source, join[0])
                if join[0] == "cat":
                    channels += maps[source][0]
                else:
                    self.fits[str(index)] = nn.Conv2d(maps[source][0], channels, 1)
            maps.append((channels, up, down))
        self.head = nn.Conv2d(maps[-1][0], 2, 3, padding=1)

    def forward(self, x):
        maps = [x]
        for index, layer in enumerate(self.layers):
            x = layer(maps[-1])
            if index in self.joins:
                source, how = self.joins[index]
                other = maps[source]
                if how == "cat":
                    x = torch.cat([x, other], dim=1)
                else:
                    x = {"add": torch.add, "mul": torch.mul}[how](x, self.fits[str(index)](other))
            maps.append(x)
        return self.head(maps[-1])


def randomised(network, seed=0):
    """Random weights and statistics, on a scale at which values neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif name.endswith(("running_mean", "bias")):
                tensor.uniform_(-0.3, 0.3, generator=generator)
            elif tensor.ndim == 1 and tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
    return network.eval()


def pixels(height, width, bands=3, seed=0):
    return torch.randn(1, bands, height, width, generator=torch.Generator().manual_seed(seed))


def streamed(stream, canvas, first=0):
    """First row and rows of the result of a stream that starts at row `first` of a canvas."""
    rows = canvas[:, :, first:].split(stream.plan.strip, dim=2)
    ready = list(stream.run(rows, height=canvas.shape[2], first=first))
    for (row, rows), (following, _) in pairwise(ready):
        assert row + rows.shape[2] == following
    return (ready[0][0], torch.cat([rows for _, rows in ready], dim=2)) if ready else (None, None)


def check_stream(network, graph, strip, canvas, first=0):
    """Rows equal those of the whole canvas, and those of a restarted stream equal them bit by bit."""
    with torch.inference_mode():
        whole = network(canvas.clone())  # some write over their input
    plan = Plan(graph=graph, strip=strip)
    stream = Stream(plan, width=canvas.shape[3])
    row, result = streamed(stream, canvas)
    assert row == 0
    assert result.shape == whole.shape
    assert (result - whole).abs().max() <= RELATIVE * max(1, whole.abs().max())
    row, restarted = streamed(stream, canvas, first)
    if restarted is not None:
        assert row <= (first + plan.margin) * graph.nodes[-1].scale[0]
        assert torch.equal(restarted, result[:, :, row:])
    return row


def check_wanted(network, graph, strip, canvas, wanted, beside):
    """Wanted rows and columns are those of the whole canvas, though not all of it is computed."""
    with torch.inference_mode():
        whole = network(canvas.clone())
    plan = Plan(graph=graph, strip=strip, beside=beside)
    stream = Stream(plan, width=canvas.shape[3])
    strips = canvas.split(strip, dim=2)
    ready = list(stream.run(strips, height=canvas.shape[2], rows=wanted))
    assert ready[0][0] == wanted[0]
    rows = torch.cat([rows for _, rows in ready], dim=2)
    scale = graph.nodes[-1].scale[1]
    trimmed, unwanted = int(plan.trims[-1] * scale), int(beside * scale)
    assert rows.shape == (*whole.shape[:2], wanted[1] - wanted[0], whole.shape[3] - 2 * trimmed)
    inside = slice(unwanted, whole.shape[3] - unwanted)
    found = rows[..., unwanted - trimmed : rows.shape[3] - (unwanted - trimmed)]
    expected = whole[:, :, wanted[0] : wanted[1], inside]
    assert (found - expected).abs().max() <= RELATIVE * max(1, whole.abs().max())


joins = st.one_of(st.none(), st.tuples(st.sampled_from(["cat", "add", "mul"]), st.integers(0, 5)))


@st.composite
def networks(draw):
    length = draw(st.integers(1, 7))
    names = draw(st.lists(st.sampled_from(sorted(LAYERS)), min_size=length, max_size=length))
    # Small maps: at most 4 times up, at most 12 times down.
    scale, kept = 1.0, []
    for name in names:
        if name == "pool and unpool" and any("bilinear" in before for before in kept):
            continue  # at the border rows are equal but for rounding, and rounding chooses the maximum
        change = {"2": 2, "3": 3, "4": 4}.get(name[-1], 2) if name in UP else 1
        change = 1 / 3 if name == "conv 3 / 3" else 0.5 if name in DOWN else change
        if 1 / 12 <= scale * change <= 4:
            scale *= change
            kept.append(name)
    return Network(kept, [draw(joins) for _ in kept])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.data())
def test_random_networks_stream_as_they_run(network, data):
    stride = network.stride
    randomised(network, data.draw(st.integers(0, 9)))
    graph = trace(network, bands=3, stride=stride)
    height = stride * data.draw(st.integers(1, max(2, 48 // stride)))
    width = stride * data.draw(st.integers(max(1, 12 // stride), max(2, 30 // stride)))
    strip = stride * data.draw(st.integers(1, max(2, 24 // stride)))
    first = stride * data.draw(st.integers(0, height // stride - 1))
    canvas = pixels(height, width)
    check_stream(network, graph, strip, canvas, first)
    rows = graph.rows(graph.output, height)
    start = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(start + 1, rows))
    check_wanted(network, graph, strip, canvas, (start, stop), data.draw(st.integers(0, (width - 1) // 2)))


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_each_operation_streams_and_restarts(name):
    network = randomised(Network([name, "conv 3", name], [None, ("cat", 0), None]))
    stride = network.stride * (3 if name == "nearest 3" else 1)
    graph = trace(network, bands=3, stride=stride)
    canvas = pixels(stride * (60 // stride), stride * (36 // stride))
    for strip, first in ((stride, 11), (stride * (8 // stride + 1), 20)):
        row = check_stream(network, graph, strip, canvas, first // stride * stride)
        assert row is not None, "the restart gave no row to compare"


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Conv2d(4, 2, 3)],  # valid: fewer rows come out than go in
        [nn.Conv2d(3, 4, 4, stride=2, padding=3), nn.Conv2d(4, 2, 3, padding=2)],  # more rows than that
        [nn.Conv2d(3, 4, (3, 1), stride=(2, 1), padding=(1, 0)), nn.Conv2d(4, 2, 1)],  # rows only
        [nn.ConvTranspose2d(3, 4, 5, stride=2, dilation=2), nn.Conv2d(4, 2, 3)],
        [nn.ZeroPad2d((0, 0, -1, -1)), nn.Conv2d(3, 2, 3, padding=1)],  # crops
        [nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.Conv2d(4, 2, 1)],
    ],
)  # fmt: skip
def test_rows_need_not_be_a_multiple_of_those_of_the_input(layers):
    network = randomised(nn.Sequential(*layers))
    graph = trace(network, bands=3, stride=2)
    for strip in (2, 8, 64):
        check_stream(network, graph, strip, pixels(40, 20), first=16)


def test_a_map_read_with_two_kinds_of_border():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            x = -self.first(x).abs()  # the maximum of negative values tells zero from minus infinity
            large = F.interpolate(x, scale_factor=2, mode="bilinear")
            return self.second(x) + F.max_pool2d(x, 3, 1, 1) + F.avg_pool2d(large, 2)

    network = randomised(Both())
    check_stream(network, trace(network, bands=3, stride=1), 5, pixels(30, 12), first=9)


def test_dates_as_a_batch():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            self.decoder = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(6, 2, 3, padding=1))

        def forward(self, x):
            before, after = self.encoder(torch.cat([x[:, :3], x[:, 3:]], dim=0)).split(1)
            return self.decoder((after - before).abs())

    network = randomised(Siamese())
    check_stream(network, trace(network, bands=6, stride=2), 8, pixels(40, 16, bands=6), first=10)
