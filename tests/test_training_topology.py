"""The loss of centrelines: skeletons that are known, gaps that cost, pixels that do not count."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.morphology import skeletonize

from geodl.training.losses import make_loss
from geodl.training.recipe import Optimisation
from geodl.training.topology import centreline_dice, skeleton

EVEN = torch.ones(2)


def scores(mask):
    """Logits that are certain of a bool mask (y, x)."""
    return 20 * F.one_hot(mask.long(), 2).movedim(-1, 0).float()[None] - 10


def bar(side=33, width=7):
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[(side - width) // 2 : (side + width) // 2] = True
    return mask


def test_the_skeleton_of_a_bar_is_its_middle_row():
    found = skeleton(bar()[None, None].float(), 10)[0, 0]
    expected = torch.zeros(33, 33)
    expected[16] = 1
    torch.testing.assert_close(found, expected)


def test_the_skeleton_of_a_line_is_the_line_and_of_nothing_is_nothing():
    line = torch.eye(20)[None, None]
    torch.testing.assert_close(skeleton(line, 3), line)
    assert not skeleton(torch.zeros(1, 1, 9, 9), 3).any()


def test_skeletons_lie_on_those_of_scikit_image():
    mask = torch.zeros(60, 60, dtype=torch.bool)
    mask[10:17] = True
    mask[:, 40:45] = True
    found = skeleton(mask[None, None].float(), 10)[0, 0].numpy() > 0.5
    thin = skeletonize(mask.numpy())
    near = torch.from_numpy(thin[None, None].astype(np.float32))
    near = F.max_pool2d(near, 3, 1, 1)[0, 0].numpy() > 0
    inner = np.s_[5:-5, 5:-5]  # at the border the other one tapers
    assert near[inner][found[inner]].all()
    assert found[inner].sum() > 0.8 * thin[inner].sum()


def test_a_right_map_is_free_and_a_gap_is_dear():
    truth = bar(65, 7)
    gap = truth.clone()
    gap[:, 30:34] = False
    thin = bar(65, 5)  # four times as many pixels wrong as by the gap, but nothing is cut
    labels = truth.long()[None]
    right, cut, narrow = (float(centreline_dice(scores(mask), labels, EVEN)) for mask in (truth, gap, thin))
    assert right == pytest.approx(0, abs=1e-3)
    assert narrow == pytest.approx(0, abs=1e-3)
    assert cut > 0.02


def test_by_hand():
    """Half the road is drawn, and nothing else: precision 1, sensitivity 1/2, Dice 2/3."""
    truth = bar(40, 5)
    half = truth.clone()
    half[:, 20:] = False
    value = float(centreline_dice(scores(half), truth.long()[None], EVEN))
    assert value == pytest.approx(1 / 3, abs=0.02)


def test_ignored_pixels_cost_and_teach_nothing():
    labels = bar().long()[None]
    labels[:, :, 20:] = 255
    logits = torch.randn(1, 2, 33, 33, generator=torch.Generator().manual_seed(1))
    changed = torch.where((labels == 255)[:, None], 5.0, logits).requires_grad_()
    value = centreline_dice(changed, labels, EVEN)
    assert value.item() == pytest.approx(float(centreline_dice(logits, labels, EVEN)), rel=1e-6)
    value.backward()
    assert (changed.grad.movedim(1, -1)[labels == 255] == 0).all()
    assert (changed.grad.movedim(1, -1)[labels != 255] != 0).any()


def test_without_roads_it_costs_nothing_and_has_a_gradient():
    for labels in (torch.full((1, 9, 9), 255), torch.zeros(1, 9, 9, dtype=torch.int64)):
        logits = torch.randn(1, 2, 9, 9, requires_grad=True)
        value = make_loss({"cldice": 1.0}, EVEN)(logits, labels)
        assert value.item() == 0
        value.backward()
        assert (logits.grad == 0).all()


def test_the_mean_is_over_the_classes_that_occur_by_their_weights():
    labels = bar(33, 7).long()[None]
    labels[:, :, 16:][labels[:, :, 16:] == 1] = 2
    logits = torch.randn(1, 4, 33, 33, generator=torch.Generator().manual_seed(2))

    def value(*weights):
        return float(centreline_dice(logits, labels, torch.tensor(weights)))

    first, second = value(1.0, 1, 0, 0), value(1.0, 0, 1, 0)
    assert first != pytest.approx(second)
    assert value(9.0, 1, 3, 7) == pytest.approx((first + 3 * second) / 4)  # class 3 does not occur


def test_it_is_a_loss_by_name_in_sums():
    settings = Optimisation(loss={"cross_entropy": 1, "cldice": 0.3})
    labels = bar().long()[None]
    logits = torch.randn(1, 2, 33, 33, generator=torch.Generator().manual_seed(3))
    parts = [float(make_loss({name: 1.0}, EVEN)(logits, labels)) for name in ("cross_entropy", "cldice")]
    assert float(make_loss(settings.losses, EVEN)(logits, labels)) == pytest.approx(parts[0] + 0.3 * parts[1])


def test_learning_by_it_closes_a_gap():
    truth = bar(33, 5)
    start = truth.clone()
    start[:, 14:19] = False
    logits = (scores(start) / 5).requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(40):
        optimiser.zero_grad()
        centreline_dice(logits, truth.long()[None], EVEN).backward()
        optimiser.step()
    assert (logits.detach().argmax(1)[0, 16] == 1).all()
