"""Labels and validity at a map's size."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.losses import resize_labels, resize_valid
from segdistill.losses.maths.positions import check_labels, check_valid


def test_labels_are_taken_by_nearest_and_never_blended() -> None:
    labels = torch.tensor([[[0, 9, 4, 9, 255, 9], [9, 9, 9, 9, 9, 9]]])
    assert resize_labels(labels, (1, 3)).tolist() == [[[0, 4, 255]]]
    assert resize_labels(labels[:, :1, ::2], (1, 6)).tolist() == [[[0, 0, 4, 4, 255, 255]]]
    assert resize_labels(labels, (1, 3)).dtype == torch.int64


def test_validity_goes_with_the_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    valid = torch.rand(2, 37, 53, generator=generator) > 0.5
    for size in ((5, 7), (37, 20), (50, 60)):
        assert_close(resize_valid(valid, size), resize_labels(valid.long(), size).bool())


def test_equal_sizes_are_returned_as_they_are() -> None:
    labels = torch.zeros(1, 3, 4, dtype=torch.int64)
    assert resize_labels(labels, (3, 4)) is labels
    valid = labels.bool()
    assert resize_valid(valid, (3, 4)) is valid


def test_labels_up_to_the_last_class_and_the_ignored_one_pass() -> None:
    labels = torch.tensor([[[0, 3], [255, 1]]])
    check_labels("f", labels, torch.zeros(1, 2, 2, 2), classes=4, ignore_index=255)
    with pytest.raises(ValueError, match=r"f: expected labels below 3 or 255, got \[3\]; map what"):
        check_labels("f", labels, torch.zeros(1, 2, 2, 2), classes=3, ignore_index=255)


def test_no_mask_is_a_mask_that_fits() -> None:
    check_valid("f", None, torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match=r"f: expected valid of shape \(1, 3, 4\), got \(3, 4\)"):
        check_valid("f", torch.ones(3, 4).bool(), torch.zeros(1, 2, 3, 4))
