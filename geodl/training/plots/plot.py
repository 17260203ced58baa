"""`Plot`: a decoded scene with its labels, and windows cut out of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodl.tiles import Window, reflect

_STRIP = 512


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A decoded scene: memory-mapped arrays, opened at each use (safe across processes).

    Parameters
    ----------
    name : str
        Name of the scene, for messages.
    scene : Path
        Folder of the pixels, their mask and all labels; it may be shared with other runs.
    folder : Path
        Folder of the labels for training and for validation, which belong to this run.
    height, width : int
        Size in pixels.
    scale, offset : tuple of float
        Per band: ``value * scale + offset`` is in the units of the model.
    train, validation : tuple of int
        Number of labelled pixels of each class for either use.
    shared : float
        Share of the labels for validation that lie on ground that other plots are learnt from.
    weight : float
        How often samples are drawn from a pixel of it, beside one of other plots.
    paste : float
        Chance of a sample to receive pieces of another part of it.
    """

    name: str
    scene: Path
    folder: Path
    height: int
    width: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    train: tuple[int, ...]
    validation: tuple[int, ...]
    shared: float = 0.0
    weight: float = 1.0
    paste: float = 0.0

    @property
    def image(self) -> np.ndarray:
        """Raw values, shape ``(bands, y, x)``."""
        return open_array(self.scene / "image.npy")

    @property
    def valid(self) -> np.ndarray:
        """False where the scene has no data; bool, shape ``(y, x)``."""
        return open_array(self.scene / "valid.npy")

    def labels(self, role: str) -> np.ndarray:
        """Class positions for ``train`` or ``validation``, or ``all``; uint8, ``(y, x)``, 255 = ignore."""
        return open_array(self.scene / "labels.npy" if role == "all" else self.folder / f"{role}.npy")

    def window(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Read values in the units of the model, the scene continued by reflection at its borders.

        Returns
        -------
        image : numpy.ndarray
            float32, shape ``(bands, height, width)``.
        valid : numpy.ndarray
            bool, shape ``(height, width)``.
        """
        scale = np.array(self.scale, dtype=np.float32)[:, None, None]
        offset = np.array(self.offset, dtype=np.float32)[:, None, None]
        values = cut(self.image, window).astype(np.float32)
        return values * scale + offset, cut(self.valid, window)


def open_array(path: Path) -> np.ndarray:
    """Map an array on disk into memory, for reading."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def create_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Make an array on disk, mapped into memory for writing."""
    return np.lib.format.open_memmap(path, mode="w+", shape=shape, dtype=dtype)


def cut(array: np.ndarray, window: Window) -> np.ndarray:
    """Copy a window out of the last two dimensions, continued by reflection at the borders."""
    height, width = array.shape[-2:]
    if window.intersect(Window(0, 0, height, width)) == window:
        return np.array(array[(..., *window.slices)])
    rows = reflect(window.row, window.row_stop, height)
    columns = reflect(window.col, window.col_stop, width)
    # Read the enclosing rectangle first: fancy indexing on a memory map touches it element by element.
    part = np.array(array[..., rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return part[..., (rows - rows.min())[:, None], columns - columns.min()]


def strips(height: int, width: int) -> Iterator[Window]:
    """Yield windows of whole rows that partition a scene."""
    for row in range(0, height, _STRIP):
        yield Window(row, 0, min(_STRIP, height - row), width)


def training_strips(plots: Iterable[Plot]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield pixels (bands, y, x), mask and labels (y, x) of plots with training labels, strip by strip."""
    for plot in plots:
        if sum(plot.train):
            labels = plot.labels("train")
            for window in strips(plot.height, plot.width):
                yield *plot.window(window), np.asarray(labels[window.slices])
