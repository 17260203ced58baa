"""What ``model.json`` may say under ``parameters`` of networks that look at several dates."""

from typing import Annotated, Literal

from pydantic import Field

from geodl.models.parameters import Parameters, Tiling, UnetCompactParameters, blended_tiling
from geodl.models.receptive_field import overhang


class SiameseUnetParameters(UnetCompactParameters):
    """`geodl.models.siamese`: as `unet_compact`, and how two dates are joined.

    `date_blocks` residual blocks at the coarsest level see each date alone, `blocks` see both.
    """

    date_blocks: Annotated[int, Field(ge=0, le=32)] = 1
    fusion: Literal["difference", "concatenation"] = "difference"

    @property
    def overhang(self) -> int:
        """Pixels seen beyond a cell; 102 for the defaults."""
        levels = [2] * (len(self.widths) - 1)
        return overhang(encoder=levels, bottom=1 + 2 * (self.date_blocks + self.blocks), decoder=levels)


class BtcParameters(Parameters):
    """`torchgeo.models.BTC`: Swin Transformer encoder, differences, UPerNet decoder.

    It takes three bands per date; others are mixed into three by a convolution of 1 x 1 before it.
    """

    backbone: Literal["swin_tiny", "swin_small", "swin_base"] = "swin_tiny"

    def tiling(self) -> Tiling:  # noqa: D102
        return blended_tiling(32)


class ChangevitParameters(Parameters):
    """`torchgeo.models.ChangeViT`: a plain Vision Transformer of timm and a convolutional branch for details.

    Only backbones whose tokens are those of the patches after one for the class: torchgeo takes the others
    (registers of DINO) for patches.
    """

    backbone: Literal["vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224"] = (
        "vit_tiny_patch16_224"
    )

    def tiling(self) -> Tiling:  # noqa: D102
        return blended_tiling(16)
