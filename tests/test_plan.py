import pytest

from geodl.errors import OptionError
from geodl.plan import block_bytes, block_side, parse_bytes
from geodl.predict import DEFAULT_BLOCK, make_job
from geodl.scene import open_scene


@pytest.fixture
def job(scene_file, tiny_model):
    return make_job(open_scene(scene_file), tiny_model)


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


def test_more_memory_never_makes_smaller_blocks(job):
    sides = [block_side(job, None, memory, 3) for memory in ("8GB", "9GB", "16GB", "64GB")]
    assert sides == sorted(sides)
    assert all(side % job.lattice.core == 0 for side in sides)


def test_without_a_budget_the_default_is_taken(job):
    assert block_side(job, None, None, 3) == DEFAULT_BLOCK
    assert block_side(job, 777, None, 3) == 777


def test_too_little_memory_is_refused_with_what_would_do(job):
    with pytest.raises(OptionError, match=r"--memory 10MB: model tiny needs \d\.\d GB"):
        block_side(job, None, "10MB", 3)


def test_blocks_need_more_the_larger_they_are(job):
    assert block_bytes(job, 200) > block_bytes(job, 100) > 100 * 100


def test_a_budget_never_makes_blocks_larger_than_asked_for(job):
    assert block_side(job, 100, "64GB", 3) <= 100
    assert block_side(job, 1, "64GB", 3) == job.lattice.core
