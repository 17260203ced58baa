"""What vectorization may cost: time as a ratio to GDAL's over the whole array, memory in GiB."""

import json
from dataclasses import asdict

import pytest

from tests.benchmarks.vectors import KINDS, contest, largest

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("kind", KINDS)
def test_strips_are_no_slower_than_the_whole_array(tmp_path, kind):
    rows = list(contest(tmp_path, kind))
    print(*(json.dumps(asdict(row)) for row in rows), sep="\n")
    ours = min(row.seconds for row in rows if row.way in ("geodl", "geodl again"))
    theirs = min(row.seconds for row in rows if row.way.startswith("whole array"))
    assert ours <= theirs
    assert len({row.features for row in rows if "min-area" not in row.way}) == 1


def test_a_million_houses_take_little_memory(tmp_path):
    row = largest(tmp_path)
    print(json.dumps(asdict(row)))
    assert row.features >= 1_000_000
    assert row.peak_gib <= 1.5
