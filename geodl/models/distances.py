"""A network that also says how far each pixel lies from the training data; see `geodl.models.familiarity`."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geodl.errors import ModelError
from geodl.models.familiarity import Familiar

CONVOLUTIONS = 3
"""The last convolutions that `WithDistances` calls: that of the class scores, and two for the distances."""


class Features:
    """Keeps what the last convolution of a network that was called has seen, and what the network has seen.

    Whatever the architecture, that convolution makes the class scores. Where it looks at a window, the
    features are those of the pixel in its middle. Features alone would not do: the network has learnt to
    leave out what does not help to tell its classes apart, as that there is no such colour.

    Parameters
    ----------
    network : torch.nn.Module
        Told of every convolution of two dimensions in it.

    Raises
    ------
    ModelError
        There is none, as in an ONNX file.
    """

    def __init__(self, network: nn.Module) -> None:
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        if not layers:
            raise ModelError(
                "network",
                "it has no convolution of torch: ONNX files do not show their features",
                "use the model that the file was made of",
            )
        self._hooks = [layer.register_forward_pre_hook(self._see) for layer in layers]
        self._hooks.append(network.register_forward_pre_hook(self._begin))
        self._bands: Tensor | None = None
        self._seen: Tensor | None = None

    def _begin(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._bands = inputs[0]

    def _see(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._seen = inputs[0]

    def take(self) -> Tensor:
        """Return what was seen in the last forward pass, (N, features + bands, h, w), and forget it.

        Where features are coarser than pixels, the bands are the means over the pixels of each.
        """
        assert self._seen is not None, "the network was not run"
        assert self._bands is not None
        features, bands = self._seen, self._bands
        self._seen = self._bands = None
        step = (bands.shape[2] // features.shape[2], bands.shape[3] // features.shape[3])
        if step != (1, 1):
            bands = F.avg_pool2d(bands, step)
        return torch.cat([features.float(), bands.float()], dim=1)

    def remove(self) -> None:
        """Leave the network as it was."""
        for hook in self._hooks:
            hook.remove()


class WithDistances(nn.Module):
    """A network whose output goes on with the squared distance to every class of the training data.

    Parameters
    ----------
    network : torch.nn.Module
        (N, bands, H, W) -> class scores (N, classes, H, W), on its device and in its final form: layers
        that are exchanged later are not seen.
    familiar : Familiar
        What its features look like on the training data.
    """

    def __init__(self, network: nn.Module, familiar: Familiar) -> None:
        super().__init__()
        device = next(network.parameters()).device
        size, classes = len(familiar.centre), len(familiar.means)
        centre, whitening, means = (
            torch.from_numpy(values).double()
            for values in (familiar.centre, familiar.whitening, familiar.means)
        )
        self.network = network
        self.whiten = _pixelwise(whitening, -whitening @ centre).to(device)
        # |z - m|^2 = 1 (z * z) - 2 m z + |m|^2
        gains = torch.cat([torch.ones(classes, size, dtype=torch.float64), -2 * means], dim=1)
        self.measure = _pixelwise(gains, means.square().sum(dim=1)).to(device)
        self._features = Features(network)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return scores and squared distances (N, classes + classes seen in training, H, W)."""
        scores = self.network(x)
        features = self._features.take()
        if features.shape[1] != self.whiten.in_channels:
            raise ModelError(
                "familiarity",
                f"it was measured on {self.whiten.in_channels} features, the network has {features.shape[1]}",
                "make it anew with `geodl models familiarise`",
            )
        whitened = self.whiten(features)
        distances = self.measure(torch.cat([whitened * whitened, whitened], dim=1))
        if distances.shape[-2:] != scores.shape[-2:]:  # scores are enlarged after they are made
            distances = F.interpolate(distances, size=scores.shape[-2:], mode="nearest")
        return torch.cat([scores.float(), distances], dim=1)


def _pixelwise(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    layer = nn.utils.skip_init(nn.Conv2d, weight.shape[1], weight.shape[0], kernel_size=1)
    with torch.no_grad():
        layer.weight.copy_(weight[:, :, None, None])
        layer.bias.copy_(bias)  # type: ignore[union-attr]
    return layer
