"""Change networks of torchgeo, which take dates in ways of their own, for images of both dates in turn."""

from typing import Any

from torch import Tensor, nn
from torchgeo.models import BTC, ChangeViT, FCSiamConc, FCSiamDiff

from geodl.models.date_parameters import BtcParameters, ChangevitParameters
from geodl.models.dates import bands_of_each

_BTC_BANDS = 3


class _DatesApart:
    """Turns (N, bands of both dates, H, W) into the (N, dates, bands of each, H, W) of torchgeo."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes, H, W)."""
        return super().forward(x.unflatten(1, (2, -1)))  # type: ignore[misc]


class FcSiamConc(_DatesApart, FCSiamConc):
    """FC-Siam-conc: the features of both dates, side by side, go to the decoder."""


class FcSiamDiff(_DatesApart, FCSiamDiff):
    """FC-Siam-diff: the features of the second date less those of the first go to the decoder.

    The difference keeps its sign; the paper takes its absolute value.
    """


class Changevit(_DatesApart, ChangeViT):
    """ChangeViT: attention within each date, details of both from a convolutional branch.

    Parameters
    ----------
    bands, classes : int
        Of both dates; of the output.
    parameters : ChangevitParameters
        Backbone.
    """

    def __init__(self, bands: int, classes: int, parameters: ChangevitParameters) -> None:
        each = bands_of_each(bands, dates=2)
        super().__init__(parameters.backbone, in_channels=each, num_classes=classes)


class Btc(BTC):
    """BTC: differences of the features of a Swin Transformer.

    Parameters
    ----------
    bands, classes : int
        Of both dates; of the output.
    parameters : BtcParameters
        Backbone.
    """

    def __init__(self, bands: int, classes: int, parameters: BtcParameters) -> None:
        each = bands_of_each(bands, dates=2)
        super().__init__(parameters.backbone, classes=classes)
        # Scenes come scaled by the mean and deviation of the model's own bands.
        encoder: Any = self.encoder
        encoder.image_normalization = nn.Identity()
        head = self.final_layer
        del self.final_layer
        self.mix = nn.Identity() if each == _BTC_BANDS else nn.Conv2d(each, _BTC_BANDS, kernel_size=1)
        self.final_layer = head  # what stays in float32 is the last of the network's convolutions

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes, H, W) for scaled pixels `x` (N, 2 * bands of a date, H, W)."""
        dates = x.unflatten(1, (2, -1))  # (N, 2, bands, H, W)
        mixed = self.mix(dates.flatten(0, 1)).unflatten(0, dates.shape[:2])
        return super().forward(mixed.flatten(1, 2))
