"""What ``model.json`` may say under ``parameters`` of networks that come from elsewhere."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from geodl.models.parameters import EncoderName, Parameters, Tiling, UnetParameters, blended_tiling
from geodl.models.receptive_field import rounded_up

Argument = bool | int | float | EncoderName | tuple[Annotated[int, Field(ge=0, le=4096)], ...] | None


class SmpParameters(Parameters):
    """Any network of segmentation-models-pytorch, by the arguments of its constructor.

    Only arguments listed in `SMP_ARGUMENTS` are taken: the library hands others on to timm, some of whose
    arguments open files. With `one_score` the network tells the second of two classes from the first.
    """

    network: Literal[
        "Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus",
        "UPerNet", "Segformer", "DPT",
    ] = "Unet"  # fmt: skip
    arguments: dict[str, Argument] = Field(default_factory=dict)
    one_score: bool = False

    @model_validator(mode="after")
    def _known_arguments(self) -> "SmpParameters":
        unknown = sorted(self.arguments.keys() - SMP_ARGUMENTS)
        if unknown:
            raise ValueError(f"argument {unknown[0]!r} is not taken; {', '.join(sorted(SMP_ARGUMENTS))} are")
        return self

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        default = "tu-vit_base_patch16_224.augreg_in21k" if self.network == "DPT" else "resnet34"
        return str(self.arguments.get("encoder_name", default))

    def tiling(self) -> Tiling:  # noqa: D102
        plain = self.arguments.keys() <= {"encoder_name", "encoder_depth", "decoder_channels"} | {
            name for name, value in _PLAIN_DECODER.items() if self.arguments.get(name) in value
        }
        depth = self.arguments.get("encoder_depth", 5)
        if self.network in ("Unet", "UnetPlusPlus") and plain and depth in (3, 4, 5):
            return UnetParameters(encoder=self.encoder, depth=cast("Any", depth)).tiling()
        return blended_tiling(32)


SMP_ARGUMENTS = {
    "encoder_name", "encoder_depth", "encoder_output_stride", "decoder_channels", "decoder_use_norm",
    "decoder_attention_type", "decoder_interpolation", "decoder_pab_channels", "decoder_pyramid_channels",
    "decoder_segmentation_channels", "decoder_merge_policy", "decoder_dropout", "decoder_atrous_rates",
    "decoder_aspp_separable", "decoder_aspp_dropout", "decoder_intermediate_channels",
    "decoder_fusion_channels", "decoder_readout", "psp_out_channels", "psp_use_norm", "psp_dropout",
    "upsampling", "dynamic_img_size",
}  # fmt: skip
_PLAIN_DECODER: dict[str, tuple[Argument, ...]] = {
    "decoder_use_norm": (True, "batchnorm"),
    "decoder_attention_type": (None,),
    "decoder_interpolation": ("nearest",),
}


class TorchvisionParameters(Parameters):
    """Segmentation networks of torchvision, without their auxiliary classifier, which only training uses."""

    network: Literal[
        "deeplabv3_resnet50",
        "deeplabv3_resnet101",
        "deeplabv3_mobilenet_v3_large",
        "fcn_resnet50",
        "fcn_resnet101",
        "lraspp_mobilenet_v3_large",
    ] = "deeplabv3_resnet50"
    one_score: bool = False

    def tiling(self) -> Tiling:  # noqa: D102
        return blended_tiling(32)


class OnnxParameters(Parameters):
    """`geodl.models.onnx_network`: what the file's output means, and the sizes that it takes.

    `outputs` are class scores or probabilities; `side` is the height and width that it takes where it takes
    no other, `stride` the number of which they are multiples.
    """

    outputs: Literal["scores", "probabilities"] = "scores"
    side: Annotated[int, Field(ge=1, le=8192)] | None = None
    stride: Annotated[int, Field(ge=1, le=1024)] = 32

    def tiling(self) -> Tiling:  # noqa: D102
        tile = self.side or rounded_up(512, self.stride)
        halo = (tile // 8) // self.stride * self.stride
        return Tiling(tile=tile, halo=halo, stride=self.stride, local=False)
