"""SegNet: VGG-like encoder, and a decoder that puts maxima back where they came from.

Badrinarayanan, Kendall, Cipolla 2017, https://arxiv.org/abs/1511.00561. Pooling keeps the index of
each maximum; unpooling writes the value there and zeros elsewhere, so borders stay sharp without
skip connections. The default is the paper's network: the 13 convolutions of VGG-16 and their mirror.

The network is local: pooling windows of 2 x 2 do not overlap, so the output shifts with input shifts
of ``2 ** levels`` and a cell of that size sees 186 pixels beyond its border with the defaults.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from geodl.models.parameters import SegnetParameters


class Segnet(nn.Module):
    """SegNet, ``(N, bands, H, W) -> (N, classes, H, W)`` logits.

    Parameters
    ----------
    bands, classes : int
        Input and output channels.
    parameters : SegnetParameters
        Channels and number of 3 x 3 convolutions per level, finest first.

    Notes
    -----
    H and W must be multiples of ``2 ** len(widths)``.
    """

    def __init__(self, bands: int, classes: int, parameters: SegnetParameters) -> None:
        super().__init__()
        widths, convolutions = parameters.widths, parameters.convolutions
        self.encoder = nn.ModuleList(
            _convolutions([before] + [width] * count)
            for before, width, count in zip((bands, *widths), widths, convolutions, strict=False)
        )
        # Level i hands level i - 1 as many channels as that level pooled; at full size the
        # classifier takes the place of the last convolution.
        self.decoder = nn.ModuleList(
            _convolutions([width] * count + list(after))
            for after, width, count in zip(((), *((w,) for w in widths)), widths, convolutions, strict=False)
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes, H, W) for scaled pixels `x` (N, bands, H, W)."""
        maxima = []
        for level in self.encoder:
            x, indices = F.max_pool2d(level(x), kernel_size=2, return_indices=True)
            maxima.append(indices)  # (N, widths[i], H / 2**(i+1), W / 2**(i+1))
        for indices, level in zip(reversed(maxima), reversed(self.decoder), strict=True):
            x = level(F.max_unpool2d(x, indices, kernel_size=(2, 2)))
        return self.head(x)


def _convolutions(widths: list[int]) -> nn.Sequential:
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            )
            for before, after in pairwise(widths)
        )
    )
