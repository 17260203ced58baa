import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from geodl.training.split import block_counts, choose_blocks, near_blocks


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(3)
    coarse = rng.choice(3, (9, 11), p=[0.6, 0.3, 0.1]).astype(np.uint8)
    labels = np.kron(coarse, np.ones((23, 21), np.uint8))[:201, :228]
    labels[:40, :30] = 255
    return labels


def test_counts_by_block(labels):
    counts = block_counts(labels, 32, 3)
    assert counts.shape == (7, 8, 3)
    assert counts.sum() == (labels != 255).sum()
    np.testing.assert_array_equal(counts[2, 3], np.bincount(labels[64:96, 96:128].ravel(), minlength=3))


@pytest.mark.parametrize("seed", [0, 1])
def test_both_parts_hold_every_class_in_proportion(labels, seed):
    counts = block_counts(labels, 16, 3)
    chosen = choose_blocks(counts, 0.25, seed)
    np.testing.assert_array_equal(chosen, choose_blocks(counts, 0.25, seed))
    share = counts[chosen].sum(axis=0) / counts.sum(axis=(0, 1))
    np.testing.assert_allclose(share, 0.25, atol=0.05)
    assert not chosen[counts.sum(axis=-1) == 0].any()


def test_too_few_blocks_choose_none():
    assert not choose_blocks(np.array([[[5, 5], [0, 0]]]), 0.5, 0).any()
    assert choose_blocks(np.array([[[5, 5], [5, 5]]]), 0.01, 0).sum() == 1


@pytest.mark.parametrize("gap", [0, 5, 40])
def test_the_margin_is_exactly_the_gap_wide(gap):
    chosen = np.zeros((7, 8), dtype=bool)
    chosen[1, 2] = chosen[6, 7] = True
    inside = near_blocks(chosen, 32, 0, slice(0, 201), 228)
    near = near_blocks(chosen, 32, gap, slice(0, 201), 228)
    assert inside.sum() == 32 * 32 + (201 - 192) * (228 - 224)
    np.testing.assert_array_equal(near, maximum_filter(inside, size=2 * gap + 1))
    parts = [near_blocks(chosen, 32, gap, slice(r, min(201, r + 50)), 228) for r in range(0, 201, 50)]
    np.testing.assert_array_equal(np.concatenate(parts), near)
