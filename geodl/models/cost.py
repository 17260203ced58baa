"""What a network costs, counted: numbers to store, and multiplications and additions per pixel."""

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from geodl.models.onnx_network import OnnxNetwork, check_content

if TYPE_CHECKING:
    import onnx

_CONVOLUTIONS = {"Conv", "ConvInteger", "QLinearConv"}
_WEIGHT_INPUT = {"QLinearConv": 3}  # position of the weights among the inputs, where it is not 1


def count_parameters(network: nn.Module) -> int:
    """Count the numbers that training set: weights and biases.

    Of an ONNX file these are all numbers of its tensors of two or more dimensions, and of those of one
    dimension, which are biases and what batch norms left.
    """
    if not isinstance(network, OnnxNetwork):
        return sum(parameter.numel() for parameter in network.parameters())
    tensors = check_content(network.content).graph.initializer
    return sum(prod(tensor.dims) for tensor in tensors if len(tensor.dims))


def gflops_per_megapixel(network: nn.Module, *, bands: int, side: int) -> float | None:
    """Count the floating point operations of a network, a multiplication and an addition being two.

    Counted by `torch.utils.flop_counter`: convolutions and matrix products, nothing else. Of an ONNX file
    the convolutions are counted.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    bands, side : int
        Channels, and height and width in pixels, of the input to count for.

    Returns
    -------
    float or None
        In units of 1e9 per 1e6 pixels of input; None where the sizes inside an ONNX file are not known.
    """
    if isinstance(network, OnnxNetwork):
        operations = _operations_of_file(check_content(network.content), bands, side)
    else:
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, bands, side, side, device=device))
        operations = counter.get_total_flops()
    return None if operations is None else operations / side**2 / 1e3


def _operations_of_file(model: "onnx.ModelProto", bands: int, side: int) -> int | None:
    from onnx import shape_inference

    for position, size in enumerate((1, bands, side, side)):
        model.graph.input[0].type.tensor_type.shape.dim[position].dim_value = size
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: dict[str, Any] = {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.value_info, *inferred.output):
        shapes.setdefault(value.name, [d.dim_value for d in value.type.tensor_type.shape.dim])
    total = 0
    for node in inferred.node:
        if node.op_type not in _CONVOLUTIONS:
            continue
        weights = shapes.get(node.input[_WEIGHT_INPUT.get(node.op_type, 1)])
        output = shapes.get(node.output[0])
        if not weights or not output or not all(weights) or not all(output[1:]):
            return None
        total += 2 * prod(output[1:]) * prod(weights[1:])
    return total
