"""A network of torch becomes a graph of operations that stream, or is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from geodl.errors import first_line
from geodl.stream.call import TILES, Built, NotLocalError, Source
from geodl.stream.convolution import Convolution
from geodl.stream.dates import as_map
from geodl.stream.graph import Graph, Node, simplified
from geodl.stream.operations import Operation
from geodl.stream.record import Recorder


def trace(
    network: nn.Module, *, bands: int, stride: int, dtype: torch.dtype | None = None, kept: int = 1
) -> Graph:
    """Read the operations of a network.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode; takes (N, bands, H, W) with H and W multiples of `stride`, returns one map.
    bands : int
        Channels of its input.
    stride : int
        Pixels by which its input can be shifted so that its output shifts likewise.
    dtype : torch.dtype, optional
        Compute in this type (`torch.bfloat16`), all but the last convolutions, which stay as they are.
        Batch norms are folded into the weights before these are rounded.
    kept : int
        How many of the last convolutions stay as they are.

    Returns
    -------
    Graph
        Shares the network's weights where nothing was folded into them.

    Raises
    ------
    NotLocalError
        The network holds an operation that does not stream; the message names it.
    ValueError
        The network is in training mode.
    """
    if network.training:
        raise ValueError("network is in training mode: call network.eval()")
    kind = next((p.dtype for p in network.parameters()), torch.float32)
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    # Height and width differ, so that no operation can take one for the other.
    height, width = (-(-pixels // stride) * stride for pixels in (64, 96))
    example = torch.zeros(1, bands, height, width, dtype=kind, device=device)
    graph = Graph(nodes=_Reader(stride).read(network, example), stride=stride, dtype=kind)
    _check_other_size(network, graph, (1, bands, height + 2 * stride, width + stride), example)
    return graph if dtype is None else _in_type(graph, dtype, kept)


def _attempt(what: str, action: Callable[[], Any]) -> Any:
    # Networks refuse sizes, and torch what it cannot trace, with errors of many kinds.
    try:
        with torch.no_grad():
            return action()
    except NotLocalError:
        raise
    except (RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise NotLocalError("network", f"torch cannot {what} ({first_line(error)})", TILES) from error


class _Reader:
    """Collects the operations of a network that depend on the pixels."""

    def __init__(self, stride: int) -> None:
        self._stride = stride
        self._nodes: list[Node] = []

    def read(self, network: nn.Module, example: Tensor) -> tuple[Node, ...]:
        one = (Fraction(1), Fraction(1))
        shape = tuple(example.shape)
        self._nodes = [Node(name="input", operation=None, inputs=(), shape=shape, scale=one)]
        recorder = Recorder(self._add)
        recorder.begin(example, Source(0, shape))

        def run() -> Any:
            with recorder:
                return network(example)

        result = _attempt("run it on an example", run)
        if not isinstance(result, Tensor) or result.ndim != len(shape):
            raise NotLocalError("network", "its output is not one map of pixels", TILES)
        return simplified(self._nodes, recorder.value(result).node)

    def _add(self, name: str, built: Built, shape: tuple[int, ...]) -> Source:
        operation, sources = built
        scales = {self._nodes[source.node].scale for source in sources}
        scale = min(scales)
        scale = (scale[0] * operation.reach.step, scale[1] * operation.across.step)
        if len(scales) > 1 or any((part * self._stride).denominator > 1 for part in scale):
            raise NotLocalError(
                f"operation {name}", f"it does not fit a stride of {self._stride} pixels", TILES
            )
        operation = _without_needless_fill(operation, sources[0].shape[-2], shape[-2])
        self._nodes.append(
            Node(
                name=f"{name}_{len(self._nodes)}",
                operation=operation,
                inputs=tuple(source.node for source in sources),
                shape=as_map(shape),
                scale=scale,
            )
        )
        return Source(len(self._nodes) - 1, shape)


def _without_needless_fill(operation: Operation, rows: int, rows_out: int) -> Operation:
    reach = operation.reach
    inside = reach.first(0) >= 0 and reach.last(rows_out - 1) < rows
    return replace(operation, fill=None) if inside else operation


def _check_other_size(network: nn.Module, graph: Graph, size: tuple[int, ...], example: torch.Tensor) -> None:
    # A size written into the network would be taken for one that follows from its input.
    larger = torch.zeros(size, dtype=example.dtype, device=example.device)
    result = _attempt("run it on another size", lambda: network(larger)).shape
    expected = (graph.rows(graph.output, size[2]), graph.columns(graph.output, size[3]))
    if tuple(result[2:]) != expected:
        raise NotLocalError(
            "network", f"an input of {size[2:]} gives {tuple(result[2:])}, {expected} was expected", TILES
        )


def _in_type(graph: Graph, dtype: torch.dtype, kept: int) -> Graph:
    last = [i for i, node in enumerate(graph.nodes) if isinstance(node.operation, Convolution)][-kept:]
    nodes = tuple(
        node if node.operation is None or index in last else replace(node, operation=node.operation.to(dtype))
        for index, node in enumerate(graph.nodes)
    )
    return replace(graph, nodes=nodes, dtype=dtype)
