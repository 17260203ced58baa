"""Time and memory of `geodl predict`, as ratios against bounds measured in the same run.

python -m pytest -m benchmark -s tests/benchmarks
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from geodl.models.bundle import load_model
from geodl.tiles import Lattice

pytestmark = pytest.mark.benchmark

MODEL = "landcover-s2"
# The tests compute with one thread (see conftest); here every core takes part.
ALL_CORES = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def big_scene(path, side, bands):
    """A tiled DEFLATE scene of smooth patterns and noise, written block by block."""
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff", "height": side, "width": side, "count": bands, "dtype": "uint16", "nodata": 0,
        "crs": "EPSG:32632", "transform": Affine(10, 0, 6e5, 0, -10, 5.2e6), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1, "predictor": 2,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.descriptions = ("blue", "green", "red", "nir", "swir1", "swir2")[:bands]
        file.scales, file.offsets = (0.0001,) * bands, (0.0,) * bands
        for band in range(1, bands + 1):
            file.set_band_unit(band, "reflectance")
        for row in range(0, side, 1024):
            y, x = np.mgrid[row : row + 1024, :side].astype("float32")
            base = 1500 + 700 * np.sin(x / 190) * np.cos(y / 230) + 300 * np.sin((x + y) / 37)
            for band in range(bands):
                noise = rng.normal(0, 60, base.shape).astype("float32")
                pixels = (base * (1 + 0.2 * band * np.sin(x / 701)) + noise).clip(1, 9000).astype("uint16")
                file.write(pixels, band + 1, window=Window(0, row, side, 1024))
    return path


def run_predict(scene, out):
    """Run the command line; return wall seconds and the peak resident memory of its process in GiB."""
    arguments = ["predict", str(scene), "--model", MODEL, "--out", str(out)]
    code = (
        "import re; from pathlib import Path; from geodl.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        # Not ru_maxrss: that of a new process begins with what its parent held.
        "print('PEAK', re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ALL_CORES
    )
    return time.monotonic() - start, int(done.stdout.split("PEAK")[1]) / 1024**2


def bare_forward(tiles):
    """Seconds for so many forward passes of one tile, in a process that does nothing else."""
    code = f"""
import time, torch
from geodl.heap import keep_heap
from geodl.models.bundle import load_model
keep_heap()
model = load_model({MODEL!r})
network = model.network().to(memory_format=torch.channels_last)
spec = model.spec
inputs = torch.rand(1, len(spec.bands), spec.tile, spec.tile).contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    network(inputs)
    start = time.perf_counter()
    for _ in range({tiles}):
        network(inputs)
print(time.perf_counter() - start)
"""
    return float(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ALL_CORES
        ).stdout
    )


def test_predict_is_flat_in_memory_and_near_the_bare_forward(tmp_path):
    spec = load_model(MODEL).spec
    rows = []
    for side in (4096, 8192):
        scene = big_scene(tmp_path / f"s{side}.tif", side, len(spec.bands))
        shape = Lattice(side, side, spec.tile, spec.halo).shape
        # Before and after: the speed of a shared machine drifts.
        before = bare_forward(shape[0] * shape[1])
        wall, peak = run_predict(scene, tmp_path / "out")
        bare = (before + bare_forward(shape[0] * shape[1])) / 2
        rows.append({"side": side, "wall_s": wall, "bare_s": bare, "ratio": wall / bare, "peak_gib": peak})
        print(json.dumps(rows[-1]))
    assert rows[1]["peak_gib"] < 2.5
    assert rows[1]["peak_gib"] < 1.1 * rows[0]["peak_gib"]
    assert rows[1]["ratio"] <= 1.3


def test_help_is_quick():
    def seconds(*command):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], capture_output=True, check=True)
        return time.perf_counter() - start

    bare = min(seconds("-c", "pass") for _ in range(5))
    took = min(seconds("-m", "geodl", "--help") for _ in range(5))
    print(json.dumps({"bare_python_s": bare, "geodl_help_s": took}))
    assert took < 0.5
