"""Begin with the weights of another network: what has the same place and shape is taken."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from geodl.errors import ModelError

HEADS = ("head.", "segmentation_head.", "last.")
"""What the names of the weights of a last layer begin with."""
_PREFIX_PARTS = 3
"""A wrapper puts at most so many names before those of the network inside."""
_FEW = 10
"""What is inside a wrapper is no less than this part of all."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights to take from.

    Parameters
    ----------
    origin : str
        Name for the report.
    tensors : mapping of str to torch.Tensor
        Weights by name.
    bands : tuple of str or None
        Bands of the first layer, where known.
    classes : tuple of str or None
        Classes of the last layer, where known.
    """

    origin: str
    tensors: Mapping[str, torch.Tensor]
    bands: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken from a source: names of tensors of the new network."""

    origin: str
    same: tuple[str, ...]
    adapted: str | None
    """The first layer, where its bands are others."""
    left: tuple[str, ...]
    """Still random."""
    unused: int
    """Tensors of the source that found no place."""
    share: float
    """Of the numbers in the new network, those that were taken."""

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        count, total = len(self.same) + (self.adapted is not None), len(self.same) + len(self.left)
        total += self.adapted is not None
        text = [f"start: {count} of {total} tensors ({self.share:.1%} of the weights) from {self.origin}"]
        if self.adapted is not None:
            text.append(f"  {self.adapted} was adapted to the bands")
        if self.left:
            parts = sorted({".".join(name.split(".")[:2]) for name in self.left})
            text.append(f"  random: {', '.join(parts[:8])}{' ...' if len(parts) > 8 else ''}")
        if self.unused:
            text.append(f"  {self.unused} tensors of the source have no place here")
        return text


def transfer(network: nn.Module, source: Source, bands: Sequence[str], classes: Sequence[str]) -> Taken:
    """Copy into a network what a source has for it.

    Names may differ by what stands before them (``encoder.layer1...`` and ``layer1...``). The first
    layer is adapted to the bands. The last layer is taken only if it tells the same classes apart, and
    has learned to: pretraining leaves zeros.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    source : Source
        Where from.
    bands, classes : sequence of str
        Of the network.

    Raises
    ------
    ModelError
        The two have no layer in common.
    """
    state = network.state_dict()
    found = _match(state, source.tensors)
    first = next((n for n, t in state.items() if t.ndim == 4 and t.shape[1] == len(bands)), None)
    head = [tensor for name, tensor in found.items() if name.startswith(HEADS)]
    learnt = source.classes == tuple(classes) and any(bool(tensor.any()) for tensor in head)
    same, adapted = [], None
    for name, tensor in found.items():
        if name.startswith(HEADS) and not learnt:
            continue
        if name == first and _other_bands(tensor, state[name], source.bands, bands):
            state[name].copy_(adapt_bands(tensor, source.bands, bands))
            adapted = name
        elif tensor.shape == state[name].shape:
            state[name].copy_(tensor)
            same.append(name)
    if not any(state[name].ndim == 4 for name in same):
        raise ModelError(
            f"start {source.origin}",
            "it has no layer in common with this network",
            "choose the architecture and the encoder that the weights come from",
        )
    taken = [*same, *([adapted] if adapted else [])]
    return Taken(
        origin=source.origin,
        same=tuple(same),
        adapted=adapted,
        left=tuple(name for name in state if name not in taken),
        unused=len(source.tensors) - len(taken),
        share=sum(prod(state[n].shape) for n in taken) / sum(prod(t.shape) for t in state.values()),
    )


def adapt_bands(weight: torch.Tensor, before: Sequence[str] | None, after: Sequence[str]) -> torch.Tensor:
    """Make the weights of a first layer fit other bands.

    A band of the same name keeps its weights; any other gets the mean over the old bands. The whole is
    scaled by the ratio of the numbers of bands, so that the sum over the bands stays what it was.

    Parameters
    ----------
    weight : torch.Tensor
        Shape ``(out, old bands, y, x)``.
    before, after : sequence of str
        Names of the old bands, if known, and of the new ones.

    Returns
    -------
    torch.Tensor
        Shape ``(out, new bands, y, x)``.
    """
    known = {name: number for number, name in enumerate(before or ())}
    mean = weight.mean(dim=1)
    parts = [weight[:, known[name]] if name in known else mean for name in after]
    return torch.stack(parts, dim=1) * (weight.shape[1] / len(after))


def _other_bands(
    old: torch.Tensor, new: torch.Tensor, before: Sequence[str] | None, after: Sequence[str]
) -> bool:
    """Whether a first layer differs in its bands, and in nothing else."""
    if old.ndim != 4 or (old.shape[0], *old.shape[2:]) != (new.shape[0], *new.shape[2:]):
        return False
    if before is not None and len(before) == old.shape[1]:
        return list(before) != list(after)
    return old.shape[1] != new.shape[1]


def _match(state: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Find for names of a network the tensors of a source, under the prefixes that fit most of them."""
    best: dict[str, torch.Tensor] = {}
    weight = 0
    for mine in _prefixes(state):
        inside = {name.removeprefix(mine): name for name in state if name.startswith(mine)}
        for theirs in _prefixes(tensors):
            found = {
                inside[rest]: tensor
                for name, tensor in tensors.items()
                if name.startswith(theirs) and (rest := name.removeprefix(theirs)) in inside
            }
            fitting = sum(t.shape == state[n].shape and t.ndim > 1 for n, t in found.items())
            if fitting > weight:
                best, weight = found, fitting
    return best


def _prefixes(names: Mapping[str, torch.Tensor]) -> list[str]:
    """Return what may be a wrapper: nothing first, then beginnings that many names share."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1]
        counts.update(".".join(parts[:n]) + "." for n in range(1, 1 + min(len(parts), _PREFIX_PARTS)))
    common = [prefix for prefix, count in counts.items() if count * _FEW >= len(names)]
    return ["", *sorted(common, key=lambda prefix: (prefix.count("."), prefix))]
