"""What a training began with, mixed into what it came to."""

import copy
from collections.abc import Mapping

import torch
from torch import nn


class Blend:
    """Mixes the weights that a training began with into those of a network.

    What was learnt at first is forgotten less, and both are served better than by either network alone.
    Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT, arXiv:2109.01903).

    Parameters
    ----------
    begin : mapping of str to torch.Tensor
        The weights in the beginning.
    share : float
        Their share, 0 to 1; with 0 networks stay as they are, and `begin` is of no matter.
    """

    def __init__(self, begin: Mapping[str, torch.Tensor], share: float) -> None:
        self.begin, self.share = dict(begin), share

    def __call__(self, network: nn.Module) -> nn.Module:
        """Return the mixture as another network, or the same network where there is nothing to mix."""
        if not self.share:
            return network
        mixed = copy.deepcopy(network)
        mixed.load_state_dict({name: self._mix(name, value) for name, value in mixed.state_dict().items()})
        return mixed

    def _mix(self, name: str, value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():  # batches that a normalisation has counted
            return value
        return torch.lerp(value, self.begin[name].to(value), self.share)
