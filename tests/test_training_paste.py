"""Changes made by putting pieces of one part of a scene into another."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from geodl.assess.labels import IGNORE
from geodl.training.augment import blur
from geodl.training.paste import paste_changes, pieces
from geodl.training.recipe import Recipe

UNCHANGED, CHANGED = 0, 1
SIDE = 64


def generator(seed):
    return torch.Generator().manual_seed(seed)


def pair(level, seed):
    """Two dates of two bands that differ by a little noise; float32 (4, SIDE, SIDE)."""
    return level + 0.05 * torch.randn(4, SIDE, SIDE, generator=generator(seed))


def still():
    return torch.full((SIDE, SIDE), UNCHANGED)


everywhere = torch.ones(SIDE, SIDE, dtype=torch.bool)


@given(st.integers(0, 2**32))
def test_pieces_are_rectangles_of_the_sizes_that_are_named(seed):
    drawn = pieces(SIDE, SIDE, generator(seed)).numpy()
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    assert drawn.sum() <= 6 * 30 * 30
    assert ndimage.label(drawn, np.ones((3, 3)))[1] <= 6


def test_soft_edges_are_those_of_a_gaussian():
    mask = pieces(SIDE, SIDE, generator(2))
    wanted = ndimage.gaussian_filter(mask.numpy(), 0.6, mode="mirror", truncate=2 / 0.6)
    torch.testing.assert_close(blur(mask[None], 0.6)[0], torch.from_numpy(wanted), atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_put_in_has_changed_and_only_the_later_date_shows_it(seed):
    image, other = pair(0.0, 1), pair(3.0, 2)
    found, labels = paste_changes(image, still(), other, everywhere, CHANGED, generator(seed))
    share = blur(pieces(SIDE, SIDE, generator(seed))[None], 0.6)[0]
    assert torch.equal(found[:2], image[:2])
    assert torch.equal(found[2:][:, share == 0], image[2:][:, share == 0])
    inside = share > 0.999
    torch.testing.assert_close(found[2:][:, inside], other[2:][:, inside], atol=0.01, rtol=0)
    assert (labels[inside] == CHANGED).all()
    assert (labels[share == 0] == UNCHANGED).all()
    assert (labels[(share > 0.1) & (share < 0.5)] == IGNORE).all(), "an edge is neither"


def test_a_wood_in_a_wood_is_no_change_and_not_called_unchanged_either():
    _, labels = paste_changes(pair(1.0, 1), still(), pair(1.0, 2), everywhere, CHANGED, generator(0))
    assert set(labels.unique().tolist()) == {UNCHANGED, IGNORE}


def test_what_was_changed_or_unknown_or_has_no_data_remains_so():
    labels, usable = still(), everywhere.clone()
    labels[:20], labels[20:40] = CHANGED, IGNORE
    usable[40:] = False
    found, codes = paste_changes(pair(0.0, 1), labels, pair(3.0, 2), usable, CHANGED, generator(0))
    assert torch.equal(codes, labels)
    assert torch.equal(found[:, 40:], pair(0.0, 1)[:, 40:])


def recipe(**changes):
    classes = [{"value": v, "name": f"n{v}", "color": f"#0000{v:02d}"} for v in changes.pop("values", (0, 1))]
    return Recipe.model_validate(
        {
            "name": "paste",
            "task": "change",
            "bands": ["before.red", "after.red"],
            "units": "z_score",
            "classes": classes,
            "sources": [{"scenes": "a*.tif", "after": "b{*}.tif", "labels": "c{*}.tif", "paste": 0.5}],
            **changes,
        }
    )


def test_kinds_of_change_cannot_be_pasted():
    assert recipe().sources[0].paste == 0.5
    with pytest.raises(ValidationError, match="`paste` cannot tell kinds of change"):
        recipe(values=(0, 1, 2))
    with pytest.raises(ValidationError, match="`paste` needs two dates"):
        recipe(task="landcover", bands=["red"], sources=[{"scenes": "a.tif", "labels": "b.tif", "paste": 1}])
