"""What ``model.json`` may say under ``parameters``, and how each network may be tiled.

One class per kind of architecture. Each knows, without torch, the tiling that fits the network it
describes. Bounds keep a hostile file from asking for a network that fills the memory.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from geodl.models.receptive_field import overhang, rounded_up

Width = Annotated[int, Field(ge=1, le=1024)]
# No colon and no slash: timm reads "hf_hub:..." and "local-dir:..." names from elsewhere.
EncoderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,96}$")]


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a network wants its input cut.

    Parameters
    ----------
    tile : int
        Side of the square that the network sees by default, pixels.
    halo : int
        Pixels on each side of a tile whose result is thrown away (crop) or faded out (blend).
    stride : int
        The output shifts exactly with input shifts of this many pixels; tile sides are multiples.
    local : bool
        Whether an output pixel depends on a bounded neighbourhood only and shifts with `stride`.
    """

    tile: int
    halo: int
    stride: int
    local: bool

    @property
    def stitch(self) -> Literal["crop", "blend"]:
        """Local networks are cut at the core; others need their tiles blended."""
        return "crop" if self.local else "blend"


class Parameters(BaseModel, ABC):
    """Base of all parameter classes: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def tiling(self) -> Tiling:
        """Return the default tiling of the network that these parameters describe."""


class UnetCompactParameters(Parameters):
    """`geodl.models.unet_compact`: channels per level, finest first, and bottleneck depth."""

    widths: Annotated[tuple[Width, ...], Field(min_length=2, max_length=6)] = (16, 32, 64, 128)
    blocks: Annotated[int, Field(ge=0, le=32)] = 3

    @property
    def stride(self) -> int:
        """Pixels per cell of the coarsest level."""
        return 2 ** (len(self.widths) - 1)

    @property
    def overhang(self) -> int:
        """Pixels seen beyond a cell; 86 for the defaults."""
        # Two convolutions per level each way; at the coarsest one that widens, then two per block.
        levels = [2] * (len(self.widths) - 1)
        return overhang(encoder=levels, bottom=1 + 2 * self.blocks, decoder=levels)

    def tiling(self) -> Tiling:  # noqa: D102
        return _exact_tiling(self.overhang, self.stride, tile=512)


class SegnetParameters(Parameters):
    """`geodl.models.segnet`: channels and convolutions per level, finest first."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=6)] = (64, 128, 256, 512, 512)
    convolutions: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(min_length=1, max_length=6)
    ] = (
        2,
        2,
        3,
        3,
        3,
    )

    @model_validator(mode="after")
    def _same_levels(self) -> "SegnetParameters":
        if len(self.widths) != len(self.convolutions):
            raise ValueError(f"widths has {len(self.widths)} levels, convolutions {len(self.convolutions)}")
        return self

    @property
    def stride(self) -> int:
        """Pixels per cell of the coarsest level."""
        return 2 ** len(self.widths)

    @property
    def overhang(self) -> int:
        """Pixels seen beyond a cell; 186 for the defaults."""
        return overhang(encoder=self.convolutions, bottom=0, decoder=self.convolutions)

    def tiling(self) -> Tiling:  # noqa: D102
        return _exact_tiling(self.overhang, self.stride, tile=1024)


class FcnParameters(Parameters):
    """`torchgeo.models.FCN`: channels of its five convolutions.

    With `one_score` it gives one score that tells the second of two classes from the first.
    """

    filters: Width = 64
    one_score: bool = False

    def tiling(self) -> Tiling:  # noqa: D102
        # Five 3 x 3 convolutions at full size: five pixels.
        return _exact_tiling(5, 1, tile=512)


class UnetParameters(Parameters):
    """U-Net and U-Net++ of segmentation-models-pytorch; `decoder` has one width per level, deepest first."""

    encoder: EncoderName = "resnet18"
    depth: Literal[3, 4, 5] = 5
    decoder: tuple[Width, ...] | None = None

    @model_validator(mode="after")
    def _one_width_per_level(self) -> "UnetParameters":
        if self.decoder is not None and len(self.decoder) != self.depth:
            raise ValueError(f"decoder names {len(self.decoder)} widths, depth is {self.depth}")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the decoder, deepest level first."""
        return self.decoder or (256, 128, 64, 32, 16)[-self.depth :]

    def tiling(self) -> Tiling:  # noqa: D102
        if not is_local_encoder(self.encoder):
            return blended_tiling(32)
        if self.encoder.startswith("tu-hrnet"):
            # HRNet carries its 1/32 branch along however few of its maps the decoder takes.
            return Tiling(tile=1024, halo=256, stride=32, local=True)
        # Measured with `geodl.models.probe` on random weights, pixels at depth 3, 4, 5: ResNet-18
        # 65, 137, 281; VGG-16 74, 154; ResNet-34 105, 305, 513; ResNet-50 61, 165; DenseNet-121 141,
        # over 400. So depth 3 is exact, and depth 4 for the shallow ones. The last pixels of a large
        # reach weigh little: ResNet-18 at depth 5 and halo 256 gives 99.99 % of the classes of the
        # whole scene even for random weights, the worst case.
        shallow = _SHALLOW_ENCODERS.fullmatch(self.encoder) is not None
        halo = {3: 96, 4: 160, 5: 256}[self.depth] if shallow else {3: 160, 4: 256, 5: 256}[self.depth]
        return Tiling(tile=512 + 2 * halo, halo=halo, stride=2**self.depth, local=True)


class PooledParameters(Parameters):
    """Networks of segmentation-models-pytorch whose decoder looks at the whole tile."""

    encoder: EncoderName = "resnet18"

    def tiling(self) -> Tiling:  # noqa: D102
        return blended_tiling(32)


class SegformerParameters(PooledParameters):
    """SegFormer: a Mix Transformer encoder and a decoder of 1 x 1 convolutions."""

    encoder: EncoderName = "mit_b0"


class Deeplabv3plusParameters(PooledParameters):
    """DeepLabV3+: `output_stride` is the stride at which the encoder stops pooling and dilates."""

    output_stride: Literal[8, 16] = 16

    def tiling(self) -> Tiling:  # noqa: D102
        return blended_tiling(self.output_stride)


# Convolution, batch norm, pooling and nearest upsampling only; no squeeze-and-excitation, no
# attention, no norm over space. tests/test_models_probe.py measures one of each family.
_LOCAL_ENCODERS = re.compile(
    r"(resnet|resnext|vgg|densenet)\d+(_bn|_32x\d+d)?"
    r"|mobilenet_v2"
    r"|tu-resnet\d+[dt]?(\.\w+)?"
    r"|tu-hrnet_w\d+(_small|_small_v2)?(\.\w+)?"
)
_SHALLOW_ENCODERS = re.compile(r"vgg\d+(_bn)?|(tu-)?resnet18(\.\w+)?")


def is_local_encoder(encoder: str) -> bool:
    """Whether an encoder is known to depend on a bounded neighbourhood only.

    Examples
    --------
    >>> is_local_encoder("resnet34"), is_local_encoder("efficientnet-b0")
    (True, False)
    """
    return _LOCAL_ENCODERS.fullmatch(encoder) is not None


def _exact_tiling(overhang_pixels: int, stride: int, *, tile: int) -> Tiling:
    halo = rounded_up(overhang_pixels, stride)
    # At least a quarter of a tile's side is kept, however far the network looks.
    return Tiling(tile=max(tile, rounded_up(2 * halo * 4 // 3, stride)), halo=halo, stride=stride, local=True)


def blended_tiling(stride: int) -> Tiling:
    """Tiling of a network that looks at whole tiles."""
    return Tiling(tile=512, halo=64, stride=stride, local=False)
