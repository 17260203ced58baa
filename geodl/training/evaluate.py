"""Accuracy of a network on whole plots: tile by tile with the halo, as a prediction would run."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from geodl.assess.confusion import confusion_matrix
from geodl.assess.labels import IGNORE
from geodl.models.spec import ModelSpec
from geodl.tiles import Lattice
from geodl.training.plots import Plot
from geodl.training.samples import Statistics, normalise

_CORE = 1024
"""Core of a tile for networks cut at the core, whose result does not depend on it."""


def lattice_of(plot: Plot, spec: ModelSpec) -> Lattice:
    """Tiles over a plot: larger than the model's where that changes nothing but the time."""
    lattice = Lattice(plot.height, plot.width, spec.tile, spec.halo)
    if spec.stitch == "blend":
        return lattice
    side = min(_CORE, max(plot.height, plot.width))
    core = -(-side // spec.stride) * spec.stride
    return replace(lattice, tile=core + 2 * spec.halo)


def labelled_tiles(plots: list[Plot], spec: ModelSpec) -> list[tuple[int, int, int]]:
    """List the tiles ``(plot number, row, column)`` whose core holds validation labels."""
    tiles = []
    for number, plot in enumerate(plots):
        if not sum(plot.validation):
            continue
        lattice, labels = lattice_of(plot, spec), plot.labels("validation")
        for row in range(lattice.shape[0]):
            for column in range(lattice.shape[1]):
                if (labels[lattice.core_window(row, column).slices] != IGNORE).any():
                    tiles.append((number, row, column))
    return tiles


def choose_tiles(
    tiles: list[tuple[int, int, int]], plots: list[Plot], spec: ModelSpec, pixels: int, seed: int
) -> list[tuple[int, int, int]]:
    """Choose tiles at random until their cores hold `pixels`; the same ones for the same seed."""
    chosen, total = [], 0
    for index in np.random.default_rng(seed).permutation(len(tiles)):
        number, row, column = tiles[index]
        core = lattice_of(plots[number], spec).core_window(row, column)
        chosen.append(tiles[index])
        total += core.height * core.width
        if total >= pixels:
            break
    return sorted(chosen)


@torch.no_grad()
def evaluate(
    network: nn.Module,
    plots: list[Plot],
    tiles: list[tuple[int, int, int]],
    statistics: Statistics,
    spec: ModelSpec,
    *,
    device: torch.device,
    precision: torch.dtype,
) -> np.ndarray:
    """Compare predictions with the validation labels.

    Parameters
    ----------
    network : torch.nn.Module
        ``(N, bands, y, x) -> (N, classes, y, x)``; put into evaluation mode.
    plots : list of Plot
        Scenes and labels.
    tiles : list of tuple
        Which tiles to predict, see `labelled_tiles`.
    statistics : Statistics
        Scaling of the bands.
    spec : ModelSpec
        Gives tile, halo and number of classes.
    device, precision : torch.device, torch.dtype
        Where, and in which precision, to compute.

    Returns
    -------
    numpy.ndarray
        Confusion matrix, int64, shape ``(classes, classes)``, reference in rows.
    """
    network.eval()
    classes = len(spec.classes)
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for number, row, column in tiles:
        plot = plots[number]
        lattice = lattice_of(plot, spec)
        tile, core = lattice.tile_window(row, column), lattice.core_window(row, column)
        image = torch.from_numpy(normalise(*plot.window(tile), statistics))[None]
        image = image.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            scores = network(image)[0]  # (classes, tile, tile)
        inside = scores[(slice(None), *core.relative_to(tile).slices)]
        predicted = inside.float().argmax(dim=0).to(torch.uint8).cpu().numpy()
        matrix += confusion_matrix(plot.labels("validation")[core.slices], predicted, classes)
    return matrix
