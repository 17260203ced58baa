"""From scores to classes and probabilities: the same bits wherever a pixel lies."""

import numpy as np
import pytest
import scipy.stats
import torch

from geodl.errors import GeodlError
from geodl.scores import classify

VALUES = [3, 1, 7, 4, 9, 2, 8, 6]
LAYERS = ("class", "confidence", "entropy", "probability")  # those that follow from the scores alone


def scores(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 4 * torch.randn(1, len(VALUES), height, width, generator=generator)


def test_classes_and_probabilities_are_those_of_a_softmax():
    given = scores(40, 50)
    found = classify(given, VALUES, LAYERS)
    expected = given.double().softmax(dim=1).numpy()
    np.testing.assert_allclose(found["probability"], expected, atol=1e-6)
    np.testing.assert_array_equal(found["class"], np.array(VALUES)[expected.argmax(axis=1)])
    np.testing.assert_allclose(found["confidence"], expected.max(axis=1), atol=1e-6)
    entropy = scipy.stats.entropy(expected, base=len(VALUES), axis=1)
    np.testing.assert_allclose(found["entropy"], entropy, atol=1e-6)


def test_of_equal_scores_the_first_class_wins():
    given = torch.zeros(1, len(VALUES), 2, 2)
    assert (classify(given, VALUES, ["class"])["class"] == VALUES[0]).all()


@pytest.mark.parametrize("rows", [(0, 1), (1, 64), (3, 10), (7, 63)])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_bits_do_not_depend_on_the_rows_beside(rows, memory):
    given = scores(64, 333).contiguous(memory_format=memory)
    whole = classify(given, VALUES, LAYERS)
    part = classify(given[:, :, slice(*rows)], VALUES, LAYERS)
    for layer in LAYERS:
        np.testing.assert_array_equal(part[layer], whole[layer][..., slice(*rows), :])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(value):
    given = scores(4, 4)
    given[0, 2, 1, 1] = value
    with pytest.raises(GeodlError, match=r"not finite.*--precision fp32"):
        classify(given, VALUES, ["class"])
