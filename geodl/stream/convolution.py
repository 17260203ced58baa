"""Convolutions: nine tenths of the work.

With oneDNN, by operators that torch keeps for its compiler: they take weights packed once for the fixed
shape of a strip, fuse the ReLU, and the bits of a row do not depend on where in the strip it lies. Those
of torch's own convolution do where it multiplies matrices of unfolded windows, as for small images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from geodl.stream.operations import Kernel, Operation, Pair


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Operation):
    """Convolution or transposed convolution, with the ReLU that follows it where there is one."""

    weight: Tensor
    bias: Tensor | None
    stride: Pair
    padding: int  # columns on each side
    dilation: Pair
    groups: int
    transposed: bool = False
    output_padding: int = 0  # columns
    relu: bool = False

    def dtype(self, dtypes: Sequence[torch.dtype]) -> torch.dtype:  # noqa: D102
        del dtypes
        return self.weight.dtype

    def run(self, inputs: list[Tensor], out: Tensor | None) -> Tensor:  # noqa: D102
        del out
        strip = inputs[0].to(self.weight.dtype)
        padding = (0, self.padding)
        if self.transposed:
            result = F.conv_transpose2d(
                strip, self.weight, self.bias, self.stride, padding,
                (0, self.output_padding), self.groups, self.dilation,
            )  # fmt: skip
        else:
            result = F.conv2d(strip, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return result.relu_() if self.relu else result

    def kernel(self, shapes: Sequence[tuple[int, ...]], device: torch.device) -> Kernel:  # noqa: D102
        if device.type != "cpu" or not _onednn_takes(self.weight.dtype):
            return replace(self, weight=self.weight.to(memory_format=torch.channels_last)).run
        onednn, kind = torch.ops.mkldnn, self.weight.dtype
        sides = [[0, self.padding]]
        if self.transposed:
            pack = onednn._reorder_convolution_transpose_weight
            convolve = onednn._convolution_transpose_pointwise.default
            sides.append([0, self.output_padding])
        else:
            pack, convolve = onednn._reorder_convolution_weight, onednn._convolution_pointwise.default
        settings = (*sides, list(self.stride), list(self.dilation), self.groups)
        packed = pack(self.weight, *settings, list(shapes[0]))
        settings = (packed, self.bias, *settings, "relu" if self.relu else "none", [], "")
        return lambda inputs, _: convolve(inputs[0].to(kind), *settings)


def _onednn_takes(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported
    return dtype == torch.float32 or (dtype == torch.bfloat16 and has_bfloat16())
