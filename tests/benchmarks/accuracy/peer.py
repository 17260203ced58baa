"""The same plots by torchgeo's `SemanticSegmentationTask` with its defaults, in Lightning's trainer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from geodl.assess.confusion import Accuracy
from geodl.assess.labels import IGNORE
from geodl.models.spec import BandSpec
from geodl.tiles import Window
from geodl.training.description import make_spec
from geodl.training.evaluate import Validation
from geodl.training.plots import Plot, cut, decode
from geodl.training.recipe import Recipe
from geodl.training.samples import Samples, band_statistics, normalise
from geodl.training.trainer import precision_of, quiet_lightning
from tests.benchmarks.accuracy.cases import UNCHANGED, altered

CHECKS = 20
"""How often the validation loss, after which the learning rate may fall, is computed in a run."""
_WINDOWS = 32
"""Windows of which it is the mean, at the most."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run of torchgeo's trainer came to."""

    accuracy: Accuracy
    parameters: int


def train_peer(recipe: Recipe, folder: Path) -> Trained:
    """Train U-Net with a ResNet-18 encoder from random weights, and check it as geodl checks.

    Samples are drawn uniformly over the labelled area and scaled by the statistics of the training
    part; nothing is changed at random, as torchgeo's trainer leaves that to its user.

    Parameters
    ----------
    recipe : Recipe
        Its scenes, labels, split, seed, patch, batch and number of samples are used.
    folder : Path
        Receives the decoded scenes; the caller removes it.
    """
    from torchgeo.trainers import SemanticSegmentationTask

    recipe = altered(
        recipe,
        {
            "architecture": "unet",
            "parameters": {"encoder": "resnet18"},
            "optimisation": {"balanced_draws": 0.0},
            "augment": UNCHANGED.model_dump(),
        },
    )
    settings = recipe.optimisation
    assert isinstance(settings.batch, int)
    assert recipe.split.gap is not None or all(source.role != "auto" for source in recipe.sources)
    plots = decode(recipe, folder, gap=0)
    spec = make_spec(recipe, band_statistics(plots, recipe.bands))
    precision = precision_of(settings.precision, torch.device("cpu"))
    steps = settings.samples_per_epoch // settings.batch
    with quiet_lightning():
        lightning.seed_everything(recipe.seed, verbose=False)
        task = SemanticSegmentationTask(
            model="unet",
            backbone="resnet18",
            weights=None,
            in_channels=len(recipe.bands),
            num_classes=len(recipe.classes),
            ignore_index=IGNORE,
        )
        trainer = plain_trainer(steps, CHECKS, precision)
        trainer.fit(
            task,
            DataLoader(_Drawn(recipe, plots, spec.bands), batch_size=settings.batch),
            DataLoader(_HeldOut(recipe, plots, spec.bands), batch_size=settings.batch),
        )
    assert trainer.global_step == steps
    validation = Validation(plots=plots, spec=spec, device=torch.device("cpu"), precision=precision)
    network = task.model.to(memory_format=torch.channels_last)
    return Trained(
        accuracy=validation.measure(network, validation.tiles()),
        parameters=sum(weight.numel() for weight in network.parameters()),
    )


def plain_trainer(steps: int, checks: int, precision: torch.dtype, **more: Any) -> lightning.Trainer:
    """Set up Lightning's trainer to take so many steps, and nothing beside them but checks of the loss."""
    return lightning.Trainer(
        accelerator="cpu",
        precision="bf16-mixed" if precision == torch.bfloat16 else "32-true",
        max_steps=steps,
        max_epochs=-1,
        limit_train_batches=-(-steps // checks),
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **more,
    )


class _Drawn(IterableDataset):
    """Training samples as torchgeo names them; each epoch goes on where the one before ended."""

    def __init__(self, recipe: Recipe, plots: list[Plot], bands: list[BandSpec]) -> None:
        self._samples = Samples(recipe, plots, bands)
        self._next = 0

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            image, labels = self._samples[self._next]
            self._next += 1
            yield {"image": image, "mask": labels}


class _HeldOut(Dataset):
    """Windows of the validation part, side by side; where there are many, some of them."""

    def __init__(self, recipe: Recipe, plots: list[Plot], bands: list[BandSpec]) -> None:
        self._plots, self._bands = plots, bands
        side = recipe.optimisation.patch
        found = [
            (number, Window(row, column, side, side))
            for number, plot in enumerate(plots)
            if sum(plot.validation)
            for row in range(0, plot.height, side)
            for column in range(0, plot.width, side)
            if (plot.labels("validation")[row : row + side, column : column + side] != IGNORE).any()
        ]
        random = np.random.default_rng(recipe.seed)
        self._windows = [found[n] for n in random.permutation(len(found))[:_WINDOWS]]

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        index, window = self._windows[number]
        plot = self._plots[index]
        values, valid = plot.window(window)
        labels = cut(plot.labels("validation"), window).astype(np.int64)
        return {
            "image": torch.from_numpy(normalise(values, valid, self._bands)),
            "mask": torch.from_numpy(labels),
        }
