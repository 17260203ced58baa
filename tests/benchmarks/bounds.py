"""What a run cannot beat: bare forward passes, reading, writing; each measured in a process of its own."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.networks import bare_network

if TYPE_CHECKING:
    from torch import nn

TILES = (512, 1024, 1536, 2048)
_ROWS = 512  # read at a time
_LOOK = 4.0  # seconds for which each size of tile is tried


def best_tile(model: str, precision: str, size: int) -> int:
    """Side of the tile with which the bare forward over a square scene is fastest; each is tried."""
    network, bands = _ready(model, precision)
    fitting = [tile for tile in TILES if tile <= size] or [size]
    return min(fitting, key=lambda tile: _seconds_per_pass(network, (1, bands, tile, tile), _LOOK) / tile**2)


def bare_scene(model: str, precision: str, size: int, tile: int, seconds: float) -> float:
    """Seconds of the forward passes over as many pixels as a square scene has, by tiles without overlap.

    They are measured for `seconds`, the rest is extrapolated.
    """
    network, bands = _ready(model, precision)
    passes = size**2 / tile**2
    return passes * _seconds_per_pass(network, (1, bands, tile, tile), seconds, most=passes)


def bare_tiles(scene: str, model: str, precision: str, tile: int, seconds: float) -> float:
    """Seconds of the forward passes over the tiles, halos included, that a run over tiles takes."""
    from geodl.models.bundle import load_model
    from geodl.predict import make_job
    from geodl.scene import open_scene

    network, bands = _ready(model, precision)
    job = make_job(open_scene(scene), load_model(model), device="cpu", precision=precision, tile=tile)
    passes = job.lattice.shape[0] * job.lattice.shape[1]
    return passes * _seconds_per_pass(network, (1, bands, *job.lattice.tile), seconds, most=passes)


def read_scene(scene: str) -> float:
    """Seconds to read a scene once, by windows of its whole width."""
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(scene, num_threads="ALL_CPUS") as file:
        start = time.perf_counter()
        for row in range(0, file.height, _ROWS):
            file.read(window=Window(0, row, file.width, min(_ROWS, file.height - row)))
        return time.perf_counter() - start


def write_map(source: str, model: str) -> float:
    """Seconds to write a class map again, as the same kind of file, from memory."""
    import rasterio

    from geodl import open_scene, write_cog
    from geodl.models.bundle import load_model

    with rasterio.open(source) as file:
        pixels = file.read(1)
    grid = open_scene(source).isel(band=0, drop=True)
    classes, beside = load_model(model).spec.classes, Path(source).with_name("again.tif")
    start = time.perf_counter()
    write_cog(grid.copy(data=pixels), beside, classes=classes)
    took = time.perf_counter() - start
    beside.unlink()
    return took


def _ready(model: str, precision: str) -> "tuple[nn.Module, int]":
    """Return a network that is ready to run, and its number of bands."""
    from geodl.heap import keep_heap

    keep_heap()  # before torch starts its threads
    network, loaded = bare_network(model, precision)
    return network, len(loaded.spec.bands)


def _seconds_per_pass(
    network: "nn.Module", shape: tuple[int, ...], limit: float, most: float = math.inf
) -> float:
    """Average over `most` passes, or over those that start within `limit` seconds; the first is left out."""
    import torch

    from geodl.models.precision import dtype_of

    inputs = torch.randn(shape).to(dtype_of(network), memory_format=torch.channels_last)
    with torch.inference_mode():
        network(inputs)
        start, done = time.perf_counter(), 0
        while done == 0 or (done < most and time.perf_counter() - start < limit):
            network(inputs)
            done += 1
        return (time.perf_counter() - start) / done
