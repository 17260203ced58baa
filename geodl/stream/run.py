"""Runs a plan: strips of the canvas go in, rows of the result come out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from geodl.stream.operations import Fill, Kernel
from geodl.stream.plan import Plan, Read, Step


class Stream:
    """A network over one panel of fixed width, row by row; every row of every layer is computed once.

    The rows that come out are those of ``network(canvas)``, where the canvas is the whole image of which
    the strips are cut: above its first and below its last row the layers find their own padding. A stream
    may start at any row of the canvas that is a multiple of the stride; it withholds the rows above which
    it has not seen enough, and the others are, bit by bit, those of a stream that started at the top
    (with the same `Plan.strip`, width, and number of threads).

    Parameters
    ----------
    plan : Plan
        The network and its number of rows per push.
    width : int
        Columns of the canvas, a multiple of the stride.
    device : str or torch.device, optional
        Where to compute.

    Raises
    ------
    ValueError
        `width` is no multiple of the stride.
    """

    def __init__(self, plan: Plan, *, width: int, device: str | torch.device = "cpu") -> None:
        if width < 1 or width % plan.graph.stride:
            raise ValueError(f"width {width} is no multiple of the stride {plan.graph.stride}")
        self.plan = plan
        self.width = width
        self.device = torch.device(device)
        self._height = self._row = 0
        self._spans: list[tuple[int, int]] = []
        with torch.inference_mode():
            self._kernels = [self._kernel(step) for step in plan.steps]
            self._buffers = [self._buffers_of(step) for step in plan.steps]

    @torch.inference_mode()
    def start(self, *, height: int, first: int = 0, rows: tuple[int, int] | None = None) -> None:
        """Begin with row `first` of a canvas of `height` rows, both multiples of the stride.

        Parameters
        ----------
        height, first : int
        rows : tuple of int, optional
            Rows ``start..stop`` of the result that are wanted: the others are not given, and what only
            they depend on is not computed. By default all that can be.

        Raises
        ------
        ValueError
            They are not, or `first` is no row of the canvas.
        """
        stride = self.plan.graph.stride
        if height < 1 or height % stride or first % stride or not 0 <= first < height:
            raise ValueError(f"first row {first} and height {height} are no multiples of the stride {stride}")
        self._height, self._row = height, first
        needed = self.plan.rows_needed(*(rows or (0, self.plan.graph.rows(self.plan.graph.output, height))))
        self._spans = [self._span(step, first, *needed[step.node]) for step in self.plan.steps]
        for buffer in (buffer for of_node in self._buffers for buffer in of_node.values()):
            buffer.clear()

    def push(self, strip: Tensor) -> tuple[int, Tensor] | None:
        """Feed the next rows of the canvas.

        Parameters
        ----------
        strip : torch.Tensor
            (1, bands, rows, width); `Plan.strip` rows, or those that are left of the canvas.

        Returns
        -------
        tuple of int and torch.Tensor, or None
            First row and rows (1, classes, rows, columns) of the result that are ready now.

        Raises
        ------
        ValueError
            The strip has another shape.
        """
        shape = self.plan.graph.nodes[0].shape
        rows = min(self.plan.strip, self._height - self._row)
        if tuple(strip.shape) != (*shape[:2], rows, self.width) or rows < 1:
            raise ValueError(f"a strip of {(*shape[:2], rows, self.width)} is next, not {tuple(strip.shape)}")
        return self._push(strip)

    def finish(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the rows that waited for those below the canvas; all of it must have been pushed."""
        step = self.plan.steps[-1]
        while self._first_row(step) < self._spans[step.node][1]:
            ready = self._push(None)
            if ready is not None:
                yield ready

    def run(
        self,
        strips: Iterable[Tensor],
        *,
        height: int,
        first: int = 0,
        rows: tuple[int, int] | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """Start, push every strip, and finish when the last row of the canvas was among them.

        Yields
        ------
        tuple of int and torch.Tensor
            As `push` returns them: without gaps, from top to bottom.
        """
        self.start(height=height, first=first, rows=rows)
        for strip in strips:
            ready = self.push(strip)
            if ready is not None:
                yield ready
        if self._row >= height:
            yield from self.finish()

    @torch.inference_mode()
    def _push(self, strip: Tensor | None) -> tuple[int, Tensor] | None:
        values: dict[int, Tensor] = {}
        for step, kernel in zip(self.plan.steps, self._kernels, strict=True):
            self._compute(step, kernel, strip, values)
            for node in self.plan.done[step.node]:
                values.pop(node, None)
        ready = self._ready(self.plan.steps[-1], values)
        self._row += self.plan.strip
        return ready

    def _compute(
        self, step: Step, kernel: Kernel | None, strip: Tensor | None, values: dict[int, Tensor]
    ) -> None:
        buffers = list(self._buffers[step.node].values())
        for buffer in buffers:
            buffer.advance()
        first, (begin, end) = self._first_row(step), self._spans[step.node]
        if first < end and first + step.rows > begin:
            out = buffers[0].newest if buffers else None
            if kernel is None:
                assert strip is not None
                result = self._input(strip, out)
            else:
                inputs = [self._rows(read, values) for read in step.reads]
                result = kernel(inputs, inputs[0] if self.plan.in_place[step.node] and out is None else out)
                if result.shape[2] != step.rows:
                    result = result[:, :, step.skip : step.skip + step.rows]
            for buffer in buffers:
                if result is not out:
                    buffer.newest.copy_(result)
                out = None
            if not buffers or step is self.plan.steps[-1]:
                values[step.node] = result
        for buffer in buffers:
            buffer.mask(first, self.plan.graph.rows(step.node, self._height))

    def _rows(self, read: Read, values: dict[int, Tensor]) -> Tensor:
        buffers = self._buffers[read.node]
        if buffers:
            buffer = buffers[read.fill] if read.fill in buffers else next(iter(buffers.values()))
            value = buffer.window(read.first, read.rows)
        else:
            value = values[read.node]
            if value.shape[2] != read.rows:
                value = value[:, :, read.first : read.first + read.rows]
        return value[..., read.trim : -read.trim] if read.trim else value

    def _input(self, strip: Tensor, out: Tensor | None) -> Tensor:
        if out is None:
            out = self._empty(0, self.plan.strip)
        rows = strip.shape[2]
        out[:, :, :rows].copy_(strip)
        out[:, :, rows:].zero_()
        return out

    def _ready(self, step: Step, values: dict[int, Tensor]) -> tuple[int, Tensor] | None:
        first, (begin, end) = self._first_row(step), self._spans[step.node]
        start, stop = max(first, begin), min(first + step.rows, end)
        if start >= stop:
            return None
        rows = values[step.node][:, :, start - first : stop - first]
        return start, rows.clone() if self._buffers[step.node] else rows

    def _first_row(self, step: Step) -> int:
        """First row that this push computes."""
        return int(self.plan.graph.nodes[step.node].scale[0] * self._row) - step.delay

    def _span(self, step: Step, first: int, start: int, stop: int) -> tuple[int, int]:
        """Rows of a node that are computed, of those that are needed, after a start with row `first`."""
        # Rows near a start in the middle of the canvas have not seen all that they depend on.
        whole = int(self.plan.graph.nodes[step.node].scale[0] * first) + step.whole if first else 0
        return max(start, whole, 0), min(stop, self.plan.graph.rows(step.node, self._height))

    def _kernel(self, step: Step) -> Kernel | None:
        operation = self.plan.graph.nodes[step.node].operation
        if operation is None:
            return None
        shapes = [
            (*self._shape(read.node, read.rows)[:3], self.plan.columns(read.node, self.width) - 2 * read.trim)
            for read in step.reads
        ]
        return operation.to(self.device).kernel(shapes, self.device)

    def _buffers_of(self, step: Step) -> dict[Fill, "_Buffer"]:
        return {
            fill: _Buffer(
                rows=self._empty(step.node, self.plan.buffer_rows(step.node, fill)),
                tail=tail,
                strip=step.rows,
                fill=fill,
            )
            for fill, tail in self.plan.tails[step.node].items()
        }

    def _shape(self, node: int, rows: int) -> tuple[int, int, int, int]:
        batch, channels = self.plan.graph.nodes[node].shape[:2]
        return batch, channels, rows, self.plan.columns(node, self.width)

    def _empty(self, node: int, rows: int) -> Tensor:
        return torch.empty(
            self._shape(node, rows),
            dtype=self.plan.dtypes[node],
            device=self.device,
            memory_format=torch.channels_last,
        )


@dataclass(kw_only=True, eq=False)
class _Buffer:
    """The last rows of a node, and room below them.

    The rows of a push are written below those of the push before. Only where no room is left are the
    rows that are still needed moved to the top: rarely, instead of joining old and new at every push.
    """

    rows: Tensor  # (N, C, buffer rows, columns)
    tail: int
    strip: int
    fill: Fill
    at: int = 0  # where the rows of the present push begin

    @property
    def newest(self) -> Tensor:
        return self.window(0, self.strip)

    def window(self, first: int, rows: int) -> Tensor:
        return self.rows[:, :, self.at + first : self.at + first + rows]

    def clear(self) -> None:
        self.at = self.tail - self.strip
        self.rows[:, :, : self.tail] = self.fill if isinstance(self.fill, float) else 0.0

    def advance(self) -> None:
        self.at += self.strip
        if self.at + self.strip > self.rows.shape[2]:
            self.rows[:, :, : self.tail].copy_(self.window(-self.tail, self.tail))
            self.at = self.tail

    def mask(self, first: int, last: int) -> None:
        """Fill the newest rows, of which the topmost is row `first`, where they lie outside ``0..last``."""
        above = min(max(-first, 0), self.strip)
        below = min(max(last - first, 0), self.strip)
        if self.fill == "edge":
            if first <= 0 and above < self.strip:
                self.window(-self.tail, self.tail + above).copy_(self.window(above, 1))
            if below < self.strip and below + self.tail:
                self.window(below, self.strip - below).copy_(self.window(below - 1, 1))
        elif self.fill is not None:
            self.window(0, above).fill_(self.fill)
            self.window(below, self.strip - below).fill_(self.fill)
