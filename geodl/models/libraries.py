"""Networks that others wrote: segmentation-models-pytorch (encoders of its own and of timm), torchgeo.

Everything is built with random weights: nothing is downloaded. Imports are inside the functions,
for each of these libraries takes seconds to import.
"""

from typing import TYPE_CHECKING, Any

from geodl.errors import ModelError
from geodl.models.parameters import (
    Deeplabv3plusParameters,
    FcnParameters,
    PooledParameters,
    UnetParameters,
)

if TYPE_CHECKING:
    from torch import nn


def build_unet(bands: int, classes: int, parameters: UnetParameters) -> "nn.Module":
    """Build `segmentation_models_pytorch.Unet`."""
    import segmentation_models_pytorch as smp

    return _without_unused_stages(
        smp.Unet(
            encoder_name=_known_encoder(parameters.encoder),
            encoder_depth=parameters.depth,
            encoder_weights=None,
            decoder_channels=parameters.widths,
            in_channels=bands,
            classes=classes,
        ),
        parameters.depth,
    )


def build_unetplusplus(bands: int, classes: int, parameters: UnetParameters) -> "nn.Module":
    """Build `segmentation_models_pytorch.UnetPlusPlus`."""
    import segmentation_models_pytorch as smp

    return _without_unused_stages(
        smp.UnetPlusPlus(
            encoder_name=_known_encoder(parameters.encoder),
            encoder_depth=parameters.depth,
            encoder_weights=None,
            decoder_channels=parameters.widths,
            in_channels=bands,
            classes=classes,
        ),
        parameters.depth,
    )


def build_fpn(bands: int, classes: int, parameters: PooledParameters) -> "nn.Module":
    """Build `segmentation_models_pytorch.FPN`."""
    import segmentation_models_pytorch as smp

    return smp.FPN(
        _known_encoder(parameters.encoder), encoder_weights=None, in_channels=bands, classes=classes
    )


def build_segformer(bands: int, classes: int, parameters: PooledParameters) -> "nn.Module":
    """Build `segmentation_models_pytorch.Segformer`."""
    import segmentation_models_pytorch as smp

    return smp.Segformer(
        _known_encoder(parameters.encoder), encoder_weights=None, in_channels=bands, classes=classes
    )


def build_upernet(bands: int, classes: int, parameters: PooledParameters) -> "nn.Module":
    """Build `segmentation_models_pytorch.UPerNet`."""
    import segmentation_models_pytorch as smp

    return smp.UPerNet(
        _known_encoder(parameters.encoder), encoder_weights=None, in_channels=bands, classes=classes
    )


def build_deeplabv3plus(bands: int, classes: int, parameters: Deeplabv3plusParameters) -> "nn.Module":
    """Build `segmentation_models_pytorch.DeepLabV3Plus`."""
    import segmentation_models_pytorch as smp

    return smp.DeepLabV3Plus(
        _known_encoder(parameters.encoder),
        encoder_weights=None,
        encoder_output_stride=parameters.output_stride,
        in_channels=bands,
        classes=classes,
    )


def build_fcn(bands: int, classes: int, parameters: FcnParameters) -> "nn.Module":
    """Build `torchgeo.models.FCN`."""
    from torchgeo.models import FCN

    return FCN(in_channels=bands, classes=classes, num_filters=parameters.filters)


def _known_encoder(name: str) -> str:
    """Return `name` if segmentation-models-pytorch or timm has such an encoder.

    Raises
    ------
    ModelError
        Neither knows it; the message lists some and says how timm's are named.
    """
    import timm
    from segmentation_models_pytorch.encoders import get_encoder_names

    known = timm.is_model(name.removeprefix("tu-")) if name.startswith("tu-") else name in get_encoder_names()
    if known:
        return name
    raise ModelError(
        f"encoder {name!r}",
        "neither segmentation-models-pytorch nor timm has it",
        f"use one of {', '.join(get_encoder_names()[:8])} ..., or 'tu-' and a name of timm.list_models(), "
        "as in tu-hrnet_w18",
    )


def _without_unused_stages(network: "nn.Module", depth: int) -> "nn.Module":
    # An encoder of its own that smp cuts at depth 3 or 4 keeps the deeper stages though no data
    # flows through them: three quarters of a ResNet-18 that nobody trains.
    encoder: Any = network.encoder
    try:
        stages = encoder.get_stages()
    except (AttributeError, NotImplementedError):
        return network  # timm's encoders cut themselves; a few of smp's do not say where their stages end
    unused = {id(module) for stride, modules in stages.items() if stride > 2**depth for module in modules}
    for name in [name for name, child in encoder.named_children() if id(child) in unused]:
        delattr(encoder, name)
    return network
