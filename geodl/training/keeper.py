"""After each epoch: check, write the journal, keep the best on disk."""

import math
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from geodl.errors import RecipeError
from geodl.models.bundle import Model, load_model, save_model
from geodl.models.spec import AccuracySpec
from geodl.training.evaluate import Validation
from geodl.training.journal import Epoch, draw_curve, write_metrics
from geodl.training.learner import Clock, Learner
from geodl.training.plots import folders
from geodl.training.recipe import Recipe


class Keeper(Callback):
    """Lightning calls it at the end of each epoch; `finish` ends the run.

    Parameters
    ----------
    recipe : Recipe
        How often, and on how many pixels, to check.
    validation : Validation
        What to check on.
    out : Path
        The model folder.
    clock : Clock
        Time since the start.
    echo : callable
        Receives a line per check.
    """

    def __init__(
        self, recipe: Recipe, validation: Validation, out: Path, clock: Clock, echo: Callable[[str], None]
    ) -> None:
        self._recipe, self._validation, self._out = recipe, validation, out
        self._clock, self._echo = clock, echo
        self._tiles = validation.some_tiles(recipe.optimisation.validation_pixels, recipe.seed)
        self._epochs: list[Epoch] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, learner: lightning.LightningModule) -> None:
        """Check the averaged network; save it if it is the best so far."""
        assert isinstance(learner, Learner)
        number, settings = trainer.current_epoch + 1, self._recipe.optimisation
        last = number == settings.epochs or trainer.should_stop
        if number % settings.validation_every and not last:
            return
        found = self._validation.measure(learner.average, self._tiles)
        best = not self._epochs or found.mean_iou > max(e.accuracy.mean_iou for e in self._epochs)
        epoch = Epoch(
            epoch=number,
            minutes=self._clock.elapsed / 60,
            train_loss=learner.mean_loss(),
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
            accuracy=found,
            best=best,
        )
        self._epochs.append(epoch)
        if best:
            save_model(self._out, self._validation.spec, learner.average, half=self._recipe.half)
        write_metrics(self._out / "metrics.csv", self._epochs)
        self._echo(epoch.line())

    def finish(self) -> Model:
        """Measure the kept network on every validation pixel and write that into its folder.

        Raises
        ------
        RecipeError
            If the run was stopped before the first check.
        """
        if not self._epochs:
            raise RecipeError(
                f"recipe {self._recipe.name}",
                "stopped before the first epoch was checked",
                "let it run longer",
            )
        draw_curve(self._out / "curve.png", self._epochs, self._recipe.title or self._recipe.name)
        network = load_model(self._out).network(self._validation.device)
        found = self._validation.measure(
            network.to(memory_format=torch.channels_last), self._validation.tiles()
        )
        self._echo(f"kept: mIoU {found.mean_iou:.4f}, overall {found.overall:.4f} on {found.pixels:,} pixels")
        measured = AccuracySpec(
            reference=f"validation part of {', '.join(folders(self._recipe, 'validation'))}",
            pixels=found.pixels,
            overall=round(found.overall, 4),
            mean_iou=round(found.mean_iou, 4),
            iou={c.name: None if math.isnan(c.iou) else round(c.iou, 4) for c in found.classes},
        )
        spec = self._validation.spec.model_copy(update={"accuracy": measured})
        return save_model(self._out, spec, network, half=self._recipe.half)
