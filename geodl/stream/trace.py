"""A network of torch becomes a graph of operations that stream, or is refused by name."""

import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from geodl.stream.aten import BUILDERS, REASONS
from geodl.stream.call import Built, Call, NotLocalError, Source
from geodl.stream.convolution import Convolution
from geodl.stream.graph import Graph, Node, simplified
from geodl.stream.operations import Operation

_TILES = "run this network over tiles with a halo"


def trace(network: nn.Module, *, bands: int, stride: int, dtype: torch.dtype | None = None) -> Graph:
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
        Compute in this type (`torch.bfloat16`), all but the last convolution, which stays as it is.
        Batch norms are folded into the weights before these are rounded.

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
    height, width = (-(-pixels // stride) * stride for pixels in (192, 320))
    example = torch.zeros(1, bands, height, width, dtype=kind, device=device)
    exported = _attempt(
        "list its operations",
        lambda: torch.export.export(network, (example,)).run_decompositions({}),
    )
    reader = _Reader(_constants(exported), stride)
    graph = Graph(nodes=reader.read(exported), stride=stride, dtype=kind)
    _check_other_size(network, graph, (1, bands, height + 2 * stride, width + stride), example)
    return graph if dtype is None else _in_type(graph, dtype)


def _attempt(what: str, action: Callable[[], Any]) -> Any:
    # Networks refuse sizes, and torch what it cannot trace, with errors of many kinds.
    try:
        with torch.no_grad():
            return action()
    except (RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotLocalError("network", f"torch cannot {what} ({cause})", _TILES) from error


def _constants(exported: torch.export.ExportedProgram) -> dict[str, torch.Tensor]:
    signature = exported.graph_signature
    keys = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    # Buffers that are not saved with the weights are kept among the constants.
    tensors = {**exported.constants, **exported.state_dict}
    return {name: tensors[key].detach() for name, key in keys.items()}


class _Reader:
    """Walks over the traced graph and collects the nodes that depend on the pixels."""

    def __init__(self, constants: dict[str, torch.Tensor], stride: int) -> None:
        self._constants = constants
        self._stride = stride
        self._nodes: list[Node] = []

    def read(self, exported: torch.export.ExportedProgram) -> tuple[Node, ...]:
        values: dict[fx.Node, Any] = {}
        named: dict[str, Any] = {}
        for node in exported.graph.nodes:
            if node.op == "placeholder":
                values[node] = self._placeholder(node)
            elif node.op == "call_function":
                values[node] = self._value(node, values)
            named[node.name] = values.get(node)
        # Beside its result, a network may leave another in its input that it has written over.
        results = [named.get(name) if name else None for name in exported.graph_signature.user_outputs]
        if len(results) != 1 or not isinstance(results[0], Source) or len(results[0].shape) != 4:
            raise NotLocalError("network", "its output is not one map of pixels", _TILES)
        return simplified(self._nodes, results[0].node)

    def _placeholder(self, node: fx.Node) -> Any:
        if node.name in self._constants:
            return self._constants[node.name]
        shape = tuple(node.meta["val"].shape)
        self._nodes.append(
            Node(name=node.name, operation=None, inputs=(), shape=shape, scale=(Fraction(1), Fraction(1)))
        )
        return Source(0, shape)

    def _value(self, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        arguments: Any = fx.node.map_arg(node.args, values.__getitem__)
        keywords: Any = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.target is operator.getitem:
            piece = arguments[0][arguments[1]]
            return piece if isinstance(piece, torch.Tensor) else self._add(node, piece)
        if not any(isinstance(values[source], Source) for source in node.all_input_nodes):
            assert callable(node.target)
            return node.target(*arguments, **keywords)
        target: Any = node.target
        operation = str(target).removeprefix("aten.").split(".")[0]
        if target not in BUILDERS:
            why = REASONS.get(operation, "it is not among the operations that stream")
            raise NotLocalError(f"operation {operation}", why, _TILES)
        schema = target._schema.arguments
        named = {a.name: a.default_value for a in schema}
        named |= dict(zip(named, arguments, strict=False)) | keywords
        result = node.meta["val"]
        shape = tuple((result[0] if isinstance(result, (list, tuple)) else result).shape)
        built = BUILDERS[target](Call(operator=operation, arguments=named, shape=shape))
        return self._add(node, built) if isinstance(built, tuple) else built

    def _add(self, node: fx.Node, built: Built) -> Source:
        operation, sources = built
        shape = tuple(node.meta["val"].shape)
        scales = {self._nodes[source.node].scale for source in sources}
        scale = min(scales)
        step = Fraction(operation.reach.up, operation.reach.down)
        scale = (scale[0] * step, scale[1] * operation.columns)
        if len(scales) > 1 or any((part * self._stride).denominator > 1 for part in scale):
            raise NotLocalError(
                f"operation {node.name}", f"it does not fit a stride of {self._stride} pixels", _TILES
            )
        operation = _without_needless_fill(operation, sources[0].shape[2], shape[2])
        self._nodes.append(
            Node(
                name=node.name,
                operation=operation,
                inputs=tuple(source.node for source in sources),
                shape=shape,
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
    with FakeTensorMode(allow_non_fake_inputs=True):
        empty = torch.empty(size, dtype=example.dtype, device=example.device)
        result = _attempt("run it on another size", lambda: network(empty)).shape
    expected = (graph.rows(graph.output, size[2]), graph.columns(graph.output, size[3]))
    if tuple(result[2:]) != expected:
        raise NotLocalError(
            "network", f"an input of {size[2:]} gives {tuple(result[2:])}, {expected} was expected", _TILES
        )


def _in_type(graph: Graph, dtype: torch.dtype) -> Graph:
    last = max((i for i, n in enumerate(graph.nodes) if isinstance(n.operation, Convolution)), default=-1)
    nodes = tuple(
        node if node.operation is None or index == last else replace(node, operation=node.operation.to(dtype))
        for index, node in enumerate(graph.nodes)
    )
    return replace(graph, nodes=nodes, dtype=dtype)
