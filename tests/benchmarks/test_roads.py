"""What a road network may cost: memory that grows with the network alone."""

import json
from dataclasses import asdict

import pytest

from tests.benchmarks.roads import measure

pytestmark = pytest.mark.benchmark


def test_four_times_the_raster_takes_little_more_memory(tmp_path):
    small, large = (next(measure(tmp_path, size)) for size in (4096, 8192))
    print(*(json.dumps(asdict(row)) for row in (small, large)), sep="\n")
    assert large.edges > 3.5 * small.edges
    assert large.peak_gib <= 1.0
    assert large.peak_gib - small.peak_gib <= 0.25
