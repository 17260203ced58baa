"""How torch's own operators become operations of a stream; what is not here does not stream."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from geodl.stream import dates, windows
from geodl.stream.call import Built, Call, NotLocalError, Source
from geodl.stream.operations import Cast, Concatenate, Pointwise, Select, Slot

aten = torch.ops.aten


def _concatenate(call: Call) -> Built:
    sources = call.arguments["tensors"]
    if not all(isinstance(source, Source) for source in sources):
        raise call.refuse("one of the tensors it joins is no map of pixels")
    dimension = call.arguments["dim"] % len(call.shape)
    if dimension > 1:
        many = len(call.shape) == dates.DATES and dimension == 2
        raise call.refuse("it joins channels of each date" if many else "it joins rows or columns")
    return Concatenate(dimension=dimension), sources


def _slice(call: Call) -> Built:
    source = call.map_or_series("self")
    dimension = call.arguments["dim"] % len(source.shape)
    channels = dates.channels_of(call, dimension, source)
    first, last, step = slice(*(call.arguments[name] for name in ("start", "end", "step"))).indices(
        source.shape[dimension]
    )
    if channels > 1 and step != 1:
        raise call.refuse("it leaves dates out one by one")
    return Select(dimension=dimension, span=slice(first * channels, last * channels, step)), [source]


def _split(call: Call) -> list[Built | NotLocalError]:
    source = call.map_or_series("self")
    dimension = call.arguments["dim"] % len(source.shape)
    channels = dates.channels_of(call, dimension, source)
    size = source.shape[dimension]
    if "split_sizes" in call.arguments:
        sizes = list(call.arguments["split_sizes"])
    else:
        step = call.arguments["split_size"]
        sizes = [min(step, size - start) for start in range(0, size, step)]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [
        (Select(dimension=dimension, span=slice(start * channels, (start + length) * channels)), [source])
        for start, length in zip(starts, sizes, strict=True)
    ]


def _cast(call: Call) -> Built | Source:
    target = call.arguments.get("dtype")
    source = call.map_or_series("self")
    return source if target is None else (Cast(target=target), [source])


def _unchanged(call: Call) -> Source:
    return call.map_or_series("self")


def _pointwise(
    call: Call, function: Callable[..., Tensor], into: Callable[..., Tensor] | None, *, exact: bool = True
) -> Built:
    arguments = dict(call.arguments)
    schema: Any = function
    keywords = {a.name: arguments.pop(a.name) for a in schema._schema.arguments if a.kwarg_only}
    exact = exact and keywords.get("alpha", 1) == 1
    if "rounding_mode" in arguments:
        raise call.refuse("it rounds")
    sources = [value for value in arguments.values() if isinstance(value, Source)]
    if len(call.shape) == dates.DATES:
        _check_series(call, arguments.values())
    values, place = [], 0
    for value in arguments.values():
        if isinstance(value, Source):
            _check_extent(call, value.shape)
            value, place = Slot(place), place + 1
        elif isinstance(value, Tensor) and function is not aten._prelu_kernel.default:
            _check_extent(call, tuple(value.shape), constant=True)
        values.append(value)
    if not exact and any(source.shape != call.shape for source in sources):
        raise call.refuse("its inputs have several shapes")
    operation = Pointwise(
        function=function, into=into, arguments=tuple(values), keywords=tuple(keywords.items()), exact=exact
    )
    return operation, sources


def _check_series(call: Call, values: Iterable[Any]) -> None:
    for value in values:
        one = value.numel() == 1 if isinstance(value, Tensor) else getattr(value, "shape", None) == call.shape
        if isinstance(value, Tensor | Source) and not one:
            raise call.refuse("it spreads values over dates")


def _check_extent(call: Call, shape: Sequence[int], *, constant: bool = False) -> None:
    if constant and prod(shape[-2:]) == 1:
        return
    if constant or tuple(shape[2:]) != call.shape[2:]:
        raise call.refuse(f"it spreads values of shape {tuple(shape)} over rows or columns")


def _rectify(call: Call) -> Built:
    operation = Pointwise(function=torch.clamp_min, into=torch.clamp_min, arguments=(Slot(0), 0))
    return operation, [call.source("self")]


def _limit(call: Call) -> Built:
    low, high = call.arguments["min_val"], call.arguments["max_val"]
    operation = Pointwise(function=torch.clamp, into=torch.clamp, arguments=(Slot(0), low, high))
    return operation, [call.source("self")]


def _softmax(call: Call) -> Built:
    if call.arguments["dim"] % 4 != 1:
        raise call.refuse("it sums over rows or columns")
    function = partial(torch.softmax, dim=1)
    operation = Pointwise(function=function, into=None, arguments=(Slot(0),), exact=False)
    return operation, [call.source("self")]


Builder = Callable[[Call], Built | Source | list[Built | NotLocalError]]

_EXACT = {
    aten.add.Tensor: aten.add.out,
    aten.sub.Tensor: aten.sub.out,
    aten.mul.Tensor: aten.mul.out,
    aten.div.Tensor: aten.div.out,
    aten.leaky_relu.default: aten.leaky_relu.out,
    aten.hardswish.default: aten.hardswish.out,
    aten.clamp.default: aten.clamp.out,
    aten.maximum.default: aten.maximum.out,
    aten.minimum.default: aten.minimum.out,
    aten.abs.default: aten.abs.out,
    aten.neg.default: aten.neg.out,
    aten._prelu_kernel.default: None,
}
_INEXACT = {
    aten.silu.default: aten.silu.out,
    aten.gelu.default: None,
    aten.sigmoid.default: aten.sigmoid.out,
    aten.hardsigmoid.default: aten.hardsigmoid.out,
    aten.tanh.default: aten.tanh.out,
    aten.elu.default: aten.elu.out,
    aten.softplus.default: aten.softplus.out,
    aten.mish.default: aten.mish.out,
    aten.exp.default: aten.exp.out,
}
BUILDERS: dict[Any, Builder] = {
    aten.convolution.default: windows.convolution,
    aten.native_batch_norm.default: lambda call: [windows.batch_norm(call)],
    aten.cudnn_batch_norm.default: lambda call: [windows.batch_norm(call)],
    aten._native_batch_norm_legit_no_training.default: lambda call: [windows.batch_norm(call)],
    aten.max_pool2d_with_indices.default: windows.max_pool,
    aten.max_unpool2d.default: windows.unpool,
    aten.avg_pool2d.default: windows.average_pool,
    aten.upsample_nearest2d.default: partial(windows.upsample, mode="nearest"),
    aten._upsample_nearest_exact2d.default: partial(windows.upsample, mode="nearest"),
    aten.upsample_bilinear2d.default: partial(windows.upsample, mode="bilinear"),
    aten.pixel_shuffle.default: windows.pixel_shuffle,
    aten.pixel_unshuffle.default: windows.pixel_unshuffle,
    aten.constant_pad_nd.default: windows.constant_pad,
    aten.replication_pad2d.default: windows.replication_pad,
    aten.cat.default: _concatenate,
    aten.slice.Tensor: _slice,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split,
    aten.view.default: dates.view,
    aten._unsafe_view.default: dates.view,
    aten.unsqueeze.default: dates.view,
    aten.squeeze.dim: dates.view,
    aten.stack.default: dates.stack,
    aten.select.int: dates.select,
    aten.unbind.int: dates.unbind,
    aten._to_copy.default: _cast,
    aten.clone.default: _unchanged,
    aten.alias.default: _unchanged,
    aten.detach.default: _unchanged,
    aten.relu.default: _rectify,
    aten.hardtanh.default: _limit,
    aten._softmax.default: _softmax,
    **{target: partial(_pointwise, function=target, into=into) for target, into in _EXACT.items()},
    **{
        target: partial(_pointwise, function=target, into=into, exact=False)
        for target, into in _INEXACT.items()
    },
}
# What the refusal of other operators says.
REASONS = {
    "adaptive_avg_pool2d": "it averages over the whole image",
    "adaptive_max_pool2d": "it looks at the whole image",
    "mean": "it averages over the whole image",
    "group_norm": "its statistics are those of the whole image",
    "instance_norm": "its statistics are those of the whole image",
    "_native_batch_norm_legit": "its statistics are those of the whole image",
    "scaled_dot_product_attention": "attention looks at the whole image",
    "matmul": "it mixes positions, as attention does",
}
