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
from pathlib import Path

import lightning
import torch
from torch.utils.data import DataLoader

from geodl.device import multiplies_bf16, resolve_device
from geodl.errors import ProductError
from geodl.heap import keep_heap
from geodl.models.bundle import SPEC_FILE, Model
from geodl.models.spec import ModelSpec
from geodl.models.table import build_network
from geodl.training.description import make_spec
from geodl.training.evaluate import Validation
from geodl.training.keeper import Keeper
from geodl.training.learner import Clock, Learner
from geodl.training.plots import Plot, decode, find_pairs, folders
from geodl.training.recipe import Recipe
from geodl.training.samples import EpochSampler, Samples, band_statistics, class_weights

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
    RecipeError, SceneError, MismatchError, ModelError, OptionError, ProductError
        Where the recipe, its files, the device or the output folder cannot be used.
    """
    keep_heap()
    out = Path(out).absolute()
    place = resolve_device(device)
    halo = make_spec(recipe).halo
    pairs = find_pairs(recipe)
    with _cache_beside(out) as cache, torch.random.fork_rng(devices=[]), _quiet_lightning():
        echo(f"decoding {len(pairs)} scenes")
        plots = decode(recipe, cache, gap=halo)
        echo(_describe(recipe, plots))
        spec = make_spec(recipe, band_statistics(plots, recipe.bands), folders(recipe, "train"))
        torch.manual_seed(recipe.seed)
        return _learn(recipe, spec, plots, out, place, workers, echo)


def _learn(
    recipe: Recipe,
    spec: ModelSpec,
    plots: list[Plot],
    out: Path,
    device: torch.device,
    workers: int | None,
    echo: Echo,
) -> Model:
    settings = recipe.optimisation
    network = build_network(spec).to(memory_format=torch.channels_last)
    average = network if settings.ema is None else copy.deepcopy(network).requires_grad_(False)
    steps = -(-settings.samples_per_epoch // settings.batch)
    clock = Clock(steps=steps * settings.epochs, minutes=settings.time_limit_minutes)
    learner = Learner(network, average, settings, class_weights(plots, settings.class_weights), clock)
    precision = _precision(settings.precision, device)
    validation = Validation(plots=plots, spec=spec, device=device, precision=precision)
    keeper = Keeper(recipe, validation, out, clock, echo)
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
        trainer.fit(learner, _loader(recipe, spec, plots, device, workers))
    return keeper.finish()


def _loader(
    recipe: Recipe, spec: ModelSpec, plots: list[Plot], device: torch.device, workers: int | None
) -> DataLoader:
    if workers is None:
        workers = 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)
    return DataLoader(
        Samples(recipe, plots, spec.bands),
        batch_size=recipe.optimisation.batch,
        sampler=EpochSampler(recipe.optimisation.samples_per_epoch),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )


def _describe(recipe: Recipe, plots: list[Plot]) -> str:
    lines = ["labelled pixels          training  validation"]
    for code, c in enumerate(recipe.classes):
        train, held_out = sum(p.train[code] for p in plots), sum(p.validation[code] for p in plots)
        lines.append(f"  {c.name:<20} {train:>11,} {held_out:>11,}")
    return "\n".join(lines)


@contextmanager
def _cache_beside(out: Path) -> Iterator[Path]:
    """Yield a folder on the disk of the model, removed afterwards; refuse an unusable `out` before work."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / SPEC_FILE).is_file()):
        raise ProductError(f"model {out}", "it exists and is no model", "choose another folder with --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        cache = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-samples-", dir=out.parent))
    except OSError as error:
        raise ProductError(
            f"model {out}", f"cannot be written ({error.strerror})", "choose another folder with --out"
        ) from error
    try:
        yield cache
    finally:
        shutil.rmtree(cache, ignore_errors=True)


@contextmanager
def _stop_on_interrupt(trainer: lightning.Trainer, echo: Echo) -> Iterator[None]:
    """Ctrl-C ends the run after the current step; Lightning by itself would leave the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        echo("stopping; the best so far is kept")
        trainer.should_stop = True
        signal.signal(signal.SIGINT, before)  # a second Ctrl-C ends the process

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


def _precision(word: str, device: torch.device) -> torch.dtype:
    """Return the dtype to train in: bf16 where the hardware multiplies in it, else float32."""
    if word == "auto":
        word = "bf16" if multiplies_bf16(device) else "32"
    return torch.bfloat16 if word == "bf16" else torch.float32
