"""A network in half the bits: bfloat16 inside, float32 where the classes are told apart."""

from typing import cast

import torch
from torch import Tensor, nn

from geodl.errors import ModelError


class _InFloat32(nn.Module):
    """Runs a layer in float32 inside a network of another dtype."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, inputs: Tensor) -> Tensor:  # (N, C, H, W)
        return cast("Tensor", self.layer(inputs.float()))


def as_bfloat16(network: nn.Module) -> nn.Module:
    """Cast a network to bfloat16, but for its last convolution, in place.

    bfloat16 keeps 8 bits of a number. Sums inside a convolution are made in float32, so that rounding
    between layers does little harm; of class scores, however, neighbours of that spacing would tie. The
    last convolution makes the scores and stays in float32.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, (N, bands, H, W) float32 -> (N, classes, H, W).

    Returns
    -------
    torch.nn.Module
        The same network; it takes bfloat16 and gives float32.

    Raises
    ------
    ModelError
        The network is an ONNX file.
    """
    paths = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    if not paths:
        raise ModelError("network", "it has no convolution of torch: ONNX files compute as they say",
                         "use --precision fp32")  # fmt: skip
    network.bfloat16()
    path = paths[-1]
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, _InFloat32(network.get_submodule(path)))
    return network


def dtype_of(network: nn.Module) -> torch.dtype:
    """Return the dtype that a network takes: that of its first floating point parameter."""
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
