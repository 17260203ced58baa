"""Tile scores become the scores of a block: cropped to the cores, or blended over the overlaps.

Cropping is exact when the halo covers the network's receptive field. Networks that look at the whole
tile (attention, pooled context) have no such halo; their overlapping scores are averaged with weights
that fall off towards the tile's edge. The weights are fixed by the lattice, so that either way the
result does not depend on how tiles are grouped into blocks.
"""

from collections.abc import Collection

import numpy as np

from geodl.tiles import Block, Lattice, Window


def ramp(lattice: Lattice, axis: int) -> np.ndarray:
    """Weight of each pixel along a side of a tile; float32, shape ``(lattice.tile[axis],)``, all positive.

    A squared sine rises over the two halos that neighbours share. Where the core is at least two
    halos wide, the ramps of two neighbours sum to one; `blend_weights` normalises every other case.
    """
    size = lattice.tile[axis]
    position = np.arange(size, dtype=np.float64) + 0.5
    if lattice.halo == 0:
        return np.ones(size, dtype=np.float32)
    from_edge = np.minimum(np.minimum(position, size - position), 2 * lattice.halo)
    return (np.sin(from_edge * np.pi / (4 * lattice.halo)) ** 2).astype(np.float32)


def _total(lattice: Lattice, axis: int, start: int, stop: int) -> np.ndarray:
    """Sum of the ramps of all tiles of the lattice along one axis at pixels start..stop."""
    weight, core, phase = ramp(lattice, axis), lattice.core[axis], lattice.phase[axis]
    total = np.zeros(stop - start, dtype=np.float64)
    reach = neighbours(lattice)
    first = max(0, (start + phase) // core - reach)
    last = min(lattice.shape[axis], (stop - 1 + phase) // core + reach + 1)
    for index in range(first, last):
        origin = index * core - phase - lattice.halo
        lo, hi = max(start, origin), min(stop, origin + len(weight))
        if lo < hi:
            total[lo - start : hi - start] += weight[lo - origin : hi - origin]
    return total


def neighbours(lattice: Lattice) -> int:
    """How many tiles to each side overlap a core: the reach of blending, in tiles."""
    return -(-lattice.halo // min(lattice.core))


def blend_weights(lattice: Lattice, row: int, col: int, part: Window) -> np.ndarray:
    """Weights of tile (row, col) over `part` of the scene; float32, shape ``(height, width)``.

    Over all tiles of the lattice the weights of a pixel sum to one. They are computed from absolute
    positions alone: the same for whichever block asks.
    """
    tile = lattice.tile_window(row, col)
    vertical = ramp(lattice, 0)[part.row - tile.row : part.row_stop - tile.row]
    horizontal = ramp(lattice, 1)[part.col - tile.col : part.col_stop - tile.col]
    vertical = vertical / _total(lattice, 0, part.row, part.row_stop)
    horizontal = horizontal / _total(lattice, 1, part.col, part.col_stop)
    return (vertical[:, None] * horizontal[None, :]).astype(np.float32)


class Blend:
    """Adds up the weighted scores of the tiles around one block.

    Tiles must be added in row-major order: floating point sums depend on the order. `planes` is the number
    of classes, and one more where the novelty of the pixels is blended too.
    """

    def __init__(self, lattice: Lattice, block: Block, planes: int) -> None:
        self._lattice, self._block = lattice, block
        self.scores = np.zeros((planes, block.window.height, block.window.width), dtype=np.float32)

    def add(self, row: int, col: int, scores: np.ndarray) -> None:
        """Add tile (row, col); `scores` is float32 of shape ``(planes, tile, tile)``."""
        tile = self._lattice.tile_window(row, col)
        part = tile.intersect(self._block.window)
        if part.height == 0 or part.width == 0:
            return
        weights = blend_weights(self._lattice, row, col, part)
        inside = (slice(None), *part.relative_to(self._block.window).slices)
        self.scores[inside] += scores[(slice(None), *part.relative_to(tile).slices)] * weights

    def classify(self, values: list[int], layers: Collection[str]) -> dict[str, np.ndarray]:
        """Return layers of `geodl.task.LAYERS` by name, from the weighted probabilities of the classes.

        ``class`` is uint8, of equal probabilities the first one, `values` being the raster value of each;
        the others are float32.
        """
        shares = self.scores[: len(values)]
        highest = shares.max(axis=0)
        classes = np.zeros(highest.shape, dtype=np.uint8)
        for plane, value in zip(shares[::-1], reversed(values), strict=True):
            classes[plane == highest] = value
        found = {"class": classes, "confidence": highest, "probability": shares, "novelty": self.scores[-1]}
        if "entropy" in layers:
            nats = np.zeros_like(highest)
            for plane in shares:
                nats -= plane * np.log(np.maximum(plane, np.finfo(np.float32).tiny))
            found["entropy"] = np.clip(nats / np.float32(np.log(len(values))), 0, 1)
        return {layer: found[layer] for layer in layers}
