"""By how many pixels the input may move for the output to move along."""

import torch
from torch import nn

from geodl.models.probe.inputs import Inputs
from geodl.models.receptive_field import rounded_up

_SEEN = 64  # pixels; side of the square that is compared
_FOLLOWS = 1e-3  # standard deviations of the scores; rounding is a hundredth of it


def measure_shifts(
    network: nn.Module, inputs: Inputs, *, stride: int, margin: int
) -> tuple[int | None, float]:
    """Find the smallest shift that the output follows.

    The shifts that a network follows are the multiples of one number. It is found by dividing `stride`
    by its prime factors for as long as the output still follows.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    inputs : Inputs
        All of them are tried.
    stride : int
        Pixels, as declared.
    margin : int
        Pixels, a multiple of the stride, that keep the border of the input out of sight: it does not
        move along.

    Returns
    -------
    smallest : int or None
        Pixels; None where the output does not follow shifts of `stride`.
    error : float
        Largest difference of any class score after a shift of `stride`, in standard deviations of the
        scores.
    """

    def error(shift: int) -> float:
        errors = (_shift_error(network, inputs, index, shift, stride, margin) for index in range(len(inputs)))
        return max(errors)

    at_stride = error(stride)
    if at_stride > _FOLLOWS:
        return None, at_stride
    smallest = stride
    for factor in _prime_factors(stride):
        while smallest % factor == 0 and error(smallest // factor) <= _FOLLOWS:
            smallest //= factor
    return smallest, at_stride


@torch.inference_mode()
def _shift_error(
    network: nn.Module, inputs: Inputs, index: int, shift: int, stride: int, margin: int
) -> float:
    seen = rounded_up(_SEEN, stride)
    side = margin + seen + stride + margin
    pixels = inputs.cut(index, side + shift)
    # The same square of the scene, seen from two origins that are `shift` apart on both axes.
    there = slice(margin + shift, margin + shift + seen)
    here = slice(margin, margin + seen)
    before = network(pixels[..., :side, :side])[..., there, there]
    after = network(pixels[..., shift:, shift:])[..., here, here]
    # Scores, not probabilities: where the classes are hardly told apart, those are all alike.
    return float((after - before).abs().max() / before.std().clamp_min(torch.finfo(before.dtype).tiny))


def _prime_factors(number: int) -> list[int]:
    """Return the prime factors of `number`, each once.

    >>> _prime_factors(12)
    [2, 3]
    """
    return [n for n in range(2, number + 1) if number % n == 0 and all(n % d for d in range(2, n))]
