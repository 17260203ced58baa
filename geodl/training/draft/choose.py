"""Sizes that fit the data: patch, blocks and gap, tried out on the labels."""

from dataclasses import dataclass

import numpy as np

from geodl.assess.labels import IGNORE, open_labels
from geodl.models.table import tiling_of
from geodl.tiles import Window
from geodl.training.draft.classes import FoundLabels
from geodl.training.draft.scenes import SeenScenes
from geodl.training.split import block_counts, choose_blocks, near_blocks

ARCHITECTURE, PARAMETERS = "unet", {"encoder": "resnet18"}
"""The network of a first recipe; docs/accuracy.md compares it with the smaller `unet_compact`."""
_PATCH = 256
_BLOCKS = (512, 384, 256, 192, 128, 96, 64, 48, 32, 16)
_WANTED_BLOCKS = 20
"""With a quarter of fewer blocks, validation would stand on four places."""
_MANY_SCENES = 8
_WHOLE_PIXELS = 50_000_000
"""Labels of larger scenes are looked at in their middle."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a recipe should say of sizes, all in pixels.

    Parameters
    ----------
    patch, samples : int
        Side of a training sample, and samples per epoch.
    by : str
        ``blocks`` or ``scene``.
    block, gap : int
        Side of the blocks and distance between training and validation.
    halo : int
        Of the network: the gap at which no training pixel sees a validation block.
    train, validation : float
        Shares of the labelled pixels that each part would get; 0 where whole scenes are held out.
    """

    patch: int
    samples: int
    by: str
    block: int
    gap: int
    halo: int
    train: float = 0.0
    validation: float = 0.0


def choose_sizes(seen: SeenScenes, found: FoundLabels) -> Sizes:
    """Choose the largest blocks, and the widest gap up to the halo, that leave enough to learn from."""
    tiling = tiling_of(ARCHITECTURE, PARAMETERS)
    smallest = min(min(grid.shape) for grid in seen.grids)
    patch = max(2 * tiling.stride, min(_PATCH, smallest // tiling.stride * tiling.stride))
    pixels = sum(grid.shape[0] * grid.shape[1] for grid in seen.grids) / len(seen.grids) * seen.total
    # Each place is seen about eight times an epoch, within what an epoch should last.
    samples = int(np.clip(8 * pixels / patch**2, 128, 1024)) // 8 * 8
    sizes = Sizes(patch=patch, samples=samples, by="scene", block=128, gap=tiling.halo, halo=tiling.halo)
    if seen.total >= _MANY_SCENES:
        return sizes
    return _by_blocks(seen, found, sizes)


def _by_blocks(seen: SeenScenes, found: FoundLabels, sizes: Sizes) -> Sizes:
    labels = _labels(seen, found)
    classes = sum(not c.left_out for c in found.classes) + (found.background is not None)
    best: tuple[float, Sizes] | None = None
    halo = sizes.halo
    for gap in dict.fromkeys((halo, halo // 2, halo // 4, halo // 8, 0)):
        for block in _BLOCKS:
            if block > min(labels.shape) // 2 or block < gap:
                continue
            counts = block_counts(labels, block, classes)
            blocks = int(np.count_nonzero(counts.sum(axis=-1)))
            chosen = choose_blocks(counts, 0.25, 0)
            if not chosen.any():
                continue
            train, held_out = _shares(labels, chosen, block, gap)
            tried = Sizes(
                patch=sizes.patch, samples=sizes.samples, by="blocks", block=block, gap=gap, halo=halo,
                train=train, validation=held_out,
            )  # fmt: skip
            if blocks >= _WANTED_BLOCKS and train >= 0.4 and held_out >= 0.1:
                return tried
            score = min(train, 0.6) * min(1.0, blocks / _WANTED_BLOCKS)
            if held_out > 0 and (best is None or score > best[0]):
                best = score, tried
    if best is None:
        return Sizes(
            patch=sizes.patch, samples=sizes.samples, by="blocks", block=max(1, min(labels.shape) // 4),
            gap=0, halo=halo,
        )  # fmt: skip
    return best[1]


def _labels(seen: SeenScenes, found: FoundLabels) -> np.ndarray:
    """Class positions of the largest scene, or of the middle of it; uint8, shape ``(y, x)``."""
    number = max(range(len(seen.grids)), key=lambda n: seen.grids[n].shape[0] * seen.grids[n].shape[1])
    grid = seen.grids[number]
    kept = [c for c in found.classes if not c.left_out]
    mapping = {c.key: code for code, c in enumerate(kept)}
    height, width = grid.shape
    side = int(_WHOLE_PIXELS**0.5)
    window = Window(0, 0, height, width)
    if height * width > _WHOLE_PIXELS:
        rows, columns = min(side, height), min(side, width)
        window = Window((height - rows) // 2, (width - columns) // 2, rows, columns)
    with open_labels(
        seen.pairs[number].labels,
        grid,
        mapping=mapping,
        attribute=found.options.get("attribute"),
        background=None if found.background is None else len(kept),
        width=found.options.get("width"),
    ) as reader:
        return reader.read(window)


def _shares(labels: np.ndarray, chosen: np.ndarray, block: int, gap: int) -> tuple[float, float]:
    """Shares of the labelled pixels that are left for training, and held out."""
    rows, width = slice(0, labels.shape[0]), labels.shape[1]
    known = labels != IGNORE
    total = max(1, int(known.sum()))
    near, inside = (near_blocks(chosen, block, margin, rows, width) for margin in (gap, 0))
    return float((known & ~near).sum() / total), float((known & inside).sum() / total)
