"""OHEM: which positions are kept, worked out by hand."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.training.task_losses.ohem import ohem

# Probabilities of the true class at six positions of two images.
TRUE = [[0.9, 0.2, 0.6], [0.8, 0.95, 0.5]]


def logits() -> Tensor:
    p = torch.tensor(TRUE)
    return torch.stack([p, 1 - p], dim=1).log()[:, :, None]


LABELS = torch.zeros(2, 1, 3, dtype=torch.int64)


def mean(*kept: float) -> float:
    return sum(-math.log(p) for p in kept) / len(kept)


def test_keeps_what_is_less_probable_than_the_threshold() -> None:
    loss = ohem(logits(), LABELS, threshold=0.7, min_kept=1)
    assert loss.item() == pytest.approx(mean(0.2, 0.6, 0.5), rel=1e-5)


def test_keeps_at_least_as_many_per_image_of_the_whole_batch() -> None:
    loss = ohem(logits(), LABELS, threshold=0.1, min_kept=2)
    assert loss.item() == pytest.approx(mean(0.2, 0.5, 0.6, 0.8), rel=1e-5)


def test_positions_without_a_class_are_never_kept() -> None:
    labels = LABELS.clone()
    labels[0, 0, 1] = 255
    loss = ohem(logits(), labels, threshold=0.1, min_kept=1)
    assert loss.item() == pytest.approx(mean(0.5, 0.6), rel=1e-5)


def test_with_everything_kept_it_is_cross_entropy() -> None:
    weights = torch.tensor([0.5, 2.0])
    labels = torch.tensor([[[0, 1, 0]], [[1, 255, 0]]])
    expected = F.cross_entropy(logits(), labels, weight=weights, ignore_index=255)
    loss = ohem(logits(), labels, weights=weights, threshold=0.999, min_kept=100000)
    assert_close(loss, expected)


def test_nothing_labelled_gives_zero_with_a_graph() -> None:
    maps = logits().requires_grad_()
    loss = ohem(maps, torch.full_like(LABELS, 255))
    loss.backward()
    assert loss.item() == 0.0
    assert maps.grad is not None
    assert maps.grad.count_nonzero() == 0
