"""What the nodes of a network do to a strip of rows.

An operation gets, for each input, exactly the rows that its output rows read. Rows outside the canvas
are in them already, filled with `Operation.fill`; padding at the sides is the operation's own.

The bits of a row must not depend on where in the strip it lies, or a stream that is started elsewhere
gives other results. Functions computed with other instructions for the last few elements than for the
rest (`sigmoid`, `softmax`) do not hold to that by themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from geodl.stream.reach import Reach

Pair = tuple[int, int]
Fill = float | Literal["edge"] | None
Kernel = Callable[[list[Tensor], Tensor | None], Tensor]
ROW = Reach()  # the same row


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(ABC):
    """One node of a network.

    Parameters
    ----------
    reach : Reach
        The rows it reads, of every input alike.
    fill : float, "edge" or None
        What stands in rows outside the canvas: a number, the nearest row; None where none is read.
    lead : int or None
        For operations that multiply rows: the row of the canvas that `run` returns first, relative to
        ``up`` times the first row it was given. None where `run` returns the wanted rows and no others.
    across : Reach
        The columns it reads, of every input alike.
    """

    reach: Reach = ROW
    fill: Fill = None
    lead: int | None = None
    across: Reach = ROW

    aliases: ClassVar[bool] = False  # whether `run` returns a view of its input
    copies: ClassVar[bool] = False  # whether it costs nothing to leave out columns of its inputs
    elementwise: ClassVar[bool] = False  # whether `run` may write into its first input

    @abstractmethod
    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:
        """Compute rows (N, C, rows, columns), into `out` where that saves a copy."""

    def kernel(self, shapes: Sequence[tuple[int, ...]], device: torch.device) -> Kernel:
        """Return `run`, prepared once for inputs that always have these shapes."""
        del shapes, device
        return self.run

    def dtype(self, dtypes: Sequence[torch.dtype]) -> torch.dtype:
        """Type of the result for inputs of these types."""
        kind = dtypes[0]
        for other in dtypes[1:]:
            kind = torch.promote_types(kind, other)
        return kind

    def to(self, *where: torch.dtype | torch.device) -> "Operation":
        """Return the operation with its weights on another device or of another type."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        moved = {name: _moved(value, where) for name, value in moved.items()}
        return replace(self, **moved)


def _moved(value: Any, where: tuple[torch.dtype | torch.device, ...]) -> Any:
    if isinstance(value, tuple):
        return tuple(_moved(item, where) for item in value)
    if not isinstance(value, Tensor):
        return value
    for target in where:
        if isinstance(target, torch.device) or value.is_floating_point():
            value = value.to(target)
    return value


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchNorm(Operation):
    """A gain and an offset per channel; most are folded into the convolution before them."""

    weight: Tensor | None
    bias: Tensor | None
    mean: Tensor
    variance: Tensor
    epsilon: float

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        del out
        return F.batch_norm(inputs[0], self.mean, self.variance, self.weight, self.bias, eps=self.epsilon)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pointwise(Operation):
    """A function of the same pixel of each input.

    Parameters
    ----------
    function : callable
        Of torch.
    into : callable or None
        The same function with an argument ``out``.
    arguments, keywords : tuple
        What it is called with; a `Slot` stands for an input.
    exact : bool
        Whether its bits are those of the mathematical definition, whatever the instructions.
    """

    function: Callable[..., Tensor]
    into: Callable[..., Tensor] | None
    arguments: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...] = ()
    exact: bool = True

    elementwise: ClassVar[bool] = True

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        if self.exact:
            return self._apply(inputs, out)
        # Row by row, each row meets the same instructions wherever it lies.
        if out is None:
            out = torch.empty_like(inputs[0], memory_format=torch.channels_last)
        for row in range(out.shape[2]):
            here = out[:, :, row : row + 1]
            part = self._apply([strip[:, :, row : row + 1] for strip in inputs], here)
            if part is not here:
                here.copy_(part)
        return out

    def _apply(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:
        values = [inputs[a.index] if isinstance(a, Slot) else a for a in self.arguments]
        if out is not None and self.into is not None:
            self.into(*values, **dict(self.keywords), out=out)
            return out
        return self.function(*values, **dict(self.keywords))


def is_relu(operation: Pointwise) -> bool:
    """Whether it is ``max(x, 0)`` of its one input."""
    return operation.function is torch.clamp_min and operation.arguments == (Slot(0), 0)


@dataclass(frozen=True)
class Slot:
    """Place of an input among the arguments of a function."""

    index: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Cast(Operation):
    """Another type of number."""

    target: torch.dtype

    def dtype(self, dtypes: Sequence[torch.dtype]) -> torch.dtype:  # noqa: D102
        del dtypes
        return self.target

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        return out.copy_(inputs[0]) if out is not None else inputs[0].to(self.target, copy=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Operation):
    """Channels (dimension 1) or batch (0) of several inputs, one after the other."""

    dimension: int

    copies: ClassVar[bool] = True

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        if out is None:
            return torch.cat(inputs, self.dimension)
        return torch.cat(inputs, self.dimension, out=out)


@dataclass(frozen=True, kw_only=True, eq=False)
class Select(Operation):
    """Some of the channels (dimension 1) or of the batch (0)."""

    dimension: int
    span: slice

    aliases: ClassVar[bool] = True

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        del out
        return inputs[0][(slice(None),) * self.dimension + (self.span,)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Window(Operation):
    """A function of torch that reads a window of rows: pooling, padding, pixel (un)shuffle.

    Parameters
    ----------
    function : callable
        Of the rows of the one input; pads columns, never rows.
    """

    function: Callable[[Tensor], Tensor]

    aliases: ClassVar[bool] = True

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        del out
        return self.function(inputs[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Maxima(Operation):
    """Where in its square of `side` pixels the maximum lies, counted row by row: uint8."""

    side: int

    def dtype(self, dtypes: Sequence[torch.dtype]) -> torch.dtype:  # noqa: D102
        del dtypes
        return torch.uint8

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        del out
        strip = inputs[0]
        index = F.max_pool2d(strip, self.side, return_indices=True)[1]
        columns = strip.shape[-1]
        inside = index // columns % self.side * self.side + index % columns % self.side
        return inside.to(torch.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Unpool(Operation):
    """Puts values back where `Maxima` found them, zeros elsewhere."""

    side: int

    def dtype(self, dtypes: Sequence[torch.dtype]) -> torch.dtype:  # noqa: D102
        return dtypes[0]

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        values, places = inputs
        batch, channels, rows, columns = values.shape
        if out is None:
            size = (batch, channels, rows * self.side, columns * self.side)
            out = torch.empty(
                size, dtype=values.dtype, device=values.device, memory_format=torch.channels_last
            )
        for place in range(self.side**2):
            row, column = divmod(place, self.side)
            out[:, :, row :: self.side, column :: self.side] = torch.where(places == place, values, 0)
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Upsample(Operation):
    """Nearest or bilinear upsampling by whole numbers, ``align_corners=False``."""

    mode: Literal["nearest", "bilinear"]
    factors: Pair

    copies: ClassVar[bool] = True

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        strip = inputs[0]
        scales = tuple(float(factor) for factor in self.factors)
        enlarge = partial(F.interpolate, scale_factor=scales, mode=self.mode)
        if self.mode == "nearest":
            if out is None:
                return enlarge(strip)
            return torch.ops.aten.upsample_nearest2d.out(strip, out.shape[2:], *scales, out=out)
        if self.lead == 0:
            return enlarge(strip)
        # The weights of thirds are rounded, and differently from row to row: each row with its two
        # neighbours is enlarged on its own.
        batch, channels = strip.shape[:2]
        factor = self.factors[0]
        windows = strip.unfold(2, 3, 1).permute(0, 2, 1, 4, 3).flatten(0, 1)  # (N rows, C, 3, W)
        rows = enlarge(windows)[:, :, factor : 2 * factor]
        rows = rows.unflatten(0, (batch, -1)).permute(0, 2, 1, 3, 4).flatten(2, 3)
        return rows.reshape(batch, channels, -1, rows.shape[-1])
