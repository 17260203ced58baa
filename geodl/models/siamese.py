"""A small siamese U-Net for two dates whose receptive field is bounded on purpose.

Both dates pass one encoder with the same weights (Daudt et al. 2018, https://arxiv.org/abs/1810.08462),
as a batch, so that batch norms see both and the network streams. At every level the features of the
dates are joined; from there on it is `geodl.models.unet_compact.UnetCompact`:

- ``fusion: difference`` goes on with ``|before - after|`` alone. What did not change looks like nothing,
  whatever it is, and the result is the same for exchanged dates.
- ``fusion: concatenation`` goes on with a mixture of both that is learned, and knows what was there and
  which way it went.

With the default widths (16, 32, 64, 128), one block per date and three behind the join, six bands per
date and two classes:

- 1.26 million parameters (difference), 1.28 million (concatenation);
- stride 8, and 102 pixels seen beyond an 8 x 8 cell of output pixels; tests measure it by gradient.
"""

import torch
from torch import Tensor, nn

from geodl.models.date_parameters import SiameseUnetParameters
from geodl.models.dates import bands_of_each
from geodl.models.unet_compact import ResidualBlock, UnetCompact, convolution, initialise


class SiameseUnet(UnetCompact):
    """U-Net with one encoder for two dates, ``(N, bands, H, W) -> (N, classes, H, W)`` logits.

    Parameters
    ----------
    bands, classes : int
        Input channels, first all of the first date, then all of the second; output channels.
    parameters : SiameseUnetParameters
        Channels per level, residual blocks at the coarsest, and how the dates are joined.

    Raises
    ------
    ModelError
        The bands are not as many for one date as for the other.

    Notes
    -----
    H and W must be multiples of the stride, ``2 ** (len(widths) - 1)``.
    """

    def __init__(self, bands: int, classes: int, parameters: SiameseUnetParameters) -> None:
        super().__init__(bands_of_each(bands, dates=2), classes, parameters)
        *finer, _ = parameters.widths
        head = self.head
        del self.head
        self.deepest = nn.Sequential(*(ResidualBlock(finer[-1]) for _ in range(parameters.date_blocks)))
        joins = (*finer, finer[-1])  # one per skip, one for the coarsest level
        self.join = nn.ModuleList(
            convolution(2 * width, width, kernel=1) for width in joins if parameters.fusion == "concatenation"
        )
        self.head = head  # what stays in float32 is the last of the network's convolutions
        initialise(self.deepest)
        initialise(self.join)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes, H, W) for scaled pixels `x` (N, 2 * bands of a date, H, W)."""
        count = x.shape[0]  # len(x) would be written into an exported network
        skips, x = self.encode(torch.cat(x.chunk(2, dim=1), dim=0))  # (2 N, ...): first dates, second dates
        levels = [(both[:count], both[count:]) for both in (*skips, self.deepest(x))]
        *skips, x = self._joined(levels)
        return self.decode(skips, self.bottom(x))

    def _joined(self, dates: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        if not self.join:
            return [(first - second).abs() for first, second in dates]
        return [join(torch.cat(pair, dim=1)) for join, pair in zip(self.join, dates, strict=True)]
