"""The same map as others would make it by hand, in its usual two ways.

Both know inference mode and channels last, keep the origins of their tiles on the network's stride, and
run in this process with their libraries imported. At the border of the scene, `window_loop` continues the
scene as geodl does; Dask's ``reflect`` repeats the border pixel, which changes the classes there. In bf16
both use autocast, which also rounds the scores: classes that differ are then not of seams alone.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.windows import Window

from geodl.models.bundle import load_model
from tests.benchmarks.networks import import_libraries, normalised

if TYPE_CHECKING:
    import dask.array as da
    from torch import nn

CORE = 1024  # pixels; what is kept of a tile


def map_overlap(scene: str, model: str, out: str, precision: str, halo: int) -> dict[str, Any]:
    """Run the network by `dask.array.map_overlap` over chunks of the scene, in threads.

    Each of Dask's threads computes with one of torch's: more would wait for each other.
    """
    import dask.array as da
    import torch

    loaded, threads = load_model(model), torch.get_num_threads()
    torch.set_num_threads(1)
    import_libraries(loaded)
    start = time.perf_counter()
    network = _network(loaded)

    def classify(tile: np.ndarray) -> np.ndarray:
        classes = _classes(network, normalised(tile, loaded), precision)
        return classes[halo : classes.shape[0] - halo, halo : classes.shape[1] - halo]

    pixels = _lazy(scene)
    classes = da.map_overlap(
        classify,
        pixels,
        depth={0: 0, 1: halo, 2: halo},
        boundary={0: "none", 1: "reflect", 2: "reflect"},
        trim=False,
        drop_axis=0,
        chunks=pixels.chunks[1:],
        dtype=np.uint8,
        meta=np.empty((0, 0), dtype=np.uint8),
    )
    result = classes.compute(scheduler="threads", num_workers=threads)
    with rasterio.open(scene) as source, rasterio.open(out, "w", **_profile(source)) as target:
        target.write(result, 1)
    return {"seconds": time.perf_counter() - start, "map": out}


def window_loop(scene: str, model: str, out: str, precision: str, halo: int) -> dict[str, Any]:
    """Read, compute and write tile after tile."""
    loaded = load_model(model)
    import_libraries(loaded)

    start = time.perf_counter()
    network = _network(loaded)
    with rasterio.open(scene) as source, rasterio.open(out, "w", **_profile(source)) as target:
        for core in _cores(source.height, source.width):
            pixels = _read_padded(source, core, halo)
            classes = _classes(network, normalised(pixels, loaded), precision)
            kept = classes[halo : halo + core.height, halo : halo + core.width]
            target.write(kept, 1, window=core)
    return {"seconds": time.perf_counter() - start, "map": out}


def _network(loaded: Any) -> "nn.Module":
    import torch

    network: nn.Module = loaded.network().to(memory_format=torch.channels_last)
    return network


def _classes(network: "nn.Module", values: np.ndarray, precision: str) -> np.ndarray:
    import torch

    inputs = torch.from_numpy(values)[None].to(memory_format=torch.channels_last)
    reduced = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), reduced:
        return network(inputs)[0].argmax(dim=0).to(torch.uint8).numpy()


def _lazy(scene: str) -> "da.Array":
    """Open a scene as a Dask array, (bands, y, x), whose chunks are read when they are needed."""
    import dask.array as da

    with rasterio.open(scene) as file:
        shape, dtype = (file.count, file.height, file.width), file.dtypes[0]

    def read(block_info: Any) -> np.ndarray:
        _, (top, bottom), (left, right) = block_info[None]["array-location"]
        with rasterio.open(scene) as file:
            return file.read(window=Window(left, top, right - left, bottom - top))

    chunks = da.core.normalize_chunks((-1, CORE, CORE), shape=shape)
    return da.map_blocks(read, chunks=chunks, dtype=dtype, meta=np.empty((0, 0, 0), dtype=dtype))


def _cores(height: int, width: int) -> Iterator[Window]:
    for row in range(0, height, CORE):
        for column in range(0, width, CORE):
            yield Window(column, row, min(CORE, width - column), min(CORE, height - row))


def _read_padded(source: rasterio.DatasetReader, core: Window, halo: int) -> np.ndarray:
    """Read a window and `halo` pixels around it, reflected where the scene ends."""
    top, left = max(0, core.row_off - halo), max(0, core.col_off - halo)
    bottom = min(source.height, core.row_off + core.height + halo)
    right = min(source.width, core.col_off + core.width + halo)
    pixels = source.read(window=Window(left, top, right - left, bottom - top))
    rows = (top - (core.row_off - halo), core.row_off + core.height + halo - bottom)
    columns = (left - (core.col_off - halo), core.col_off + core.width + halo - right)
    return np.pad(pixels, ((0, 0), rows, columns), mode="reflect")


def _profile(source: rasterio.DatasetReader) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": source.height,
        "width": source.width,
        "count": 1,
        "dtype": "uint8",
        "crs": source.crs,
        "transform": source.transform,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "nodata": 255,
    }
