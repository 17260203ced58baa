"""`MODELS`: every architecture by the name that users type. One row per architecture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geodl.errors import ModelError
from geodl.models import libraries
from geodl.models.architecture import Architecture
from geodl.models.date_parameters import BtcParameters, ChangevitParameters, SiameseUnetParameters
from geodl.models.imported_parameters import OnnxParameters, SmpParameters, TorchvisionParameters
from geodl.models.parameters import (
    Deeplabv3plusParameters,
    FcnParameters,
    PooledParameters,
    SegformerParameters,
    SegnetParameters,
    Tiling,
    UnetCompactParameters,
    UnetParameters,
)
from geodl.models.series_parameters import LtaeParameters
from geodl.models.spec import ONNX, ModelSpec

if TYPE_CHECKING:
    from torch import nn


def architecture_named(name: str) -> Architecture:
    """Return the row of `MODELS`.

    Raises
    ------
    ModelError
        There is no such row; the message lists those there are.
    """
    if name not in MODELS:
        raise ModelError(
            f"architecture {name!r}", "geodl has none of this name", f"use one of {', '.join(MODELS)}"
        )
    return MODELS[name]


def tiling_of(architecture: str, parameters: Mapping[str, Any] | None = None) -> Tiling:
    """Return the default tile, halo, stride and stitch mode of a network, without building it.

    Parameters
    ----------
    architecture : str
        Row of `MODELS`.
    parameters : mapping, optional
        As under ``parameters`` in ``model.json``.

    Raises
    ------
    ModelError
        Unknown architecture or parameter.

    Examples
    --------
    >>> tiling_of("unet", {"encoder": "resnet18"})
    Tiling(tile=1024, halo=256, stride=32, local=True)
    """
    return architecture_named(architecture).read_parameters(parameters or {}).tiling()


def check_tiling(spec: ModelSpec) -> None:
    """Check that a model's tiles fit the lattice of its network.

    Raises
    ------
    ModelError
        The declared stride is no multiple of the network's; or architecture or a parameter is unknown.
    """
    stride = tiling_of(spec.architecture, spec.parameters).stride
    if spec.stride % stride:
        raise ModelError(
            f"architecture {spec.architecture!r}",
            f"stride {spec.stride} is no multiple of {stride}, the stride of this network",
            "mend tile, halo and stride",
        )


def build_network(spec: ModelSpec) -> "nn.Module":
    """Build the network of a model with random weights, in training mode, on the current device.

    Parameters
    ----------
    spec : ModelSpec
        Its `architecture`, `parameters`, and the numbers of `bands` and `classes` are used.

    Returns
    -------
    torch.nn.Module
        (N, bands, H, W) float32 -> logits (N, classes, H, W).

    Raises
    ------
    ModelError
        Unknown architecture, parameter or encoder, or an encoder that the architecture cannot use.
    """
    row = architecture_named(spec.architecture)
    parameters = row.read_parameters(spec.parameters)
    try:
        return row.build(len(spec.bands), len(spec.classes), parameters)
    except ModelError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RuntimeError) as error:
        # The libraries refuse combinations in their own ways (an encoder without the depth, without
        # dilation, for one image size only); the file that asked for it is what the user can mend.
        raise ModelError(
            f"architecture {row.name!r}",
            f"it cannot be built with {parameters!r} ({type(error).__name__}: {error})",
            "choose another encoder",
        ) from error


def onnx_network(content: bytes, spec: ModelSpec) -> "nn.Module":
    """Return the network of an ONNX file as the network of a model.

    Parameters
    ----------
    content : bytes
        The whole file.
    spec : ModelSpec
        Its `parameters`, and the numbers of `bands` and `classes` are used.

    Raises
    ------
    ModelError
        The file is damaged, refers to others, or does not fit the model.
    """
    from geodl.models.onnx_network import OnnxNetwork

    parameters: Any = architecture_named(ONNX).read_parameters(spec.parameters)
    return OnnxNetwork(content, len(spec.bands), len(spec.classes), parameters)


def _build_unet_compact(bands: int, classes: int, parameters: UnetCompactParameters) -> "nn.Module":
    from geodl.models.unet_compact import UnetCompact

    return UnetCompact(bands, classes, parameters)


def _build_siamese_unet(bands: int, classes: int, parameters: SiameseUnetParameters) -> "nn.Module":
    from geodl.models.siamese import SiameseUnet

    return SiameseUnet(bands, classes, parameters)


def _build_ltae(bands: int, classes: int, parameters: LtaeParameters) -> "nn.Module":
    from geodl.models.ltae import Ltae

    return Ltae(bands, classes, parameters)


def _build_segnet(bands: int, classes: int, parameters: SegnetParameters) -> "nn.Module":
    from geodl.models.segnet import Segnet

    return Segnet(bands, classes, parameters)


def _build_onnx(bands: int, classes: int, parameters: OnnxParameters) -> "nn.Module":  # noqa: ARG001
    raise ModelError(
        f"architecture {ONNX!r}",
        "its network comes whole, in a file, and cannot be built anew",
        f"use one of {', '.join(name for name, row in MODELS.items() if row.trainable)}",
    )


MODELS: dict[str, Architecture] = {
    row.name: row
    for row in (
        Architecture(
            name="unet_compact",
            title="U-Net, compact",
            source="geodl, after https://arxiv.org/abs/1505.04597",
            parameters=UnetCompactParameters,
            build=_build_unet_compact,
            note="bounded receptive field: exact with a halo of 88 pixels; 1.2 million parameters",
        ),
        Architecture(
            name="unet",
            title="U-Net",
            source="https://arxiv.org/abs/1505.04597, segmentation-models-pytorch",
            parameters=UnetParameters,
            build=libraries.build_unet,
            note="local with plain convolutional encoders; depth 3 needs a far smaller halo than 5",
        ),
        Architecture(
            name="unetplusplus",
            title="U-Net++",
            source="https://arxiv.org/abs/1807.10165, segmentation-models-pytorch",
            parameters=UnetParameters,
            build=libraries.build_unetplusplus,
            note="local with plain convolutional encoders; not with Mix Transformer encoders",
        ),
        Architecture(
            name="fpn",
            title="Feature Pyramid Network",
            source="https://arxiv.org/abs/1901.02446, segmentation-models-pytorch",
            parameters=PooledParameters,
            build=libraries.build_fpn,
            note="group norm looks at the whole tile: tiles are blended",
        ),
        Architecture(
            name="deeplabv3plus",
            title="DeepLabV3+",
            source="https://arxiv.org/abs/1802.02611, segmentation-models-pytorch",
            parameters=Deeplabv3plusParameters,
            build=libraries.build_deeplabv3plus,
            note="image-level pooling looks at the whole tile: tiles are blended",
        ),
        Architecture(
            name="segformer",
            title="SegFormer",
            source="https://arxiv.org/abs/2105.15203, segmentation-models-pytorch",
            parameters=SegformerParameters,
            build=libraries.build_segformer,
            note="attention looks at the whole tile: tiles are blended",
        ),
        Architecture(
            name="upernet",
            title="UPerNet",
            source="https://arxiv.org/abs/1807.10221, segmentation-models-pytorch",
            parameters=PooledParameters,
            build=libraries.build_upernet,
            note="pyramid pooling looks at the whole tile: tiles are blended",
        ),
        Architecture(
            name="fcn",
            title="Fully convolutional network",
            source="https://arxiv.org/abs/1411.4038, torchgeo",
            parameters=FcnParameters,
            build=libraries.build_fcn,
            note="five convolutions at full size: sees five pixels far",
        ),
        Architecture(
            name="segnet",
            title="SegNet",
            source="geodl, after https://arxiv.org/abs/1511.00561",
            parameters=SegnetParameters,
            build=_build_segnet,
            note="unpools by the indices of the maxima; local",
        ),
        Architecture(
            name="siamese_unet",
            title="Siamese U-Net, compact",
            source="geodl, after https://arxiv.org/abs/1810.08462",
            parameters=SiameseUnetParameters,
            build=_build_siamese_unet,
            note="two dates; bounded receptive field: exact with a halo of 104; 1.3 million parameters",
        ),
        Architecture(
            name="fc_siam_conc",
            title="FC-Siam-conc",
            source="https://arxiv.org/abs/1810.08462, torchgeo",
            parameters=UnetParameters,
            build=libraries.build_fc_siam_conc,
            note="two dates; as far-sighted as a U-Net of the same encoder and depth",
        ),
        Architecture(
            name="fc_siam_diff",
            title="FC-Siam-diff",
            source="https://arxiv.org/abs/1810.08462, torchgeo",
            parameters=UnetParameters,
            build=libraries.build_fc_siam_diff,
            note="two dates; as far-sighted as a U-Net of the same encoder and depth",
        ),
        Architecture(
            name="btc",
            title="Be The Change (BTC)",
            source="https://arxiv.org/abs/2507.03367, torchgeo",
            parameters=BtcParameters,
            build=libraries.build_btc,
            note="two dates; attention and pyramid pooling look at the whole tile: tiles are blended",
        ),
        Architecture(
            name="changevit",
            title="ChangeViT",
            source="https://arxiv.org/abs/2406.12847, torchgeo",
            parameters=ChangevitParameters,
            build=libraries.build_changevit,
            note="two dates; attention looks at the whole tile: tiles are blended",
        ),
        Architecture(
            name="ltae",
            title="Lightweight Temporal Attention Encoder (L-TAE)",
            source="https://arxiv.org/abs/2007.00586, torchgeo",
            parameters=LtaeParameters,
            build=_build_ltae,
            note="many dates; each pixel by itself unless `context` says otherwise: exact with a halo of 0",
        ),
        Architecture(
            name="smp",
            title="A network of segmentation-models-pytorch",
            source="https://github.com/qubvel-org/segmentation_models.pytorch",
            parameters=SmpParameters,
            build=libraries.build_smp,
            note="by the arguments of its constructor; what imported networks are",
        ),
        Architecture(
            name="torchvision",
            title="A segmentation network of torchvision",
            source="https://docs.pytorch.org/vision/stable/models.html#semantic-segmentation",
            parameters=TorchvisionParameters,
            build=libraries.build_torchvision,
            note="large receptive fields or pooled context: tiles are blended",
        ),
        Architecture(
            name=ONNX,
            title="A network from an ONNX file",
            source="https://onnx.ai, run by https://onnxruntime.ai",
            parameters=OnnxParameters,
            build=_build_onnx,
            note="computes on the processor; cannot be trained",
            trainable=False,
        ),
    )
}
