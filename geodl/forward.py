"""Runs a network over batches of tiles: knows torch, knows no rasters.

One `Forward` exists per worker process and model; its device is used by one thread, so that other
threads read and write meanwhile, and so that torch keeps a single pool of computing threads.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from geodl.errors import GeodlError, ModelError
from geodl.heap import keep_heap
from geodl.match import Scaling
from geodl.models.bundle import Model
from geodl.models.fold import fold_batch_norms


class Forward:
    """A network on a device, and the one thread that feeds it.

    The network is loaded by that thread, so that the first blocks are read meanwhile.
    """

    def __init__(self, model: Model, device: str) -> None:
        keep_heap()
        self.device = torch.device(device)
        self.spec = model.spec
        self._values = torch.tensor(model.spec.class_values, dtype=torch.uint8)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="geodl-device")
        self._network = self._thread.submit(self._load, model)

    def _load(self, model: Model) -> torch.nn.Module:
        self._values = self._values.to(self.device)
        return fold_batch_norms(model.network(self.device)).to(memory_format=torch.channels_last)

    def probabilities(
        self, tiles: np.ndarray, valid: np.ndarray, scaling: Scaling, margin: int = 0
    ) -> torch.Tensor:
        """Class probabilities of a batch of tiles.

        Parameters
        ----------
        tiles : numpy.ndarray
            Digital numbers, shape ``(N, bands, tile, tile)``, any real dtype.
        valid : numpy.ndarray
            bool, shape ``(N, tile, tile)``; the network sees the mean of each band elsewhere.
        scaling : Scaling
            From digital numbers to what the network was trained on.
        margin : int
            Pixels to leave out on each side of the tiles.

        Returns
        -------
        torch.Tensor
            float32 on the device, ``(N, classes, tile - 2 * margin, tile - 2 * margin)``, summing to one
            over the classes.

        Raises
        ------
        GeodlError
            If the device's memory does not hold even one tile; larger batches are halved first.
        """
        try:
            return self._thread.submit(self._probabilities, tiles, valid, scaling, margin).result()
        except torch.OutOfMemoryError as error:
            half = len(tiles) // 2
            if half == 0:
                raise GeodlError(
                    f"device {self.device}",
                    f"its memory does not hold one tile of {tiles.shape[-1]} pixels",
                    "free the device, or use --device cpu",
                ) from error
            parts = (slice(half), slice(half, None))
            return torch.cat([self.probabilities(tiles[p], valid[p], scaling, margin) for p in parts])

    @torch.inference_mode()
    def _probabilities(
        self, tiles: np.ndarray, valid: np.ndarray, scaling: Scaling, margin: int
    ) -> torch.Tensor:
        network = self._network.result()
        inputs = torch.from_numpy(np.ascontiguousarray(tiles)).to(self.device).to(torch.float32)
        gain = torch.tensor(scaling.gain, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)
        bias = torch.tensor(scaling.bias, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)
        inputs = torch.addcmul(bias, inputs, gain)
        if not valid.all():
            mask = torch.from_numpy(np.ascontiguousarray(valid)).to(self.device).unsqueeze(1)
            inputs = torch.where(mask, inputs, 0.0)
        outputs = network(inputs.contiguous(memory_format=torch.channels_last))
        if outputs.shape[1] != len(self.spec.classes) or outputs.shape[-2:] != inputs.shape[-2:]:
            raise ModelError(
                f"model {self.spec.name}",
                f"its network turns {tuple(inputs.shape)} into {tuple(outputs.shape)}",
                f"it must give {len(self.spec.classes)} class scores per pixel",
            )
        kept = slice(margin, inputs.shape[-1] - margin)
        return outputs[..., kept, kept].float().softmax(dim=1)

    def classify(self, probabilities: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Class values (uint8) and their probabilities (float32), each of shape ``(..., h, w)``.

        `probabilities` has the classes in dimension -3; of equal ones the first class is taken.
        """
        return self._thread.submit(self._classify, probabilities).result()

    @torch.inference_mode()
    def _classify(self, probabilities: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        confidence, index = probabilities.to(self.device).max(dim=-3)
        return self._values[index].cpu().numpy(), confidence.cpu().numpy()


_lock = threading.Lock()
_loaded: dict[tuple[str, str], Forward] = {}


def forward_for(model: Model, device: str) -> Forward:
    """Return this process's `Forward` for a model, loading it on first use.

    Only the network used last is kept: a batch runs one model over many scenes.
    """
    with _lock:
        key = (model.hash, device)
        if key not in _loaded:
            _loaded.clear()
            _loaded[key] = Forward(model, device)
        return _loaded[key]
