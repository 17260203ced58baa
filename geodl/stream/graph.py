"""A network as a list of operations on maps of rows, and what can be simplified in such a list."""

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

import torch

from geodl.stream.convolution import Convolution
from geodl.stream.operations import BatchNorm, Operation, Pointwise, is_relu


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One result of the network.

    Parameters
    ----------
    name : str
        As torch names it.
    operation : Operation or None
        What computes it; None for the input of the network.
    inputs : tuple of int
        The nodes it is computed from.
    shape : tuple of int
        (N, C, H, W) where the input has the shape of the first node.
    scale : tuple of Fraction
        Rows per row of the input, columns per column.
    """

    name: str
    operation: Operation | None
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    scale: tuple[Fraction, Fraction]


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A local network.

    Parameters
    ----------
    nodes : tuple of Node
        Each after those that it reads; the first one is the input.
    stride : int
        Canvases are multiples of this many pixels high and wide.
    dtype : torch.dtype
        Of the input.
    """

    nodes: tuple[Node, ...]
    stride: int
    dtype: torch.dtype

    @property
    def output(self) -> int:
        """Index of the node whose rows are the result."""
        return len(self.nodes) - 1

    def rows(self, node: int, height: int) -> int:
        """Rows of a node on a canvas of `height` rows."""
        # Canvases are multiples of the stride: a node grows by its scale, whatever its borders add.
        return self.nodes[node].shape[2] + int(self.nodes[node].scale[0] * (height - self.nodes[0].shape[2]))

    def columns(self, node: int, width: int) -> int:
        """Columns of a node on a canvas of `width` columns."""
        return self.nodes[node].shape[3] + int(self.nodes[node].scale[1] * (width - self.nodes[0].shape[3]))


def simplified(nodes: list[Node], output: int) -> tuple[Node, ...]:
    """Fold batch norms and ReLUs into the convolutions before them; leave out what nobody reads.

    Parameters
    ----------
    nodes : list of Node
        Each after those that it reads.
    output : int
        The node that is the result; it comes out last.
    """
    readers = Counter(source for node in nodes for source in node.inputs)
    readers[output] += 1
    kept = list(nodes)
    stands_for = list(range(len(nodes)))
    for index, node in enumerate(nodes):
        kept[index] = node = replace(node, inputs=tuple(stands_for[source] for source in node.inputs))
        if not node.inputs:
            continue
        before = kept[node.inputs[0]]
        if isinstance(before.operation, Convolution) and readers[nodes[index].inputs[0]] == 1:
            merged = _merged(before.operation, node.operation)
            if merged is not None:
                stands_for[index] = node.inputs[0]
                kept[node.inputs[0]] = replace(before, operation=merged)
    return _reachable(kept, stands_for[output])


def _merged(convolution: Convolution, after: Operation | None) -> Convolution | None:
    if convolution.relu:
        return None
    if isinstance(after, Pointwise) and is_relu(after):
        return replace(convolution, relu=True)
    if not isinstance(after, BatchNorm):
        return None
    # In float64, so that the weights are rounded once.
    weight, groups = convolution.weight.double(), convolution.groups
    gain = (after.variance.double() + after.epsilon).rsqrt()
    if after.weight is not None:
        gain = gain * after.weight.double()
    bias = -after.mean.double() * gain
    if convolution.bias is not None:
        bias = bias + convolution.bias.double() * gain
    if after.bias is not None:
        bias = bias + after.bias.double()
    if convolution.transposed:  # weights are (inputs, outputs / groups, rows, columns)
        weight = weight.unflatten(0, (groups, -1)) * gain.view(groups, 1, -1, 1, 1)
        weight = weight.flatten(0, 1)
    else:
        weight = weight * gain.view(-1, 1, 1, 1)
    kind = convolution.weight.dtype
    return replace(convolution, weight=weight.to(kind), bias=bias.to(kind))


def _reachable(nodes: list[Node], output: int) -> tuple[Node, ...]:
    wanted = {0, output}
    for index in range(len(nodes) - 1, -1, -1):
        if index in wanted:
            wanted.update(nodes[index].inputs)
    # Nothing that the result needs comes after it.
    order = {old: new for new, old in enumerate(sorted(wanted))}
    return tuple(
        replace(nodes[old], inputs=tuple(order[source] for source in nodes[old].inputs)) for old in order
    )
