"""A small U-Net whose receptive field is bounded on purpose, so that exact tiling is cheap.

U-Net (Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597) with batch norm, residual blocks
at the coarsest level (He et al. 2016, https://arxiv.org/abs/1512.03385), nearest upsampling, and
decoder features narrowed *before* they are doubled, where a 1 x 1 convolution costs a quarter.

With the default widths (16, 32, 64, 128), three blocks, six bands and six classes:

- 1.19 million parameters (test: at most 2) and 46 kMAC per pixel;
- stride 8: pooling three times, so the output shifts with input shifts of 8 pixels;
- an 8 x 8 cell of output pixels sees 86 pixels beyond its border and not one more: from the output,
  2 + 2 * 2 + 2 * 4 pixels of decoder convolutions, 7 * 8 at the coarsest level, the same 14 on the
  way in, plus what is gained and lost where pooling cells do not begin at the pixel. See
  `receptive_field_radius`; a test measures it by gradient.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geodl.models.parameters import UnetCompactParameters


def receptive_field_radius(parameters: UnetCompactParameters) -> int:
    """Pixels of the input that can change the output of a cell from outside the cell.

    Parameters
    ----------
    parameters : UnetCompactParameters
        Widths and number of blocks.

    Returns
    -------
    int
        Pixels, on each side of the ``stride x stride`` cell; a halo of this size is exact.

    Examples
    --------
    >>> receptive_field_radius(UnetCompactParameters())
    86
    """
    return parameters.overhang


class UnetCompact(nn.Module):
    """U-Net of 3 x 3 convolutions, ``(N, bands, H, W) -> (N, classes, H, W)`` logits.

    Parameters
    ----------
    bands, classes : int
        Input and output channels.
    parameters : UnetCompactParameters
        Channels per level, finest first, and the number of residual blocks at the coarsest.

    Notes
    -----
    H and W must be multiples of the stride, ``2 ** (len(widths) - 1)``.
    """

    def __init__(self, bands: int, classes: int, parameters: UnetCompactParameters) -> None:
        super().__init__()
        *finer, coarsest = parameters.widths
        self.encoder = nn.ModuleList(
            nn.Sequential(convolution(before, width), convolution(width, width))
            for before, width in zip([bands, *finer], finer, strict=False)
        )
        self.bottom = nn.Sequential(
            convolution(finer[-1], coarsest), *(ResidualBlock(coarsest) for _ in range(parameters.blocks))
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(below, width, kernel_size=1)
            for width, below in zip(finer, parameters.widths[1:], strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(convolution(2 * width, width), convolution(width, width)) for width in finer
        )
        self.head = nn.Conv2d(finer[0], classes, kernel_size=1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes, H, W) for scaled pixels `x` (N, bands, H, W)."""
        skips, x = self.encode(x)
        return self.decode(skips, self.bottom(x))

    def encode(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the features of each finer level, and what comes to the coarsest.

        Returns
        -------
        tuple
            Skips (N, widths[i], H / 2**i, W / 2**i) and (N, widths[-2], H / stride, W / stride).
        """
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = F.max_pool2d(x, kernel_size=2)
        return skips, x

    def decode(self, skips: list[Tensor], x: Tensor) -> Tensor:
        """Return logits (N, classes, H, W) for `skips` as of `encode` and the coarsest level's result."""
        for skip, narrow, level in reversed(list(zip(skips, self.narrow, self.decoder, strict=True))):
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = level(torch.cat([skip, x], dim=1))
        return self.head(x)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut, channels kept."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the shape of `x`, (N, width, H, W)."""
        return F.relu(x + self.second(self.first(x)))


def convolution(before: int, after: int, *, kernel: int = 3) -> nn.Sequential:
    """Return a convolution that keeps rows and columns, its batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def initialise(network: nn.Module) -> None:
    """Draw the weights of all convolutions after He et al. 2015, https://arxiv.org/abs/1502.01852."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
