"""The networks of the benchmark: random weights, a class map that is not constant, saved as model folders.

Random weights are the worst case for seams: a trained network forgets what is far away.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.models.bundle import Model, load_model, save_model
from geodl.models.spec import BandSpec, ClassSpec, ModelSpec
from geodl.models.table import build_network, tiling_of
from tests.benchmarks.scenes import BANDS, SCALE, waves

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORKS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "unet_compact": ("unet_compact", {}),
    "unet_resnet18": ("unet", {"encoder": "resnet18"}),
    # The smallest that the table of architectures offers: five 3 x 3 convolutions of 8 channels, 2.7 kMAC
    # per pixel, where three of 16 channels would take 4.1.
    "three_layers": ("fcn", {"filters": 8}),
}
CLASSES = 8
_LOOK = 768  # pixels; of the square with which the scores are balanced
COLORS = ("#2b6cb0", "#22643a", "#a7c957", "#c1440e", "#f2c14e", "#6b4e71", "#8d99ae", "#edf2f4")


def save_network(folder: Path, network: str) -> Path:
    """Save one of `NETWORKS` as a model for the scenes of `write_scene`."""
    bands = [BandSpec(name=name, mean=0.15, std=0.07) for name in BANDS]
    architecture, parameters = NETWORKS[network]
    return _save(folder, _spec(network, architecture, parameters, bands, CLASSES, "reflectance", 10.0))


def save_cheap_network(folder: Path) -> Path:
    """Save a network of few channels and classes as a model for the scenes of `write_repeated_scene`."""
    bands = [BandSpec(name=name, mean=128, std=50) for name in ("red", "green", "blue")]
    return _save(folder, _spec("cheap", "fcn", {"filters": 4}, bands, 3, "digital_number", 10.0))


def _spec(
    name: str,
    architecture: str,
    parameters: Mapping[str, Any],
    bands: list[BandSpec],
    classes: int,
    units: Any,
    pixel_size: float,
) -> ModelSpec:
    tiling = tiling_of(architecture, parameters)
    return ModelSpec(
        name=name.replace("_", "-"),
        task="landcover",
        architecture=architecture,
        parameters=dict(parameters),
        bands=bands,
        units=units,
        pixel_size=pixel_size,
        classes=[ClassSpec(value=i, name=f"class {i}", color=COLORS[i]) for i in range(classes)],
        tile=tiling.tile,
        halo=tiling.halo,
        stride=tiling.stride,
        stitch=tiling.stitch,
    )


def _save(folder: Path, spec: ModelSpec) -> Path:
    import torch

    torch.manual_seed(0)
    network = build_network(spec).eval()
    with torch.inference_mode():
        smooth = torch.from_numpy(waves(0, _LOOK, _LOOK, len(spec.bands)))[None]
        _balance(network, smooth + 0.1 * torch.randn(smooth.shape))  # about what it sees of a scene
    save_model(folder, spec, network)
    return folder


def _balance(network: "nn.Module", inputs: "Tensor") -> None:
    """Give the scores of every class the mean 0 and the standard deviation 2, so that all of them win."""
    from torch import nn

    last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
    scores = network(inputs)
    mean, gain = scores.mean(dim=(0, 2, 3)), 2 / scores.std(dim=(0, 2, 3))
    assert last.bias is not None
    last.weight.mul_(gain.view(-1, 1, 1, 1))
    last.bias.copy_((last.bias - mean) * gain)


def normalised(pixels: np.ndarray, model: Model) -> np.ndarray:
    """Scale digital numbers of `write_scene`, (bands, y, x), to what the network was trained on."""
    mean, std = (
        np.array([getattr(band, name) for band in model.spec.bands], dtype=np.float32)[:, None, None]
        for name in ("mean", "std")
    )
    return (pixels * np.float32(SCALE) - mean) / std


def bare_network(folder: str, precision: str) -> "tuple[nn.Module, Model]":
    """Load a network in the form that is fastest on a processor: norms folded, channels last."""
    import torch

    from geodl.models.fold import fold_batch_norms
    from geodl.models.precision import as_bfloat16

    model = load_model(folder)
    network = fold_batch_norms(model.network()).to(memory_format=torch.channels_last)
    return (as_bfloat16(network) if precision == "bf16" else network), model


def import_libraries(model: Model) -> None:
    """Import what the network of a model is made of, so that no clock that starts later counts it."""
    import torch

    with torch.device("meta"):
        build_network(model.spec)
