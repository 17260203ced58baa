"""The optimiser of a run, and which weights learn how fast."""

import re
from collections.abc import Iterable, Iterator

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


def encoder_levels(names: Iterable[str]) -> dict[str, int]:
    """Count for each weight of the encoder how many levels lie behind its own, within the encoder.

    A level is what has the same number in its name, such as ``layer2`` of a ResNet; weights without
    a number are the first.

    >>> names = ["encoder.conv1.weight", "encoder.layer1.0.bn1.bias", "encoder.layer2.0.conv1.weight"]
    >>> list(encoder_levels([*names, "decoder.0.weight"]).values())
    [1, 1, 0]
    >>> list(encoder_levels(["encoder.0.0.weight", "encoder.1.0.weight", "bottom.0.bias"]).values())
    [2, 1, 0]
    """
    levels: dict[str, tuple[int, int]] = {}
    parts: list[str] = []
    for name in filter(of_encoder, names):
        part, _, rest = name.partition(".")
        if part not in parts:
            parts.append(part)
        number = re.search(r"\d+", rest)
        levels[name] = (parts.index(part), int(number[0]) if number else -1)
    order = sorted(set(levels.values()), reverse=True)
    return {name: order.index(level) for name, level in levels.items()}


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

    Each group of weights carries its `share` of the learning rate: `encoder_rate` for the encoder, times
    `encoder_decay` for every level behind (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146).

    Raises
    ------
    RecipeError
        The encoder shall learn otherwise than the rest, and the network has no such parts.
    """
    named = list(network.named_parameters())
    special = settings.encoder_rate != 1 or settings.encoder_decay != 1 or settings.frozen_epochs
    if special and len({of_encoder(name) for name, _ in named}) < 2:
        raise RecipeError(
            "optimisation", "this architecture has no encoder apart from the rest",
            "leave encoder_rate, encoder_decay and freeze_encoder out, or choose another architecture",
        )  # fmt: skip
    levels = encoder_levels(name for name, _ in named)
    if settings.encoder_decay == 1:
        levels = dict.fromkeys(levels, 0)
    groups = [
        {
            "params": [p for name, p in named if levels.get(name) == level and (p.ndim > 1) == decayed],
            "weight_decay": settings.weight_decay if decayed else 0.0,
            "share": 1.0 if level is None else settings.encoder_rate * settings.encoder_decay**level,
        }
        for level in (*sorted(set(levels.values())), None)
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
