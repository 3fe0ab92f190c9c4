import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from passband.metrics import class_accuracy, confusion_matrix, rank_of, ranking, wilson_interval


@given(st.integers(1, 13), st.integers(1, 11), st.integers(0, 2**31))
def test_the_rank_is_how_many_classes_score_more(pictures, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(pictures, classes, generator=generator)
    labels = torch.randint(classes, (pictures,), generator=generator)
    more = (logits > logits.gather(1, labels[:, None])).sum(1)
    assert torch.equal(rank_of(logits, labels), more)


def test_of_equal_scores_the_lower_class_comes_first():
    assert ranking(torch.tensor([[1.0, 3.0, 3.0, 0.0]])).tolist() == [[1, 2, 0, 3]]
    assert rank_of(torch.zeros(5, 5), torch.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_a_network_that_gives_no_numbers_is_not_right_by_luck():
    logits = torch.tensor([[torch.nan, -3.0, torch.inf], [torch.nan, -torch.inf, 0.0]])
    assert rank_of(logits, torch.tensor([0, 2])).tolist() == [2, 0]


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_refused_and_does_not_count_as_right(label):
    with pytest.raises(ValueError, match=rf"labels from 0 to 2, got {min(label, 1)} to {max(label, 1)}"):
        rank_of(torch.zeros(2, 3), torch.tensor([1, label]))


def test_confusion_counts_true_classes_in_rows():
    labels = torch.tensor([0, 0, 0, 2, 2, 1, 2])
    predicted = torch.tensor([0, 1, 1, 2, 0, 1, 2])
    expected = np.zeros((4, 4), int)
    for true, guess in zip(labels, predicted, strict=True):
        expected[true, guess] += 1
    confusion = confusion_matrix(predicted, labels, 4)
    assert confusion.tolist() == expected.tolist()
    shares = class_accuracy(confusion)
    assert shares[:3].tolist() == pytest.approx([1 / 3, 1, 2 / 3])
    assert shares[3].isnan()  # no pictures, no share


@pytest.mark.parametrize(("right", "count"), [(0, 7), (7, 7), (3, 11), (251, 278)])
def test_the_interval_is_scipys(right, count):
    theirs = binomtest(right, count).proportion_ci(0.95, method="wilson")
    # z is written with two decimals
    assert wilson_interval(right, count) == pytest.approx((theirs.low, theirs.high), abs=1e-5)
