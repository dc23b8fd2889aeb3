"""Scores: equal to sklearn's and torchmetrics', with absent classes left out aloud."""

import json

import pytest
import sklearn.metrics
import torch
import torchmetrics
from torch import Tensor
from torch.testing import assert_close

from segdistill.scoring.scores import (
    frequency_weighted_iou,
    iou_by_class,
    mean_accuracy,
    miou,
    pixel_accuracy,
    score,
)

from .counts import confusion_matrix

NAMES = ("road", "sky", "car", "pole")


def drawn(classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(classes, (2, 9, 11), generator=generator)
    noise = torch.randint(classes, labels.shape, generator=generator)
    right = torch.rand(labels.shape, generator=generator) < 0.6
    return torch.where(right, labels, noise), labels


def test_equal_sklearn() -> None:
    prediction, labels = drawn()
    truth, guess = labels.flatten().numpy(), prediction.flatten().numpy()
    found = score(confusion_matrix(prediction, labels, classes=4), NAMES)
    jaccard = sklearn.metrics.jaccard_score(truth, guess, average=None)
    assert list(found.iou.values()) == pytest.approx(jaccard, abs=1e-12)
    assert found.miou == pytest.approx(
        sklearn.metrics.jaccard_score(truth, guess, average="macro"), abs=1e-12
    )
    assert found.frequency_weighted_iou == pytest.approx(
        sklearn.metrics.jaccard_score(truth, guess, average="weighted"), abs=1e-12
    )
    assert found.pixel_accuracy == sklearn.metrics.accuracy_score(truth, guess)
    assert found.mean_accuracy == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(truth, guess), abs=1e-12
    )


def test_miou_equals_torchmetrics_with_ignored_labels() -> None:
    prediction, labels = drawn()
    labels[:, ::3] = 255
    oracle = torchmetrics.JaccardIndex("multiclass", num_classes=4, ignore_index=255)
    expected = oracle(prediction, labels)
    assert_close(torch.tensor(miou(confusion_matrix(prediction, labels, classes=4))), expected)


def test_values_worked_out_by_hand() -> None:
    # road: 3 of 4 right, one taken for sky; sky: 1 right, 1 taken for road.
    counts = torch.tensor([[3, 1], [1, 1]])
    found = score(counts, ["road", "sky"])
    assert found.iou == {"road": 3 / 5, "sky": 1 / 3}
    assert found.miou == pytest.approx((3 / 5 + 1 / 3) / 2)
    assert found.pixel_accuracy == 4 / 6
    assert found.mean_accuracy == (3 / 4 + 1 / 2) / 2
    assert found.frequency_weighted_iou == pytest.approx(4 / 6 * 3 / 5 + 2 / 6 * 1 / 3)


def test_absent_classes_are_named_and_left_out() -> None:
    counts = torch.zeros(4, 4, dtype=torch.int64)
    counts[0, 0], counts[1, 1], counts[1, 2] = 6, 2, 2  # car is predicted, never true
    found = score(counts, NAMES)
    assert found.absent_classes == ("pole",)
    assert found.iou == {"road": 1.0, "sky": 0.5, "car": 0.0, "pole": None}
    assert found.miou == pytest.approx((1.0 + 0.5 + 0.0) / 3)
    assert found.miou_ground_truth_classes == pytest.approx((1.0 + 0.5) / 2)
    assert found.mean_accuracy == pytest.approx((1.0 + 0.5) / 2)


def test_a_perfect_prediction_scores_one_everywhere() -> None:
    found = score(torch.diag(torch.tensor([5, 1, 3])), ["road", "sky", "car"])
    assert found.miou == found.miou_ground_truth_classes == found.mean_accuracy == 1.0
    assert found.pixel_accuracy == found.frequency_weighted_iou == pytest.approx(1.0)


def test_large_counts_lose_no_digit() -> None:
    counts = torch.tensor([[2**53, 1], [1, 2**40]])
    assert iou_by_class(counts)[1] == 2**40 / (2**40 + 2)
    assert pixel_accuracy(counts) == (2**53 + 2**40) / (2**53 + 2**40 + 2)


def test_is_json_with_null_for_an_absent_class() -> None:
    found = score(torch.tensor([[4, 0], [0, 0]]), ["road", "sky"]).as_dict()
    read = json.loads(json.dumps(found, allow_nan=False))
    assert read["iou"] == {"road": 1.0, "sky": None}
    assert read["absent_classes"] == ["sky"]


@pytest.mark.parametrize("function", [iou_by_class, pixel_accuracy, mean_accuracy])
def test_refuses_what_is_no_confusion_matrix(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match=r"int64 confusion matrix \(K, K\), got torch\.float32"):
        function(torch.ones(3, 3))
    with pytest.raises(ValueError, match=r"got torch\.int64 \(2, 3\)"):
        function(torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least one labelled pixel, got 0"):
        function(torch.zeros(3, 3, dtype=torch.int64))


def test_refuses_another_number_of_names() -> None:
    with pytest.raises(ValueError, match=r"score: expected 2 names, one per class.* got 3"):
        score(torch.ones(2, 2, dtype=torch.int64), ["a", "b", "c"])


def test_frequency_weights_need_no_present_class_beyond_the_truth() -> None:
    assert frequency_weighted_iou(torch.tensor([[3, 1], [0, 0]])) == 3 / 4
