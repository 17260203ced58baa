"""Which convolutions hand which channels to which, for the networks that can be pruned.

Channels that are added to each other, or put back where others came from, go by one name: they stay or
leave together. What none of the layers makes stays whole.
"""

from dataclasses import dataclass
from itertools import pairwise

from geodl.models.parameters import FcnParameters, SegnetParameters, UnetCompactParameters, UnetParameters

IMAGE, CLASSES = "image", "classes"
"""The bands, and the scores of the classes, which are not ours to take out."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution.

    Parameters
    ----------
    name : str
        Path of the convolution in the network.
    norm : str or None
        Path of the batch norm that follows it.
    inputs : tuple of str
        Names of the channels that it sees, in the order in which they are joined.
    output : str
        Name of the channels that it makes.
    """

    name: str
    norm: str | None = None
    inputs: tuple[str, ...]
    output: str


def unet_compact_layers(parameters: UnetCompactParameters) -> list[Layer]:
    """Layers of `geodl.models.unet_compact`."""
    levels = len(parameters.widths) - 1
    layers, seen = [], IMAGE
    for i in range(levels):
        layers += [
            _normed(f"encoder.{i}.0", (seen,), f"in{i}"),
            _normed(f"encoder.{i}.1", (f"in{i}",), f"skip{i}"),
        ]
        seen = f"skip{i}"
    layers.append(_normed("bottom.0", (seen,), "bottom"))
    for j in range(1, parameters.blocks + 1):
        layers += [
            _normed(f"bottom.{j}.first", ("bottom",), f"block{j}"),
            _normed(f"bottom.{j}.second", (f"block{j}",), "bottom"),
        ]
    seen = "bottom"
    for i in reversed(range(levels)):
        layers += [
            Layer(name=f"narrow.{i}", inputs=(seen,), output=f"narrow{i}"),
            _normed(f"decoder.{i}.0", (f"skip{i}", f"narrow{i}"), f"joined{i}"),
            _normed(f"decoder.{i}.1", (f"joined{i}",), f"out{i}"),
        ]
        seen = f"out{i}"
    return [*layers, Layer(name="head", inputs=(seen,), output=CLASSES)]


def segnet_layers(parameters: SegnetParameters) -> list[Layer]:
    """Layers of `geodl.models.segnet`; maxima go back to the channels that they came from."""
    layers, seen = [], IMAGE
    for i, count in enumerate(parameters.convolutions):
        names = [f"in{i}.{j}" for j in range(count - 1)] + [f"pooled{i}"]
        for j, (before, after) in enumerate(pairwise([seen, *names])):
            layers.append(_normed(f"encoder.{i}.{j}", (before,), after))
        seen = names[-1]
    for i, count in reversed(list(enumerate(parameters.convolutions))):
        names = [f"out{i}.{j}" for j in range(count - 1)] + ([f"pooled{i - 1}"] if i else [])
        for j, (before, after) in enumerate(pairwise([seen, *names])):
            layers.append(_normed(f"decoder.{i}.{j}", (before,), after))
        seen = names[-1] if names else seen
    return [*layers, Layer(name="head", inputs=(seen,), output=CLASSES)]


def fcn_layers(parameters: FcnParameters) -> list[Layer]:  # noqa: ARG001 - the same for all widths
    """Layers of torchgeo's FCN."""
    names = [IMAGE, *(f"layer{i}" for i in range(1, 6))]
    layers = [
        Layer(name=f"backbone.{2 * i}", inputs=(before,), output=after)  # activations lie between
        for i, (before, after) in enumerate(pairwise(names))
    ]
    return [*layers, Layer(name="last", inputs=(names[-1],), output=CLASSES)]


def unet_layers(parameters: UnetParameters) -> list[Layer]:
    """Layers of the decoder of the U-Net of segmentation-models-pytorch.

    Its encoders come in the widths of their names, with sums between most of their layers: they stay whole.
    """
    layers, seen = [], ""
    for i in range(len(parameters.widths)):
        # The first block sees the two deepest levels of the encoder, the others one each; the last none.
        inputs = (seen, f"encoder{i}") if seen else ("encoder0",)
        path, seen = f"decoder.blocks.{i}", f"out{i}"
        layers += [
            _normed(f"{path}.conv1", inputs, f"joined{i}"),
            _normed(f"{path}.conv2", (f"joined{i}",), seen),
        ]
    return [*layers, Layer(name="segmentation_head.0", inputs=(seen,), output=CLASSES)]


def _normed(name: str, inputs: tuple[str, ...], output: str) -> Layer:
    return Layer(name=f"{name}.0", norm=f"{name}.1", inputs=inputs, output=output)
