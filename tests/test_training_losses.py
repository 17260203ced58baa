"""Losses against hand-computed values and other libraries; schedules; what the optimiser is given."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import RecipeError
from geodl.training.losses import LOSSES, cross_entropy, make_loss
from geodl.training.optimisers import freeze, make_optimiser, of_encoder
from geodl.training.recipe import Optimisation
from geodl.training.schedules import checks_since_best, learning_rate

EVEN = torch.ones(3)
ALL = ["cross_entropy", *LOSSES]


def batch(seed=0, classes=3, side=6):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, side, side, generator=generator)
    labels = torch.randint(classes, (2, side, side), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.3] = 255
    return logits, labels


def known(logits, labels):
    kept = (labels != 255).numpy()
    return torch.softmax(logits, 1).numpy().transpose(0, 2, 3, 1)[kept].astype(np.float64), labels.numpy()[
        kept
    ]


def by_hand(name, p, codes):
    """The loss in plain numpy: p (pixels, classes) from the softmax, all classes alike."""
    hot = np.eye(p.shape[1])[codes]
    true, both, mapped = hot.sum(0), (hot * p).sum(0), p.sum(0)
    if name == "dice":
        return (1 - 2 * both / (true + mapped)).mean()
    if name == "jaccard":
        return (1 - both / (true + mapped - both)).mean()
    if name == "tversky":
        return (1 - both / (both + 0.3 * (mapped - both) + 0.7 * (true - both))).mean()
    if name == "cross_entropy":
        return -np.log((p * hot).sum(1)).mean()
    assert name == "lovasz"
    total = []
    for c in range(p.shape[1]):
        errors = np.abs(hot[:, c] - p[:, c])
        order = np.argsort(-errors)
        jaccard = [0.0]
        for k in range(1, len(order) + 1):  # the Jaccard loss with the k worst pixels wrong
            wrong = np.zeros(len(order), bool)
            wrong[order[:k]] = True
            is_true = hot[:, c] > 0
            mapped_true = is_true ^ wrong
            jaccard.append(1 - (is_true & mapped_true).sum() / (is_true | mapped_true).sum())
        total.append((errors[order] * np.diff(jaccard)).sum())
    return np.mean(total)


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "jaccard", "tversky", "lovasz"])
def test_losses_equal_those_by_hand_over_the_labelled_pixels(name):
    logits, labels = batch()
    assert float(make_loss({name: 1.0}, EVEN)(logits, labels)) == pytest.approx(
        by_hand(name, *known(logits, labels)), rel=1e-5
    )


def test_bce_and_focal_are_each_class_against_the_rest():
    logits, labels = batch()
    kept = (labels != 255).numpy()
    x = logits.numpy().transpose(0, 2, 3, 1)[kept].astype(np.float64)
    hot = np.eye(3)[labels.numpy()[kept]]
    p = 1 / (1 + np.exp(-x))
    right = np.where(hot > 0, p, 1 - p)
    assert float(make_loss({"bce": 1}, EVEN)(logits, labels)) == pytest.approx(
        -np.log(right).mean(), rel=1e-5
    )
    focal = (-((1 - right) ** 2) * np.log(right)).mean()
    assert float(make_loss({"focal": 1}, EVEN)(logits, labels)) == pytest.approx(focal, rel=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_ignored_pixels_cost_and_teach_nothing(name):
    logits, labels = batch()
    loss = make_loss({name: 1.0}, EVEN)
    changed = torch.where((labels == 255)[:, None], 7.0, logits).requires_grad_()
    value = loss(changed, labels)
    assert value.item() == pytest.approx(float(loss(logits, labels)), rel=1e-6)
    value.backward()
    assert (changed.grad.movedim(1, -1)[labels == 255] == 0).all()
    assert (changed.grad.movedim(1, -1)[labels != 255] != 0).any()


@pytest.mark.parametrize("name", ALL)
def test_a_batch_without_labels_costs_nothing_and_has_a_gradient(name):
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = make_loss({name: 1.0}, EVEN)(logits, torch.full((1, 4, 4), 255))
    assert value.item() == 0
    value.backward()
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_certain_and_right_is_cheap_and_wrong_is_dear(name):
    _, labels = batch()
    right = 20 * F.one_hot(labels.clamp(max=2), 3).movedim(-1, 1).float() - 10
    loss = make_loss({name: 1.0}, EVEN)
    assert float(loss(right, labels)) < 0.01
    assert float(loss(right.roll(1, dims=1), labels)) > 0.5


@pytest.mark.parametrize("name", ALL)
def test_class_weights_count(name):
    """A class of weight 0 costs nothing however it is predicted."""
    logits, labels = batch()
    labels[labels == 2] = 255
    weights = torch.tensor([1.0, 0.0, 1.0])
    of_first = make_loss({name: 1.0}, torch.tensor([1.0, 0.0, 0.0]))(logits, labels)
    both = make_loss({name: 1.0}, EVEN)(logits, labels)
    weighted = make_loss({name: 1.0}, weights)(logits, labels)
    assert float(weighted) != pytest.approx(float(both))
    if name in ("dice", "jaccard", "tversky"):  # an absent class costs 0 and counts
        assert float(weighted) == pytest.approx(float(of_first) / 2)


def test_the_lovasz_loss_is_that_of_another_library_weighted_by_class():
    from segmentation_models_pytorch.losses import LovaszLoss

    logits, labels = batch(seed=3)
    labels[labels == 1] = 2  # a class that does not occur
    kept = labels != 255
    row, codes = logits.movedim(1, -1)[kept].T[None, :, None], labels[kept][None, None]
    row.requires_grad_()
    theirs = LovaszLoss("multiclass")(row, codes)
    ours = make_loss({"lovasz": 1.0}, EVEN)(row, codes)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    for mine, other in zip(torch.autograd.grad(ours, row), torch.autograd.grad(theirs, row), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-7)
    weights, row = torch.tensor([3.0, 5.0, 1.0]), row.detach()
    alone = [make_loss({"lovasz": 1.0}, w)(row, codes) for w in torch.eye(3)]
    weighted = make_loss({"lovasz": 1.0}, weights)(row, codes)
    assert float(alone[1]) == 0
    assert float(weighted) == pytest.approx(float(3 * alone[0] + alone[2]) / 4, rel=1e-5)


def test_a_sum_of_losses_is_the_sum():
    logits, labels = batch()
    parts = {"cross_entropy": 1.0, "dice": 0.5, "lovasz": 2.0}
    weights = torch.tensor([0.5, 1.0, 1.5])
    total = sum(share * make_loss({n: 1.0}, weights)(logits, labels) for n, share in parts.items())
    assert float(make_loss(parts, weights)(logits, labels)) == pytest.approx(float(total), rel=1e-6)


def test_cross_entropy_is_that_of_torch_and_smooths():
    logits, labels = batch()
    weights = torch.tensor([0.2, 1.0, 1.8])
    ours = cross_entropy(logits, labels, weights)
    assert float(ours) == pytest.approx(float(F.cross_entropy(logits, labels, weights, ignore_index=255)))
    torch.use_deterministic_algorithms(True)
    try:
        assert float(cross_entropy(logits, labels, weights)) == pytest.approx(float(ours))
    finally:
        torch.use_deterministic_algorithms(False)
    smooth = cross_entropy(logits, labels, torch.ones(3), 0.1)
    expected = F.cross_entropy(logits, labels, ignore_index=255, label_smoothing=0.1)
    assert float(smooth) == pytest.approx(float(expected), rel=1e-5)
    assert float(make_loss({"bce": 1}, EVEN, 0.1)(logits, labels)) > 0


def test_one_cycle_is_that_of_torch():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=101, cycle_momentum=False)
    settings = Optimisation(schedule="one_cycle", warmup=29.3 / 100)
    for step in range(101):
        assert learning_rate(settings, step / 100) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-6)
        if step < 100:
            optimiser.step()
            torchs.step()


@given(
    st.sampled_from(["cosine", "one_cycle", "plateau", "constant"]),
    st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.lists(st.floats(0, 1), max_size=9),
)
def test_shares_of_the_rate_are_shares(schedule, progress, warmup, scores):
    settings = Optimisation(schedule=schedule, warmup=warmup)
    assert 0 <= learning_rate(settings, progress, scores) <= 1


@pytest.mark.parametrize(
    ("scores", "share"), [([], 1), ([0.5, 0.4, 0.4], 0.1), ([0.5, 0.4, 0.6, 0.5, 0.5, 0.5, 0.5], 0.01)]
)
def test_a_plateau_divides_by_ten(scores, share):
    settings = Optimisation(schedule="plateau", plateau_checks=2, warmup=0)
    assert learning_rate(settings, 0.5, scores) == pytest.approx(share)


def test_checks_since_the_best():
    assert checks_since_best([]) == 0
    assert checks_since_best([0.3]) == 0
    assert checks_since_best([0.3, 0.6, 0.6, 0.2]) == 2


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4))
        self.head = torch.nn.Conv2d(4, 3, 1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD),
     ("adagrad", torch.optim.Adagrad)],
)  # fmt: skip
def test_optimisers_by_name(name, kind):
    net = Net()
    optimiser = make_optimiser(net, Optimisation(optimiser=name, encoder_rate=0.1, weight_decay=0.3))
    assert type(optimiser) is kind
    groups = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    assert len(groups) == len(list(net.parameters()))
    for key, parameter in net.named_parameters():
        group = groups[id(parameter)]
        assert group["share"] == (0.1 if key.startswith("encoder") else 1.0)
        assert group["weight_decay"] == (0.3 if parameter.ndim > 1 else 0.0)
        assert group["lr"] == 2e-3


@pytest.mark.parametrize(
    ("architecture", "parameters", "levels"),
    [
        ("unet", {"encoder": "resnet18", "depth": 3}, 2),
        ("unet", {"encoder": "tu-resnet18"}, 4),
        ("segformer", {"encoder": "mit_b0"}, 4),
        ("unet_compact", {"widths": [4, 8, 8], "blocks": 1}, 4),
    ],
)
def test_levels_of_an_encoder_learn_the_slower_the_earlier_they_come(architecture, parameters, levels):
    from tests.test_models_table import make_network

    network = make_network(architecture, parameters)
    settings = Optimisation(encoder_rate=0.5, encoder_decay=0.1, weight_decay=0.3)
    groups = make_optimiser(network, settings).param_groups
    shares = {id(p): group["share"] for group in groups for p in group["params"]}
    assert len(shares) == len(list(network.parameters()))
    found = []
    for name, parameter in network.named_parameters():
        share = shares[id(parameter)]
        assert (share == 1) == (not of_encoder(name))
        found += [share] if of_encoder(name) else []
    assert sorted(set(found), reverse=True) == pytest.approx([0.5 * 0.1**k for k in range(levels)])
    first, last = (next(iter(part)) for part in (found, reversed(found)))
    assert first < last == 0.5
    assert all(group["weight_decay"] == (0.3 if group["params"][0].ndim > 1 else 0) for group in groups)


def test_a_frozen_encoder_stands_still():
    net = Net().train()
    freeze(net, True)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = make_optimiser(net, Optimisation(freeze_encoder="all"))
    net.head(net.encoder(torch.randn(2, 2, 8, 8))).square().sum().backward()
    optimiser.step()
    moved = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"head.weight", "head.bias"}
    freeze(net, False)
    assert net.encoder.training
    assert all(p.requires_grad for p in net.parameters())


def test_a_network_without_an_encoder_cannot_freeze_it():
    with pytest.raises(RecipeError, match="no encoder apart from the rest"):
        make_optimiser(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1)), Optimisation(encoder_rate=0.5))
    assert make_optimiser(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1)), Optimisation()).param_groups


@pytest.mark.parametrize(
    "architecture",
    ["unet_compact", "unet", "unetplusplus", "fpn", "deeplabv3plus", "segformer", "upernet", "fcn", "segnet"],
)
def test_every_architecture_is_divided(architecture):
    from geodl.models.weights import expected_tensors
    from tests.conftest import make_spec

    spec = make_spec(architecture=architecture, parameters={}, tile=512, halo=64, stride=32)
    names = list(expected_tensors(spec))
    inner = sum(of_encoder(name) for name in names)
    assert 0 < inner < len(names)


def test_settings_say_what_they_mean():
    assert Optimisation(loss="dice").losses == {"dice": 1}
    assert Optimisation(freeze_encoder="all", epochs=7).frozen_epochs == 7
    assert Optimisation().rise == 0.05
    assert Optimisation(schedule="one_cycle").rise == 0.3
    for wrong in ({"loss": "nonsense"}, {"loss": {}}, {"loss": {"dice": math.nan}}, {"batch": "many"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Optimisation(**wrong)
