from importlib import import_module

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from geodl.assess.calibration import ConfidenceCounts
from geodl.assess.compare import assess
from geodl.assess.temperature import RANGE, fit_temperature
from geodl.errors import SceneError

TRANSFORM = Affine(10, 0, 600000, 0, -10, 5200000)


def write(path, pixels, *, scale=1.0, nodata=255, transform=TRANSFORM):
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    with rasterio.open(
        path, "w", driver="GTiff", count=len(pixels), height=pixels.shape[1], width=pixels.shape[2],
        dtype=pixels.dtype, crs="EPSG:32632", transform=transform, nodata=nodata,
        photometric="minisblack",
    ) as file:  # fmt: skip
        file.write(pixels)
        file.scales = (scale,) * len(pixels)
    return path


@pytest.fixture(scope="module")
def network():
    """Scores of an overconfident network, and labels drawn from its honest probabilities."""
    rng = np.random.default_rng(11)
    honest = rng.normal(0, 1.5, (20_000, 4))
    labels = (special.softmax(honest, axis=1).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    return 2.5 * honest, labels.clip(0, 3)


@pytest.fixture
def product(network, tmp_path):
    scores, labels = network
    shares = special.softmax(scores, axis=1).T.reshape(4, 100, 200)
    mapped, reference = (part.reshape(100, 200).astype(np.uint8) for part in (shares.argmax(axis=0), labels))
    percent = np.round(100 * shares).astype(np.uint8)
    percent[:, :3] = 255
    return (
        write(tmp_path / "map.tif", mapped),
        write(tmp_path / "truth.tif", reference),
        write(tmp_path / "confidence.tif", percent.max(axis=0), scale=0.01),
        write(tmp_path / "probability.tif", percent, scale=0.01),
    )


def test_expected_error_equals_torchmetrics(network):
    scores, labels = network
    shares = special.softmax(scores, axis=1)
    counts = ConfidenceCounts()
    for part in np.array_split(np.arange(len(labels)), 7):
        counts.add(shares[part].max(axis=1), shares[part].argmax(axis=1) == labels[part])
    for norm, ours in (("l1", counts.result().expected_error), ("max", counts.result().largest_error)):
        theirs = multiclass_calibration_error(
            torch.from_numpy(shares), torch.from_numpy(labels), num_classes=4, n_bins=15, norm=norm
        )
        assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_calibration_of_a_product(product, tmp_path, monkeypatch):
    map_path, truth, confidence, probability = product
    found = assess(map_path, truth, confidence=confidence)
    assert found.calibration.pixels.sum() == 97 * 200  # three rows have no confidence
    assert found.calibration.expected_error > 0.1
    assert "expected calibration error" in " ".join(found.to_text(200).split())
    assert found.to_dict()["calibration"]["expected_calibration_error"] == pytest.approx(
        found.calibration.expected_error, abs=1e-6
    )
    found.calibration.save_png(tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr(import_module("geodl.assess.compare"), "_SIDE", 33)
    other = assess(map_path, truth, confidence=probability)
    np.testing.assert_array_equal(other.calibration.pixels, found.calibration.pixels)
    assert other.calibration.expected_error == pytest.approx(found.calibration.expected_error)


def test_a_confidence_of_another_grid_or_beyond_one_is_refused(product, tmp_path):
    map_path, truth, *_ = product
    shifted = write(
        tmp_path / "shifted.tif", np.zeros((100, 200), np.uint8), transform=Affine(10, 0, 0, 0, -10, 0)
    )
    with pytest.raises(SceneError, match="another grid"):
        assess(map_path, truth, confidence=shifted)
    unscaled = write(tmp_path / "unscaled.tif", np.full((100, 200), 80, np.uint8))
    with pytest.raises(SceneError, match=r"above 1.*-scale"):
        assess(map_path, truth, confidence=unscaled)


def test_temperature_minimises_the_log_loss_of_scikit_learn(network):
    scores, labels = network

    def loss(temperature):
        return metrics.log_loss(labels, special.softmax(scores / temperature, axis=1))

    found = fit_temperature([(scores, labels)])
    assert found == pytest.approx(2.5, rel=0.03)
    assert loss(found) < min(loss(found * 1.01), loss(found / 1.01))
    assert loss(found) < loss(1)


def test_temperature_makes_confidence_honest(network):
    scores, labels = network
    errors = []
    for temperature in (1, fit_temperature([(scores, labels)])):
        shares = special.softmax(scores / temperature, axis=1)
        counts = ConfidenceCounts()
        counts.add(shares.max(axis=1), shares.argmax(axis=1) == labels)
        errors.append(counts.result().expected_error)
    assert errors[1] < errors[0] / 5


@given(st.lists(st.integers(0, 3000), max_size=4))
def test_batches_change_nothing(cuts):
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(0, 3, (3000, 3)), rng.integers(0, 3, 3000)
    labels[::7] = 255
    whole = fit_temperature([(scores, labels)], limit=500)
    edges = sorted(cuts)
    parts = zip(np.split(scores, edges), np.split(labels, edges), strict=True)
    assert fit_temperature(parts, limit=500) == whole


def test_temperatures_without_an_answer():
    assert fit_temperature([]) == 1
    assert fit_temperature([(np.ones((5, 3)), np.full(5, 255))]) == 1
    assert fit_temperature([(np.ones((5, 3)), np.zeros(5, int))]) == 1
    always_right = np.eye(3)
    assert fit_temperature([(always_right, np.arange(3))]) == RANGE[0]
    assert fit_temperature([(always_right, (np.arange(3) + 1) % 3)]) == RANGE[1]
