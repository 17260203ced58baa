"""What a channel is worth, and what is missing on the average when it is gone.

Two ways to tell: from the weights that make it, after Li et al. 2017, "Pruning Filters for Efficient
ConvNets", https://arxiv.org/abs/1608.08710; or, with imagery, from how much its values vary times the weights
with which the next layers take them up. What does not vary is a constant, which the bias or the batch norm of
the next layers can hold as well; the mean of a channel that leaves goes there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geodl.models.compress.layers import Layer

_EPSILON = 1e-5  # of torch's batch norm


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Mean and deviation of each input channel of a layer, float32 (channels,)."""

    mean: Tensor
    deviation: Tensor


def watch(network: nn.Module, layers: list[Layer], inputs: Sequence[np.ndarray]) -> dict[str, Seen]:
    """Run imagery through a network, and say what each layer saw.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    layers : list of Layer
        All of its convolutions.
    inputs : sequence of numpy.ndarray
        Each float32 (bands, H, W).
    """
    sums: dict[str, list[Tensor]] = {layer.name: [] for layer in layers}

    def note(name: str) -> Any:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            values = given[0].double()
            moments = torch.stack([values.mean(dim=(0, 2, 3)), values.square().mean(dim=(0, 2, 3))])
            sums[name].append(moments)

        return hook

    hooks = [
        network.get_submodule(layer.name).register_forward_pre_hook(note(layer.name)) for layer in layers
    ]
    try:
        with torch.inference_mode():
            for pixels in inputs:
                network(torch.from_numpy(pixels)[None])
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, moments in sums.items():
        mean, square = torch.stack(moments).mean(dim=0)
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        found[name] = Seen(mean=mean.float().clone(), deviation=deviation.float().clone())
    return found


def worth_of_weights(state: dict[str, Tensor], layers: list[Layer]) -> dict[str, Tensor]:
    """Worth of the channels of each name: absolute weights that make them, batch norms folded in."""
    worth: dict[str, Tensor] = {}
    for layer in layers:
        made = state[f"{layer.name}.weight"].abs().sum(dim=(1, 2, 3)) * _scale(state, layer)
        worth[layer.output] = worth.get(layer.output, torch.zeros(())) + made
    return worth


def worth_of_values(
    state: dict[str, Tensor], layers: list[Layer], seen: dict[str, Seen]
) -> dict[str, Tensor]:
    """Worth of the channels of each name: how their values vary, times the weights that take them up."""
    worth: dict[str, Tensor] = {}
    lengths = lengths_of(state, layers)
    for layer in layers:
        weights = state[f"{layer.name}.weight"].abs() * _scale(state, layer).view(-1, 1, 1, 1)
        taken = weights.sum(dim=(0, 2, 3)) * seen[layer.name].deviation
        starts = accumulate((lengths[name] for name in layer.inputs), initial=0)
        for name, start in zip(layer.inputs, starts, strict=False):
            part = taken[start : start + lengths[name]]
            worth[name] = worth.get(name, torch.zeros(())) + part
    return worth


def mean_lost(weights: Tensor, columns: Tensor, seen: Seen) -> Tensor:
    """Return what a layer's outputs miss on the average when it sees the channels `columns` only."""
    gone = torch.ones(weights.shape[1], dtype=torch.bool)
    gone[columns] = False
    return (weights.sum(dim=(2, 3)) * seen.mean)[:, gone].sum(dim=1)


def lengths_of(state: dict[str, Tensor], layers: list[Layer]) -> dict[str, int]:
    """Return the number of channels of each name.

    A layer sees one name at most that no layer makes; it has the channels that the others do not have.
    """
    lengths = {layer.output: len(state[f"{layer.name}.weight"]) for layer in layers}
    for layer in layers:
        missing = [name for name in layer.inputs if name not in lengths]
        if missing:
            known = sum(lengths[name] for name in layer.inputs if name in lengths)
            lengths[missing[0]] = state[f"{layer.name}.weight"].shape[1] - known
    return lengths


def _scale(state: dict[str, Tensor], layer: Layer) -> Tensor:
    """Factor of the batch norm behind each output channel; 1 where there is none."""
    if layer.norm is None:
        return torch.ones(len(state[f"{layer.name}.weight"]))
    return (state[f"{layer.norm}.weight"] / (state[f"{layer.norm}.running_var"] + _EPSILON).sqrt()).abs()
