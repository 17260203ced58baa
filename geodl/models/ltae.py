"""Land cover from the course of the year: a lightweight temporal attention encoder for every pixel.

Garnot and Landrieu 2020 (https://arxiv.org/abs/2007.00586), in the form of torchgeo: attention between the
dates of a pixel's series, whose mean is the pixel. What is added here is what makes a map of it: an embedding
of each date before it (torchgeo's encoder begins with a norm over the bands of a date, which would leave
nothing of a single band), residual blocks that look at the neighbours behind it, and a head.
"""

import torch
from torch import Tensor, nn
from torchgeo.models import LTAE

from geodl.errors import ModelError
from geodl.models.series_parameters import LtaeParameters
from geodl.models.unet_compact import ResidualBlock

_PIXELS = (
    4096  # series that are looked at together in evaluation: attention takes steps ** 2 numbers for each
)


class Ltae(nn.Module):
    """Temporal attention, ``(N, steps * bands, H, W) -> (N, classes, H, W)`` logits.

    Parameters
    ----------
    bands, classes : int
        Input channels, first all of the first step, then all of the second, and so on; output channels.
    parameters : LtaeParameters
        Steps, widths, and how far the network looks around a pixel.

    Raises
    ------
    ModelError
        The bands are not as many for one step as for another.
    """

    def __init__(self, bands: int, classes: int, parameters: LtaeParameters) -> None:
        super().__init__()
        self.steps = parameters.steps
        if bands % self.steps:
            raise ModelError(
                "bands",
                f"{bands} bands are not the same bands at {self.steps} steps",
                "set `steps` of the parameters to those of the calendar, or leave it out",
            )
        width = parameters.width
        self.embedding = nn.Sequential(
            nn.Linear(bands // self.steps, width), nn.BatchNorm1d(width), nn.ReLU()
        )
        self.encoder = LTAE(
            in_channels=width,
            n_head=parameters.heads,
            n_neurons=(parameters.attention, parameters.features),
            dropout=parameters.dropout,
            d_model=parameters.attention,
            len_max_seq=self.steps,
        )
        # In place it would change what the ReLU before it needs for its gradient.
        self.encoder.dropout = nn.Dropout(parameters.dropout)
        self.context = nn.Sequential(*(ResidualBlock(parameters.features) for _ in range(parameters.context)))
        self.head = nn.Conv2d(parameters.features, classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes, H, W) for scaled pixels `x` (N, steps * bands of a step, H, W)."""
        count, _, height, width = x.shape
        # Of one series after the other, whatever pixel it is of.
        series = x.unflatten(1, (self.steps, -1)).permute(0, 3, 4, 1, 2).flatten(0, 2)
        # Norms in training want the whole batch, and a written network is one for images of any size.
        if self.training or torch.compiler.is_compiling():
            features = self._encoded(series)
        else:
            features = torch.cat([self._encoded(part) for part in series.split(_PIXELS)])
        image = features.unflatten(0, (count, height, width)).permute(0, 3, 1, 2)
        return self.head(self.context(image.contiguous(memory_format=torch.channels_last)))

    def _encoded(self, series: Tensor) -> Tensor:
        """Return (pixels, features) for (pixels, steps, bands)."""
        embedded = self.embedding(series.flatten(0, 1)).unflatten(0, series.shape[:2])
        return self.encoder(embedded)
