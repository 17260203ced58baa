"""Layers that read a window of rows, as torch writes them, become operations."""

from functools import partial
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from geodl.stream.call import Built, Call, NotLocalError
from geodl.stream.convolution import Convolution
from geodl.stream.operations import BatchNorm, Maxima, Unpool, Upsample, Window
from geodl.stream.reach import Reach


def convolution(call: Call) -> Built:
    """Convolution, plain or transposed."""
    weight = call.constant("weight")
    assert weight is not None
    if call.arguments["transposed"]:
        return _transposed(call, weight)
    stride, dilation, padding = call.pair("stride"), call.pair("dilation"), call.pair("padding")
    reach, across = (
        Reach(down=stride[i], extent=(weight.shape[2 + i] - 1) * dilation[i] + 1, before=padding[i])
        for i in (0, 1)
    )
    operation = Convolution(
        reach=reach, fill=0.0, across=across, weight=weight, bias=call.constant("bias"),
        stride=stride, padding=padding[1], dilation=dilation, groups=call.arguments["groups"],
    )  # fmt: skip
    return operation, [call.source("input")]


def _transposed(call: Call, weight: Tensor) -> Built:
    stride, dilation, padding = call.pair("stride"), call.pair("dilation"), call.pair("padding")
    reach, across = (
        _multiplied(stride[i], (weight.shape[2 + i] - 1) * dilation[i] + 1, padding[i]) for i in (0, 1)
    )
    operation = Convolution(
        reach=reach, fill=0.0, lead=-padding[0], across=across, weight=weight, bias=call.constant("bias"),
        stride=stride, padding=padding[1], dilation=dilation, groups=call.arguments["groups"],
        transposed=True, output_padding=call.pair("output_padding")[1],
    )  # fmt: skip
    return operation, [call.source("input")]


def _multiplied(up: int, extent: int, padding: int) -> Reach:
    # With a stride of 1 it is a convolution with the padding that is left.
    return Reach(up=up, extent=extent, before=padding if up > 1 else extent - 1 - padding)


def batch_norm(call: Call) -> Built:
    """Batch norm in evaluation mode."""
    mean, variance = call.constant("running_mean"), call.constant("running_var")
    if mean is None or variance is None:
        raise call.refuse("without running statistics it takes those of the whole image")
    operation = BatchNorm(
        weight=call.constant("weight"), bias=call.constant("bias"), mean=mean, variance=variance,
        epsilon=call.arguments["eps"],
    )  # fmt: skip
    return operation, [call.source("input")]


def max_pool(call: Call) -> list[Built | NotLocalError]:
    """Maximum of each window and, for unpooling, its place in the window."""
    kernel, padding, dilation = call.pair("kernel_size"), call.pair("padding"), call.pair("dilation")
    stride = call.pair("stride") if call.arguments["stride"] else kernel
    reach, across = (
        Reach(down=stride[i], extent=(kernel[i] - 1) * dilation[i] + 1, before=padding[i]) for i in (0, 1)
    )
    operation = Window(
        reach=reach, fill=float("-inf"), across=across,
        function=partial(
            F.max_pool2d, kernel_size=kernel, stride=stride, padding=(0, padding[1]), dilation=dilation,
            ceil_mode=call.arguments["ceil_mode"],
        ),
    )  # fmt: skip
    return [(operation, [call.source("self")]), _places(call, operation)]


def _places(call: Call, pooled: Window) -> Built | NotLocalError:
    kernel, source = call.pair("kernel_size"), call.source("self")
    plain = call.arguments["stride"] in ([], list(kernel)) and call.pair("padding") == (0, 0)
    divides = all(size % kernel[0] == 0 for size in source.shape[2:])
    if not (plain and divides and kernel[0] == kernel[1] <= 16 and call.pair("dilation") == (1, 1)):
        return call.refuse("indices of maxima are kept for squares that do not overlap only")
    return Maxima(reach=pooled.reach, across=pooled.across, side=kernel[0]), [source]


def unpool(call: Call) -> Built:
    """Undo a max pooling: values go where the maxima were, zeros elsewhere."""
    values, places = call.source("self"), call.source("indices")
    side = call.shape[2] // values.shape[2]
    if call.shape[2:] != tuple(side * size for size in values.shape[2:]) or values.shape != places.shape:
        raise call.refuse("it must undo the pooling whose indices it takes")
    reach = Reach(up=side, extent=side)
    return Unpool(reach=reach, lead=0, across=reach, side=side), [values, places]


def average_pool(call: Call) -> Built:
    """Mean of each window."""
    source = call.source("self")
    kernel, padding = call.pair("kernel_size"), call.pair("padding")
    stride = call.pair("stride") if call.arguments["stride"] else kernel
    whole = all(
        (size + 2 * pad - k) % step == 0
        for size, pad, k, step in zip(source.shape[2:], padding, kernel, stride, strict=True)
    )
    if (padding != (0, 0) and not call.arguments["count_include_pad"]) or (
        call.arguments["ceil_mode"] and not whole
    ):
        raise call.refuse("at the border it divides by the number of pixels inside")
    function = partial(
        F.avg_pool2d, kernel_size=kernel, stride=stride, padding=(0, padding[1]),
        divisor_override=call.arguments["divisor_override"],
    )  # fmt: skip
    reach, across = (Reach(down=stride[i], extent=kernel[i], before=padding[i]) for i in (0, 1))
    return Window(reach=reach, fill=0.0, across=across, function=function), [source]


def upsample(call: Call, mode: Literal["nearest", "bilinear"]) -> Built:
    """Nearest or bilinear upsampling; factors are told by the shapes."""
    source = call.source("self")
    if call.arguments.get("align_corners"):
        raise call.refuse("with align_corners=True every row depends on the height of the image")
    before, after = source.shape[2:], call.shape[2:]
    factors = (after[0] // before[0], after[1] // before[1])
    if 0 in factors or after != (factors[0] * before[0], factors[1] * before[1]):
        raise call.refuse(f"from {before} to {after} is no upsampling by whole numbers")
    (reach, lead), (across, _) = (_enlarged(up, mode) for up in factors)
    operation = Upsample(reach=reach, fill="edge", lead=lead, across=across, mode=mode, factors=factors)
    return operation, [source]


def _enlarged(up: int, mode: str) -> tuple[Reach, int]:
    """Say what enlarging `up` times reads, and which row (or column) comes out first."""
    if mode == "nearest" or up == 1:
        return Reach(up=up, extent=up), 0
    if up & (up - 1) == 0:
        return Reach(up=up, extent=2 * up, before=up // 2), 0
    return Reach(up=up, extent=3 * up, before=up), up


def pixel_shuffle(call: Call) -> Built:
    """Channels become rows and columns."""
    factor = call.arguments["upscale_factor"]
    function = partial(F.pixel_shuffle, upscale_factor=factor)
    reach = Reach(up=factor, extent=factor)
    operation = Window(reach=reach, lead=0, across=reach, function=function)
    return operation, [call.source("self")]


def pixel_unshuffle(call: Call) -> Built:
    """Rows and columns become channels."""
    factor = call.arguments["downscale_factor"]
    function = partial(F.pixel_unshuffle, downscale_factor=factor)
    reach = Reach(down=factor, extent=factor)
    return Window(reach=reach, across=reach, function=function), [call.source("self")]


def constant_pad(call: Call) -> Built:
    """Rows and columns of one number around the image."""
    if len(call.arguments["pad"]) > 4:
        raise call.refuse("it pads more than rows and columns")
    left, right, above, _ = (*call.arguments["pad"], 0, 0)[:4]
    value = float(call.arguments["value"])
    function = partial(F.pad, pad=(left, right, 0, 0), value=value)
    return Window(reach=Reach(before=above), fill=value, across=Reach(before=left), function=function), [
        call.source("self")
    ]


def replication_pad(call: Call) -> Built:
    """Rows and columns around the image that repeat the pixels at its border."""
    left, right, above, _ = call.arguments["padding"]
    # Every row must wait for the first one of the image, and find the last one in the buffer.
    reach = Reach(extent=above + 2, before=above + 1)
    function = partial(_pad_sides, left, right)
    return Window(reach=reach, fill="edge", across=Reach(before=left), function=function), [
        call.source("self")
    ]


def _pad_sides(left: int, right: int, strip: Tensor) -> Tensor:
    return F.pad(strip[:, :, 1:], (left, right, 0, 0), mode="replicate")
