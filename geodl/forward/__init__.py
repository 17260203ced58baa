"""Runs a network over batches of tiles: knows torch, knows no rasters.

One `Forward` exists per worker process and model; its device is used by one thread, so that other
threads read and write meanwhile, and so that torch keeps a single pool of computing threads.
"""

import threading

from geodl.forward.network import Forward
from geodl.forward.rows import RowStream
from geodl.forward.tiles import Tiles
from geodl.models.bundle import Model

__all__ = ["Forward", "RowStream", "Tiles", "forward_for"]

_lock = threading.Lock()
_loaded: dict[tuple[str, str, str, bool], Forward] = {}


def forward_for(model: Model, device: str, precision: str = "fp32", *, novelty: bool = False) -> Forward:
    """Return this process's `Forward` for a model, loading it on first use.

    Only the network used last is kept: a batch runs one model over many scenes.
    """
    with _lock:
        key = (model.hash, device, precision, novelty)
        if key not in _loaded:
            _loaded.clear()
            _loaded[key] = Forward(model, device, precision, novelty=novelty)
        return _loaded[key]
