"""One step of learning, for Lightning: the loss, the learning rate, the average of the weights."""

import math
from collections.abc import Sequence

import lightning
import numpy as np
import torch
from torch import nn

from geodl.training.clock import Clock
from geodl.training.losses import make_loss
from geodl.training.mix import cutmix
from geodl.training.optimisers import freeze, make_optimiser
from geodl.training.recipe import Recipe
from geodl.training.schedules import learning_rate


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards those of the network (Polyak averaging).

    The decay starts low, ``(1 + step) / (10 + step)``, so that short runs forget their random start.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for slow, fast in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if slow.is_floating_point():
            slow.lerp_(fast.to(slow.dtype), 1 - decay)
        else:
            slow.copy_(fast)


class Learner(lightning.LightningModule):
    """A network in training, beside the average of its weights.

    Parameters
    ----------
    network, average : torch.nn.Module
        The network that learns, and a copy that follows it; the same object for no averaging.
    recipe : Recipe
        Gives the optimisation, the mixing of samples and the seed.
    weights : numpy.ndarray
        Class weights of the loss, float32, shape ``(classes,)``.
    clock : Clock
        Tells the learning rate; counted on here.
    scores : sequence of float
        What the checks found so far; whoever checks adds to it.
    """

    class_weights: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        average: nn.Module,
        recipe: Recipe,
        weights: np.ndarray,
        clock: Clock,
        scores: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.network, self.average = network, average
        self._recipe, self._settings = recipe, recipe.optimisation
        self._clock = clock
        self._scores = scores
        self.register_buffer("class_weights", torch.from_numpy(weights), persistent=False)
        self.losses: list[torch.Tensor] = []
        self.optimiser_state: dict | None = None
        """State of the optimiser to begin with, of a run that is resumed."""
        self._updates = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser of the recipe."""
        optimiser = make_optimiser(self.network, self._settings)
        if self.optimiser_state is not None:
            optimiser.load_state_dict(self.optimiser_state)
        return optimiser

    def on_fit_start(self) -> None:
        """Make the loss, now that the class weights are where the network is."""
        self.make_loss()

    def make_loss(self) -> None:
        """Make the loss of the recipe, on the device of the class weights."""
        self._loss = make_loss(self._settings.losses, self.class_weights, self._settings.label_smoothing)

    def on_train_epoch_start(self) -> None:
        """Hold the encoder still as long as the recipe says."""
        if self._settings.frozen_epochs:
            freeze(self.network, self._clock.epoch < self._settings.frozen_epochs)

    def _seed(self) -> int:
        place = [self._recipe.seed % 2**32, self._clock.done, self.global_rank]
        return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch ``(images, labels)``."""
        images, labels = batch  # (N, bands, y, x), (N, y, x)
        if self._recipe.augment.cutmix:
            images, labels = cutmix(images, labels, self._recipe.augment.cutmix)
        loss = self.loss(images.contiguous(memory_format=torch.channels_last), labels)
        self.losses.append(loss.detach())
        return loss

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Run the network and compare."""
        return self._loss(self.network(images), labels)

    def on_train_batch_start(self, *_: object) -> None:
        """Set the learning rate from the progress of the run, and random numbers of this batch's own.

        A resumed run thus draws what it would have drawn, with no generator kept.
        """
        torch.manual_seed(self._seed())
        rate = self._settings.learning_rate * learning_rate(
            self._settings, self._clock.progress, self._scores
        )
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate * group["share"]

    def on_train_batch_end(self, *_: object) -> None:
        """Let the average follow where the optimiser has stepped; stop when the time is over."""
        if self.trainer.global_step > self._updates:
            self._updates = self.trainer.global_step
            self._clock.updates += 1
            if self._settings.ema is not None:
                follow(self.average, self.network, self._settings.ema, self._clock.updates)
        self.trainer.should_stop = self._clock.tick(self.device)

    def mean_loss(self) -> float:
        """Mean training loss since the last call; NaN without a step."""
        losses, self.losses = self.losses, []
        return float(torch.stack(losses).mean()) if losses else math.nan
