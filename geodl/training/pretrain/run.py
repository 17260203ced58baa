"""From scenes without labels to a model folder whose last layer has learned nothing yet."""

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from geodl.device import resolve_device
from geodl.heap import keep_heap
from geodl.models.bundle import Model, save_model
from geodl.models.spec import ClassSpec, ModelSpec
from geodl.models.table import build_network
from geodl.training.batch_size import settle_batch
from geodl.training.cache import open_storage
from geodl.training.checkpoint import State, check_same, discard, fingerprint, hold, load_state, save_state
from geodl.training.clock import Clock
from geodl.training.description import check_patch, make_spec
from geodl.training.learner import Learner
from geodl.training.loader import make_loader
from geodl.training.plots import Plot
from geodl.training.pretrain.masking import MaskedLearner
from geodl.training.pretrain.scenes import decode_scenes, find_scenes
from geodl.training.recipe import Recipe
from geodl.training.recipe.portable import folder_of
from geodl.training.resuming import go_on, state_of
from geodl.training.samples import band_statistics
from geodl.training.trainer import (
    make_trainer,
    precision_of,
    quiet_lightning,
    refuse_foreign,
    stop_on_interrupt,
    unchanged_torch,
)
from geodl.training.transfer import HEADS

Echo = Callable[[str], None]


def pretrain(
    recipe: Recipe,
    out: str | Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    restart: bool = False,
    cache: Path | None = None,
    echo: Echo = print,
) -> Model:
    """Teach the network of a recipe its scenes, without labels.

    A run that was stopped or killed goes on where its last whole epoch ended.

    Parameters
    ----------
    recipe : Recipe
        Network, bands, augmentation, optimisation and `pretraining`; classes and labels do not count.
    out : str or Path
        The model folder; also receives ``metrics.csv``.
    device, workers, restart, cache, echo
        As in `geodl.training.fit.fit`.

    Returns
    -------
    Model
        For ``start: {model: ...}`` of a training. Its last layer is 0: it makes no maps.

    Raises
    ------
    RecipeError, SceneError, MismatchError, ModelError, OptionError, ProductError
        Where the recipe, its scenes, the device or the output folder cannot be used.
    """
    keep_heap()
    out = Path(out).absolute()
    place = resolve_device(device)
    refuse_foreign(out)
    recipe = _settled(recipe)
    make_spec(recipe)
    check_patch(recipe)
    count = len(find_scenes(recipe))
    with hold(out) as folder, unchanged_torch(), quiet_lightning():
        if restart:
            discard(folder)
        with open_storage(folder, cache) as storage:
            echo(f"decoding {count} scenes without labels")
            plots = decode_scenes(recipe, storage.scenes)
            return _run(recipe, plots, out, folder, place, workers, echo)


def _settled(recipe: Recipe) -> Recipe:
    """Return the recipe with the optimisation that pretraining asks for, without what needs labels."""
    wishes, settings = recipe.pretraining, recipe.optimisation
    changes: dict[str, Any] = {"encoder_rate": 1.0, "encoder_decay": 1.0, "freeze_encoder": 0}
    changes |= {
        "balanced_draws": 0.0,
        "patience": None,
        "schedule": "cosine" if settings.schedule == "plateau" else settings.schedule,
    }
    changes |= {"epochs": wishes.epochs or settings.epochs}
    changes |= {"learning_rate": wishes.learning_rate or settings.learning_rate}
    return recipe.model_copy(
        update={
            "optimisation": settings.model_copy(update=changes),
            "augment": recipe.augment.model_copy(update={"cutmix": 0.0}),
            "start": None,
        }
    )


def _run(
    recipe: Recipe,
    plots: list[Plot],
    out: Path,
    folder: Path,
    device: torch.device,
    workers: int | None,
    echo: Echo,
) -> Model:
    settings = recipe.optimisation
    spec = make_spec(recipe, band_statistics(plots, recipe.bands), _folders(recipe))
    facts: dict[str, Any] = {
        # Never to be taken for the state of a training.
        "recipe": {**recipe.written(whole=True), "labels": "none"},
        "data": fingerprint([[p.height, p.width, *p.train] for p in plots]),
    }
    state = load_state(folder)
    if state is not None:
        check_same(state, facts["recipe"], facts["data"], out)
    torch.manual_seed(recipe.seed)
    network = build_network(_restoring(spec)).to(memory_format=torch.channels_last)
    precision = precision_of(settings.precision, device)
    facts["batch"] = batch = settle_batch(network, recipe, device, precision, state, echo)
    steps = -(-settings.samples_per_epoch // batch)
    clock = Clock(steps=steps * settings.epochs, minutes=settings.time_limit_minutes)
    average = network if settings.ema is None else copy.deepcopy(network).requires_grad_(False)
    learner = MaskedLearner(network, average, recipe, np.ones(1, dtype=np.float32), clock)
    notes = _Notes(recipe, clock, facts, folder, echo)
    if state is not None:
        go_on(learner, state, device)
        notes.resume(state)
    if clock.progress < 1:
        loader = make_loader(
            recipe,
            plots,
            spec.bands,
            clock,
            device,
            batch=batch,
            per_epoch=settings.samples_per_epoch,
            workers=workers,
        )
        trainer = make_trainer(settings, device, 1, precision, settings.epochs - clock.epoch, [notes])
        with stop_on_interrupt(clock, echo):
            trainer.fit(learner, loader)
    model = save_model(out, spec, _without_head(spec, learner.average), half=recipe.half)
    notes.write(out / "metrics.csv")
    if clock.progress >= 1:
        discard(folder)
    return model


class _Notes(Callback):
    """Writes down the loss of each epoch, and the state of the run."""

    def __init__(self, recipe: Recipe, clock: Clock, facts: dict[str, Any], folder: Path, echo: Echo) -> None:
        self._recipe, self._clock, self._facts, self._folder = recipe, clock, facts, folder
        self._echo = echo
        self._rows: list[list[float]] = []  # epoch, minutes, loss

    def resume(self, state: State) -> None:
        """Take over what an earlier part of the run noted."""
        self._clock.resume(state.facts["clock"])
        self._rows = state.facts["journal"]
        self._echo(f"going on after epoch {self._clock.epoch} of an unfinished run")

    def on_train_epoch_end(self, trainer: lightning.Trainer, learner: lightning.LightningModule) -> None:
        """Note the loss; keep the state unless the epoch was cut short."""
        assert isinstance(learner, Learner)
        clock = self._clock
        clock.epoch += 1
        minutes, loss = clock.elapsed / 60, learner.mean_loss()
        self._rows.append([clock.epoch, minutes, loss])
        self._echo(f"epoch {clock.epoch:3d}  {minutes:6.1f} min  restoration loss {loss:.4f}")
        trainer.should_stop = trainer.should_stop or clock.stop
        if clock.done * self._recipe.optimisation.epochs == clock.steps * clock.epoch:
            state = state_of(learner)
            state.facts |= self._facts | {"clock": clock.written(), "journal": self._rows}
            save_state(self._folder, state)

    def write(self, path: Path) -> None:
        """Write ``metrics.csv``."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", "minutes", "restoration_loss"])
            writer.writerows([row[0], f"{row[1]:.6g}", f"{row[2]:.6g}"] for row in self._rows)


def _folders(recipe: Recipe) -> list[str]:
    found = find_scenes(recipe)
    return sorted({folder_of(paths[0], recipe.root_of(source), source.patterns) for paths, source in found})


def _restoring(spec: ModelSpec) -> ModelSpec:
    """Return a description whose network has one output for each band."""
    outputs = [ClassSpec(value=n, name=band.name, color="#000000") for n, band in enumerate(spec.bands)]
    return spec.model_copy(update={"classes": outputs})


def _without_head(spec: ModelSpec, restorer: nn.Module) -> nn.Module:
    """Return the network of a description with all weights of `restorer` but a last layer of zeros."""
    network = build_network(spec)
    learnt = restorer.state_dict()
    for name, tensor in network.state_dict().items():
        if name.startswith(HEADS):
            tensor.zero_()
        else:
            tensor.copy_(learnt[name])
    return network
