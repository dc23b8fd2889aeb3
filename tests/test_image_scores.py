"""mIoU image by image, and which images differ most."""

import math

import numpy as np
import pytest
import torch

from segdistill.image_scores import image_miou, worst_and_best
from segdistill.scoring.confusion import image_confusions
from segdistill.scoring.scores import score


def test_each_image_has_the_miou_of_its_own_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (3, 5, 6), generator=generator)
    labels[0, :2] = 255
    prediction = torch.randint(0, 3, (3, 5, 6), generator=generator)
    counts = image_confusions(prediction, labels, classes=4)
    expected = [score(matrix, list("abcd")).miou for matrix in counts]
    assert image_miou(counts.numpy()).tolist() == pytest.approx(expected)


def test_a_value_worked_out_by_hand() -> None:
    # Class 0: 2 of 3, class 1: 1 of 2, class 2 nowhere: (2/3 + 1/2) / 2.
    counts = np.array([[[2, 1, 0], [0, 1, 0], [0, 0, 0]]])
    assert image_miou(counts).item() == pytest.approx(7 / 12)


def test_an_image_without_labels_has_none() -> None:
    assert np.isnan(image_miou(np.zeros((2, 3, 3), dtype=np.int64))).all()


def test_extremes_come_in_order_and_never_twice() -> None:
    differences = np.array([0.1, -0.3, math.nan, 0.5, 0.0, 0.5])
    assert worst_and_best(differences, count=2) == ([1, 4], [3, 5])
    assert worst_and_best(differences, count=9) == ([1, 4, 0], [3, 5])
    assert worst_and_best(np.array([0.2]), count=3) == ([0], [])
    assert worst_and_best(np.array([math.nan]), count=3) == ([], [])


def test_refuses_what_is_no_list_of_images() -> None:
    with pytest.raises(ValueError, match="evaluate with keep_images=True"):
        image_miou(np.zeros((3, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="got float64"):
        image_miou(np.zeros((1, 3, 3)))
    with pytest.raises(ValueError, match="count >= 1"):
        worst_and_best(np.zeros(3), count=0)
