"""Polygons of large maps: time beside that of GDAL over the whole array, and memory.

python -m tests.benchmarks.vectors FOLDER
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tests.benchmarks.process import call

KINDS = ("buildings", "landcover")
SIZE = 8192
LARGE = 32768
_TILE = 1024


@dataclass(frozen=True, kw_only=True)
class VectorRow:
    """What it takes to make and write a layer: seconds by the clock and of the processor, peak memory."""

    kind: str
    size: int
    way: str
    features: int
    seconds: float
    processor_s: float
    peak_gib: float


def write_map(path: Path, kind: str, size: int, seed: int = 0) -> Path:
    """Write a map of a kind: some tiles, turned and mirrored anew at each place.

    ``buildings``: on 8192 x 8192 pixels 50 000 houses of 4 to 30 pixels; ``dense buildings``: on 32768 x
    32768 pixels a million; ``landcover``: on 8192 x 8192 pixels 8 classes in some 200 000 polygons.
    """
    import rasterio
    from affine import Affine
    from rasterio.windows import Window

    rng = np.random.default_rng(seed)
    make = {"buildings": _houses, "dense buildings": partial(_houses, cell=31), "landcover": _cover}[kind]
    tiles = [make(rng) for _ in range(2)]
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "compress": "deflate"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "crs": "EPSG:32632"}
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    with rasterio.open(path, "w", width=size, height=size, transform=transform, **profile) as file:
        for row in range(0, size, _TILE):
            for column in range(0, size, _TILE):
                tile = np.rot90(tiles[rng.integers(2)], rng.integers(4))
                tile = tile[:, ::-1] if rng.random() < 0.5 else tile
                file.write(tile, 1, window=Window(column, row, _TILE, _TILE))
    return path


def _houses(rng: np.random.Generator, cell: int = 36) -> np.ndarray:
    tile = np.full((_TILE, _TILE), 255, np.uint8)
    for row in range(0, _TILE - cell, cell):
        for column in range(0, _TILE - cell, cell):
            height, width = rng.integers(4, 31, 2)
            y, x = row + rng.integers(0, cell - height), column + rng.integers(0, cell - width)
            tile[y : y + height, x : x + width] = 1
            if min(height, width) > 10:  # an L
                tile[y : y + height // 2, x : x + width // 2] = 255
    return tile


def _cover(rng: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    fields = [gaussian_filter(rng.standard_normal((_TILE, _TILE), np.float32), 10) for _ in range(8)]
    fields = [field + 0.02 * rng.standard_normal(field.shape, np.float32) * field.std() for field in fields]
    return np.argmax(fields, axis=0).astype(np.uint8)


def whole_array(raster: str, out: str) -> dict[str, float]:
    """Make a layer with `rasterio.features.shapes` over the whole array and pyogrio: no areas or names."""
    import geopandas
    import rasterio
    import rasterio.features
    from shapely.geometry import shape

    start = time.perf_counter(), time.process_time()
    with rasterio.open(raster) as file:
        pixels = file.read(1)
        shapes = rasterio.features.shapes(pixels, mask=pixels != file.nodata, transform=file.transform)
        rows = [(shape(geometry), int(value)) for geometry, value in shapes]
        geometry, values = zip(*rows, strict=True)
        frame = geopandas.GeoDataFrame({"class": values}, geometry=list(geometry), crs=file.crs)
    frame.to_file(out, driver="GPKG", engine="pyogrio")
    return _took(start, len(frame))


def strips(raster: str, out: str, **options: float) -> dict[str, float]:
    """Make a layer as ``geodl vectorize`` does."""
    from geodl.products import vectorize_file

    start = time.perf_counter(), time.process_time()
    count = vectorize_file(Path(raster), Path(out), task="landcover", confidence=None, **options)
    return _took(start, count)


def _took(start: tuple[float, float], features: int) -> dict[str, float]:
    seconds, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    return {"seconds": seconds, "processor_s": processor, "features": features}


def contest(folder: Path, kind: str, size: int = SIZE) -> Iterator[VectorRow]:
    """Make the layer of a map in both ways, each in a process of its own; and generalised ones."""
    raster = write_map(folder / f"{kind}.tif", kind, size)
    ways = {"whole array": (whole_array, {}), "geodl": (strips, {}), "geodl again": (strips, {})}
    ways["whole array again"] = (whole_array, {})
    if kind == "landcover":
        ways["geodl --simplify 1"] = (strips, {"simplify": 1.0})
        ways["geodl --simplify 1 --min-area 10"] = (strips, {"simplify": 1.0, "min_area": 10.0})
    for way, (function, options) in ways.items():
        yield _measured(function, raster, way, kind, size, **options)


def largest(folder: Path, size: int = LARGE, **options: float) -> VectorRow:
    """Make the layer of a map with a million houses."""
    raster = write_map(folder / "large.tif", "dense buildings", size)
    return _measured(strips, raster, "geodl", "dense buildings", size, **options)


def _measured(function, raster: Path, way: str, kind: str, size: int, **options: float) -> VectorRow:
    out = raster.with_name("layer.gpkg")
    outcome = call(function, threads=2, raster=raster, out=out, **options)
    out.unlink()
    return VectorRow(kind=kind, size=size, way=way, peak_gib=outcome.peak_gib, **outcome.value)


def _main(folder: Path) -> None:
    for kind in KINDS:
        for row in contest(folder, kind):
            print(json.dumps(asdict(row)), flush=True)
    print(json.dumps(asdict(largest(folder))))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
