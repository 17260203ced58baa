"""Memory of an assessment does not depend on the size of the map; windows are bounded."""

from importlib import import_module

import numpy as np
import pytest
import rasterio
from affine import Affine

from geodl.assess.classmap import ClassMap
from geodl.assess.compare import assess
from geodl.survey.sample import Plan, sample_map
from tests.benchmarks.process import call


def write_map(path, size, values):
    """A large tiled map, written by rows of tiles: no test holds it whole either."""
    rng = np.random.default_rng(0)
    tile = np.kron(rng.choice(values, (8, size // 64)), np.ones((64, 64))).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=size, width=size, dtype="uint8", nodata=255, tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", crs="EPSG:32632",
        transform=Affine(10, 0, 300_000, 0, -10, 5_200_000),
    ) as file:  # fmt: skip
        for row in range(0, size, 512):
            file.write(np.roll(tile, row // 512, axis=1), 1, window=((row, row + 512), (0, size)))
    return path


def run_assess(map_file, reference):
    return assess(map_file, reference, boundary="3px").accuracy.pixels


def run_sample(map_file, out):
    return sum(sample_map(map_file, out, Plan(points=1000)).points)


def test_no_read_is_larger_than_a_window(tmp_path, monkeypatch):
    path = write_map(tmp_path / "m.tif", 1024, [1, 2])
    sizes = []
    read = ClassMap.read

    def watched(self, window):
        sizes.append(window.height * window.width)
        return read(self, window)

    monkeypatch.setattr(ClassMap, "read", watched)
    monkeypatch.setattr(import_module("geodl.assess.compare"), "_SIDE", 256)
    monkeypatch.setattr("geodl.survey.strata._PIXELS", 256**2)
    assess(path, path)
    sample_map(path, tmp_path / "p.gpkg", Plan(points=50))
    assert max(sizes) == 256**2
    assert sum(sizes) == 3 * 1024**2


@pytest.mark.slow
@pytest.mark.parametrize("command", [run_assess, run_sample])
def test_memory_is_flat(tmp_path, command):
    peaks = []
    for size in (4096, 20480):
        path = write_map(tmp_path / f"{size}.tif", size, [1, 2, 3])
        other = {"reference": path} if command is run_assess else {"out": tmp_path / f"{size}.gpkg"}
        outcome = call(command, threads=1, map_file=path, **other)
        assert outcome.value == (size**2 if command is run_assess else 1000)
        peaks.append(outcome.peak_gib)
    assert peaks[1] - peaks[0] < 0.15  # the larger map has 0.4 GiB, and each float64 of it 3.1 GiB
