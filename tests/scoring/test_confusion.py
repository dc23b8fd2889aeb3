"""The confusion matrix: exact counts, equal to sklearn's, refusing what is no class."""

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.scoring.confusion import ConfusionMatrix, image_confusions

from .counts import confusion_matrix

CLASSES = 5


def ids(*shape: int, seed: int, ignored: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(CLASSES, shape, generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < ignored, 255, drawn)


def test_equals_sklearn_with_ignored_labels() -> None:
    prediction, labels = ids(3, 7, 9, seed=1), ids(3, 7, 9, seed=2, ignored=0.3)
    counted = labels != 255
    expected = sklearn.metrics.confusion_matrix(
        labels[counted].numpy(), prediction[counted].numpy(), labels=np.arange(CLASSES)
    )
    counts = confusion_matrix(prediction, labels, classes=CLASSES)
    assert counts.dtype == torch.int64
    assert_close(counts, torch.from_numpy(expected))


def test_rows_are_the_truth_in_a_value_worked_out_by_hand() -> None:
    labels, prediction = torch.tensor([0, 0, 1, 255]), torch.tensor([0, 1, 1, 0])
    expected = torch.tensor([[1, 1], [0, 1]])
    assert_close(confusion_matrix(prediction, labels, classes=2), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_takes_any_integers(dtype: torch.dtype) -> None:
    prediction, labels = ids(2, 4, 5, seed=1), ids(2, 4, 5, seed=2, ignored=0.2)
    expected = confusion_matrix(prediction, labels, classes=CLASSES)
    assert_close(
        confusion_matrix(prediction.to(dtype), labels.to(dtype), classes=CLASSES), expected
    )


def test_counts_each_image_of_a_batch_by_itself() -> None:
    prediction, labels = ids(4, 6, 5, seed=1), ids(4, 6, 5, seed=2, ignored=0.2)
    expected = [
        confusion_matrix(p, t, classes=CLASSES) for p, t in zip(prediction, labels, strict=True)
    ]
    assert_close(image_confusions(prediction, labels, classes=CLASSES), torch.stack(expected))


def test_another_label_may_be_the_ignored_one() -> None:
    counts = image_confusions(
        torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]), classes=2, ignore_index=0
    )
    assert_close(counts, torch.tensor([[[0, 0], [0, 1]]]))


def test_no_labelled_position_counts_nothing() -> None:
    labels = torch.full((2, 3, 4), 255)
    assert confusion_matrix(torch.zeros_like(labels), labels, classes=3).sum() == 0
    empty = torch.zeros(0, 3, 4, dtype=torch.int64)
    assert confusion_matrix(empty, empty, classes=3).sum() == 0


def test_counts_stay_exact_where_float32_would_stop() -> None:
    matrix = ConfusionMatrix(2)
    matrix.counts[0, 0] = 2**24
    matrix.update(torch.tensor([[[0]]]), torch.tensor([[[0]]]))
    assert int(matrix.counts[0, 0]) == 2**24 + 1


def test_adds_batches_up_and_keeps_each_image() -> None:
    prediction, labels = ids(6, 5, 4, seed=1), ids(6, 5, 4, seed=2, ignored=0.2)
    matrix = ConfusionMatrix(CLASSES, per_image=True)
    for batch in (slice(0, 2), slice(2, 3), slice(3, 6)):
        matrix.update(prediction[batch], labels[batch])
    assert_close(matrix.counts, confusion_matrix(prediction, labels, classes=CLASSES))
    assert_close(matrix.image_counts(), image_confusions(prediction, labels, classes=CLASSES))


@pytest.mark.parametrize("value", [5, 11, 254, -1])
def test_refuses_a_label_that_is_no_class(value: int) -> None:
    labels = torch.tensor([0, value, 255, value])
    message = (
        f"image_confusions: expected labels from 0 to 4 or 255, got {value} at 2 positions; map"
    )
    with pytest.raises(ValueError, match=message):
        confusion_matrix(torch.zeros_like(labels), labels, classes=5)


def test_refuses_a_prediction_that_is_no_class() -> None:
    labels = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="expected prediction from 0 to 4, got 5 at 1 positions"):
        confusion_matrix(torch.tensor([0, 5, 1, 2]), labels, classes=5)


def test_refuses_shapes_and_types_that_it_cannot_count() -> None:
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"equal shapes, got prediction \(2, 8, 8\) and labels"):
        image_confusions(torch.zeros(2, 8, 8, dtype=torch.int64), labels, classes=3)
    with pytest.raises(TypeError, match=r"integer prediction, got torch\.float32; take argmax"):
        image_confusions(torch.zeros(2, 4, 4), labels, classes=3)
    with pytest.raises(ValueError, match=r"labels \(N, H, W\), got \(4, 4\)"):
        image_confusions(labels[0], labels[0], classes=3)


def test_refuses_no_classes_and_to_return_what_was_not_kept() -> None:
    with pytest.raises(ValueError, match="expected classes >= 1, got 0"):
        ConfusionMatrix(0)
    with pytest.raises(ValueError, match="expected per_image=True"):
        ConfusionMatrix(3).image_counts()
