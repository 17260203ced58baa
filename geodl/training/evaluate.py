"""Accuracy of a network on whole plots: tile by tile with the halo, as a prediction would run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from geodl.assess.confusion import Accuracy, accuracy, confusion_matrix
from geodl.assess.labels import IGNORE
from geodl.assess.pixel_sample import PixelSample
from geodl.models.spec import ModelSpec
from geodl.tiles import Lattice, Window
from geodl.training.plots import Plot
from geodl.training.samples import normalise

_CORE = 512
"""Core of a tile, in pixels, for networks cut at the core: their result does not depend on it."""

Tile = tuple[int, int, int]
"""Number of a plot, row and column in its lattice."""

Look = Callable[[Tile, Window, np.ndarray, np.ndarray], None]
"""Shown each tile that is checked: its number, its core in the plot, labels and prediction of the core."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The validation part of the plots, or another one, and how to compute on it.

    Parameters
    ----------
    plots : list of Plot
        Scenes and labels.
    spec : ModelSpec
        Gives the scaling of the bands, tile, halo and classes.
    device, precision : torch.device, torch.dtype
        Where, and in which precision, the network runs.
    role : str
        Whose labels count: ``"validation"``, or ``"train"`` to look back at what was learnt.
    """

    plots: list[Plot]
    spec: ModelSpec
    device: torch.device
    precision: torch.dtype = torch.float32
    role: Literal["validation", "train"] = "validation"

    def lattice(self, plot: Plot) -> Lattice:
        """Tiles over a plot: larger than the model's where that changes nothing but the time."""
        spec, size = self.spec, (plot.height, plot.width)
        if spec.stitch == "blend":
            return Lattice(*size, (spec.core, spec.core), spec.halo)
        return Lattice.even(*size, core=(_CORE, _CORE), halo=spec.halo, stride=spec.stride)

    def tiles(self) -> list[Tile]:
        """List the tiles whose core holds labels of the role."""
        found: list[Tile] = []
        for number, plot in enumerate(self.plots):
            if sum(getattr(plot, self.role)):
                lattice, labels = self.lattice(plot), plot.labels(self.role)
                found.extend(
                    (number, int(row), int(column))
                    for row, column in np.ndindex(*lattice.shape)
                    if (labels[lattice.core_window(row, column).slices] != IGNORE).any()
                )
        return found

    def some_tiles(self, pixels: int, seed: int) -> list[Tile]:
        """Choose tiles at random until their cores hold `pixels`; the same ones for the same seed."""
        tiles = self.tiles()
        chosen, total = [], 0
        for index in np.random.default_rng(seed).permutation(len(tiles)):
            number, row, column = tiles[index]
            core = self.lattice(self.plots[number]).core_window(row, column)
            chosen.append(tiles[index])
            total += core.height * core.width
            if total >= pixels:
                break
        return sorted(chosen)

    def measure(self, network: nn.Module, tiles: list[Tile]) -> Accuracy:
        """Compare predictions with the labels on the cores of some tiles; see `confusion`."""
        return accuracy(self.confusion(network, tiles), [c.name for c in self.spec.classes])

    def confusion(
        self,
        network: nn.Module,
        tiles: list[Tile],
        look: Look | None = None,
        sample: PixelSample | None = None,
    ) -> np.ndarray:
        """Count pixels by label (rows) and prediction (columns) over the cores of some tiles.

        The network maps ``(1, bands, tile, tile)`` to ``(1, classes, tile, tile)``; it runs in
        evaluation mode and is handed back in the mode it came in. `look` is shown each tile on the way,
        `sample` is offered the scores of its labelled pixels.
        """
        training = network.training
        network.eval()
        count = len(self.spec.classes)
        matrix = np.zeros((count, count), dtype=np.int64)
        for tile in tiles:
            core, labels, scores = self.scores(network, tile)
            predicted = scores.argmax(dim=0).to(torch.uint8).cpu().numpy()
            matrix += confusion_matrix(labels, predicted, count)
            if sample is not None:
                sample.add(scores.flatten(1).T.cpu().numpy(), labels.ravel())
            if look is not None:
                look(tile, core, labels, predicted)
        network.train(training)
        return matrix

    @torch.no_grad()
    def scores(self, network: nn.Module, tile: Tile) -> tuple[Window, np.ndarray, torch.Tensor]:
        """Run the network, which is in evaluation mode, on one tile.

        Returns
        -------
        core : Window
            The part that is kept, in pixels of the plot.
        labels : numpy.ndarray
            Class positions on the core, uint8; 255 where there is none of the role.
        scores : torch.Tensor
            Of the classes on the core, float32, ``(classes, height, width)``, on the device.
        """
        number, row, column = tile
        plot = self.plots[number]
        lattice = self.lattice(plot)
        window, core = lattice.tile_window(row, column), lattice.core_window(row, column)
        image = torch.from_numpy(normalise(*plot.window(window), self.spec.bands))[None]
        image = image.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            scores = network(image)[0]  # (classes, tile, tile)
        inside = scores[(slice(None), *core.relative_to(window).slices)].float()
        return core, np.asarray(plot.labels(self.role)[core.slices]), inside
