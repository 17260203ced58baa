"""What a halo loses: crops with it against the network on a larger surround, pixel by pixel."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geodl.models.fold import fold_batch_norms
from geodl.models.precision import as_bfloat16, dtype_of
from geodl.models.probe.field import Field
from geodl.models.probe.inputs import Inputs
from geodl.models.probe.result import HaloError


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two maps of probabilities are apart: largest, mean, and the share of other classes."""

    largest: float
    mean: float
    flips: float


def difference(one: Tensor, other: Tensor) -> Difference:
    """Compare two maps of probabilities, each (classes, H, W)."""
    gap = (one - other).abs()
    return Difference(
        largest=float(gap.max()),
        mean=float(gap.mean()),
        flips=float((one.argmax(0) != other.argmax(0)).double().mean()),
    )


@torch.inference_mode()
def probabilities(network: nn.Module, pixels: Tensor, margin: int, temperature: float = 1.0) -> Tensor:
    """Return class probabilities (classes, H - 2 * margin, W - 2 * margin) of pixels (1, bands, H, W).

    As in a map, the scores are divided by `temperature` first.
    """
    height, width = pixels.shape[-2:]
    scores = network(pixels)[0, :, margin : height - margin, margin : width - margin]
    return (scores.float() / temperature).softmax(dim=0)


def measure_halos(
    network: nn.Module,
    inputs: Inputs,
    halos: Sequence[int],
    *,
    surround: int,
    window: int,
    core: int,
    field: Field,
    temperature: float = 1.0,
) -> tuple[HaloError, ...]:
    """Compare crops with each halo with what the network gives when it sees `surround` pixels around.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    inputs : Inputs
        All of them are tried; the worst counts.
    halos : sequence of int
        Pixels, multiples of the stride, none larger than `surround`.
    surround : int
        Pixels around the window in the reference, a multiple of the stride.
    window : int
        Side of the square that is compared, pixels.
    core : int
        Side of the core whose relative cost is told, pixels.
    field : Field
        Tells how much of the gradient lies outside each halo.
    temperature : float
        Of the model, for its probabilities.
    """
    worst = dict.fromkeys(halos, Difference(largest=0.0, mean=0.0, flips=0.0))
    for index in range(len(inputs)):
        pixels = inputs.cut(index, window + 2 * surround)
        reference = probabilities(network, pixels, surround, temperature)
        for halo in halos:
            part = slice(surround - halo, surround + window + halo)
            cropped = probabilities(network, pixels[..., part, part], halo, temperature)
            found = difference(cropped, reference)
            before = worst[halo]
            worst[halo] = Difference(
                largest=max(before.largest, found.largest),
                mean=max(before.mean, found.mean),
                flips=max(before.flips, found.flips),
            )
    return tuple(
        HaloError(
            halo=halo,
            difference=error.largest,
            mean_difference=error.mean,
            flips=error.flips,
            gradient_outside=field.share_outside(halo),
            cost=((core + 2 * halo) / core) ** 2,
        )
        for halo, error in worst.items()
    )


def measure_bfloat16(
    network: nn.Module, inputs: Inputs, *, margin: int, window: int, temperature: float = 1.0
) -> tuple[float, float]:
    """Compare the network in bfloat16, as predictions run it, with float32.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, float32; left as it is.
    inputs : Inputs
        The caller's imagery where there is any, otherwise the noise.
    margin : int
        Pixels around the window that the network sees.
    window : int
        Side of the square that is compared, pixels.
    temperature : float
        Of the model, for its probabilities.

    Returns
    -------
    agreement : float
        Share of the pixels of the same class, over all those inputs, 0..1.
    largest : float
        Largest difference of any probability.
    """
    # In a chain of one, so that a network that is a single layer has a place to put the cast one.
    half = as_bfloat16(nn.Sequential(fold_batch_norms(deepcopy(network))))
    found = []
    for index in range(inputs.noise if inputs.given else 0, len(inputs)):
        pixels = inputs.cut(index, window + 2 * margin)
        expected = probabilities(network, pixels, margin, temperature)
        rough = probabilities(half, pixels.to(dtype_of(half)), margin, temperature)
        found.append(difference(rough, expected))
    return 1 - sum(one.flips for one in found) / len(found), max(one.largest for one in found)
