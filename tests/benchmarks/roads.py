"""Road networks of large masks: time and memory beside a skeleton and a graph of the whole array.

python -m tests.benchmarks.roads FOLDER

The other way is `skimage.morphology.skeletonize` and `sknw.build_sknw` where sknw is installed. It makes a
graph of pixels: no widths, nothing pruned, merged, bridged or smoothed, and no file.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tests.benchmarks.process import call

SIZE = 8192
ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class RoadRow:
    """What it takes: seconds by the clock and of the processor, peak memory of the process."""

    way: str
    size: int
    edges: int
    seconds: float
    processor_s: float
    peak_gib: float


def write_streets(path: Path, size: int, seed: int = 0) -> Path:
    """Write a mask of winding streets of 7 and 11 pixels every 80 pixels, some missing, with holes."""
    import rasterio
    from affine import Affine
    from rasterio.windows import Window

    rng = np.random.default_rng(seed)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "compress": "deflate", "tiled": True}
    profile |= {"blockxsize": 512, "blockysize": 512, "crs": "EPSG:32632"}
    missing = rng.random((2, size // 80 + 3, size // 80 + 3)) < 0.2
    x = np.arange(size)[None, :]
    with rasterio.open(
        path, "w", width=size, height=size, transform=Affine(1, 0, 5e5, 0, -1, 5e6), **profile
    ) as file:
        for start in range(0, size, ROWS):
            y = np.arange(start, min(start + ROWS, size))[:, None]
            across, down = x + 20 + 14 * np.sin(y / 90), y + 20 + 14 * np.sin(x / 110)
            block = (np.floor(down / 80).astype(int), np.floor(across / 80).astype(int))
            streets = (np.abs(across % 80 - 40) < 5.5) & ~missing[0][block]
            streets |= (np.abs(down % 80 - 40) < 3.5) & ~missing[1][block]
            streets &= rng.random(streets.shape) > 0.002
            file.write(streets.astype(np.uint8), 1, window=Window(0, start, size, len(y)))
    return path


def by_geodl(path: str, out: str) -> dict:
    """Write the network of a mask."""
    from geodl.products import vectorize_file

    start, processor = time.perf_counter(), time.process_time()
    edges = vectorize_file(Path(path), Path(out), task="roads", confidence=None)
    return _taken(edges, start, processor)


def by_whole_array(path: str) -> dict:
    """Make a graph of the skeleton of a whole mask."""
    import rasterio
    import sknw
    from skimage.morphology import skeletonize

    sknw.build_sknw(np.pad(np.ones((1, 9), np.uint16), 3))  # compiled before the clock starts
    start, processor = time.perf_counter(), time.process_time()
    with rasterio.open(path) as file:
        mask = file.read(1) == 1
    graph = sknw.build_sknw(skeletonize(mask).astype(np.uint16), multi=True)
    return _taken(graph.number_of_edges(), start, processor)


def _taken(edges: int, start: float, processor: float) -> dict:
    return {
        "edges": edges,
        "seconds": time.perf_counter() - start,
        "processor_s": time.process_time() - processor,
    }


def measure(folder: Path, size: int = SIZE) -> Iterator[RoadRow]:
    """Yield a row for each way, each in a process of its own with one thread."""
    path = write_streets(folder / f"streets_{size}.tif", size)
    out = folder / "roads.gpkg"
    out.unlink(missing_ok=True)
    outcome = call(by_geodl, threads=1, path=path, out=out)
    yield RoadRow(way="geodl", size=size, peak_gib=outcome.peak_gib, **outcome.value)
    if find_spec("sknw") is not None:
        outcome = call(by_whole_array, threads=1, path=path)
        yield RoadRow(way="skeletonize and sknw", size=size, peak_gib=outcome.peak_gib, **outcome.value)


if __name__ == "__main__":
    from tests.benchmarks import roads  # the processes look for its functions by this name

    for row in roads.measure(Path(sys.argv[1])):
        print(json.dumps(asdict(row)), flush=True)
