"""How far a map is from that of the network which sees the whole scene at once.

The reference is the network run once, by plain torch, over the scene continued by reflection. Of a scene
larger than the window looked at, it sees the window and what lies around it, farther than the network
looks: for a local network that is the same.
"""

from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.windows import Window

from geodl.models.bundle import Model, load_model
from geodl.tiles import reflect
from tests.benchmarks.networks import bare_network, normalised

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 2048  # pixels; of the window that is compared
_SPARE = 64  # pixels beyond the halo, a multiple of the stride of every network here


def window_of(size: int) -> tuple[int, int]:
    """First row and side of the square in the middle of a square scene that is compared."""
    side = min(SIDE, size)
    return (size - side) // 2, side


def write_reference(scene: str, model: str, precision: str, path: str) -> None:
    """Save the probabilities of the window, float32, (classes, rows, columns)."""
    import torch

    if precision == "bf16":
        network, loaded = bare_network(model, precision)
    else:
        loaded = load_model(model)
        network = loaded.network()
    with rasterio.open(scene) as file:
        first, side = window_of(file.height)
        pixels, begin = _surroundings(file, first, side, loaded)
    inputs = torch.from_numpy(normalised(pixels, loaded))[None]
    inputs = inputs.to(torch.bfloat16 if precision == "bf16" else torch.float32)
    offset = first - begin
    with torch.inference_mode():
        scores: Tensor = network(inputs)[0, :, offset : offset + side, offset : offset + side]
        np.save(path, scores.float().softmax(dim=0).numpy())


def _surroundings(
    file: rasterio.DatasetReader, first: int, side: int, model: Model
) -> tuple[np.ndarray, int]:
    """Read the window and what the network sees around it; return pixels and their first row."""
    spec, size = model.spec, file.height
    end = -(-(size + spec.halo) // spec.stride) * spec.stride
    begin = max(first - spec.halo - _SPARE, -spec.halo)
    index = reflect(begin, min(first + side + spec.halo + _SPARE, end), size)
    low, high = int(index.min()), int(index.max()) + 1
    pixels = file.read(window=Window(low, low, high - low, high - low))
    return pixels[:, (index - low)[:, None], index - low], begin


def flipped(path: str, model: str, reference: str) -> float:
    """Share of the pixels of the window of a map whose class is not that of the reference."""
    with rasterio.open(path) as file:
        first, side = window_of(file.height)
        classes = file.read(1, window=Window(first, first, side, side))
    values = np.array(load_model(model).spec.class_values, dtype=np.uint8)
    expected = values[np.load(reference, mmap_mode="r").argmax(axis=0)]
    return float((classes != expected).mean())


def largest_difference(scene: str, model: str, precision: str, tile: int | None, reference: str) -> float:
    """Largest difference of any probability in the window, computed again by blocks that cut it."""
    from geodl.predict import predict
    from geodl.scene import open_scene

    source = open_scene(scene)
    first, side = window_of(source.sizes["y"])
    inside = slice(first, first + side)
    result = predict(
        source,
        load_model(model),
        probabilities=True,
        block=SIDE // 2,
        device="cpu",
        precision=precision,
        tile=tile,
    )
    found = result["probability"].isel(y=inside, x=inside).compute(scheduler="synchronous").values
    return float(np.abs(found - np.load(reference, mmap_mode="r")).max())
