"""Networks that others wrote: segmentation-models-pytorch (encoders of its own and of timm), torchgeo.

Everything is built with random weights: nothing is downloaded. Imports are inside the functions,
for each of these libraries takes seconds to import.
"""

from typing import TYPE_CHECKING, Any

from geodl.errors import ModelError
from geodl.models.date_parameters import BtcParameters, ChangevitParameters
from geodl.models.dates import bands_of_each
from geodl.models.imported_parameters import SmpParameters, TorchvisionParameters
from geodl.models.parameters import Deeplabv3plusParameters, FcnParameters, PooledParameters, UnetParameters

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

    outputs = _outputs(classes, parameters.one_score)
    network = FCN(in_channels=bands, classes=outputs, num_filters=parameters.filters)
    return _with_two_scores(network) if parameters.one_score else network


def build_fc_siam_conc(bands: int, classes: int, parameters: UnetParameters) -> "nn.Module":
    """Build `torchgeo.models.FCSiamConc`."""
    from geodl.models.torchgeo_change import FcSiamConc

    return _without_unused_stages(FcSiamConc(**_fc_siam(bands, classes, parameters)), parameters.depth)


def build_fc_siam_diff(bands: int, classes: int, parameters: UnetParameters) -> "nn.Module":
    """Build `torchgeo.models.FCSiamDiff`."""
    from geodl.models.torchgeo_change import FcSiamDiff

    return _without_unused_stages(FcSiamDiff(**_fc_siam(bands, classes, parameters)), parameters.depth)


def _fc_siam(bands: int, classes: int, parameters: UnetParameters) -> dict[str, Any]:
    return {
        "encoder_name": _known_encoder(parameters.encoder),
        "encoder_depth": parameters.depth,
        "encoder_weights": None,
        "decoder_channels": parameters.widths,
        "in_channels": bands_of_each(bands, dates=2),
        "classes": classes,
    }


def build_btc(bands: int, classes: int, parameters: BtcParameters) -> "nn.Module":
    """Build `torchgeo.models.BTC`."""
    from geodl.models.torchgeo_change import Btc

    return Btc(bands, classes, parameters)


def build_changevit(bands: int, classes: int, parameters: ChangevitParameters) -> "nn.Module":
    """Build `torchgeo.models.ChangeViT`."""
    from geodl.models.torchgeo_change import Changevit

    return Changevit(bands, classes, parameters)


def build_smp(bands: int, classes: int, parameters: SmpParameters) -> "nn.Module":
    """Build a network of segmentation-models-pytorch by the arguments of its constructor."""
    import segmentation_models_pytorch as smp

    arguments = {"encoder_weights": None, "in_channels": bands, **parameters.arguments}
    arguments["encoder_name"] = _known_encoder(parameters.encoder)
    arguments["classes"] = _outputs(classes, parameters.one_score)
    network = getattr(smp, parameters.network)(**arguments)
    return _with_two_scores(network) if parameters.one_score else network


def build_torchvision(bands: int, classes: int, parameters: TorchvisionParameters) -> "nn.Module":
    """Build a segmentation network of torchvision; its first convolution takes any number of bands."""
    from torch import nn
    from torchvision.models import segmentation

    from geodl.models.wrapped import FirstOutput

    build = getattr(segmentation, parameters.network)
    network = build(weights=None, weights_backbone=None, num_classes=_outputs(classes, parameters.one_score))
    path, first = next((name, m) for name, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if bands != first.in_channels:
        parent, _, name = path.rpartition(".")
        size: dict[str, Any] = {"kernel_size": first.kernel_size, "stride": first.stride}
        adapted = nn.Conv2d(bands, first.out_channels, **size, padding=first.padding, bias=False)  # type: ignore[arg-type]
        setattr(network.get_submodule(parent), name, adapted)
    whole = FirstOutput(network)
    return _with_two_scores(whole) if parameters.one_score else whole


def _outputs(classes: int, one_score: bool) -> int:
    if one_score and classes != 2:
        raise ModelError(
            "parameters.one_score", f"one score tells two classes apart, the model has {classes}",
            "leave it out",
        )  # fmt: skip
    return 1 if one_score else classes


def _with_two_scores(network: "nn.Module") -> "nn.Module":
    from geodl.models.wrapped import TwoScores

    return TwoScores(network)


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
