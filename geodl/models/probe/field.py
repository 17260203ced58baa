"""How far the output looks: the gradient of a cell of outputs with respect to every input pixel.

The effective receptive field after Luo et al. 2016 (https://arxiv.org/abs/1701.04128), taken for a
whole cell of ``stride x stride`` outputs, because tiles begin on cell borders.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from geodl.models.probe.inputs import Inputs
from geodl.models.probe.result import ROUNDING
from geodl.models.receptive_field import rounded_up

_NEAREST = 64  # pixels; the search begins no closer, where the largest reach allows
_OUTER = 0.9  # the border of a field begins at this share of its reach
_FADING = 0.1  # where twice the reach leaves more than this of the share at the border, nothing fades
_FLOOR = 1e-9  # share of the gradient at the border that counts as nothing
_LOUD = 10  # times the noise, where it should not matter


@dataclass(frozen=True, kw_only=True)
class Field:
    """Where the gradient of one cell lies.

    Parameters
    ----------
    outside : numpy.ndarray
        float64, shape ``(reach + 1,)``: share of the sum of its absolute values that is farther from
        the cell than each distance (Chebyshev, pixels beyond its border).
    bounded : bool
        Whether pixels farther out than the gradient was followed have no say.
    decays : bool
        False where neither ends nor fades what is seen, as far as it was followed.
    """

    outside: np.ndarray
    bounded: bool = True
    decays: bool = True

    @property
    def reach(self) -> int:
        """How far the gradient was followed, pixels."""
        return len(self.outside) - 1

    @property
    def overhang(self) -> int | None:
        """Distance beyond which the gradient is exactly zero; None if it reaches the border."""
        farthest = int(np.count_nonzero(self.outside))
        return farthest if self.bounded and farthest < self.reach else None

    @property
    def at_border(self) -> float:
        """Share of the gradient in the outermost tenth."""
        return float(self.outside[int(_OUTER * self.reach)])

    def share_outside(self, distance: int) -> float | None:
        """Share of the gradient farther away than `distance` pixels; None if not followed that far."""
        if self.overhang is None and distance >= self.reach:
            return None
        return float(self.outside[min(distance, self.reach)])


def measure_field(network: nn.Module, inputs: Inputs, *, stride: int, reach: int, memory: int) -> Field:
    """Follow the gradient outwards until it ends.

    The distance is doubled until the gradient of the first input ends inside it. The other inputs are
    followed little farther than that, and the worst of all inputs is returned. For a network without
    an end one input is enough to show it.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    inputs : Inputs
        At least one.
    stride : int
        Side of a cell, pixels.
    reach : int
        Largest distance to follow, pixels.
    memory : int
        Bytes that the activations kept for the gradient may take; ends the search like `reach`.
    """
    reaches = _reaches(reach, stride)
    fields: list[Field] = []
    with _frozen(network):
        for distance in reaches:
            field, kept = _gradient(network, inputs, 0, stride=stride, reach=distance)
            if field.overhang is not None:
                farther = rounded_up(max(reach, 2 * field.overhang), stride)
                field = replace(
                    field, bounded=not _sees_beyond(network, inputs, field, farther, stride=stride)
                )
            if field.overhang is not None:
                return _worst(network, inputs, field, stride=stride)
            fields.append(field)
            grown = (2 * 2 * distance + stride) / (2 * distance + stride)
            if kept * grown**2 > memory:
                break
    return replace(fields[-1], decays=_decays(fields))


def _reaches(reach: int, stride: int) -> list[int]:
    """Distances that double up to `reach`; at least two where the stride allows, to see what fades."""
    steps = [reach, reach // 2]
    while steps[-1] // 2 >= _NEAREST:
        steps.append(steps[-1] // 2)
    return sorted({max(rounded_up(step, stride), stride) for step in steps})


def _sees_beyond(network: nn.Module, inputs: Inputs, field: Field, farther: int, *, stride: int) -> bool:
    """Whether other pixels beyond the gradient, up to `farther` away, change the cell.

    Taps of dilated convolutions may jump over the border of what was differentiated, and not all
    that depends on a pixel passes a gradient to it.
    """
    assert field.overhang is not None
    # Maxima pass the gradient of one pixel only: the next few may have a say, and are left alone.
    near = min(rounded_up(field.overhang, stride) + 2 * stride, field.reach)
    pixels = inputs.cut(0, 2 * farther + stride)
    other = _LOUD * pixels.flip(-1, -2)
    seen = slice(farther - near, farther + stride + near)
    other[..., seen, seen] = pixels[..., seen, seen]
    cell = slice(farther, farther + stride)
    with torch.inference_mode():
        before = network(pixels)
        gap = (network(other)[..., cell, cell] - before[..., cell, cell]).abs().max()
    return bool(gap > ROUNDING * before.std())


def _worst(network: nn.Module, inputs: Inputs, first: Field, *, stride: int) -> Field:
    """Largest share outside each distance, over all inputs."""
    worst, reach = first.outside, first.reach
    for index in range(1, len(inputs)):
        overhang = int(np.count_nonzero(worst))
        # Maxima pass the gradient of one pixel only, so that another input may show a few pixels more.
        near = min(rounded_up(overhang, stride) + 2 * stride, reach)
        field, _ = _gradient(network, inputs, index, stride=stride, reach=near)
        if field.overhang is None and near < reach:
            field, _ = _gradient(network, inputs, index, stride=stride, reach=reach)
        worst = np.maximum(worst, np.pad(field.outside, (0, reach - field.reach)))
    return Field(outside=worst)


def _decays(fields: list[Field]) -> bool:
    last = fields[-1]
    if not last.bounded:
        return False
    return last.at_border < _FLOOR or (len(fields) > 1 and last.at_border < _FADING * fields[-2].at_border)


def _gradient(
    network: nn.Module, inputs: Inputs, index: int, *, stride: int, reach: int
) -> tuple[Field, int]:
    """Field of one input, and the bytes that were kept for its gradient."""
    pixels = inputs.cut(index, 2 * reach + stride).requires_grad_()
    cell = slice(reach, reach + stride)
    kept: dict[int, int] = {}

    def weigh(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    # Fast convolutions work in transformed squares, whose rounding leaks gradient to pixels that have
    # no say; the plain ones of torch leave exact zeros.
    with torch.backends.cudnn.flags(enabled=False), torch.enable_grad():
        with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
            scores = network(pixels)[..., cell, cell]
        # Random weights per output: classes that sum to a constant must not cancel out.
        generator = torch.Generator().manual_seed(inputs.seed + index)
        weights = torch.randn(scores.shape, generator=generator).to(scores.device)
        (gradient,) = torch.autograd.grad((scores * weights).sum(), pixels)
    influence = gradient[0].abs().sum(dim=0, dtype=torch.float64).cpu().numpy()
    return Field(outside=_share_outside(influence, stride=stride, reach=reach)), sum(kept.values())


def _share_outside(influence: np.ndarray, *, stride: int, reach: int) -> np.ndarray:
    position = np.arange(2 * reach + stride)
    beyond = np.maximum(np.maximum(reach - position, position - (reach + stride - 1)), 0)
    distance = np.maximum(beyond[:, None], beyond[None, :])
    mass = np.bincount(distance.ravel(), influence.ravel())
    # Summed from afar, so that the smallest shares are not lost in the rounding of the largest.
    farther = np.append(np.cumsum(mass[::-1])[::-1][1:], 0.0)
    return farther / max(mass.sum(), np.finfo(float).tiny)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Switch the gradients of the weights off: they would keep every activation in memory."""
    before = [parameter.requires_grad for parameter in network.parameters()]
    network.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, required in zip(network.parameters(), before, strict=True):
            parameter.requires_grad_(required)
