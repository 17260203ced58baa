"""A learning rate to begin with: the range test of Smith (2017, arXiv:1506.01186).

The rate grows from step to step until the loss explodes. Where the loss falls fastest the rate is as
large as it can be with a margin.
"""

import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from geodl.device import resolve_device
from geodl.errors import OptionError
from geodl.heap import keep_heap
from geodl.models.table import build_network
from geodl.training.batch_size import settle_batch
from geodl.training.cache import open_storage
from geodl.training.clock import Clock
from geodl.training.description import check_patch, make_spec
from geodl.training.learner import Learner
from geodl.training.loader import make_loader
from geodl.training.optimisers import freeze, make_optimiser
from geodl.training.origin import read_source
from geodl.training.plots import decode
from geodl.training.recipe import Optimisation, Recipe
from geodl.training.samples import band_statistics, class_weights
from geodl.training.trainer import precision_of, unchanged_torch
from geodl.training.transfer import transfer

LOWEST, HIGHEST = 1e-6, 1.0
_STEPS = 100
_SMOOTHING = 0.9
_HALF_DECADE = 0.501
_FEWEST = 3
"""Losses through which a line can be laid."""
_EXPLODED = 4.0
"""The test ends when the smoothed loss is so many times its lowest."""


@dataclass(frozen=True, kw_only=True)
class RateTest:
    """What the test saw.

    Parameters
    ----------
    rates, losses : tuple of float
        Learning rate and smoothed loss of each step.
    suggestion : float
        The rate at which the loss fell fastest, to two digits.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_rate(
    recipe: Recipe,
    picture: Path,
    *,
    device: str = "auto",
    cache: Path | None = None,
    echo: Callable[[str], None] = print,
) -> RateTest:
    """Find a learning rate for a recipe; nothing of the training is kept.

    Parameters
    ----------
    recipe : Recipe
        Read as in `geodl.training.fit.fit`.
    picture : Path
        A PNG to write, with the loss over the rates.
    device, cache, echo
        As in `geodl.training.fit.fit`.

    Raises
    ------
    RecipeError, SceneError, MismatchError, ModelError, OptionError
        Where the recipe, its files or the device cannot be used; or the loss fell at no rate.
    """
    keep_heap()
    place = resolve_device(device)
    settings = recipe.optimisation
    precision = precision_of(settings.precision, place)
    check_patch(recipe)
    picture.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="geodl-rates-") as folder,
        unchanged_torch(),
        open_storage(Path(folder), cache) as storage,
    ):
        plots = decode(recipe, storage.run, gap=make_spec(recipe).halo, cache=storage.scenes)
        spec = make_spec(recipe, band_statistics(plots, recipe.bands))
        torch.manual_seed(recipe.seed)
        network = build_network(spec).to(memory_format=torch.channels_last)
        if recipe.start is not None:
            source = read_source(recipe.start, recipe.data_root)
            transfer(network, source, recipe.bands, [c.name for c in recipe.classes])
        batch = settle_batch(network, recipe, place, precision, None, echo)
        clock = Clock(steps=_STEPS, minutes=None)
        weights = class_weights(plots, settings.class_weights)
        learner = Learner(network, network, recipe, weights, clock)
        loader = make_loader(
            recipe, plots, spec.bands, clock, place, batch=batch, per_epoch=_STEPS * batch, workers=0
        )
        test = range_test(learner, settings, loader, place, precision)
    draw_rates(picture, test)
    echo(f"learning rate: {test.suggestion:g} suggested, of {settings.learning_rate:g} now; see {picture}")
    return test


def range_test(
    learner: Learner,
    settings: Optimisation,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    device: torch.device,
    precision: torch.dtype,
    steps: int = _STEPS,
) -> RateTest:
    """Train for some steps at growing rates; the network is spoilt afterwards.

    Parameters
    ----------
    learner : Learner
        Knows network and loss.
    settings : Optimisation
        Names the optimiser and the clipping.
    batches : iterable
        Images and labels.
    device, precision : torch.device, torch.dtype
        Where and in which precision to compute.
    steps : int
        Number of rates between `LOWEST` and `HIGHEST`.
    """
    learner.to(device).train()
    learner.make_loss()
    if settings.frozen_epochs:
        freeze(learner.network, True)
    optimiser = make_optimiser(learner.network, settings)
    rates: list[float] = []
    losses: list[float] = []
    for number, (images, labels) in zip(range(steps), batches, strict=False):
        rate = LOWEST * (HIGHEST / LOWEST) ** (number / max(1, steps - 1))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        images = images.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            loss = learner.loss(images, labels.to(device))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.network.parameters(), settings.gradient_clip)
        optimiser.step()
        smooth = smoothed([*losses, float(loss.detach())])
        if not math.isfinite(smooth[-1]) or smooth[-1] > _EXPLODED * min(smooth):
            break
        rates.append(rate)
        losses.append(float(loss.detach()))
    return RateTest(rates=tuple(rates), losses=tuple(smoothed(losses)), suggestion=suggest(rates, losses))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the running mean of losses, which forgets slowly and has no bias from its first step on."""
    mean, found = 0.0, []
    for number, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        found.append(mean / (1 - _SMOOTHING**number))
    return found


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Return the rate of the steepest fall of the loss over the logarithm of the rate.

    The slope is that of a line through the losses within half a decade. The first decade warms up the
    norms, and what comes after the lowest loss is too fast.

    Raises
    ------
    OptionError
        The loss never fell.

    >>> rates = [10 ** (k / 4 - 6) for k in range(21)]
    >>> suggest(rates, [2.0] * 10 + [1.9, 1.6, 1.2, 0.9, 0.8] + [0.8] * 3 + [3.0] * 3)
    0.001
    """
    if len(losses) < _FEWEST:
        raise _nothing_fell()
    places, values = np.log10(rates), np.asarray(losses)
    last = int(np.argmin(smoothed(losses)))
    best, rate = 0.0, 0.0
    for number in range(last + 1):
        near = (np.abs(places - places[number]) <= _HALF_DECADE) & (places >= places[0] + 1)
        if places[number] >= places[0] + 1 + _HALF_DECADE and near.sum() >= _FEWEST:
            slope = float(np.polyfit(places[near], values[near], 1)[0])
            best, rate = min((best, rate), (slope, rates[number]))
    if best >= 0:
        raise _nothing_fell()
    return float(f"{rate:.1e}")


def _nothing_fell() -> OptionError:
    return OptionError("--find-rate", "the loss fell at no learning rate", "check labels and class weights")


def draw_rates(path: Path, test: RateTest) -> None:
    """Draw the loss over the rates into a PNG, the suggestion marked."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(test.rates, test.losses, color="#1f5fa8")
    axes.axvline(test.suggestion, color="#c1440e", label=f"suggestion {test.suggestion:g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="smoothed training loss", title="Range test")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
