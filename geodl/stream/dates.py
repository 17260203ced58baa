"""Several dates in one tensor: (N, T, C, H, W) beside (N, T C, H, W) and (N T, C, H, W).

In a stream every map has four dimensions. A tensor of five is only looked at otherwise: it stands for the
map (N, T C, H, W), whose channels are those of the first date, then those of the second, and so on. Work
is done where dates move between channels and batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from geodl.stream.call import Built, Call, NotLocalError, Source
from geodl.stream.operations import Concatenate, Operation, Select

DATES = 5
"""Dimensions of a tensor with one for the dates."""


def as_map(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the map that a tensor stands for.

    >>> as_map((1, 2, 6, 64, 96)), as_map((1, 12, 64, 96))
    ((1, 12, 64, 96), (1, 12, 64, 96))
    """
    if len(shape) != DATES:
        return tuple(shape)
    batch, dates, channels, rows, columns = shape
    return batch, dates * channels, rows, columns


@dataclass(frozen=True, kw_only=True, eq=False)
class Regroup(Operation):
    """Dates move between channels and batch: (N, T C, H, W) and (N T, C, H, W)."""

    dates: int
    into: Literal["batch", "channels"]

    copies: ClassVar[bool] = True

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        strip = inputs[0]
        if self.into == "batch":
            moved = strip.unflatten(1, (self.dates, -1)).flatten(0, 1)
        else:
            moved = strip.unflatten(0, (-1, self.dates)).flatten(1, 2)
        if out is None:
            # Of a form of its own: the bits of a convolution depend on how its input lies in memory.
            out = torch.empty_like(moved, memory_format=torch.channels_last)
        return out.copy_(moved)


def view(call: Call) -> Built | Source:
    """Give the same numbers another shape; rows and columns stay."""
    source = call.map_or_series("self")
    if source.shape[-2:] != call.shape[-2:] or not 4 <= len(call.shape) <= DATES:
        raise call.refuse("it mixes rows or columns with other dimensions")
    (before, *_), (after, *_) = as_map(source.shape), as_map(call.shape)
    if before == after:
        return Source(source.node, call.shape)
    # The order of the numbers stays, so that it is enough to know how many maps there are.
    if after % before == 0:
        return Regroup(dates=after // before, into="batch"), [source]
    if before % after == 0:
        return Regroup(dates=before // after, into="channels"), [source]
    raise call.refuse("it mixes dates with channels")


def stack(call: Call) -> Built:
    """Make a series of dates."""
    sources = call.arguments["tensors"]
    if not all(isinstance(source, Source) and len(source.shape) == 4 for source in sources):
        raise call.refuse("one of the tensors it joins is no map of pixels")
    if call.arguments["dim"] % DATES != 1:
        raise call.refuse("only dates can be a fifth dimension, the second of five")
    return Concatenate(dimension=1), sources


def select(call: Call) -> Built:
    """Take one date of a series."""
    return _one(call, call.arguments["index"])


def unbind(call: Call) -> list[Built | NotLocalError]:
    """Take a series apart."""
    source = call.map_or_series("self")
    return [_one(call, date) for date in range(source.shape[call.arguments["dim"]])]


def _one(call: Call, date: int) -> Built:
    source = call.map_or_series("self")
    if len(source.shape) != DATES or call.arguments["dim"] % DATES != 1:
        raise call.refuse("its result is no map of pixels")
    dates, channels = source.shape[1:3]
    first = date % dates * channels
    return Select(dimension=1, span=slice(first, first + channels)), [source]


def channels_of(call: Call, dimension: int, source: Source) -> int:
    """Return how many channels of the map one step along a dimension is; batch and dates have but one way.

    Raises
    ------
    NotLocalError
        The dimension is that of rows, columns, or of the channels within each of several dates.
    """
    if dimension > 1:
        many = len(source.shape) == DATES and dimension == 2
        raise call.refuse("it takes channels of each date" if many else "it cuts rows or columns out")
    return source.shape[2] if len(source.shape) == DATES and dimension == 1 else 1
