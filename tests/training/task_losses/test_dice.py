"""Dice: the ratio of sums over the whole batch, and over the classes that are there."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.training.task_losses.dice import dice

from .overlap import LABELS, WEIGHTS, logits, positions


def reference(maps: Tensor, labels: Tensor, weights: list[float]) -> float:
    known = positions(maps, labels)
    total = divisor = 0.0
    for k in range(maps.shape[1]):
        overlap = sum(q[k] for q, label in known if label == k)
        mass = sum(q[k] for q, _ in known)
        count = sum(1 for _, label in known if label == k)
        if count:
            total += weights[k] * (1 - 2 * overlap / (mass + count))
            divisor += weights[k]
    return total / divisor


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_equals_the_equation(weights: Tensor | None) -> None:
    plain = [1.0] * 4 if weights is None else weights.tolist()
    expected = reference(logits(), LABELS, plain)
    given = dice(logits(), LABELS, weights=None if weights is None else weights.float())
    assert given.item() == pytest.approx(expected, rel=1e-5)


def test_a_value_worked_out_by_hand() -> None:
    # Probability 1/2 everywhere; both classes overlap by 1/2 with one of two positions:
    # 1 - 2 (1/2) / (1 + 1) = 1/2.
    labels = torch.tensor([[[0, 1]]])
    assert dice(torch.zeros(1, 2, 1, 2), labels).item() == pytest.approx(0.5)
    # Class 0 alone is labelled: 1 - 2 (1) / (1 + 2) = 1/3.
    assert dice(torch.zeros(1, 2, 1, 2), labels * 0).item() == pytest.approx(1 / 3)


def test_is_near_zero_where_the_network_is_right() -> None:
    right = 50.0 * F.one_hot(LABELS.where(LABELS != 255, 0), 4).permute(0, 3, 1, 2)
    assert dice(right, LABELS).item() == pytest.approx(0.0, abs=1e-5)


def test_adds_cross_entropy_where_asked() -> None:
    expected = dice(logits(), LABELS) + 0.5 * F.cross_entropy(logits(), LABELS, ignore_index=255)
    assert_close(
        dice(logits(), LABELS, cross_entropy_weight=0.5), expected.float(), check_dtype=False
    )


def test_the_gradient_is_right_and_passes_no_position_without_a_class() -> None:
    maps = logits().requires_grad_()
    dice(maps, LABELS).backward()
    assert maps.grad is not None
    assert maps.grad.permute(0, 2, 3, 1)[LABELS == 255].count_nonzero() == 0
    change = torch.zeros_like(maps)
    change[0, 1, 1, 0] = 1e-5
    slope = reference(maps.detach() + change, LABELS, [1.0] * 4)
    slope -= reference(maps.detach() - change, LABELS, [1.0] * 4)
    assert maps.grad[0, 1, 1, 0].item() == pytest.approx(slope / 2e-5, rel=1e-3)


def test_nothing_labelled_gives_zero_with_a_graph() -> None:
    maps = logits().requires_grad_()
    loss = dice(maps, torch.full_like(LABELS, 255), cross_entropy_weight=1.0)
    loss.backward()
    assert loss.item() == 0.0
    assert maps.grad is not None
    assert maps.grad.count_nonzero() == 0
