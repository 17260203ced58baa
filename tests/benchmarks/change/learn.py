"""A network from its recipe, by the parts that `geodl train` is made of, without its checks and reports."""

import copy

import numpy as np
import torch
from torch import nn

from geodl.models.spec import ModelSpec
from geodl.models.table import build_network
from geodl.training.clock import Clock
from geodl.training.description import make_spec
from geodl.training.evaluate import Validation
from geodl.training.learner import Learner
from geodl.training.loader import make_loader
from geodl.training.origin import read_source
from geodl.training.plots import Plot
from geodl.training.recipe import Recipe
from geodl.training.samples import band_statistics, class_weights
from geodl.training.trainer import make_trainer, precision_of, quiet_lightning
from geodl.training.transfer import transfer
from tests.benchmarks.change.scores import BINS

CPU = torch.device("cpu")


def learn(recipe: Recipe, plots: list[Plot]) -> tuple[ModelSpec, nn.Module]:
    """Train for one epoch; the averaged weights are what is learned, as ever."""
    settings = recipe.optimisation
    assert isinstance(settings.batch, int)
    spec = make_spec(recipe, band_statistics(plots, recipe.bands))
    torch.manual_seed(recipe.seed)
    network = build_network(spec).to(memory_format=torch.channels_last)
    if recipe.start is not None:
        names = [c.name for c in recipe.classes]
        transfer(network, read_source(recipe.start, recipe.data_root), recipe.bands, names)
    average = copy.deepcopy(network).requires_grad_(False)
    clock = Clock(steps=settings.samples_per_epoch // settings.batch, minutes=None)
    learner = Learner(network, average, recipe, class_weights(plots, settings.class_weights), clock)
    with quiet_lightning():
        trainer = make_trainer(settings, CPU, 1, precision_of(settings.precision, CPU), 1, [])
        samples = settings.samples_per_epoch
        loader = make_loader(recipe, plots, spec.bands, clock, CPU, batch=settings.batch, per_epoch=samples)
        trainer.fit(learner, loader)
    return spec, average


def percents(spec: ModelSpec, network: nn.Module, plots: list[Plot]) -> list[np.ndarray]:
    """Map the plots with labels for validation.

    Returns
    -------
    list of numpy.ndarray
        For each such plot the probability of change, uint8 (y, x), 0 to `BINS` - 1; as far as tiles with
        labels reach, elsewhere 0.
    """
    precision = precision_of("auto", CPU)
    validation = Validation(plots=plots, spec=spec, device=CPU, precision=precision)
    network.eval()
    found: dict[int, np.ndarray] = {}
    for tile in validation.tiles():
        plot = plots[tile[0]]
        core, _, scores = validation.scores(network, tile)
        values = (scores.softmax(dim=0)[1] * BINS).clamp(0, BINS - 1)
        whole = found.setdefault(tile[0], np.zeros((plot.height, plot.width), np.uint8))
        whole[core.slices] = values.to(torch.uint8).numpy()
    return list(found.values())
