"""The network, its input at a place, and the score that is explained."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from geodl.block import Job
from geodl.errors import ModelError
from geodl.models.spec import ONNX, ModelSpec
from geodl.pixels import RowReader
from geodl.tiles import Window, reflect

Score = Callable[[Tensor], Tensor]
"""From inputs (N, bands, height, width) to one number each, (N,)."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What the network sees of a window, which may reach beyond the scene.

    Parameters
    ----------
    window : Window
        In pixels of the scene.
    inputs : torch.Tensor
        float32, (1, bands, height, width): scaled, 0 (the mean of each band) without data.
    valid : numpy.ndarray
        bool, (height, width).
    """

    window: Window
    inputs: Tensor
    valid: np.ndarray

    def part(self, array: np.ndarray, window: Window) -> np.ndarray:
        """Cut a window out of an array (..., height, width) over this one."""
        return array[(..., *window.relative_to(self.window).slices)]


def cut(job: Job, window: Window) -> Cut:
    """Read and scale a window as the engine does: beyond its borders the scene is reflected."""
    reader = RowReader(job.scene, window.col, window.col_stop)
    reader.load(window.row, window.row_stop)
    values, valid = reader.cut(window)
    gain, bias = (np.array(v, np.float32)[:, None, None] for v in (job.scaling.gain, job.scaling.bias))
    scaled = np.where(valid, values.astype(np.float32) * gain + bias, np.float32(0))
    return Cut(window=window, inputs=torch.from_numpy(scaled)[None].to(job.device), valid=valid)


def network_of(job: Job) -> nn.Module:
    """Load the network of a job for gradients.

    Operations in place would overwrite what gradients and hooks look at; they are switched off.
    """
    network = job.model.network(job.device)
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


def mean_score(network: nn.Module, number: int, where: np.ndarray, *, against: int | None = None) -> Score:
    """Return the score that is explained: that of one class, averaged over some pixels.

    The score is the network's output before the softmax (the logit).

    Parameters
    ----------
    network : torch.nn.Module
        (N, bands, height, width) -> (N, classes, height, width).
    number : int
        Position of the class.
    where : numpy.ndarray
        bool, (height, width).
    against : int, optional
        Position of another class, whose score is taken off.
    """
    rows, columns = (torch.from_numpy(index) for index in np.nonzero(where))

    def score(inputs: Tensor) -> Tensor:
        scores = network(inputs)[:, :, rows, columns].float().mean(dim=2)
        return scores[:, number] if against is None else scores[:, number] - scores[:, against]

    return score


def refuse_without_gradients(spec: ModelSpec) -> None:
    """Check that a network runs in torch, which keeps what gradients need.

    Raises
    ------
    ModelError
        It is run by another library.
    """
    if spec.architecture == ONNX:
        raise ModelError(
            f"model {spec.name}",
            "it is an ONNX file, which gives no gradients",
            "explain the model that it was exported from: import its weights with 'geodl models import'",
        )


def back_to_scene(values: np.ndarray, window: Window, height: int, width: int) -> tuple[np.ndarray, Window]:
    """Add what belongs to reflected pixels to the pixels of the scene that they show.

    Parameters
    ----------
    values : numpy.ndarray
        (bands, window.height, window.width).
    window : Window
        May reach beyond the scene.
    height, width : int
        Of the scene.

    Returns
    -------
    values : numpy.ndarray
        float64, (bands, rows, columns) of the second; the sum is kept.
    inside : Window
        The pixels of the scene that the window shows.
    """
    rows, columns = reflect(window.row, window.row_stop, height), reflect(window.col, window.col_stop, width)
    top, left = int(rows.min()), int(columns.min())
    inside = Window(top, left, int(rows.max()) + 1 - top, int(columns.max()) + 1 - left)
    by_row = np.zeros((inside.height, len(values), window.width))
    np.add.at(by_row, rows - top, np.moveaxis(values, 1, 0))
    by_column = np.zeros((inside.width, inside.height, len(values)))
    np.add.at(by_column, columns - left, np.moveaxis(by_row, 2, 0))
    return np.moveaxis(by_column, 2, 0).swapaxes(1, 2), inside
