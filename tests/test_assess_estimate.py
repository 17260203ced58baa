"""Estimators against the worked example that their authors published, and against simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.assess.design import ALLOCATIONS, allocate, required_points
from geodl.assess.estimate import estimate
from geodl.errors import OptionError

# Olofsson et al. (2014), section 5: deforestation, forest gain, stable forest, stable non-forest.
PIXELS = {1: 200_000, 2: 150_000, 3: 3_200_000, 4: 6_450_000}
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
HECTARES = 0.09 * sum(PIXELS.values())


def points_of(counts):
    """Map and reference class, 1 and up, of each point of a matrix."""
    rows, columns = np.indices(counts.shape)
    return np.repeat(rows.ravel() + 1, counts.ravel()), np.repeat(columns.ravel() + 1, counts.ravel())


@pytest.fixture(scope="module")
def published():
    mapped, reference = points_of(COUNTS)
    return estimate(mapped, mapped, reference, PIXELS, [1, 2, 3, 4])


class TestWorkedExample:
    def test_error_matrix(self, published):
        np.testing.assert_array_equal(published.counts, COUNTS)
        expected = [
            [0.0176, 0, 0.0013, 0.0011],
            [0, 0.0110, 0.0016, 0.0024],
            [0.0019, 0, 0.2967, 0.0213],
            [0.0040, 0.0020, 0.0179, 0.6212],
        ]
        np.testing.assert_allclose(published.matrix, expected, atol=5.1e-5)

    def test_areas_in_hectares(self, published):
        areas = [(HECTARES * s.value, HECTARES * s.half_width) for s in published.shares]
        expected = [(21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_282)]
        np.testing.assert_allclose(areas, expected, atol=1)

    def test_deforestation_in_pixels(self, published):
        share = published.shares[0]
        total = sum(PIXELS.values())
        assert total * share.value == pytest.approx(235_086, abs=1)
        assert total * share.half_width == pytest.approx(68_418, abs=10)

    def test_accuracies(self, published):
        assert published.overall.value == pytest.approx(0.947, abs=5e-4)
        assert published.overall.half_width == pytest.approx(0.018, abs=5e-4)
        users = [(e.value, e.half_width) for e in published.users]
        np.testing.assert_allclose(
            users, [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)], atol=5.1e-3
        )
        producers = [e.value for e in published.producers]
        np.testing.assert_allclose(producers, [0.75, 0.85, 0.93, 0.96], atol=5.1e-3)
        assert published.producers[0].half_width == pytest.approx(0.21, abs=5e-3)

    @pytest.mark.parametrize("j", range(4))
    def test_producers_accuracy_has_the_variance_of_equation_7(self, published, j):
        areas, points = np.array(list(PIXELS.values()), float), COUNTS.sum(axis=1)
        total = (areas * COUNTS[:, j] / points).sum()
        users, producers = COUNTS[j, j] / points[j], areas[j] * COUNTS[j, j] / points[j] / total
        own = areas[j] ** 2 * (1 - producers) ** 2 * users * (1 - users) / (points[j] - 1)
        others = sum(
            areas[i] ** 2 * COUNTS[i, j] / points[i] * (1 - COUNTS[i, j] / points[i]) / (points[i] - 1)
            for i in range(4)
            if i != j
        )
        variance = (own + producers**2 * others) / total**2
        assert published.producers[j].standard_error == pytest.approx(math.sqrt(variance))

    def test_sample_size(self):
        shares = [pixels / sum(PIXELS.values()) for pixels in PIXELS.values()]
        assert required_points(shares, [0.7, 0.6, 0.9, 0.95], 0.01) == 641


def test_strata_of_another_map_against_simulation():
    """The mean of many samples is the truth, and their spread the standard error they tell."""
    rng = np.random.default_rng(4)
    size = 20_000
    stratum = rng.choice([1, 2, 3], size, p=[0.1, 0.3, 0.6])
    truth = np.where(rng.random(size) < 0.8, stratum, rng.integers(1, 4, size))
    mapped = np.where(rng.random(size) < 0.85, truth, rng.integers(1, 4, size))
    areas = {k: float((stratum == k).sum()) for k in (1, 2, 3)}
    places = {k: np.flatnonzero(stratum == k) for k in areas}
    found = []
    for _ in range(400):
        chosen = np.concatenate([rng.choice(places[k], 300) for k in places])
        result = estimate(stratum[chosen], mapped[chosen], truth[chosen], areas, [1, 2, 3])
        numbers = [result.overall, *result.users, *result.producers, *result.shares]
        found.append([(e.value, e.standard_error) for e in numbers])
    values, errors = np.moveaxis(np.array(found), 2, 0)
    right = mapped == truth
    expected = [
        right.mean(),
        *(right[mapped == k].mean() for k in areas),
        *(right[truth == k].mean() for k in areas),
        *((truth == k).mean() for k in areas),
    ]
    np.testing.assert_allclose(values.mean(axis=0), expected, atol=0.012)
    np.testing.assert_allclose(errors.mean(axis=0), values.std(axis=0), rtol=0.15)
    inside = np.abs(values - expected) < 1.96 * errors
    # Symmetric intervals of rare classes miss the truth somewhat more often than they should.
    assert inside.mean() > 0.93


@given(st.lists(st.lists(st.integers(0, 20), min_size=3, max_size=3), min_size=3, max_size=3))
def test_shares_sum_to_one_and_lie_within(counts):
    counts = np.array(counts)
    if not counts.sum():
        return
    mapped, reference = points_of(counts)
    found = estimate(mapped, mapped, reference, {1: 5.0, 2: 3.0, 3: 2.0}, [1, 2, 3])
    assert found.matrix.sum() == pytest.approx(1)
    assert sum(s.value for s in found.shares) == pytest.approx(1)
    np.testing.assert_allclose([s.value for s in found.shares], found.matrix.sum(axis=0))
    assert found.overall.value == pytest.approx(np.trace(found.matrix))
    assert set(found.missing) == {k for k in (1, 2, 3) if not counts[k - 1].any()}


def test_a_class_without_points_is_left_out_and_named():
    mapped, reference = points_of(COUNTS[:3])
    found = estimate(mapped, mapped, reference, PIXELS, [1, 2, 3, 4])
    assert found.missing == (4,)
    assert math.isnan(found.users[3].value)
    assert found.matrix.sum() == pytest.approx(1)


def test_a_class_with_one_point_has_no_standard_error():
    found = estimate(*(np.array([1, 1, 2]),) * 3, {1: 3.0, 2: 1.0}, [1, 2])
    assert found.single == (2,)
    assert found.overall.value == 1
    assert math.isnan(found.overall.standard_error)
    assert found.overall.to_dict() == {"value": 1.0, "standard_error": None, "low": None, "high": None}


def test_a_class_that_the_map_does_not_know_has_an_area():
    mapped, reference = np.array([1, 1, 1, 2, 2, 2]), np.array([1, 9, 1, 2, 2, 9])
    found = estimate(mapped, mapped, reference, {1: 1.0, 2: 1.0}, [1, 2, 9])
    assert found.shares[2].value == pytest.approx(1 / 3)
    assert found.producers[2].value == 0
    assert math.isnan(found.users[2].value)


class TestAllocation:
    shares, pixels = (0.02, 0.015, 0.32, 0.645), (200_000, 150_000, 3_200_000, 6_450_000)

    def test_kinds(self):
        assert allocate(640, self.shares, self.pixels, method="equal") == [160] * 4
        assert allocate(1000, self.shares, self.pixels, method="proportional") == [20, 15, 320, 645]
        # Olofsson et al. (2014), table 5, gives 75 to each rare class before it rounds the others.
        assert allocate(640, self.shares, self.pixels, minimum=75) == [75, 75, 162, 328]
        neyman = allocate(640, self.shares, self.pixels, method="neyman", expected=(0.7, 0.6, 0.9, 0.95))
        assert neyman == [23, 19, 243, 355]

    @given(st.data())
    def test_sums_and_limits(self, data):
        count = data.draw(st.integers(1, 8))
        pixels = data.draw(st.lists(st.integers(1, 10**6), min_size=count, max_size=count))
        shares = np.array(pixels) / sum(pixels)
        minimum = data.draw(st.integers(0, 60))
        needed = sum(min(minimum, p) for p in pixels)
        points = data.draw(st.integers(max(needed, 1), max(needed, 1, min(sum(pixels), 5000))))
        method = data.draw(st.sampled_from(ALLOCATIONS))
        expected = data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
        if points > sum(pixels):
            return
        found = allocate(points, shares, pixels, method=method, minimum=minimum, expected=expected)
        assert sum(found) == points
        assert all(min(minimum, p) <= n <= p for n, p in zip(found, pixels, strict=True))

    @pytest.mark.parametrize(
        ("points", "options", "match"),
        [
            (100, {"minimum": 50}, "4 classes with 50 points each need 200: ask for more"),
            (10**8, {}, "10000000 pixels with a class: ask for fewer"),
            (100, {"method": "best"}, "use mixed, proportional, equal, neyman"),
        ],
    )
    def test_refused(self, points, options, match):
        with pytest.raises(OptionError, match=match):
            allocate(points, self.shares, self.pixels, **options)
