"""Thin a mask to lines of one pixel, with a reach that is known beforehand.

The conditions are those of Guo and Hall, "Parallel thinning with two-subiteration algorithms",
Communications of the ACM 32 (1989) 359-373, https://doi.org/10.1145/62065.62074 (their first algorithm,
which `skimage.morphology.thin` follows too). Here only pixels whose neighbourhood has changed are looked at
again, so an iteration costs what it removes, not the size of the raster.

A pass looks one pixel far and an iteration has two passes: `iterations` of them depend on nothing further
away than ``2 * iterations`` pixels.
"""

import numpy as np

_EAST, _NORTH_EAST, _NORTH, _NORTH_WEST, _WEST, _SOUTH_WEST, _SOUTH, _SOUTH_EAST = range(8)
STEPS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""(row, column) steps to the neighbours in the order of the bits above."""


def thin(mask: np.ndarray, iterations: int) -> np.ndarray:
    """Peel layers off a mask until lines are one pixel wide, at most `iterations` of them.

    Parameters
    ----------
    mask : bool array of shape (height, width)
        What lies beyond its edges counts as empty.
    iterations : int
        Each takes a pixel off both sides: lines of up to ``2 * iterations`` pixels end as lines of one.

    Returns
    -------
    bool array of shape (height, width)
    """
    alive = np.pad(mask, 1).astype(np.uint8)
    flat, width = alive.ravel(), alive.shape[1]
    steps = np.array([row * width + column for row, column in STEPS])
    mark = np.zeros(flat.size, np.int32)
    active = np.flatnonzero(_edges(alive))
    for _ in range(iterations):
        removed = []
        for table in _TABLES:
            active = active[flat[active] == 1]
            gone = active[table[_codes(flat, active, steps)]]
            flat[gone] = 0
            removed.append(gone)
            active = _unique(np.concatenate([active, _around(flat, gone, steps)]), mark)
        active = _unique(np.concatenate([_around(flat, gone, steps) for gone in removed]), mark)
        if not len(active):
            break
    return alive[1:-1, 1:-1].astype(bool)


def hollow(mask: np.ndarray) -> np.ndarray:
    """Take out the pixels whose eight neighbours are all set: of an area its outline is left."""
    return mask & _edges(np.pad(mask, 1).astype(np.uint8))[1:-1, 1:-1]


def _edges(alive: np.ndarray) -> np.ndarray:
    """Pixels of a mask with an empty border that have an empty neighbour."""
    inner = alive.copy()
    inner[:, 1:-1] = alive[:, :-2] & alive[:, 1:-1] & alive[:, 2:]
    inner[1:-1] = inner[:-2] & inner[1:-1] & inner[2:]
    return alive > inner


def _codes(flat: np.ndarray, pixels: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Bits of the set neighbours of pixels."""
    code = np.zeros(len(pixels), np.uint8)
    for bit, step in enumerate(steps):
        code |= flat[pixels + step] << bit
    return code


def _around(flat: np.ndarray, pixels: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Set neighbours of pixels, some of them more than once."""
    near = (pixels[:, None] + steps).ravel()
    return near[flat[near] == 1]


def _unique(pixels: np.ndarray, mark: np.ndarray) -> np.ndarray:
    """Each pixel once, by the last place that wrote its number into `mark`: no sorting."""
    number = np.arange(len(pixels), dtype=np.int32)
    mark[pixels] = number
    return pixels[mark[pixels] == number]


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Whether a pixel goes, by the bits of its neighbours, in the first and in the second pass."""
    x = [(np.arange(256) >> bit) & 1 == 1 for bit in range(8)]
    ahead = [x[(bit + 1) % 8] for bit in range(8)]
    corners = (_EAST, _NORTH, _WEST, _SOUTH)
    crossings = sum((~x[bit] & (ahead[bit] | x[(bit + 2) % 8])).astype(int) for bit in corners)
    pairs = sum((x[bit] | ahead[bit]).astype(int) for bit in corners)
    other_pairs = sum((ahead[bit] | x[(bit + 2) % 8]).astype(int) for bit in corners)
    fewest = np.minimum(pairs, other_pairs)
    free = (crossings == 1) & (fewest >= 2) & (fewest <= 3)
    first = free & ~((x[_NORTH_EAST] | x[_NORTH] | ~x[_SOUTH_EAST]) & x[_EAST])
    second = free & ~((x[_SOUTH_WEST] | x[_SOUTH] | ~x[_NORTH_WEST]) & x[_WEST])
    return first, second


_TABLES = _tables()
