"""The optimiser of a run, and which weights learn how fast."""

from collections.abc import Iterator

import torch
from torch import nn

from geodl.errors import RecipeError
from geodl.training.recipe import Optimisation

_BEHIND = frozenset({"narrow", "decoder", "head", "segmentation_head", "final_layer", "last"})
"""Parts of the networks in `geodl.models.table.MODELS` that come after the encoder."""


def of_encoder(name: str) -> bool:
    """Whether a weight of this name belongs to the encoder: to what comes before decoder and head.

    >>> of_encoder("encoder.0.0.weight"), of_encoder("bottom.1.bias"), of_encoder("decoder.0.weight")
    (True, True, False)
    """
    return name.split(".")[0] not in _BEHIND


def encoder_modules(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the parts of a network that make its encoder."""
    return (module for name, module in network.named_children() if of_encoder(name))


def freeze(network: nn.Module, frozen: bool) -> None:
    """Hold the encoder still, the statistics of its norms included, or let it learn again."""
    for module in encoder_modules(network):
        module.requires_grad_(not frozen)
        module.train(not frozen)


def make_optimiser(network: nn.Module, settings: Optimisation) -> torch.optim.Optimizer:
    """Build the optimiser; biases and norms are not decayed.

    Each group of weights carries its `share` of the learning rate: `encoder_rate` for the encoder.

    Raises
    ------
    RecipeError
        The encoder shall learn otherwise than the rest, and the network has no such parts.
    """
    named = list(network.named_parameters())
    special = settings.encoder_rate != 1 or settings.frozen_epochs
    if special and len({of_encoder(name) for name, _ in named}) < 2:
        raise RecipeError(
            "optimisation", "this architecture has no encoder apart from the rest",
            "leave encoder_rate and freeze_encoder out, or choose another architecture",
        )  # fmt: skip
    groups = [
        {
            "params": [p for name, p in named if of_encoder(name) == inner and (p.ndim > 1) == decayed],
            "weight_decay": settings.weight_decay if decayed else 0.0,
            "share": settings.encoder_rate if inner else 1.0,
        }
        for inner in (True, False)
        for decayed in (True, False)
    ]
    return _build([group for group in groups if group["params"]], settings)


def _build(groups: list[dict], settings: Optimisation) -> torch.optim.Optimizer:
    rate = settings.learning_rate
    match settings.optimiser:
        case "sgd":  # Nesterov's momentum needs some momentum
            return torch.optim.SGD(
                groups, lr=rate, momentum=settings.momentum, nesterov=settings.momentum > 0
            )
        case "adam":  # arXiv:1412.6980
            return torch.optim.Adam(groups, lr=rate)
        case "adagrad":  # https://jmlr.org/papers/v12/duchi11a.html
            return torch.optim.Adagrad(groups, lr=rate)
        case _:  # arXiv:1711.05101
            return torch.optim.AdamW(groups, lr=rate)
