"""The same plots by torchgeo's `ChangeDetectionTask` with its defaults, in Lightning's trainer."""

from collections.abc import Iterator

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from geodl.assess.labels import IGNORE
from geodl.models.spec import BandSpec, ModelSpec
from geodl.training.description import make_spec
from geodl.training.plots import Plot
from geodl.training.recipe import Recipe
from geodl.training.samples import Samples, band_statistics
from geodl.training.trainer import precision_of, quiet_lightning
from tests.benchmarks.accuracy.cases import UNCHANGED, altered
from tests.benchmarks.accuracy.peer import plain_trainer

CHECKS = 10
"""How often the loss, after which the learning rate may fall, is computed in a run."""
_FIRST = 1_000_000_000
"""Number of the first sample of these checks, which training never reaches."""


def learn_peer(recipe: Recipe, plots: list[Plot]) -> tuple[ModelSpec, nn.Module]:
    """Train U-Net with a ResNet-50 encoder, which sees both dates as one image, by binary cross-entropy.

    Windows are drawn uniformly over the labelled area and scaled by the statistics of the training part;
    nothing is changed at random, as torchgeo's trainer leaves that to its user. The loss knows no pixels
    without labels: they count as unchanged.
    """
    from torchgeo.trainers import ChangeDetectionTask

    recipe = altered(recipe, {"optimisation": {"balanced_draws": 0.0}, "augment": UNCHANGED.model_dump()})
    settings = recipe.optimisation
    assert isinstance(settings.batch, int)
    # The same network by geodl's table: it tells how far the default of torchgeo sees.
    shown = altered(recipe, {"architecture": "unet", "parameters": {"encoder": "resnet50"}})
    spec = make_spec(shown, band_statistics(plots, recipe.bands))
    steps = settings.samples_per_epoch // settings.batch
    precision = precision_of(settings.precision, torch.device("cpu"))
    with quiet_lightning():
        lightning.seed_everything(recipe.seed, verbose=False)
        task = ChangeDetectionTask(in_channels=len(recipe.bands) // 2)
        trainer = plain_trainer(steps, CHECKS, precision, limit_val_batches=1)
        trainer.fit(
            task,
            DataLoader(_Drawn(recipe, plots, spec.bands), batch_size=settings.batch),
            DataLoader(_Drawn(recipe, plots, spec.bands, _FIRST), batch_size=settings.batch),
        )
    assert trainer.global_step == steps
    return spec, _TwoScores(task.model).to(memory_format=torch.channels_last)


class _TwoScores(nn.Module):
    """One logit as two scores, of unchanged and of changed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 2, H, W), of which the first is 0."""
        changed = self.network(x)
        return torch.cat([torch.zeros_like(changed), changed], dim=1)


class _Drawn(IterableDataset):
    """Training samples as torchgeo names and shapes them; each epoch goes on where the one before ended."""

    def __init__(self, recipe: Recipe, plots: list[Plot], bands: list[BandSpec], first: int = 0) -> None:
        self._samples, self._next = Samples(recipe, plots, bands), first

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:
            image, labels = self._samples[self._next]
            self._next += 1
            mask = torch.where(labels == IGNORE, 0, labels)
            yield {"image": image.unflatten(0, (2, -1)), "mask": mask[None]}
