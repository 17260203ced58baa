import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from geodl.assess.confusion import accuracy, confusion_matrix


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(5)
    reference = rng.choice(4, 5000, p=[0.6, 0.25, 0.1, 0.05]).astype(np.uint8)
    predicted = np.where(rng.random(5000) < 0.7, reference, rng.integers(0, 4, 5000)).astype(np.uint8)
    return reference, predicted


def test_equals_scikit_learn(pixels):
    reference, predicted = pixels
    matrix = confusion_matrix(reference, predicted, 4)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(reference, predicted))

    found = accuracy(matrix, list("abcd"))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(reference, predicted)
    np.testing.assert_allclose([c.precision for c in found.classes], precision)
    np.testing.assert_allclose([c.recall for c in found.classes], recall)
    np.testing.assert_allclose([c.f1 for c in found.classes], f1)
    assert [c.pixels for c in found.classes] == support.tolist()
    iou = metrics.jaccard_score(reference, predicted, average=None)
    np.testing.assert_allclose([c.iou for c in found.classes], iou)
    assert found.overall == pytest.approx(metrics.accuracy_score(reference, predicted))
    assert found.mean_iou == pytest.approx(iou.mean())
    assert found.mean_f1 == pytest.approx(f1.mean())
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(reference, predicted))
    assert found.pixels == 5000


@given(arrays(np.int64, st.integers(1, 6).map(lambda n: (n, n)), elements=st.integers(0, 10_000)))
def test_iou_follows_from_f1(matrix):
    found = accuracy(matrix, [str(k) for k in range(len(matrix))])
    for c in found.classes:
        assert math.isnan(c.iou) == math.isnan(c.f1)
        if not math.isnan(c.iou):
            assert c.iou == pytest.approx(c.f1 / (2 - c.f1), abs=1e-12)


def test_parts_add_up_to_the_whole(pixels):
    reference, predicted = pixels
    parts = [confusion_matrix(reference[i : i + 700], predicted[i : i + 700], 4) for i in range(0, 5000, 700)]
    np.testing.assert_array_equal(sum(parts), confusion_matrix(reference, predicted, 4))


def test_nodata_on_either_side_is_left_out():
    reference = np.array([0, 255, 1, 1], dtype=np.uint8)
    predicted = np.array([0, 0, 255, 1], dtype=np.uint8)
    np.testing.assert_array_equal(confusion_matrix(reference, predicted, 2), [[1, 0], [0, 1]])


def test_a_class_that_never_occurs_is_undefined_and_not_averaged():
    found = accuracy(np.array([[8, 2, 0], [0, 10, 0], [0, 0, 0]]), ["a", "b", "c"])
    assert math.isnan(found.classes[2].iou)
    assert found.mean_iou == pytest.approx((8 / 10 + 10 / 12) / 2)
    assert found.to_dict()["classes"][2]["iou"] is None


def test_nothing_at_all_is_undefined():
    assert math.isnan(accuracy(np.zeros((2, 2)), ["a", "b"]).mean_iou)
