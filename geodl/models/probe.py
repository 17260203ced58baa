"""What a network is, measured: how far its output looks, from the gradient at its input."""

from typing import TYPE_CHECKING

from geodl.models.receptive_field import rounded_up

if TYPE_CHECKING:
    from torch import Tensor, nn


def measure_overhang(network: "nn.Module", *, bands: int, stride: int, reach: int) -> int | None:
    """Measure how many pixels a cell of the output sees beyond its own border.

    The cell is a square of `stride` pixels on the network's lattice, in the middle of noise. Its
    outputs are summed and differentiated with respect to every input pixel: where the gradient is
    exactly zero, the input has no say. Tiles begin on cell borders, so a halo of the result rounded
    up to the stride reproduces the whole scene exactly.

    Measure the trained network: timm begins with residual branches switched off by a norm weight of
    zero, which then look no farther than their shortcut.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode: (N, bands, H, W) -> (N, classes, H, W).
    bands : int
        Input channels.
    stride : int
        Side of a cell, pixels.
    reach : int
        How far to look, pixels; memory grows with its square.

    Returns
    -------
    int or None
        Pixels. None where the gradient reaches the border of the ``2 * reach + stride`` wide input:
        the network looks farther than `reach`, or everywhere.

    Raises
    ------
    ValueError
        The network is in training mode, where batch norm looks at the whole batch.
    """
    import torch

    if network.training:
        raise ValueError("network is in training mode: call network.eval()")
    before = rounded_up(reach, stride)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, bands, *[2 * before + stride] * 2, generator=generator)
    pixels = pixels.to(next(network.parameters()).device).requires_grad_()
    cell = network(pixels)[..., before : before + stride, before : before + stride]
    # Random weights per output: classes that sum to a constant must not cancel out.
    weights = torch.randn(cell.shape, generator=generator).to(cell.device)
    (gradient,) = torch.autograd.grad((cell * weights).sum(), pixels)
    first, last = _extent(gradient[0].abs().amax(dim=0))
    overhang = max(before - first, last - (before + stride - 1), 0)
    return None if overhang >= before else overhang


def _extent(influence: "Tensor") -> tuple[int, int]:
    """First and last row or column (the wider of both) where `influence` (H, W) is not zero."""
    seen = [influence.amax(dim=axis).nonzero() for axis in (0, 1)]
    if not len(seen[0]):
        return len(influence) // 2, len(influence) // 2
    return min(int(where[0]) for where in seen), max(int(where[-1]) for where in seen)
