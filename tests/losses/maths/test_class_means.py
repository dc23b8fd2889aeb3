"""Class means by one product."""

import torch
from torch.testing import assert_close

from segdistill.losses.maths.class_means import class_means, one_hot


def test_means_are_by_class_and_image_and_zero_for_an_absent_class() -> None:
    features = torch.tensor([[[1.0, 3.0, 5.0]], [[2.0, 4.0, 9.0]]])
    labels = torch.tensor([[0, 0, 2], [-1, 2, 2]])
    membership = one_hot(labels, classes=3, dtype=features.dtype)
    means, counts = class_means(features, membership)
    assert_close(means, torch.tensor([[[2.0, 0.0, 5.0]], [[0.0, 0.0, 6.5]]]))
    assert_close(counts, torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 2.0]]))


def test_labels_outside_the_classes_belong_to_none() -> None:
    membership = one_hot(torch.tensor([[0, 3, 255, -1]]), classes=3, dtype=torch.int64)
    assert membership.tolist() == [[[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]
