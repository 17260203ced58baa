"""From a recipe to a model folder: decode, learn, check, keep the best."""

import copy
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from geodl.assess.confusion import Accuracy, accuracy
from geodl.errors import OptionError, RecipeError
from geodl.heap import keep_heap
from geodl.models.bundle import Model, load_model, save_model
from geodl.models.spec import AccuracySpec, BandSpec, ClassSpec, ModelSpec, TrainingSpec
from geodl.models.table import build_network, tiling_of
from geodl.training.evaluate import choose_tiles, evaluate, labelled_tiles
from geodl.training.journal import Epoch, draw_curve, write_metrics
from geodl.training.learner import Clock, Learner
from geodl.training.plots import Plot, decode, find_pairs
from geodl.training.recipe import Recipe
from geodl.training.samples import EpochSampler, Samples, Statistics, band_statistics, class_weights

Echo = Callable[[str], None]


def fit(
    recipe: Recipe, out: str | Path, *, device: str = "auto", workers: int | None = None, echo: Echo = print
) -> Model:
    """Train the network of a recipe and keep the best state as a model folder.

    Parameters
    ----------
    recipe : Recipe
        From `geodl.training.recipe.load_recipe`.
    out : str or Path
        The model folder; also receives ``metrics.csv`` and ``curve.png``. An existing model folder is
        replaced as soon as the first epoch has been checked.
    device : str
        ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:1``.
    workers : int, optional
        Processes that prepare samples; by default none on a CPU, where the network needs every core.
    echo : callable
        Called with a line of text per epoch.

    Returns
    -------
    Model
        The model kept: the epoch of the highest mean IoU, with its accuracy on all validation pixels.
        On Ctrl-C the best so far.

    Raises
    ------
    RecipeError, SceneError, MismatchError, ModelError, OptionError
        Where the recipe, its files or the device cannot be used.
    """
    keep_heap()
    out = Path(out).absolute()
    place = resolve_device(device)
    tiling = tiling_of(recipe.architecture, recipe.parameters)
    out.parent.mkdir(parents=True, exist_ok=True)
    cache = Path(tempfile.mkdtemp(prefix=f".{out.name}.samples-", dir=out.parent))
    try:
        echo(f"decoding {len(find_pairs(recipe))} scenes")
        plots = decode(recipe, cache, gap=tiling.halo if recipe.halo is None else recipe.halo)
        echo(_describe(recipe, plots))
        with torch.random.fork_rng(devices=[]), _quiet_lightning():
            torch.manual_seed(recipe.seed)
            return _learn(recipe, plots, out, place, workers, echo)
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _learn(
    recipe: Recipe, plots: list[Plot], out: Path, device: torch.device, workers: int | None, echo: Echo
) -> Model:
    statistics = band_statistics(plots)
    spec = make_spec(recipe, statistics)
    network = build_network(spec).to(memory_format=torch.channels_last)
    settings = recipe.optimisation
    average = network if settings.ema is None else copy.deepcopy(network).requires_grad_(False)
    steps = -(-settings.samples_per_epoch // settings.batch)
    clock = Clock(steps=steps * settings.epochs, minutes=settings.time_limit_minutes)
    weights = class_weights(plots, settings.class_weights)
    learner = Learner(network, average, settings, weights, clock)
    precision = resolve_precision(settings.precision, device)
    keeper = _Keeper(recipe, spec, plots, statistics, out, device, precision, clock, echo)
    if workers is None:
        workers = 0 if device.type == "cpu" else min(8, torch.get_num_threads())
    loader = DataLoader(
        Samples(recipe, plots, statistics),
        batch_size=settings.batch,
        sampler=EpochSampler(settings.samples_per_epoch),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )
    trainer = lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if precision == torch.bfloat16 else "32-true",
        max_epochs=settings.epochs,
        gradient_clip_val=settings.gradient_clip,
        callbacks=[keeper],
        enable_progress_bar=sys.stderr.isatty(),
        enable_checkpointing=False,
        enable_model_summary=False,
        logger=False,
    )
    with _stop_on_interrupt(trainer, echo):
        trainer.fit(learner, loader)
    return keeper.finish()


@dataclass
class _Keeper(Callback):
    """Checks the network after each epoch, writes the journal and keeps the best on disk."""

    recipe: Recipe
    spec: ModelSpec
    plots: list[Plot]
    statistics: Statistics
    out: Path
    device: torch.device
    precision: torch.dtype
    clock: Clock
    echo: Echo
    epochs: list[Epoch] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = self.recipe.optimisation
        self._tiles = labelled_tiles(self.plots, self.spec)
        self._some = choose_tiles(
            self._tiles, self.plots, self.spec, settings.validation_pixels, self.recipe.seed
        )

    def on_train_epoch_end(self, trainer: lightning.Trainer, learner: lightning.LightningModule) -> None:
        assert isinstance(learner, Learner)
        number, settings = trainer.current_epoch + 1, self.recipe.optimisation
        last = number == settings.epochs or trainer.should_stop
        if number % settings.validation_every and not last:
            return
        found = self._accuracy(learner.average, self._some)
        learner.average.train(learner.average is learner.network)
        best = not self.epochs or found.mean_iou > max(e.accuracy.mean_iou for e in self.epochs)
        epoch = Epoch(
            epoch=number,
            minutes=self.clock.elapsed / 60,
            train_loss=learner.mean_loss(),
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
            accuracy=found,
            best=best,
        )
        self.epochs.append(epoch)
        if best:
            save_model(self.out, self.spec, learner.average)
        write_metrics(self.out / "metrics.csv", self.epochs)
        self.echo(epoch.line())

    def finish(self) -> Model:
        """Measure the kept network on every validation pixel and write that into its folder."""
        if not self.epochs:
            raise RecipeError(
                f"recipe {self.recipe.name}", "stopped before the first epoch was checked", "let it run longer"
            )
        draw_curve(self.out / "curve.png", self.epochs, self.recipe.title or self.recipe.name)
        network = load_model(self.out).network(self.device).to(memory_format=torch.channels_last)
        found = self._accuracy(network, self._tiles)
        self.echo(f"kept: mIoU {found.mean_iou:.4f}, overall {found.overall:.4f} on {found.pixels} pixels")
        measured = AccuracySpec(
            reference=f"validation part of the recipe ({self.recipe.name})",
            pixels=found.pixels,
            overall=round(found.overall, 4),
            mean_iou=round(found.mean_iou, 4),
            iou={c.name: None if c.iou != c.iou else round(c.iou, 4) for c in found.classes},
        )
        return save_model(self.out, self.spec.model_copy(update={"accuracy": measured}), network)

    def _accuracy(self, network: torch.nn.Module, tiles: list[tuple[int, int, int]]) -> Accuracy:
        matrix = evaluate(
            network,
            self.plots,
            tiles,
            self.statistics,
            self.spec,
            device=self.device,
            precision=self.precision,
        )
        return accuracy(matrix, [c.name for c in self.spec.classes])


def make_spec(recipe: Recipe, statistics: Statistics) -> ModelSpec:
    """Write down what a prediction must know: the ``model.json`` of a recipe before it is measured."""
    tiling = tiling_of(recipe.architecture, recipe.parameters)
    data = sorted({os.path.relpath(pair.scene[0].parent, recipe.data_root) for pair in find_pairs(recipe)})
    try:
        return ModelSpec(
            name=recipe.name,
            title=recipe.title,
            task=recipe.task,
            architecture=recipe.architecture,
            parameters=recipe.parameters,
            bands=[
                BandSpec(name=name, mean=float(mean), std=float(std))
                for name, mean, std in zip(recipe.bands, statistics.mean, statistics.std, strict=True)
            ],
            units=recipe.units,
            dtype=recipe.dtype,
            pixel_size=recipe.pixel_size,
            pixel_size_range=recipe.pixel_size_range,
            classes=[ClassSpec(value=c.value, name=c.name, color=c.color) for c in recipe.classes],
            tile=tiling.tile if recipe.tile is None else recipe.tile,
            halo=tiling.halo if recipe.halo is None else recipe.halo,
            stride=tiling.stride,
            stitch=recipe.stitch or tiling.stitch,
            licence=recipe.licence,
            training=TrainingSpec(
                data=data,
                licence=recipe.licence,
                date=datetime.now(UTC).date().isoformat(),
                recipe=recipe.written(),
                note=recipe.note,
            ),
        )
    except ValueError as error:
        raise RecipeError(f"recipe {recipe.name}", str(error), "mend that entry") from error


def resolve_device(device: str) -> torch.device:
    """Return the device a word stands for.

    Raises
    ------
    OptionError
        If it is no device of this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise OptionError(f"device {device!r}", "unknown", "use auto, cpu or cuda") from error
    if place.type not in ("cpu", "cuda") or (place.type == "cuda" and not torch.cuda.is_available()):
        raise OptionError(f"device {device!r}", "this machine has none", "use --device cpu")
    return place


def resolve_precision(word: str, device: torch.device) -> torch.dtype:
    """Return the dtype to compute in: bf16 where the hardware multiplies in it, else float32."""
    if word != "auto":
        return torch.bfloat16 if word == "bf16" else torch.float32
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.bfloat16 if able else torch.float32


def _describe(recipe: Recipe, plots: list[Plot]) -> str:
    lines = ["labelled pixels          training  validation"]
    for code, c in enumerate(recipe.classes):
        train, held_out = sum(p.train[code] for p in plots), sum(p.validation[code] for p in plots)
        lines.append(f"  {c.name:<20} {train:>11,} {held_out:>11,}")
    return "\n".join(lines)


@contextmanager
def _stop_on_interrupt(trainer: lightning.Trainer, echo: Echo) -> Iterator[None]:
    """Ctrl-C ends the run after the current step; Lightning by itself would leave the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        echo("stopping; the best so far is kept")
        trainer.should_stop = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hide Lightning's advice: loaders without workers and runs without a logger are meant."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        try:
            yield
        finally:
            logger.setLevel(level)
