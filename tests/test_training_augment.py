import pytest
import torch

from geodl.training.augment import augment, blur, change_light, dihedral, zoom_to
from geodl.training.recipe import Augment

ALL = Augment(zoom=(0.5, 2), brightness=0.3, contrast=0.3, channels=0.2, gamma=0.3, noise=0.1, blur=1.0)
NONE = Augment(flips_rotations=False, brightness=0, contrast=0, channels=0, noise=0)


@pytest.fixture
def image():
    return torch.randn(3, 24, 24, generator=torch.Generator().manual_seed(1))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_eight_different_symmetries(image):
    turned = [dihedral(image, turn) for turn in range(8)]
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
