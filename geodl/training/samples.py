"""Which windows of the plots are shown to the network, and how they become tensors."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import Dataset

from geodl.assess.labels import IGNORE
from geodl.models.spec import BandSpec
from geodl.standard import Moments
from geodl.task import CHANGED, TASKS
from geodl.tiles import Window
from geodl.training.augment import augment, zoom_to
from geodl.training.paste import paste_changes
from geodl.training.plots import Plot, cut, strips, training_strips
from geodl.training.recipe import Recipe

RARE = 0.02
"""Share of the labelled training pixels below which a class is rare (measured: docs/accuracy.md)."""
_POSITIONS = 4096
"""Positions kept per plot and class; draws repeat after that, in ever new windows around them."""


def band_statistics(plots: list[Plot], names: list[str]) -> list[BandSpec]:
    """Measure mean and standard deviation of the bands over the labelled training pixels.

    Parameters
    ----------
    plots : list of Plot
        Read strip by strip, so that memory does not grow with the scenes.
    names : list of str
        Names of the bands.

    Returns
    -------
    list of BandSpec
        In the units of the model. A constant band gets the standard deviation 1.
    """
    moments = Moments(len(names))
    for image, valid, labels in training_strips(plots):
        moments.add(image, valid & (labels != IGNORE))
    return [
        BandSpec(name=name, mean=float(mean), std=float(std))
        for name, mean, std in zip(names, moments.mean, moments.std, strict=True)
    ]


def has_rare_class(plots: list[Plot]) -> bool:
    """Whether a class that occurs has less than a fiftieth of the labelled training pixels."""
    counts = _training_pixels(plots)
    return bool(counts[counts > 0].min() < RARE * counts.sum())


def _training_pixels(plots: list[Plot]) -> np.ndarray:
    """Labelled training pixels of each class, float64."""
    return np.sum([plot.train for plot in plots], axis=0).astype(np.float64)


def class_weights(plots: list[Plot], kind: str) -> np.ndarray:
    """Weights of the classes in the loss; float32, mean 1 over the classes that occur.

    ``balanced`` is inverse to the number of training pixels, ``sqrt`` to its root, ``auto`` is ``sqrt`` where
    a class is rare and ``none`` elsewhere.
    """
    counts = _training_pixels(plots)
    if kind == "auto":
        kind = "sqrt" if has_rare_class(plots) else "none"
    power = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[kind]
    occurring = counts > 0
    weights = np.where(occurring, np.maximum(counts, 1) ** -power, 0.0)
    return (weights / weights[occurring].mean()).astype(np.float32)


def normalise(image: np.ndarray, valid: np.ndarray, bands: list[BandSpec]) -> np.ndarray:
    """Scale to mean 0 and standard deviation 1; invalid pixels become 0. float32, ``(bands, y, x)``."""
    mean = np.array([band.mean for band in bands], dtype=np.float32)[:, None, None]
    std = np.array([band.std for band in bands], dtype=np.float32)[:, None, None]
    # Not multiplication by the mask: NaN in an invalid pixel must not survive.
    return np.where(valid, (image - mean) / std, np.float32(0))


class Draws:
    """Draws labelled training pixels: some by class, every class alike, the others by area.

    Parameters
    ----------
    plots : list of Plot
        Where to draw.
    balanced : float
        Share of the draws for which first a class is drawn, all classes alike; the others are drawn
        uniformly over all labelled pixels, but for the weights of the plots.
    seed : int
        Fixes which positions are kept.
    """

    def __init__(self, plots: list[Plot], *, balanced: float, seed: int) -> None:
        # Of shape (plots, classes); a pixel of a plot of weight 2 counts as two.
        self._counts = np.array([plot.weight * np.array(plot.train, dtype=np.float64) for plot in plots])
        by_class = self._counts.sum(axis=0)
        occurring = by_class > 0
        self._class_share = (
            balanced * occurring / occurring.sum() + (1 - balanced) * by_class / by_class.sum()
        )
        self._class_share /= self._class_share.sum()
        random = np.random.default_rng(seed)
        self._positions = [_keep_positions(plot, random) for plot in plots]

    def draw(self, random: np.random.Generator) -> tuple[int, int, int]:
        """Return a plot number, a row and a column."""
        code = random.choice(len(self._class_share), p=self._class_share)
        shares = self._counts[:, code] / self._counts[:, code].sum()
        plot = int(random.choice(len(shares), p=shares))
        return plot, *self._position(plot, code, random)

    def draw_within(self, plot: int, random: np.random.Generator) -> tuple[int, int]:
        """Return a row and a column in one plot, uniformly over its labelled pixels."""
        shares = self._counts[plot] / self._counts[plot].sum()
        return self._position(plot, int(random.choice(len(shares), p=shares)), random)

    def _position(self, plot: int, code: int, random: np.random.Generator) -> tuple[int, int]:
        row, column = random.choice(self._positions[plot][code])
        return int(row), int(column)


def _keep_positions(plot: Plot, random: np.random.Generator) -> list[np.ndarray]:
    """Random positions (row, column) of each class; int32, shape ``(at most _POSITIONS, 2)`` each."""
    classes = len(plot.train)
    if not sum(plot.train):
        return [np.empty((0, 2), dtype=np.int32)] * classes
    labels = plot.labels("train")
    kept: list[list[np.ndarray]] = [[] for _ in range(classes)]
    for window in strips(plot.height, plot.width):
        strip = labels[window.slices].ravel()
        for code in range(classes):
            found = np.flatnonzero(strip == code)
            # Each strip contributes in proportion to what it holds, and at least one position.
            quota = -(-_POSITIONS * len(found) // max(1, plot.train[code]))
            found = random.choice(found, min(quota, len(found)), replace=False)
            kept[code].append(
                np.stack([window.row + found // plot.width, found % plot.width], axis=1).astype(np.int32)
            )
    return [np.concatenate(parts) for parts in kept]


class Samples(Dataset):
    """Training samples by number: sample `n` is the same whoever asks for it, and when.

    Yields ``(image, labels)``: float32 ``(bands, patch, patch)`` and int64 ``(patch, patch)``.
    """

    def __init__(self, recipe: Recipe, plots: list[Plot], bands: list[BandSpec]) -> None:
        self._plots = plots
        self._bands = bands
        self._seed = recipe.seed
        self._patch = recipe.optimisation.patch
        self._amounts, self._dates = recipe.augment, TASKS[recipe.task].dates
        self._changed = recipe.position(CHANGED)  # what `paste` makes; None for most tasks
        balanced = recipe.optimisation.balanced_draws
        if balanced == "auto":
            balanced = 0.5 if has_rare_class(plots) else 0.0
        self._draws = Draws(plots, balanced=balanced, seed=recipe.seed)
        labelled = sum(sum(plot.train) for plot in plots)
        self._all_changed = recipe.augment.after_passes * labelled / self._patch**2
        """Number of the sample from which on every one is changed."""

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        with _one_thread():
            return self._sample(number)

    def _sample(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng([self._seed, number])
        index, row, column = self._draws.draw(random)
        plot = self._plots[index]
        changed = number >= self._all_changed or random.uniform() < number / self._all_changed
        smallest, largest = np.log(self._amounts.zoom) if changed else (0.0, 0.0)
        side = max(8, round(self._patch / np.exp(random.uniform(smallest, largest))))
        window = _around(row, column, side, plot, random)
        image, known = self._normalised(plot, window)
        labels = torch.from_numpy(cut(plot.labels("train"), window).astype(np.int64))
        if not changed:
            return image, labels
        if plot.paste and random.uniform() < plot.paste:
            elsewhere = _around(*self._draws.draw_within(index, random), side, plot, random)
            image, labels = self._pasted(image, labels, known, plot, elsewhere, int(random.integers(2**62)))
        image, labels = zoom_to(image, labels, self._patch)
        return self._augment(image, labels, known, int(random.integers(2**62)))

    def _normalised(self, plot: Plot, window: Window) -> tuple[torch.Tensor, torch.Tensor]:
        values, valid = plot.window(window)
        return torch.from_numpy(normalise(values, valid, self._bands)), torch.from_numpy(valid)

    def _pasted(
        self,
        image: torch.Tensor,
        labels: torch.Tensor,
        known: torch.Tensor,
        plot: Plot,
        elsewhere: Window,
        seed: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        other, also_known = self._normalised(plot, elsewhere)
        assert self._changed is not None
        generator = torch.Generator().manual_seed(seed)
        return paste_changes(image, labels, other, known & also_known, self._changed, generator)

    def _augment(
        self, image: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        if bool(known.all()):
            return augment(image, labels, self._amounts, generator, dates=self._dates)
        # The mask rides along as a band through the geometry, so that no data stays 0 afterwards.
        seen = zoom_to(known[None].float(), labels, self._patch)[0] > 0.5
        packed = labels + 256 * seen[0].to(torch.int64)
        image, packed = augment(image, packed, self._amounts, generator, dates=self._dates)
        return torch.where(packed >= 256, image, 0.0), packed % 256


def _around(row: int, column: int, side: int, plot: Plot, random: np.random.Generator) -> Window:
    """Place a window: the pixel may lie anywhere in it, and it stays inside the plot where it can."""
    return Window(
        _place(row, side, plot.height, random), _place(column, side, plot.width, random), side, side
    )


def _place(position: int, side: int, size: int, random: np.random.Generator) -> int:
    start = position - int(random.integers(side))
    return int(np.clip(start, 0, size - side)) if size >= side else (size - side) // 2


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small tensors are faster on one core; where cores are shared, waiting for the others costs most."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
