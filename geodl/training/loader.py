"""Samples in batches, prepared beside the network."""

import os

import torch
from torch.utils.data import DataLoader

from geodl.models.spec import BandSpec
from geodl.training.clock import Clock
from geodl.training.order import Order
from geodl.training.plots import Plot
from geodl.training.recipe import Recipe
from geodl.training.samples import Samples


def make_loader(
    recipe: Recipe,
    plots: list[Plot],
    bands: list[BandSpec],
    clock: Clock,
    device: torch.device,
    *,
    batch: int,
    per_epoch: int,
    workers: int | None = None,
) -> DataLoader:
    """Load the training samples of the epoch that the clock shows.

    Parameters
    ----------
    recipe, plots, bands
        Where samples come from, and how they are scaled.
    clock : Clock
        Tells the epoch.
    device : torch.device
        Where they go.
    batch : int
        Samples at once in this process.
    per_epoch : int
        Samples of an epoch in all processes.
    workers : int, optional
        Processes that prepare samples; by default none for a CPU, where the network needs every core.
    """
    if workers is None:
        workers = 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)
    return DataLoader(
        Samples(recipe, plots, bands),
        batch_size=batch,
        sampler=Order(per_epoch, clock),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )
