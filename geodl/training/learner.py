"""One step of learning, for Lightning: the loss, the optimiser, the learning rate, the average."""

import math
import time
from dataclasses import dataclass, field

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from geodl.assess.labels import IGNORE
from geodl.training.recipe import Optimisation


@dataclass
class Clock:
    """How far a run is: the larger of the fraction of its steps and of its time."""

    steps: int
    minutes: float | None
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def progress(self) -> float:
        """Between 0 and 1."""
        by_time = 0.0 if self.minutes is None else self.elapsed / (60 * self.minutes)
        return min(1.0, max(self.done / self.steps, by_time))


def learning_rate(progress: float, warmup: float) -> float:
    """Share of the full learning rate: a linear rise, then half a cosine (arXiv:1608.03983).

    >>> [round(learning_rate(p, 0.1), 2) for p in (0.05, 0.1, 0.55, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1e-9, 1 - warmup)))


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


def weighted_loss(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """Cross-entropy over the labelled pixels, weighted by class.

    Parameters
    ----------
    logits : torch.Tensor
        Shape ``(N, classes, y, x)``.
    labels : torch.Tensor
        int64, shape ``(N, y, x)``; 255 is ignored. A batch without any label costs 0.
    weights : torch.Tensor
        Shape ``(classes,)``.
    smoothing : float
        Share of the target spread over all classes (arXiv:1512.00567).
    """
    total = F.cross_entropy(
        logits.float(), labels, weights, ignore_index=IGNORE, reduction="sum", label_smoothing=smoothing
    )
    known = labels[labels != IGNORE]
    return total / weights[known].sum().clamp(min=1e-6)


class Learner(lightning.LightningModule):
    """A network in training, beside the average of its weights.

    Parameters
    ----------
    network, average : torch.nn.Module
        The network that learns, and a copy that follows it; the same object for no averaging.
    settings : Optimisation
        From the recipe.
    weights : numpy.ndarray
        Class weights of the loss, float32, shape ``(classes,)``.
    clock : Clock
        Tells the learning rate; counted on here.
    """

    class_weights: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        average: nn.Module,
        settings: Optimisation,
        weights: np.ndarray,
        clock: Clock,
    ) -> None:
        super().__init__()
        self.network, self.average = network, average
        self._settings = settings
        self._clock = clock
        self.register_buffer("class_weights", torch.from_numpy(weights), persistent=False)
        self.losses: list[torch.Tensor] = []

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch ``(images, labels)``."""
        images, labels = batch  # (N, bands, y, x), (N, y, x)
        logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = weighted_loss(logits, labels, self.class_weights, self._settings.label_smoothing)
        self.losses.append(loss.detach())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW (arXiv:1711.05101); biases and norms are not decayed."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self._settings.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self._settings.learning_rate)

    def on_train_batch_start(self, *_: object) -> None:
        """Set the learning rate from the progress of the run."""
        rate = self._settings.learning_rate * learning_rate(self._clock.progress, self._settings.warmup)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def on_train_batch_end(self, *_: object) -> None:
        """Let the average follow; stop when the time is over."""
        self._clock.done += 1
        if self._settings.ema is not None:
            follow(self.average, self.network, self._settings.ema, self._clock.done)
        if self._clock.progress >= 1:
            self.trainer.should_stop = True

    def mean_loss(self) -> float:
        """Mean training loss since the last call; NaN without a step."""
        losses, self.losses = self.losses, []
        return float(torch.stack(losses).mean()) if losses else math.nan
