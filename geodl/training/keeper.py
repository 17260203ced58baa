"""After each epoch: check, write the journal, keep the best or last state, and what a resumed run needs."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from pydantic import TypeAdapter

from geodl.assess.confusion import accuracy
from geodl.assess.pixel_sample import PixelSample
from geodl.assess.temperature import LIMIT, temperature_of
from geodl.errors import ModelError, RecipeError
from geodl.models.bundle import Model, load_model, save_model
from geodl.models.familiarity import Familiar
from geodl.models.spec import AccuracySpec, ModelSpec
from geodl.tiles import Window
from geodl.training.apart import how_apart
from geodl.training.blend import Blend
from geodl.training.checkpoint import State
from geodl.training.clock import Clock
from geodl.training.evaluate import Tile, Validation
from geodl.training.familiar import look_back
from geodl.training.journal import Epoch, draw_curve, write_metrics
from geodl.training.learner import Learner
from geodl.training.plots import folders
from geodl.training.recipe import Recipe
from geodl.training.resuming import state_of
from geodl.training.schedules import checks_since_best

_JOURNAL = TypeAdapter(list[Epoch])


class Watcher(Protocol):
    """Who wants to see what the keeper finds."""

    def checked(self, epoch: Epoch) -> None:
        """Take over the figures of a check."""

    def look(self, tile: Tile, core: Window, labels: np.ndarray, predicted: np.ndarray) -> None:
        """See a tile of the last pass over the validation part; as `geodl.training.evaluate.Look`."""

    def finished(self, spec: ModelSpec, epochs: Sequence[Epoch], matrix: np.ndarray) -> None:
        """Take over the kept model, the journal and the confusion matrix of all validation pixels."""


class Keeper(Callback):
    """Lightning calls it at the end of each epoch; `finish` ends the run.

    Of several devices, the first one checks and writes; the others are told what it found.

    Parameters
    ----------
    recipe : Recipe
        How often, and on how many pixels, to check.
    validation : Validation
        What to check on.
    out : Path
        The model folder.
    clock : Clock
        Counts the epochs here.
    echo : callable
        Receives a line per check.
    keep : callable
        Receives the state of the run after each whole epoch.
    watchers : sequence of Watcher
        Shown each check.
    blend : Blend
        Mixes what the training began with into what is checked and kept.
    """

    def __init__(
        self,
        recipe: Recipe,
        validation: Validation,
        out: Path,
        clock: Clock,
        echo: Callable[[str], None],
        keep: Callable[[State], None],
        watchers: Sequence[Watcher],
        blend: Blend,
    ) -> None:
        self._recipe, self._validation, self._out = recipe, validation, out
        self._clock, self._echo, self._keep = clock, echo, keep
        self._watchers = watchers
        self._blend = blend
        self._tiles = validation.some_tiles(recipe.optimisation.validation_pixels, recipe.seed)
        self._epochs: list[Epoch] = []
        self._kept: dict[str, torch.Tensor] = {}
        self.scores: list[float] = []
        """Mean IoU of each check."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do: all epochs or all time spent, or patience exhausted."""
        patience = self._recipe.optimisation.patience
        tired = patience is not None and checks_since_best(self.scores) >= patience
        return tired or self._clock.progress >= 1

    def resume(self, state: State, network: torch.nn.Module, *, write: bool) -> None:
        """Take over the journal and the kept network of an earlier part of the run.

        Parameters
        ----------
        state : State
            As given to `keep`.
        network : torch.nn.Module
            Of the same architecture; left as it is.
        write : bool
            Whether this process is the one that writes the model folder.
        """
        for epoch in _JOURNAL.validate_python(state.facts["journal"]):
            self._note(epoch)
        self._kept = state.part("best")
        if self._kept and write:
            kept = copy.deepcopy(network)
            kept.load_state_dict(self._kept)
            save_model(self._out, self._validation.spec, kept, half=self._recipe.half)

    def on_train_epoch_end(self, trainer: lightning.Trainer, learner: lightning.LightningModule) -> None:
        """Check the averaged network; save it if it is the best so far, or the recipe wants the last."""
        assert isinstance(learner, Learner)
        settings, clock = self._recipe.optimisation, self._clock
        clock.epoch += 1
        if (
            trainer.should_stop
            or clock.epoch == settings.epochs
            or clock.epoch % settings.validation_every == 0
        ):
            self._check(trainer, learner)
        asked = trainer.strategy.reduce_boolean_decision(clock.stop, all=False)
        trainer.should_stop = asked or self.over
        whole = clock.done * settings.epochs == clock.steps * clock.epoch  # not cut short
        if whole and trainer.is_global_zero:
            state = state_of(learner)
            state.put("best", self._kept)
            state.put("begin", self._blend.begin)
            state.facts["journal"] = _JOURNAL.dump_python(self._epochs, mode="json")
            self._keep(state)

    def _check(self, trainer: lightning.Trainer, learner: Learner) -> None:
        stepped = bool(learner.losses)
        settings = self._recipe.optimisation
        epoch, loss = None, learner.mean_loss()
        if trainer.strategy.reduce_boolean_decision(stepped and not math.isfinite(loss), all=False):
            raise self._diverged()
        if trainer.is_global_zero:
            network = self._blend(learner.average)
            found = self._validation.measure(network, self._tiles)
            epoch = Epoch(
                epoch=self._clock.epoch,
                minutes=self._clock.elapsed / 60,
                train_loss=loss,
                learning_rate=trainer.optimizers[0].param_groups[-1]["lr"],
                accuracy=found,
                best=not self.scores or found.mean_iou > max(self.scores),
            )
        epoch = trainer.strategy.broadcast(epoch)
        assert epoch is not None
        self._note(epoch)
        if trainer.is_global_zero:
            if epoch.best or settings.keep == "last":
                self._kept = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
                save_model(self._out, self._validation.spec, network, half=self._recipe.half)
            write_metrics(self._out / "metrics.csv", self._epochs)
            self._echo(epoch.line())
            for watcher in self._watchers:
                watcher.checked(epoch)

    def _diverged(self) -> RecipeError:
        return RecipeError(
            self._recipe.where("optimisation", "learning_rate"),
            f"the loss has grown beyond all numbers in epoch {self._clock.epoch}",
            "set a smaller one (`--find-rate` proposes one), and begin anew with --restart",
        )

    def _note(self, epoch: Epoch) -> None:
        self._epochs.append(epoch)
        self.scores.append(epoch.accuracy.mean_iou)

    def finish(self) -> Model:
        """Measure the kept network on every validation pixel and write that into its folder.

        So are the temperature that these pixels ask for, and what the training data look like to the network.

        Raises
        ------
        RecipeError
            If the run was stopped before the first check, or the network gives no numbers.
        """
        if not self._epochs:
            raise RecipeError(
                f"recipe {self._recipe.name}",
                "stopped before the first epoch was checked",
                "let it run longer",
            )
        draw_curve(self._out / "curve.png", self._epochs, self._recipe.title or self._recipe.name)
        network = load_model(self._out).network(self._validation.device)
        network = network.to(memory_format=torch.channels_last)
        sample = PixelSample(LIMIT, len(self._validation.spec.classes), self._recipe.seed)
        matrix = self._validation.confusion(network, self._validation.tiles(), self._look, sample)
        if not np.isfinite(sample.taken()[0]).all():
            raise self._diverged()
        found = accuracy(matrix, [c.name for c in self._validation.spec.classes])
        temperature = round(temperature_of(sample), 4)
        self._echo(
            f"kept: mIoU {found.mean_iou:.4f}, overall {found.overall:.4f} on {found.pixels:,} pixels; "
            f"temperature {temperature:g}"
        )
        measured = AccuracySpec(
            reference=f"validation part of {', '.join(folders(self._recipe, 'validation'))}",
            split=how_apart(self._recipe, self._validation.spec.halo, self._validation.plots),
            pixels=found.pixels,
            overall=round(found.overall, 4),
            mean_iou=round(found.mean_iou, 4),
            iou={c.name: None if math.isnan(c.iou) else round(c.iou, 4) for c in found.classes},
        )
        spec = self._validation.spec.model_copy(update={"accuracy": measured, "temperature": temperature})
        familiar = self._look_back(network)
        model = save_model(self._out, spec, network, half=self._recipe.half, familiar=familiar)
        for watcher in self._watchers:
            watcher.finished(model.spec, self._epochs, matrix)
        return model

    def _look_back(self, network: torch.nn.Module) -> Familiar | None:
        try:
            return look_back(network, replace(self._validation, role="train"), seed=self._recipe.seed)
        except ModelError as error:  # the model is good for maps all the same
            self._echo(f"novelty cannot be told: {error.cause}")
            return None

    def _look(self, tile: Tile, core: Window, labels: np.ndarray, predicted: np.ndarray) -> None:
        for watcher in self._watchers:
            watcher.look(tile, core, labels, predicted)
