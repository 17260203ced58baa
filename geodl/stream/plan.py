"""When each row of each node is computed: integers, settled before anything runs.

A push brings `strip` rows of the input, and every node computes as many rows as its scale says, always
the same number: in coordinates of its own resolution, rows ``scale * first - delay`` and following, where
`first` is the first input row of the push. What a later push still needs of a node waits in a buffer.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import torch

from geodl.stream.graph import Graph, Node
from geodl.stream.operations import Fill


@dataclass(frozen=True, kw_only=True)
class Read:
    """Rows that an operation reads of one of its inputs at every push.

    Parameters
    ----------
    node : int
        Which input.
    first : int
        First row, counted from the first of those computed in this push; negative: from earlier ones.
    rows : int
        How many.
    fill : float, "edge" or None
        What it wants to find in rows outside the canvas.
    trim : int
        Columns of the input that it leaves out on each side.
    """

    node: int
    first: int
    rows: int
    fill: Fill
    trim: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """What happens to one node at every push.

    Parameters
    ----------
    node : int
        Index in the graph.
    rows : int
        Rows computed per push.
    delay : int
        Rows by which it lags behind the input, at its own resolution.
    whole : int
        Rows below the row where a stream starts, from which on they are those of a stream that started
        at the top of the canvas.
    reads : tuple of Read
        Its inputs.
    skip : int
        Rows of the operation's result that are dropped at its beginning.
    """

    node: int
    rows: int
    delay: int
    whole: int
    reads: tuple[Read, ...]
    skip: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A graph and the number of rows that it is fed at a time.

    Parameters
    ----------
    graph : Graph
        What `trace` returned.
    strip : int
        Input rows per push, a multiple of the graph's stride. It belongs to the options of a run: results
        for other strips may differ in the last bits.
    beside : int
        Columns of the canvas on each side of which no result is wanted. What only they need is not
        computed, as far as leaving it out costs nothing.
    """

    graph: Graph
    strip: int
    beside: int = 0

    def __post_init__(self) -> None:
        if self.strip < 1 or self.strip % self.graph.stride:
            raise ValueError(f"strip of {self.strip} rows is no multiple of the stride {self.graph.stride}")

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """One per node, in the order of the graph."""
        steps: list[Step] = []
        for index in range(len(self.graph.nodes)):
            steps.append(self._step(index, steps))
        return tuple(steps)

    def _step(self, index: int, earlier: list[Step]) -> Step:
        # Rows are counted from the one that belongs to the first input row of the push.
        node = self.graph.nodes[index]
        rows, operation = int(node.scale[0] * self.strip), node.operation
        if operation is None:
            return Step(node=index, rows=rows, delay=0, whole=0, reads=(), skip=0)
        reach, sources = operation.reach, [earlier[source] for source in node.inputs]
        delay = max(reach.delay(source.rows - 1 - source.delay, rows) for source in sources)
        first, last = reach.first(-delay), reach.last(rows - 1 - delay)
        return Step(
            node=index,
            rows=rows,
            delay=delay,
            whole=max(reach.first_whole(source.whole) for source in sources),
            reads=tuple(
                Read(
                    node=source.node,
                    first=first + source.delay,
                    rows=last - first + 1,
                    fill=operation.fill,
                    trim=self._scaled(self.trims[index] - self.trims[source.node], source.node),
                )
                for source in sources
            ),
            skip=0 if operation.lead is None else -delay - first * reach.up - operation.lead,
        )

    @cached_property
    def trims(self) -> tuple[int, ...]:
        """For each node the columns that it lacks on each side, as columns of the canvas.

        Multiples of the stride, so that the columns of all nodes keep their places.
        """
        wanted, trims = self._wanted_columns, [0]
        for node, own in zip(self.graph.nodes[1:], wanted[1:], strict=True):
            assert node.operation is not None
            trim = max(trims[source] for source in node.inputs)
            if node.operation.copies:
                source = self.graph.nodes[node.inputs[0]]
                pixels = int(_read_of(node, source, own) / source.scale[1])
                trim = max(trim, pixels // self.graph.stride * self.graph.stride)
            trims.append(trim)
        return tuple(trims)

    @property
    def _wanted_columns(self) -> list[int]:
        """For each node the columns on each side that no wanted column of the result depends on."""
        nodes = self.graph.nodes
        wanted = [node.shape[3] for node in nodes]
        wanted[-1] = int(self.beside * nodes[-1].scale[1])
        for index in range(len(nodes) - 1, 0, -1):
            for source in nodes[index].inputs:
                read = _read_of(nodes[index], nodes[source], wanted[index])
                wanted[source] = min(wanted[source], read)
        return wanted

    def _scaled(self, columns: int, node: int) -> int:
        return int(columns * self.graph.nodes[node].scale[1])

    def columns(self, node: int, width: int) -> int:
        """Columns of a node that are computed, on a canvas of `width` columns."""
        return self.graph.columns(node, width) - 2 * self._scaled(self.trims[node], node)

    def rows_needed(self, start: int, stop: int) -> list[tuple[int, int]]:
        """For each node the rows ``first..stop`` on which rows ``start..stop`` of the result depend."""
        needed: dict[int, tuple[int, int]] = {self.graph.output: (start, stop)}
        for index in range(self.graph.output, 0, -1):
            node, (first, last) = self.graph.nodes[index], needed[index]
            assert node.operation is not None
            read = node.operation.reach.first(first), node.operation.reach.last(last - 1) + 1
            for source in node.inputs:
                known = needed.get(source, read)
                needed[source] = min(known[0], read[0]), max(known[1], read[1])
        return [needed[index] for index in range(len(self.graph.nodes))]

    @cached_property
    def tails(self) -> tuple[dict[Fill, int], ...]:
        """For each node its buffers: fill -> earlier rows that must be kept.

        Where there is none, the rows of a push are used up within it.
        """
        tails: tuple[dict[Fill, int], ...] = tuple({} for _ in self.steps)
        # Those that want a certain fill first: the others can share their buffers.
        reads = sorted((r for step in self.steps for r in step.reads), key=lambda read: read.fill is None)
        for read in reads:
            known, tail = tails[read.node], max(0, -read.first)
            if read.fill is None and not known and tail == 0:
                continue
            fill = next(iter(known)) if read.fill is None and known else read.fill
            known[fill] = max(known.get(fill, 0), tail)
        return tails

    @cached_property
    def done(self) -> tuple[tuple[int, ...], ...]:
        """For each step the nodes that no later one reads."""
        last = {read.node: step.node for step in self.steps for read in step.reads}
        return tuple(
            tuple(node for node, reader in last.items() if reader == step.node) for step in self.steps
        )

    @cached_property
    def in_place(self) -> tuple[bool, ...]:
        """For each step whether its result may be written over its first input."""
        readers = Counter(read.node for step in self.steps for read in step.reads)
        return tuple(self._in_place(step.node, readers) for step in self.steps)

    def _in_place(self, index: int, readers: Counter[int]) -> bool:
        node = self.graph.nodes[index]
        if node.operation is None or not node.operation.elementwise:
            return False
        source = node.inputs[0]
        before = self.graph.nodes[source]
        return (
            before.operation is not None
            and not before.operation.aliases
            and readers[source] == 1
            and not self.tails[source]
            and before.shape == node.shape
            and self.dtypes[source] == self.dtypes[index]
        )

    @cached_property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """Type of each node."""
        dtypes: list[torch.dtype] = []
        for node in self.graph.nodes:
            known = [dtypes[i] for i in node.inputs]
            dtypes.append(self.graph.dtype if node.operation is None else node.operation.dtype(known))
        return tuple(dtypes)

    @property
    def delay(self) -> int:
        """Rows by which the result lags behind the input, at the resolution of the result."""
        return self.steps[-1].delay

    @property
    def margin(self) -> int:
        """Input rows above the wanted ones at which a stream must start, a multiple of the stride."""
        pixels = ceil(self.steps[-1].whole / self.graph.nodes[-1].scale[0])
        return -(-pixels // self.graph.stride) * self.graph.stride

    def input_rows(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """Input rows ``first..stop`` that a stream must be fed to return rows ``start..stop``.

        Parameters
        ----------
        start, stop : int
            Rows of the result.
        height : int
            Rows of the canvas.

        Returns
        -------
        tuple of int
            ``first``, a multiple of the stride, and ``stop``, a whole number of strips later or `height`.
        """
        scale, stride = self.graph.nodes[-1].scale[0], self.graph.stride
        first = max(0, (int(start / scale) // stride) * stride - self.margin)
        pushes = ceil((stop + self.delay - scale * first) / (scale * self.strip))
        return first, min(height, first + pushes * self.strip)

    def buffer_rows(self, node: int, fill: Fill) -> int:
        """Rows of a buffer: those that must be kept, and room for pushes until they are moved up."""
        tail, rows = self.tails[node][fill], self.steps[node].rows
        return tail + max(1, ceil(tail / rows)) * rows

    def memory(self, width: int) -> int:
        """Bytes that a stream of `width` columns needs beside the weights, about."""
        buffers = live = peak = 0
        held: dict[int, int] = {}
        for step in self.steps:
            batch, channels = self.graph.nodes[step.node].shape[:2]
            row = batch * channels * self.columns(step.node, width) * self.dtypes[step.node].itemsize
            held[step.node] = 0 if self.in_place[step.node] else row * step.rows
            live += held[step.node]
            peak = max(peak, live)
            if self.tails[step.node]:
                buffers += sum(row * self.buffer_rows(step.node, fill) for fill in self.tails[step.node])
                live -= held.pop(step.node)
            live -= sum(held.pop(node, 0) for node in self.done[step.node])
        return buffers + peak


def _read_of(node: Node, source: Node, columns: int) -> int:
    """Columns on each side of a source that a node does not read, if so many of its own are not wanted."""
    assert node.operation is not None
    across = node.operation.across
    right = source.shape[3] - 1 - across.last(node.shape[3] - 1 - columns)
    return max(0, min(across.first(columns), right))
