import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from geodl.training.augment import augment, blur, change_light, move, zoom_to
from geodl.training.mix import cutmix
from geodl.training.recipe import Augment
from geodl.training.weather import add_haze, add_shadow, drop_channels, smooth_field
from geodl.views import turn

ALL = Augment(
    zoom=(0.5, 2), brightness=0.3, contrast=0.3, channels=0.2, gamma=0.3, noise=0.1, blur=1.0, haze=1.0,
    shadow=0.6, channel_dropout=0.2,
)  # fmt: skip
NONE = Augment(flips_rotations=False, brightness=0, contrast=0, channels=0, noise=0)


@pytest.fixture
def image():
    return torch.randn(3, 24, 24, generator=torch.Generator().manual_seed(1))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_eight_different_symmetries(image):
    turned = [turn(image, view) for view in range(8)]
    assert all(not torch.equal(a, b) for i, a in enumerate(turned) for b in turned[:i])
    assert torch.equal(turned[0], image)
    for one in turned:
        assert torch.equal(one.flatten().sort().values, image.flatten().sort().values)


def test_image_and_labels_move_together(image):
    labels = (image[0] > 0).long()
    geometry = NONE.model_copy(update={"flips_rotations": True})
    seen = set()
    for seed in range(40):
        moved, codes = augment(image, labels, geometry, generator(seed))
        assert torch.equal((moved[0] > 0).long(), codes)
        seen.add(moved[0, 0, 0].item())
    assert len(seen) >= 4


def test_zoom_keeps_class_codes_and_places():
    image = torch.zeros(1, 30, 30)
    image[:, :, 14:] = 1
    labels = torch.where(image[0] > 0.5, 4, 255)
    for side in (15, 60):
        zoomed, codes = zoom_to(image, labels, side)
        assert zoomed.shape == (1, side, side)
        assert set(codes.unique().tolist()) == {4, 255}
        assert torch.equal(zoomed[0] > 0.5, codes == 4)


def test_nothing_asked_nothing_changed(image):
    labels = torch.zeros(24, 24, dtype=torch.int64)
    same, codes = augment(image, labels, NONE, generator())
    torch.testing.assert_close(same, image)
    assert torch.equal(codes, labels)


def test_a_seed_fixes_the_sample(image):
    labels = torch.zeros(24, 24, dtype=torch.int64)
    one, two = (augment(image, labels, ALL, generator(7))[0] for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, augment(image, labels, ALL, generator(8))[0])
    assert torch.isfinite(one).all()


def test_light_keeps_the_order_of_values_within_a_band(image):
    changed = change_light(image, ALL, generator(3))
    for before, after in zip(image, changed, strict=True):
        order = before.flatten().argsort()
        assert (after.flatten()[order].diff() >= -1e-6).all()


def test_blur_keeps_constants_and_smooths(image):
    flat = torch.full((2, 9, 9), 3.0)
    torch.testing.assert_close(blur(flat, 0.8), flat)
    assert blur(image, 0.8).std() < 0.8 * image.std()
    assert blur(image, 0.05) is image
    two = torch.zeros(1, 21, 21)
    two[0, 10, 10] = 1
    spot = blur(two, 1.0)[0]
    torch.testing.assert_close(spot, spot.T)
    assert spot.sum() == pytest.approx(1)


def test_a_field_is_smooth_and_between_zero_and_one():
    field = smooth_field(40, 60, 4, generator(2))
    assert field.shape == (40, 60)
    assert field.min() >= 0
    assert field.max() <= 1
    assert field.std() > 0.05
    assert max(field.diff(dim=0).abs().max(), field.diff(dim=1).abs().max()) < 0.12


@pytest.mark.parametrize(("rows", "columns"), [(0.0, 0.0), (1.0, -2.0), (0.25, 1.5), (-0.7, -0.1)])
def test_a_move_is_that_of_scipy(image, rows, columns):
    wanted = ndimage.shift(image.numpy(), (0, rows, columns), order=1, mode="nearest")
    torch.testing.assert_close(move(image, rows, columns), torch.from_numpy(wanted), atol=1e-5, rtol=0)


def test_only_the_later_date_moves_and_no_label(image):
    labels = torch.arange(image[0].numel()).reshape(image.shape[1:])
    amounts = NONE.model_copy(update={"shift": 2.0})
    found, same = augment(torch.cat([image, image]), labels, amounts, generator(3), dates=2)
    before, after = found.chunk(2)
    assert torch.equal(before, image)
    assert torch.equal(same, labels)
    offset, _, _ = phase_cross_correlation(after[0].numpy(), image[0].numpy(), upsample_factor=20)
    assert 0.1 < np.abs(offset).max() <= 2.1


@pytest.mark.parametrize("seed", range(5))
def test_haze_brightens_within_its_amount(image, seed):
    veil = add_haze(image, 2.0, generator(seed)) - image
    assert veil.min() >= -1e-6
    assert veil.max() <= 2.0
    shares = veil.flatten(1)[:, veil[0].argmax()] / veil[0].max()
    assert len(shares.unique()) == 3, "every band has a veil of its own"


@pytest.mark.parametrize("seed", range(5))
def test_shadow_darkens_down_to_the_darkest_and_no_further(image, seed):
    dark = image.amin(dim=(1, 2), keepdim=True)
    share = (add_shadow(image, 0.8, generator(seed)) - dark) / (image - dark).clamp(min=1e-6)
    lit = (image - dark > 0.1).expand_as(image)
    assert share[lit].min() >= 0.2 - 1e-4
    assert share[lit].max() <= 1 + 1e-4
    assert (share[0] - share[1])[lit[0] & lit[1]].abs().max() < 1e-3, "all bands alike"


def test_a_band_at_least_stays(image):
    counts = set()
    for seed in range(60):
        dropped = drop_channels(image, 0.6, generator(seed))
        gone = (dropped.flatten(1) == 0).all(dim=1)
        counts.add(int(gone.sum()))
        assert torch.equal(dropped[~gone], image[~gone])
    assert counts == {0, 1, 2}


def pairs(n=6, side=20):
    """Samples whose pixels, labels and ignored pixels tell which sample they come from."""
    images = torch.arange(n).float()[:, None, None, None].expand(n, 2, side, side) + 1
    labels = torch.arange(n)[:, None, None].expand(n, side, side).clone()
    labels[:, :, ::5] = 255
    return torch.where(labels[:, None] == 255, 0.0, images), labels


def test_cutmix_moves_pixels_labels_and_ignored_pixels_together():
    images, labels = pairs()
    torch.manual_seed(0)
    mixed, codes = cutmix(images, labels, 1.0)
    received = 0
    for number in range(6):
        known = codes[number] != 255
        assert torch.equal(mixed[number, 0][known], codes[number][known].float() + 1)
        assert (mixed[number][:, ~known] == 0).all()
        assert torch.equal(known, labels[number] != 255)
        sources = set(codes[number][known].tolist())
        assert sources <= {number, (number - 1) % 6}
        received += (number - 1) % 6 in sources
        pasted = (mixed[number, 0] == (number - 1) % 6 + 1).nonzero()
        if len(pasted):  # one rectangle
            top, left = pasted.min(0).values
            bottom, right = pasted.max(0).values
            inside = codes[number][top : bottom + 1, left : right + 1]
            assert set(inside.unique().tolist()) <= {(number - 1) % 6, 255}
    assert received >= 4
    assert torch.equal(labels, pairs()[1]), "the batch itself was changed"


def test_cutmix_by_its_chance():
    images, labels = pairs(40)
    assert all(torch.equal(a, b) for a, b in zip(cutmix(images, labels, 0.0), (images, labels), strict=True))
    torch.manual_seed(1)
    _, codes = cutmix(images, labels, 0.3)
    changed = sum(not torch.equal(a, b) for a, b in zip(codes, labels, strict=True))
    assert 4 <= changed <= 20
    torch.manual_seed(1)
    assert torch.equal(cutmix(images, labels, 0.3)[1], codes)
