"""What a terminal shows while a network learns: one bar with rate, time left and the latest figures."""

import sys
import time
from collections import deque
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from geodl.training.clock import Clock
from geodl.training.journal import Epoch
from geodl.words import duration

_RECENT = 50  # steps; the rate is a mean over so many
_PAUSE = 0.25  # seconds between two looks at the loss, for each look makes a GPU wait


class Live(Callback):
    """Draws the progress of a run; Lightning calls it, and the keeper tells it each check.

    Parameters
    ----------
    clock : Clock
        How far the run is, by its steps or by its time limit, whichever is further.
    epochs : int
        Number of epochs of the recipe.
    console : rich.console.Console
        Where to draw. Lines printed meanwhile appear above the bar.
    """

    def __init__(self, clock: Clock, epochs: int, console: Console) -> None:
        self._clock, self._epochs = clock, epochs
        columns = (TextColumn("{task.description}"), BarColumn(24), TaskProgressColumn(),
                   TextColumn("{task.fields[text]}"))  # fmt: skip
        # Lines meant for a file or a pipe must not be drawn on the terminal instead.
        lines = sys.stdout.isatty()
        self._bar = Progress(*columns, console=console, transient=True, redirect_stdout=lines)
        self._task = self._bar.add_task("", total=1.0, text="")
        self._steps: deque[tuple[int, float]] = deque(maxlen=_RECENT)  # samples, seconds
        self._before = self._looked = time.monotonic()
        self._loss: float | None = None
        self._checked: Epoch | None = None

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Draw the bar; of several processes the first does."""
        if trainer.is_global_zero:
            self._bar.start()

    def on_train_epoch_start(self, *_: object) -> None:
        """Name the epoch."""
        self._before = time.monotonic()
        # Lightning counts from 0 again where a run is taken up.
        self._bar.update(self._task, description=f"epoch {self._clock.epoch + 1}/{self._epochs}")

    def on_train_batch_end(
        self, trainer: lightning.Trainer, _: lightning.LightningModule, outputs: Any, batch: Any, __: int
    ) -> None:
        """Move the bar on."""
        now = time.monotonic()
        self._steps.append((len(batch[0]), now - self._before))
        self._before = now
        if now - self._looked < _PAUSE:
            return
        self._looked = now
        # Lightning divides the loss by the number of batches that make a step.
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches
        self._loss = loss if self._loss is None else 0.8 * self._loss + 0.2 * loss
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._bar.update(self._task, completed=self._clock.progress, text=self.text(rate), refresh=True)

    def on_train_epoch_end(self, *_: object) -> None:
        """Say that the check has begun; the keeper, called after this, makes it."""
        self._bar.update(self._task, completed=self._clock.progress, text="checking ...")

    def checked(self, epoch: Epoch) -> None:
        """Take over the figures of a check."""
        self._checked = epoch

    def on_train_end(self, *_: object) -> None:
        """Take the bar away."""
        self._bar.stop()

    def on_exception(self, *_: object) -> None:
        """Take the bar away, so that the message stands alone."""
        self._bar.stop()

    def text(self, learning_rate: float) -> str:
        """Return what stands behind the bar: rate, loss, mIoU of the last check, learning rate, time left."""
        samples, seconds = (sum(part) for part in zip(*self._steps, strict=True))
        words = [f"{samples / max(seconds, 1e-9):.1f} samples/s"]
        if self._loss is not None:
            words.append(f"loss {self._loss:.3f}")
        if self._checked is not None:
            words.append(f"mIoU {self._checked.accuracy.mean_iou:.3f}")
        words.append(f"rate {learning_rate:.1e}")
        progress = self._clock.progress
        if 0 < progress < 1:
            words.append(f"{duration(self._clock.elapsed * (1 / progress - 1))} left")
        return "  ".join(words)
