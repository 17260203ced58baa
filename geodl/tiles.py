"""Integers only: the lattice of cells over a scene, and the blocks that group them.

The lattice depends on the scene's size, the model and the options alone. Its cells partition the scene.
The network sees a *tile*: a cell, the *core* of the tile, and a halo around it. Cell borders lie on
multiples of the network's stride. Blocks are rectangles of whole cells: they change speed and memory,
never the result.

All coordinates are (row, column) in pixels of the scene, half open: ``start <= i < stop``.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

import numpy as np

CHUNK = 512  # pixels; smaller cells are stored in groups of about this side


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels; it may reach beyond the scene.

    >>> Window(0, 4, 2, 8).intersect(Window(1, 6, 4, 4))
    Window(row=1, col=6, height=1, width=4)
    """

    row: int
    col: int
    height: int
    width: int

    @property
    def row_stop(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices, for arrays whose last dimensions are (y, x)."""
        return slice(self.row, self.row_stop), slice(self.col, self.col_stop)

    def relative_to(self, other: "Window") -> "Window":
        """Return the same pixels in coordinates whose origin is that of `other`."""
        return Window(self.row - other.row, self.col - other.col, self.height, self.width)

    def intersect(self, other: "Window") -> "Window":
        """Return the common part; height or width 0 where there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        return Window(
            row,
            col,
            max(0, min(self.row_stop, other.row_stop) - row),
            max(0, min(self.col_stop, other.col_stop) - col),
        )


Cells = tuple[int, int, int, int]
"""First row, row stop, first column and column stop of a rectangle of cells."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of whole chunks of cells: the unit of scheduling and restart.

    Parameters
    ----------
    cells : Cells
        In the lattice.
    window : Window
        The scene pixels it is responsible for.
    """

    cells: Cells
    window: Window


@dataclass(frozen=True, slots=True)
class Lattice:
    """The cells over a scene of ``height x width`` pixels, and how far the network sees around each.

    Parameters
    ----------
    height, width : int
        Size of the scene.
    core : tuple of int
        Rows and columns of a cell; the cells partition the scene.
    halo : int
        Pixels that the network sees on each side of a cell.
    phase : tuple of int
        Rows and columns by which the cells are shifted up and left, less than `core`: another tiling of
        the same scene.
    chunk : tuple of int
        Rows and columns of cells that are stored together.

    Examples
    --------
    >>> lattice = Lattice(height=100, width=250, core=(96, 96), halo=16)
    >>> lattice.shape
    (2, 3)
    >>> lattice.tile_window(1, 0)
    Window(row=80, col=-16, height=128, width=128)
    """

    height: int
    width: int
    core: tuple[int, int]
    halo: int
    phase: tuple[int, int] = (0, 0)
    chunk: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, *self.core, *self.chunk)
        shifted = any(not 0 <= by < size for by, size in zip(self.phase, self.core, strict=True))
        if min(sizes) < 1 or self.halo < 0 or shifted:
            raise ValueError(f"no lattice for {self}")

    @classmethod
    def even(cls, height: int, width: int, *, core: tuple[int, int], halo: int, stride: int) -> "Lattice":
        """Return the lattice of fewest cells of at most `core`, all of one size on multiples of `stride`.

        >>> Lattice.even(1000, 500, core=(768, 768), halo=16, stride=32).core
        (512, 512)
        """
        rows, cols = (_even(n, most, stride) for n, most in zip((height, width), core, strict=True))
        return cls(height, width, (rows, cols), halo)

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns that the network sees for a cell."""
        return self.core[0] + 2 * self.halo, self.core[1] + 2 * self.halo

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return -(-(self.height + self.phase[0]) // self.core[0]), -(
            -(self.width + self.phase[1]) // self.core[1]
        )

    @property
    def scene(self) -> Window:
        """The whole scene."""
        return Window(0, 0, self.height, self.width)

    def tile_window(self, row: int, col: int) -> Window:
        """Pixels that the network sees for a cell; reaches beyond the scene at its border."""
        top, left = row * self.core[0] - self.phase[0], col * self.core[1] - self.phase[1]
        return Window(top - self.halo, left - self.halo, *self.tile)

    def core_window(self, row: int, col: int) -> Window:
        """Pixels of a cell, clipped to the scene."""
        top, left = row * self.core[0] - self.phase[0], col * self.core[1] - self.phase[1]
        return Window(top, left, *self.core).intersect(self.scene)

    def grouped(self, pixels: int) -> "Lattice":
        """Return the same cells in chunks of about so many pixels, where the cells are smaller."""
        rows, cols = (max(1, pixels // size) for size in self.core)
        return replace(self, chunk=(rows, cols))

    def block(self, top: int, bottom: int, left: int, right: int) -> Block:
        """Return the block of the cells in rows ``top..bottom`` and columns ``left..right`` (exclusive)."""
        first, last = self.core_window(top, left), self.core_window(bottom - 1, right - 1)
        window = Window(first.row, first.col, last.row_stop - first.row, last.col_stop - first.col)
        return Block((top, bottom, left, right), window)

    def chunks_of(self, block: Block) -> list[Block]:
        """Return the chunks of a block, row by row."""
        return self.split(block, *self.chunk)

    def chunk_of(self, cell_row: int, cell_col: int) -> tuple[int, int]:
        """Row and column, in the grid of chunks, of the chunk that holds a cell."""
        return cell_row // self.chunk[0], cell_col // self.chunk[1]

    def left_of(self, block: Block, done: Set[tuple[int, int]]) -> list[Block]:
        """Return blocks that hold exactly those chunks of a block that are not `done`.

        Parameters
        ----------
        block : Block
            Whole chunks.
        done : set of tuple
            Row and column of chunks in the grid of chunks.
        """
        left, right = block.cells[2:]
        found: list[Block] = []
        for row in self.split(block, self.chunk[0], right - left):
            missing = [c.cells for c in self.chunks_of(row) if self.chunk_of(*c.cells[::2]) not in done]
            for first, last in _runs(missing):
                above, below, start, stop = first[0], last[1], first[2], last[3]
                if found and found[-1].cells[1:] == (above, left, right) and (start, stop) == (left, right):
                    above = found.pop().cells[0]  # rows of which nothing is done belong together
                found.append(self.block(above, below, start, stop))
        return found

    @property
    def everything(self) -> Block:
        """The block of all cells."""
        rows, cols = self.shape
        return self.block(0, rows, 0, cols)

    def split(self, block: Block, rows: int, cols: int) -> list[Block]:
        """Cut a block into blocks of at most ``rows x cols`` cells, row by row."""
        top, bottom, left, right = block.cells
        return [
            self.block(row, min(row + rows, bottom), col, min(col + cols, right))
            for row in range(top, bottom, rows)
            for col in range(left, right, cols)
        ]

    def blocks(self, height: int, width: int | None = None) -> list[Block]:
        """Group the cells into blocks of at most ``height x width`` pixels, but at least one chunk.

        `width` is `height` where it is not given. Blocks come row by row.

        >>> lattice = Lattice(1500, 2000, (512, 512), 16)
        >>> [b.window for b in lattice.blocks(1100, 600)][:3]
        [Window(row=0, col=0, height=1024, width=512), Window(row=0, col=512, height=1024, width=512),
         Window(row=0, col=1024, height=1024, width=512)]
        """
        side = height, height if width is None else width
        rows, cols = (
            max(1, pixels // (cells * size)) * cells
            for pixels, cells, size in zip(side, self.chunk, self.core, strict=True)
        )
        return self.split(self.everything, rows, cols)

    def cells_of(self, block: Block, reach: int = 0) -> Iterator[tuple[int, int]]:
        """Cells of a block in row-major order; with `reach`, also those up to `reach` cells around it.

        Blended stitching needs the neighbours, because their halos overlap the block.
        """
        rows, cols = self.shape
        top, bottom, left, right = block.cells
        for row in range(max(0, top - reach), min(rows, bottom + reach)):
            for col in range(max(0, left - reach), min(cols, right + reach)):
                yield row, col


def _runs(chunks: list[Cells]) -> Iterator[tuple[Cells, Cells]]:
    """Yield the first and the last of chunks that lie side by side."""
    start = 0
    for index in range(1, len(chunks) + 1):
        if index == len(chunks) or chunks[index][2] != chunks[index - 1][3]:
            yield chunks[start], chunks[index - 1]
            start = index


def _even(length: int, largest: int, stride: int) -> int:
    count = -(-length // largest)
    return -(-length // (count * stride)) * stride


def reflect(start: int, stop: int, size: int) -> np.ndarray:
    """Scene indices for ``start..stop`` when the scene is continued by reflection at its borders.

    The border pixel itself is not repeated (as in ``numpy.pad(mode="reflect")``); the reflection
    goes on for as long as needed, so that a scene of one pixel fills a tile.

    Returns
    -------
    numpy.ndarray
        int64, shape ``(stop - start,)``, values in ``0..size-1``.

    >>> reflect(-2, 6, 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    if size == 1:
        return np.zeros(stop - start, dtype=np.int64)
    period = 2 * (size - 1)
    index = np.arange(start, stop, dtype=np.int64) % period
    return np.where(index < size, index, period - index)
