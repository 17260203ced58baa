import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.tiles import CHUNK, Lattice, Window, reflect

lattices = st.builds(
    lambda height, width, rows, cols, halo, phase: Lattice(
        height, width, (rows, cols), halo, (phase % rows, phase % cols)
    ),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    rows=st.integers(1, 40),
    cols=st.integers(1, 40),
    halo=st.integers(0, 20),
    phase=st.integers(0, 50),
)


@given(lattice=lattices, side=st.integers(1, 9))
def test_cores_and_blocks_partition_the_scene(lattice, side):
    by_core = np.zeros((lattice.height, lattice.width), int)
    by_block = by_core.copy()
    for block in lattice.split(lattice.everything, side, side):
        by_block[block.window.slices] += 1
        for tile in lattice.cells_of(block):
            core = lattice.core_window(*tile)
            assert core.intersect(block.window) == core
            by_core[core.slices] += 1
    assert (by_core == 1).all()
    assert (by_block == 1).all()


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    core=st.integers(1, 1200),
    side=st.integers(1, 4000),
)
def test_blocks_hold_whole_chunks_and_keep_to_their_side(height, width, core, side):
    lattice = Lattice(height, width, (core, core), 3).grouped(CHUNK)
    chunk = lattice.chunk[0] * core
    assert min(core, CHUNK) <= chunk <= max(core, CHUNK)
    for block in lattice.blocks(side):
        assert block.window.height <= max(side, chunk)
        assert block.window.row % chunk == 0
        assert block.window.col % chunk == 0


@given(lattice=lattices)
def test_tiles_have_one_shape_and_origins_on_the_core(lattice):
    rows, cols = lattice.shape
    for row in range(rows):
        for col in range(cols):
            tile = lattice.tile_window(row, col)
            assert (tile.height, tile.width) == lattice.tile
            assert (tile.row + lattice.halo + lattice.phase[0]) % lattice.core[0] == 0
            core = lattice.core_window(row, col)
            assert core.height > 0
            assert core.intersect(tile) == core


@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    largest=st.integers(1, 60),
    stride=st.integers(1, 32),
)
def test_even_cells_are_as_few_as_can_be_and_waste_little(height, width, largest, stride):
    lattice = Lattice.even(
        height, width, core=(largest * stride, largest * stride), halo=stride, stride=stride
    )
    for length, core, count in zip((height, width), lattice.core, lattice.shape, strict=True):
        assert core % stride == 0
        assert core <= largest * stride
        assert count == -(-length // (largest * stride))
        assert count * core - length < count * stride


@given(start=st.integers(-50, 50), length=st.integers(0, 60), size=st.integers(1, 20))
def test_reflection_is_that_of_numpy(start, length, size):
    before, after = max(0, -start), max(0, start + length - size)
    padded = np.pad(np.arange(size), (before, after), mode="reflect" if size > 1 else "edge")
    np.testing.assert_array_equal(reflect(start, start + length, size), padded[start + before :][:length])


@pytest.mark.parametrize(("height", "core", "halo"), [(0, 8, 1), (5, 0, 4), (5, 8, -1)])
def test_impossible_lattice_fails(height, core, halo):
    with pytest.raises(ValueError, match="no lattice"):
        Lattice(height, 10, (core, core), halo)


def test_windows_intersect_as_their_pixels_do():
    one, other = Window(0, 0, 5, 5), Window(7, 7, 2, 2)
    assert one.intersect(other).height == 0
    assert Window(2, 3, 4, 5).relative_to(Window(1, 1, 9, 9)) == Window(1, 2, 4, 5)


@given(lattice=lattices, side=st.integers(1, 9), group=st.integers(1, 60), seed=st.integers(0, 99))
def test_what_is_left_of_blocks_is_exactly_what_is_not_done(lattice, side, group, seed):
    lattice = lattice.grouped(group)
    rng = np.random.default_rng(seed)
    chunks = lattice.chunks_of(lattice.everything)
    positions = [lattice.chunk_of(chunk.cells[0], chunk.cells[2]) for chunk in chunks]
    assert len(set(positions)) == len(positions)
    done = {position for position in positions if rng.random() < 0.7}
    left = []
    for block in lattice.split(lattice.everything, side * lattice.chunk[0], side * lattice.chunk[1]):
        for rest in lattice.left_of(block, done):
            assert rest.window.intersect(block.window) == rest.window
            left += [lattice.chunk_of(c.cells[0], c.cells[2]) for c in lattice.chunks_of(rest)]
    assert sorted(left) == sorted(set(positions) - done)


def test_what_nothing_is_done_of_stays_one_block():
    lattice = Lattice(100, 50, (10, 10), 2)
    assert lattice.left_of(lattice.everything, set()) == [lattice.everything]
    assert [b.cells for b in lattice.left_of(lattice.everything, {(0, 0), (4, 1)})] == [
        (0, 1, 1, 5), (1, 4, 0, 5), (4, 5, 0, 1), (4, 5, 2, 5), (5, 10, 0, 5),
    ]  # fmt: skip
