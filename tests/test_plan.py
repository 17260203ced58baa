import pytest

from geodl import plan
from geodl.errors import OptionError
from geodl.plan import make_plan, parse_bytes, time_block
from geodl.predict import make_job
from geodl.scene import open_scene
from tests.conftest import write_scene


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return open_scene(write_scene(tmp_path_factory.mktemp("wide") / "wide.tif", 700, 2600))


@pytest.fixture(params=[None, 96], ids=["stream", "tiles"])
def job(request, wide, tiny_model):
    return make_job(wide, tiny_model, tile=request.param)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4GB", 4_000_000_000), ("512 MiB", 512 * 2**20), ("1e9", 10**9), ("2g", 2 * 10**9), ("100b", 100)],
)
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "1.2.3GB", "4 XB"])
def test_no_sizes(text):
    with pytest.raises(OptionError, match="write for instance 4GB"):
        parse_bytes(text)


def test_blocks_partition_the_scene(job):
    for options in ({}, {"block": 512}, {"workers": 4}, {"memory": "9GB"}):
        blocks = make_plan(job, **options).blocks
        assert sum(block.window.height * block.window.width for block in blocks) == 700 * 2600


def test_a_block_has_the_rows_asked_for(job):
    chunk = job.lattice.core[0] * job.lattice.chunk[0]
    assert all(block.window.height <= max(600, chunk) for block in make_plan(job, block=600).blocks)


def test_every_worker_gets_some_blocks(job):
    assert len(make_plan(job, workers=2).blocks) >= len(make_plan(job).blocks)


def test_less_memory_never_makes_wider_blocks(wide, tiny_model, monkeypatch):
    monkeypatch.setattr(plan, "memory_of_network", lambda job: 0)
    monkeypatch.setattr(plan, "RESERVE", 0)
    job = make_job(wide, tiny_model, tile=96)
    widths = [
        max(block.window.width for block in make_plan(job, memory=memory).blocks)
        for memory in ("12MB", "16MB", "100MB", "1GB")
    ]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1] == 2600
    for memory in ("12MB", "16MB"):
        assert make_plan(job, memory=memory).memory <= parse_bytes(memory)


def test_too_little_memory_is_refused_with_what_would_do(job):
    with pytest.raises(OptionError, match=r"--memory 10MB: model tiny needs \d\.\d GB.*--tile"):
        make_plan(job, memory="10MB")


def test_the_time_of_a_run_is_told_from_a_part_of_it(job):
    blocks = make_plan(job).blocks
    assert 0 < time_block(job, blocks) < 600
