"""Runs a network over batches of tiles: knows torch, knows no rasters.

One `Forward` exists per worker process and model; its device is used by one thread, so that other
threads read and write meanwhile, and so that torch keeps a single pool of computing threads.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from geodl.errors import GeodlError, ModelError
from geodl.heap import keep_heap
from geodl.match import Scaling
from geodl.models.bundle import Model
from geodl.models.fold import fold_batch_norms
from geodl.models.precision import as_bfloat16

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """What the network is to see.

    Parameters
    ----------
    pixels : numpy.ndarray
        Digital numbers, shape ``(N, bands, height, width)``, any real dtype.
    valid : numpy.ndarray
        bool, shape ``(N, height, width)``; the network sees the mean of each band elsewhere.
    scaling : Scaling
        From digital numbers to what the network was trained on.
    """

    pixels: np.ndarray
    valid: np.ndarray
    scaling: Scaling

    def halves(self) -> "tuple[Tiles, Tiles]":
        """Return the first and the second half of the batch."""
        half = len(self.pixels) // 2
        first, second = (
            Tiles(pixels=self.pixels[part], valid=self.valid[part], scaling=self.scaling)
            for part in (slice(half), slice(half, None))
        )
        return first, second


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Class values (uint8) and their probability (float32) per pixel, and that of every class if asked for.

    Shapes ``(N, height, width)`` and ``(N, classes, height, width)``.
    """

    classes: np.ndarray
    confidence: np.ndarray
    probability: np.ndarray | None = None


class Forward:
    """A network on a device, and the one thread that feeds it.

    The network is loaded by that thread, so that the first pixels are read meanwhile.

    Parameters
    ----------
    model : Model
        What to load.
    device : str
        ``"cpu"`` or ``"cuda"``.
    precision : str
        ``"fp32"`` or ``"bf16"``.
    """

    def __init__(self, model: Model, device: str, precision: str = "fp32") -> None:
        keep_heap()
        self.device = torch.device(device)
        self.spec = model.spec
        self._singly = self.device.type == "cpu"
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="geodl-device")
        self._network = self._thread.submit(self._load, model)

    def _load(self, model: Model) -> nn.Module:
        network = fold_batch_norms(model.network(self.device)).to(memory_format=torch.channels_last)
        return as_bfloat16(network) if self._dtype == torch.bfloat16 else network

    def probabilities(self, tiles: Tiles) -> np.ndarray:
        """Probabilities of the classes of a batch of tiles, float32, ``(N, classes, height, width)``.

        Raises
        ------
        GeodlError
            If the device's memory does not hold even one tile; larger batches are halved first.
        """
        parts = self._in_parts(tiles, lambda part: self._scores(part).softmax(dim=1).cpu().numpy())
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def classify(self, tiles: Tiles, margin: int = 0, *, probabilities: bool = False) -> Scores:
        """Classify a batch of tiles but for `margin` pixels on each side.

        Raises
        ------
        GeodlError
            As `probabilities`.
        """
        parts = self._in_parts(tiles, lambda part: self._classify(part, margin, probabilities))
        if len(parts) == 1:
            return parts[0]
        return Scores(
            classes=np.concatenate([part.classes for part in parts]),
            confidence=np.concatenate([part.confidence for part in parts]),
            probability=np.concatenate([part.probability for part in parts]) if probabilities else None,  # type: ignore[misc]
        )

    def _in_parts(self, tiles: Tiles, run: Callable[[Tiles], T]) -> list[T]:
        """Run the batch on the device; where its memory is too small, by halves.

        A processor takes tiles one by one: a batch gains nothing there, and its size would change the
        last bits of a convolution.
        """
        count = len(tiles.pixels)
        if self._singly and count > 1:
            return [part for half in tiles.halves() for part in self._in_parts(half, run)]
        try:
            return [self._thread.submit(run, tiles).result()]
        except torch.OutOfMemoryError as error:
            if count == 1:
                size = " x ".join(map(str, tiles.valid.shape[1:]))
                raise GeodlError(
                    f"device {self.device}",
                    f"its memory does not hold one tile of {size} pixels",
                    "free the device, use smaller tiles with --tile, or --device cpu",
                ) from error
            return [part for half in tiles.halves() for part in self._in_parts(half, run)]

    @torch.inference_mode()
    def _scores(self, tiles: Tiles) -> Tensor:
        network = self._network.result()
        inputs = self._inputs(tiles)
        outputs: Tensor = network(inputs)
        if outputs.shape[1] != len(self.spec.classes) or outputs.shape[-2:] != inputs.shape[-2:]:
            raise ModelError(
                f"model {self.spec.name}",
                f"its network turns {tuple(inputs.shape)} into {tuple(outputs.shape)}",
                f"it must give {len(self.spec.classes)} class scores per pixel",
            )
        return outputs.float()

    def _inputs(self, tiles: Tiles) -> Tensor:
        """Scaled tiles on the device, (N, bands, height, width), channels last."""
        pixels = torch.from_numpy(np.ascontiguousarray(tiles.pixels)).to(self.device, torch.float32)
        gain, bias = (
            torch.tensor(values, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)
            for values in (tiles.scaling.gain, tiles.scaling.bias)
        )
        pixels = torch.addcmul(bias, pixels, gain)
        if not tiles.valid.all():
            mask = torch.from_numpy(np.ascontiguousarray(tiles.valid)).to(self.device).unsqueeze(1)
            pixels = torch.where(mask, pixels, 0.0)
        return pixels.to(self._dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def _classify(self, tiles: Tiles, margin: int, probabilities: bool) -> Scores:
        scores = self._scores(tiles)
        rows, columns = (slice(margin, size - margin) for size in scores.shape[-2:])
        return classify(scores[..., rows, columns], self.spec.class_values, probabilities=probabilities)


def classify(scores: Tensor, values: list[int], *, probabilities: bool = False) -> Scores:
    """Choose the class of the highest score at every pixel; the first one of equals.

    Parameters
    ----------
    scores : torch.Tensor
        Logits, float32, ``(N, classes, height, width)``.
    values : list of int
        Raster value of each class.
    probabilities : bool
        Also return the softmax.

    Raises
    ------
    GeodlError
        If a score is NaN or infinite.
    """
    scores = scores.contiguous()  # plane by plane: several times as fast as channels last
    highest = scores.amax(dim=1)
    if not highest.isfinite().all():
        raise GeodlError(
            "network", "its class scores are not finite", "check the weights, or use --precision fp32"
        )
    classes = torch.zeros_like(highest, dtype=torch.uint8)
    for plane, value in zip(reversed(scores.unbind(1)), reversed(values), strict=True):
        classes.masked_fill_(plane == highest, value)
    ratio = (scores - highest.unsqueeze(1)).exp_()
    confidence = ratio.sum(dim=1).reciprocal_()
    probability = ratio.mul_(confidence.unsqueeze(1)).cpu().numpy() if probabilities else None
    return Scores(classes=classes.cpu().numpy(), confidence=confidence.cpu().numpy(), probability=probability)


_lock = threading.Lock()
_loaded: dict[tuple[str, str, str], Forward] = {}


def forward_for(model: Model, device: str, precision: str = "fp32") -> Forward:
    """Return this process's `Forward` for a model, loading it on first use.

    Only the network used last is kept: a batch runs one model over many scenes.
    """
    with _lock:
        key = (model.hash, device, precision)
        if key not in _loaded:
            _loaded.clear()
            _loaded[key] = Forward(model, device, precision)
        return _loaded[key]
