"""What a run may cost at the most, as ratios against bounds measured beside it.

python -m pytest -m benchmark -s tests/benchmarks

`tests.benchmarks.engine` prints the whole table; here are the rows that carry a promise.
"""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.benchmarks.contest import Case, Effort, contest, geodl_contenders
from tests.benchmarks.engine import TILE
from tests.benchmarks.flat import LAYOUTS, SIZES, measure_flatness, measure_tall
from tests.benchmarks.networks import save_network
from tests.benchmarks.scenes import write_scene

pytestmark = pytest.mark.benchmark

THREADS = os.cpu_count() or 1
EXACT = 1e-4  # share of classes that may differ from the map of the network that sees the whole scene


@pytest.fixture
def measure(tmp_path):
    def measure(network, mode, precision, size):
        case = Case(
            network=network,
            precision=precision,
            layout="tiled",
            size=size,
            scene=write_scene(tmp_path / "scene.tif", size),
            model=save_network(tmp_path / network, network),
            folder=tmp_path,
        )
        (row,) = contest(case, geodl_contenders([mode], TILE), Effort(threads=THREADS, commands=False))
        print(json.dumps(row.as_json()))
        return row

    return measure


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", ["unet_compact", "unet_resnet18"])
def test_a_stream_costs_one_pass(measure, network, precision):
    row = measure(network, "stream", precision, 4096)
    assert row.again_ratio <= 1.15
    assert row.peak_gib <= 1.5
    if precision == "fp32":
        assert row.flips <= EXACT
        assert row.difference <= 1e-3


@pytest.mark.parametrize(("network", "halos"), [("unet_compact", 1.4), ("unet_resnet18", 2.0)])
def test_tiles_cost_little_more_than_their_passes(measure, network, halos):
    row = measure(network, "tiles", "fp32", 4096)
    assert row.tiles_ratio <= 1.15
    assert row.again_ratio <= halos
    assert row.flips <= EXACT
    assert row.difference <= 1e-3


def test_of_a_cheap_network_the_pipeline_costs_little_more_than_its_parts(measure):
    assert measure("three_layers", "stream", "fp32", 8192).total_ratio <= 1.3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_is_flat(tmp_path, layout):
    small, large = measure_flatness(tmp_path, threads=THREADS, sizes=SIZES, layouts=[layout])
    print(json.dumps([small.as_json(), large.as_json()]))
    assert large.peak_gib <= 1.1 * small.peak_gib


def test_memory_does_not_grow_with_the_height(tmp_path):
    small, large = measure_tall(tmp_path, threads=THREADS, networks=["unet_compact"], precisions=["bf16"])
    print(json.dumps([small.as_json(), large.as_json()]))
    assert large.peak_gib <= 1.1 * small.peak_gib


def test_help_is_quick():
    def seconds(*command):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], capture_output=True, check=True)
        return time.perf_counter() - start

    bare = min(seconds("-c", "pass") for _ in range(5))
    took = min(seconds("-m", "geodl", "--help") for _ in range(5))
    print(json.dumps({"bare_python_s": bare, "geodl_help_s": took}))
    assert took < 0.5
