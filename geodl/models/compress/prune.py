"""Fewer channels: those worth least leave, and the network is built anew without them.

Nothing is trained again; `geodl train` can go on from the smaller network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geodl.errors import ModelError, OptionError
from geodl.models.bundle import Model, save_model
from geodl.models.compress.layers import (
    CLASSES,
    Layer,
    fcn_layers,
    segnet_layers,
    unet_compact_layers,
    unet_layers,
)
from geodl.models.compress.variant import variant_of
from geodl.models.compress.worth import (
    Seen,
    lengths_of,
    mean_lost,
    watch,
    worth_of_values,
    worth_of_weights,
)
from geodl.models.parameters import FcnParameters, SegnetParameters, UnetCompactParameters, UnetParameters
from geodl.models.table import architecture_named, build_network
from geodl.models.weights import read_header


@dataclass(frozen=True, kw_only=True)
class Prunable:
    """How the networks of an architecture are pruned.

    Parameters
    ----------
    layers : callable
        From its parameters to the layers of which channels leave.
    shrink : callable
        From its parameters and the number of channels that stay of each former number to the parameters of
        the smaller network.
    """

    layers: Callable[[Any], list[Layer]]
    shrink: Callable[[Any, Callable[[int], int]], dict[str, Any]]
    part: str = "channels"
    """What a share of is taken out, in words."""


def _unet_compact(parameters: UnetCompactParameters, stay: Callable[[int], int]) -> dict[str, Any]:
    return {"widths": [stay(width) for width in parameters.widths], "blocks": parameters.blocks}


def _segnet(parameters: SegnetParameters, stay: Callable[[int], int]) -> dict[str, Any]:
    return {
        "widths": [stay(width) for width in parameters.widths],
        "convolutions": list(parameters.convolutions),
    }


def _fcn(parameters: FcnParameters, stay: Callable[[int], int]) -> dict[str, Any]:
    return {"filters": stay(parameters.filters)}


def _unet(parameters: UnetParameters, stay: Callable[[int], int]) -> dict[str, Any]:
    return {**parameters.model_dump(), "decoder": [stay(width) for width in parameters.widths]}


PRUNABLE: dict[str, Prunable] = {
    "unet_compact": Prunable(layers=unet_compact_layers, shrink=_unet_compact),
    "segnet": Prunable(layers=segnet_layers, shrink=_segnet),
    "fcn": Prunable(layers=fcn_layers, shrink=_fcn),
    "unet": Prunable(layers=unet_layers, shrink=_unet, part="channels of the decoder"),
}


def prune(model: Model, out: str | Path, share: float, inputs: Sequence[np.ndarray] = ()) -> Model:
    """Write a variant of a model with fewer channels in every layer.

    Parameters
    ----------
    model : Model
        From `geodl.load_model`.
    out : str or Path
        Folder of the variant.
    share : float
        Of the channels that leave, above 0 and below 1; at least one stays.
    inputs : sequence of numpy.ndarray, optional
        Imagery as the network sees it, each float32 (bands, H, W): shows which channels say least, and what
        they say on the average, which goes into what follows them. Without it weights alone decide.

    Raises
    ------
    OptionError
        The share is out of range.
    ModelError
        Channels of this architecture cannot be taken out.
    """
    spec = model.spec
    if not 0 < share < 1:
        raise OptionError(
            f"--prune {share}", "it is the share of channels that leave", "give for instance 0.3"
        )
    parameters: Any = architecture_named(spec.architecture).read_parameters(spec.parameters)
    if spec.architecture not in PRUNABLE or getattr(parameters, "one_score", False):
        raise ModelError(
            f"model {spec.name}",
            f"which channels of {spec.architecture!r} belong together is not known to geodl",
            f"prune one of {', '.join(PRUNABLE)}, or use --int8",
        )
    row = PRUNABLE[spec.architecture]
    smaller = row.shrink(parameters, lambda width: max(1, round(width * (1 - share))))
    note = f"{share:.0%} of the {row.part} were taken out of {model.hash[:12]}, without further training."
    changed = variant_of(spec, f"pruned-{round(100 * share)}", note, parameters=smaller)
    whole, network = model.network(), build_network(changed)
    layers = row.layers(parameters)
    seen = watch(whole, layers, inputs) if inputs else None
    network.load_state_dict(_sliced(whole.state_dict(), network.state_dict(), layers, seen))
    stored = read_header((model.folder / spec.weights_file).read_bytes(), f"model {spec.name}")
    half = any(entry.dtype == "F16" for entry in stored.values())
    return save_model(out, changed, network.eval(), half=half)


def _sliced(
    whole: dict[str, Tensor],
    smaller: dict[str, Tensor],
    layers: list[Layer],
    seen: dict[str, Seen] | None,
) -> dict[str, Tensor]:
    """Return the weights that stay, in the shapes of the smaller network; all of other layers."""
    worth = worth_of_weights(whole, layers) if seen is None else worth_of_values(whole, layers, seen)
    kept = {
        layer.output: _heaviest(worth[layer.output], len(smaller[f"{layer.name}.weight"]))
        for layer in layers
        if layer.output != CLASSES
    }
    lengths = lengths_of(whole, layers)
    kept = {name: torch.arange(count) for name, count in lengths.items()} | kept
    state: dict[str, Tensor] = {}
    for layer in layers:
        starts = accumulate((lengths[name] for name in layer.inputs), initial=0)
        columns = torch.cat([kept[name] + start for name, start in zip(layer.inputs, starts, strict=False)])
        rows = kept[layer.output]
        state[f"{layer.name}.weight"] = whole[f"{layer.name}.weight"][rows][:, columns]
        for path in (layer.name, layer.norm):
            for key in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                name = f"{path}.{key}"
                if path is not None and name in whole and name not in state:
                    state[name] = whole[name][rows] if whole[name].ndim else whole[name]
        if seen is not None:
            lost = mean_lost(whole[f"{layer.name}.weight"][rows], columns, seen[layer.name])
            if layer.norm is not None:
                state[f"{layer.norm}.running_mean"] = state[f"{layer.norm}.running_mean"] - lost
            else:
                state[f"{layer.name}.bias"] = state[f"{layer.name}.bias"] + lost
    return {name: state.get(name, whole[name]) for name in smaller}


def _heaviest(worth: Tensor, count: int) -> Tensor:
    return torch.topk(worth, count).indices.sort().values
