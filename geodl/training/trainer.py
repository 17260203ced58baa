"""Lightning, set up as geodl needs it: one or several devices, quiet, and stopped by Ctrl-C with grace."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy

from geodl.device import multiplies_bf16
from geodl.errors import OptionError, ProductError
from geodl.models.bundle import SPEC_FILE
from geodl.training.clock import Clock
from geodl.training.recipe import Optimisation


def rank() -> int:
    """Return the number of this process among those that train together; 0 is the one started.

    Lightning starts the others by the same command line.
    """
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))


def make_trainer(
    settings: Optimisation,
    device: torch.device,
    devices: int,
    precision: torch.dtype,
    epochs: int,
    callbacks: Sequence[Callback],
) -> lightning.Trainer:
    """Set up a trainer.

    Parameters
    ----------
    settings : Optimisation
        Clipping, accumulation, determinism and freezing are used.
    device : torch.device
        The device, or of several the kind.
    devices : int
        How many; each of several is a process that sees its part of every batch.
    precision : torch.dtype
        float32 or bfloat16, the latter mixed.
    epochs : int
        How many are left.
    callbacks : sequence of Callback
        In the order in which they are called.
    """
    # A frozen encoder has no gradients, which other processes must not wait for.
    strategy = DDPStrategy(find_unused_parameters=settings.frozen_epochs > 0) if devices > 1 else "auto"
    chosen = [device.index or 0] if device.type == "cuda" and devices == 1 else devices
    return lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=chosen,
        strategy=strategy,
        precision="bf16-mixed" if precision == torch.bfloat16 else "32-true",
        max_epochs=epochs,
        gradient_clip_val=settings.gradient_clip,
        accumulate_grad_batches=settings.accumulate,
        deterministic=settings.deterministic or None,
        callbacks=list(callbacks),
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        logger=False,
    )


def check_devices(devices: int, device: torch.device, settings: Optimisation) -> None:
    """Check that a run can be divided among devices.

    Raises
    ------
    OptionError
        There are not so many devices, or the batch cannot be divided among them.
    """
    what = f"--devices {devices}"
    if devices < 1:
        raise OptionError(what, "at least one device computes", "use --devices 1")
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise OptionError(
            what,
            f"this machine has {torch.cuda.device_count()}",
            f"use --devices {torch.cuda.device_count()}",
        )
    if devices > 1 and (settings.batch == "auto" or settings.batch % devices):
        raise OptionError(
            what, f"a batch of {settings.batch} cannot be divided", "set optimisation.batch to a multiple"
        )


def refuse_foreign(out: Path) -> None:
    """Refuse a model folder that holds something else, before work.

    Raises
    ------
    ProductError
        It exists and is no model.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / SPEC_FILE).is_file()):
        raise ProductError(f"model {out}", "it exists and is no model", "choose another folder with --out")


def precision_of(word: str, device: torch.device) -> torch.dtype:
    """Return the dtype to train in: bf16 where the hardware multiplies in it, else float32."""
    if word == "auto":
        word = "bf16" if multiplies_bf16(device) else "32"
    return torch.bfloat16 if word == "bf16" else torch.float32


@contextmanager
def stop_on_interrupt(clock: Clock, echo: Callable[[str], None]) -> Iterator[None]:
    """Ctrl-C ends the run after the current step; Lightning by itself would leave the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        echo("stopping; the best so far is kept")
        clock.stop = True
        signal.signal(signal.SIGINT, before)  # a second Ctrl-C ends the process

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def unchanged_torch() -> Iterator[None]:
    """Give the caller's random numbers and switches of determinism back afterwards."""
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark


@contextmanager
def quiet_lightning() -> Iterator[None]:
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
