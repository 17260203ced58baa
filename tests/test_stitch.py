import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl import stitch
from geodl.tiles import Lattice

lattices = st.builds(
    lambda height, width, rows, cols, halo, phase: Lattice(
        height, width, (rows, cols), halo, (phase % rows, phase % cols)
    ),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    rows=st.integers(2, 24),
    cols=st.integers(2, 24),
    halo=st.integers(0, 20),
    phase=st.integers(0, 30),
)


def all_weights(lattice, side):
    """Sum of blend weights per pixel, gathered block by block."""
    total = np.zeros((lattice.height, lattice.width))
    smallest = np.inf
    for block in lattice.split(lattice.everything, side, side):
        for tile in lattice.cells_of(block, stitch.neighbours(lattice)):
            part = lattice.tile_window(*tile).intersect(block.window)
            if part.height and part.width:
                weights = stitch.blend_weights(lattice, *tile, part)
                smallest = min(smallest, weights.min())
                total[part.slices] += weights
    return total, smallest


@given(lattice=lattices, side=st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_blend_weights_are_positive_and_sum_to_one(lattice, side):
    total, smallest = all_weights(lattice, side)
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert smallest > 0


@given(lattice=lattices, sides=st.tuples(st.integers(1, 5), st.integers(1, 5)), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_blend_does_not_depend_on_blocks(lattice, sides, seed):
    def tile_scores(row, col):
        return np.random.default_rng([seed, row, col]).random((2, *lattice.tile), np.float32)

    def run(side):
        out = np.zeros((2, lattice.height, lattice.width), np.float32)
        for block in lattice.split(lattice.everything, side, side):
            blend = stitch.Blend(lattice, block, 2)
            for tile in lattice.cells_of(block, stitch.neighbours(lattice)):
                blend.add(*tile, tile_scores(*tile))
            out[(slice(None), *block.window.slices)] = blend.scores
        return out

    assert run(sides[0]).tobytes() == run(sides[1]).tobytes()


@given(lattice=lattices)
@settings(deadline=None, max_examples=40)
def test_blending_pieces_of_one_image_gives_the_image(lattice):
    margin = max(lattice.tile)
    image = np.random.default_rng(0).random((1, lattice.height + 3 * margin, lattice.width + 3 * margin))
    block = lattice.everything
    blend = stitch.Blend(lattice, block, 1)
    for tile in lattice.cells_of(block):
        window = lattice.tile_window(*tile)
        seen = image[:, window.row + margin :, window.col + margin :]
        blend.add(*tile, seen[:, : lattice.tile[0], : lattice.tile[1]])
    expected = image[:, margin : margin + lattice.height, margin : margin + lattice.width]
    np.testing.assert_allclose(blend.scores, expected, atol=1e-5)
