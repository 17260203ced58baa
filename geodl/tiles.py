"""Integers only: the lattice of tiles over a scene, and the blocks that group them.

The lattice depends on the scene's size and on the model alone. A tile is a square of `tile` pixels
whose middle, the *core* of ``tile - 2 * halo`` pixels, belongs to it; the cores partition the scene.
Tile origins lie on multiples of the core minus the halo, hence on the network's stride. Blocks are
rectangles of whole cores: they change speed and memory, never the result.

All coordinates are (row, column) in pixels of the scene, half open: ``start <= i < stop``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


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


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of whole tiles: the unit of scheduling, storage and restart.

    Parameters
    ----------
    row, col : int
        Position in the grid of blocks.
    tiles : tuple of int
        ``(first row, row stop, first column, column stop)`` of its tiles in the lattice.
    window : Window
        The scene pixels it is responsible for.
    """

    row: int
    col: int
    tiles: tuple[int, int, int, int]
    window: Window


@dataclass(frozen=True, slots=True)
class Lattice:
    """The tiles over a scene of ``height x width`` pixels.

    >>> lattice = Lattice(height=100, width=250, tile=128, halo=16)
    >>> lattice.core, lattice.shape
    (96, (2, 3))
    >>> lattice.tile_window(1, 0)
    Window(row=80, col=-16, height=128, width=128)
    """

    height: int
    width: int
    tile: int
    halo: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.tile) < 1 or self.halo < 0 or self.core < 1:
            raise ValueError(f"no lattice for {self}")

    @property
    def core(self) -> int:
        """Side of the part of a tile that it owns, in pixels."""
        return self.tile - 2 * self.halo

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.height // self.core), -(-self.width // self.core)

    @property
    def scene(self) -> Window:
        """The whole scene."""
        return Window(0, 0, self.height, self.width)

    def tile_window(self, row: int, col: int) -> Window:
        """Pixels that the network sees for a tile; reaches beyond the scene at its border."""
        return Window(row * self.core - self.halo, col * self.core - self.halo, self.tile, self.tile)

    def core_window(self, row: int, col: int) -> Window:
        """Pixels that a tile owns, clipped to the scene."""
        return Window(row * self.core, col * self.core, self.core, self.core).intersect(self.scene)

    def blocks(self, side: int) -> list[Block]:
        """Group the tiles into blocks of at most `side` pixels, but at least one tile, row by row.

        >>> [b.window for b in Lattice(100, 250, 128, 16).blocks(200)]
        [Window(row=0, col=0, height=100, width=192), Window(row=0, col=192, height=100, width=58)]
        """
        per_side = max(1, side // self.core)
        rows, cols = self.shape
        return [
            self._block(i, j, per_side)
            for i in range(-(-rows // per_side))
            for j in range(-(-cols // per_side))
        ]

    def _block(self, i: int, j: int, per_side: int) -> Block:
        rows, cols = self.shape
        r0, r1 = i * per_side, min(rows, (i + 1) * per_side)
        c0, c1 = j * per_side, min(cols, (j + 1) * per_side)
        size = self.core
        window = Window(r0 * size, c0 * size, (r1 - r0) * size, (c1 - c0) * size).intersect(self.scene)
        return Block(i, j, (r0, r1, c0, c1), window)

    def tiles_of(self, block: Block, reach: int = 0) -> Iterator[tuple[int, int]]:
        """Tiles of a block in row-major order; with `reach`, also those up to `reach` tiles around it.

        Blended stitching needs the neighbours, because their halos overlap the block.
        """
        rows, cols = self.shape
        r0, r1, c0, c1 = block.tiles
        for row in range(max(0, r0 - reach), min(rows, r1 + reach)):
            for col in range(max(0, c0 - reach), min(cols, c1 + reach)):
                yield row, col


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
